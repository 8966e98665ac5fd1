import Raft

/// Who cannot send to whom, and since which partition.
struct SimulatedNetwork {
    private struct Link: Hashable {
        var from: NodeID
        var to: NodeID
    }

    private var blocked: [Link: UInt64] = [:]
    private var nextPartition: UInt64 = 1

    func isBlocked(from: NodeID, to: NodeID) -> Bool { self.blocked[Link(from: from, to: to)] != nil }

    /// Cuts every link between the two sides. Returns the partition's number, to heal it by.
    mutating func separate(_ side: [NodeID], from others: [NodeID]) -> UInt64 {
        for a in side {
            for b in others where a != b {
                self.blocked[Link(from: a, to: b)] = self.nextPartition
                self.blocked[Link(from: b, to: a)] = self.nextPartition
            }
        }
        self.nextPartition += 1
        return self.nextPartition - 1
    }

    /// Cuts one direction only.
    mutating func mute(_ from: NodeID, toward to: NodeID) -> UInt64 {
        self.blocked[Link(from: from, to: to)] = self.nextPartition
        self.nextPartition += 1
        return self.nextPartition - 1
    }

    mutating func heal(_ partition: UInt64) { self.blocked = self.blocked.filter { $0.value != partition } }
    mutating func healAll() { self.blocked = [:] }
}
