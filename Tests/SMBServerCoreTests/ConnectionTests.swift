import SMB2Wire
import SMBServerCore
import StateRecords
import Testing

@Suite struct NegotiateTests {
    @Test(arguments: [
        ([Dialect.smb202], Dialect.smb202), ([.smb202, .smb21], .smb21), ([.smb30, .smb21], .smb30),
        ([.smb202, .smb21, .smb30, .smb302, .smb311], .smb311), ([.smb202, Dialect(rawValue: 0x0777)], .smb202),
    ])
    func theHighestCommonDialectIsTaken(_ offered: [Dialect], _ taken: Dialect) throws {
        let reply = try TestClient(TestServer()).negotiate(offered)
        let response = try NegotiateResponse(parsing: reply.bytes.span.bytes)
        #expect(response.dialect == taken)
        #expect(response.maximumReadSize == (taken == .smb202 ? 65536 : 8 << 20))
        #expect(response.capabilities.contains(.persistentHandles) == (taken >= .smb30))
        #expect(response.securityBuffer == [1, 2, 3])
        if taken == .smb311 {
            #expect(response.contexts?.ciphers == [.aes128GCM])
            #expect(response.contexts?.signingAlgorithms == [.aesGMAC])
        }
    }

    @Test func withoutACommonDialectNobodyComesIn() throws {
        #expect(try TestClient(TestServer()).negotiate([Dialect(rawValue: 0x0999)]).status == .notSupported)
    }

    @Test func negotiatingTwiceEndsTheConnection() throws {
        let client = try TestClient(TestServer())
        try client.negotiate()
        #expect(try client.negotiate().disconnect != nil)
    }

    @Test func nothingComesBeforeNegotiate() throws {
        #expect(try TestClient(TestServer()).logOn().disconnect != nil)
    }

    @Test func anSMB1OfferIsAnsweredWithSMB2() throws {
        let server = TestServer()
        let client = try TestClient(server)
        var packet: [UInt8] = [0xFF, 0x53, 0x4D, 0x42, 0x72] + [UInt8](repeating: 0, count: 27) + [0]
        let dialects = [2] + Array("NT LM 0.12".utf8) + [0, 2] + Array("SMB 2.???".utf8) + [0]
        packet += [UInt8(dialects.count), 0] + dialects
        var writer = WireWriter()
        let outcome = server.state.negotiateSMB1(packet.span.bytes, connection: client.connection, into: &writer)
        guard case .reply = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(try NegotiateResponse(parsing: writer.span).dialect == .wildcard)
        // The SMB2 NEGOTIATE follows with message id 1.
        let request = NegotiateRequest(
            securityMode: .signingEnabled, capabilities: [], clientGUID: .zero, dialects: [.smb21])
        let reply = try client.send(client.message(.negotiate, id: 1) { request.encode(into: &$0) })
        #expect(try NegotiateResponse(parsing: reply.bytes.span.bytes).dialect == .smb21)
    }
}

@Suite struct SessionTests {
    @Test func whoIsRefusedHasNoSession() throws {
        let client = try TestClient(TestServer())
        try client.negotiate()
        #expect(try client.logOn("?").status == .logonFailure)
        #expect(try client.logOn("nobody").status == .logonFailure)
        #expect(client.server.state.sessions.count == 0)
        #expect(try client.logOn("alice").status == .success)
    }

    @Test func theFinalResponseIsSigned() throws {
        let client = try TestClient(TestServer())
        try client.negotiate()
        let reply = try client.logOn()
        #expect(reply.reply?.protection == .sign(session: client.session))
    }

    @Test func anEndedSessionIsGone() throws {
        let client = try TestClient.ready(TestServer())
        let file = try client.open("a")
        #expect(try client.send(client.message(.logoff) { LogoffRequest().encode(into: &$0) }).status == .success)
        #expect(try client.write(file).status == .userSessionDeleted)
        #expect(client.server.state.opens.count == 0)
    }

