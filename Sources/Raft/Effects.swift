/// What the shell must do after a step. The parts may be done at once and in any order, except that writes keep their
/// order among themselves, as do `committed` entries: what must wait for a write is held back by the node itself.
package struct Effects: Equatable, Sendable {
    /// To be put on stable storage, after all earlier writes; then `Event.persisted`.
    package var write: Write?
    /// To be sent now.
    package var messages: [Message] = []
    /// To be applied, in this order, once each; then `Event.applied`.
    package var committed: [Entry] = []
    /// What became of proposals and configuration changes made here.
    package var proposals: [ProposalResult] = []
    package var reads: [ReadResult] = []
    /// Peers that need the state itself: the shell takes one with `RaftNode.snapshot(at:)`, sends it, and then the
    /// message `.snapshot`; or reports `Event.snapshotFailed`.
    package var snapshotsToSend: [NodeID] = []
    /// Role, term or leader changed in this step.
    package var leadership: Leadership?
    /// Why the node stopped, in the step in which it did.
    package var stopped: StopReason?

    package init() {}
}

/// One atomic change of stable storage.
package struct Write: Equatable, Sendable {
    package var sequence: UInt64
    package var hardState: HardState?
    /// Replaces the state and the whole log.
    package var snapshot: Snapshot?
    /// Whatever the log holds from the first of these on is removed, then these are appended.
    package var entries: [Entry] = []
    /// The log's new beginning: entries up to it are removed.
    package var compaction: Snapshot?

    package init(
        sequence: UInt64, hardState: HardState? = nil, snapshot: Snapshot? = nil, entries: [Entry] = [],
        compaction: Snapshot? = nil
    ) {
        self.sequence = sequence
        self.hardState = hardState
        self.snapshot = snapshot
        self.entries = entries
        self.compaction = compaction
    }
}

package struct Leadership: Equatable, Sendable {
    package var role: Role
    package var term: Term
    package var leader: NodeID?

    package init(role: Role, term: Term, leader: NodeID?) {
        self.role = role
        self.term = term
        self.leader = leader
    }
}

package struct ProposalResult: Equatable, Sendable {
    package var token: UInt64
    package var outcome: Outcome

    package enum Outcome: Equatable, Sendable {
        /// In the same step the entry is, or was before, among `Effects.committed`.
        case committed(LogIndex)
        case dropped(DropReason)
    }

    package init(token: UInt64, outcome: Outcome) {
        self.token = token
        self.outcome = outcome
    }
}

package enum DropReason: Equatable, Sendable {
    case notLeader(leader: NodeID?)
    case leadershipTransferring
    /// `RaftLimits.maximumUncommittedEntries` or `...ByteCount` is reached: try again.
    case tooManyUncommitted
    /// `RaftLimits.maximumProposalByteCount` is exceeded.
    case tooLarge
    /// The leader has not yet committed an entry of its own term: try again.
    case ownTermNotCommitted
    /// An earlier configuration change is not committed yet: try again.
    case configurationChangePending
    /// The change changes nothing, leaves no voter, or exceeds the limit of members.
    case invalidChange
    /// The learner lacks more than `RaftLimits.promotionLagEntries`, or was not heard of lately.
    case learnerNotCaughtUp
    /// The voters that would stay and were heard of lately are no majority of those that would stay.
    case majorityNotHeard
    /// It may have happened or not. A snapshot covers its place, or this node stopped, or another leader's entry took its place
    /// here: that one need not be committed, and who still has this one may lead next (Raft's dissertation §3.6.2).
    case unknown
    /// `RaftLimits.maximumPendingReads` is reached.
    case tooManyReads
}

package struct ReadResult: Equatable, Sendable {
    package var token: UInt64
    package var outcome: Outcome

    package enum Outcome: Equatable, Sendable {
        /// State applied up to this index, or later, is current as of the request.
        case ready(LogIndex)
        case dropped(DropReason)
    }

    package init(token: UInt64, outcome: Outcome) {
        self.token = token
        self.outcome = outcome
    }
}

package enum StopReason: Equatable, Sendable {
    case storageFailed
    /// The leader knows of entries as acknowledged here that are not here: old data was restored.
    case acknowledgedLogLost
    /// The leader's log contradicts what was committed here.
    case committedPrefixConflict
}
