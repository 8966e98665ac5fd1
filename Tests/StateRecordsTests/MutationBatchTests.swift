import Testing

@testable import StateRecords

@Suite struct MutationBatchTests {
    private func open(_ id: UInt64, locks: Int = 0) -> Mutation {
        var record = Sample.open
        record.persistentID = id
        record.locks = (0..<locks).map { LockRecord(offset: UInt64($0), length: 1, isExclusive: true) }
        return .putOpen(record)
    }

    private func byteCount(_ batch: [Mutation]) -> Int { batch.reduce(0) { $0 + $1.encoded.count } }

    private func state(after mutations: [Mutation]) -> HandleState {
        var state = HandleState()
        for mutation in mutations { state.apply(mutation) }
        return state
    }

    @Test func whatIsShortIsOneBatch() {
        #expect(Mutation.batches(of: []) == [[]], "somebody may wait for it all the same")
        #expect(Mutation.batches(of: [.removeAllClients]) == [[.removeAllClients]])
        let mutations = [self.open(1), .removeOpen(persistentID: 2), self.open(3)]
        #expect(Mutation.batches(of: mutations) == [mutations])
    }

    /// All opens of a file are renamed, or say that it is to be deleted.
    @Test func aStepThatChangesManyRecordsIsSeveralBatchesInItsOrder() {
        let mutations = (1...10_000).map { self.open($0) }
        let batches = Mutation.batches(of: mutations)
        #expect(batches.count > 1)
        #expect(batches.allSatisfy { self.byteCount($0) <= JournalLimits.batchByteCount })
        #expect(batches.flatMap { $0 } == mutations)
    }

    @Test func whatIsLongerThanABatchGoesAlone() {
        let long = self.open(2, locks: 100)
        let mutations = [self.open(1), long, self.open(3)]
        #expect(Mutation.batches(of: mutations, byteLimit: 1000) == mutations.map { [$0] })
    }

    /// A client's locks that wait are granted one by one when another closes its file, each with a longer record.
    @Test func onlyTheLastRecordOfAnOpenIsKept() {
        let mutations = (1...4096).map { self.open(7, locks: $0) } + [.removeOpen(persistentID: 8)]
        #expect(Mutation.batches(of: mutations) == [[self.open(7, locks: 4096), .removeOpen(persistentID: 8)]])
    }

    /// Its id is given out, and must not be again.
    @Test func theRecordOfAnOpenThatIsClosedInTheSameStepIsKept() {
        let mutations = [self.open(1), self.open(1, locks: 1), .removeOpen(persistentID: 1)]
        let batches = Mutation.batches(of: mutations)
        #expect(batches == [[self.open(1, locks: 1), .removeOpen(persistentID: 1)]])
        #expect(self.state(after: batches[0]) == self.state(after: mutations))
    }

    @Test func aRecordBehindARemovalStaysBehindIt() {
        let mutations = [self.open(1), .removeOpen(persistentID: 1), self.open(1, locks: 1)]
        #expect(Mutation.batches(of: mutations) == [mutations])
    }

    /// A node that takes over after the first few batches finds what this one knew at a moment in the step.
    @Test func eachBatchEndsWhereTheStepWasAtAMoment() {
        var mutations: [Mutation] = []
        for round in 0..<200 {
            let id = UInt64(round * 7 % 13) + 1
            mutations.append(round % 5 == 4 ? .removeOpen(persistentID: id) : self.open(id, locks: round))
        }
        let moments = (0...mutations.count).map { self.state(after: Array(mutations[..<$0])) }
        let batches = Mutation.batches(of: mutations, byteLimit: 20_000)
        #expect(batches.count > 2)
        for count in 1...batches.count {
            #expect(moments.contains(self.state(after: batches[..<count].flatMap { $0 })))
        }
        #expect(self.state(after: batches.flatMap { $0 }) == moments.last)
    }
}
