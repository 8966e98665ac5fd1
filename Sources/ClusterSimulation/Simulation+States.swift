import ClusterCore
import Raft

/// Raft with states that go from node to node in parts: what `StateLinkUser` asks for.
extension Simulation: StateLinkUser {
    var brokenStateLinksPerMillion: UInt64 { self.faults.brokenStateLinksPerMillion }
    var lossPerMillion: UInt64 { self.faults.lossPerMillion }

    func machine(of node: NodeID) -> Int? { (1...NodeID(self.nodes.count)).contains(node) ? Int(node) - 1 : nil }
    func raft(_ i: Int) -> RaftNode? { self.nodes[i].raft }
    func listens(_ i: Int, to node: NodeID) -> Bool { true }

    func isCut(_ i: Int, _ j: Int) -> Bool {
        let (a, b) = (self.nodes[i].id, self.nodes[j].id)
        return self.network.isBlocked(from: a, to: b) || self.network.isBlocked(from: b, to: a)
    }

    mutating func schedule(_ happening: StateHappening, at time: UInt64) {
        self.queue.schedule(.state(happening), at: time)
    }

    mutating func install(_ i: Int, _ state: [UInt8], with message: Message) {
        self.nodes[i].receivedStateHash = token(of: state)
        self.step(i, .receive(message))
    }
}
