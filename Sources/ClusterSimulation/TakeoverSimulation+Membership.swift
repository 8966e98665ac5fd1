import ClusterCore
import Raft

/// Raft's membership in the takeover simulation, as `Member+Membership` has it.
extension TakeoverSimulation {
    mutating func reconcileMembership(_ i: Int) {
        guard !self.nodes[i].isChangingMembership, let state = self.nodes[i].state, let raft = self.nodes[i].raft else {
            return
        }
        let change = MembershipPlan.next(
            state.configuration, membership: raft.configuration, leaving: self.nodes[i].leaving
        ) { id in
            raft.peers.contains { $0.node == id && $0.matchIndex > 0 }
        }
        guard let change else { return }
        self.nodes[i].isChangingMembership = true
        self.change(i, change, .change)
    }
}
