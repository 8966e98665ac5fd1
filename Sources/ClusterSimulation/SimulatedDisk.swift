import ClusterCore
import Raft

/// A node's disk: what a crash leaves is what was synced, and perhaps some of what was not.
struct SimulatedDisk {
    struct Contents: Equatable {
        var hardState = HardState()
        var base = Snapshot()
        var entries: [Entry] = []
        var appliedIndex: LogIndex = 0
        /// Chains every applied entry: equal hashes mean equal histories.
        var stateHash: UInt64 = 0
        /// What stands for the log's beginning, in a simulation that has one.
        var state: ClusterState?

        func term(at index: LogIndex) -> Term? {
            if index == self.base.index { return self.base.term }
            guard index > self.base.index, index <= self.base.index + LogIndex(self.entries.count) else { return nil }
            return self.entries[Int(index - self.base.index) - 1].term
        }
    }

    enum Operation {
        /// `stateHash`: of the snapshot, where the write installs one. `state`: as of a snapshot or a compaction.
        case write(Write, stateHash: UInt64 = 0, state: ClusterState? = nil)
        case apply([Entry])
    }

    private(set) var contents: Contents
    private(set) var queue: [Operation] = []
    /// How many of the queue the sync under way covers.
    private(set) var syncing = 0

    init(base: Snapshot, state: ClusterState? = nil) {
        self.contents = Contents()
        self.contents.state = state
        self.contents.base = base
        self.contents.hardState = HardState(term: base.term, commitIndex: base.index)
        self.contents.appliedIndex = base.index
    }

    var isIdle: Bool { self.syncing == 0 }

    mutating func enqueue(_ operation: Operation) { self.queue.append(operation) }

    /// Group commit: one sync for all that waits. False where nothing does.
    mutating func startSync() -> Bool {
        guard self.isIdle, !self.queue.isEmpty else { return false }
        self.syncing = self.queue.count
        return true
    }

    /// What the sync made durable: the last write's sequence and the last applied index.
    mutating func finishSync() -> (sequence: UInt64?, applied: LogIndex?) {
        var sequence: UInt64?
        var applied: LogIndex?
        for operation in self.queue.prefix(self.syncing) {
            Self.perform(operation, on: &self.contents)
            switch operation {
            case .write(let write, _, _): sequence = write.sequence
            case .apply(let entries): applied = entries.last?.index
            }
        }
        self.queue.removeFirst(self.syncing)
        self.syncing = 0
        return (sequence, applied)
    }

    /// Power loss, or a sync that failed: some prefix of what was not synced is there, the last of it perhaps torn.
    /// - Parameter loosesAppliedState: the applied index is kept apart from the state: it alone may be there.
    mutating func lose(_ random: inout Random, tornTail: Bool, loosesAppliedState: Bool = false) {
        if loosesAppliedState {
            for case .apply(let entries) in self.queue {
                self.contents.appliedIndex = max(self.contents.appliedIndex, entries.last?.index ?? 0)
            }
            self.contents.appliedIndex = min(
                self.contents.appliedIndex, self.contents.base.index + LogIndex(self.contents.entries.count))
            self.queue.removeAll {
                if case .apply = $0 { true } else { false }
            }
        }
        let kept = self.queue.isEmpty ? 0 : random.below(self.queue.count + 1)
        for operation in self.queue.prefix(kept) { Self.perform(operation, on: &self.contents) }
        if tornTail, kept < self.queue.count, case .write(var write, _, _) = self.queue[kept],
            write.snapshot == nil, write.compaction == nil, write.entries.count > 1
        {
            write.entries.removeLast(1 + random.below(write.entries.count - 1))
            Self.perform(.write(write), on: &self.contents)
        }
        self.queue = []
        self.syncing = 0
    }

    private static func perform(_ operation: Operation, on contents: inout Contents) {
        switch operation {
        case .write(let write, let stateHash, let state):
            if let snapshot = write.snapshot {
                contents.base = snapshot
                contents.entries = []
                contents.appliedIndex = snapshot.index
                contents.stateHash = stateHash
            }
            if let first = write.entries.first {
                precondition(first.index > contents.base.index, "a stored log has no gap")
                let kept = Int(first.index - contents.base.index - 1)
                precondition(kept <= contents.entries.count, "a stored log has no gap")
                contents.entries.removeLast(contents.entries.count - kept)
                contents.entries.append(contentsOf: write.entries)
            }
            if let compaction = write.compaction, compaction.index > contents.base.index {
                contents.entries.removeFirst(Int(compaction.index - contents.base.index))
                contents.base = compaction
            }
            if let hardState = write.hardState { contents.hardState = hardState }
            if let state {
                contents.state = state
                contents.appliedIndex = state.appliedIndex
            }
        case .apply(let entries):
            for entry in entries where entry.index > contents.appliedIndex {
                precondition(entry.index == contents.appliedIndex + 1, "entries are applied without a gap")
                contents.stateHash = chain(contents.stateHash, entry)
                contents.appliedIndex = entry.index
            }
        }
    }
}

func chain(_ hash: UInt64, _ entry: Entry) -> UInt64 {
    var hash = (hash ^ entry.term) &* 0x0000_0100_0000_01B3
    hash = (hash ^ entry.fingerprint) &* 0x0000_0100_0000_01B3
    return hash ^ (hash >> 31)
}

extension Entry {
    var fingerprint: UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func fold(_ value: UInt64) { hash = (hash ^ value) &* 0x0000_0100_0000_01B3 }
        switch self.payload {
        case .empty: fold(1)
        case .command(let bytes):
            fold(2)
            for byte in bytes { fold(UInt64(byte)) }
        case .configuration(let configuration):
            fold(3)
            for voter in configuration.voters { fold(voter) }
            fold(0)
            for learner in configuration.learners { fold(learner) }
        }
        return hash
    }
}
