import Raft
import StateRecords

/// One batch of a server's journal on its way into the Raft log.
package struct JournalBatch: Equatable, Sendable {
    /// Which start of the server it comes from.
    package var generation: UInt64
    /// The term that this server was told to serve in.
    package var epoch: Term
    package var sequence: UInt64
    package var mutations: [Mutation]
    /// As it came, encoded.
    package var byteCount: Int

    package init(generation: UInt64, epoch: Term, sequence: UInt64, mutations: [Mutation], byteCount: Int) {
        self.generation = generation
        self.epoch = epoch
        self.sequence = sequence
        self.mutations = mutations
        self.byteCount = byteCount
    }
}

/// Group commit: the batches that wait, and how many of them become one entry of the Raft log.
///
/// What comes in one turn of the loop is one entry: one row of the store, one message to each peer, one answer to the server.
/// What comes while ``entriesUnderWay`` entries are on their way to a majority joins the next one, so that entries grow with
/// the load instead of their number. Batches keep their order, and each entry has whole batches: a server is answered "all up
/// to this one", and an entry is applied whole or not at all, so nothing that it was promised of one batch changes.
package struct JournalQueue: Sendable {
    /// With one, disks and links would be idle in turns; with many, each entry would be small again, and cost its own row,
    /// messages and turns of three loops.
    package static let entriesUnderWay = 2
    /// Of the batches in one entry; one that is longer goes alone. Half of what Raft takes in one append.
    package static let entryByteCount = 128 << 10
    /// Of all that waits, as much as Raft itself would keep. Beyond it the cluster does not take what clients change: a
    /// server knows how much it may say before it is answered.
    package static let byteLimit = 2 * JournalLimits.unansweredByteCount

    /// What becomes one entry.
    package struct Group: Equatable, Sendable {
        package var generation: UInt64
        package var epoch: Term
        /// The last one's: answering it answers all before it.
        package var sequence: UInt64
        package var mutations: [Mutation]
        package var batches: Int
    }

    private var waiting: [JournalBatch] = []
    /// How far `waiting` is used up: removing at the front of an array moves all the rest.
    private var next = 0
    private var byteCount = 0
    /// Entries that were given out and not resolved.
    private var underWay = 0

    package init() {}

    package var isEmpty: Bool { self.next == self.waiting.count && self.underWay == 0 }

    /// False at the limit: the batch is not taken.
    package mutating func append(_ batch: JournalBatch) -> Bool {
        guard batch.byteCount <= Self.byteLimit - self.byteCount else { return false }
        self.byteCount += batch.byteCount
        self.waiting.append(batch)
        return true
    }

    /// Takes out what `isVoid` says can never be committed: it waits for nothing.
    package mutating func removeVoid(_ isVoid: (JournalBatch) -> Bool) -> [JournalBatch] {
        let void = self.waiting[self.next...].filter(isVoid)
        guard !void.isEmpty else { return [] }
        self.waiting = self.waiting[self.next...].filter { !isVoid($0) }
        self.next = 0
        self.byteCount = self.waiting.reduce(0) { $0 + $1.byteCount }
        return void
    }

    /// The next entry, where one may be proposed now; then ``resolved()``.
    package mutating func take() -> Group? {
        guard self.next < self.waiting.count, self.underWay < Self.entriesUnderWay else { return nil }
        let first = self.waiting[self.next]
        var group = Group(
            generation: first.generation, epoch: first.epoch, sequence: first.sequence, mutations: first.mutations,
            batches: 1)
        var bytes = first.byteCount
        self.next += 1
        while self.next < self.waiting.count {
            let batch = self.waiting[self.next]
            bytes += batch.byteCount
            guard batch.generation == group.generation, batch.epoch == group.epoch, bytes <= Self.entryByteCount
            else { break }
            group.mutations += batch.mutations
            group.sequence = batch.sequence
            group.batches += 1
            self.next += 1
        }
        if self.next == self.waiting.count {
            self.waiting.removeAll(keepingCapacity: true)
            self.next = 0
            self.byteCount = 0
        } else {
            self.byteCount -= self.waiting[(self.next - group.batches)..<self.next].reduce(0) { $0 + $1.byteCount }
            if self.next > self.waiting.count / 2 {
                self.waiting.removeFirst(self.next)
                self.next = 0
            }
        }
        self.underWay += 1
        return group
    }

    /// A group is in the log, or will never be.
    package mutating func resolved() {
        precondition(self.underWay > 0, "more groups are resolved than were taken")
        self.underWay -= 1
    }
}
