import Raft
import Testing

@testable import ClusterCore

@Suite struct ReachTests {
    /// One way is enough; that there is none is known only when all were tried.
    @Test func overSeveralWays() {
        #expect(Reach.overall([.no, .yes]) == .yes)
        #expect(Reach.overall([.unknown, .yes]) == .yes)
        #expect(Reach.overall([.no, .no]) == .no)
        #expect(Reach.overall([.no, .unknown]) == nil)
        #expect(Reach.overall([]) == nil)
    }
}

@Suite struct HeirsTests {
    private func candidate(
        _ node: NodeID, _ reach: Reach, matchIndex: LogIndex = 10, hasFailed: Bool = false
    ) -> Heirs.Candidate {
        Heirs.Candidate(node: node, matchIndex: matchIndex, hasFailed: hasFailed, reach: reach)
    }

    private func choose(
        _ candidates: [Heirs.Candidate], _ role: NodeRole = .data, _ reach: Reach = .yes
    ) -> [[NodeID]] {
        let (heirs, reaching) = Heirs.choose(from: candidates, leaderRole: role, leaderReach: reach)
        return [heirs, reaching]
    }

    @Test func theNewestLogComesFirst() {
        let candidates = [self.candidate(2, .yes, matchIndex: 5), self.candidate(3, .yes, matchIndex: 9)]
        #expect(self.choose(candidates) == [[3, 2], [3, 2]])
    }

    /// One of an older version says nothing: it may be handed to, and nothing is built on it.
    @Test func silenceIsNoPath() {
        #expect(self.choose([self.candidate(2, .unknown)]) == [[2], []])
        #expect(self.choose([self.candidate(2, .no)]) == [[], []])
    }

    @Test func aFailedNodeIsAskedAgainWhereTheLeaderHasNoPath() {
        let failed = [self.candidate(2, .yes, hasFailed: true)]
        #expect(self.choose(failed) == [[], []])
        #expect(self.choose(failed, .data, .unknown) == [[], []])
        #expect(self.choose(failed, .data, .no) == [[2], [2]])
    }

    @Test func aWitnessHandsOnToSomebody() {
        let candidates = [self.candidate(2, .no), self.candidate(3, .yes)]
        #expect(self.choose(candidates, .witness) == [[3, 2], [3]])
        #expect(self.choose([self.candidate(2, .no, hasFailed: true)], .witness) == [[2], []])
    }
}
