import SMB2Wire
import SMBServerCore
import Testing

/// FSCTL_LMR_REQUEST_RESILIENCY and what becomes of the handles. [MS-SMB2] 3.3.5.15.9, 3.3.7.1, 3.3.5.9.7.
@Suite struct ResiliencyTests {
    private func request(_ milliseconds: UInt32) -> [UInt8] {
        var writer = WireWriter()
        ResiliencyRequest(timeoutMilliseconds: milliseconds).encode(into: &writer)
        return writer.bytes
    }

    private func reconnect(_ file: FileID) -> CreateContexts {
        var contexts = CreateContexts()
        contexts.durableReconnect = file
        return contexts
    }

    @Test(arguments: [Dialect.smb21, .smb302]) func itIsKeptThoughItCachesNothing(dialect: Dialect) throws {
        let server = TestServer()
        let client = try TestClient(server)
        try client.negotiate([dialect])
        try client.logOn()
        try client.connect()
        let file = try client.open("a", share: [])
        let plain = try client.open("b")
        #expect(try client.control(file, .lmrRequestResiliency, self.request(5000)).status == .success)
        let lock = [LockElement(offset: 0, length: 10, flags: [.exclusive, .failImmediately])]
        #expect(try client.lock(file, lock, sequenceNumber: 2, sequenceIndex: 1).status == .success)
        client.disconnect()
        #expect(server.state.opens.count == 1, "the other one is gone")
        let rival = try TestClient.ready(server, user: "bob", guid: GUID(low: 2, high: 2))
        #expect(try rival.create("a").status == .sharingViolation)
        #expect(try rival.create("", contexts: self.reconnect(file)).status == .accessDenied)
        #expect(try rival.create("b").status == .success)

        let back = try TestClient(server)
        try back.negotiate([dialect])
        try back.logOn()
        try back.connect()
        #expect(try back.create("", contexts: self.reconnect(plain)).status == .objectNameNotFound)
        let again = try #require(try back.create("", contexts: self.reconnect(file)).create).fileID
        #expect(try back.lock(again, lock, sequenceNumber: 2, sequenceIndex: 1).status == .success, "a repetition")
        #expect(try back.lock(again, lock, sequenceNumber: 3, sequenceIndex: 1).status == .lockNotGranted)
        #expect(try back.close(again) == .success)
        #expect(try rival.create("a").status == .success)
    }

    @Test(arguments: [(UInt32(0), UInt64(Limits.defaultResiliencyMilliseconds)), (7000, 7000)])
    func itIsGivenUpWhenItsTimeIsOver(asked: UInt32, granted: UInt64) throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        let file = try client.open("a", share: [])
        #expect(try client.control(file, .lmrRequestResiliency, self.request(asked)).status == .success)
        client.disconnect()
        server.state.now += granted - 1
        server.state.tick()
        #expect(server.state.opens.count == 1)
        server.state.now += 1
        server.state.tick()
        #expect(server.state.opens.count == 0)
        let back = try TestClient.ready(server)
        #expect(try back.create("", contexts: self.reconnect(file)).status == .objectNameNotFound)
    }

    @Test func itOutlivesALogoff() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        let file = try client.open("a")
        #expect(try client.control(file, .lmrRequestResiliency, self.request(0)).status == .success)
        #expect(try client.send(client.message(.logoff) { LogoffRequest().encode(into: &$0) }).status == .success)
        let back = try TestClient.ready(server)
        #expect(try back.create("", contexts: self.reconnect(file)).status == .success)
    }

    @Test func whatItCachedIsTakenWhileItsClientIsAway() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        let file = try #require(try client.create("a", oplock: .batch).create).fileID
        #expect(try client.control(file, .lmrRequestResiliency, self.request(0)).status == .success)
        client.disconnect()
        let rival = try TestClient.ready(server, guid: GUID(low: 2, high: 2))
        #expect(try rival.create("a").status == .success, "it waits for nobody")
        let back = try TestClient.ready(server)
        let again = try #require(try back.create("", contexts: self.reconnect(file)).create)
        #expect(again.oplockLevel == OplockLevel.none)
        #expect(again.fileID.persistent == file.persistent)
    }

    /// 3.3.5.15.9: it is no longer durable, which would end with its oplock.
    @Test func aDurableHandleBecomesAResilientOne() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        var contexts = CreateContexts()
        contexts.durableRequest = true
        let file = try #require(try client.create("a", oplock: .batch, contexts: contexts).create).fileID
        #expect(try client.control(file, .lmrRequestResiliency, self.request(1000)).status == .success)
        client.disconnect()
        server.state.now += 1000
        server.state.tick()
        #expect(server.state.opens.count == 0, "its time is the resilient handle's")
    }

    @Test func itIsRefused() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        let file = try client.open("a")
        let tooLong = self.request(Limits.maximumResiliencyMilliseconds + 1)
        #expect(try client.control(file, .lmrRequestResiliency, tooLong).status == .invalidParameter)
        #expect(
            try client.control(file, .lmrRequestResiliency, Array(self.request(0).dropLast())).status
                == .invalidParameter)
        let missing = FileID(persistent: 77, volatile: 77)
        #expect(try client.control(missing, .lmrRequestResiliency, self.request(0)).status == .fileClosed)
        let old = try TestClient(server)
        try old.negotiate([.smb202])
        try old.logOn()
        try old.connect()
        let other = try old.open("b")
        #expect(try old.control(other, .lmrRequestResiliency, self.request(0)).status == .invalidDeviceRequest)
        client.disconnect()
        old.disconnect()
        #expect(server.state.opens.count == 0)
    }
}
