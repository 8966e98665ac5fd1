import Raft

/// Brings Raft's membership to what the configuration says, one change at a time: a node that is new becomes a learner, a
/// learner that has caught up a voter, and the wanted quorum disk takes the place of any other.
package enum MembershipPlan {
    /// - Parameters:
    ///   - leaving: nodes that are being taken out, or out and back under another id.
    ///   - hasLog: the member acknowledged something of the log to this leader.
    /// - Returns: nil where there is nothing to do.
    package static func next(
        _ configuration: ClusterConfiguration, membership: Configuration, leaving: Set<NodeID>,
        hasLog: (NodeID) -> Bool
    ) -> ConfigurationChange? {
        if let new = configuration.nodes.first(where: { !membership.contains($0.id) && !leaving.contains($0.id) }) {
            return .addLearner(new.id)
        }
        if let learner = membership.learners.first(where: { !leaving.contains($0) && hasLog($0) }) {
            return .promote(learner)
        }
        return configuration.quorumDisks.nextChange(membership)
    }
}
