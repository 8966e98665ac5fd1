import ClusterCore
import Raft
import StateRecords

/// The takeover with states that go from node to node in parts, as `Member+Snapshots` has it: what `StateLinkUser` asks
/// for.
extension TakeoverSimulation: StateLinkUser {
    var brokenStateLinksPerMillion: UInt64 { self.faults.brokenStateLinksPerMillion }
    var lossPerMillion: UInt64 { self.faults.lossPerMillion }

    func raft(_ i: Int) -> RaftNode? { self.nodes[i].raft }
    func listens(_ i: Int, to node: NodeID) -> Bool { self.nodes[i].state?.isRemoved(node) != true }

    func isCut(_ i: Int, _ j: Int) -> Bool {
        let (a, b) = (self.nodes[i].id, self.nodes[j].id)
        return self.links.isBlocked(from: a, to: b) || self.links.isBlocked(from: b, to: a)
    }

    mutating func schedule(_ happening: StateHappening, at time: UInt64) {
        self.queue.schedule(.state(happening), at: time)
    }

    mutating func install(_ i: Int, _ bytes: [UInt8], with message: Message) {
        guard case .snapshot(let snapshot) = message.body, let state = try? ClusterState(decoding: bytes),
            state.appliedIndex == snapshot.index
        else { return self.fail("snapshot: node \(self.nodes[i].id) cannot read what it was sent") }
        self.wake(i)
        self.nodes[i].incoming = state
        self.step(i, .receive(message))
        self.nodes[i].incoming = nil
        self.settle(i)
    }
}
