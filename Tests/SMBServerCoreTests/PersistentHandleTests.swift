import SMB2Wire
import SMBServerCore
import StateRecords
import Testing

@Suite struct PersistentHandleTests {
    private let guid = GUID(low: 0xAA, high: 0xBB)

    private func request(timeout: UInt32 = 0, guid: GUID? = nil) -> CreateContexts {
        var contexts = CreateContexts()
        contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: timeout, flags: DurableRequestV2.persistentFlag, createGUID: guid ?? self.guid)
        return contexts
    }

    private func reconnect(_ file: FileID, flags: UInt32 = 2, guid: GUID? = nil) -> CreateContexts {
        var contexts = CreateContexts()
        contexts.durableReconnectV2 = DurableReconnectV2(fileID: file, createGUID: guid ?? self.guid, flags: flags)
        return contexts
    }

    /// What the journal would give to the server that comes after.
    private func successor(of server: TestServer) -> TestServer {
        var kept = HandleState()
        for mutation in server.journal { kept.apply(mutation) }
        let next = TestServer(files: server.files)
        let (_, lost) = next.state.load(kept.orderedOpens)
        #expect(lost.isEmpty)
        next.takeEffects()
        return next
    }

    @Test func itIsGrantedAndRecordedBeforeTheAnswer() throws {
        let server = TestServer()
        let client = try TestClient.ready(server, share: "ca")
        let reply = try client.create("a", share: .read, contexts: self.request())
        let answer = try #require(reply.create)
        #expect(answer.contexts.durableV2?.isPersistent == true)
        #expect(answer.contexts.durableV2?.timeoutMilliseconds == Limits.defaultHandleTimeoutMilliseconds)
        #expect(server.awaited)
        guard case .putOpen(let record)? = server.journal.last else {
            Issue.record("\(server.journal)")
            return
        }
        #expect(record.persistentID == answer.fileID.persistent)
        #expect(record.createGUID == GUID16(low: 0xAA, high: 0xBB))
        #expect(record.ownerSID == "S-1-5-21-1-2-3-1000")
        #expect(record.shareAccess == ShareAccess.read.rawValue)
        guard case .sync? = reply.reply?.work else {
            Issue.record("the new file itself must be stable too")
            return
        }
    }

    /// The record of a renamed open may be committed before the rename is on the disk: the next node looks at both names.
    @Test func aRenameIsRecordedWithTheNameBefore() throws {
        let server = TestServer()
        let client = try TestClient.ready(server, share: "ca")
        let file = try #require(
            try client.create("a", access: [.genericRead, .delete], contexts: self.request()).create
        ).fileID
        for name in ["b", "c"] {
            var rename = WireWriter()
            RenameInformation(replaceIfExists: false).encode(into: &rename, name: name)
            #expect(try client.setFile(file, .rename, Array(rename.bytes)).status == .success)
        }
        let paths = server.journal.compactMap { mutation in
            if case .putOpen(let record) = mutation { [record.formerPath, record.path] } else { nil }
        }
        #expect(paths == [["", "a"], ["a", "b"], ["b", "c"]])
    }

    /// The node died between the rename and its record: the disk is right.
    @Test func aFileThatIsElsewhereThanItsRecordSaysKeepsItsOwnName() throws {
        let server = TestServer()
        let client = try TestClient.ready(server, share: "ca")
        var files: [FileID] = []
        for name in ["moved", "stays"] {
            let guid = GUID(low: 1 + UInt64(files.count), high: 7)
            let created = try client.create(
                name, access: [.genericRead, .delete], contexts: self.request(guid: guid)
            ).create
            files.append(try #require(created).fileID)
        }
        client.disconnect()
        server.files.contents.withLock { $0.nodes["b"] = $0.nodes.removeValue(forKey: "moved") }
        let next = self.successor(of: server)
        let paths = try files.map { file in
            next.state.opens[try #require(next.state.durableOpens[file.persistent])]?.path
        }
        #expect(paths == ["b", "stays"])
    }

    /// What happened in a folder and was told over a channel that ended then may not have arrived: it is read anew, once.
    @Test func aWatchedFolderIsReadAnewAfterAChannelsEnd() throws {
        let server = TestServer()
        let watcher = Watcher()
        server.state.watcher = watcher
        let first = try TestClient.ready(server)
        let folder = try #require(
            try first.create("d", access: .listDirectory, options: .directoryFile).create
        ).fileID
        let second = try first.channel()
        #expect(try second.notify(folder).status == .pending)
        server.state.directoryChanged(
            folder.volatile, [FileNotifyInformation(action: .added, name: "lost")], isOverflow: false)
        server.takeEffects()
        second.disconnect()
        #expect(try first.notify(folder).status == .pending)
        #expect(first.received().map(\.status) == [.notifyEnumDir])
        #expect(try first.notify(folder).status == .pending)
        #expect(first.received().isEmpty)
    }

    /// A client that watches a folder keeps its handle, and is told to read the folder anew: what happened in it while nobody
    /// looked, or was told on the connection that broke, it would never hear of. Once.
    @Test(arguments: [true, false]) func aFolderIsReadAnewAfterAReclaim(onTheNextNode: Bool) throws {
        let first = TestServer()
        let watcher = Watcher()
        first.state.watcher = watcher
        let client = try TestClient.ready(first, share: "ca")
        let reply = try client.create(
            "d", access: .listDirectory, options: .directoryFile, contexts: self.request())
        #expect(reply.create?.contexts.durableV2?.isPersistent == true)
        let folder = try #require(reply.create).fileID
        #expect(try client.notify(folder).status == .pending)
        client.disconnect()
        let server = onTheNextNode ? self.successor(of: first) : first
        server.state.watcher = watcher
        let back = try TestClient.ready(server, share: "ca")
        let again = try #require(try back.create("", contexts: self.reconnect(folder)).create).fileID
        #expect(try back.notify(again).status == .pending)
        #expect(back.received().map(\.status) == [.notifyEnumDir])
        // From here on it hears of what happens.
        #expect(try back.notify(again).status == .pending)
        #expect(back.received().isEmpty)
        server.state.directoryChanged(
            again.volatile, [FileNotifyInformation(action: .added, name: "new")], isOverflow: false)
        server.takeEffects()
        #expect(back.received().map(\.status) == [.success])
    }

    /// smb2.notify.rmdir: who watches a folder that somebody deletes is asked to let it go.
    @Test(arguments: [CreateOptions.directoryFile, [.directoryFile, .deleteOnClose]])
    func aFolderThatIsToGo(options: CreateOptions) throws {
        let server = TestServer()
        server.state.watcher = Watcher()
        let client = try TestClient.ready(server)
        let folder = try client.open("d", access: .listDirectory, options: .directoryFile)
        #expect(try client.notify(folder).status == .pending)
        let rival = try client.open("d", access: .delete, options: options)
        #expect(client.received().isEmpty)
        if !options.contains(.deleteOnClose) {
            #expect(try client.setFile(rival, .disposition, [1]).status == .success)
            #expect(client.received().map(\.status) == [.deletePending])
        }
        #expect(try client.close(rival) == .success)
        #expect(client.received().map(\.status) == (options.contains(.deleteOnClose) ? [.deletePending] : []))
        #expect(try client.notify(folder).status == .deletePending)
    }

    /// [MS-FSA] 2.1.5.5, phase 1: what has entries is not marked by the end of such an open.
    @Test func aFolderThatIsNotEmptyStays() throws {
        let server = TestServer()
        server.state.watcher = Watcher()
        let client = try TestClient.ready(server)
        let folder = try client.open("d", access: .listDirectory, options: .directoryFile)
        let file = try client.open("d\\x", access: [.readData, .delete])
        #expect(try client.notify(folder).status == .pending)
        let rival = try client.open("d", access: .delete, options: [.directoryFile, .deleteOnClose])
        #expect(try client.close(rival) == .success)
        #expect(client.received().isEmpty)
        #expect(try client.create("d", access: .listDirectory, options: .directoryFile).status == .success)
        // That it is empty later changes nothing.
        #expect(try client.setFile(file, .disposition, [1]).status == .success)
        #expect(try client.close(file) == .success)
        client.disconnect()
        #expect(server.files.names == ["d"])
    }

    @Test func aHandleThatWasNeverAwayMissedNothing() throws {
        let server = TestServer()
        server.state.watcher = Watcher()
        let client = try TestClient.ready(server, share: "ca")
        let folder = try client.open(
            "d", access: .listDirectory, options: .directoryFile, contexts: self.request())
        #expect(try client.notify(folder).status == .pending)
        #expect(client.received().isEmpty)
    }

    private final class Watcher: DirectoryWatching {
        private final class Watch: DirectoryWatch {}

        func watch(
            _ handle: any FileHandle, key: UInt64, filter: ChangeNotifyRequest.Filter, isRecursive: Bool
        ) throws(SMBError) -> any DirectoryWatch { Watch() }
    }

    @Test func notOnAnOrdinaryShareNorUnasked() throws {
        let server = TestServer()
        let ordinary = try TestClient.ready(server)
        #expect(try ordinary.create("a", contexts: self.request()).create?.contexts.durableV2 == nil)
        let client = try TestClient.ready(server, share: "ca")
        #expect(try client.create("b").create?.contexts.durableV2 == nil)
        #expect(!server.journal.contains { if case .putOpen = $0 { true } else { false } })
    }

    /// A power loss took files that had been made through ordinary handles and whose creation had been answered.
    @Test(arguments: [("ca", true), ("test", false)])
    func whatIsMadeOnSuchAShareIsStableWhateverMakesIt(share: String, isStable: Bool) throws {
        let client = try TestClient.ready(TestServer(), share: share)
        func waits(_ reply: TestReply) -> Bool {
            if case .sync(_, includingName: true)? = reply.reply?.work { true } else { false }
        }
        #expect(waits(try client.create("made", disposition: .create)) == isStable)
        #expect(!waits(try client.create("made", disposition: .open)), "nothing was made")
    }

    @Test func theTimeoutIsCapped() throws {
        let client = try TestClient.ready(TestServer(), share: "ca")
        let answer = try client.create("a", contexts: self.request(timeout: .max)).create
        #expect(answer?.contexts.durableV2?.timeoutMilliseconds == Limits.maximumHandleTimeoutMilliseconds)
    }

    @Test func whileItsClientIsAwayNobodyTakesWhatItProtects() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", share: .read, contexts: self.request())
        alice.disconnect()
        let rival = try TestClient.ready(server, share: "ca", user: "bob", guid: GUID(low: 2, high: 2))
        #expect(try rival.create("a", access: .writeData).status == .fileNotAvailable)
        #expect(try rival.create("a", access: .readAttributes).status == .success)
        #expect(
            try rival.create("a", contexts: self.reconnect(file)).status == .accessDenied, "another user's handle")
        let back = try TestClient.ready(server, share: "ca")
        let again = try #require(try back.create("a", contexts: self.reconnect(file)).create)
        #expect(again.fileID.persistent == file.persistent)
        #expect(try back.write(again.fileID).status == .success)
        #expect(try rival.create("a", access: .writeData).status == .sharingViolation)
    }

    @Test func itSurvivesTheServerWithItsLocks() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        // Without handle caching nobody could open the file while it is away.
        var contexts = self.request()
        contexts.lease = CachingTests.lease("RH").lease
        let file = try alice.open("a", contexts: contexts)
        let lock = LockElement(offset: 5, length: 5, flags: [.exclusive, .failImmediately])
        #expect(try alice.lock(file, [lock], sequenceNumber: 3, sequenceIndex: 1).status == .success)
        #expect(server.awaited)

        let next = self.successor(of: server)
        let rival = try TestClient.ready(next, share: "ca", user: "bob", guid: GUID(low: 2, high: 2))
        let other = try rival.open("a")
        #expect(try rival.lock(other, [lock]).status == .lockNotGranted)
        #expect(try rival.write(other, at: 5).status == .fileLockConflict)

        let back = try TestClient.ready(next, share: "ca")
        var reconnect = self.reconnect(file)
        reconnect.lease = contexts.lease
        let again = try #require(try back.create("a", contexts: reconnect).create).fileID
        // The client does not know whether its LOCK was carried out: it sends it again.
        #expect(try back.lock(again, [lock], sequenceNumber: 3, sequenceIndex: 1).status == .success)
        #expect(try back.lock(again, [lock], sequenceNumber: 4, sequenceIndex: 1).status == .lockNotGranted)
        #expect(try back.write(again, at: 5).status == .success)
        #expect(try rival.write(other, at: 5).status == .fileLockConflict)
    }

    /// The server died when it had deleted the name, and before it could say so.
    @Test func whatIsDeletedIsNotDeletedAgainUnderItsOtherName() throws {
        let server = TestServer()
        let client = try TestClient.ready(server, share: "ca")
        let file = try client.open(
            "a", access: [.readData, .delete], options: .deleteOnClose, contexts: self.request())
        server.files.contents.withLock {
            $0.nodes["b"] = $0.nodes["a"]
            $0.nodes["a"] = nil
        }
        var kept = HandleState()
        for mutation in server.journal { kept.apply(mutation) }

        let next = TestServer(files: server.files)
        let (reopened, lost) = next.state.load(kept.orderedOpens)
        #expect(reopened == 0 && lost == [file.persistent])
        next.state.now += 2 * UInt64(Limits.defaultHandleTimeoutMilliseconds)
        next.state.tick()
        #expect(next.files.names == ["b"])
    }

    @Test(arguments: [NTStatus.ioDeviceError, .tooManyOpenedFiles, .insufficientResources])
    func whatFailsWhileLoadingCostsNoHandle(status: NTStatus) throws {
        let server = TestServer()
        _ = try TestClient.ready(server, share: "ca").open("a", contexts: self.request())
        var kept = HandleState()
        for mutation in server.journal { kept.apply(mutation) }

        let next = TestServer(files: server.files)
        server.files.failure.withLock { $0 = status }
        _ = next.state.load(kept.orderedOpens)
        #expect(next.state.loadFailure?.status == status)
        next.takeEffects()
        #expect(next.journal.isEmpty, "no tombstone")

        let gone = TestServer(files: server.files)
        server.files.failure.withLock { $0 = .objectNameNotFound }
        let (_, lost) = gone.state.load(kept.orderedOpens)
        #expect(gone.state.loadFailure == nil)
        gone.takeEffects()
        #expect(gone.journal == lost.map { .removeOpen(persistentID: $0) })
        #expect(lost.count == 1)
    }

    @Test func aDeletionCanBeTakenBackOnTheNextNode() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", access: [.readData, .delete], contexts: self.request())
        #expect(try alice.setFile(file, .disposition, [1]).status == .success)

        let next = self.successor(of: server)
        let rival = try TestClient.ready(next, share: "ca", user: "bob", guid: GUID(low: 2, high: 2))
        #expect(try rival.create("a").status == .deletePending)
        let back = try TestClient.ready(next, share: "ca")
        let again = try #require(try back.create("a", contexts: self.reconnect(file)).create).fileID
        #expect(try back.setFile(again, .disposition, [0]).status == .success)
        #expect(try back.close(again) == .success)
        #expect(next.files.names.contains("a"))
    }

    @Test func whatIsAnsweredAgainWaitsForWhatMayStillBeUnderWay() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try #require(try alice.create("a", contexts: self.request()).create).fileID
        #expect(try alice.create("a", replay: true, contexts: self.request()).status == .success)
        #expect(server.awaited)
        let lock = LockElement(offset: 5, length: 5, flags: [.exclusive, .failImmediately])
        #expect(try alice.lock(file, [lock], sequenceNumber: 3, sequenceIndex: 1).status == .success)
        #expect(try alice.lock(file, [lock], sequenceNumber: 3, sequenceIndex: 1).status == .success)
        #expect(server.awaited)
    }

    @Test func idsAreNeverGivenOutTwice() throws {
        let server = TestServer()
        let first = try TestClient.ready(server, share: "ca").open("a", contexts: self.request())
        let next = self.successor(of: server)
        let second = try TestClient.ready(next, share: "ca").open("b")
        #expect(second.persistent > first.persistent)
    }

    /// [MS-SMB2] 3.3.5.9.7: a durable handle of the first version is found by this id alone, and the next node has no
    /// record of it.
    @Test func idsWithoutARecordAreNeverGivenOutTwiceEither() throws {
        let server = TestServer()
        server.state.reservePersistentIDs(from: 1)
        server.takeEffects()
        #expect(server.awaited, "before a client can have one")
        let first = try TestClient.ready(server).open("a")
        var kept = HandleState()
        for mutation in server.journal { kept.apply(mutation) }
        let next = TestServer(files: server.files)
        next.state.reservePersistentIDs(from: kept.nextPersistentID)
        next.takeEffects()
        #expect(try TestClient.ready(next).open("b").persistent > first.persistent)
    }

    @Test func moreIDsAreReservedLongBeforeTheyAreUsedUp() throws {
        let server = TestServer()
        server.state.reservePersistentIDs(from: 1)
        server.takeEffects()
        let client = try TestClient.ready(server)
        func reservations() -> [Mutation] { server.journal.filter { if case .reserveIDs = $0 { true } else { false } } }
        server.state.nextPersistentID = Limits.persistentIDsReserved / 2
        _ = try client.open("a")
        #expect(reservations() == [.reserveIDs(below: Limits.persistentIDsReserved + 1)])
        let last = try client.open("b").persistent
        #expect(reservations().count == 2)
        #expect(reservations().last == .reserveIDs(below: last + 1 + Limits.persistentIDsReserved))
    }

    @Test func aFoundHandleMustBeTheRightOne() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", contexts: self.request())
        let connected = try TestClient.ready(server, share: "ca")
        let waiting = try connected.create("a", contexts: self.reconnect(file))
        #expect(waiting.status == .pending, "its connection may be about to end")
        server.state.now += Limits.reclaimMilliseconds
        server.state.tick()
        server.takeEffects()
        let id = waiting.header?.messageID ?? 0
        #expect(connected.received() == [.answer(.create, messageID: id, .objectNameNotFound)], "it is in use")
        alice.disconnect()
        let back = try TestClient.ready(server, share: "ca")
        let wrong = GUID(low: 1, high: 1)
        #expect(try back.create("a", contexts: self.reconnect(file, guid: wrong)).status == .objectNameNotFound)
        #expect(try back.create("a", contexts: self.reconnect(file, flags: 0)).status == .objectNameNotFound)
        let lost = FileID(persistent: 999, volatile: 1)
        #expect(try back.create("a", contexts: self.reconnect(lost, guid: wrong)).status == .objectNameNotFound)
        #expect(try back.create("a", contexts: self.reconnect(lost)).status == .success, "found by its CreateGuid")
    }

    @Test func itsTimeRunsOut() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", share: [], contexts: self.request(timeout: 5000))
        alice.disconnect()
        server.state.now += 4999
        server.state.tick()
        let rival = try TestClient.ready(server, share: "ca", user: "bob", guid: GUID(low: 2, high: 2))
        #expect(try rival.create("a").status == .fileNotAvailable)
        server.state.now += 1
        server.state.tick()
        server.takeEffects()
        #expect(server.journal.contains(.removeOpen(persistentID: file.persistent)))
        #expect(try rival.create("a").status == .success)
    }

    @Test func closingItRemovesItsRecord() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", contexts: self.request())
        #expect(try alice.close(file) == .success)
        #expect(server.journal.last == .removeOpen(persistentID: file.persistent))
        #expect(server.awaited, "what was closed stays closed on the next node")
    }

    @Test func aTreeDisconnectClosesItOnTheNextNodeToo() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", contexts: self.request())
        #expect(try alice.send(alice.message(.treeDisconnect) { EmptyBody().encode(into: &$0) }).status == .success)
        #expect(server.journal.last == .removeOpen(persistentID: file.persistent))
        #expect(server.awaited, "what was closed stays closed on the next node")
    }

    /// As with CLOSE: what a client saw deleted must not come back with a failover.
    @Test(arguments: [SMB2Command.treeDisconnect, .logoff], ["ca", "test"])
    func whatIsDeletedWithATreeOrASessionIsStableBeforeTheAnswer(command: SMB2Command, share: String) throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: share)
        for name in ["a", "b"] { _ = try alice.open(name, access: [.readData, .delete], options: .deleteOnClose) }
        _ = try alice.open("c")
        let reply = try alice.send(alice.message(command) { EmptyBody().encode(into: &$0) })
        #expect(reply.status == .success)
        #expect(server.files.names == ["c"])
        var settled: [any FileHandle] = []
        if case .settle(let files)? = reply.reply?.work { settled = files }
        #expect(settled.count == (share == "ca" ? 2 : 0))
    }

    /// The stream's record goes at once, not when the file is gone from the disk.
    @Test func aStreamThatItsFileWaitedForIsClosedOnTheNextNodeToo() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let stream = try alice.open("a:s", contexts: self.request())
        let file = try alice.open("a", access: [.readData, .delete], options: .deleteOnClose)
        #expect(try alice.close(file) == .success)
        #expect(server.files.names == ["a"])
        let reply = try alice.send(alice.message(.close) { CloseRequest(fileID: stream).encode(into: &$0) })
        #expect(server.files.names.isEmpty)
        #expect(server.journal.contains(.removeOpen(persistentID: stream.persistent)))
        #expect(server.awaited)
        if case .sync? = reply.reply?.work {} else { Issue.record("answered at once") }
    }

    /// The handle had no record, and the file is deleted only with another one, whose record says so.
    @Test func whoMarksAFileByClosingItIsAnsweredWhenTheNextNodeKnows() throws {
        let server = TestServer()
        let bob = try TestClient.ready(server, share: "ca", user: "bob", guid: GUID(low: 2, high: 2))
        _ = try bob.open("a", contexts: self.request())
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", access: [.readData, .delete], options: .deleteOnClose)
        #expect(try alice.close(file) == .success)
        #expect(server.awaited)
        #expect(try TestClient.ready(self.successor(of: server), share: "ca").create("a").status == .deletePending)
    }

    /// Chaos found files that were back after a failover: the record had gone before the deletion was on the disk.
    @Test func theRecordOfADeletionStaysUntilTheDeletionIsOnTheDisk() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open(
            "a", access: [.readData, .writeData, .delete], options: .deleteOnClose, contexts: self.request())
        #expect(try alice.close(file) == .success)
        #expect(!server.journal.contains(.removeOpen(persistentID: file.persistent)))
        #expect(server.files.names.isEmpty)

        // Crash: the disk has forgotten the deletion. The next node knows that there is one to be made.
        var kept = HandleState()
        for mutation in server.journal { kept.apply(mutation) }
        #expect(kept.orderedOpens.map(\.deleteOnClose) == [true])

        // No crash: now the record may go.
        server.state.settleDeletion(try #require(server.unsettled.first))
        server.takeEffects()
        #expect(server.journal.last == .removeOpen(persistentID: file.persistent))
    }

    @Test func aRepeatedCreateIsAnsweredAndNotCarriedOutAgain() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let first = try #require(try alice.create("a", contexts: self.request()).create)
        #expect(try alice.create("a", contexts: self.request()).status == .duplicateObjectid, "no replay flag")
        let records = server.journal.count
        let replayed = try #require(try alice.create("a", replay: true, contexts: self.request()).create)
        #expect(replayed.fileID == first.fileID)
        #expect(replayed.action == .created)
        #expect(replayed.contexts.durableV2?.isPersistent == true)
        #expect(server.journal.count == records)
        #expect(server.state.opens.count == 1)
    }

    /// [MS-SMB2] 3.3.5.9.10: the use of its handle leaves a persistent open eligible; it is never opened a second time.
    @Test func aRepeatedCreateWhoseHandleIsUsedOpensNothing() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let first = try alice.open("a", contexts: self.request())
        #expect(try alice.write(first).status == .success)
        #expect(try alice.create("a", replay: true, contexts: self.request()).status == .fileNotAvailable)
        #expect(try alice.create("a", contexts: self.request()).status == .duplicateObjectid)
        #expect(server.state.opens.count == 1)
        // It lost the connection behind a compound that opened the file and wrote to it, and heard of neither.
        alice.disconnect()
        let back = try TestClient.ready(server, share: "ca")
        let again = try #require(try back.create("a", replay: true, contexts: self.request()).create)
        #expect(again.fileID.persistent == first.persistent)
        #expect(server.state.opens.count == 1)
    }

    /// A client that died with the share's root open must not keep all the others from the share.
    @Test func aFolderIsOnlyKeptByItsShareMode() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        for (name, share) in [("open", ShareAccess.all), ("kept", [])] {
            _ = try alice.open(
                name, access: .listDirectory, share: share, options: .directoryFile,
                contexts: self.request(guid: GUID(low: UInt64(share.rawValue), high: 3)))
        }
        alice.disconnect()
        let rival = try TestClient.ready(server, share: "ca", user: "bob", guid: GUID(low: 2, high: 2))
        #expect(try rival.create("open", access: .listDirectory, options: .directoryFile).status == .success)
        #expect(try rival.create("kept", access: .listDirectory, options: .directoryFile).status == .fileNotAvailable)
    }

    @Test func aCreateWhoseAnswerWasLostIsReplayedOnTheNextNode() throws {
        let server = TestServer()
        let first = try TestClient.ready(server, share: "ca").open("a", share: [], contexts: self.request())
        let next = self.successor(of: server)
        let back = try TestClient.ready(next, share: "ca")
        let replayed = try #require(
            try back.create("a", share: [], replay: true, contexts: self.request()).create)
        #expect(replayed.fileID.persistent == first.persistent)
        #expect(try back.write(replayed.fileID).status == .success)
    }

    /// The node died between making the file and replicating the open's record.
    @Test func aCreateWhoseRecordWasLostIsCarriedOutAgain() throws {
        let server = TestServer()
        #expect(try TestClient.ready(server, share: "ca").open("a", contexts: self.request()).persistent != 0)
        server.journal = []
        let next = self.successor(of: server)
        let back = try TestClient.ready(next, share: "ca")
        let fresh = try back.create("a", disposition: .create, contexts: self.request())
        #expect(fresh.status == .objectNameCollision, "no replay")
        let foreign = try back.create(
            "a", disposition: .create, replay: true, contexts: self.request(guid: GUID(low: 1, high: 2)))
        #expect(foreign.status == .objectNameCollision, "another request made it")
        let replayed = try #require(
            try back.create("a", disposition: .create, replay: true, contexts: self.request()).create)
        #expect(replayed.action == .created)
        #expect(replayed.contexts.durableV2?.isPersistent == true)
        #expect(next.files.names == ["a"])
    }

    @Test func anotherClientsCreateGUIDIsNoReplay() throws {
        let server = TestServer()
        #expect(try TestClient.ready(server, share: "ca").open("a", contexts: self.request()).persistent != 0)
        server.journal = []
        let next = self.successor(of: server)
        let other = try TestClient.ready(next, share: "ca", guid: GUID(low: 9, high: 9))
        let reply = try other.create("a", disposition: .create, replay: true, contexts: self.request())
        #expect(reply.status == .objectNameCollision)
    }

    @Test func aStaleRequestOfTheOldConnectionChangesNothing() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", contexts: self.request())
        alice.channelSequence = 2
        #expect(try alice.write(file).status == .success)
        #expect(server.awaited, "the new sequence is recorded first")
        alice.channelSequence = 1
        #expect(try alice.write(file).status == .fileNotAvailable)
        #expect(try alice.read(file).status == .success, "reading harms nobody")
    }

    @Test func anApplicationThatMovedTakesItsFileOver() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        var contexts = self.request()
        contexts.appInstanceID = GUID(low: 5, high: 5)
        let file = try alice.open("a", share: [], contexts: contexts)
        let elsewhere = try TestClient.ready(server, share: "ca", guid: GUID(low: 3, high: 3))
        contexts.durableRequestV2?.createGUID = GUID(low: 4, high: 4)
        #expect(try elsewhere.create("a", share: [], contexts: contexts).status == .success)
        #expect(try alice.write(file).status == .fileClosed)
    }

    @Test func deleteOnCloseIsKeptThroughARestart() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open(
            "a", access: [.delete, .readData], options: .deleteOnClose, contexts: self.request())
        let next = self.successor(of: server)
        let back = try TestClient.ready(next, share: "ca")
        let again = try #require(try back.create("a", contexts: self.reconnect(file)).create).fileID
        #expect(next.files.names == ["a"])
        #expect(try back.close(again) == .success)
        #expect(next.files.names == [])
    }

    /// The mark is the file's: it must outlive the handle through which it was set. [MS-FSA] 2.1.5.15.3, 2.1.5.4.
    @Test(arguments: [CreateOptions(), .deleteOnClose])
    func aDeletionThatWaitsForAnotherHandleSurvives(_ options: CreateOptions) throws {
        let server = TestServer()
        let bob = try TestClient.ready(server, share: "ca", user: "bob", guid: GUID(low: 2, high: 2))
        _ = try bob.open("a", contexts: self.request(guid: GUID(low: 3, high: 3)))
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open(
            "a", access: [.readData, .delete], options: options, contexts: self.request())
        if options.isEmpty { #expect(try alice.setFile(file, .disposition, [1]).status == .success) }
        #expect(try alice.close(file) == .success)

        let next = self.successor(of: server)
        #expect(try TestClient.ready(next, share: "ca").create("a").status == .deletePending)
    }

    /// What could not be deleted because the storage failed is for the next node to delete: the record stays, and the answer
    /// waits for a disk that is not there.
    @Test func aDeletionThatTheStorageRefusesKeepsItsRecord() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let file = try alice.open("a", access: .delete, options: .deleteOnClose, contexts: self.request())
        server.files.failure.withLock { $0 = .ioDeviceError }
        let reply = try alice.send(alice.message(.close) { CloseRequest(fileID: file).encode(into: &$0) })
        if case .sync? = reply.reply?.work {} else { Issue.record("answered at once") }
        server.files.failure.withLock { $0 = nil }

        let next = self.successor(of: server)
        #expect(next.state.status().persistentOpens == 1)
        let back = try TestClient.ready(next, share: "ca")
        let again = try #require(try back.create("a", contexts: self.reconnect(file)).create).fileID
        #expect(try back.close(again) == .success)
        #expect(next.files.names.isEmpty)
    }
}

extension TestClient {
    fileprivate func notify(_ folder: FileID) throws -> TestReply {
        try self.send(
            self.message(.changeNotify) {
                ChangeNotifyRequest(fileID: folder, filter: .fileName, watchesTree: false, outputBufferLength: 4096)
                    .encode(into: &$0)
            })
    }
}

extension Received {
    fileprivate var status: NTStatus? {
        if case .answer(_, _, let status) = self { status } else { nil }
    }
}