    @Test func aSessionOfAnotherConnectionIsNotFound() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server)
        let mallory = try TestClient(server)
        try mallory.negotiate()
        var message = mallory.message(.treeConnect) { TreeConnectRequest().encode(into: &$0, path: "\\\\s\\test") }
        for index in 0..<8 { message[40 + index] = UInt8(truncatingIfNeeded: alice.session >> (8 * index)) }
        #expect(try mallory.send(message).status == .userSessionDeleted)
    }

    @Test func signingThatIsRequiredIsChecked() throws {
        let server = TestServer()
        server.state.configuration.requiresSigning = true
        let client = try TestClient(server)
        try client.negotiate()
        try client.logOn()
        let connect = { client.message(.treeConnect) { TreeConnectRequest().encode(into: &$0, path: "\\\\s\\test") } }
        #expect(try client.send(connect()).status == .accessDenied)
        #expect(try client.send(connect(), signature: .invalid).status == .accessDenied)
        var signed = connect()
        signed[16] |= 8
        let reply = try client.send(signed, signature: .valid)
        #expect(reply.status == .success)
        #expect(reply.reply?.protection == .sign(session: client.session))
    }

    @Test func thePreviousSessionEndsButOnlyOnesOwn() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server)
        let bob = try TestClient.ready(server, user: "bob", previous: alice.session)
        #expect(server.state.sessions[alice.session] != nil, "bob cannot end alice's session")
        _ = try TestClient.ready(server, previous: alice.session)
        #expect(server.state.sessions[alice.session] == nil)
        #expect(server.state.sessions[bob.session] != nil)
    }

    @Test func unknownSharesAndTreesAreTold() throws {
        let client = try TestClient.ready(TestServer())
        #expect(try client.connect("nothing").status == .badNetworkName)
        #expect(
            try client.send(client.message(.treeDisconnect) { TreeDisconnectRequest().encode(into: &$0) }).status
                == .success)
        #expect(try client.create("a").status == .networkNameDeleted)
    }

    @Test func aMessageIDUsedTwiceEndsTheConnection() throws {
        let client = try TestClient.ready(TestServer())
        let echo = client.message(.echo) { EchoRequest().encode(into: &$0) }
        #expect(try client.send(echo).status == .success)
        #expect(try client.send(echo).disconnect != nil)
    }
}

@Suite struct CompoundTests {
    @Test func relatedMessagesUseTheFileThatWasOpened() throws {
        let client = try TestClient.ready(TestServer())
        let replies = client.server.exchange(
            client.connection,
            [
                client.createMessage("a"),
                client.message(.read, related: true) {
                    ReadRequest(fileID: .related, offset: 0, length: 1).encode(into: &$0)
                },
                client.message(.close, related: true) { CloseRequest(fileID: .related).encode(into: &$0) },
            ])
        #expect(replies.map(\.status) == [.success, .success, .success])
        #expect(replies.map { $0.header?.sessionID } == [client.session, client.session, client.session])
        #expect(client.server.state.opens.count == 0)
    }

    @Test func aFailedCreateFailsWhatNeedsIt() throws {
        let client = try TestClient.ready(TestServer())
        let replies = client.server.exchange(
            client.connection,
            [
                client.createMessage("missing", disposition: .open),
                client.message(.close, related: true) { CloseRequest(fileID: .related).encode(into: &$0) },
            ])
        #expect(replies.map(\.status) == [.objectNameNotFound, .objectNameNotFound])
    }

    @Test func theFirstMessageRelatesToNothing() throws {
        let client = try TestClient.ready(TestServer())
        let replies = client.server.exchange(
            client.connection,
            [
                client.message(.echo, related: true) { EchoRequest().encode(into: &$0) },
                client.message(.close, related: true) { CloseRequest(fileID: .related).encode(into: &$0) },
            ])
        #expect(replies.map(\.status) == [.invalidParameter, .invalidParameter])
    }

    /// A flush that fails in the middle of a compound: the next header stays what it is.
    @Test func anErrorInACompoundLeavesTheNextReplyAlone() {
        var writer = WireWriter()
        SMB2Header(command: .flush).encode(into: &writer)
        FlushResponse().encode(into: &writer)
        writer.align(to: 8, from: 0)
        let next = writer.count
        SMB2Header(command: .close).encode(into: &writer)
        ServerState.replaceReply(at: 0, status: .diskFull, isLast: false, into: &writer)
        #expect(writer.span.load(UInt32.self, at: 8) == NTStatus.diskFull.rawValue)
        #expect(writer.span.load(UInt32.self, at: next) == SMB2Header.protocolID)
    }
}
