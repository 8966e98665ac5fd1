import Raft

/// When a witness asks for an election before its own long time-out.
///
/// A leader and the witness may have committed what the other data node lacks. When that leader dies, the data node is refused
/// (its log is behind) and only the witness can be elected; it then brings the data node up to date and hands over. Waiting
/// for the witness's own time-out would cost seconds, so it goes by the data node's refused question.
package enum WitnessPolicy {
    package static func shouldCampaign(
        role: NodeRole, silence: UInt64, electionTicks: UInt64, asked: (term: Term, index: LogIndex),
        own: (term: Term, index: LogIndex)
    ) -> Bool {
        role == .witness && silence >= electionTicks && asked < own
    }
}
