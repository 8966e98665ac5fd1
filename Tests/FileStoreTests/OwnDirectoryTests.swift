import Glibc
import SMB2Wire
import Testing

@testable import FileStore

/// Where a share is a whole file system the server's own folder lies in its root: no spelling leads there, and none makes
/// it. (What it is called there: `SnapshotTests`, `theServersOwnPlaceIsHidden`.)
@Suite(.enabled(if: canMountXFS(), "needs root, loop devices and XFS"), .serialized)
struct OwnDirectoryTests {
    /// As a POSIX client's names come: U+F029 is a dot that Windows would not take.
    private static let mapped = ["\u{F029}holdfast", "\u{F029}HoldFast"]

    private func open(
        _ volume: Volume, _ path: String, _ disposition: CreateDisposition = .open, isPOSIX: Bool = false,
        options: CreateOptions = []
    ) throws -> OpenFile {
        var request = OpenRequest(
            path: try NTPath(path), access: [.readData, .delete], disposition: disposition, options: options)
        if isPOSIX { request.posix = POSIXOpen(mode: 0o755) }
        return try volume.open(request).file
    }

    private func status(_ body: () throws -> Void) -> NTStatus {
        do { try body() } catch let error as FileError { return error.status } catch { return .internalError }
        return .success
    }

    /// What a lookup of one name finds in a folder.
    private func entry(_ folder: OpenFile, _ name: String) throws -> String? {
        let cursor = try DirectoryCursor(folder)
        try cursor.restart(pattern: Array(name.utf16))
        return try cursor.next()?.nameString
    }

    /// `body` on a file system with the server's own folder, which is as it was afterwards.
    private func withOwnFolder(_ body: (Volume, _ path: String) throws -> Void) throws {
        let image = try Image()
        do {
            let path = "\(image.directory)/mount"
            let volume = try image.mount()
            #expect(mkdir("\(path)/.holdfast", 0o700) == 0 && mkdir("\(path)/.holdfast/streams", 0o700) == 0)
            try body(volume, path)
            #expect(access("\(path)/.holdfast/streams", F_OK) == 0)
            #expect(access("\(path)/.holdfast/new", F_OK) != 0)
        }
        try image.leave()
    }

    @Test func aMappedNameDoesNotLeadThere() throws {
        try self.withOwnFolder { volume, _ in
            let root = try self.open(volume, "", isPOSIX: true, options: .directoryFile)
            let file = try self.open(volume, "file", .create, isPOSIX: true)
            for name in Self.mapped {
                for path in [name, "\(name)\\streams"] {
                    #expect(self.status { _ = try self.open(volume, path, isPOSIX: true) } == .accessDenied)
                    let found = self.status { _ = try volume.lookup(NTPath(path), isPOSIX: true) }
                    #expect(found == .accessDenied)
                }
                for path in [name, "\(name)\\new"] {
                    #expect(self.status { _ = try self.open(volume, path, .create, isPOSIX: true) } == .accessDenied)
                    for replaces in [false, true] {
                        let moved = self.status {
                            try volume.rename(file, to: NTPath(path), replaceExisting: replaces)
                        }
                        #expect(moved == .accessDenied)
                        let linked = self.status {
                            try volume.link(file, to: NTPath(path), replaceExisting: replaces)
                        }
                        #expect(linked == .accessDenied)
                    }
                }
                #expect(try self.entry(root, name) == nil)
                #expect(
                    self.status { _ = try volume.directorySecurity(NTPath(name).bytes, isPOSIX: true) }
                        == .accessDenied)
            }
        }
    }

    @Test func aShortNameDoesNotLeadThere() throws {
        try self.withOwnFolder { _, path in
            var options = Volume.Options(label: "short")
            options.givesShortNames = true
            let volume = try Volume(root: path, options: options)
            let short = ShortName.given(".holdfast")
            for path in [short, "\(short)\\streams", short.lowercased()] {
                #expect(self.status { _ = try self.open(volume, path) } == .accessDenied)
            }
            #expect(self.status { _ = try self.open(volume, "\(short)\\new", .create) } == .accessDenied)
            #expect(try self.entry(try self.open(volume, ""), short) == nil)
        }
    }

    @Test func noMappedNameMakesIt() throws {
        let image = try Image()
        do {
            let volume = try image.mount()
            let file = try self.open(volume, "file", .create, isPOSIX: true)
            let folder = try self.open(volume, "folder", .create, isPOSIX: true, options: .directoryFile)
            for name in Self.mapped {
                for options in [CreateOptions.directoryFile, .nonDirectoryFile] {
                    let made = self.status {
                        _ = try self.open(volume, name, .create, isPOSIX: true, options: options)
                    }
                    #expect(made == .accessDenied)
                }
                for moved in [file, folder] {
                    let renamed = self.status { try volume.rename(moved, to: NTPath(name), replaceExisting: false) }
                    #expect(renamed == .accessDenied)
                }
                let linked = self.status { try volume.link(file, to: NTPath(name), replaceExisting: false) }
                #expect(linked == .accessDenied)
            }
            let names = try Volume.names(in: volume.root.number).map { String(decoding: $0, as: UTF8.self) }
            #expect(names.sorted() == ["file", "folder"])
            // Elsewhere it is a name like any other.
            _ = try self.open(volume, "folder\\\u{F029}holdfast", .create, isPOSIX: true)
            #expect(access("\(image.directory)/mount/folder/.holdfast", F_OK) == 0)
        }
        try image.leave()
    }
}
