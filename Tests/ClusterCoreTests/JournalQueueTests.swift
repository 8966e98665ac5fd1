import Raft
import StateRecords
import Testing

@testable import ClusterCore

@Suite struct JournalQueueTests {
    private func batch(
        _ sequence: UInt64, generation: UInt64 = 1, epoch: UInt64 = 5, byteCount: Int = 100
    ) -> JournalBatch {
        JournalBatch(
            generation: generation, epoch: epoch, sequence: sequence, mutations: [.removeOpen(persistentID: sequence)],
            byteCount: byteCount)
    }

    private func ids(_ group: JournalQueue.Group?) -> [UInt64] {
        (group?.mutations ?? []).map { if case .removeOpen(let id) = $0 { id } else { 0 } }
    }

    /// A queue with these, all of which it has to take.
    private func add(_ batches: [JournalBatch], to queue: inout JournalQueue) {
        for batch in batches {
            let isTaken = queue.append(batch)
            #expect(isTaken)
        }
    }

    /// The next entry; its ids.
    private func take(_ queue: inout JournalQueue) -> [UInt64] { self.ids(queue.take()) }

    @Test func whatCameTogetherIsOneEntryInItsOrder() {
        var queue = JournalQueue()
        self.add((1...3).map { self.batch($0) }, to: &queue)
        let group = queue.take()
        #expect(self.ids(group) == [1, 2, 3])
        #expect(group?.sequence == 3)
        #expect(group?.batches == 3)
        let next = queue.take()
        #expect(next == nil)
    }

    /// A batch is never divided here: what Raft refuses costs the server its life, and the next node's, too.
    @Test func aServersBatchIsNoLongerThanWhatRaftTakes() {
        var queue = JournalQueue()
        let record = OpenRecord(
            persistentID: 1, createGUID: .zero, clientGUID: .zero, ownerSID: "S-1-5-7", userName: "alice", share: "ca",
            path: String(repeating: "p", count: 300), file: FileIdentity(fileSystem: .zero, handleType: 1, handle: []),
            grantedAccess: 1, shareAccess: 7, createOptions: 0, createDisposition: 1, createAction: 1,
            fileAttributes: 0x80, timeoutMilliseconds: 0, isPersistent: true)
        let step = (1...20_000).map { id in
            var open = record
            open.persistentID = UInt64(id)
            return Mutation.putOpen(open)
        }
        for (index, mutations) in Mutation.batches(of: step).enumerated() {
            let message = ServerToCluster.append(sequence: UInt64(index), isAwaited: true, mutations: mutations)
            let batch = JournalBatch(
                generation: 1, epoch: 5, sequence: UInt64(index), mutations: mutations,
                byteCount: message.encoded.count)
            self.add([batch], to: &queue)
        }
        var entries = 0
        while let group = queue.take() {
            queue.resolved()
            entries += 1
            let entry = Command.mutate(epoch: group.epoch, group.mutations).encoded
            #expect(entry.count <= RaftLimits().maximumProposalByteCount / 4)
        }
        #expect(entries > 8, "as one entry it would be refused")
    }

    private func fill(_ queue: inout JournalQueue) {
        for sequence in 1...UInt64(JournalQueue.entriesUnderWay) {
            self.add([self.batch(sequence)], to: &queue)
            let ids = self.take(&queue)
            #expect(ids == [sequence])
        }
    }

    @Test func whatComesWhileEntriesAreUnderWayJoinsTheNext() {
        var queue = JournalQueue()
        self.fill(&queue)
        self.add((10...19).map { self.batch($0) }, to: &queue)
        let early = queue.take()
        #expect(early == nil)
        queue.resolved()
        let joined = self.take(&queue)
        #expect(joined == Array(10...19))
        #expect(!queue.isEmpty)
        for _ in 0..<JournalQueue.entriesUnderWay { queue.resolved() }
        #expect(queue.isEmpty)
    }

    @Test func anEntryHasALimitAndWholeBatches() {
        var queue = JournalQueue()
        let half = JournalQueue.entryByteCount / 2
        self.add((1...3).map { self.batch($0, byteCount: half) } + [self.batch(4, byteCount: 10 * half)], to: &queue)
        var groups: [[UInt64]] = []
        for _ in 0..<3 {
            groups.append(self.take(&queue))
            queue.resolved()
        }
        #expect(groups == [[1, 2], [3], [4]])
    }

    /// One server's batches must not be answered to another, nor slip into another term.
    @Test func serversAndTermsDoNotMix() {
        var queue = JournalQueue()
        self.add(
            [self.batch(1), self.batch(1, generation: 2), self.batch(2, generation: 2, epoch: 6)], to: &queue)
        for (generation, epoch) in [(UInt64(1), UInt64(5)), (2, 5), (2, 6)] {
            let group = queue.take()
            #expect(group?.generation == generation)
            #expect(group?.epoch == epoch)
            queue.resolved()
        }
    }

    @Test func whatIsVoidIsTakenOutAtOnceAndTheRestStaysInOrder() {
        var queue = JournalQueue()
        self.fill(&queue)
        self.add((13...16).map { self.batch($0, generation: $0 % 2) }, to: &queue)
        let void = queue.removeVoid { $0.generation == 1 }
        #expect(void.map(\.sequence) == [13, 15])
        let again = queue.removeVoid { $0.generation == 1 }
        #expect(again.isEmpty)
        queue.resolved()
        let rest = self.take(&queue)
        #expect(rest == [14, 16])
    }

    @Test func theQueueHasALimitThatItCountsRight() {
        var queue = JournalQueue()
        let quarter = JournalQueue.byteLimit / 4
        for _ in 0..<3 {
            self.add((1...4).map { self.batch($0, byteCount: quarter) }, to: &queue)
            let isTaken = queue.append(self.batch(5, byteCount: 1))
            #expect(!isTaken)
            _ = queue.removeVoid { $0.sequence == 4 }
            self.add([self.batch(6, byteCount: quarter)], to: &queue)
            for expected in [UInt64(1), 2, 3, 6] {
                let ids = self.take(&queue)
                #expect(ids == [expected])
                queue.resolved()
            }
            #expect(queue.isEmpty)
        }
    }
}
