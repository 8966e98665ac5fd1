import SMB2Wire
import SMBServerCore
import StateRecords
import Testing

/// How much is recorded, and what is made of records of which only a part came to be.
@Suite struct RecordCountTests {
    private func persistent(_ number: Int, _ lease: String? = nil) -> CreateContexts {
        var contexts = lease.map { CachingTests.lease($0) } ?? CreateContexts()
        contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 0, flags: DurableRequestV2.persistentFlag,
            createGUID: GUID(low: UInt64(number) + 1, high: 9))
        return contexts
    }

    private func records(_ mutations: [Mutation]) -> [OpenRecord] {
        mutations.compactMap { if case .putOpen(let record) = $0 { record } else { nil } }
    }

    private func state(after mutations: [Mutation]) -> [OpenRecord] {
        var kept = HandleState()
        for mutation in mutations { kept.apply(mutation) }
        return kept.orderedOpens
    }

    private func successor(of server: TestServer, with records: [OpenRecord]) -> TestServer {
        let next = TestServer(files: server.files)
        let (_, lost) = next.state.load(records)
        #expect(lost.isEmpty)
        next.state.alignRecords(records)
        next.takeEffects()
        return next
    }

    /// With each of them the records of all others were written again: of 250, more than Raft takes as an entry.
    @Test func opensThatDeleteTheirFileAndAreClosedTogetherAreRecordedOnce() throws {
        let server = TestServer()
        let client = try TestClient.ready(server, share: "ca")
        let count = 50
        for number in 0..<count {
            _ = try client.open(
                "a", access: [.readData, .delete], options: .deleteOnClose, contexts: self.persistent(number))
        }
        server.journal = []
        let reply = try client.send(client.message(.treeDisconnect) { TreeDisconnectRequest().encode(into: &$0) })
        #expect(reply.status == .success)
        #expect(server.files.names.isEmpty)
        #expect(self.records(server.journal).map(\.deleteOnClose) == Array(repeating: true, count: count - 1))
    }

    /// A lease's records speak of it alike; what another open of it does not change they need not say again.
    @Test func anotherOpenOfALeaseIsRecordedAlone() throws {
        let server = TestServer()
        let client = try TestClient.ready(server, share: "ca")
        let count = 20
        for number in 0..<count {
            server.journal = []
            let file = try client.open("a", contexts: self.persistent(number, "RH"))
            #expect(self.records(server.journal).map(\.persistentID) == [file.persistent])
            #expect(server.awaited)
        }
        server.journal = []
        _ = try client.open("a", contexts: self.persistent(count, "RWH"))
        #expect(self.records(server.journal).map { $0.lease?.state } == Array(repeating: 7, count: count + 1))
    }

    @Test func aDeletionThatIsAskedForAgainIsRecordedOnce() throws {
        let server = TestServer()
        let client = try TestClient.ready(server, share: "ca")
        let files = try (0..<3).map {
            try client.open("a", access: [.readData, .delete], contexts: self.persistent($0))
        }
        server.journal = []
        for file in files {
            #expect(try client.setFile(file, .disposition, [1]).status == .success)
            #expect(server.awaited, "what the first one changed may not be stable yet")
        }
        #expect(self.records(server.journal).count == files.count)
        #expect(try client.setFile(files[0], .disposition, [0]).status == .success)
        #expect(self.records(server.journal).map(\.deleteOnClose) == [true, true, true, false, false, false])
    }

    /// The node died with the first batches of a step in the log. What the others would have said follows from them.
    @Test func aDeletionThatOneRecordTellsOfIsNotLostWithThatRecord() throws {
        let first = TestServer()
        let alice = try TestClient.ready(first, share: "ca")
        let files = try (0..<2).map {
            try alice.open("a", access: [.readData, .delete], contexts: self.persistent($0))
        }
        #expect(try alice.setFile(files[0], .disposition, [1]).status == .success)
        let partly = self.state(after: first.journal.dropLast())
        #expect(partly.map(\.deleteOnClose) == [true, false])

        let second = self.successor(of: first, with: partly)
        #expect(self.records(second.journal).map(\.persistentID) == [files[1].persistent])
        // The handle whose record said it goes: its client does not come back.
        var kept = self.state(after: partly.map { .putOpen($0) } + second.journal)
        kept.removeFirst()
        let third = self.successor(of: second, with: kept)
        #expect(try TestClient.ready(third, share: "ca").create("a").status == .deletePending)
        #expect(self.records(third.journal).isEmpty, "now they agree")
    }

    /// The first record that is loaded decides what the client has.
    @Test(arguments: [0, 1]) func aLeaseThatIsTakenUpInPartIsOneLease(recorded: Int) throws {
        let first = TestServer()
        let alice = try TestClient.ready(first, share: "ca")
        let files = try (0..<2).map { try alice.open("a", contexts: self.persistent($0, "RH")) }
        let before = self.state(after: first.journal)
        _ = try alice.create("a", contexts: CachingTests.lease("RWH"))
        let after = self.state(after: first.journal)
        #expect(before.map { $0.lease?.state } == [3, 3])
        #expect(after.map { $0.lease?.state } == [7, 7])
        var partly = before
        partly[recorded] = after[recorded]

        let next = self.successor(of: first, with: partly)
        let decided = partly[0].lease
        let kept = self.state(after: partly.map { .putOpen($0) } + next.journal)
        #expect(kept.map(\.lease) == [decided, decided])
        #expect(self.records(next.journal).map(\.persistentID) == [files[1].persistent])
    }
}
