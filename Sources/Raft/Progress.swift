/// What a leader knows of one peer.
struct Progress: Equatable, Sendable {
    enum State: Equatable, Sendable {
        /// Where its log agrees is not known: one append at a time.
        case probe
        /// Appends flow ahead of their answers.
        case replicate
        /// It needs the state itself; nothing is appended meanwhile.
        case snapshot
    }

    var state = State.probe
    /// On its stable storage and equal to the leader's log.
    var matchIndex: LogIndex = 0
    /// The next entry to send.
    var nextIndex: LogIndex
    /// A probe is under way.
    var isProbing = false
    /// The last index of every unanswered append, ascending.
    var inFlight: [LogIndex] = []
    /// The highest commit index that was sent to it.
    var sentCommitIndex: LogIndex = 0
    /// When anything was last heard of it, for CheckQuorum.
    var lastHeard: Tick?
    /// When the newest heartbeat that it answered was SENT, for the lease.
    var answeredHeartbeatSent: Tick?
    var answeredRound: UInt64 = 0

    init(nextIndex: LogIndex) { self.nextIndex = nextIndex }

    mutating func becomeProbe() {
        self.state = .probe
        self.nextIndex = self.matchIndex + 1
        self.isProbing = false
        self.inFlight.removeAll(keepingCapacity: true)
    }

    mutating func becomeReplicate() {
        self.state = .replicate
        self.nextIndex = self.matchIndex + 1
        self.isProbing = false
        self.inFlight.removeAll(keepingCapacity: true)
    }

    mutating func becomeSnapshot() {
        self.state = .snapshot
        self.isProbing = false
        self.inFlight.removeAll(keepingCapacity: true)
    }

    /// True where the answer moved the match index.
    mutating func accept(through index: LogIndex) -> Bool {
        self.inFlight.removeAll { $0 <= index }
        self.nextIndex = max(self.nextIndex, index + 1)
        guard index > self.matchIndex else { return false }
        self.matchIndex = index
        return true
    }

    func isPaused(maximumInFlight: Int) -> Bool {
        switch self.state {
        case .probe: self.isProbing
        case .replicate: self.inFlight.count >= maximumInFlight
        case .snapshot: true
        }
    }
}
