import SMB2Wire
@testable import SMBServerCore
import StateRecords
import Testing

/// A named stream that becomes its file's own data, and what others do meanwhile. The test is the threads that move the bytes.
@Suite struct StreamMoveTests {
    private let server = TestServer()
    private let access: AccessMask = [.readData, .writeData, .delete]

    private func renaming(to name: String = "::$DATA") -> [UInt8] {
        var data = WireWriter()
        RenameInformation(replaceIfExists: true).encode(into: &data, name: name)
        return data.bytes
    }

    /// Carries the next order out.
    private func work(_ failure: NTStatus? = nil) throws {
        let order = try #require(self.server.moves.isEmpty ? nil : self.server.moves.removeFirst())
        try order.run()
        self.server.state.streamMoved(order, failure: failure.map { SMBError($0) })
        self.server.takeEffects()
    }

    private func steps(_ index: Int = 0) -> [String] {
        self.server.files.moves.withLock { $0[index] }.steps.withLock { $0 }
    }

    private func answers() -> [Received] {
        defer { self.server.completions.removeAll() }
        return self.server.completions.compactMap { Received($0) }
    }

    /// Asks for it; the message's id.
    private func move(_ client: TestClient, _ stream: FileID) throws -> UInt64 {
        let id = try client.sendWaiting(client.setFileMessage(stream, .rename, self.renaming()))
        #expect(self.server.moves.count == 1)
        return id
    }

    private func pending(_ client: TestClient, _ message: [UInt8]) throws -> UInt64 {
        #expect(try client.send(message).status == .pending)
        return try SMB2Header(parsing: message.span.bytes).messageID
    }

    @Test func itIsAnsweredWhenTheBytesAreThere() throws {
        let client = try TestClient.ready(self.server)
        let stream = try client.open("f:S", access: self.access)
        let id = try self.move(client, stream)
        #expect(self.steps() == [], "nothing but the shell's threads moves anything")
        // Who reads it is served.
        #expect(try client.read(stream).status == .success)
        try self.work()
        #expect(self.steps() == ["carryOut", "complete 1"])
        #expect(self.answers() == [.answer(.setInfo, messageID: id, .success)])
        try self.work()
        #expect(self.steps().last == "letGo")
        #expect(self.server.state.movingFiles.isEmpty)
        let open = try #require(self.server.state.opens[stream.volatile])
        #expect(open.path == "f")
        #expect(open.handle?.fileKey.stream == "")
    }

