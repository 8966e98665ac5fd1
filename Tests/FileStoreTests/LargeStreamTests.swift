import Glibc
import SMB2Wire
import Testing

@testable import FileStore

/// Streams that no extended attribute holds. They lie in the server's own directory at the root of the file system, so
/// each test has a file system of its own.
@Suite(.enabled(if: canMountXFS(), "needs root, loop devices and XFS"), .serialized)
struct LargeStreamTests {
    private let size = FileStoreLimits.streamBytes + 1000

    private func bytes(_ count: Int, seed: UInt8 = 1) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ Int(seed)) }
    }

    private func open(
        _ volume: Volume, _ path: String, _ disposition: CreateDisposition = .openIf,
        access: AccessMask = [.readData, .writeData, .delete]
    ) throws -> OpenFile {
        try volume.open(OpenRequest(path: try NTPath(path), access: access, disposition: disposition)).file
    }

    private func write(_ file: OpenFile, _ contents: [UInt8], at offset: UInt64 = 0) throws {
        try contents.withUnsafeBytes { bytes in _ = try file.write(bytes, at: offset) }
    }

    private func contents(_ file: OpenFile) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: Int(try file.information().endOfFile) + 10)
        let count = try buffer.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        return Array(buffer.prefix(count))
    }

    private func kept(_ image: Image) -> [String] {
        guard let directory = opendir("\(image.directory)/mount/.holdfast/streams") else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private func withVolume(_ body: (Volume, Image) throws -> Void) throws {
        let image = try Image()
        do { try body(try image.mount(), image) }
        try image.leave()
    }

    @Test func aStreamGrowsOutOfItsAttribute() throws {
        try self.withVolume { volume, image in
            let stream = try self.open(volume, "f:big")
            let before = self.bytes(1000)
            try self.write(stream, before)
            #expect(self.kept(image).isEmpty)
            try self.write(stream, self.bytes(self.size, seed: 2), at: 500)
            let wanted = before[..<500] + self.bytes(self.size, seed: 2)
            #expect(try self.contents(stream) == Array(wanted))
            #expect(self.kept(image).count == 1)
            let base = try self.open(volume, "f", .open)
            #expect(
                try base.streams().map { "\($0.name) \($0.size)" } == ["::$DATA 0", ":big:$DATA \(500 + self.size)"])
            #expect(try base.extendedAttributes().isEmpty)
            // Another handle, another spelling, and what is opened again by its identity.
            #expect(try self.contents(self.open(volume, "F:BIG", .open)) == Array(wanted))
            let again = try volume.reopen(base.identity, path: try NTPath("f:big"), access: [.readData])
            #expect(try self.contents(again) == Array(wanted))
            try stream.setEndOfFile(10)
            #expect(try self.contents(stream) == Array(wanted.prefix(10)))
            try stream.setEndOfFile(1 << 30)
            #expect(try stream.information().endOfFile == 1 << 30)
            try stream.zero(0..<5)
            var first = [UInt8](repeating: 1, count: 10)
            _ = try first.withUnsafeMutableBytes { try stream.read(into: $0, at: 0) }
            #expect(first == [0, 0, 0, 0, 0] + wanted[5..<10])
            try stream.flush()
        }
    }

    /// What goes with it: its own deletion, the file's, a file that takes the name, an overwrite.
    @Test(arguments: ["stream", "file", "replaced", "overwritten", "linked"])
    func aStreamGoes(_ how: String) throws {
        try self.withVolume { volume, image in
            let stream = try self.open(volume, "f:big")
            try self.write(stream, self.bytes(self.size))
            #expect(self.kept(image).count == 1)
            let base = try self.open(volume, "f", .open)
            switch how {
            case "stream": try volume.delete(stream)
            case "file": try volume.delete(base)
            case "replaced":
                let other = try self.open(volume, "g")
                try volume.rename(other, to: try NTPath("f"), replaceExisting: true)
            case "overwritten":
                let request = OpenRequest(path: try NTPath("f"), access: [.writeData], disposition: .overwrite)
                try volume.overwrite(try volume.open(request).file, request)
            default:
                try volume.link(base, to: try NTPath("second"), replaceExisting: false)
                try volume.delete(base)
                #expect(try self.contents(self.open(volume, "second:big", .open)) == self.bytes(self.size))
                try volume.delete(try self.open(volume, "second", .open))
            }
            #expect(self.kept(image).isEmpty)
        }
    }

    @Test func aStreamBecomesTheFile() throws {
        try self.withVolume { volume, image in
            let stream = try self.open(volume, "f:s")
            try self.write(stream, self.bytes(self.size))
            try volume.makeStreamUnnamed(stream, replaceExisting: true)
            #expect(self.kept(image).isEmpty)
            let base = try self.open(volume, "f", .open)
            #expect(try self.contents(base) == self.bytes(self.size))
            #expect(try base.streams().map(\.name) == ["::$DATA"])
        }
    }

    @Test func aStreamIsRenamedAndCopied() throws {
        try self.withVolume { volume, image in
            let stream = try self.open(volume, "f:old")
            try self.write(stream, self.bytes(self.size))
            try volume.renameStream([stream], to: Array("new".utf8), replaceExisting: false)
            #expect(try self.contents(stream) == self.bytes(self.size))
            let base = try self.open(volume, "f", .open)
            #expect(try base.streams().map(\.name) == ["::$DATA", ":new:$DATA"])
            #expect(throws: FileError.self) { try self.open(volume, "f:old", .open) }
            let other = try self.open(volume, "g")
            try other.adoptAttributes(of: base)
            try stream.setEndOfFile(1)
            #expect(try self.contents(self.open(volume, "g:new", .open)) == self.bytes(self.size))
            #expect(self.kept(image).count == 2)
            let copy = try self.open(volume, "h:copy")
            let source = try self.open(volume, "g:new", .open)
            try volume.copyRange(from: source, at: 0, to: copy, at: 0, count: self.size)
            #expect(try self.contents(copy) == self.bytes(self.size))
        }
    }

    /// Only where the file and the stream say the same is it the file's.
    @Test func whatACrashOrACopyLeavesIsNotShown() throws {
        try self.withVolume { volume, image in
            let stream = try self.open(volume, "f:big")
            try self.write(stream, self.bytes(self.size))
            let base = try self.open(volume, "f", .open)
            let attribute = LargeStreams.attribute(Array("big".utf8))
            let id = try #require(try XAttr.get(base.handle.number, attribute))
            // A copy made on the node, with the attributes; and an attribute that leads nowhere.
            let copy = try self.open(volume, "copy")
            try XAttr.set(copy.handle.number, attribute, id)
            try XAttr.set(copy.handle.number, LargeStreams.attribute([0x78]), LargeStreams.newID())
            #expect(try copy.streams().map(\.name) == ["::$DATA"])
            #expect(throws: FileError.self) { try self.open(volume, "copy:big", .open) }
            try volume.delete(copy)
            #expect(try self.contents(stream) == self.bytes(self.size))
            // A crash while the stream moved out: the small one counts.
            try NamedStreams.write(base.handle.number, Array("big".utf8), [1, 2, 3])
            #expect(try self.contents(stream) == [1, 2, 3])
            #expect(try base.streams().map { "\($0.name) \($0.size)" } == ["::$DATA 0", ":big:$DATA 3"])
            try self.write(stream, [4], at: 1)
            #expect(try self.contents(stream) == [1, 4, 3])
            #expect(self.kept(image).isEmpty)
            // A rename half done: one name.
            try self.write(stream, self.bytes(self.size))
            let moved = try #require(try XAttr.get(base.handle.number, attribute))
            try XAttr.set(base.handle.number, LargeStreams.attribute(Array("new".utf8)), moved)
            #expect(try base.streams().map(\.name) == ["::$DATA", ":big:$DATA"])
        }
    }

    @Test func whatIsNobodysIsSwept() throws {
        try self.withVolume { volume, image in
            try self.write(try self.open(volume, "f:big"), self.bytes(self.size))
            try self.write(try self.open(volume, "gone:big"), self.bytes(self.size))
            #expect(unlink("\(image.directory)/mount/gone") == 0)
            #expect(try volume.sweepLargeStreams() == 0)
            #expect(self.kept(image).count == 2)
            #expect(try volume.sweepLargeStreams(olderThan: 0) == 1)
            #expect(try self.contents(self.open(volume, "f:big", .open)) == self.bytes(self.size))
        }
    }

    /// Between what the stream says of its file and what the file says of it: whoever renames it may do so through
    /// another share, whose lock is its own.
    @Test func aStreamThatIsRenamedMeanwhileIsNotSwept() throws {
        try self.withVolume { volume, image in
            let stream = try self.open(volume, "f:old")
            try self.write(stream, self.bytes(self.size))
            let id = try #require(self.kept(image).first)
            let place = Descriptor(
                number: Glibc.open("\(image.directory)/mount/.holdfast/streams", O_RDONLY | O_DIRECTORY))
            let swept = try volume.sweepLargeStream(
                Array(id.utf8), in: place.number, olderThan: 0
            ) { () throws(FileError) in
                try volume.renameStream([stream], to: Array("new".utf8), replaceExisting: false)
            }
            #expect(!swept)
            #expect(try self.contents(self.open(volume, "f:new", .open)) == self.bytes(self.size))
        }
    }

    @Test func aSnapshotHasItsOwn() throws {
        try self.withVolume { volume, image in
            let stream = try self.open(volume, "f:big")
            try self.write(stream, self.bytes(self.size))
            let token = try #require(SnapshotToken(utf8: Array("@GMT-2026.11.29-12.00.00".utf8)))
            try volume.makeSnapshot(token)
            try self.write(stream, [9, 9, 9])
            do {
                let snapshot = try volume.snapshot(token)
                let old = try self.open(snapshot, "f:big", .open, access: .readData)
                #expect(try self.contents(old) == self.bytes(self.size))
                #expect(throws: FileError.self) { try old.setEndOfFile(0) }
                try volume.delete(try self.open(volume, "f", .open))
                #expect(try self.contents(old) == self.bytes(self.size))
            }
            try volume.removeSnapshot(token)
            try volume.sweepLargeStreams(olderThan: 0)
            #expect(self.kept(image).isEmpty)
        }
    }
}
