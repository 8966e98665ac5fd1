import SMB2Wire
import Testing

@testable import FileStore
@testable import SMBClient
@testable import SMBServer

#if canImport(Glibc)
    import Glibc
#endif

/// READs of what is not in the page cache: they are answered when the disk has answered, and nobody else waits for them.
@Suite struct ColdReadTests {
    private static let block = 1 << 20

    /// A file whose every 8 bytes say where they are, on the disk and nowhere else.
    private func makeFile(_ path: String, blocks: Int) throws {
        let file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o644)
        #expect(file >= 0)
        defer { close(file) }
        for block in 0..<blocks {
            let bytes = self.expected(at: block * Self.block, count: Self.block)
            #expect(write(file, bytes, bytes.count) == bytes.count)
        }
        #expect(fsync(file) == 0)
    }

    private func forget(_ path: String) {
        let file = open(path, O_RDONLY)
        #expect(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0)
        close(file)
    }

    private func expected(at offset: Int, count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for word in offset / 8..<(offset + count) / 8 {
            withUnsafeBytes(of: UInt64(word).littleEndian) { bytes.append(contentsOf: $0) }
        }
        return bytes
    }

    @Test(arguments: [false, true])
    func theyAreAnsweredWhole(isEncrypted: Bool) throws {
        let server = try RunningServer(in: "/var/tmp")
        let path = "\(server.share)/cold"
        try self.makeFile(path, blocks: 40)
        let connection = try server.connect()
        connection.isEncrypting = isEncrypted
        let file = try connection.create(OpenParameters("cold", access: .readData)).fileID
        self.forget(path)
        let volume = try Volume(root: server.share, options: .init(label: "test"))
        let probe = try volume.open(
            OpenRequest(path: try NTPath("cold"), access: .readData, disposition: .open, options: [], attributes: []))
        var byte: [UInt8] = [0]
        let cached = try byte.withUnsafeMutableBytes {
            try probe.file.readWithoutWaiting(into: $0, at: UInt64(20 * Self.block))
        }
        try #require(cached == nil, "this file system keeps what it was told to forget: nothing is tested")

        // More than may wait at once, the last first: no readahead helps.
        let offsets = (0..<40).reversed().map { $0 * Self.block }
        let requests = try offsets.map { try connection.postRead(file, at: UInt64($0), count: Self.block) }
        for (offset, request) in zip(offsets, requests) {
            let reply = try connection.gather(request)
            #expect(reply.header.status == .success)
            let data = try ReadResponse(parsing: reply.span).data
            #expect(reply.bytes(data) == self.expected(at: offset, count: Self.block), "at \(offset)")
        }
        #expect(server.standalone.server.reads.finished > 0, "a thread fetched some of it")
    }

    @Test func theEndOfAColdFile() throws {
        let server = try RunningServer(in: "/var/tmp")
        let path = "\(server.share)/cold"
        try self.makeFile(path, blocks: 2)
        let connection = try server.connect()
        let file = try connection.create(OpenParameters("cold", access: .readData)).fileID
        self.forget(path)
        let last = 2 * Self.block - 4096
        #expect(try connection.read(file, at: UInt64(last), count: 65536) == self.expected(at: last, count: 4096))
        self.forget(path)
        let tooShort = try connection.post(.read) {
            ReadRequest(fileID: file, offset: UInt64(last), length: 65536, minimumCount: 4097).encode(into: &$0)
        }
        #expect(try connection.gather(tooShort).header.status == .endOfFile)
        let past = try connection.postRead(file, at: UInt64(2 * Self.block), count: 4096)
        #expect(try connection.gather(past).header.status == .endOfFile)
    }

    /// A client that goes while the disk is asked for it takes nothing else with it.
    @Test func theClientMayGoMeanwhile() throws {
        let server = try RunningServer(in: "/var/tmp")
        let path = "\(server.share)/cold"
        try self.makeFile(path, blocks: 8)
        for _ in 0..<10 {
            let leaving = try server.connect()
            let file = try leaving.create(OpenParameters("cold", access: .readData)).fileID
            self.forget(path)
            for block in 0..<8 { _ = try leaving.postRead(file, at: UInt64(block * Self.block), count: Self.block) }
        }
        let staying = try server.connect()
        let file = try staying.create(OpenParameters("cold", access: .readData)).fileID
        #expect(try staying.read(file, at: 0, count: Self.block) == self.expected(at: 0, count: Self.block))
    }
}