    /// The record says where the bytes are, not where they will be.
    @Test func theRecordFollowsTheBytes() throws {
        let client = try TestClient.ready(self.server, share: "ca")
        var contexts = CreateContexts()
        contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 0, flags: DurableRequestV2.persistentFlag, createGUID: GUID(low: 9, high: 9))
        let answer = try #require(try client.create("f:S", access: self.access, contexts: contexts).create)
        #expect(answer.contexts.durableV2?.isPersistent == true)
        let stream = answer.fileID
        self.server.journal.removeAll()
        _ = try self.move(client, stream)
        #expect(self.server.journal.isEmpty)
        try self.work()
        #expect(self.steps() == ["carryOut", "complete 1 marked"])
        let records = self.server.journal.compactMap { mutation -> OpenRecord? in
            if case .putOpen(let record) = mutation { record } else { nil }
        }
        #expect(records.map(\.path) == ["f"])
        #expect(records.map(\.formerPath) == ["f:S"])
    }

    @Test func whoChangesItMeanwhileWaits() throws {
        let client = try TestClient.ready(self.server)
        let other = try TestClient.ready(self.server, user: "bob")
        let stream = try client.open("f:S", access: self.access)
        let second = try other.open("f:S", access: self.access)
        let rename = try self.move(client, stream)
        let data: [UInt8] = [1]
        let write = try self.pending(
            other,
            other.message(.write) {
                WriteRequest(fileID: second, offset: 0).encode(into: &$0, data: data.span.bytes)
            })
        let again = try other.sendWaiting(other.setFileMessage(second, .rename, self.renaming(to: ":other")))
        let open = try self.pending(other, other.createMessage("f"))
        let openStream = try self.pending(other, other.createMessage("f:S"))
        // Another stream is nobody's concern.
        let third = try other.open("f:T", access: self.access)
        let unnamed = try other.sendWaiting(other.setFileMessage(third, .rename, self.renaming()))
        #expect(self.server.moves.count == 1)
        #expect(self.answers() == [])
        try self.work()
        let answers = self.answers()
        #expect(answers.contains(.answer(.setInfo, messageID: rename, .success)))
        #expect(answers.contains(.answer(.write, messageID: write, .success)), "into what the stream became")
        #expect(answers.contains(.answer(.setInfo, messageID: again, .notSupported)), "no stream any more")
        #expect(answers.contains(.answer(.create, messageID: open, .success)))
        #expect(answers.contains(.answer(.create, messageID: openStream, .success)))
        #expect(answers.contains(.answer(.setInfo, messageID: unnamed, .accessDenied)), "the data is open")
        #expect(answers.first == .answer(.setInfo, messageID: rename, .success))
        #expect(self.steps() == ["carryOut", "complete 2"])
    }

    @Test(arguments: ["cancel", "close", "logoff", "disconnect"])
    func itIsTakenBack(_ how: String) throws {
        for isThere in [false, true] {
            let server = StreamMoveTests()
            try server.takeBack(how, isThere: isThere)
        }
    }

    /// `isThere`: the bytes are, just when the request ends.
    private func takeBack(_ how: String, isThere: Bool) throws {
        let client = try TestClient.ready(self.server)
        let other = try TestClient.ready(self.server, user: "bob")
        let stream = try client.open("f:S", access: self.access)
        let rename = try self.move(client, stream)
        let open = try self.pending(other, other.createMessage("f"))
        switch how {
        case "cancel":
            let message = client.message(.cancel, id: rename) { CancelRequest().encode(into: &$0) }
            #expect(self.server.exchange(client.connection, [message]).isEmpty)
        case "close": #expect(try client.close(stream) == .success)
        case "logoff": _ = try client.send(client.message(.logoff) { LogoffRequest().encode(into: &$0) })
        default: self.server.state.disconnected(client.connection)
        }
        self.server.takeEffects()
        let status: NTStatus? =
            switch how {
            case "cancel": .cancelled
            case "close": .fileClosed
            case "logoff": .fileClosed
            default: nil
            }
        #expect(self.answers() == (status.map { [.answer(.setInfo, messageID: rename, $0)] } ?? []), "\(how)")
        // The others wait until the data is empty again.
        #expect(self.steps() == ["cancel"])
        if isThere {
            // It was too late for it.
            try self.work()
            #expect(self.answers() == [])
            try self.work()
            #expect(self.steps() == ["cancel", "carryOut", "takeBack"])
        } else {
            try self.work(.cancelled)
        }
        #expect(self.answers() == [.answer(.create, messageID: open, .success)])
        #expect(self.server.moves.isEmpty)
        #expect(self.server.state.movingFiles.isEmpty)
    }

    /// [MS-SMB2] 3.3.4.2: what takes long is told so, once.
    @Test func whatTakesLongIsTold() throws {
        let client = try TestClient.ready(self.server)
        let stream = try client.open("f:S", access: self.access)
        let id = try self.move(client, stream)
        self.server.state.now += Limits.silentMoveMilliseconds - 1
        self.server.state.tick()
        self.server.takeEffects()
        #expect(self.answers() == [])
        self.server.state.now += 1
        self.server.state.tick()
        self.server.state.tick()
        self.server.takeEffects()
        #expect(self.server.completions.map(\.message.count) == [SMB2Header.byteCount + 9])
        let told = try #require(self.server.completions.first).message
        let interim = try SMB2Header(parsing: told.span.bytes)
        #expect(interim.flags.contains(.async))
        #expect(interim.credits > 0)
        #expect(self.answers() == [.answer(.setInfo, messageID: id, .pending)])
        try self.work()
        let said = try #require(self.server.completions.first).message
        let answer = try SMB2Header(parsing: said.span.bytes)
        #expect(answer.flags.contains(.async))
        #expect(answer.asyncID == interim.asyncID)
        #expect(answer.credits == 0)
        #expect(self.answers() == [.answer(.setInfo, messageID: id, .success)])
    }

    /// And the stream is what it was: it can be moved again.
    @Test func aFailureIsTold() throws {
        let client = try TestClient.ready(self.server)
        let stream = try client.open("f:S", access: self.access)
        let first = try self.move(client, stream)
        try self.work(.diskFull)
        #expect(self.answers() == [.answer(.setInfo, messageID: first, .diskFull)])
        #expect(self.server.state.opens[stream.volatile]?.path == "f:S")
        let second = try self.move(client, stream)
        try self.work()
        #expect(self.answers() == [.answer(.setInfo, messageID: second, .success)])
    }

    /// A stream that is deleted when its handle is closed in the middle goes, and its entry with it.
    @Test func aDeletionMeanwhile() throws {
        let client = try TestClient.ready(self.server)
        let stream = try client.open("f:S", access: self.access, options: .deleteOnClose)
        _ = try self.move(client, stream)
        #expect(try client.close(stream) == .success)
        #expect(self.server.state.files.count == 1, "kept for the move")
        try self.work(.cancelled)
        #expect(self.server.state.files.count == 0)
        #expect(self.server.state.fileIndex.isEmpty)
    }

    @Test func thereIsALimit() throws {
        let client = try TestClient.ready(self.server)
        for index in 0..<Limits.streamMoves {
            let stream = try client.open("f\(index):S", access: self.access)
            _ = try client.sendWaiting(client.setFileMessage(stream, .rename, self.renaming()))
        }
        let stream = try client.open("more:S", access: self.access)
        #expect(try client.setFile(stream, .rename, self.renaming()).status == .insufficientResources)
        try self.work()
        _ = try client.sendWaiting(client.setFileMessage(stream, .rename, self.renaming()))
    }

    /// What stands behind it in its compound stands behind what it did.
    @Test func aCompoundGoesOnAfterwards() throws {
        let client = try TestClient.ready(self.server)
        let replies = self.server.exchange(
            client.connection,
            [
                client.createMessage("f:S", access: self.access),
                client.setFileMessage(.related, .rename, self.renaming(), related: true),
                client.message(.close, related: true) { CloseRequest(fileID: .related).encode(into: &$0) },
            ])
        #expect(replies.map(\.status) == [.success])
        try self.work()
        let answers = self.answers()
        #expect(answers.count == 2)
        guard case .answer(.setInfo, _, .success) = answers[0], case .answer(.close, _, .success) = answers[1] else {
            Issue.record("\(answers)")
            return
        }
    }
}
