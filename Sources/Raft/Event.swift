/// What happens to a node. The shell hands each to `RaftNode.step(_:at:)` with the time it read just before.
package enum Event: Equatable, Sendable {
    /// Time passed. `random` is any fresh random number: the next election time-out is drawn from it.
    case tick(random: UInt64)
    case receive(Message)
    /// Append this, if this node leads. `token` is the shell's, unique among those unresolved.
    case propose(token: UInt64, payload: [UInt8])
    case changeConfiguration(token: UInt64, ConfigurationChange)
    /// Confirm through a quorum that this node leads; answered in `Effects.reads`.
    case readIndex(token: UInt64)
    /// Hand leadership to a voter.
    case transferLeadership(to: NodeID)
    /// Start an election now (PreVote first), unless a leader was heard of within the last election time-out.
    case campaign
    /// That peer's process is gone (its connection was reset and a new one refused) or the only link to it is down.
    /// If it led, an election starts at once. Never to be sent on mere silence: it voids the promise that the
    /// heartbeats' acknowledgements gave to the leader's lease.
    case peerLost(NodeID)
    /// Stop believing in the leader without campaigning: others may win this vote at once.
    case forgetLeader
    /// Every `Write` up to this sequence is on stable storage.
    case persisted(sequence: UInt64)
    /// A write or its fsync failed. The node never trusts that storage again.
    case storageFailed
    /// The state machine has applied everything up to here, durably.
    case applied(LogIndex)
    /// Forget the log up to here, which is applied; the shell keeps the state in its place.
    case compact(through: LogIndex)
    /// The transfer that `Effects.snapshotsToSend` asked for did not succeed.
    case snapshotFailed(NodeID)
    /// The quorum disk granted this node's candidacy.
    case diskVoted(DiskVote)
    /// This node's own area of the quorum disk names a term in which it stood or led: it voted for itself there.
    case diskBallot(Term)
}

/// A quorum disk's vote, which may bring entries that it acknowledged and the candidate lacks.
package struct DiskVote: Equatable, Sendable {
    package var disk: NodeID
    package var term: Term
    /// More up to date than the candidate's: to be adopted before the vote counts. nil: the candidate lacks nothing.
    package var log: DiskLog?

    package init(disk: NodeID, term: Term, log: DiskLog? = nil) {
        self.disk = disk
        self.term = term
        self.log = log
    }
}

/// The log in an area of the quorum disk.
package struct DiskLog: Equatable, Sendable {
    /// The checkpoint before the first entry. Where it lies beyond the commit index, its state is at hand in the shell.
    package var base: Snapshot
    /// Ascending without gaps from `base.index + 1`.
    package var entries: [Entry]

    package init(base: Snapshot, entries: [Entry]) {
        self.base = base
        self.entries = entries
    }

    package var lastIndex: LogIndex { self.entries.last?.index ?? self.base.index }
    package var lastTerm: Term { self.entries.last?.term ?? self.base.term }
}
