import ClusterCore
import QuorumDisk
import Raft

/// A cluster of `RaftNode`s on simulated disks and a simulated network, driven by one seed.
///
/// Every run of the same options is the same run, to the last bit (`Outcome.traceHash`). The invariants of `Checker`
/// hold at every step while faults last; afterwards all is healed and the cluster must make progress.
package struct Simulation {
    package struct Options: Equatable, Sendable {
        package var seed: UInt64
        /// Founding voters; as many spares as `spares` wait to be added.
        package var nodes = 3
        package var spares = 2
        /// Simulated time with faults.
        package var seconds: UInt64 = 60
        /// nil: drawn from the seed.
        package var faults: Faults?
        /// Kinds of fault that stay away (`Faults.switches`).
        package var without: Set<String> = []
        package var defects: RaftDefects = []
        package var proposalsPerSecond: UInt64 = 20
        /// Small, so that batches end within a burst.
        package var maximumAppendEntries = 4
        /// The last founder is one that gets entries late (`RaftNode.latePeers`): in every other run.
        package var hasLatePeer: Bool
        package var isVerbose = false
        /// A quorum disk votes from the beginning.
        package var quorumDisk = false
        package var diskDefects: DiskDefects = []
        /// A crash may leave an applied index without the state that belongs to it.
        package var appliesOutsideTransaction = false
        /// nil: drawn from the seed, apart from what it draws otherwise.
        package var sizes: StateSizes?
        package var transferDefects: TransferDefects = []

        package init(seed: UInt64) {
            self.seed = seed
            self.hasLatePeer = seed % 2 == 1
        }
    }

    package struct Outcome: Equatable, Sendable {
        package var seed: UInt64
        package var violation: String?
        /// Simulated microseconds at the end.
        package var time: UInt64
        package var traceHash: UInt64
        package var eventCount: Int
        package var committedCount: Int
        package var acknowledgedCount: Int
        package var leaderCount: Int
        package var configurationChanges: Int
        package var readCount: Int
        package var snapshotInstalls: Int
        /// Steps at which some node held the serving lease.
        package var leaseSamples: Int
        /// Operations on locks that were answered, and locks whose history was not decided.
        package var lockAnswers: Int
        package var undecidedLocks: Int
        package var disk = DiskCounts()
        package var states = StateCounts()
    }

    /// Within this after the end of all faults there is a leader and a new entry everywhere.
    package static let livenessDeadline: UInt64 = 30_000_000
    /// Shorter than the election time-out by more than clocks may drift apart in it.
    static let leaseTicks: UInt64 = 300

    enum Happening {
        case tick(node: Int, incarnation: UInt64)
        case deliver(Envelope)
        case synced(node: Int, incarnation: UInt64, isFailure: Bool)
        case peerLost(node: Int, incarnation: UInt64, peer: NodeID)
        case snapshotFailed(node: Int, incarnation: UInt64, peer: NodeID)
        case restart(node: Int, incarnation: UInt64)
        case resume(node: Int, incarnation: UInt64)
        case heal(partition: UInt64)
        case client
        case fault(FaultKind)
        case toDisk(node: Int, incarnation: UInt64, Message)
        case disk(DiskHappening)
        case state(StateHappening)
    }

    struct Envelope {
        var message: Message
        /// Of the receiver when it was sent: a connection does not outlive the process.
        var incarnation: UInt64
        /// The state that comes with a snapshot.
        var stateHash: UInt64 = 0
    }

    enum FaultKind: CaseIterable {
        case symmetricPartition, asymmetricPartition, crash, crashOfAll, pause, membershipChange, transfer
        case forgottenLeader, campaign
        case nodePartition, diskOutage, diskWipe, diskRollback, diskChange
    }

    /// What a leader has of the serving lease.
    struct Lease {
        var term: Term
        var start: Tick
        var isEstablished: Bool
        var commitIndex: LogIndex

        init?(_ node: RaftNode) {
            guard let start = node.leaseStart else { return nil }
            self.term = node.term
            self.start = start
            self.isEstablished = node.isEstablishedLeader
            self.commitIndex = node.commitIndex
        }
    }

    struct Node {
        var id: NodeID
        var raft: RaftNode?
        /// Of `raft` after its last step: looked at with every event, where a copy of the whole node is dear.
        var lease: Lease?
        var incarnation: UInt64 = 0
        var isPaused = false
        var deferred: [Happening] = []
        var disk: SimulatedDisk
        var clockRate: UInt64
        var clockOffset: UInt64
        var knownCommit: LogIndex = 0
        var changeTokens: Set<UInt64> = []
        var receivedStateHash: UInt64 = 0
    }

    package let options: Options
    var faults: Faults
    var random: Random
    package internal(set) var time: UInt64 = 0
    var queue = EventQueue<Happening>()
    var nodes: [Node] = []
    var network = SimulatedNetwork()
    var checker: Checker
    package internal(set) var trace: Trace
    var nextToken: UInt64 = 1
    var snapshotInstalls = 0
    var limits = RaftLimits()
    var hasFaults = true
    var quorum: QuorumDisks
    var states: StateLinks

    package init(_ options: Options) {
        self.options = options
        self.random = Random(seed: options.seed)
        self.faults = options.faults ?? Faults.swarm(&self.random)
        self.trace = Trace(isVerbose: options.isVerbose)
        self.checker = Checker(stateHash: 0)
        self.quorum = QuorumDisks(nodes: options.nodes + options.spares)
        self.states = StateLinks(
            machines: options.nodes + options.spares, sizes: options.sizes, seed: options.seed,
            defects: options.transferDefects)
        if options.faults == nil { self.faults.brokenStateLinksPerMillion = self.states.drawnBreaks }

        self.limits.heartbeatTicks = 50
        self.limits.electionTicksMinimum = 400
        self.limits.electionTicksMaximum = 700
        self.limits.transferTicks = 400
        // Small, so that every limit is reached in a short run.
        self.limits.maximumAppendEntries = options.maximumAppendEntries
        self.limits.maximumAppendByteCount = 512
        self.limits.maximumInFlightAppends = 4
        self.limits.maximumUncommittedEntries = 64
        self.limits.maximumUnappliedEntries = 8
        self.limits.promotionLagEntries = 8

        var founders = Configuration(voters: (1...options.nodes).map(NodeID.init))
        if options.quorumDisk {
            if options.faults == nil { self.faults.disk = .swarm(&self.random) }
            founders = Configuration(voters: founders.voters + [self.makeDisk()])
        }
        self.faults.switchOff(options.without)
        for number in 1...(options.nodes + options.spares) {
            let drift = self.faults.clockDriftPerMillion
            let rate = 1_000_000 - drift + self.random.below(2 * drift + 1)
            self.nodes.append(
                Node(
                    id: NodeID(number),
                    disk: SimulatedDisk(
                        base: Snapshot(configuration: number <= options.nodes ? founders : Configuration())),
                    clockRate: rate, clockOffset: self.random.below(UInt64(1_000_000_000))))
        }
        for i in self.nodes.indices { self.start(i) }
        self.queue.schedule(.client, at: 1000)
        for kind in FaultKind.allCases { self.scheduleFault(kind) }
    }

    package mutating func run() -> Outcome {
        self.runUntil(self.options.seconds * 1_000_000) { _ in false }
        if self.checker.violation == nil { self.expectProgress() }
        self.checker.checkLocks()
        return Outcome(
            seed: self.options.seed, violation: self.checker.violation, time: self.time, traceHash: self.trace.hash,
            eventCount: self.trace.eventCount, committedCount: Int(self.checker.lastCommitted),
            acknowledgedCount: self.checker.acknowledgedCount, leaderCount: self.checker.leaderCount,
            configurationChanges: self.checker.configurationChanges, readCount: self.checker.readCount,
            snapshotInstalls: self.snapshotInstalls, leaseSamples: self.checker.leaseSamples,
            lockAnswers: self.checker.locks.answeredCount, undecidedLocks: self.checker.locks.undecided,
            disk: self.quorum.counts, states: self.states.counts)
    }

    mutating func runUntil(_ end: UInt64, _ isDone: (Simulation) -> Bool) {
        while self.checker.violation == nil, let next = self.queue.nextTime, next <= end, !isDone(self) {
            guard let (time, happening) = self.queue.pop() else { return }
            self.time = time
            self.happen(happening)
            // Time alone must not give a second one either.
            self.checkLeases()
        }
    }

    /// Liveness: with all healed and started, someone leads and something new is committed everywhere.
    private mutating func expectProgress() {
        self.hasFaults = false
        self.network.healAll()
        for i in self.nodes.indices { self.quorum.sides[i].cutUntil = 0 }
        for i in self.nodes.indices {
            if self.nodes[i].isPaused { self.resume(i) }
            if self.nodes[i].raft == nil || self.nodes[i].raft?.role == .stopped { self.restart(i) }
        }
        let before = self.checker.lastCommitted
        let start = self.time
        self.runUntil(start + Self.livenessDeadline) { $0.hasProgressed(since: before) }
        if self.checker.violation == nil, !self.hasProgressed(since: before) {
            let state = self.nodes.compactMap { node in
                node.raft.map { "\(node.id): \($0.role) term \($0.term) commit \($0.commitIndex) last \($0.lastIndex)" }
            }
            self.checker.fail("liveness: no progress within 30 s of the last fault; \(state)")
        }
    }

    private func hasProgressed(since before: LogIndex) -> Bool {
        guard let leader = self.nodes.first(where: { $0.raft?.isEstablishedLeader == true })?.raft,
            leader.commitIndex >= before + 5
        else { return false }
        return leader.configuration.voters.allSatisfy { voter in
            if isDisk(voter) { return true }
            return (self.nodes[Int(voter) - 1].raft?.appliedIndex ?? 0) > before + 3
        }
    }

    mutating func checkLeases() {
        var first: (NodeID, Term)?
        for i in self.nodes.indices {
            guard let lease = self.nodes[i].lease, self.tick(i) - lease.start < Self.leaseTicks else { continue }
            self.checker.holdsLease(
                self.nodes[i].id, lease.term, isEstablished: lease.isEstablished, commitIndex: lease.commitIndex,
                beside: first)
            first = first ?? (self.nodes[i].id, lease.term)
        }
    }

    func tick(_ i: Int) -> Tick {
        (self.time / 1000 * self.nodes[i].clockRate / 1000 + self.nodes[i].clockOffset) / 1000
    }
}
