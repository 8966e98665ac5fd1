import Glibc
import SMB2Wire
import Testing

@testable import FileStore

/// A folder that a CREATE made which a crash interrupted: as files (`CreationMarkTests`), on what a node has mounted.
@Suite(.enabled(if: canMountXFS(), "needs root, loop devices and XFS"), .serialized)
struct MarkedFolderTests: OnItsOwnFileSystem {
    private func request(
        _ path: String, _ disposition: CreateDisposition = .create, guid: UInt64 = 1, isReplay: Bool = false,
        attributes: FileAttributes = [], options: CreateOptions = .directoryFile
    ) throws -> OpenRequest {
        var request = OpenRequest(
            path: try NTPath(path), access: [.readData, .delete], disposition: disposition, options: options,
            attributes: attributes)
        request.creationMark = CreationMark(
            createGUID: GUID(low: guid, high: 0), clientGUID: GUID(low: 2, high: 0), isReplay: isReplay)
        return request
    }

    @Test(arguments: [CreateDisposition.create, .openIf])
    func aRepeatedRequestMakesTheSameFolder(disposition: CreateDisposition) throws {
        try self.withVolume { volume, path in
            let first = try volume.open(self.request("d", disposition))
            #expect(first.action == .created && first.file.isDirectory)
            _ = try volume.open(
                OpenRequest(path: try NTPath("d\\f"), access: .readData, disposition: .create))
            // Another server over the same files.
            let next = try Volume(root: path, options: .init(label: "next"))
            let again = try next.open(self.request("D", disposition, isReplay: true, attributes: .hidden))
            #expect(again.action == .created && again.file.isDirectory)
            #expect(again.file.identity == first.file.identity)
            #expect(again.information.attributes == [.hidden, .directory], "what was not finished is finished")
            #expect(try self.names("\(path)/d") == ["f"], "and nothing is destroyed")
            #expect(try self.names("\(path)/.holdfast/folders").isEmpty)
        }
    }

    @Test func onlyTheSameRequestRepeatedIsTheSame() throws {
        try self.withVolume { volume, path in
            _ = try volume.open(self.request("d"))
            for request in [
                try self.request("d"), try self.request("d", guid: 7, isReplay: true),
                try self.request("d", isReplay: true, options: .nonDirectoryFile),
            ] {
                #expect(self.status { _ = try volume.open(request) } == .objectNameCollision)
            }
            #expect(mkdir("\(path)/unmarked", 0o755) == 0)
            let unmarked = try self.request("unmarked", isReplay: true)
            #expect(self.status { _ = try volume.open(unmarked) } == .objectNameCollision)
            #expect(try self.names("\(path)/.holdfast/folders").isEmpty)
        }
    }

    /// It is made elsewhere, and is what one would be that was made here.
    @Test func aMarkedFolderIsAFolderLikeAnother() throws {
        try self.withVolume { volume, path in
            #expect(mkdir("\(path)/group", 0o755) == 0)
            #expect(chown("\(path)/group", 0, 4321) == 0 && chmod("\(path)/group", 0o2775) == 0)
            var request = try self.request("group\\d")
            request.posix = POSIXOpen(mode: 0o750)
            let made = try volume.open(request)
            #expect(made.information.mode == 0o042750 && made.information.gid == 4321)
            #expect(try made.file.currentPath() == NTPath("group\\d"))
            try volume.rename(made.file, to: try NTPath("e"), replaceExisting: false)
            #expect(try made.file.currentPath() == NTPath("e"))
            try volume.delete(made.file)
            #expect(try self.names(path) == [".holdfast", "group"])

            // An ACL that the folder hands down: version 2, then the owner's, the group's and the others' rights.
            let acl: [UInt8] =
                [2, 0, 0, 0] + [1, 0, 7, 0] + [0xFF, 0xFF, 0xFF, 0xFF] + [4, 0, 7, 0] + [0xFF, 0xFF, 0xFF, 0xFF]
                + [0x20, 0, 0, 0] + [0xFF, 0xFF, 0xFF, 0xFF]
            let name = Array("system.posix_acl_default".utf8)
            #expect(mkdir("\(path)/acl", 0o755) == 0)
            let parent = try volume.open(
                OpenRequest(path: try NTPath("acl"), access: .readData, disposition: .open)
            ).file
            try XAttr.set(parent.handle.number, name, acl)
            let heir = try volume.open(self.request("acl\\d", guid: 3))
            #expect(heir.information.mode == 0o040770)
            #expect(try XAttr.get(heir.file.handle.number, name) == acl)
            #expect(try volume.open(self.request("acl\\d", guid: 3, isReplay: true)).action == .created)
            #expect(try self.names("\(path)/.holdfast/folders").isEmpty)
        }
    }

