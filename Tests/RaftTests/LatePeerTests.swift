import Testing

@testable import Raft

/// A witness helps to decide; commits do not wait for it while the others keep up.
@Suite struct LatePeerTests {
    private func cluster() -> Lockstep {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.pass(200)
        cluster.nodes[1]!.latePeers = [3]
        return cluster
    }

    private func isAppend(_ message: Message, to node: NodeID) -> Bool {
        guard message.to == node, case .append(let append) = message.body else { return false }
        return !append.entries.isEmpty
    }

    @Test func commandsReachItTogetherWithATick() {
        var cluster = self.cluster()
        for index in 0..<5 {
            cluster.propose("\(index)", to: 1, token: UInt64(index + 1))
            #expect(!cluster.queue.contains { self.isAppend($0, to: 3) })
            cluster.settle()
            #expect(cluster.proposals[UInt64(index + 1)] == .committed(LogIndex(index + 2)), "nobody waited for it")
        }
        #expect(cluster.commands(3) == [])
        cluster.now += cluster.limits.lateAppendTicks
        cluster.step(1, .tick(random: 0))
        #expect(cluster.queue.filter { self.isAppend($0, to: 3) }.count == 1)
        cluster.settle()
        #expect(cluster[3].lastIndex == cluster[1].lastIndex)
        cluster.pass(200)
        #expect(cluster.commands(3) == ["0", "1", "2", "3", "4"])
    }

    /// The other one is silent: until that is noticed the tick brings the entry, and afterwards it goes at once.
    @Test func withoutTheOthersItIsAskedInTime() {
        var cluster = self.cluster()
        cluster.isolated = [2]
        cluster.propose("x", to: 1, token: 1)
        cluster.settle()
        #expect(cluster.proposals[1] == nil)
        cluster.now += cluster.limits.lateAppendTicks
        cluster.step(1, .tick(random: 0))
        cluster.settle()
        #expect(cluster.proposals[1] == .committed(2))
        cluster.pass(cluster.limits.promptTicks + 100, only: [1, 3])
        cluster.propose("y", to: 1, token: 2)
        cluster.settle()
        #expect(cluster.proposals[2] == .committed(3))
    }

    /// The process of the other one ended: what waits goes now.
    @Test func aLostPeerEndsTheDelay() {
        var cluster = self.cluster()
        cluster.isolated = [2]
        cluster.propose("x", to: 1, token: 1)
        cluster.settle()
        cluster.step(1, .peerLost(2))
        cluster.settle()
        #expect(cluster.proposals[1] == .committed(2))
        cluster.propose("y", to: 1, token: 2)
        cluster.settle()
        #expect(cluster.proposals[2] == .committed(3))
    }

    /// The leader dies before the witness has what was committed: who has it is elected, with the witness's vote.
    @Test func whatWasCommittedWithoutItSurvivesTheLeader() {
        var cluster = self.cluster()
        cluster.propose("kept", to: 1, token: 1)
        cluster.settle()
        #expect(cluster.proposals[1] == .committed(2))
        #expect(cluster[3].lastIndex < cluster[2].lastIndex)
        cluster.isolated = [1]
        cluster.pass(5000, only: [2, 3])
        #expect(cluster[2].isLeader, "3 lacks an entry")
        #expect(cluster.commands(3) == ["kept"])
    }
}
