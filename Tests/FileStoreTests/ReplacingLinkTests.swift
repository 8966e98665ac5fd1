import Glibc
import SMB2Wire
import Testing

@testable import FileStore

/// FileLinkInformation with ReplaceIfExists, [MS-FSA] 2.1.5.15.6. The links begin in the server's own directory at the
/// root of the file system, so each test has a file system of its own.
@Suite(.enabled(if: canMountXFS(), "needs root, loop devices and XFS"), .serialized)
struct ReplacingLinkTests: OnItsOwnFileSystem {
    private let large = [UInt8](repeating: 7, count: FileStoreLimits.streamBytes + 1)

    private func open(_ volume: Volume, _ path: String, _ disposition: CreateDisposition = .open) throws -> OpenFile {
        try volume.open(
            OpenRequest(
                path: try NTPath(path), access: [.readData, .writeData, .delete], disposition: disposition)
        ).file
    }

    private func make(_ volume: Volume, _ path: String, _ text: String) throws {
        try self.open(volume, path, .create).write(text)
    }

    /// A file with a large stream.
    private func makeTarget(_ volume: Volume, _ path: String) throws {
        try self.make(volume, path, "the target")
        let stream = try self.open(volume, "\(path):big", .create)
        try self.large.withUnsafeBytes { bytes in _ = try stream.write(bytes, at: 0) }
    }

    private func expectTarget(_ volume: Volume, _ path: String) throws {
        #expect(try self.open(volume, path).text() == "the target")
        let stream = try self.open(volume, "\(path):big")
        #expect(try stream.text(count: self.large.count + 1).utf8.elementsEqual(self.large))
    }

    @Test func whatIsReplacedGoesAndTheNameIsSpelledAsAsked() throws {
        try self.withVolume { volume, path in
            try self.make(volume, "a", "the link")
            try self.makeTarget(volume, "b")
            #expect(try volume.lookup(try NTPath("B")) != nil, "the index is read")
            let file = try self.open(volume, "a")
            try volume.link(file, to: try NTPath("B"), replaceExisting: true)
            #expect(try self.names(path) == [".holdfast", "B", "a"])
            #expect(try self.open(volume, "b").identity == file.identity)
            #expect(try file.information().linkCount == 2)
            #expect(try self.names("\(path)/.holdfast/streams").isEmpty, "its streams go with it")
            #expect(try self.names("\(path)/.holdfast/links").isEmpty)
            // Its own name, as it is.
            try volume.link(file, to: try NTPath("B"), replaceExisting: true)
            #expect(try file.information().linkCount == 2)
        }
    }

    /// A POSIX open's deletion takes the name away from those who have the file open.
    @Test func aFileWithoutANameReplacesNothing() throws {
        try self.withVolume { volume, _ in
            try self.make(volume, "a", "without a name")
            try self.makeTarget(volume, "b")
            let file = try self.open(volume, "a")
            try volume.delete(try self.open(volume, "a"))
            let target = try NTPath("b")
            #expect(self.status { try volume.link(file, to: target, replaceExisting: true) } == .accessDenied)
            try self.expectTarget(volume, "b")
            let new = try NTPath("new")
            #expect(self.status { try volume.link(file, to: new, replaceExisting: false) } == .accessDenied)
        }
    }

    /// The names of a file are each for itself.
    @Test func theNameThatIsLeftIsLinkedOn() throws {
        try self.withVolume { volume, path in
            try self.make(volume, "a", "two names")
            try self.makeTarget(volume, "b")
            try volume.link(try self.open(volume, "a"), to: try NTPath("c"), replaceExisting: false)
            let (first, second) = (try self.open(volume, "a"), try self.open(volume, "c"))
            try volume.delete(try self.open(volume, "a"))
            let target = try NTPath("b")
            #expect(self.status { try volume.link(first, to: target, replaceExisting: true) } == .accessDenied)
            try self.expectTarget(volume, "b")
            try volume.link(second, to: target, replaceExisting: true)
            #expect(try self.names(path) == [".holdfast", "b", "c"])
        }
    }

    /// XFS links nothing into the tree of another project: only the move says so.
    @Test func aLinkThatIsRefusedReplacesNothing() throws {
        try self.withVolume { volume, path in
            #expect(mkdir("\(path)/tree", 0o755) == 0)
            try #require(run("xfs_io", "-c", "chproj 42", "-c", "chattr +P", "\(path)/tree") == 0)
            try self.make(volume, "a", "of no project")
            try self.makeTarget(volume, "tree\\b")
            let file = try self.open(volume, "a")
            let target = try NTPath("tree\\B")
            #expect(self.status { try volume.link(file, to: target, replaceExisting: true) } == .notSameDevice)
            try self.expectTarget(volume, "tree\\b")
            #expect(try self.names("\(path)/tree") == ["b"])
            #expect(try self.names("\(path)/.holdfast/links").isEmpty)
            #expect(try file.information().linkCount == 1)
        }
    }

    /// Nothing of that tree can be linked in the server's own directory.
    @Test func withinTheTreeOfAnotherProjectNamesAreReplaced() throws {
        try self.withVolume { volume, path in
            try #require(run("xfs_io", "-c", "chproj 7", "-c", "chattr +P", path) == 0)
            #expect(mkdir("\(path)/tree", 0o755) == 0)
            try #require(run("xfs_io", "-c", "chproj 42", "\(path)/tree") == 0)
            try self.make(volume, "tree\\a", "the link")
            try self.makeTarget(volume, "tree\\b")
            let file = try self.open(volume, "tree\\a")
            try volume.link(file, to: try NTPath("tree\\B"), replaceExisting: true)
            #expect(try self.names("\(path)/tree") == ["B", "a"])
            #expect(try self.open(volume, "tree\\b").text() == "the link")
            #expect(try self.names("\(path)/.holdfast/links").isEmpty)
        }
    }

    /// A crash comes before the link has its name.
    @Test func whatACrashLeavesIsSwept() throws {
        try self.withVolume { volume, path in
            #expect(try volume.sweepReplacingLinks(olderThan: 0) == 0, "where there is no place for them")
            try self.make(volume, "a", "kept")
            try self.make(volume, "b", "")
            let file = try self.open(volume, "a")
            try volume.link(file, to: try NTPath("b"), replaceExisting: true)
            let links = "\(path)/.holdfast/links"
            let id = String(repeating: "0", count: 32)
            #expect(link("\(path)/a", "\(links)/\(id)") == 0 && link("\(path)/a", "\(links)/somebody's") == 0)
            #expect(try volume.sweepReplacingLinks() == 0, "it may be on its way")
            #expect(try volume.sweepReplacingLinks(olderThan: 0) == 1)
            #expect(try self.names(links) == ["somebody's"])
            #expect(try file.text() == "kept")
        }
    }
}
