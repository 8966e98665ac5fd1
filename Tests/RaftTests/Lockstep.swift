import Testing

@testable import Raft

/// A few nodes stepped by hand: messages wait in a queue, disks write at once unless told to be slow.
struct Lockstep {
    struct Disk {
        var hardState = HardState()
        var base = Snapshot()
        var entries: [Entry] = []
        var applied: LogIndex = 0
        var pending: [Write] = []

        mutating func perform(_ write: Write) {
            if let snapshot = write.snapshot {
                self.base = snapshot
                self.entries = []
                self.applied = snapshot.index
            }
            if let first = write.entries.first {
                self.entries.removeAll { $0.index >= first.index }
                self.entries += write.entries
            }
            if let compaction = write.compaction {
                self.entries.removeAll { $0.index <= compaction.index }
                self.base = compaction
            }
            if let hardState = write.hardState { self.hardState = hardState }
        }
    }

    var nodes: [NodeID: RaftNode] = [:]
    var disks: [NodeID: Disk] = [:]
    var queue: [Message] = []
    var now: Tick = 10_000
    /// Whatever they send or should receive is lost.
    var isolated: Set<NodeID> = []
    /// One direction only.
    var cut: Set<[NodeID]> = []
    /// And whatever this says of.
    var lost: (Message) -> Bool = { _ in false }
    /// Their writes wait for `sync`.
    var slowDisks: Set<NodeID> = []
    var committed: [NodeID: [Entry]] = [:]
    var proposals: [UInt64: ProposalResult.Outcome] = [:]
    var reads: [UInt64: ReadResult.Outcome] = [:]
    var snapshotsToSend: [NodeID] = []
    var stopped: [NodeID: StopReason] = [:]
    let limits: RaftLimits

    init(voters: [NodeID], learners: [NodeID] = [], outsiders: [NodeID] = [], limits: RaftLimits = RaftLimits()) {
        self.limits = limits
        let configuration = Configuration(voters: voters, learners: learners)
        for id in voters + learners { self.add(id, Disk(base: Snapshot(configuration: configuration))) }
        for id in outsiders { self.add(id, Disk()) }
    }

    mutating func add(_ id: NodeID, _ disk: Disk) {
        self.disks[id] = disk
        self.nodes[id] = RaftNode(
            id: id, hardState: disk.hardState, snapshot: disk.base, entries: disk.entries,
            appliedIndex: disk.applied, limits: self.limits, now: self.now)
    }

    subscript(_ id: NodeID) -> RaftNode { self.nodes[id]! }

    @discardableResult
    mutating func step(_ id: NodeID, _ event: Event) -> Effects {
        let effects = self.nodes[id]!.step(event, at: self.now)
        if let reason = effects.stopped { self.stopped[id] = reason }
        for result in effects.proposals { self.proposals[result.token] = result.outcome }
        for result in effects.reads { self.reads[result.token] = result.outcome }
        self.snapshotsToSend += effects.snapshotsToSend
        self.queue += effects.messages
        if let write = effects.write { self.disks[id]!.pending.append(write) }
        if let last = effects.committed.last {
            self.committed[id, default: []] += effects.committed
            self.disks[id]!.applied = last.index
            self.step(id, .applied(last.index))
        }
        if !self.slowDisks.contains(id) { self.sync(id) }
        return effects
    }

    /// Completes the oldest `count` writes.
    mutating func sync(_ id: NodeID, count: Int = .max) {
        for _ in 0..<min(count, self.disks[id]!.pending.count) {
            let write = self.disks[id]!.pending.removeFirst()
            self.disks[id]!.perform(write)
            self.step(id, .persisted(sequence: write.sequence))
        }
    }

    /// Writes under way are lost.
    mutating func restart(_ id: NodeID) {
        self.disks[id]!.pending = []
        self.queue.removeAll { $0.to == id }
        self.add(id, self.disks[id]!)
    }

    func isLost(_ message: Message) -> Bool {
        self.isolated.contains(message.from) || self.isolated.contains(message.to)
            || self.cut.contains([message.from, message.to]) || self.nodes[message.to] == nil
            || self.lost(message)
    }

