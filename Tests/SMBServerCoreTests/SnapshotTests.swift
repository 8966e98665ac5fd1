import SMB2Wire
import SMBServerCore
import Testing

@Suite struct SnapshotTests {
    private static let text = "@GMT-2026.11.24-19.30.00"
    private static let seconds: Int64 = 1_795_548_600

    private func timeWarp(_ seconds: Int64 = Self.seconds) -> CreateContexts {
        var contexts = CreateContexts()
        contexts.timeWarp = FileTime(unixSeconds: seconds, nanoseconds: 0)
        return contexts
    }

    /// However the client says which version it means, the file system is asked for the same path.
    @Test(arguments: [
        ("dir\\file", true), ("\(Self.text)\\dir\\file", false), ("dir\\\(Self.text)\\file", false),
        ("dir\\file\\\(Self.text)", false), ("\(Self.text)\\dir\\file", true),
    ])
    func oneFileManyNames(name: String, warps: Bool) throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        let reply = try client.create(name, contexts: warps ? self.timeWarp() : CreateContexts())
        #expect(reply.status == .success)
        #expect(server.files.names == ["\(Self.text.lowercased())\\dir\\file"])
    }

    @Test func theRootOfAVersion() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        _ = try client.create("", contexts: self.timeWarp())
        _ = try client.create(Self.text)
        #expect(server.files.names == [Self.text.lowercased()])
    }

    /// What only looks like a token is a name.
    @Test(arguments: ["@GMT-2026.11.24", "a@b", "@", "@gmt-2026.11.24-19.30.00", "x@GMT-2026.11.24-19.30.00"])
    func otherNames(name: String) throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        _ = try client.create(name)
        #expect(server.files.names == [name.lowercased()])
        #expect(SnapshotPath.split(name) == nil)
    }

    @Test func aTimeBeforeAllTimes() throws {
        let client = try TestClient.ready(TestServer())
        #expect(try client.create("a", contexts: self.timeWarp(-1)).status == .objectNameNotFound)
    }

    @Test func split() throws {
        let token = try #require(SnapshotToken(unixSeconds: Self.seconds))
        let inner = try #require(SnapshotPath.split("\(Self.text)\\dir\\file:stream"))
        #expect(inner.token == token && inner.path == "dir\\file:stream")
        let root = try #require(SnapshotPath.split(Self.text))
        #expect(root.token == token && root.path.isEmpty)
        #expect(SnapshotPath.split("dir\\\(Self.text)") == nil)
    }

    private func enumerate(_ client: TestClient, _ file: FileID, room: UInt32) throws -> TestReply {
        try client.send(
            client.message(.ioctl) {
                IoctlRequest(code: .srvEnumerateSnapshots, fileID: file, maximumOutputResponse: room).encode(
                    into: &$0, input: RawSpan())
            })
    }

    private func array(_ reply: TestReply) throws -> SnapshotArray {
        let message = reply.bytes.span.bytes
        return try SnapshotArray(parsing: message.extracting(try IoctlResponse(parsing: message).output))
    }

    /// 3.3.5.15.1: asked twice, first for the size.
    @Test func enumeration() throws {
        let server = TestServer()
        let tokens = (0..<3).compactMap { SnapshotToken(unixSeconds: Self.seconds - $0) }
        let client = try TestClient.ready(server)
        let file = try client.open("a")
        #expect(try self.array(try self.enumerate(client, file, room: 16)) == SnapshotArray(tokens: []))
        server.files.tokens.withLock { $0 = tokens }
        #expect(try self.enumerate(client, file, room: 15).status == .invalidParameter)
        let first = try self.enumerate(client, file, room: 16)
        #expect(first.status == .success)
        let counts = try self.array(first)
        #expect(counts.tokens.isEmpty && counts.total == 3 && counts.arrayByteCount == 152)
        let second = try self.enumerate(client, file, room: UInt32(12 + counts.arrayByteCount))
        #expect(try self.array(second).tokens == tokens)
    }
}
