import SMB2Wire
import SMBServerCore
import StateRecords
import Testing

/// What clients cache on continuously available shares outlives the server that granted it.
@Suite struct PersistentCachingTests {
    private let parent = GUID(low: 0xD1, high: 0xD2)

    private func contexts(_ state: String, create: UInt64 = 1, key: GUID = CachingTests.key) -> CreateContexts {
        var contexts = CachingTests.lease(state, key: key, parent: self.parent)
        contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 0, flags: DurableRequestV2.persistentFlag, createGUID: GUID(low: create, high: 9))
        return contexts
    }

    private func reconnect(_ file: FileID, create: UInt64 = 1, epoch: UInt16 = 0) -> CreateContexts {
        var contexts = CachingTests.lease("RWH", epoch: epoch)
        contexts.durableReconnectV2 = DurableReconnectV2(
            fileID: file, createGUID: GUID(low: create, high: 9), flags: DurableRequestV2.persistentFlag)
        return contexts
    }

    private func records(_ server: TestServer) -> [OpenRecord] {
        var kept = HandleState()
        for mutation in server.journal { kept.apply(mutation) }
        return kept.orderedOpens
    }

    private func successor(of server: TestServer) -> TestServer {
        let next = TestServer(files: server.files)
        let (_, lost) = next.state.load(self.records(server))
        #expect(lost.isEmpty)
        next.takeEffects()
        return next
    }

    private func rival(_ server: TestServer) throws -> TestClient {
        try TestClient.ready(server, share: "ca", user: "bob", guid: CachingTests.bobGUID)
    }

    @Test func aLeaseIsRecordedBeforeItsGrantIsAnswered() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        #expect(try alice.create("a", contexts: self.contexts("RH")).create?.contexts.lease?.state != nil)
        #expect(server.awaited)
        let record = try #require(self.records(server).first)
        #expect(record.oplockLevel == OplockLevel.lease.rawValue)
        #expect(
            record.lease
                == LeaseRecord(
                    key: GUID16(low: 0xA1, high: 0xA2), parentKey: GUID16(low: 0xD1, high: 0xD2), state: 3,
                    flags: LeaseContext.parentLeaseKeySetFlag, epoch: 0x11, version: 2))
        // Another open takes the lease up: it is the first one's, too.
        _ = try alice.create("a", contexts: CachingTests.lease("RWH"))
        #expect(server.awaited)
        #expect(self.records(server).map { $0.lease?.state } == [7])
        #expect(self.records(server).map { $0.lease?.epoch } == [0x12])
    }

    @Test func itComesBackExactly() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let first = try alice.open("a", contexts: self.contexts("RWH"))
        let second = try alice.open("a", contexts: self.contexts("RWH", create: 2))
        let before = self.records(server)
        let next = self.successor(of: server)
        let back = try TestClient.ready(next, share: "ca")
        for (file, create) in [(first, UInt64(1)), (second, 2)] {
            let answer = try #require(try back.create("a", contexts: self.reconnect(file, create: create)).create)
            #expect(answer.oplockLevel == .lease)
            let lease = try #require(answer.contexts.lease)
            #expect(lease.key == CachingTests.key)
            #expect(lease.state == .all)
            #expect(lease.flags == LeaseContext.parentLeaseKeySetFlag)
            #expect(lease.version2 == .init(parentKey: self.parent, epoch: 0x11))
        }
        #expect(self.records(next).isEmpty, "nothing changed")
        #expect(before.allSatisfy { $0.lease?.state == 7 })
        // One lease, of both: it is broken once.
        let bob = try self.rival(next)
        #expect(try bob.send(bob.createMessage("a")).status == .pending)
        #expect(back.received().count == 1)
    }

    @Test func aBatchOplockComesBack() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        var contexts = self.contexts("")
        contexts.lease = nil
        let file = try #require(try alice.create("a", oplock: .batch, contexts: contexts).create).fileID
        let next = self.successor(of: server)
        let back = try TestClient.ready(next, share: "ca")
        var again = self.reconnect(file)
        again.lease = nil
        #expect(try back.create("a", contexts: again).create?.oplockLevel == .batch)
    }

    @Test func breaksAndAcknowledgementsAreRecordedBeforeTheyAreSent() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        _ = try alice.create("a", contexts: self.contexts("RWH"))
        let bob = try self.rival(server)
        #expect(try bob.send(bob.createMessage("a")).status == .pending)
        #expect(server.awaited, "the notification names an epoch")
        #expect(self.records(server).first?.lease?.epoch == 0x12)
        #expect(self.records(server).first?.lease?.state == 7, "it holds that until it has acknowledged")
        #expect(try alice.acknowledge(CachingTests.key, [.readCaching, .handleCaching]).status == .success)
        #expect(server.awaited)
        #expect(self.records(server).first?.lease?.state == 3)
        // Read caching goes without an acknowledgement: before the client is told.
        #expect(try alice.acknowledge(CachingTests.key, []).status == .unsuccessful)
        let next = self.successor(of: server)
        let other = try self.rival(next)
        #expect(try other.create("a").status == .success, "no write caching any more")
    }

    @Test func silenceIsRecorded() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        _ = try alice.create("a", contexts: self.contexts("RWH"))
        let bob = try self.rival(server)
        #expect(try bob.send(bob.createMessage("a")).status == .pending)
        server.state.now += Limits.breakMilliseconds
        server.state.tick()
        server.takeEffects()
        #expect(server.awaited)
        #expect(self.records(server).first?.lease?.state == 0)
        #expect(bob.received().count == 1)
    }

    /// [MS-SMB2] 3.3.4.7: a client that is away may hold writes that nobody else has.
    @Test func whoeverComesWhileItsClientIsAwayWaitsForIt() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", contexts: self.contexts("RWH"))
        let next = self.successor(of: server)
        let bob = try self.rival(next)
        let reply = try bob.send(bob.createMessage("a"))
        #expect(reply.status == .pending)
        next.state.now += 30_000
        next.state.tick()
        next.takeEffects()
        let back = try TestClient.ready(next, share: "ca")
        let answer = try #require(try back.create("a", contexts: self.reconnect(file)).create?.contexts.lease)
        #expect(answer.state == .all)
        #expect(answer.flags & LeaseContext.breakInProgressFlag != 0)
        guard case .leaseBreak(let notice)? = back.received().first else {
            Issue.record("it must be told now")
            return
        }
        #expect(notice.currentState == .all)
        #expect(notice.newState == [.readCaching, .handleCaching])
        // Its time runs since it was told.
        next.state.now += 30_000
        next.state.tick()
        next.takeEffects()
        #expect(bob.received().isEmpty)
        #expect(try back.acknowledge(CachingTests.key, [.readCaching, .handleCaching]).status == .success)
        #expect(bob.received() == [.answer(.create, messageID: reply.header?.messageID ?? 0, .success)])
    }

    @Test func whoeverWaitsInVainIsSentAwayAndTheLeaseStays() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", contexts: self.contexts("RWH"))
        alice.disconnect()
        let bob = try self.rival(server)
        let reply = try bob.send(bob.createMessage("a"))
        #expect(reply.status == .pending)
        server.state.now += Limits.breakMilliseconds
        server.state.tick()
        server.takeEffects()
        #expect(bob.received() == [.answer(.create, messageID: reply.header?.messageID ?? 0, .fileNotAvailable)])
        let back = try TestClient.ready(server, share: "ca")
        #expect(try back.create("a", contexts: self.reconnect(file)).create?.contexts.lease?.state == .all)
        #expect(back.received().isEmpty)
    }

    @Test func aBreakThatMayNotHaveArrivedIsToldAgain() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", contexts: self.contexts("RWH"))
        let bob = try self.rival(server)
        #expect(try bob.send(bob.createMessage("a")).status == .pending)
        alice.disconnect()
        #expect(bob.received().isEmpty, "a persistent handle is kept")
        let back = try TestClient.ready(server, share: "ca")
        _ = try back.create("a", contexts: self.reconnect(file))
        #expect(back.received().count == 1)
        #expect(try back.acknowledge(CachingTests.key, .readCaching).status == .success)
        #expect(bob.received().count == 1)
    }

    @Test func itsTimeRunsOutForThoseWhoWaitToo() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        var contexts = self.contexts("RWH")
        contexts.durableRequestV2?.timeoutMilliseconds = 5000
        _ = try alice.open("a", contexts: contexts)
        alice.disconnect()
        let bob = try self.rival(server)
        let reply = try bob.send(bob.createMessage("a"))
        server.state.now += 5000
        server.state.tick()
        server.takeEffects()
        #expect(bob.received() == [.answer(.create, messageID: reply.header?.messageID ?? 0, .success)])
    }

    @Test func aHandleIsGivenBackUnderAnotherName() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", contexts: self.contexts("RH"))
        let bob = try self.rival(server)
        var rename = WireWriter()
        RenameInformation(replaceIfExists: false).encode(into: &rename, name: "b")
        let name = Array(rename.bytes)
        let mine = try bob.open("a", access: .delete)
        _ = try bob.sendWaiting(bob.setFileMessage(mine, .rename, name))
        #expect(try alice.acknowledge(CachingTests.key, .readCaching).status == .success)
        #expect(server.files.names == ["b"])
        let next = self.successor(of: server)
        let back = try TestClient.ready(next, share: "ca")
        #expect(try back.create("a", contexts: self.reconnect(file)).status == .success)
    }

    /// The server that recorded it granted no leases yet; its client asks for what it would get from this one.
    @Test func aHandleOfAServerWithoutLeasesIsGivenBack() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        var contexts = self.contexts("")
        contexts.lease = nil
        let file = try alice.open("a", contexts: contexts)
        let next = self.successor(of: server)
        let back = try TestClient.ready(next, share: "ca")
        let answer = try #require(try back.create("a", contexts: self.reconnect(file)).create)
        #expect(answer.oplockLevel == .none)
        #expect(answer.contexts.lease == nil)
    }

    @Test func aHandleWithoutHandleCachingIsNotAvailable() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        _ = try alice.create("a", share: .read, contexts: self.contexts("R"))
        alice.disconnect()
        let bob = try self.rival(server)
        #expect(try bob.create("a", access: .writeData).status == .fileNotAvailable)
    }

    /// [MS-SMB2] 3.3.5.9: also where the share modes have nothing against it.
    @Test(arguments: ["", "R", "RW"], [false, true])
    func nobodyOpensAFileOfAClientThatIsAwayWithoutHandleCaching(state: String, onTheNextNode: Bool) throws {
        let first = TestServer()
        let alice = try TestClient.ready(first, share: "ca")
        let file = try alice.open("a", contexts: self.contexts(state))
        alice.disconnect()
        let server = onTheNextNode ? self.successor(of: first) : first
        let bob = try self.rival(server)
        #expect(try bob.create("a", access: .readData).status == .fileNotAvailable)
        #expect(try bob.create("a", disposition: .overwriteIf).status == .fileNotAvailable)
        #expect(try bob.create("a", access: .readAttributes).status == .success, "it looks at attributes only")
        let back = try TestClient.ready(server, share: "ca")
        let answer = try #require(try back.create("a", contexts: self.reconnect(file)).create)
        #expect(answer.contexts.lease?.state == OplocksTests.state(state))
        #expect(back.received().isEmpty, "nothing was broken")
        #expect(try bob.create("a", access: .readData).status == (state == "RW" ? .pending : .success))
    }

    @Test func itsTimeoutLetsOthersIn() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        var contexts = self.contexts("R")
        contexts.durableRequestV2?.timeoutMilliseconds = 5000
        _ = try alice.open("a", contexts: contexts)
        alice.disconnect()
        let bob = try self.rival(server)
        server.state.now += 4999
        server.state.tick()
        #expect(try bob.create("a").status == .fileNotAvailable)
        server.state.now += 1
        server.state.tick()
        #expect(try bob.create("a").status == .success)
    }

    /// As with Windows a lease without handle caching is granted anew, after the epoch that its client knows; once.
    @Test(arguments: [("R", UInt16(0x81)), ("RW", 0x80), ("RH", 0x11), ("RWH", 0x11)])
    func itsEpochGoesOnFromTheClients(state: String, epoch: UInt16) throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let files = try [1, 2].map { try alice.open("a", contexts: self.contexts(state, create: $0)) }
        alice.disconnect()
        let back = try TestClient.ready(server, share: "ca")
        for (index, known) in [UInt16(0x80), 0x90].enumerated() {
            let contexts = self.reconnect(files[index], create: UInt64(index + 1), epoch: known)
            #expect(try back.create("a", contexts: contexts).create?.contexts.lease?.version2?.epoch == epoch)
        }
    }

    /// It is told when it is back: first what it has, then what it loses, each by an epoch of its own.
    @Test func handleCachingLetsOthersInAndItsClientIsToldLater() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", contexts: self.contexts("RH"))
        alice.disconnect()
        let bob = try self.rival(server)
        #expect(try bob.create("a", disposition: .overwriteIf).status == .success)
        let back = try TestClient.ready(server, share: "ca")
        let lease = try #require(
            try back.create("a", contexts: self.reconnect(file)).create?.contexts.lease)
        #expect(lease.state == [.readCaching, .handleCaching])
        #expect(lease.version2?.epoch == 0x11)
        guard case .leaseBreak(let notice)? = back.received().first else {
            Issue.record("it must be told now")
            return
        }
        #expect(notice.newState == [])
        #expect(notice.newEpoch == 0x12)
    }

    /// [MS-SMB2] 3.3.5.9.12: what it cached is old, and nobody waited until it knew. The lease that it gets back says so,
    /// by an epoch that it does not know.
    @Test(arguments: [false, true], [false, true])
    func whatOthersChangeIsLostToAClientThatIsAway(isDirectory: Bool, onTheNextNode: Bool) throws {
        let first = TestServer()
        let alice = try TestClient.ready(first, share: "ca")
        let options: CreateOptions = isDirectory ? .directoryFile : []
        let file = try alice.open("a", access: .readData, options: options, contexts: self.contexts("RH"))
        alice.disconnect()
        let bob = try self.rival(first)
        let other = try bob.open(isDirectory ? "a\\b" : "a")
        if !isDirectory { #expect(try bob.write(other).status == .success) }
        #expect(first.awaited, "the next node must not give back what is lost")
        #expect(self.records(first).map { $0.lease?.state } == [0])
        #expect(self.records(first).map { $0.lease?.epoch } == [0x12])
        if !onTheNextNode {
            first.state.now += Limits.breakMilliseconds
            first.state.tick()
            first.takeEffects()
        }
        let server = onTheNextNode ? self.successor(of: first) : first
        let back = try TestClient.ready(server, share: "ca")
        let contexts = self.reconnect(file, epoch: 0x11)
        let lease = try #require(try back.create("a", options: options, contexts: contexts).create?.contexts.lease)
        #expect(lease.state == [])
        #expect(lease.version2?.epoch == 0x12)
        #expect(lease.flags & LeaseContext.breakInProgressFlag == 0)
        #expect(back.received().isEmpty, "there is nothing left to break")
    }

    /// Its client is there, but the node dies before it has heard of the break.
    @Test func whatAClientHasNotAcknowledgedIsLostOnTheNextNode() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", contexts: self.contexts("RH"))
        let bob = try self.rival(server)
        #expect(try bob.write(try bob.open("a")).status == .success)
        #expect(server.awaited)
        let back = try TestClient.ready(self.successor(of: server), share: "ca")
        let contexts = self.reconnect(file, epoch: 0x11)
        let lease = try #require(try back.create("a", contexts: contexts).create?.contexts.lease)
        #expect(lease.state == [])
        #expect(lease.version2?.epoch == 0x12)
    }

    @Test func whatIsLostWhileAnotherBreakIsUnderWayIsRecordedToo() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", contexts: self.contexts("RH"))
        let bob = try self.rival(server)
        let other = try bob.open("a")
        #expect(try bob.send(bob.createMessage("a", share: [])).status == .pending)
        #expect(alice.received().count == 1)
        #expect(self.records(server).map { $0.lease?.state } == [3], "whoever waits asks the next node again")
        #expect(try bob.write(other).status == .success)
        #expect(server.awaited)
        #expect(alice.received().isEmpty, "one break at a time")
        #expect(self.records(server).map { $0.lease?.state } == [0])
        #expect(try bob.write(other).status == .success)
        #expect(!server.awaited, "not with each write")
        // It was told of an epoch that left it read caching.
        let back = try TestClient.ready(self.successor(of: server), share: "ca")
        let contexts = self.reconnect(file, epoch: 0x12)
        let lease = try #require(try back.create("a", contexts: contexts).create?.contexts.lease)
        #expect(lease.state == [])
        #expect(lease.version2?.epoch == 0x13)
    }

    /// It opens the file anew, by the same lease, before it asks for its handle, or instead.
    @Test func aClientThatIsBackIsToldWhicheverOpenItComesWith() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        _ = try alice.open("a", contexts: self.contexts("RH"))
        alice.disconnect()
        let bob = try self.rival(server)
        #expect(try bob.write(try bob.open("a")).status == .success)
        let back = try TestClient.ready(server, share: "ca")
        let lease = try #require(
            try back.create("a", contexts: CachingTests.lease("RH", epoch: 0x11)).create?.contexts.lease)
        #expect(lease.state == [.readCaching, .handleCaching])
        #expect(lease.version2?.epoch == 0x11)
        #expect(lease.flags & LeaseContext.breakInProgressFlag != 0)
        guard case .leaseBreak(let notice)? = back.received().first else {
            Issue.record("it must be told now")
            return
        }
        #expect(notice.newState == [])
        #expect(notice.newEpoch == 0x12)
        #expect(try back.acknowledge(CachingTests.key, []).status == .success)
    }

    /// A lease of two opens, whose client is back by the time of the change, or comes later.
    @Test(arguments: [false, true])
    func whatADirectoryListsIsCachedOnTheNextNodeUntilAnotherChangesIt(isBack: Bool) throws {
        let first = TestServer()
        let alice = try TestClient.ready(first, share: "ca")
        func directory(_ client: TestClient, _ contexts: CreateContexts) throws -> FileID {
            try client.open("d", access: .readData, options: .directoryFile, contexts: contexts)
        }
        let files = try [1, 2].map { try directory(alice, self.contexts("RH", create: $0)) }
        let server = self.successor(of: first)
        #expect(server.state.directoryLeases == 1)
        let bob = try self.rival(server)
        if !isBack { _ = try bob.open("d\\b") }
        let back = try TestClient.ready(server, share: "ca")
        let again = try files.enumerated().map { index, file in
            try directory(back, self.reconnect(file, create: UInt64(index + 1), epoch: 0x11))
        }
        if isBack { _ = try bob.open("d\\b") }
        guard case .leaseBreak(let notice)? = back.received().first else {
            Issue.record("its listing is old")
            return
        }
        #expect(notice.newState == [])
        #expect(notice.newEpoch == 0x12)
        #expect(try back.acknowledge(CachingTests.key, []).status == .success)
        for file in again { #expect(try back.close(file) == .success) }
        #expect(server.state.directoryLeases == 0)
        // Nor is the next one's forgotten.
        _ = try directory(back, CachingTests.lease("RH"))
        _ = try bob.open("d\\c")
        #expect(back.received().count == 1)
    }

    /// [MS-FSA] 2.1.5.18.2: byte-range locks, its own too, keep a client that was away from sharing a cache. A writer has it alone.
    @Test(arguments: [("R", ""), ("RH", ""), ("RW", "RW"), ("RWH", "RWH")])
    func whatIsLockedIsNotSharedByAClientThatWasAway(state: String, left: String) throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        #expect(try alice.close(try alice.open("a")) == .success)
        server.files.contents.withLock { $0.nodes["a"]?.facts.allocationSize = 4096 }
        let files = try [1, 2].map { try alice.open("a", contexts: self.contexts(state, create: $0)) }
        let lock = LockElement(offset: 0, length: 1, flags: [.exclusive, .failImmediately])
        #expect(try alice.lock(files[0], [lock]).status == .success)
        alice.disconnect()
        let bob = try self.rival(server)
        #expect(try bob.create("a", access: .readData).status == (state == "RWH" ? .pending : .fileNotAvailable))
        let back = try TestClient.ready(server, share: "ca")
        for (index, file) in files.enumerated() {
            let contexts = self.reconnect(file, create: UInt64(index + 1), epoch: 0x11)
            let lease = try back.create("a", contexts: contexts).create?.contexts.lease
            #expect(lease?.state == OplocksTests.state(left))
            // After the first one it is told that another client waits.
            let epoch: UInt16 = left.isEmpty || state == "RWH" && index == 1 ? 0x12 : 0x11
            #expect(lease?.version2?.epoch == epoch)
        }
        #expect(self.records(server).map { $0.lease?.state } == files.map { _ in OplocksTests.state(left).rawValue })
    }
}
