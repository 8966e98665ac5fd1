import ClusterCore
import QuorumDisk
import Raft
import StateRecords

/// Two data nodes and a witness or a quorum disk, with the real `Raft`, `DiskVoter` and `Takeover`, a target, and shells that
/// take time and fail, driven by one seed: what clusterd, lunbridge and smbserverd do in earnest. `TakeoverChecker` holds the invariants.
package struct TakeoverSimulation {
    package struct Options: Equatable, Sendable {
        package var seed: UInt64
        /// Simulated time with faults.
        package var seconds: UInt64 = 60
        /// nil: drawn from the seed.
        package var faults: TakeoverFaults?
        /// Kinds of fault that stay away (`TakeoverFaults.switches`).
        package var without: Set<String> = []
        /// Whether the target keeps reservations over a restart (LIO with APTPL) or forgets them (tgt); nil: from the seed.
        package var isPersistent: Bool?
        /// A quorum disk in the witness's place; nil: from the seed.
        package var quorumDisk: Bool?
        package var defects: TakeoverDefects = []
        package var diskDefects: DiskDefects = []
        package var raftDefects: RaftDefects = []
        package var transferDefects: TransferDefects = []
        /// nil: drawn from the seed, apart from what it draws otherwise.
        package var sizes: StateSizes?
        package var isVerbose = false

        package init(seed: UInt64) { self.seed = seed }
    }

    package struct Outcome: Equatable, Sendable {
        package var seed: UInt64
        package var violation: String?
        /// Simulated microseconds at the end.
        package var time: UInt64
        package var traceHash: UInt64
        package var eventCount: Int
        package var fences: Int
        package var takeovers: Int
        package var moves: Int
        package var acknowledgedWrites: Int
        package var acknowledgedRecords: Int
        /// Writes that the reservation refused.
        package var conflicts: Int
        package var crashes: Int
        package var targetRestarts: Int
        /// Leaderships that were given away because an heir reached the LUN and the leader did not.
        package var pathFailovers: Int
        /// Children that were stopped.
        package var hangs: Int
        /// Machines that lost their state and were taken back; and that left and joined again.
        package var healed: Int
        package var joins: Int
        /// Operations on locks that were answered, and locks whose history was not decided.
        package var lockAnswers: Int
        package var undecidedLocks: Int
        /// Of a run beside a quorum disk.
        package var disk: DiskCounts?
        package var states = StateCounts()
    }

    /// Within this after the end of all faults the share is served and takes a write.
    package static let livenessDeadline: UInt64 = 30_000_000
    static let tickInterval: UInt64 = 20_000
    static let blocks = 6
    /// The last block is the file system's log: written at each mount.
    static let logBlock = blocks

    /// One life of a node's processes.
    struct Life: Equatable {
        var node: Int
        var incarnation: UInt64
    }

    enum Happening {
        // clusterd.
        case tick(Life)
        case deliver(Life, PeerMessage)
        case synced(Life)
        case peerLost(Life, NodeID)
        case reported(Life, Takeover.Event)
        case journal(Life, generation: UInt64, epoch: Term, write: ClientWrite)
        case journalAgain(Life, epoch: Term, write: ClientWrite)
        case storageReply(Life, request: UInt64, SimulatedTarget.Reply?)
        case storageDone(Life, job: UInt64)
        case bridgeSaid(Life, bridge: UInt64, BridgeNews)
        case networkDone(Life, job: UInt64)
        case probe(Life)
        case probed(Life, Reach)
        // lunbridge and smbserverd.
        case bridgeReply(Life, bridge: UInt64, request: UInt64, SimulatedTarget.Reply?)
        case bridgeConnect(Life, bridge: UInt64)
        case bridgeBeat(Life, bridge: UInt64)
        case bridgeImpatient(Life, bridge: UInt64)
        case server(Life, generation: UInt64, ServerStep)
        // The target.
        case arrive(SimulatedTarget.Packet)
        case land(UInt64)
        case targetUp(restart: Int)
        case disk(DiskHappening)
        case state(StateHappening)
        // The world.
        case restart(Life)
        case resume(Life)
        case heal(partition: UInt64)
        case client
        case lockClient
        case cachedClient
        case fault(FaultKind)
        case crashAtStep(Life)
        case hangAtStep(Life, Child)
        case childResumes(Life, Child, id: UInt64)
        /// clusterd has asked it whether it is there, for as long as it waits.
        case childMissed(Life, Child, id: UInt64)
        // Machines that are no members.
        case ask(Life)
        case asked(Life, Asker)
        case takenIn(Life, as: NodeID, _ question: UInt64)
        case pauseAtStep(Life)
    }

    enum PeerMessage {
        case raft(Message)
        case snapshot(Message, ClusterState)
        case reach(from: NodeID, Reach)
    }

    /// Who is stopped: clusterd alone, or the machine.
    enum Pause { case clusterd, node }

    enum Pending {
        case journal(generation: UInt64, epoch: Term, write: ClientWrite)
        case change
        /// The member is taken out; for that machine, which forgot it, or at its administrator's wish.
        case removal(NodeID, Asker?)
        case replacement(NodeID, Asker?)
        case joining(Asker)
        case other
    }

    struct Node {
        var id: NodeID
        let role: NodeRole
        var absence: Absence?
        /// The last that it asked the others.
        var question: UInt64 = 0
        var incarnation: UInt64 = 0
        var isUp = false
        /// For good: nobody starts it any more.
        var staysOff = false
        var pause: Pause?
        var deferred: [Happening] = []
        /// Children that are stopped, with what waits for each.
        var hungBridge: Hang?
        var hungServer: Hang?
        let clockRate: UInt64
        let clockOffset: UInt64

        // clusterd's loop.
        var raft: RaftNode?
        var disk: SimulatedDisk
        /// nil on a node that joined, until the leader's state has arrived.
        var state: ClusterState?
        /// What comes with a snapshot, in the step that installs it.
        var incoming: ClusterState?
        var takeover: Takeover
        var raftEvents: [Event] = []
        var isStepping = false
        var diskEvents: [DiskEvent] = []
        var isSteppingDisk = false
        var isChangingMembership = false
        /// Nodes that are being taken out, or out and back under another id.
        var leaving: Set<NodeID> = []
        /// Machines that are being taken in.
        var welcomed: Set<Int> = []
        var snapshotsSent: [NodeID: UInt64] = [:]
        var takeoverEvents: [Takeover.Event] = []
        var isTakingOver = false
        var lease = false
        var heirs: [NodeID] = []
        var reaching: [NodeID] = []
        var establishedTerm: Term = 0
        var nextToken: UInt64 = 1
        var pending: [UInt64: Pending] = [:]
        var reads: [UInt64: Takeover.Operation] = [:]
        var journals: (epoch: Term, underWay: Int) = (0, 0)
        var waitingServe: (operation: Takeover.Operation, epoch: Term)?
        var refusedGeneration: UInt64 = 0
        var suspects: [NodeID: UInt64] = [:]
        var lastMaintenance: UInt64 = 0
        var lastReport: UInt64 = 0
        var reach: [NodeID: (reach: Reach, time: UInt64)] = [:]

        // Its workers.
        var storage = SimulatedStorage()
        var network = SimulatedAddress()
        var server = SimulatedServer()
        var bridge: SimulatedBridge?
        /// What the kernel wants of the LUN and has no answer for: outlives a bridge's process.
        var requests: [BlockRequest] = []
        var cache = SimulatedPageCache()
        /// Moves that were asked of this life.
        var movesUnanswered = 0
    }

    package let options: Options
    var faults: TakeoverFaults
    var random: Random
    package internal(set) var time: UInt64 = 0
    var queue = EventQueue<Happening>()
    var nodes: [Node] = []
    var links = SimulatedNetwork()
    var target: SimulatedTarget
    var quorum: QuorumDisks
    var states: StateLinks
    let hasQuorumDisk: Bool
    /// The quorum disk is on a target of its own.
    let diskIsApart: Bool
    /// Until when a node's path to the target is cut.
    var cutUntil: [UInt64]
    var checker: TakeoverChecker
    package internal(set) var trace: Trace
    var hasFaults = true
    var nextID: UInt64 = 1
    var busyBlocks: Set<Int> = []
    var nextValue: UInt64 = 1
    var crashes = 0
    var conflicts = 0
    var pathFailovers = 0
    var hangs = 0
    var healed = 0
    /// No state is lost and nobody leaves before.
    var nextLoss: UInt64 = 0
    var joins = 0
    var pathTrouble: (time: UInt64, writes: Int)?
    private(set) var founding: ClusterState
    let settings = ClusterSettings()

    package init(_ options: Options) {
        self.options = options
        self.random = Random(seed: options.seed)
        self.faults = options.faults ?? TakeoverFaults.swarm(&self.random)
        self.trace = Trace(isVerbose: options.isVerbose)
        let isPersistent = self.random.below(2) == 0
        self.target = SimulatedTarget(
            kind: options.isPersistent ?? isPersistent ? .persistent : .forgetful, blocks: Self.allBlocks)
        // Of its own, so that what the seed draws otherwise stays what it is.
        var shape = Random(seed: ~options.seed)
        let hasQuorumDisk = shape.below(2) == 0
        self.hasQuorumDisk = options.quorumDisk ?? hasQuorumDisk
        self.diskIsApart = shape.below(2) == 0
        if self.hasQuorumDisk, options.faults == nil { self.faults.disk = .swarm(&shape) }
        if options.faults == nil, shape.below(3) == 0 { self.faults.cachedWritesPerMinute = 600 }
        let roles: [NodeRole] = self.hasQuorumDisk ? [.data, .data] : [.data, .data, .witness]
        self.states = StateLinks(
            machines: roles.count, sizes: options.sizes, seed: options.seed, defects: options.transferDefects)
        if options.faults == nil { self.faults.brokenStateLinksPerMillion = self.states.drawnBreaks }
        self.faults.switchOff(options.without)

        let records = roles.enumerated().map { index, role in
            NodeRecord(
                id: NodeID(index + 1), name: "node-\(index + 1)", address: "10.0.0.\(index + 1):7420", role: role,
                interface: "eth0")
        }
        self.checker = TakeoverChecker(blocks: Self.allBlocks)
        self.cutUntil = roles.map { _ in 0 }
        self.quorum = QuorumDisks(nodes: roles.count)
        self.founding = ClusterState(
            founding: ClusterConfiguration(
                name: "simulated", guid: GUID16(low: 1, high: 1), domain: [1, 2, 3], certificateAuthority: "",
                nodes: records, virtualIPs: ["10.0.0.10/24"], lun: "", fileSystem: []),
            membership: Configuration(voters: records.map(\.id)))
        if self.hasQuorumDisk { self.foundWithQuorumDisk() }
        let base = Snapshot(
            index: ClusterState.foundingIndex, term: ClusterState.foundingTerm,
            configuration: self.founding.membership)
        for record in records {
            let drift = self.faults.clockDriftPerMillion
            self.nodes.append(
                Node(
                    id: record.id, role: record.role,
                    clockRate: 1_000_000 - drift + self.random.below(2 * drift + 1),
                    clockOffset: self.random.below(UInt64(1_000_000_000)),
                    disk: SimulatedDisk(base: base, state: self.founding), state: self.founding,
                    takeover: Takeover(node: record.id, role: record.role)))
        }
        for i in self.nodes.indices { self.start(i) }
        self.queue.schedule(.client, at: 1000)
        self.queue.schedule(.lockClient, at: 2000)
        if self.faults.cachedWritesPerMinute > 0 { self.queue.schedule(.cachedClient, at: 3000) }
        for kind in FaultKind.allCases { self.scheduleFault(kind) }
    }

    private mutating func foundWithQuorumDisk() {
        self.quorum.newest = 1
        let record = self.makeQuorumDiskRecord(self.makeDisk(number: 1, Self.diskLayout))
        var configuration = self.founding.configuration
        configuration.quorumDisks.want(record, nodes: configuration.nodes.map(\.id))
        self.founding = ClusterState(
            founding: configuration,
            membership: Configuration(
                voters: configuration.nodes.map(\.id) + [configuration.quorumDisks.wanted]))
    }

    package mutating func run() -> Outcome {
        self.runUntil(self.options.seconds * 1_000_000) { _ in false }
        if self.checker.violation == nil { self.expectService() }
        if self.checker.violation == nil, let violation = self.checker.locks.violation() {
            self.checker.fail(violation)
        }
        return Outcome(
            seed: self.options.seed, violation: self.checker.violation, time: self.time, traceHash: self.trace.hash,
            eventCount: self.trace.eventCount, fences: self.checker.fenceCount, takeovers: self.checker.takeovers,
            moves: self.checker.moves, acknowledgedWrites: self.checker.acknowledgedWrites,
            acknowledgedRecords: self.checker.acknowledgedRecords, conflicts: self.conflicts,
            crashes: self.crashes, targetRestarts: self.target.restarts, pathFailovers: self.pathFailovers,
            hangs: self.hangs, healed: self.healed, joins: self.joins,
            lockAnswers: self.checker.locks.answeredCount, undecidedLocks: self.checker.locks.undecided,
            disk: self.hasQuorumDisk ? self.quorum.counts : nil, states: self.states.counts)
    }

    mutating func runUntil(_ end: UInt64, _ isDone: (TakeoverSimulation) -> Bool) {
        while self.checker.violation == nil, let next = self.queue.nextTime, next <= end, !isDone(self) {
            guard let (time, happening) = self.queue.pop() else { return }
            self.time = time
            self.happen(happening)
            self.checkServing()
            self.checkPaths()
        }
    }

    /// Liveness: with all healed and started, the share is served and takes writes.
    private mutating func expectService() {
        self.hasFaults = false
        self.trace.note(self.time, "the faults end")
        self.links.healAll()
        self.cutUntil = self.cutUntil.map { _ in 0 }
        for i in self.nodes.indices { self.quorum.sides[i].cutUntil = 0 }
        if !self.target.isUp { self.targetUp(restart: self.target.restarts) }
        for i in self.nodes.indices {
            if self.nodes[i].pause != nil { self.resume(i) }
            for child in Child.allCases { self.resumeChild(i, child, nil) }
        }
        let absent = self.dataNodeThatStaysOff()
        if let absent {
            self.nodes[absent].staysOff = true
            self.trace.note(self.time, "stays off", self.nodes[absent].id)
        }
        for i in self.nodes.indices where !self.nodes[i].isUp && i != absent { self.start(i) }
        let before = self.checker.acknowledgedWrites
        let start = self.time
        self.runUntil(start + Self.livenessDeadline) {
            $0.checker.acknowledgedWrites >= before + 5 && $0.nodeThatOwesAnAnswer == nil
        }
        if self.checker.violation == nil, let node = self.nodeThatOwesAnAnswer {
            self.checker.fail(
                "move: node \(node) was asked for one and has not said what became of it 30 s after the last fault")
        }
        if self.checker.violation == nil, self.checker.acknowledgedWrites < before + 5 {
            let state = self.nodes.map { node in
                "\(node.id): \(node.raft.map { "\($0.role) term \($0.term)" } ?? "down") \(node.takeover.phase)"
            }
            self.checker.fail("liveness: not served within 30 s of the last fault; \(state)")
        }
    }

    private var nodeThatOwesAnAnswer: NodeID? { self.nodes.first { $0.isUp && $0.movesUnanswered > 0 }?.id }

    /// Sometimes a data node that is off in the end never comes back: whatever it was in the middle of, the others go on without it.
    /// They are a quorum then, neither of them lost its state, and the one that serves is a voter.
    private mutating func dataNodeThatStaysOff() -> Int? {
        let off = self.nodes.indices.filter { !self.nodes[$0].isUp }
        guard !self.hasQuorumDisk, off.count == 1, let absent = off.first, self.nodes[absent].role == .data,
            self.random.below(2) == 0
        else { return nil }
        let others = self.nodes.indices.filter { $0 != absent }
        let areEnough = others.allSatisfy { other in
            guard let raft = self.nodes[other].raft, raft.configurationIsCommitted else { return false }
            return raft.configuration.voters.count <= 3
                && others.allSatisfy { raft.configuration.isVoter(self.nodes[$0].id) }
        }
        return areEnough ? absent : nil
    }

    /// Where the other data node has reached the target all along, and all can speak with each other, nobody waits longer.
    static let pathDeadline: UInt64 = 25_000_000

    private mutating func checkPaths() {
        let isCut = self.cutUntil[0] > self.time || self.cutUntil[1] > self.time
        let isOnlyFault = self.faults.isOnlyCutPaths && !(self.cutUntil[0] > self.time && self.cutUntil[1] > self.time)
        guard isCut, isOnlyFault, self.hasFaults else {
            self.pathTrouble = nil
            return
        }
        let since = self.pathTrouble ?? (self.time, self.checker.acknowledgedWrites)
        self.pathTrouble = since
        if self.time - since.time > Self.pathDeadline, self.checker.acknowledgedWrites == since.writes {
            self.checker.fail("path: nobody serves, though one data node reached the target for 25 s")
        }
    }

    private mutating func checkServing() {
        var answering = 0
        for i in self.nodes.indices where self.mayAnswer(i) { answering += 1 }
        if answering > 1 { self.checker.fail("two nodes may answer clients at the same time") }
    }

    /// As smbserverd sees it before each answer.
    private func mayAnswer(_ i: Int) -> Bool {
        self.nodes[i].isUp && self.nodes[i].server.state == .serving && self.tick(i) < self.nodes[i].server.leaseEnd
    }

    // MARK: Small things

    /// Whose id that is now; nil: nobody's any more.
    func machine(of node: NodeID) -> Int? { self.nodes.firstIndex { $0.id == node } }

    func life(_ i: Int) -> Life { Life(node: i, incarnation: self.nodes[i].incarnation) }

    /// Microseconds on a node's own clock.
    func moment(_ i: Int) -> Moment {
        self.time * self.nodes[i].clockRate / 1_000_000 + self.nodes[i].clockOffset
    }

    func tick(_ i: Int) -> Tick { self.moment(i) / 1000 }

    mutating func newID() -> UInt64 {
        defer { self.nextID += 1 }
        return self.nextID
    }

    mutating func schedule(_ happening: Happening, after shortest: UInt64, _ spread: UInt64) {
        self.queue.schedule(happening, at: self.time + shortest + self.random.below(spread + 1))
    }

    // MARK: Events

    mutating func happen(_ happening: Happening) {
        switch happening {
        case .tick(let life):
            guard self.isRunning(life, happening) else { return }
            self.ticked(life.node)
            self.schedule(happening, after: Self.tickInterval, 2000)
        case .deliver(let life, let message):
            guard self.isRunning(life, happening) else { return }
            self.received(life.node, message)
        case .synced(let life):
            guard self.isRunning(life, happening) else { return }
            self.synced(life.node)
        case .peerLost(let life, let peer):
            guard self.isRunning(life, happening) else { return }
            if self.nodes[life.node].raft?.leader == peer {
                self.nodes[life.node].suspects[peer] = self.tick(life.node)
            }
        case .reported(let life, let event):
            guard self.isRunning(life, happening) else { return }
            self.wake(life.node)
            if case .move = event { self.moveAsked(life.node, event) } else { self.decide(life.node, event) }
        case .journal(let life, let generation, let epoch, let write):
            guard self.isRunning(life, happening) else { return }
            self.wake(life.node)
            self.journal(life.node, generation, epoch, write)
        case .journalAgain(let life, let epoch, let write):
            guard self.isRunning(life, happening) else { return }
            self.proposeAgain(life.node, epoch, write)
        case .storageReply(let life, let request, let reply):
            guard self.isRunning(life, happening) else { return }
            self.storageReplied(life.node, request, reply)
        case .storageDone(let life, let job):
            guard self.isRunning(life, happening) else { return }
            self.storageDone(life.node, job)
        case .bridgeSaid(let life, let bridge, let news):
            guard self.isRunning(life, happening) else { return }
            self.bridgeSaid(life.node, bridge, news)
        case .networkDone(let life, let job):
            guard self.isRunning(life, happening) else { return }
            self.networkDone(life.node, job)
        case .probe(let life):
            guard self.isRunning(life, happening) else { return }
            self.probe(life.node)
        case .probed(let life, let reach):
            guard self.isRunning(life, happening) else { return }
            self.probed(life.node, reach)
        case .bridgeReply(let life, let bridge, let request, let reply):
            guard self.isRunning(life, happening, child: .bridge) else { return }
            self.bridgeReplied(life.node, bridge, request, reply)
        case .bridgeConnect(let life, let bridge):
            guard self.isRunning(life, happening, child: .bridge) else { return }
            self.connectBridge(life.node, bridge)
        case .bridgeBeat(let life, let bridge):
            guard self.isRunning(life, happening, child: .bridge) else { return }
            self.beat(life.node, bridge)
        case .bridgeImpatient(let life, let bridge):
            guard self.isRunning(life, happening, child: .bridge) else { return }
            self.bridgeImpatient(life.node, bridge)
        case .server(let life, let generation, let step):
            guard self.isRunning(life, happening, child: .server) else { return }
            self.serverStep(life.node, generation, step)
        case .disk(let happening): self.happen(happening)
        case .state(let state):
            guard self.isRunning(self.life(state.machine), happening) else { return }
            self.happen(state)
        case .arrive(let packet): self.arrived(packet)
        case .land(let id): self.landed(id)
        case .targetUp(let restart): self.targetUp(restart: restart)
        case .restart(let life):
            let node = self.nodes[life.node]
            if self.life(life.node) == life, !node.isUp, !node.staysOff { self.start(life.node) }
        case .resume(let life):
            if self.life(life.node) == life, self.nodes[life.node].pause != nil { self.resume(life.node) }
        case .childResumes(let life, let child, let id):
            if self.life(life.node) == life { self.resumeChild(life.node, child, id) }
        case .childMissed(let life, let child, let id):
            guard self.isRunning(life, happening) else { return }
            self.giveUpChild(life.node, child, id)
        case .ask(let life):
            guard self.isRunning(life, happening) else { return }
            self.ask(life.node)
        case .asked(let life, let asker):
            guard self.isRunning(life, happening) else { return }
            self.wake(life.node)
            self.asked(life.node, by: asker)
        case .takenIn(let life, let node, let question):
            guard self.isRunning(life, happening) else { return }
            self.takenIn(life.node, as: node, question)
        case .heal(let partition): self.links.heal(partition)
        case .client: self.client()
        case .lockClient: self.lockClient()
        case .cachedClient: self.cachedClient()
        case .fault(let kind): self.inject(kind)
        case .crashAtStep(let life):
            if self.hasFaults, self.life(life.node) == life { self.crashForAWhile(life.node, isAnnounced: false) }
        case .hangAtStep(let life, let child):
            if self.hasFaults, self.life(life.node) == life { self.hang(life.node, child) }
        case .pauseAtStep(let life): if self.hasFaults, self.life(life.node) == life { self.pause(life.node) }
        }
    }

    /// False where that life is over; where the process is stopped, what happened waits for it.
    mutating func isRunning(_ life: Life, _ happening: Happening, child: Child? = nil) -> Bool {
        guard self.life(life.node) == life, self.nodes[life.node].isUp else { return false }
        switch self.nodes[life.node].pause {
        case .none,
            .clusterd where child != nil:
            guard let child, self.nodes[life.node].isHung(child) else { return true }
            self.nodes[life.node].wait(for: child, happening)
            return false
        case .clusterd, .node:
            self.nodes[life.node].deferred.append(happening)
            return false
        }
    }
}
