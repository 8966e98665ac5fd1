import SMB2Wire
import Testing

@testable import FileStore

@Suite struct StreamRenameTests {
    @Test func streamsAreRenamed() throws {
        let scratch = try Scratch()
        let one = try scratch.open("f:one", .create).file
        let again = try scratch.open("f:ONE").file
        try one.write("contents")
        try scratch.open("f:empty", .create)
        try scratch.open("f:full", .create).file.write("x")
        let volume = scratch.volume
        func rename(_ name: String, replaces: Bool) -> NTStatus {
            scratch.status { try volume.renameStream([one, again], to: Array(name.utf8), replaceExisting: replaces) }
        }
        #expect(rename("empty", replaces: false) == .objectNameCollision)
        #expect(rename("full", replaces: true) == .objectNameCollision)
        #expect(rename("Empty", replaces: true) == .success)
        #expect(try again.text() == "contents")
        try again.write("C")
        #expect(try scratch.open("f:EMPTY").file.text() == "Contents")
        #expect(scratch.status("f:one") == .objectNameNotFound)
        #expect(try one.streams().map(\.name).sorted() == ["::$DATA", ":Empty:$DATA", ":full:$DATA"])
        // Only in another spelling.
        #expect(rename("EMPTY", replaces: false) == .success)
        #expect(try one.text() == "Contents")
    }

    /// [MS-FSA] 2.1.5.15.11.1, with contents in an attribute.
    @Test func aStreamBecomesTheFile() throws {
        let scratch = try Scratch()
        let volume = scratch.volume
        scratch.makeDirectory("d")
        let ofDirectory = try scratch.open("d:s", .create).file
        #expect(
            scratch.status { try volume.makeStreamUnnamed(ofDirectory, replaceExisting: true) } == .invalidParameter)
        let stream = try scratch.open("f:s", .create).file
        try stream.write("contents")
        #expect(scratch.status { try volume.makeStreamUnnamed(stream, replaceExisting: false) } == .objectNameCollision)
        let base = try scratch.open("f").file
        try base.write("x")
        #expect(scratch.status { try volume.makeStreamUnnamed(stream, replaceExisting: true) } == .objectNameCollision)
        #expect(try stream.text() == "contents")
        try base.setEndOfFile(0)
        #expect(scratch.status { try volume.makeStreamUnnamed(stream, replaceExisting: true) } == .success)
        #expect(try base.text() == "contents")
        #expect(try base.streams().map(\.name) == ["::$DATA"])
    }

    @Test func theUnnamedStreamByItsName() throws {
        let scratch = try Scratch()
        try scratch.open("f", .create)
        scratch.makeDirectory("d")
        #expect(scratch.status("f::$DATA") == .success)
        #expect(scratch.status("d::$DATA") == .fileIsADirectory)
        #expect(scratch.status("d::$DATA", options: .directoryFile) == .notADirectory)
    }
}

/// A persistent open of a stream whose node died in the middle of its rename: the record and the disk do not agree.
@Suite(.enabled(if: canMountXFS(), "needs root, loop devices and XFS"), .serialized)
struct StreamRenameTakeoverTests {
    /// In an attribute, and outside.
    static let sizes = [11, FileStoreLimits.streamBytes + 1]

    private func contents(_ size: Int) -> [UInt8] { (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) } }

    /// `f:old` with contents, renamed as the next node's disk has it; then that node.
    private func afterwards(
        _ size: Int, rename: (Volume, OpenFile) throws -> Void, _ body: (Volume, FileIdentity) throws -> Void
    ) throws {
        let image = try Image()
        let identity: FileIdentity
        do {
            let volume = try image.mount()
            let stream = try volume.open(
                OpenRequest(
                    path: try NTPath("f:old"), access: [.readData, .writeData, .delete], disposition: .create)
            ).file
            try self.contents(size).withUnsafeBytes { bytes in _ = try stream.write(bytes, at: 0) }
            identity = stream.identity
            try rename(volume, stream)
        }
        try image.leave()
        defer { try? image.leave() }
        try body(try image.mount(), identity)
    }

    private func bytes(_ file: OpenFile) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(try file.information().endOfFile))
        let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        return Array(bytes[..<count])
    }

    private let access: AccessMask = [.readData, .writeData, .delete]

    @Test(arguments: Self.sizes) func theRecordIsBehind(size: Int) throws {
        try self.afterwards(size) { volume, stream in
            try volume.renameStream([stream], to: Array("new".utf8), replaceExisting: false, isMarked: true)
        } _: { volume, identity in
            let file = try volume.reopen(identity, path: try NTPath("f:OLD"), access: self.access)
            #expect(file.isElsewhere)
            #expect(try file.currentPath().shownString == "f:new")
            #expect(try self.bytes(file) == self.contents(size))
            // The client repeats what it was not answered.
            try volume.renameStream([file], to: Array("new".utf8), replaceExisting: false, isMarked: true)
            let known = try volume.reopen(identity, path: try NTPath("f:NEW"), access: self.access)
            #expect(!known.isElsewhere, "found by its name, however it is spelled")
            // Another stream's name says nothing of this one.
            #expect(throws: FileError.self) {
                try volume.reopen(identity, path: try NTPath("f:other"), access: self.access)
            }
        }
    }

    @Test(arguments: Self.sizes) func theRecordIsAhead(size: Int) throws {
        try self.afterwards(size) { _, _ in
        } _: { volume, identity in
            let file = try volume.reopen(
                identity, path: try NTPath("f:new"), formerPath: try NTPath("f:old"), access: self.access)
            #expect(file.isElsewhere)
            #expect(try file.currentPath().shownString == "f:old")
            #expect(try self.bytes(file) == self.contents(size))
        }
    }

    @Test(arguments: Self.sizes) func whatBecameTheFileIsTheFile(size: Int) throws {
        try self.afterwards(size) { volume, stream in
            try volume.makeStreamUnnamed(stream, replaceExisting: true, isMarked: true)
        } _: { volume, identity in
            let file = try volume.reopen(identity, path: try NTPath("f:old"), access: self.access)
            #expect(file.isElsewhere)
            #expect(file.streamName == nil)
            #expect(try file.currentPath().shownString == "f")
            #expect(try self.bytes(file) == self.contents(size))
        }
    }

    /// Who holds no record needs no mark, and a stream that was deleted is gone.
    @Test func withoutAMarkItIsGone() throws {
        try self.afterwards(11) { volume, stream in
            try volume.renameStream([stream], to: Array("new".utf8), replaceExisting: false)
        } _: { volume, identity in
            #expect(throws: FileError.self) {
                try volume.reopen(identity, path: try NTPath("f:old"), access: self.access)
            }
        }
    }
}

extension Volume {
    /// All steps of it, one after the other.
    func makeStreamUnnamed(_ file: OpenFile, replaceExisting: Bool, isMarked: Bool = false) throws(FileError) {
        let move = try self.beginMakingUnnamed(file, replaceExisting: replaceExisting)
        try move.run()
        try move.commit([file], isMarked: isMarked)
        move.close()
    }
}
