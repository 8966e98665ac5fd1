/// Every limit of a node. Times are in ticks, whatever unit the shell gives a tick; the defaults take 1 ms.
package struct RaftLimits: Equatable, Sendable {
    /// How often a leader is heard. Also how often a candidate repeats its question.
    package var heartbeatTicks: UInt64 = 100
    /// A follower that heard of a leader less than this ago votes for nobody; the same on all nodes.
    package var electionTicksMinimum: UInt64 = 1200
    /// Election time-outs are drawn from minimum ..< maximum.
    package var electionTicksMaximum: UInt64 = 1800
    /// Added to this node's own campaigns only. Zero on a data node, more on a witness, so that a data node wins.
    package var candidacyDelayTicks: UInt64 = 0
    /// After a peer is lost, the n-th remaining voter waits n times this, so that votes do not split.
    package var lostPeerStaggerTicks: UInt64 = 50
    /// How long a leader that hands over refuses proposals before it gives up.
    package var transferTicks: UInt64 = 1200

    /// Peers that may be late get what is new this often, together.
    package var lateAppendTicks: UInt64 = 10
    /// Where the others lacked nothing within this. Above `heartbeatTicks`.
    package var promptTicks: UInt64 = 300

    /// An append carries no more than this, unless a single entry is longer.
    package var maximumAppendByteCount = 256 * 1024
    package var maximumAppendEntries = 1024
    /// Unanswered appends to one peer; at it the leader waits.
    package var maximumInFlightAppends = 64
    /// At either of these proposals are dropped with `.tooManyUncommitted`.
    package var maximumUncommittedEntries = 16 * 1024
    package var maximumUncommittedByteCount = 64 * 1024 * 1024
    package var maximumProposalByteCount = 8 * 1024 * 1024
    /// Committed entries handed out and not yet reported as applied; at it the node waits for `Event.applied`.
    package var maximumUnappliedEntries = 4096
    package var maximumPendingReads = 1024
    /// Heartbeat rounds whose sending time is remembered; an answer to an older one extends no lease.
    package var maximumHeartbeatRounds = 64
    package var maximumMembers = 9
    /// A learner may lack this many entries of the commit index when it is made a voter.
    package var promotionLagEntries: UInt64 = 256
    /// Messages that wait for a write; beyond it the oldest are dropped, as a network may drop them.
    package var maximumHeldMessages = 4096

    package init() {}
}
