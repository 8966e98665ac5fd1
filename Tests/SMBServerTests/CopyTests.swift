import SMB2Wire
import StateRecords
import Testing

@testable import SMBClient
@testable import SMBServer

/// Copies on the server, over TCP, on XFS.
@Suite struct CopyTests {
    private func written(_ body: (inout WireWriter) -> Void) -> [UInt8] {
        var writer = WireWriter()
        body(&writer)
        return writer.bytes
    }

    private func pattern(_ count: Int, _ seed: Int = 0) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed &+ $0 >> 8) }
    }

    private func resumeKey(_ client: SMBConnection, _ file: FileID) throws -> ResumeKey {
        let output = try client.ioctl(.srvRequestResumeKey, file)
        let bytes = output.span.bytes
        return try ResumeKey(parsing: bytes)
    }

    private func copied(_ output: [UInt8]) throws -> CopyChunkResponse {
        let bytes = output.span.bytes
        return try CopyChunkResponse(parsing: bytes)
    }

    @Test(arguments: [false, true])
    func chunks(isContinuouslyAvailable: Bool) throws {
        let server = try XFSServer(isContinuouslyAvailable: isContinuouslyAvailable)
        let client = try server.connect()
        let (from, to) = (try client.open("from"), try client.open("to"))
        let data = self.pattern(300_000)
        try client.write(from, at: 0, data)
        let key = try self.resumeKey(client, from)
        func copy(_ chunks: [CopyChunkRequest.Chunk], key: ResumeKey) throws -> CopyChunkResponse {
            let input = self.written { CopyChunkRequest(sourceKey: key, chunks: chunks).encode(into: &$0) }
            let output = try client.ioctl(.srvCopyChunk, to, input: input, limit: 12)
            return try self.copied(output)
        }
        let answer = try copy(
            [
                .init(sourceOffset: 0, targetOffset: 100, length: 200_000),
                .init(sourceOffset: 200_000, targetOffset: 200_100, length: 100_000),
            ], key: key)
        #expect(answer == CopyChunkResponse(chunksWritten: 2, chunkBytesWritten: 0, totalBytesWritten: 300_000))
        #expect(try client.readAll(to) == [UInt8](repeating: 0, count: 100) + data)
        // The second chunk passes the source's end: the first is there all the same.
        try client.write(from, at: 0, [UInt8](repeating: 7, count: 100))
        #expect(
            status {
                _ = try copy(
                    [
                        .init(sourceOffset: 0, targetOffset: 0, length: 100),
                        .init(sourceOffset: 299_999, targetOffset: 100, length: 2),
                    ], key: key)
            } == .invalidViewSize)
        #expect(try client.read(to, at: 0, count: 101) == [UInt8](repeating: 7, count: 100) + data[..<1])
        // The key names an open, not a file.
        var wrong = key
        wrong.third = 1
        #expect(
            status { _ = try copy([.init(sourceOffset: 0, targetOffset: 0, length: 1)], key: wrong) }
                == .objectNameNotFound)
    }

    /// What follows a copy in its compound sees what it did.
    @Test func aCompoundGoesOnBehindACopy() throws {
        let server = try XFSServer()
        let client = try server.connect()
        let (from, to) = (try client.open("from"), try client.open("to"))
        let data = self.pattern(100_000)
        try client.write(from, at: 0, data)
        let key = try self.resumeKey(client, from)
        let input = self.written {
            CopyChunkRequest(sourceKey: key, chunks: [.init(sourceOffset: 0, targetOffset: 0, length: 100_000)])
                .encode(into: &$0)
        }
        let ids = try client.postCompound([
            .init(.ioctl, payloadByteCount: input.count) {
                IoctlRequest(code: .srvCopyChunk, fileID: to, maximumOutputResponse: 12)
                    .encode(into: &$0, input: input.span.bytes)
            },
            .init(.read, payloadByteCount: 8) {
                ReadRequest(fileID: .related, offset: 99_992, length: 8).encode(into: &$0)
            },
        ])
        let copied = try client.gather(ids[0], .ioctl)
        let response = try IoctlResponse(parsing: copied.span)
        let answer = try self.copied(copied.bytes(response.output))
        #expect(answer.totalBytesWritten == 100_000)
        let read = try client.gather(ids[1], .read)
        let range = try ReadResponse(parsing: read.span).data
        let bytes = read.bytes(range)
        #expect(bytes == Array(data[99_992...]))
    }

    @Test func clones() throws {
        let server = try XFSServer()
        let client = try server.connect()
        let (from, to) = (try client.open("from"), try client.open("to"))
        let data = self.pattern(70_000)
        try client.write(from, at: 0, data)
        try client.write(to, at: 0, [UInt8](repeating: 1, count: 70_000))
        func clone(_ source: UInt64, _ target: UInt64, _ count: UInt64, isEx: Bool = false) throws {
            let extents = DuplicateExtents(
                sourceFileID: from, sourceOffset: source, targetOffset: target, byteCount: count)
            _ = try client.ioctl(
                isEx ? .duplicateExtentsToFileEx : .duplicateExtentsToFile, to,
                input: self.written {
                    if isEx {
                        DuplicateExtentsEx(extents: extents, flags: 1).encode(into: &$0)
                    } else {
                        extents.encode(into: &$0)
                    }
                }, limit: 0)
        }
        try clone(0, 4096, 8192)
        #expect(try client.read(to, at: 4096, count: 8192) == Array(data[..<8192]))
        #expect(try client.read(to, at: 4095, count: 1) == [1])
        #expect(try client.read(to, at: 12288, count: 1) == [1])
        // To the end of both files, whose last block is a part of one.
        try clone(0, 0, 70_000, isEx: true)
        #expect(try client.readAll(to) == data)
        #expect(status { try clone(1, 4096, 4096) } == .invalidParameter)
        #expect(status { try clone(0, 4096, 80_000) } == .notSupported)
        // Shared blocks are not shared writes.
        try client.write(from, at: 0, [9])
        #expect(try client.read(to, at: 0, count: 1) == Array(data[..<1]))
    }

    /// A token stands for the data as they were, for a while.
    @Test func offload() throws {
        let server = try XFSServer()
        let client = try server.connect()
        let (from, to) = (try client.open("from"), try client.open("to"))
        let data = self.pattern(100_000)
        try client.write(from, at: 0, data)
        try client.write(to, at: 0, [UInt8](repeating: 1, count: 100_000))
        func token(_ offset: UInt64, _ count: UInt64) throws -> (token: OffloadToken, byteCount: UInt64) {
            let output = try client.ioctl(
                .offloadRead, from,
                input: self.written {
                    OffloadRead(timeToLiveMilliseconds: 0, offset: offset, byteCount: count).encode(into: &$0)
                }, limit: OffloadRead.outputByteCount)
            let bytes = output.span.bytes
            return (OffloadToken(loading: bytes, at: 16), bytes.load(UInt64.self, at: 8))
        }
        func write(_ token: OffloadToken, from start: UInt64, to offset: UInt64, _ count: UInt64) throws -> UInt64 {
            let output = try client.ioctl(
                .offloadWrite, to,
                input: self.written {
                    OffloadWrite(offset: offset, byteCount: count, transferOffset: start, token: token)
                        .encode(into: &$0)
                }, limit: OffloadWrite.outputByteCount)
            let bytes = output.span.bytes
            return bytes.load(UInt64.self, at: 8)
        }
        let read = try token(4096, 1 << 20)
        #expect(read.byteCount == 100_000 - 4096)
        try client.write(from, at: 0, [UInt8](repeating: 5, count: 100_000))
        #expect(try write(read.token, from: 10, to: 3, 50_000) == 50_000)
        #expect(try client.read(to, at: 3, count: 50_000) == Array(data[4106..<54_106]))
        // No more than the token has, nor than the target is long.
        #expect(try write(read.token, from: 90_000, to: 0, 50_000) == 5904)
        #expect(try write(read.token, from: 0, to: 99_000, 50_000) == 1000)
        #expect(try client.create(OpenParameters("to")).information.endOfFile == 100_000)
        let zeros = OffloadToken(type: OffloadToken.zeroData, high: 0, low: 0)
        #expect(try write(zeros, from: 0, to: 10, 20) == 20)
        #expect(try client.read(to, at: 10, count: 20) == [UInt8](repeating: 0, count: 20))
        var forged = read.token
        forged.low ^= 1
        #expect(status { _ = try write(forged, from: 0, to: 0, 10) } == .invalidToken)
        #expect(status { _ = try token(1, 4096) } == .invalidParameter)
        #expect(status { _ = try token(1 << 20, 4096) } == .endOfFile)
    }
}
