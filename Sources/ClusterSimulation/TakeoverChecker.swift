import Raft
import StateRecords

/// The takeover's invariants, and what has to be remembered to check them. The first violation stays.
struct TakeoverChecker {
    private(set) var violation: String?
    /// The newest fence that was taken.
    private(set) var newestFence: SimulatedTarget.Key?
    private var fenceOwners: [UInt64: NodeID] = [:]
    /// The newest acknowledged value of each block.
    private var acknowledged: [UInt64]
    private(set) var acknowledgedWrites = 0
    private(set) var acknowledgedRecords = 0
    /// Records of opens that nobody asked to close.
    private var openRecords: Set<UInt64> = []
    /// Those whose close was acknowledged.
    private var closedRecords: Set<UInt64> = []
    private(set) var fenceCount = 0
    private(set) var takeovers = 0
    var moves = 0
    var locks = LockHistory()
    private var leaders: [Term: NodeID] = [:]

    init(blocks: Int) { self.acknowledged = Array(repeating: 0, count: blocks) }

    mutating func fail(_ text: String) {
        if self.violation == nil { self.violation = text }
    }

    mutating func becameLeader(_ node: NodeID, _ term: Term) {
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
                "fence: a write of node \(key.node), term \(key.term), landed after node \(newest.node) had taken "
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
        if let record = write.record {
            self.acknowledgedRecords += 1
            self.openRecords.insert(record)
        }
        if let closed = write.closes { self.closedRecords.insert(closed) }
        if target.durable[write.block] < write.value {
            self.fail(
                "data: \(write.value) in block \(write.block) was acknowledged, and stable is \(target.durable[write.block])"
            )
        }
    }

    /// What was acknowledged from a node's memory is on the LUN, as its kernel says.
    mutating func writtenBack(_ block: Int, _ value: UInt64, _ target: SimulatedTarget) {
        self.acknowledged[block] = max(self.acknowledged[block], value)
        if target.durable[block] < value {
            self.fail("data: \(value) in block \(block) was flushed, and stable is \(target.durable[block])")
        }
    }

    /// A client asks for the oldest open to be closed where it has many: from then on it may be there or not.
    mutating func closesOldest() -> UInt64? {
        guard self.openRecords.count > Self.openLimit, let oldest = self.openRecords.min() else { return nil }
        self.openRecords.remove(oldest)
        return oldest
    }

    private static let openLimit = 40

    /// A server is given the state's records.
    mutating func loads(_ records: [UInt64], _ node: NodeID) {
        let lost = self.openRecords.subtracting(records)
        if let first = lost.min() {
            self.fail("journal: node \(node) loads its server without record \(first), which was acknowledged")
        }
        if let first = records.first(where: self.closedRecords.contains) {
            self.fail("journal: node \(node) loads its server with record \(first), whose close was acknowledged")
        }
    }

    mutating func serves(_ node: NodeID, _ term: Term) {
        self.takeovers += 1
        if self.fenceOwners[term] != node {
            self.fail("fence: node \(node) serves in term \(term) and took no fence for it")
        }
    }
}

/// What a client wants written, and where a record goes with it.
struct ClientWrite: Equatable {
    var id: UInt64
    var block: Int
    var value: UInt64
    var record: UInt64?
    /// In the same batch.
    var closes: UInt64?
    /// An operation on a lock instead of a block.
    var lock: LockRequest?
}

extension OpenRecord {
    static func simulated(_ id: UInt64) -> OpenRecord {
        OpenRecord(
            persistentID: id, createGUID: GUID16(low: id, high: 1), clientGUID: GUID16(low: 1, high: 1),
            ownerSID: "S-1-5-21-1-2-3-1001", userName: "user", share: "test", path: "file",
            file: FileIdentity(fileSystem: .zero, handleType: 0, handle: []), grantedAccess: 0, shareAccess: 0,
            createOptions: 0, createDisposition: 0, createAction: 0, fileAttributes: 0, timeoutMilliseconds: 0,
            isPersistent: true)
    }
}
