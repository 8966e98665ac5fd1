import Testing

@testable import ClusterCore
@testable import Raft

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
        _ node: NodeID, _ reach: Reach, matchIndex: LogIndex = 10, heard: Tick? = 4900, caughtUp: Tick? = 4900,
        isVoter: Bool = true, hasFailed: Bool = false
    ) -> Heirs.Candidate {
        let peer = PeerStatus(
            node: node, matchIndex: matchIndex, lastHeard: heard, lastCaughtUp: caughtUp, needsSnapshot: false)
        return Heirs.Candidate(peer, isVoter: isVoter, hasFailed: hasFailed, reach: reach)
    }

    private func choose(
        _ candidates: [Heirs.Candidate], _ role: NodeRole = .data, _ reach: Reach = .yes
    ) -> [[NodeID]] {
        let (heirs, reaching) = Heirs.choose(from: candidates, leaderRole: role, leaderReach: reach, now: 5000)
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

    /// A node that has just come back answers heartbeats before the link that brings it the log is up: a move to it would
    /// leave the clients with nobody meanwhile.
    @Test func whoLacksSomeOfTheLogWaits() {
        #expect(self.choose([self.candidate(2, .yes, caughtUp: 4001)]) == [[2], [2]])
        #expect(self.choose([self.candidate(2, .yes, caughtUp: 4000)]) == [[], []])
        #expect(self.choose([self.candidate(2, .yes, caughtUp: nil)], .witness) == [[], []])
    }

    @Test func everyHindranceIsNamed() {
        func hindrance(_ candidate: Heirs.Candidate) -> Heirs.Hindrance? {
            Heirs.hindrance(of: candidate, leaderReach: .yes, after: 4000)
        }
        #expect(hindrance(self.candidate(2, .yes)) == nil)
        #expect(hindrance(self.candidate(2, .yes, heard: nil, caughtUp: nil)) == .isSilent)
        #expect(hindrance(self.candidate(2, .yes, heard: 4000)) == .isSilent)
        #expect(hindrance(self.candidate(2, .yes, isVoter: false)) == .isLearner)
        #expect(hindrance(self.candidate(2, .yes, caughtUp: 100)) == .lagsBehind)
        #expect(hindrance(self.candidate(2, .no)) == .reachesNothing)
        #expect(hindrance(self.candidate(2, .yes, hasFailed: true)) == .hasFailed)
    }
}
