/// The consensus core of one node: Raft with PreVote, CheckQuorum, pipelining, snapshots, leadership transfer,
/// single-server membership changes, learners and ReadIndex.
///
/// Decides only. Time, random numbers, messages and the completion of writes come in through `step(_:at:)`; what has to
/// be sent, stored and applied comes out. A message that promises something is held back until the write it promises is
/// reported as persisted.
package struct RaftNode: Sendable {
    package let id: NodeID
    package let limits: RaftLimits
    let defects: RaftDefects

    package internal(set) var role = Role.follower
    package internal(set) var leader: NodeID?
    package internal(set) var commitIndex: LogIndex
    /// The last index reported by `Event.applied`.
    package internal(set) var appliedIndex: LogIndex
    package internal(set) var hardState: HardState
    var log: RaftLog

    // Time.
    var now: Tick
    let startedAt: Tick
    /// A node that takes up an earlier life's promises keeps the last of them: no votes for one election time-out.
    let hasEarlierLife: Bool
    /// When a message of the present leader last came.
    var lastHeardLeader: Tick
    /// Acknowledging a heartbeat promises its sender one election time-out without votes for others, whatever happens
    /// to this node's role meanwhile.
    var isBoundToLease = false
    /// Where the present election time-out began.
    var electionStart: Tick
    /// nil until the next tick brings a random number.
    var electionTimeout: UInt64?
    /// A campaign to be started then, because a peer was lost.
    var campaignAt: Tick?
    /// A candidate's last question, a leader's last heartbeat.
    var lastBroadcast: Tick = 0

    // Persistence.
    var nextSequence: UInt64 = 1
    var persistedSequence: UInt64 = 0
    /// The write that holds the present term and vote.
    var hardStateSequence: UInt64 = 0
    var hardStateIsDirty = false
    /// On this node's stable storage.
    package internal(set) var stableIndex: LogIndex
    var pendingWrites: [PendingWrite] = []
    var held: [HeldMessage] = []
    /// A vote of this node for itself counts from the moment it is persisted.
    var ownVoteSequence: UInt64?

    // Candidates.
    var votes: [NodeID: Bool] = [:]
    /// A disk's vote that counts once the log that came with it is persisted.
    var diskVote: (disk: NodeID, sequence: UInt64)?
    var forcesElection = false

    // Leaders.
    var progress: [NodeID: Progress] = [:]
    var leaderSince: Tick = 0
    /// The no-op of this term.
    var ownTermIndex: LogIndex = 0
    /// The last committed entry of which peers are told without waiting for the next append or heartbeat.
    var toldAtOnceIndex: LogIndex = 0
    var heartbeatRound: UInt64 = 0
    var heartbeatSent: [UInt64: Tick] = [:]
    var uncommittedByteCount = 0
    var pendingReads: [PendingRead] = []
    var transfer: Transfer?
    /// Voters that only help to decide: a witness, a quorum disk. While a quorum is prompt without them entries go to them in
    /// batches, `lateAppendTicks` apart, which takes their writes and messages out of every commit. Nothing is promised sooner:
    /// an entry is committed when a quorum has it, whichever that is. The shell's to say; leaders use it.
    package var latePeers: Set<NodeID> = []
    var lastLateAppend: Tick = 0
    /// After a `timeoutNow` in this term: who must have answered a later round before the lease holds again, and when it was told.
    var leaseBlock: (node: NodeID, round: UInt64, told: Tick)?

    // Followers.
    /// The last heartbeat round of the present leader.
    var seenRound: UInt64 = 0

    /// Proposals of this node, by index, until they are committed or overwritten.
    var proposals: [LogIndex: (term: Term, token: UInt64)] = [:]
    /// The last index that was handed out for application.
    var handedOutIndex: LogIndex

    var effects = Effects()
    var entriesToWrite: [Entry] = []

    struct PendingWrite: Equatable, Sendable {
        var sequence: UInt64
        /// What of the log is stable once this is persisted; lowered when a later write replaces entries.
        var stableIndex: LogIndex
    }

    struct HeldMessage: Equatable, Sendable {
        var sequence: UInt64
        var message: Message
    }

    struct PendingRead: Equatable, Sendable {
        var token: UInt64
        var round: UInt64
        var index: LogIndex?
    }

    struct Transfer: Equatable, Sendable {
        var target: NodeID
        var deadline: Tick
        var isSent = false
    }

    /// - Parameters:
    ///   - snapshot: the log's beginning. On the founding nodes: index 0 and the first configuration. On a node that
    ///     joins: index 0 and nobody.
    ///   - entries: the stored log after it.
    ///   - appliedIndex: what the state machine holds; at least `snapshot.index`.
    package init(
        id: NodeID, hardState: HardState = HardState(), snapshot: Snapshot, entries: [Entry] = [],
        appliedIndex: LogIndex = 0, limits: RaftLimits = RaftLimits(), now: Tick, defects: RaftDefects = []
    ) {
        precondition(id != 0, "zero is nobody")
        precondition(limits.electionTicksMinimum > limits.heartbeatTicks, "a leader must be heard in time")
        precondition(limits.electionTicksMaximum > limits.electionTicksMinimum, "time-outs must differ")
        self.id = id
        self.limits = limits
        self.defects = defects
        self.log = RaftLog(base: snapshot, entries: entries)
        let applied = max(appliedIndex, snapshot.index)
        precondition(applied <= self.log.lastIndex, "the state is ahead of the log")
        self.hardState = hardState
        self.commitIndex = min(max(hardState.commitIndex, applied), self.log.lastIndex)
        self.hardState.commitIndex = self.commitIndex
        self.appliedIndex = applied
        self.handedOutIndex = applied
        self.stableIndex = self.log.lastIndex
        self.now = now
        self.startedAt = now
        self.lastHeardLeader = now
        self.electionStart = now
        self.hasEarlierLife = hardState.term > 0 && !defects.contains(.voteRightAfterRestart)
    }

    /// Takes one event. `now` never goes back (an earlier one counts as the last).
    package mutating func step(_ event: Event, at now: Tick) -> Effects {
        self.effects = Effects()
        self.now = max(self.now, now)
        let before = self.leadership
        if self.role == .stopped {
            self.refuse(event)
        } else {
            self.dispatch(event)
            self.handOutCommitted()
            self.composeWrite()
        }
        if self.leadership != before { self.effects.leadership = self.leadership }
        defer { self.effects = Effects() }
        return self.effects
    }

    private mutating func dispatch(_ event: Event) {
        switch event {
        case .tick(let random): self.tick(random: random)
        case .receive(let message): self.receive(message)
        case .propose(let token, let payload): self.propose(token: token, payload: payload)
        case .changeConfiguration(let token, let change): self.propose(token: token, change: change)
        case .readIndex(let token): self.readIndex(token: token)
        case .transferLeadership(let target): self.startTransfer(to: target)
        case .campaign: if !self.isWithinLease { self.campaign(force: false) }
        case .peerLost(let peer): self.peerLost(peer)
        case .forgetLeader: self.forgetLeader()
        case .persisted(let sequence): self.persisted(through: sequence)
        case .storageFailed: self.stop(.storageFailed)
        case .applied(let index): self.applied(through: index)
        case .compact(let index): self.compact(through: index)
        case .snapshotFailed(let peer): self.snapshotFailed(peer)
        case .diskVoted(let vote): self.diskVoted(vote)
        case .diskBallot(let term): self.diskBallot(term)
        }
    }

    /// A stopped node still tells its clients.
    private mutating func refuse(_ event: Event) {
        switch event {
        case .propose(let token, _), .changeConfiguration(let token, _):
            self.drop(token, .notLeader(leader: nil))
        case .readIndex(let token):
            self.effects.reads.append(ReadResult(token: token, outcome: .dropped(.notLeader(leader: nil))))
        default: break
        }
    }

    private mutating func tick(random: UInt64) {
        if self.electionTimeout == nil {
            let spread = self.limits.electionTicksMaximum - self.limits.electionTicksMinimum
            self.electionTimeout =
                self.limits.electionTicksMinimum + random % spread + self.limits.candidacyDelayTicks
        }
        switch self.role {
        case .leader: self.leaderTick()
        case .follower, .preCandidate, .candidate: self.electionTick()
        case .stopped: break
        }
    }

    // MARK: Becoming

    /// A new term forgets the vote of the old one.
    mutating func enter(term: Term, votedFor: NodeID?) {
        precondition(term > self.term, "terms only grow")
        self.hardState.term = term
        self.hardState.votedFor = votedFor
        self.hardStateIsDirty = true
        self.hardStateSequence = self.nextSequence
    }

    mutating func becomeFollower(term: Term, leader: NodeID?) {
        if term > self.term { self.enter(term: term, votedFor: nil) }
        self.leaveRole()
        self.role = .follower
        self.leader = leader
        self.seenRound = 0
        self.restartElectionTimer()
    }

    mutating func becomeLeader() {
        self.leaveRole()
        self.role = .leader
        self.leader = self.id
        self.isBoundToLease = false
        self.leaderSince = self.now
        self.lastBroadcast = self.now
        self.heartbeatRound = 0
        self.heartbeatSent = [:]
        self.progress = [:]
        self.leaseBlock = nil
        self.toldAtOnceIndex = 0
        self.uncommittedByteCount = self.log.entries(
            from: self.commitIndex + 1, through: self.log.lastIndex, maximumCount: .max, maximumByteCount: .max
        ).reduce(0) { $0 + $1.byteCount }
        self.ownTermIndex = self.log.lastIndex + 1
        self.reconcileProgress()
        self.append(.empty)
        self.broadcastHeartbeat()
        self.broadcastAppends()
    }

    /// Ends whatever the present role had under way.
    mutating func leaveRole() {
        self.votes = [:]
        self.diskVote = nil
        self.ownVoteSequence = nil
        self.forcesElection = false
        self.campaignAt = nil
        self.progress = [:]
        self.transfer = nil
        self.leaseBlock = nil
        self.heartbeatSent = [:]
        for read in self.pendingReads {
            self.effects.reads.append(
                ReadResult(token: read.token, outcome: .dropped(.notLeader(leader: nil))))
        }
        self.pendingReads = []
    }

    mutating func restartElectionTimer() {
        self.electionStart = self.now
        self.electionTimeout = nil
    }

    mutating func stop(_ reason: StopReason) {
        guard self.role != .stopped else { return }
        self.leaveRole()
        self.role = .stopped
        self.leader = nil
        self.held = []
        self.pendingWrites = []
        self.entriesToWrite = []
        self.hardStateIsDirty = false
        self.effects.messages = []
        self.effects.write = nil
        for (_, proposal) in self.proposals.sorted(by: { $0.key < $1.key }) { self.drop(proposal.token, .unknown) }
        self.proposals = [:]
        self.effects.stopped = reason
    }

    mutating func drop(_ token: UInt64, _ reason: DropReason) {
        self.effects.proposals.append(ProposalResult(token: token, outcome: .dropped(reason)))
    }

    private var leadership: Leadership { Leadership(role: self.role, term: self.term, leader: self.leader) }
}
