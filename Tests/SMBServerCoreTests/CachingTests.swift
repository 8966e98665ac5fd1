import SMB2Wire
import SMBServerCore
import StateRecords
import Testing

/// Oplocks, leases and the requests that wait for them, through the whole core.
@Suite struct CachingTests {
    static let bobGUID = GUID(low: 2, high: 2)
    static let key = GUID(low: 0xA1, high: 0xA2)
    static let otherKey = GUID(low: 0xB1, high: 0xB2)

    static func lease(
        _ state: String, key: GUID = CachingTests.key, epoch: UInt16 = 0x10, parent: GUID? = nil
    ) -> CreateContexts {
        var contexts = CreateContexts()
        contexts.lease = LeaseContext(
            key: key, state: OplocksTests.state(state),
            flags: parent == nil ? 0 : LeaseContext.parentLeaseKeySetFlag,
            version2: LeaseContext.Version2(parentKey: parent ?? .zero, epoch: epoch))
        return contexts
    }

    private static let lockOfAByte = [LockElement(offset: 0, length: 1, flags: [.exclusive, .failImmediately])]

    private func two(_ share: String = "test") throws -> (TestServer, TestClient, TestClient) {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: share)
        let bob = try TestClient.ready(server, share: share, user: "bob", guid: Self.bobGUID)
        return (server, alice, bob)
    }

    /// Sends what must be answered with an interim response, and returns its message id.
    private func pending(_ client: TestClient, _ message: [UInt8]) throws -> UInt64 {
        let reply = try client.send(message)
        #expect(reply.status == .pending)
        let header = try #require(reply.header)
        #expect(header.isAsync)
        return header.messageID
    }

    private func breakNotice(_ client: TestClient) throws -> LeaseBreakNotification {
        let received = client.received()
        guard case .leaseBreak(let notice)? = received.first else {
            Issue.record("\(received)")
            throw SMBError(.unsuccessful)
        }
        return notice
    }

    // MARK: What others have done with the file

    /// [MS-FSA] 2.1.5.8, FsRtlCheckLockForOplockRequest: locks behind the end of a file keep nobody from caching it.
    @Test(arguments: [false, true]) func aLockInsideAFileKeepsOthersFromCachingIt(hasData: Bool) throws {
        let (server, alice, bob) = try self.two()
        _ = try alice.close(try alice.open("a"))
        if hasData { server.files.contents.withLock { $0.nodes["a"]?.facts.allocationSize = 4096 } }
        let file = try alice.open("a")
        #expect(try alice.lock(file, Self.lockOfAByte).status == .success)
        let lease = try #require(try bob.create("a", oplock: .lease, contexts: Self.lease("RH")).create?.contexts.lease)
        #expect(lease.state == OplocksTests.state(hasData ? "" : "RH"))
        // What is not granted is no change of the state.
        #expect(lease.version2?.epoch == (hasData ? 0x10 : 0x11))
    }

    /// To read a file's security descriptor is more than to look at its attributes, for who wants to write behind its back.
    @Test func whoReadsTheDescriptorKeepsOthersFromCachingWrites() throws {
        let (_, alice, bob) = try self.two()
        _ = try alice.open("a")
        _ = try alice.create("b", access: [.readControl, .readAttributes])
        let contexts = Self.lease("RWH")
        let lease = try #require(try bob.create("b", oplock: .lease, contexts: contexts).create?.contexts.lease)
        #expect(lease.state == OplocksTests.state("RH"))
    }

    /// Others share the file: the locks of a client that is away would be in their way.
    @Test(arguments: ["RH", "RWH"]) func aDurableHandleThatHasLocksOutlivesItsConnectionWithWriteCachingAlone(
        state: String
    ) throws {
        let (server, alice, bob) = try self.two()
        var contexts = Self.lease(state)
        contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 0, flags: 0, createGUID: GUID(low: 1, high: 2))
        let file = try #require(try alice.create("a", oplock: .lease, contexts: contexts).create).fileID
        #expect(try alice.lock(file, Self.lockOfAByte).status == .success)
        alice.disconnect()
        #expect(server.state.status().opens == (state == "RWH" ? 1 : 0))
        _ = bob
    }

    /// [MS-SMB2] 3.3.4.7: with SMB 3.x a lease's break goes to the oldest connection of its client, whoever's opens it has.
    @Test func aLeaseBreaksOverItsClientsOldestConnection() throws {
        let server = TestServer()
        let stranger = try TestClient.ready(server, user: "bob", guid: Self.bobGUID)
        let first = try TestClient.ready(server, guid: Self.bobGUID)
        let second = try TestClient.ready(server, guid: Self.bobGUID)
        let other = try TestClient.ready(server)
        _ = try #require(try second.create("a", oplock: .lease, contexts: Self.lease("RH")).create)
        let file = try other.open("a")
        #expect(try other.write(file).status == .success)
        #expect(try self.breakNotice(first).leaseKey == Self.key)
        #expect(second.received().isEmpty && stranger.received().isEmpty)
        first.disconnect()
        #expect(try self.breakNotice(second).leaseKey == Self.key, "not acknowledged: over the next one")
    }

    // MARK: Oplocks

    @Test func aSecondOpenWaitsForTheAcknowledgement() throws {
        let (_, alice, bob) = try self.two()
        let first = try #require(try alice.create("a", oplock: .batch).create)
        #expect(first.oplockLevel == .batch)
        let waiting = try self.pending(bob, bob.createMessage("a", oplock: .batch))
        #expect(alice.received() == [.oplockBreak(first.fileID, .levelII)])
        #expect(bob.received().isEmpty)
        let answer = try alice.acknowledge(first.fileID, .levelII)
        #expect(answer.status == .success)
        #expect(try OplockBreak(parsing: answer.bytes.span.bytes).level == .levelII)
        #expect(bob.received() == [.answer(.create, messageID: waiting, .success)])
        #expect(try alice.acknowledge(first.fileID, .levelII).status == .invalidOplockProtocol)
        // Both have level II now; a write takes it from both.
        let third = try #require(try bob.create("a", oplock: .levelII).create)
        #expect(third.oplockLevel == .levelII)
        #expect(try alice.write(first.fileID).status == .success)
        #expect(alice.received() == [.oplockBreak(first.fileID, .none)])
        #expect(bob.received().count == 2)
    }

    @Test func whoSaysNothingLosesItInTime() throws {
        let (server, alice, bob) = try self.two()
        _ = try alice.create("a", oplock: .exclusive)
        let waiting = try self.pending(bob, bob.createMessage("a"))
        server.state.now += Limits.breakMilliseconds - 1
        server.state.tick()
        server.takeEffects()
        #expect(bob.received().isEmpty)
        server.state.now += 1
        server.state.tick()
        server.takeEffects()
        #expect(bob.received() == [.answer(.create, messageID: waiting, .success)])
        #expect(server.state.pending.count == 0)
    }

    @Test func nonsenseInsteadOfAnAcknowledgementFreesTheOthers() throws {
        let (server, alice, bob) = try self.two()
        let first = try alice.create("a", oplock: .batch).create?.fileID ?? .related
        let waiting = try self.pending(bob, bob.createMessage("a"))
        #expect(try alice.acknowledge(first, .batch).status == .invalidOplockProtocol)
        #expect(bob.received() == [.answer(.create, messageID: waiting, .success)])
        #expect(server.state.pending.count == 0)
    }

    @Test func aSharingViolationIsToldAfterTheHandleCouldBeClosed() throws {
        for closes in [true, false] {
            let (_, alice, bob) = try self.two()
            let first = try #require(try alice.create("a", share: [], oplock: .batch).create).fileID
            let waiting = try self.pending(bob, bob.createMessage("a"))
            if closes {
                #expect(try alice.close(first) == .success)
            } else {
                #expect(try alice.acknowledge(first, .levelII).status == .success)
            }
            #expect(
                bob.received() == [.answer(.create, messageID: waiting, closes ? .success : .sharingViolation)])
        }
    }

    @Test func theHolderGoes() throws {
        let (server, alice, bob) = try self.two()
        _ = try alice.create("a", share: [], oplock: .batch)
        let waiting = try self.pending(bob, bob.createMessage("a", disposition: .open))
        alice.disconnect()
        #expect(bob.received() == [.answer(.create, messageID: waiting, .success)])
        #expect(server.state.opens.count == 1)
    }

    @Test func theOneWhoWaitsGoes() throws {
        let (server, alice, bob) = try self.two()
        let first = try #require(try alice.create("a", oplock: .batch).create).fileID
        _ = try self.pending(bob, bob.createMessage("a"))
        bob.disconnect()
        #expect(server.state.pending.count == 0)
        #expect(try alice.acknowledge(first, .levelII).status == .success)
        #expect(try alice.close(first) == .success)
        #expect(server.state.files.count == 0)
        #expect(server.state.opens.count == 0)
    }

    @Test func itIsCancelled() throws {
        let (server, alice, bob) = try self.two()
        let first = try #require(try alice.create("a", oplock: .batch).create).fileID
        let waiting = try self.pending(bob, bob.createMessage("a"))
        _ = server.exchange(
            bob.connection, [bob.message(.cancel, id: waiting) { CancelRequest().encode(into: &$0) }])
        #expect(bob.received() == [.answer(.create, messageID: waiting, .cancelled)])
        #expect(try alice.acknowledge(first, .levelII).status == .success)
        #expect(bob.received().isEmpty)
        #expect(server.state.opens.count == 1)
    }

    @Test func whatFollowsInItsCompoundWaitsWithIt() throws {
        let (server, alice, bob) = try self.two()
        let first = try #require(try alice.create("a", oplock: .batch).create).fileID
        let messages = [
            bob.message(.echo) { EchoRequest().encode(into: &$0) },
            bob.createMessage("a"),
            bob.message(.write, related: true) {
                WriteRequest(fileID: .related, offset: 0).encode(into: &$0, data: [1].span.bytes)
            },
            bob.message(.close, related: true) { CloseRequest(fileID: .related).encode(into: &$0) },
        ]
        let ids = messages.map { (try? SMB2Header(parsing: $0.span.bytes))?.messageID ?? 0 }
        let replies = server.exchange(bob.connection, messages)
        #expect(replies.map(\.status) == [.success, .pending])
        #expect(try alice.acknowledge(first, .levelII).status == .success)
        let late = server.completions.filter { $0.connection == bob.connection }
        let work = late.map(\.work)
        // The first may have to wait for the disk: the others stay behind it, or Linux's client waits forever.
        #expect(late.map(\.isOrdered) == [false, true, true])
        #expect(
            bob.received() == [
                .answer(.create, messageID: ids[1], .success), .answer(.write, messageID: ids[2], .success),
                .answer(.close, messageID: ids[3], .success),
            ])
        guard work.count == 3, case .write(_, offset: 0, _, _) = work[1] else {
            Issue.record("the shell must be told to write")
            return
        }
        #expect(server.state.opens.count == 1)
        // The file was written: what alice cached of it is gone.
        #expect(alice.received().last == .oplockBreak(first, .none))
    }

    /// Linux's client drops the answers that stand in an encrypted frame before an interim response, and waits for them.
    @Test func anInterimResponseIsAloneInItsEncryptedFrame() throws {
        let (server, alice, bob) = try self.two()
        let first = try #require(try alice.create("a", oplock: .batch).create).fileID
        let messages = [
            bob.message(.echo) { EchoRequest().encode(into: &$0) }, bob.createMessage("a"),
            bob.message(.close, related: true) { CloseRequest(fileID: .related).encode(into: &$0) },
        ]
        let ids = messages.map { (try? SMB2Header(parsing: $0.span.bytes))?.messageID ?? 0 }
        let replies = server.exchange(bob.connection, messages, encryptedFor: bob.session)
        #expect(replies.map(\.status) == [.success])
        let interim = try #require(server.completions.first { $0.connection == bob.connection })
        #expect(interim.isOrdered, "behind the frame that it belongs to")
        let header = try SMB2Header(parsing: interim.message.span.bytes)
        #expect(header.credits > 0, "the final answer grants none")
        #expect(bob.received() == [.answer(.create, messageID: ids[1], .pending)])
        #expect(try alice.acknowledge(first, .levelII).status == .success)
        #expect(
            bob.received() == [
                .answer(.create, messageID: ids[1], .success), .answer(.close, messageID: ids[2], .success),
            ])
    }

    @Test func aCancelledCompoundFailsAsAWhole() throws {
        let (server, alice, bob) = try self.two()
        _ = try alice.create("a", oplock: .batch)
        let messages = [
            bob.createMessage("a"),
            bob.message(.close, related: true) { CloseRequest(fileID: .related).encode(into: &$0) },
        ]
        let replies = server.exchange(bob.connection, messages)
        let id = try #require(replies.first?.header).messageID
        _ = server.exchange(bob.connection, [bob.message(.cancel, id: id) { CancelRequest().encode(into: &$0) }])
        #expect(
            bob.received() == [
                .answer(.create, messageID: id, .cancelled), .answer(.close, messageID: id + 1, .cancelled),
            ])
        #expect(server.state.opens.count == 1)
    }

    @Test func waitingRequestsMayNotFillTheMemory() throws {
        let (_, alice, bob) = try self.two()
        let first = try #require(try alice.create("a", oplock: .batch).create).fileID
        var statuses: [NTStatus?] = []
        for _ in 0..<Limits.waitingPerFile + 1 {
            statuses.append(try bob.send(bob.createMessage("a")).status)
        }
        #expect(statuses.last == .insufficientResources)
        #expect(statuses.dropLast().allSatisfy { $0 == .pending })
        #expect(try alice.acknowledge(first, .none).status == .success)
        #expect(bob.received().count == Limits.waitingPerFile)
    }

    @Test func aRenameWaitsForThoseWhoCacheTheHandle() throws {
        let (server, alice, bob) = try self.two()
        let first = try #require(
            try alice.create("a", contexts: Self.lease("RH")).create)
        let mine = try bob.open("a", access: [.delete, .readData])
        let waiting = try bob.sendWaiting(bob.setFileMessage(mine, .rename, self.renaming(to: "b")))
        #expect(try self.breakNotice(alice).newState == .readCaching)
        #expect(server.files.names == ["a"])
        #expect(try alice.close(first.fileID) == .success)
        let answer = try #require(server.completions.last)
        let header = try SMB2Header(parsing: answer.message.span.bytes)
        #expect(!header.isAsync && header.credits > 0, "like the answer to a request that did not wait")
        #expect(answer.answers != nil)
        #expect(bob.received() == [.answer(.setInfo, messageID: waiting, .success)])
        #expect(server.files.names == ["b"])
    }

    /// As Windows does: nothing is said while a rename waits, and what stands before it in its compound waits with it.
    @Test func aCompoundWaitsWithItsRename() throws {
        let (server, alice, bob) = try self.two()
        _ = try #require(try alice.create("a", contexts: Self.lease("RH")).create)
        let messages = [
            bob.createMessage("a", access: [.delete, .readData]),
            bob.setFileMessage(.related, .rename, self.renaming(to: "b"), related: true),
            bob.message(.close, related: true) { CloseRequest(fileID: .related).encode(into: &$0) },
        ]
        let ids = try messages.map { try SMB2Header(parsing: $0.span.bytes).messageID }
        let replies = server.exchange(bob.connection, messages)
        #expect(replies.map { $0.header?.command } == [.create])
        #expect(try self.breakNotice(alice).newState == .readCaching)
        #expect(bob.received().isEmpty)
        #expect(try alice.acknowledge(Self.key, .readCaching).status == .success)
        #expect(server.completions.map { $0.answers != nil } == [true, false])
        #expect(
            bob.received() == [
                .answer(.setInfo, messageID: ids[1], .success), .answer(.close, messageID: ids[2], .success),
            ])
        #expect(server.files.names == ["b"])
    }

    /// It has no AsyncId to be cancelled by. [MS-SMB2] 3.3.5.16.
    @Test func aRenameThatWaitsIsCancelledByItsMessageID() throws {
        let (server, alice, bob) = try self.two()
        _ = try #require(try alice.create("a", contexts: Self.lease("RH")).create)
        let mine = try bob.open("a", access: [.delete, .readData])
        let waiting = try bob.sendWaiting(bob.setFileMessage(mine, .rename, self.renaming(to: "b")))
        _ = alice.received()
        #expect(
            server.exchange(bob.connection, [bob.message(.cancel, id: waiting) { CancelRequest().encode(into: &$0) }])
                .isEmpty)
        #expect(bob.received() == [.answer(.setInfo, messageID: waiting, .cancelled)])
        #expect(server.files.names == ["a"])
    }

    // MARK: Leases

    @Test func aLeaseIsTheClientsNotTheConnections() throws {
        let (server, alice, bob) = try self.two()
        let granted = try #require(try alice.create("a", contexts: Self.lease("RWH")).create)
        #expect(granted.oplockLevel == .lease)
        #expect(granted.contexts.lease?.state == .all)
        #expect(granted.contexts.lease?.version2?.epoch == 0x11)
        let second = try TestClient.ready(server)
        let same = try #require(try second.create("a", contexts: Self.lease("RWH")).create)
        #expect(same.contexts.lease?.state == .all, "no break among the opens of a lease")
        let waiting = try self.pending(bob, bob.createMessage("a", contexts: Self.lease("RWH", key: Self.otherKey)))
        let notice = try self.breakNotice(alice)
        #expect(notice.newState == [.readCaching, .handleCaching])
        #expect(notice.newEpoch == 0x12)
        #expect(notice.flags == LeaseBreakNotification.acknowledgeRequired)
        let during = try #require(try second.create("a", contexts: Self.lease("RWH")).create?.contexts.lease)
        #expect(during.flags == LeaseContext.breakInProgressFlag)
        #expect(during.state == .all)
        #expect(try second.acknowledge(Self.key, .all).status == .requestNotAccepted)
        #expect(try bob.acknowledge(Self.key, []).status == .objectNameNotFound, "another client's")
        #expect(try second.acknowledge(Self.key, [.readCaching, .handleCaching]).status == .success)
        #expect(try second.acknowledge(Self.key, []).status == .unsuccessful)
        #expect(bob.received() == [.answer(.create, messageID: waiting, .success)])
    }

    @Test func aLeaseKeyStandsForOneFile() throws {
        let (server, alice, bob) = try self.two()
        let file = try alice.open("a", contexts: Self.lease("RWH"))
        #expect(try alice.create("b", contexts: Self.lease("R")).status == .invalidParameter)
        #expect(!server.files.names.contains("b"))
        #expect(try bob.create("b", contexts: Self.lease("R")).status == .success, "another client's key")
        #expect(try alice.close(file) == .success)
        #expect(try alice.create("c", contexts: Self.lease("R")).status == .success)
    }

    @Test func theLastOpenTakesItsLeaseAlong() throws {
        let (server, alice, bob) = try self.two()
        let first = try alice.open("a", contexts: Self.lease("RWH"))
        let second = try alice.open("a", contexts: Self.lease("RWH"))
        #expect(try alice.close(first) == .success)
        let waiting = try self.pending(bob, bob.createMessage("a"))
        _ = alice.received()
        #expect(try alice.close(second) == .success)
        #expect(bob.received() == [.answer(.create, messageID: waiting, .success)])
        #expect(server.state.leases.isEmpty)
    }

    @Test func whatADirectoryListsIsCachedUntilAnotherChangesIt() throws {
        let (_, alice, bob) = try self.two()
        _ = try bob.open("d", options: .directoryFile)
        let directory = try #require(
            try alice.create("d", access: .readData, options: .directoryFile, contexts: Self.lease("RWH")).create)
        #expect(directory.contexts.lease?.state == [.readCaching, .handleCaching])
        // What the lease's holder does by itself it knows.
        let own = try alice.open("d\\own", contexts: Self.lease("RWH", key: Self.otherKey, parent: Self.key))
        #expect(alice.received().isEmpty)
        #expect(try alice.write(own).status == .success)
        #expect(try alice.close(own) == .success)
        #expect(alice.received().isEmpty)
        let strange = try bob.open("d\\other")
        let notice = try self.breakNotice(alice)
        #expect(notice.leaseKey == Self.key)
        #expect(notice.newState == [])
        #expect(try alice.acknowledge(Self.key, []).status == .success)
        let again = try #require(
            try alice.create("d", access: .readData, options: .directoryFile, contexts: Self.lease("RH")).create)
        #expect(again.contexts.lease?.state == [.readCaching, .handleCaching])
        #expect(try bob.write(strange).status == .success)
        #expect(alice.received().isEmpty, "sizes are shown when the file is closed")
        #expect(try bob.close(strange) == .success)
        #expect(try self.breakNotice(alice).newState == [])
    }

    /// [MS-FSA] 2.1.4.12.2 compares the keys alone.
    @Test func whoeverNamesTheDirectorysLeaseKnowsOfTheChange() throws {
        let (_, alice, bob) = try self.two()
        _ = try alice.create("d", access: .readData, options: .directoryFile, contexts: Self.lease("RH"))
        _ = try bob.open("d\\a", contexts: Self.lease("RWH", key: Self.otherKey, parent: Self.key))
        #expect(alice.received().isEmpty)
        _ = try bob.open("d\\b", contexts: Self.lease("RWH", key: Self.key, parent: Self.otherKey))
        #expect(try self.breakNotice(alice).leaseKey == Self.key)
    }

    /// One handle says that the file shall go, another one's end takes it away: neither alone has made the change.
    @Test(arguments: [false, true]) func aDeletionByTwoHandlesBreaksTheLeasesOfBoth(isInitial: Bool) throws {
        let client = try TestClient.ready(TestServer())
        _ = try client.open("d", options: .directoryFile)
        _ = try client.close(try client.open("d\\a"))
        for key in [Self.key, Self.otherKey] {
            _ = try client.create("d", access: .readData, options: .directoryFile, contexts: Self.lease("RH", key: key))
        }
        let marking = try client.open(
            "d\\a", access: [.readData, .delete], options: isInitial ? .deleteOnClose : [],
            contexts: Self.lease("R", key: GUID(low: 1, high: 0), parent: Self.key))
        let last = try client.open(
            "d\\a", access: [.readData, .delete],
            contexts: Self.lease("R", key: GUID(low: 2, high: 0), parent: Self.otherKey))
        if !isInitial { #expect(try client.setFile(marking, .disposition, [1]).status == .success) }
        #expect(try client.close(marking) == .success)
        #expect(client.received().isEmpty)
        #expect(try client.close(last) == .success)
        #expect(client.received().count == 2)
    }

    private func renaming(to name: String, replaces: Bool = false) -> [UInt8] {
        var data = WireWriter(capacity: 64)
        RenameInformation(replaceIfExists: replaces).encode(into: &data, name: name)
        return data.bytes
    }

    /// It was open when the request came, and is not any more.
    @Test func aFileIsReplacedWhenItsHolderHasClosedIt() throws {
        let (_, alice, bob) = try self.two()
        let held = try alice.open("b", contexts: Self.lease("RWH"))
        let file = try bob.open("a", access: [.readData, .delete])
        _ = try bob.sendWaiting(bob.setFileMessage(file, .rename, self.renaming(to: "b", replaces: true)))
        #expect(try self.breakNotice(alice).newState == OplocksTests.state("RW"))
        #expect(try alice.close(held) == .success)
        guard case .answer(.setInfo, _, let status)? = bob.received().first else {
            Issue.record("no answer")
            return
        }
        #expect(status == .success)
    }

    /// Who opens a file beneath a directory while it is renamed keeps it from that, and is not asked: it would have no end.
    @Test func whoComesWhileADirectoryIsRenamedIsNotAsked() throws {
        let (_, alice, bob) = try self.two()
        let directory = try bob.open("d", access: [.readData, .delete], options: .directoryFile)
        let held = try alice.open("d\\a", contexts: Self.lease("RH"))
        _ = try bob.sendWaiting(bob.setFileMessage(directory, .rename, self.renaming(to: "e")))
        #expect(try self.breakNotice(alice).leaseKey == Self.key)
        _ = try alice.open("d\\b", contexts: Self.lease("RH", key: Self.otherKey))
        #expect(try alice.close(held) == .success)
        #expect(alice.received().isEmpty)
        guard case .answer(.setInfo, _, let status)? = bob.received().first else {
            Issue.record("no answer")
            return
        }
        #expect(status == .accessDenied)
    }

    // MARK: Durable handles

    private func durable(_ contexts: CreateContexts = CreateContexts(), v2 guid: GUID? = nil) -> CreateContexts {
        var contexts = contexts
        if let guid {
            contexts.durableRequestV2 = DurableRequestV2(timeoutMilliseconds: 0, flags: 0, createGUID: guid)
        } else {
            contexts.durableRequest = true
        }
        return contexts
    }

    private func reconnect(_ file: FileID, _ contexts: CreateContexts = CreateContexts()) -> CreateContexts {
        var contexts = contexts
        contexts.durableReconnect = file
        return contexts
    }

    @Test func aDurableHandleNeedsACachedOne() throws {
        let client = try TestClient.ready(TestServer())
        #expect(try client.create("a", oplock: .exclusive, contexts: self.durable()).create?.contexts.durable == false)
        #expect(try client.create("b", oplock: .batch, contexts: self.durable()).create?.contexts.durable == true)
        let lease = self.durable(Self.lease("RW"))
        #expect(try client.create("c", contexts: lease).create?.contexts.durable == false)
        let v2 = self.durable(Self.lease("RH", key: Self.otherKey), v2: GUID(low: 9, high: 9))
        let answer = try client.create("d", contexts: v2).create
        #expect(answer?.contexts.durableV2?.isPersistent == false)
        #expect(answer?.contexts.durableV2?.timeoutMilliseconds == Limits.defaultHandleTimeoutMilliseconds)
    }

    /// The first answer was lost with the connection. A repetition is one for as long as nothing else was done with the handle.
    @Test func aCreateIsRepeatedOverAnotherConnection() throws {
        let server = TestServer()
        let contexts = self.durable(Self.lease("RWH"), v2: GUID(low: 7, high: 7))
        let first = try TestClient.ready(server)
        let file = try #require(try first.create("a", contexts: contexts).create)
        #expect(file.action == .created)
        let other = try TestClient.ready(server)
        #expect(try other.create("a", replay: true, contexts: contexts).status == .duplicateObjectid)
        first.disconnect()
        var last: FileID?
        for _ in 0..<2 {
            let answer = try #require(try other.create("a", replay: true, contexts: contexts).create)
            #expect(answer.action == .created && answer.contexts.lease?.state == .all)
            last = answer.fileID
        }
        #expect(try other.write(try #require(last)).status == .success)
        let anew = try #require(try other.create("a", replay: true, contexts: contexts).create)
        #expect(anew.action == .opened && anew.fileID != last)
    }

    @Test func aDurableHandleIsGivenBackWithItsOplock() throws {
        let (server, alice, bob) = try self.two()
        let file = try #require(try alice.create("a", oplock: .batch, contexts: self.durable()).create).fileID
        alice.disconnect()
        #expect(
            try bob.create("a", contexts: self.reconnect(file)).status == .accessDenied, "another user's handle")
        let back = try TestClient.ready(server)
        #expect(
            try back.create("a", contexts: self.reconnect(file, Self.lease("RWH"))).status == .objectNameNotFound,
            "it had no lease")
        let again = try #require(try back.create("a", contexts: self.reconnect(file)).create)
        #expect(again.oplockLevel == .batch)
        #expect(try back.write(again.fileID).status == .success)
        #expect(try back.create("a", contexts: self.reconnect(file)).status == .objectNameNotFound, "connected")
    }

    @Test func theEndOfTheOldConnectionMayComeLate() throws {
        let (server, alice, _) = try self.two()
        let file = try #require(try alice.create("a", oplock: .batch, contexts: self.durable()).create).fileID
        let back = try TestClient.ready(server)
        let waiting = try self.pending(back, back.createMessage("a", contexts: self.reconnect(file)))
        alice.disconnect()
        #expect(back.received() == [.answer(.create, messageID: waiting, .success)])
    }

    @Test func aDurableHandleGivesWayWhileItsClientIsAway() throws {
        for lease in [true, false] {
            let (server, alice, bob) = try self.two()
            let file = try #require(
                try alice.create(
                    "a", oplock: lease ? .lease : .batch,
                    contexts: self.durable(lease ? Self.lease("RWH") : CreateContexts())
                ).create
            ).fileID
            alice.disconnect()
            #expect(try bob.create("a", access: .readAttributes).status == .success)
            #expect(server.state.opens.count == 2, "that disturbs nobody")
            #expect(try bob.create("a").status == .success)
            let back = try TestClient.ready(server)
            let contexts = self.reconnect(file, lease ? Self.lease("RWH") : CreateContexts())
            #expect(try back.create("a", contexts: contexts).status == .objectNameNotFound)
        }
    }

    @Test func aLeaseMustComeBackWithItsHandle() throws {
        let (server, alice, _) = try self.two()
        let guid = GUID(low: 9, high: 9)
        let file = try alice.open("a", contexts: self.durable(Self.lease("RWH"), v2: guid))
        alice.disconnect()
        func contexts(_ lease: CreateContexts) -> CreateContexts {
            var contexts = lease
            contexts.durableReconnectV2 = DurableReconnectV2(fileID: file, createGUID: guid, flags: 0)
            return contexts
        }
        let stranger = try TestClient.ready(server, guid: GUID(low: 77, high: 77))
        #expect(try stranger.create("a", contexts: contexts(Self.lease("RWH"))).status == .objectNameNotFound)
        let back = try TestClient.ready(server)
        #expect(try back.create("a", contexts: contexts(CreateContexts())).status == .objectNameNotFound)
        #expect(
            try back.create("a", contexts: contexts(Self.lease("RWH", key: Self.otherKey))).status
                == .objectNameNotFound)
        #expect(try back.create("b", contexts: contexts(Self.lease("RWH"))).status == .invalidParameter)
        let again = try #require(try back.create("a", contexts: contexts(Self.lease("RWH"))).create)
        #expect(again.contexts.lease?.state == .all)
        #expect(again.contexts.lease?.version2?.epoch == 0x11)
    }

    @Test func aLogoffKeepsIt() throws {
        let (server, alice, _) = try self.two()
        let file = try #require(try alice.create("a", oplock: .batch, contexts: self.durable()).create).fileID
        #expect(try alice.send(alice.message(.logoff) { LogoffRequest().encode(into: &$0) }).status == .success)
        let back = try TestClient.ready(server)
        #expect(try back.create("a", contexts: self.reconnect(file)).status == .success)
    }

    /// [MS-SMB2] 3.3.5.9.7 asks for nothing but the context: that is all that a client sends which restores its handles.
    @Test func theRestOfAReconnectIsIgnored() throws {
        let (server, alice, _) = try self.two()
        let file = try #require(
            try alice.create("a", oplock: .batch, contexts: self.durable(v2: GUID(low: 9, high: 9))).create
        ).fileID
        alice.disconnect()
        let back = try TestClient.ready(server)
        var message = back.createMessage("elsewhere", contexts: self.reconnect(file))
        for offset in [3, 4, 24, 28, 32, 36, 40] { message[SMB2Header.byteCount + offset] = 0x78 }
        let again = try #require(try back.send(message).create)
        #expect(again.oplockLevel == .batch)
        #expect(!again.contexts.durable)
    }

    @Test func aFileThatGoesWithTheHandleThatGaveWayIsMadeAnew() throws {
        let (server, alice, bob) = try self.two()
        _ = try alice.create(
            "a", access: [.readData, .delete], share: [], options: .deleteOnClose, oplock: .batch,
            contexts: self.durable())
        alice.disconnect()
        #expect(server.files.names == ["a"])
        #expect(try bob.create("a").create?.action == .created)
        #expect(server.files.names == ["a"])
        #expect(server.state.opens.count == 1)
    }

    @Test func whoDeletesTellsThoseWhoCacheTheHandle() throws {
        let (_, alice, bob) = try self.two()
        let kept = try alice.open("a", contexts: Self.lease("RH"))
        let gone = try bob.open("a", access: .delete, options: .deleteOnClose)
        #expect(alice.received().isEmpty)
        #expect(try bob.close(gone) == .success)
        #expect(try self.breakNotice(alice).newState == .readCaching)
        #expect(try alice.close(kept) == .success)
        #expect(try bob.create("a", disposition: .open).status == .objectNameNotFound)
    }

    @Test func aReplayMustNameTheSameLease() throws {
        let client = try TestClient.ready(TestServer())
        let guid = GUID(low: 9, high: 9)
        let contexts = self.durable(Self.lease("RH"), v2: guid)
        #expect(try client.create("a", contexts: contexts).status == .success)
        let other = self.durable(Self.lease("RH", key: Self.otherKey), v2: guid)
        #expect(try client.create("a", replay: true, contexts: other).status == .accessDenied)
        #expect(try client.create("a", replay: true, contexts: contexts).create?.contexts.durableV2 != nil)
        // An oplock is answered as it is asked for this time.
        let oplock = self.durable(v2: GUID(low: 8, high: 8))
        #expect(try client.create("b", oplock: .batch, contexts: oplock).create?.oplockLevel == .batch)
        let replayed = try #require(
            try client.create("b", oplock: OplockLevel.none, replay: true, contexts: oplock).create)
        #expect(replayed.oplockLevel == .none)
        #expect(replayed.contexts.durableV2 == nil)
    }

    @Test func aHandleWhoseBreakWasNeverAnsweredIsNotKept() throws {
        let (server, alice, bob) = try self.two()
        _ = try alice.create("a", oplock: .batch, contexts: self.durable())
        let waiting = try self.pending(bob, bob.createMessage("a"))
        alice.disconnect()
        #expect(bob.received() == [.answer(.create, messageID: waiting, .success)])
        #expect(server.state.opens.count == 1)
    }

    @Test func itsTimeRunsOut() throws {
        let (server, alice, _) = try self.two()
        _ = try alice.create("a", oplock: .batch, contexts: self.durable())
        alice.disconnect()
        server.state.now += UInt64(Limits.durableHandleTimeoutMilliseconds) - 1
        server.state.tick()
        #expect(server.state.opens.count == 1)
        server.state.now += 1
        server.state.tick()
        #expect(server.state.opens.count == 0)
    }

    @Test func aReplayOfWhatStillWaitsIsSentAway() throws {
        let (_, alice, bob) = try self.two()
        let first = try #require(try alice.create("a", oplock: .batch).create).fileID
        let contexts = self.durable(Self.lease("RWH"), v2: GUID(low: 9, high: 9))
        let waiting = try self.pending(bob, bob.createMessage("a", contexts: contexts))
        #expect(try bob.create("a", replay: true, contexts: contexts).status == .fileNotAvailable)
        #expect(try bob.create("a", contexts: contexts).status == .duplicateObjectid)
        #expect(try alice.close(first) == .success)
        #expect(bob.received() == [.answer(.create, messageID: waiting, .success)])
        let replayed = try #require(try bob.create("a", replay: true, contexts: contexts).create)
        #expect(replayed.contexts.lease?.state == .all)
    }

    // MARK: Hostile clients

    @Test(arguments: UInt64(0)..<100)
    func acknowledgementsOfAllKindsHarmNobody(seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        let (server, alice, bob) = try self.two()
        let keys = [Self.key, Self.otherKey, .zero]
        var files: [FileID] = [.related, FileID(persistent: 1, volatile: 1)]
        for _ in 0..<200 {
            let client = Bool.random(using: &random) ? alice : bob
            let state = LeaseState(rawValue: UInt32.random(in: 0...15, using: &random))
            let key = keys.randomElement(using: &random) ?? .zero
            let name = ["a", "b"].randomElement(using: &random) ?? ""
            let reply: TestReply
            switch Int.random(in: 0..<7, using: &random) {
            case 0:
                let level = OplockLevel(rawValue: UInt8.random(in: 0...10, using: &random))
                reply = try client.acknowledge(files.randomElement(using: &random) ?? .related, level)
            case 1: reply = try client.acknowledge(key, state)
            case 2:
                var contexts = CreateContexts()
                contexts.lease = LeaseContext(
                    key: key, state: state,
                    version2: Bool.random(using: &random) ? .init(parentKey: key, epoch: .max) : nil)
                reply = try client.create(
                    name, share: Bool.random(using: &random) ? .all : [],
                    disposition: CreateDisposition.allCases.randomElement(using: &random) ?? .open, contexts: contexts)
            case 3:
                reply = try client.create(
                    name, oplock: OplockLevel(rawValue: UInt8.random(in: 0...10, using: &random)))
            case 4:
                let id = files.randomElement(using: &random) ?? .related
                _ = try client.close(id)
                continue
            case 5: reply = try client.write(files.randomElement(using: &random) ?? .related)
            default:
                server.state.now += UInt64.random(in: 0...20_000, using: &random)
                server.state.tick()
                server.takeEffects()
                continue
            }
            #expect(reply.disconnect == nil)
            if let file = reply.create?.fileID { files.append(file) }
        }
        alice.disconnect()
        bob.disconnect()
        #expect(server.state.opens.count == 0)
        #expect(server.state.files.count == 0)
        #expect(server.state.pending.count == 0)
        #expect(server.state.leases.isEmpty)
    }
}

/// A generator with a seed.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