    /// Delivers until nobody has anything to say.
    mutating func settle() {
        var count = 0
        while !self.queue.isEmpty {
            let message = self.queue.removeFirst()
            if !self.isLost(message) { self.step(message.to, .receive(message)) }
            count += 1
            precondition(count < 100_000, "the nodes do not come to rest")
        }
    }

    /// Time passes in small steps for all; a node's time-out is its number times 10 above the minimum.
    mutating func pass(_ ticks: UInt64, only: [NodeID]? = nil) {
        let end = self.now + ticks
        while self.now < end {
            self.now = min(self.now + 25, end)
            for id in (only ?? self.nodes.keys.sorted()) { self.step(id, .tick(random: id * 10)) }
            self.settle()
        }
    }

    mutating func elect(_ id: NodeID) {
        self.step(id, .campaign)
        self.settle()
        precondition(self[id].isLeader, "\(id) was to lead")
    }

    mutating func propose(_ text: String, to id: NodeID, token: UInt64 = 0) {
        self.step(id, .propose(token: token, payload: Array(text.utf8)))
    }

    func commands(_ id: NodeID) -> [String] { Self.commands(self.committed[id] ?? []) }

    static func commands(_ entries: [Entry]) -> [String] {
        entries.compactMap {
            if case .command(let bytes) = $0.payload { String(decoding: bytes, as: UTF8.self) } else { nil }
        }
    }

    func terms(_ id: NodeID) -> [Term] {
        (self[id].firstIndex...).prefix { $0 <= self[id].lastIndex }.map { self[id].term(at: $0)! }
    }

    /// A node alone, with a log of these terms from index 1.
    static func node(
        _ id: NodeID = 1, of voters: [NodeID] = [1, 2, 3], terms: [Term] = [], term: Term? = nil,
        votedFor: NodeID? = nil, commit: LogIndex = 0, limits: RaftLimits = RaftLimits()
    ) -> RaftNode {
        let entries = terms.enumerated().map {
            Entry(index: LogIndex($0.offset) + 1, term: $0.element, payload: .command([UInt8($0.offset)]))
        }
        return RaftNode(
            id: id,
            hardState: HardState(term: term ?? terms.last ?? 0, votedFor: votedFor, commitIndex: commit),
            snapshot: Snapshot(configuration: Configuration(voters: voters)), entries: entries, limits: limits,
            now: 0)
    }
}

/// Long after the start: an earlier life's promises are over.
let later: Tick = 50_000

extension RaftNode {
    mutating func receive(_ body: Message.Body, from: NodeID, term: Term, at now: Tick = later) -> Effects {
        self.step(.receive(Message(from: from, to: self.id, term: term, body: body)), at: now)
    }

    /// Steps, and completes its own writes until there are none: what came out in all.
    mutating func stepAndSync(_ event: Event, at now: Tick = later) -> Effects {
        var all = self.step(event, at: now)
        var write = all.write
        while let done = write {
            let next = self.step(.persisted(sequence: done.sequence), at: now)
            all.messages += next.messages
            all.committed += next.committed
            write = next.write
        }
        return all
    }

    mutating func receiveAndSync(_ body: Message.Body, from: NodeID, term: Term, at now: Tick = later) -> Effects {
        self.stepAndSync(.receive(Message(from: from, to: self.id, term: term, body: body)), at: now)
    }

    /// Wins an election against nobody's resistance.
    mutating func lead(at now: Tick = later) -> Effects {
        var all = self.stepAndSync(.campaign, at: now)
        for voter in self.configuration.voters where voter != self.id && self.role == .preCandidate {
            _ = self.receiveAndSync(.preVoteResponse(granted: true), from: voter, term: self.term + 1, at: now)
        }
        for voter in self.configuration.voters where voter != self.id && self.role == .candidate {
            all = self.receiveAndSync(.voteResponse(granted: true), from: voter, term: self.term, at: now)
        }
        precondition(self.isLeader)
        return all
    }
}

func append(_ previousIndex: LogIndex, _ previousTerm: Term, _ terms: [Term], commit: LogIndex = 0) -> Message.Body {
    .append(
        Message.Append(
            previousIndex: previousIndex, previousTerm: previousTerm,
            entries: terms.enumerated().map {
                Entry(
                    index: previousIndex &+ 1 &+ LogIndex($0.offset), term: $0.element,
                    payload: .command([UInt8($0.element)]))
            }, commitIndex: commit))
}
