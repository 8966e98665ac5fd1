import SMB2Wire
import Testing

@testable import SMBClient
@testable import SMBServer

#if canImport(Glibc)
    import Glibc
#endif

/// A named stream becomes its file's own data ("::$DATA" as its new name), over TCP, on XFS.
@Suite(.serialized) struct StreamMoveTests {
    private static let blockBytes = 4 << 20

    private func block(_ index: Int) -> [UInt8] {
        (0..<Self.blockBytes).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ index &* 7 &+ $0 >> 9) }
    }

    /// A stream of so many blocks. The first bytes come through the server; the rest is put on the disk where those are.
    private func makeStream(_ server: XFSServer, _ client: SMBConnection, blocks: Int) throws -> FileID {
        let stream = try client.open("f:s", .create)
        try client.write(stream, at: 0, self.block(0))
        let folder = "\(server.share)/.holdfast/streams"
        let entries = try #require(opendir(folder))
        defer { closedir(entries) }
        var path: String?
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { path = "\(folder)/\(name)" }
        }
        let file = Glibc.open(try #require(path), O_WRONLY)
        try #require(file >= 0)
        defer { Glibc.close(file) }
        let bytes = self.block(1)
        for index in 1..<blocks {
            try #require(pwrite(file, bytes, bytes.count, off_t(index * Self.blockBytes)) == bytes.count)
        }
        return stream
    }

    private func postRename(_ client: SMBConnection, _ stream: FileID) throws -> UInt64 {
        var rename = WireWriter()
        RenameInformation(replaceIfExists: true).encode(into: &rename, name: "::$DATA")
        let id = try client.postSetInfo(
            stream, informationClass: FileInformationClass.rename.rawValue, rename.bytes)
        try client.flush()
        return id
    }

    /// The bytes of half a gigabyte are copied and brought to the disk one by one; whoever else asks the server, over the same
    /// connection or another of either loop, is answered meanwhile.
    @Test func nobodyWaitsForALargeStream() throws {
        let blocks = 128
        let server = try XFSServer(size: "2G", sharesBlocks: false)
        let client = try server.connect()
        let others = [client, try server.connect(), try server.connect()]
        let stream = try self.makeStream(server, client, blocks: blocks)
        let files = try others.enumerated().map { index, other in
            let file = try other.open("other\(index)")
            try other.write(file, at: 0, [1, 2, 3])
            return file
        }
        let rename = try self.postRename(client, stream)
        let clock = ContinuousClock()
        let begin = clock.now
        var (longest, rounds) = (Duration.zero, 0)
        while !client.isAnswered(rename) {
            for (other, file) in zip(others, files) {
                let asked = clock.now
                #expect(try other.read(file, at: 0, count: 3) == [1, 2, 3])
                longest = max(longest, clock.now - asked)
            }
            rounds += 1
            usleep(2000)
            try #require(clock.now - begin < .seconds(60))
        }
        let taken = clock.now - begin
        _ = try client.gather(rename, .setInfo)
        print("\(blocks * Self.blockBytes >> 20) MiB: \(taken), the longest answer \(longest), \(rounds) rounds")
        #expect(longest < .milliseconds(300), "the longest answer took \(longest) of \(taken)")
        #expect(rounds > 10, "too fast to see anything: a larger stream is needed")

        // The handle that was the stream's, and a new one by the new name.
        let data = try client.open("f", .open)
        for (index, expected) in [(0, self.block(0)), (1, self.block(1)), (blocks - 1, self.block(1))] {
            let at = UInt64(index * Self.blockBytes)
            #expect(try client.read(stream, at: at, count: Self.blockBytes) == expected, "block \(index)")
            #expect(try client.read(data, at: at, count: Self.blockBytes) == expected, "block \(index)")
        }
        #expect(status { _ = try client.open("f:s", .open) } == .objectNameNotFound)
    }

    /// Where blocks can be shared it is a matter of them, not of the bytes; on a continuously available share as well.
    @Test(arguments: [false, true]) func whereBlocksAreShared(isContinuouslyAvailable: Bool) throws {
        let blocks = 8
        let server = try XFSServer(isContinuouslyAvailable: isContinuouslyAvailable)
        let client = try server.connect()
        let stream = try self.makeStream(server, client, blocks: blocks)
        try client.flushFile(stream)
        _ = try client.gather(try self.postRename(client, stream), .setInfo)
        #expect(try client.read(stream, at: 0, count: Self.blockBytes) == self.block(0))
        let data = try client.open("f", .open)
        let last = UInt64((blocks - 1) * Self.blockBytes)
        #expect(try client.read(data, at: last, count: Self.blockBytes) == self.block(1))
        // One that fits into an attribute, and its close in the same compound or not.
        let small = try client.open("g:s", .create)
        try client.write(small, at: 0, [1, 2, 3])
        _ = try client.gather(try self.postRename(client, small), .setInfo)
        try client.write(small, at: 3, [4])
        try client.close(small)
        #expect(try client.readAll(client.open("g", .open)) == [1, 2, 3, 4])
        #expect(status { _ = try client.open("g:s", .open) } == .objectNameNotFound)
    }

    /// What ends it in the middle leaves all as it was; who wants the file's data has waited for that.
    @Test func itEndsEarly() throws {
        let blocks = 64
        let server = try XFSServer(size: "1G", sharesBlocks: false)
        let client = try server.connect()
        let other = try server.connect()
        let stream = try self.makeStream(server, client, blocks: blocks)
        func expectBefore() throws {
            let data = try other.open("f", .open, options: .nonDirectoryFile)
            #expect(try other.read(data, at: 0, count: 1).isEmpty)
            try other.close(data)
            let stream = try other.open("f:s", .open)
            let last = UInt64((blocks - 1) * Self.blockBytes)
            #expect(try other.read(stream, at: last, count: Self.blockBytes) == self.block(1))
            #expect(try other.read(stream, at: last + UInt64(Self.blockBytes), count: 1).isEmpty)
            try other.close(stream)
        }
        let cancelled = try self.postRename(client, stream)
        usleep(20_000)
        try client.cancel(cancelled)
        #expect(status { _ = try client.gather(cancelled, .setInfo) } == .cancelled)
        try expectBefore()
        let closed = try self.postRename(client, stream)
        usleep(20_000)
        try client.close(stream)
        #expect(status { _ = try client.gather(closed, .setInfo) } == .fileClosed)
        try expectBefore()
        do {
            let gone = try server.connect()
            _ = try self.postRename(gone, try gone.open("f:s", .open))
            usleep(20_000)
        }
        try expectBefore()
        let again = try other.open("f:s", .open)
        _ = try other.gather(try self.postRename(other, again), .setInfo)
        #expect(try other.read(again, at: 0, count: Self.blockBytes) == self.block(0))
        #expect(status { _ = try client.open("f:s", .open) } == .objectNameNotFound)
    }
}
