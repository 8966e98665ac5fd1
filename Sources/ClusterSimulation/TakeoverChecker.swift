import Raft

/// The takeover's invariants, and what has to be remembered to check them. The first violation stays.
struct TakeoverChecker {
    private(set) var violation: String?
    /// The newest fence that was taken.
    private(set) var newestFence: SimulatedTarget.Key?
    private var fenceOwners: [UInt64: Int] = [:]
    /// The newest acknowledged value of each block.
    private var acknowledged: [UInt64]
    private(set) var acknowledgedWrites = 0
    private(set) var acknowledgedRecords: Set<UInt64> = []
    private(set) var fenceCount = 0
    private(set) var takeovers = 0
    var moves = 0
    private var leaders: [Term: Int] = [:]

    init(blocks: Int) { self.acknowledged = Array(repeating: 0, count: blocks) }

    mutating func fail(_ text: String) {
        if self.violation == nil { self.violation = text }
    }

    mutating func becameLeader(_ node: Int, _ term: Term) {
        if let other = self.leaders[term], other != node { self.fail("two leaders in term \(term)") }
        self.leaders[term] = node
    }

    mutating func fenced(_ key: SimulatedTarget.Key) {
        self.fenceCount += 1
        self.fenceOwners[key.term] = key.node
        if key.term > self.newestFence?.term ?? 0 { self.newestFence = key }
    }

    /// One rule: after a newer fence was taken no older node's write lands.
    mutating func landed(_ key: SimulatedTarget.Key, _ target: SimulatedTarget) {
        if let newest = self.newestFence, newest.term > key.term {
            self.fail(
                "fence: a write of node \(key.node + 1), term \(key.term), landed after node \(newest.node + 1) had taken "
                    + "the fence in term \(newest.term)")
        }
        self.checkBlocks(target)
    }

    mutating func checkBlocks(_ target: SimulatedTarget) {
        for (block, value) in self.acknowledged.enumerated() where target.cached[block] < value {
            self.fail("data: block \(block) holds \(target.cached[block]), though \(value) was acknowledged")
        }
    }

    mutating func acknowledged(_ write: ClientWrite, _ target: SimulatedTarget) {
        self.acknowledgedWrites += 1
        self.acknowledged[write.block] = max(self.acknowledged[write.block], write.value)
        if let record = write.record { self.acknowledgedRecords.insert(record) }
        if target.durable[write.block] < write.value {
            self.fail(
                "data: \(write.value) in block \(write.block) was acknowledged, and stable is \(target.durable[write.block])"
            )
        }
    }

    /// A server is given the state's records.
    mutating func loads(_ records: Set<UInt64>, _ node: Int) {
        let lost = self.acknowledgedRecords.subtracting(records)
        if let first = lost.min() {
            self.fail("journal: node \(node + 1) loads its server without record \(first), which was acknowledged")
        }
    }

    mutating func serves(_ node: Int, _ term: Term) {
        self.takeovers += 1
        if self.fenceOwners[term] != node {
            self.fail("fence: node \(node + 1) serves in term \(term) and took no fence for it")
        }
    }
}

/// What a client wants written, and where a record goes with it.
struct ClientWrite: Equatable {
    var id: UInt64
    var block: Int
    var value: UInt64
    var record: UInt64?
}
