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

    struct Mark: Equatable, Sendable {
        var index: LogIndex
        var tick: Tick
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
    /// The latest tick known whose whole log it has acknowledged: how old the newest is that it may lack.
    var lastCaughtUp: Tick?
    /// What the log held at a tick that it has still to catch up with.
    var mark: Mark?
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

    /// Its answer, already taken in, came at this tick. `lastIndex`: the leader's.
    mutating func heard(_ now: Tick, lastIndex: LogIndex) {
        self.lastHeard = now
        if let mark = self.mark, self.matchIndex < mark.index { return }
        if self.matchIndex == lastIndex {
            self.lastCaughtUp = now
        } else if let mark = self.mark {
            self.lastCaughtUp = mark.tick
        }
        self.mark = Mark(index: lastIndex, tick: now)
    }

    func isPaused(maximumInFlight: Int) -> Bool {
        switch self.state {
        case .probe: self.isProbing
        case .replicate: self.inFlight.count >= maximumInFlight
        case .snapshot: true
        }
    }
}