    /// A crash comes before the folder has its name.
    /// What the file system's root hands down, to the place in which folders are made too, is nothing to a folder whose own parent
    /// was there before.
    @Test func thePlaceOfTheMakingHandsNothingDown() throws {
        try self.withVolume { volume, path in
            #expect(mkdir("\(path)/old", 0o755) == 0)
            #expect(chown(path, 0, 4321) == 0 && chmod(path, 0o2775) == 0)
            let defaultACL = Array("system.posix_acl_default".utf8)
            let root = Descriptor(number: Glibc.open(path, O_RDONLY | O_DIRECTORY))
            // user::rwx, group::r-x, other::---
            let list: [UInt8] =
                [2, 0, 0, 0] + [1, 0, 7, 0, 255, 255, 255, 255] + [4, 0, 5, 0, 255, 255, 255, 255]
                + [32, 0, 0, 0, 255, 255, 255, 255]
            try XAttr.set(root.number, defaultACL, list)
            _ = try volume.open(self.request("old\\new"))
            let made = Descriptor(number: Glibc.open("\(path)/old/new", O_RDONLY | O_DIRECTORY))
            let status = try FileStatus(number: made.number).raw
            #expect(status.mode & S_ISGID == 0 && status.gid == 0)
            #expect(try XAttr.get(made.number, defaultACL) == nil)
        }
    }

    @Test func whatACrashLeavesIsSwept() throws {
        try self.withVolume { volume, path in
            #expect(try volume.sweepMarkedFolders(olderThan: 0) == 0, "where there is no place for them")
            _ = try volume.open(self.request("d"))
            let folders = "\(path)/.holdfast/folders"
            let id = String(repeating: "0", count: 32)
            #expect(mkdir("\(folders)/\(id)", 0o700) == 0 && mkdir("\(folders)/somebody's", 0o700) == 0)
            #expect(try volume.sweepMarkedFolders() == 0, "it may be in the making")
            #expect(try volume.sweepMarkedFolders(olderThan: 0) == 1)
            #expect(try self.names(folders) == ["somebody's"])
            #expect(access("\(path)/d", F_OK) == 0)
        }
    }

    @Test func whoWatchesIsToldOfOneNewName() throws {
        try self.withVolume { volume, _ in
            let watcher = try DirectoryWatcher()
            let root = try volume.open(OpenRequest(path: .root, access: .readData, disposition: .open)).file
            let filter: CompletionFilter = [.fileName, .directoryName, .attributes, .security]
            _ = try watcher.watch(root, filter: filter, recursive: true)
            _ = try volume.open(self.request("d", attributes: .hidden))
            _ = try volume.open(
                OpenRequest(path: try NTPath("d\\f"), access: .readData, disposition: .create))
            let told = try watcher.drain().map { event -> String in
                guard case .changed(_, let action, let name) = event else { return "\(event)" }
                return "\(action) \(String(decoding: name, as: UTF16.self))"
            }
            #expect(told == ["added d", "added d\\f"])
        }
    }
}
