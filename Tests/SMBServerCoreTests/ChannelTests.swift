import SMB2Wire
import Testing

@testable import SMBServerCore

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

    private func durable(_ guid: GUID = GUID(low: 5, high: 6)) -> CreateContexts {
        var contexts = CreateContexts()
        contexts.durableRequestV2 = DurableRequestV2(timeoutMilliseconds: 0, flags: 0, createGUID: guid)
        return contexts
    }

    @Test func aCreateThatWaitsOutlivesItsChannel() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let third = try first.channel()
        let holder = try TestClient.ready(first.server, guid: GUID(low: 2, high: 2))
        let file = try #require(try holder.create("a", oplock: .batch).create).fileID
        #expect(try first.create("a", oplock: .batch, contexts: self.durable()).status == .pending)
        first.disconnect()
        // The channels die one after the other, and the request goes from heir to heir.
        #expect(
            try second.create("a", oplock: .batch, replay: true, contexts: self.durable()).status == .fileNotAvailable)
        #expect(try second.create("a", oplock: .batch, contexts: self.durable()).status == .duplicateObjectid)
        second.disconnect()
        #expect(
            try third.create("a", oplock: .batch, replay: true, contexts: self.durable()).status == .fileNotAvailable)
        #expect(try holder.close(file) == .success)
        #expect(third.received() == [], "nobody is answered")
        #expect(first.server.state.pending.count == 0)
        #expect(first.server.state.usage.heldBytes == 0)
        let again = try third.create("a", oplock: .batch, replay: true, contexts: self.durable())
        #expect(again.status == .success)
        #expect(again.create?.oplockLevel == .batch)
        #expect(again.create?.contexts.durableV2 != nil)
        #expect(first.server.state.opens.count == 1)
        #expect(try third.write(try #require(again.create).fileID).status == .success)
    }

    @Test func whatFailedWithoutItsChannelIsTriedAnew() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let holder = try TestClient.ready(first.server, guid: GUID(low: 2, high: 2))
        let file = try #require(try holder.create("a", share: [], oplock: .batch).create).fileID
        #expect(try first.create("a", contexts: self.durable()).status == .pending)
        first.disconnect()
        #expect(try holder.acknowledge(file, .levelII).status == .success)
        #expect(second.received() == [])
        #expect(try second.create("a", replay: true, contexts: self.durable()).status == .sharingViolation)
        #expect(try holder.close(file) == .success)
        #expect(try second.create("a", replay: true, contexts: self.durable()).status == .success)
    }

    @Test func whatStoodBehindItIsLeftToTheRepetition() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let holder = try TestClient.ready(first.server, guid: GUID(low: 2, high: 2))
        let file = try #require(try holder.create("a", oplock: .batch).create).fileID
        let compound = [
            first.createMessage("a", contexts: self.durable()),
            first.message(.close, related: true) { CloseRequest(fileID: .related).encode(into: &$0) },
        ]
        #expect(first.server.exchange(first.connection, compound).first?.status == .pending)
        first.disconnect()
        #expect(try holder.close(file) == .success)
        #expect(first.server.state.opens.count == 1, "it was not closed")
        let answers = first.server.exchange(
            second.connection,
            [
                second.createMessage("a", replay: true, contexts: self.durable()),
                second.message(.close, related: true) { CloseRequest(fileID: .related).encode(into: &$0) },
            ])
        #expect(answers.map(\.status) == [.success, .success])
        #expect(first.server.state.opens.count == 0)
    }

    @Test func theEndOfTheSessionEndsIt() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let holder = try TestClient.ready(first.server, guid: GUID(low: 2, high: 2))
        let file = try #require(try holder.create("a", oplock: .batch).create).fileID
        #expect(try first.create("a", contexts: self.durable()).status == .pending)
        first.disconnect()
        second.disconnect()
        #expect(first.server.state.pending.count == 0)
        #expect(first.server.state.usage.heldBytes == 0)
        #expect(try holder.close(file) == .success)
        #expect(first.server.state.opens.count == 0)
    }

    @Test func aCancellationOnTheHeirMeansItsOwnRequests() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let holder = try TestClient.ready(first.server, guid: GUID(low: 2, high: 2))
        let file = try #require(try holder.create("a", oplock: .batch).create).fileID
        let waiting = try first.create("a", contexts: self.durable())
        let header = try #require(waiting.header)
        first.disconnect()
        for isAsync in [true, false] {
            var cancel = SMB2Header(command: .cancel, messageID: header.messageID, sessionID: second.session)
            if isAsync {
                cancel.flags.insert(.async)
                cancel.asyncID = header.asyncID
            }
            var writer = WireWriter()
            cancel.encode(into: &writer)
            CancelRequest().encode(into: &writer)
            _ = first.server.exchange(second.connection, [writer.bytes])
        }
        #expect(first.server.state.pending.count == 1)
        #expect(try holder.close(file) == .success)
        #expect(try second.create("a", replay: true, contexts: self.durable()).status == .success)
    }

    @Test func onlyABreakThatCanGoElsewhereMustArrive() throws {
        let first = try TestClient.ready(TestServer())
        let file = try #require(try first.create("a", oplock: .batch).create).fileID
        let other = try TestClient.ready(first.server, guid: GUID(low: 2, high: 2))
        #expect(try other.create("a").status == .pending)
        #expect(first.server.completions.map(\.needsDelivery) == [false])
        #expect(try first.close(file) == .success)
        first.server.completions = []
        _ = try first.channel()
        _ = try #require(try first.create("b", oplock: .batch).create)
        #expect(try other.create("b").status == .pending)
        #expect(first.server.completions.map(\.needsDelivery) == [true])
    }

    /// Nobody acknowledges that a level II oplock is gone: only the transport knows whether the client has heard of it.
    @Test(arguments: [false, true]) func whatIsNotAcknowledgedIsSaidAgainUnlessItArrived(hasArrived: Bool) throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let file = try #require(try first.create("a", oplock: .levelII).create).fileID
        let writer = try TestClient.ready(first.server, guid: GUID(low: 2, high: 2))
        let other = try writer.open("a")
        #expect(try writer.write(other).status == .success)
        #expect(first.server.completions.map(\.needsDelivery) == [true])
        #expect(first.received() == [.oplockBreak(file, .none)])
        if hasArrived { first.server.state.delivered(over: first.connection, count: 1) }
        first.disconnect()
        #expect(second.received() == (hasArrived ? [] : [.oplockBreak(file, .none)]))
        #expect(try second.close(file) == .success)
    }

    @Test func onlyTheOldestHaveArrived() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let files = try ["a", "b"].map { try #require(try first.create($0, oplock: .levelII).create).fileID }
        let writer = try TestClient.ready(first.server, guid: GUID(low: 2, high: 2))
        for name in ["a", "b"] { #expect(try writer.write(try writer.open(name)).status == .success) }
        first.server.state.delivered(over: first.connection, count: 1)
        first.disconnect()
        #expect(second.received() == [.oplockBreak(files[1], .none)])
        // It has no other channel any more.
        #expect(first.server.state.undelivered.isEmpty)
    }

    // MARK: Channel sequences, 3.3.5.2.10

    /// The shell still holds the answer, and with it the bytes that are to be written.
    @Test func aRepetitionDoesNotOvertakeWhatItRepeats() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let file = try first.open("a")
        var underWay: TestReply? = try first.write(file)
        #expect(underWay?.status == .success)
        second.channelSequence = 1
        #expect(try second.write(file, replay: true).status == .fileNotAvailable)
        #expect(try second.read(file).status == .success, "what changes nothing goes on")
        #expect(try second.control(file, .setSparse, replay: true).status == .fileNotAvailable)
        #expect(try second.write(file, at: 100).status == .success, "a new request is none of the client's repetitions")
        underWay = nil
        #expect(try second.write(file, replay: true).status == .success)
        #expect(try first.write(file).status == .fileNotAvailable, "what comes late comes too late")
    }

    @Test func aRepetitionInTheSameSequenceIsCarriedOut() throws {
        let client = try TestClient.ready(TestServer())
        let file = try client.open("a")
        let underWay = try client.write(file)
        #expect(try client.write(file, replay: true).status == .success)
        #expect(underWay.status == .success)
    }

    @Test func aRenameThatWaitsIsOutstanding() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let file = try first.open("a", access: [.readData, .writeData, .delete])
        let holder = try TestClient.ready(first.server, guid: GUID(low: 2, high: 2))
        var contexts = CreateContexts()
        contexts.lease = LeaseContext(key: GUID(low: 9, high: 9), state: [.readCaching, .handleCaching])
        let held = try #require(try holder.create("a", contexts: contexts).create).fileID
        var rename = WireWriter()
        RenameInformation(replaceIfExists: false).encode(into: &rename, name: "b")
        _ = try first.sendWaiting(first.setFileMessage(file, .rename, rename.bytes))
        second.channelSequence = 1
        #expect(try second.write(file, replay: true).status == .fileNotAvailable)
        #expect(try holder.close(held) == .success)
        #expect(try second.write(file, replay: true).status == .success)
    }

    @Test func aLockIsRecognisedOverAnotherChannel() throws {
        let first = try TestClient.ready(TestServer())
        let second = try first.channel()
        let file = try first.open("a")
        let element = [LockElement(offset: 0, length: 10, flags: [.exclusive, .failImmediately])]
        #expect(try first.lock(file, element, sequenceNumber: 3, sequenceIndex: 1).status == .success)
        #expect(try second.lock(file, element, sequenceNumber: 3, sequenceIndex: 1).status == .success)
        #expect(try second.lock(file, element, sequenceNumber: 4, sequenceIndex: 1).status == .lockNotGranted)
        let unlock = [LockElement(offset: 0, length: 10, flags: .unlock)]
        #expect(try second.lock(file, unlock, sequenceNumber: 5, sequenceIndex: 1).status == .success)
        #expect(try first.lock(file, unlock, sequenceNumber: 5, sequenceIndex: 1).status == .success)
        #expect(try first.lock(file, unlock).status == .rangeNotLocked)
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
