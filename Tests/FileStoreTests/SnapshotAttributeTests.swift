import SMB2Wire
import Testing

@testable import FileStore

/// Named streams that change while a snapshot copies them. Large ones lie at the root of the file system, so each test
/// has a file system of its own.
@Suite(.enabled(if: canMountXFS(), "needs root, loop devices and XFS"), .serialized)
struct SnapshotAttributeTests {
    private let size = FileStoreLimits.streamBytes + 1000

    private func open(_ volume: Volume, _ path: String, _ disposition: CreateDisposition = .openIf) throws -> OpenFile {
        try volume.open(
            OpenRequest(
                path: try NTPath(path), access: [.readData, .writeData, .delete], disposition: disposition)
        ).file
    }

    private func write(_ file: OpenFile, _ byte: UInt8, count: Int) throws(FileError) {
        let bytes = [UInt8](repeating: byte, count: count)
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(FileError) in try file.writeStream(buffer, at: 0) }
        }
        try result.get()
    }

    private func contents(_ volume: Volume, _ path: String) throws -> [UInt8] {
        let file = try self.open(volume, path, .open)
        var bytes = [UInt8](repeating: 0, count: Int(try file.information().endOfFile))
        let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        return Array(bytes[..<count])
    }

    private func streams(_ volume: Volume, _ path: String) throws -> [String] {
        try self.open(volume, path, .open).streams().map(\.name).sorted()
    }

    private func withVolume(_ body: (Volume, Image) throws -> Void) throws {
        let image = try Image()
        do { try body(try image.mount(), image) }
        try image.leave()
    }

    /// Between the list and its turn it leaves the attribute that was listed.
    @Test func aStreamThatGrowsMeanwhileIsThere() throws {
        try self.withVolume { volume, _ in
            let stream = try self.open(volume, "f:s")
            try self.write(stream, 1, count: 1000)
            let copy = try self.open(volume, "g")
            var times = 0
            try volume.copyAttributes(from: stream.handle.number, to: copy.handle.number) { () throws(FileError) in
                times += 1
                if times == 1 { try self.write(stream, 2, count: self.size) }
            }
            #expect(times > 1)
            #expect(try self.streams(volume, "g") == ["::$DATA", ":s:$DATA"])
            #expect(try self.contents(volume, "g:s") == [UInt8](repeating: 2, count: self.size))
        }
    }

    /// What was copied under the old name goes; small, and large.
    @Test(arguments: [1000, FileStoreLimits.streamBytes + 1000])
    func aStreamThatIsRenamedMeanwhileIsThereOnce(size: Int) throws {
        try self.withVolume { volume, image in
            let stream = try self.open(volume, "f:s")
            try self.write(stream, 1, count: size)
            let other = try self.open(volume, "f:other")
            try self.write(other, 2, count: size)
            let copy = try self.open(volume, "g")
            var times = 0
            try volume.copyAttributes(from: stream.handle.number, to: copy.handle.number) { () throws(FileError) in
                times += 1
                // First the one, then the other, which was copied by then.
                if times == 1 { try volume.renameStream([stream], to: Array("t".utf8), replaceExisting: false) }
                if times == 2 { try volume.renameStream([other], to: Array("u".utf8), replaceExisting: false) }
            }
            #expect(times == 3)
            #expect(try self.streams(volume, "g") == ["::$DATA", ":t:$DATA", ":u:$DATA"])
            #expect(try self.contents(volume, "g:t") == [UInt8](repeating: 1, count: size))
            #expect(try self.contents(volume, "g:u") == [UInt8](repeating: 2, count: size))
            try volume.delete(try self.open(volume, "f", .open))
            #expect(try volume.sweepLargeStreams(olderThan: 0) == 0, "nothing is left of the first copies")
        }
    }

    /// However often: the last copy is made while no stream changes.
    @Test func aStreamThatIsRenamedEachTimeIsThere() throws {
        try self.withVolume { volume, _ in
            let stream = try self.open(volume, "f:s")
            try self.write(stream, 1, count: 1000)
            let copy = try self.open(volume, "g")
            var times = 0
            try volume.copyAttributes(from: stream.handle.number, to: copy.handle.number) { () throws(FileError) in
                times += 1
                try volume.renameStream([stream], to: Array("s\(times)".utf8), replaceExisting: false)
            }
            #expect(times == SnapshotLimits.attributeCopies)
            #expect(try self.streams(volume, "g") == ["::$DATA", ":s\(times):$DATA"])
            #expect(try self.contents(volume, "g:s\(times)") == [UInt8](repeating: 1, count: 1000))
        }
    }
}
