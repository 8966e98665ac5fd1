import SMB2Wire
import SMBServerCore
import Testing

/// Several connections of one session. [MS-SMB2] 3.3.5.5, 3.3.5.5.3, 3.3.7.1.
@Suite struct ChannelTests {
    @Test func allChannelsReachTheSessionsFiles() throws {
        let first = try TestClient.ready(TestServer())
        let file = try first.open("a")
        let second = try first.channel()
        #expect(try second.write(file).status == .success)
        let other = try second.open("b")
        #expect(try first.write(other).status == .success)
        #expect(try second.close(file) == .success)
        #expect(try first.write(file).status == .fileClosed)
    }

    @Test func theSessionLivesAsLongAsAChannel() throws {
        let first = try TestClient.ready(TestServer())
        let state = { first.server.state.sessions[first.session] }
        let file = try first.open("a")
        let second = try first.channel()
        let third = try first.channel()
        first.disconnect()
        #expect(state()?.channels == [second.connection, third.connection])
        #expect(try second.write(file).status == .success)
        third.disconnect()
        #expect(try second.write(file).status == .success)
        second.disconnect()
        #expect(state() == nil)
        #expect(first.server.state.opens.count == 0)
    }

    @Test func aLogoffEndsTheSessionOnAllChannels() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        #expect(try second.send(second.message(.logoff) { LogoffRequest().encode(into: &$0) }).status == .success)
        #expect(try first.create("a").status == .userSessionDeleted)
        let ended = first.server.state.endedSessions.map(\.connection)
        #expect(Set(ended) == [first.connection, second.connection], "both shells forget the keys")
        // Neither holds anything that its end would touch.
        first.disconnect()
        second.disconnect()
    }

    @Test func theClientThatOffersChannelsIsOfferedThem() throws {
        let client = try TestClient(TestServer())
        let answer = try NegotiateResponse(parsing: client.negotiate([.smb311]).bytes.span.bytes)
        #expect(answer.capabilities.contains(.multiChannel))
        let old = try TestClient(TestServer())
        #expect(
            try !NegotiateResponse(parsing: old.negotiate([.smb21]).bytes.span.bytes).capabilities.contains(
                .multiChannel))
    }

    // MARK: Breaks

    @Test func aBreakThatDiedWithItsChannelIsToldOverAnother() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let file = try #require(try second.create("a", oplock: .batch).create).fileID
        let other = try TestClient.ready(first.server, guid: GUID(low: 2, high: 2))
        #expect(try other.create("a").status == .pending)
        #expect(first.received() == [.oplockBreak(file, .levelII)])
        #expect(second.received() == [])
        first.disconnect()
        #expect(second.received() == [.oplockBreak(file, .levelII)])
        #expect(try second.acknowledge(file, .levelII).status == .success)
        #expect(other.received().count == 1, "it goes on")
        second.disconnect()
    }

    @Test func whatWasAcknowledgedIsNotToldAgain() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let file = try #require(try first.create("a", oplock: .batch).create).fileID
        let other = try TestClient.ready(first.server, guid: GUID(low: 2, high: 2))
        #expect(try other.create("a").status == .pending)
        #expect(first.received() == [.oplockBreak(file, .levelII)])
        #expect(try second.acknowledge(file, .levelII).status == .success, "any channel may acknowledge")
        first.disconnect()
        #expect(second.received() == [])
    }

    @Test func aRequestOfADeadChannelIsNotCarriedOut() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let holder = try TestClient.ready(first.server, guid: GUID(low: 2, high: 2))
        let file = try #require(try holder.create("a", oplock: .batch).create).fileID
        #expect(try second.create("a").status == .pending)
        second.disconnect()
        #expect(try holder.acknowledge(file, .levelII).status == .success)
        #expect(first.received() == [])
        #expect(first.server.state.opens.count == 1, "nobody would close it")
    }

    // MARK: Refusals

    /// What a connection is like that must not become a channel.
    struct Stranger: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var status: NTStatus
        var dialect = Dialect.smb311
        var guid = GUID(low: 1, high: 1)
        var user = "alice"
        var isSigned = true
        var signature = SignatureCheck.valid
        var ciphers: [Cipher] = [.aes128GCM]
        var signingAlgorithms: [SigningAlgorithm] = [.aesGMAC]

        init(_ description: String, _ status: NTStatus, _ change: (inout Stranger) -> Void) {
            self.testDescription = description
            self.status = status
            change(&self)
        }
    }

    @Test(arguments: [
        Stranger("unsigned", .invalidParameter) { $0.isSigned = false },
        Stranger("wrongly signed", .accessDenied) { $0.signature = .invalid },
        Stranger("2.1", .requestOutOfSequence) { $0.dialect = .smb21 },
        Stranger("3.0.2", .requestOutOfSequence) { $0.dialect = .smb302 },
        Stranger("another client", .invalidParameter) { $0.guid = GUID(low: 2, high: 1) },
        Stranger("another cipher", .invalidParameter) { $0.ciphers = [.aes128CCM] },
        Stranger("another signing algorithm", .requestOutOfSequence) { $0.signingAlgorithms = [.aesCMAC] },
        Stranger("another user", .accessDenied) { $0.user = "bob" },
        Stranger("nobody", .logonFailure) { $0.user = "?" },
    ])
    func whoIsNotAlikeIsNotBound(_ stranger: Stranger) throws {
        let server = TestServer()
        let first = try TestClient(server)
        first.ciphers = [.aes128GCM]
        first.signingAlgorithms = [.aesGMAC]
        try first.negotiate([.smb311])
        try first.logOn()
        try first.connect()
        let other = try TestClient(server, guid: stranger.guid)
        other.ciphers = stranger.ciphers
        other.signingAlgorithms = stranger.signingAlgorithms
        try other.negotiate([stranger.dialect])
        let reply = try other.bind(
            to: first, user: stranger.user, isSigned: stranger.isSigned, signature: stranger.signature)
        #expect(reply.status == stranger.status)
        #expect(server.state.sessions[first.session]?.channels == [first.connection], "the session goes on alone")
        other.disconnect()
        #expect(try first.create("a").status == .success)
    }

    @Test func oldDialectsHaveNoChannels() throws {
        let server = TestServer()
        let first = try TestClient(server)
        try first.negotiate([.smb21])
        try first.logOn()
        let other = try TestClient(server)
        try other.negotiate([.smb21])
        #expect(try other.bind(to: first).status == .requestNotAccepted)
        let newer = try TestClient(server)
        try newer.negotiate([.smb302])
        #expect(try newer.bind(to: first).status == .invalidParameter)
    }

    @Test func aSessionWithoutGMACTakesEitherOfTheOthers() throws {
        let server = TestServer()
        let first = try TestClient(server)
        first.signingAlgorithms = [.hmacSHA256]
        try first.negotiate([.smb311])
        try first.logOn()
        let second = try TestClient(server)
        second.signingAlgorithms = [.aesCMAC]
        try second.negotiate([.smb311])
        #expect(try second.bind(to: first).status == .success)
        let third = try TestClient(server)
        third.signingAlgorithms = [.aesGMAC]
        try third.negotiate([.smb311])
        #expect(try third.bind(to: first).status == .notSupported)
    }

    @Test func aConnectionIsBoundOnce() throws {
        let first = try TestClient.ready(TestServer())
        #expect(try first.bind(to: first).status == .requestNotAccepted)
        let second = try first.channel()
        #expect(try second.bind(to: first).status == .requestNotAccepted)
        #expect(try second.create("a").status == .success)
    }

    @Test func aSessionThatIsNotCannotBeBoundTo() throws {
        let server = TestServer()
        let first = try TestClient.ready(server)
        let other = try TestClient(server)
        try other.negotiate()
        first.disconnect()
        let reply = try other.bind(to: first, signature: .noKey)
        #expect(reply.status == .userSessionDeleted)
        #expect(reply.reply?.protection == .sign(session: first.session), "it says that it would be signed")
    }

    @Test func channelsHaveALimit() throws {
        let first = try TestClient.ready(TestServer())
        for _ in 1..<Limits.channelsPerSession { _ = try first.channel() }
        let last = try TestClient(first.server)
        try last.negotiate()
        #expect(try last.bind(to: first).status == .insufficientResources)
        #expect(try first.create("a").status == .success)
    }
}
