import Raft

/// One node's side of the quorum disk: answers its Raft core for the disk, as one more voter.
///
/// Disk Paxos (Gafni, Lamport 2000) in Raft's clothes; checked as docs/spec/DiskRaft.tla. Every node writes its own area and
/// reads all. A vote is a ballot written before the others' areas are read; an acknowledgement is entries and a header
/// written before the others' ballots are read. So of two nodes that go for the disk at once at least one sees the other,
/// and whoever is elected with it finds every entry that it acknowledged.
///
/// Decides only: what has to be read and written comes out as batches, one at a time.
package struct DiskVoter: Sendable {
    /// The node that this value serves.
    package let node: NodeID
    /// The disk's number in Raft's configuration.
    package let number: NodeID
    /// Which area is this node's own.
    package let area: Int
    /// Grows with every value that is made for this node, in whichever start of it.
    package let incarnation: UInt64
    package let superblock: Superblock
    package let limits: DiskVoterLimits
    let defects: DiskDefects

    package private(set) var status = DiskStatus.unavailable(.starting)
    /// The bytes of this node's state, where it was longer than an extent when it was to be written last.
    package internal(set) var refusedState: Int?
    /// The areas' headers as last read, for those who look.
    package internal(set) var headers: [AreaHeader?]
    package internal(set) var memory: DiskMemory

    var now: Tick
    /// What the disk is doing; nil: nothing.
    var work: Work?
    private var batchNumber: UInt64
    private var deadline: Tick = 0
    private var retryAt: Tick
    var isReady: Bool { self.status == .ready }
    /// A header with this life's number was sent, at least.
    private var hasAnnounced = false

    // The own area.
    /// Both slots as this node knows them.
    var slots: [AreaHeader?] = [nil, nil]
    var currentSlot = 0
    var log = AreaLog()

    // A checkpoint that is longer than a step: this node's own, or one that its vote needs.
    var filling: Filling?
    var found: FoundState?

    // What the Raft core waits for.
    var waiting = Waiting()
    /// The last term in which this node stood before the disk, in this life.
    var votedTerm: Term = 0
    /// What the core was told in the present term of its leadership.
    var acknowledged: (term: Term, index: LogIndex) = (0, 0)

    // Time.
    var lastLook: Tick?
    var lastLead: (term: Term, at: Tick)?
    var lastMemory: Tick
    var lastCheckpointWish: Tick?
    /// When each area's heartbeat was first seen as it is.
    var moved: [(heartbeat: UInt64, since: Tick)?]

    var effects = DiskEffects()

    struct Waiting: Equatable, Sendable {
        var preVote: Message?
        var vote: (message: Message, commitIndex: LogIndex)?
        var appends: [Message] = []
        var heartbeat: Message?
        var checkpoint: Checkpoint?

        struct Checkpoint: Equatable, Sendable {
            var snapshot: Snapshot
            var state: [UInt8]
            var term: Term
        }

        static func == (a: Self, b: Self) -> Bool {
            a.preVote == b.preVote && a.vote?.message == b.vote?.message && a.appends == b.appends
                && a.heartbeat == b.heartbeat && a.checkpoint == b.checkpoint
        }
    }

    enum Work: Sendable {
        case barrier
        case loading
        case loadingLog(AreaHeader)
        case operation(Operation)
    }

    /// - Parameter memory: what `DiskEffects.memory` gave last; nil for a disk that is new to this node.
    package init(
        node: NodeID, number: NodeID, area: Int, incarnation: UInt64, superblock: Superblock, memory: DiskMemory?,
        limits: DiskVoterLimits = DiskVoterLimits(), now: Tick, defects: DiskDefects = []
    ) {
        precondition((0..<superblock.layout.areaCount).contains(area), "the disk has that area")
        precondition(limits.checkpointStepByteCount % Layout.blockSize == 0, "a step has whole blocks")
        self.node = node
        self.number = number
        self.area = area
        self.incarnation = incarnation
        // A late answer to an earlier value's batch is none to this one's.
        self.batchNumber = incarnation &* 1_000_000_007
        self.superblock = superblock
        self.limits = limits
        self.defects = defects
        self.now = now
        self.retryAt = now
        self.lastMemory = now
        let count = superblock.layout.areaCount
        self.headers = [AreaHeader?](repeating: nil, count: count)
        self.moved = [(heartbeat: UInt64, since: Tick)?](repeating: nil, count: count)
        if let memory, memory.identity == superblock.identity, memory.sequences.count == count {
            self.memory = memory
        } else {
            self.memory = DiskMemory(
                identity: superblock.identity, sequences: [UInt64](repeating: 0, count: count))
        }
    }

    package var layout: Layout { self.superblock.layout }
    package var identity: DiskIdentity { self.superblock.identity }
    /// The own header in force, as far as this node knows.
    var header: AreaHeader { self.slots[self.currentSlot] ?? AreaHeader(identity: self.identity) }

    package mutating func step(_ event: DiskEvent, at now: Tick) -> DiskEffects {
        self.effects = DiskEffects()
        self.now = max(self.now, now)
        switch event {
        case .tick: self.forgetFoundState()
        case .receive(let message, let commitIndex): self.receive(message, commitIndex: commitIndex)
        case .completed(let batch, let results):
            if batch == self.batchNumber, let work = self.work { self.completed(work, results) }
        case .failed(let batch): if batch == self.batchNumber, self.work != nil { self.giveUp(.noAnswer) }
        case .checkpoint(let snapshot, let state, let term): self.checkpoint(snapshot, state, term: term)
        }
        if self.work != nil, self.now >= self.deadline { self.giveUp(.noAnswer) }
        if self.work == nil { self.proceed() }
        defer { self.effects = DiskEffects() }
        return self.effects
    }

    /// Nothing is under way: what is next?
    private mutating func proceed() {
        if self.isReady { return self.startNext() }
        if case .disabled = self.status { return }
        guard self.now >= self.retryAt else { return }
        if self.defects.contains(.skipBarrier) {
            self.load()
        } else {
            self.work = .barrier
            self.issue(.barrier)
        }
    }

    private mutating func load() {
        self.work = .loading
        self.issue(.requests(self.lookRequests))
    }

    var lookRequests: [DiskBatch.Request] {
        (0..<self.layout.areaCount).map {
            .read(offset: self.layout.areaOffset($0), byteCount: Layout.slotsByteCount)
        }
    }

    mutating func issue(_ work: DiskBatch.Work) {
        self.batchNumber += 1
        self.deadline = self.now + self.limits.operationTicks
        self.effects.batch = DiskBatch(number: self.batchNumber, work: work)
    }

    // MARK: Failing

    mutating func become(_ status: DiskStatus) {
        guard status != self.status else { return }
        self.status = status
        self.effects.status = status
    }

    /// The outcome of what was under way is not known: nothing more until a barrier.
    mutating func giveUp(_ trouble: DiskTrouble) {
        self.work = nil
        self.waiting = Waiting()
        self.filling = nil
        self.retryAt = self.now + self.limits.retryTicks
        self.become(.unavailable(trouble))
    }

    mutating func disable(_ fault: DiskFault) {
        self.work = nil
        self.waiting = Waiting()
        self.filling = nil
        self.become(.disabled(fault))
    }

    // MARK: Beginning

    private mutating func completed(_ work: Work, _ results: [[UInt8]]) {
        self.work = nil
        switch work {
        case .barrier: self.load()
        case .loading: self.loaded(results)
        case .loadingLog(let header): self.loadedLog(header, results.flatMap { $0 })
        case .operation(let operation): self.proceed(operation, results)
        }
    }

    private mutating func loaded(_ results: [[UInt8]]) {
        guard results.count == self.layout.areaCount else { return self.giveUp(.noAnswer) }
        let own = AreaSlots(bytes: results[self.area], layout: self.layout, of: self.identity)
        guard let current = own.current, let header = own.header else {
            return self.giveUp(.areaUnreadable(self.area))
        }
        guard header.identity == self.identity else { return self.disable(.otherDisk) }
        guard header.node == 0 || header.node == self.node else { return self.disable(.areaTaken) }
        // In this life: nobody but this node wrote it. Before: every life has a higher number than the last.
        guard self.hasAnnounced ? header.incarnation <= self.incarnation : header.incarnation < self.incarnation else {
            return self.disable(.areaTaken)
        }
        guard header.sequence >= self.memory.sequences[self.area] || self.defects.contains(.ignoreRollback) else {
            return self.disable(.wentBack(area: self.area))
        }
        self.slots = own.slots.map { $0?.identity == self.identity ? $0 : nil }
        self.currentSlot = current
        self.work = .loadingLog(header)
        self.issue(.requests(self.reads(of: self.area, header.ring)))
    }

    /// The blocks of a ring that are in use.
    func reads(of area: Int, _ ring: AreaHeader.Ring) -> [DiskBatch.Request] {
        self.layout.ringPieces(area, from: ring.start, count: ring.end - ring.start).map {
            .read(offset: $0.offset, byteCount: $0.byteCount)
        }
    }

    private mutating func loadedLog(_ header: AreaHeader, _ bytes: [UInt8]) {
        guard let log = AreaLog(ring: header.ring, bytes: bytes, on: self.identity) else {
            return self.disable(.ownAreaDamaged)
        }
        self.log = log
        // The own area remembers what this node promised as a candidate, even where its own storage does not.
        if header.ballot > 0 { self.effects.events.append(.diskBallot(header.ballot)) }
        self.hasAnnounced = true
        self.begin(Operation(kind: .announce))
    }
}
