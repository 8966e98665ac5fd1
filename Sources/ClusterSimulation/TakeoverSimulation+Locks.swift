import ClusterCore
import Raft
import StateRecords

/// A client's exclusive open of one of a few files: what the linearizability of the replicated state is checked by.
struct LockRequest: Equatable {
    var key: Int
    var input: LockModel.Input
    /// In `LockHistory`.
    var index: Int

    static let pathPrefix = "lock-"
    static let keys = 4

    var mutations: [StateRecords.Mutation] {
        switch self.input {
        case .acquire(let id):
            var record = OpenRecord.simulated(id)
            record.path = Self.pathPrefix + "\(self.key)"
            return [.putOpen(record)]
        case .release(let id): return [.removeOpen(persistentID: id)]
        case .clear, .read: return []
        }
    }
}

/// What smbserverd decides by its own memory: it has the replicated state from its beginning, and adds what it had committed.
extension TakeoverSimulation {
    /// Beyond every record of a block's write.
    private static let firstLockID: UInt64 = 1 << 40

    mutating func lockClient() {
        self.schedule(.lockClient, after: 5000, 60_000)
        let reachable = self.nodes.indices.filter {
            self.nodes[$0].isUp && self.nodes[$0].server.state == .serving && self.nodes[$0].network.isUp
                && self.nodes[$0].pause != .node && !self.nodes[$0].isHung(.server)
        }
        guard !reachable.isEmpty else { return }
        let i = reachable[self.random.below(reachable.count)]
        let key = self.random.below(LockRequest.keys)
        let kind = self.random.below(3)
        let id = Self.firstLockID + self.newID()
        guard !self.nodes[i].server.writes.values.contains(where: { $0.lock?.key == key }) else { return }
        let holder = self.nodes[i].server.locks[key]
        let input: LockModel.Input = kind == 0 ? .read : holder.map { .release($0) } ?? .acquire(id)
        // Half of the acquisitions meet a holder.
        let asked: LockModel.Input = kind == 2 ? .acquire(id) : input
        guard asked != .read, holder == nil || asked == input else { return self.answerFromMemory(i, key, asked) }
        let index = self.checker.locks.begins(asked, key: key, at: self.time)
        let write = ClientWrite(
            id: id, block: -1, value: 0, record: id, closes: nil,
            lock: LockRequest(key: key, input: asked, index: index))
        self.nodes[i].server.writes[id] = write
        self.schedule(
            .journal(
                self.life(i), generation: self.nodes[i].server.generation, epoch: self.nodes[i].server.epoch,
                write: write), after: 10, 60)
    }

    /// No change: only whoever holds the lease may say so.
    private mutating func answerFromMemory(_ i: Int, _ key: Int, _ input: LockModel.Input) {
        guard self.tick(i) < self.nodes[i].server.leaseEnd else { return }
        let index = self.checker.locks.begins(input, key: key, at: self.time)
        self.checker.locks.answered(key, index, self.nodes[i].server.locks[key], at: self.time)
    }

    /// The journal has it.
    mutating func lockAppended(_ i: Int, _ write: ClientWrite, _ lock: LockRequest) {
        let isAlive = self.nodes[i].server.state == .serving || self.nodes[i].server.state == .frozen
        guard isAlive, self.nodes[i].server.writes.removeValue(forKey: write.id) != nil else { return }
        let (holder, output) = LockModel.apply(lock.input, to: self.nodes[i].server.locks[lock.key])
        self.nodes[i].server.locks[lock.key] = holder
        self.trace.note(self.time, "lock", self.nodes[i].id, UInt64(lock.key), output ?? 0)
        self.checker.locks.answered(lock.key, lock.index, output, at: self.time)
        if self.nodes[i].server.state == .frozen { self.lookAtFreeze(i) }
    }

    func locks(of state: ClusterState) -> [Int: UInt64] {
        var locks: [Int: UInt64] = [:]
        for open in state.handles.orderedOpens where open.path.hasPrefix(LockRequest.pathPrefix) {
            Int(open.path.dropFirst(LockRequest.pathPrefix.count)).map { locks[$0] = open.persistentID }
        }
        return locks
    }
}
