import Testing

@testable import Raft

/// "In Search of an Understandable Consensus Algorithm", section by section.
@Suite struct PaperTests {
    // MARK: §5.1 Raft basics

    enum Standing: CaseIterable { case follower, candidate, leader }

    static func node(_ standing: Standing) -> RaftNode {
        var node = Lockstep.node(terms: [1])
        switch standing {
        case .follower: _ = node.receiveAndSync(append(1, 1, []), from: 2, term: 2)
        case .candidate:
            _ = node.stepAndSync(.campaign, at: later)
            _ = node.receiveAndSync(.preVoteResponse(granted: true), from: 2, term: 2)
        case .leader: _ = node.lead()
        }
        return node
    }

    @Test(arguments: Standing.allCases)
    func section5_1_aHigherTermMakesAFollower(standing: Standing) {
        var node = Self.node(standing)
        #expect(node.term == 2)
        _ = node.receiveAndSync(append(0, 0, []), from: 3, term: 5)
        #expect(node.term == 5)
        #expect(node.role == .follower)
        #expect(node.leader == 3)
    }

    @Test(arguments: Standing.allCases)
    func section5_1_aStaleTermIsRefused(standing: Standing) {
        var node = Self.node(standing)
        let role = node.role
        let effects = node.receiveAndSync(append(1, 1, [1]), from: 3, term: 1)
        #expect(node.role == role)
        #expect(node.lastIndex == (standing == .leader ? 2 : 1))
        // The stale leader is told, or it would go on for ever.
        #expect(effects.messages.map(\.term) == [2])
        #expect(effects.messages.map(\.to) == [3])
    }

    // MARK: §5.2 Leader election

    @Test func section5_2_nodesStartAsFollowers() {
        #expect(Lockstep.node().role == .follower)
    }

    @Test func section5_2_aLeaderSendsHeartbeats() {
        var node = Self.node(.leader)
        let early = node.stepAndSync(.tick(random: 0), at: later + 50)
        #expect(early.messages.isEmpty)
        let effects = node.stepAndSync(.tick(random: 0), at: later + 100)
        #expect(effects.messages.map(\.to) == [2, 3])
        for message in effects.messages {
            guard case .heartbeat = message.body else { return #expect(Bool(false), "\(message)") }
        }
    }

    @Test(arguments: [Standing.follower, .candidate])
    func section5_2_silenceStartsAnElection(standing: Standing) {
        var node = Self.node(standing)
        let term = node.term
        _ = node.step(.tick(random: 0), at: later + 1)
        let effects = node.stepAndSync(.tick(random: 0), at: later + 1300)
        #expect(node.role == .preCandidate)
        #expect(node.term == term, "a pre-vote changes nothing")
        #expect(effects.messages.map(\.to) == [2, 3])
        let campaign = node.receiveAndSync(.preVoteResponse(granted: true), from: 3, term: term + 1)
        #expect(node.role == .candidate)
        #expect(node.term == term + 1)
        #expect(node.hardState.votedFor == 1)
        #expect(campaign.messages.map(\.to) == [2, 3])
    }

    struct Poll: Sendable {
        var size: Int
        var granted: [NodeID]
        var refused: [NodeID]
        var role: Role
    }

    @Test(arguments: [
        Poll(size: 3, granted: [2], refused: [], role: .leader),
        Poll(size: 5, granted: [2, 3], refused: [], role: .leader),
        Poll(size: 5, granted: [2, 3, 4, 5], refused: [], role: .leader),
        Poll(size: 3, granted: [], refused: [2, 3], role: .follower),
        Poll(size: 5, granted: [], refused: [2, 3, 4], role: .follower),
        Poll(size: 5, granted: [2], refused: [3, 4], role: .candidate),
        Poll(size: 3, granted: [], refused: [2], role: .candidate),
        Poll(size: 5, granted: [2], refused: [], role: .candidate),
    ])
    func section5_2_aMajorityElects(poll: Poll) {
        let voters = (1...poll.size).map(NodeID.init)
        var node = Lockstep.node(of: voters)
        _ = node.stepAndSync(.campaign)
        for voter in voters.dropFirst() where node.role == .preCandidate {
            _ = node.receiveAndSync(.preVoteResponse(granted: true), from: voter, term: 1)
        }
        for voter in poll.granted where node.role == .candidate {
            _ = node.receiveAndSync(.voteResponse(granted: true), from: voter, term: 1)
        }
        for voter in poll.refused {
            _ = node.receiveAndSync(.voteResponse(granted: false), from: voter, term: 1)
        }
        #expect(node.role == poll.role)
        #expect(node.term == 1)
    }

    @Test func section5_2_oneVotePerTermFirstComeFirstServed() {
        var node = Lockstep.node(term: 1)
        let first = node.receiveAndSync(.voteRequest(lastIndex: 0, lastTerm: 0, force: false), from: 2, term: 2)
        #expect(first.messages.map(\.body) == [.voteResponse(granted: true)])
        let second = node.receiveAndSync(.voteRequest(lastIndex: 9, lastTerm: 1, force: false), from: 3, term: 2)
        #expect(second.messages.map(\.body) == [.voteResponse(granted: false)])
        let again = node.receiveAndSync(.voteRequest(lastIndex: 0, lastTerm: 0, force: false), from: 2, term: 2)
        #expect(again.messages.map(\.body) == [.voteResponse(granted: true)])
    }

    @Test func section5_2_aVoteLeavesOnlyWhenItIsPersisted() {
        var node = Lockstep.node(term: 1)
        let asked = node.receive(.voteRequest(lastIndex: 0, lastTerm: 0, force: false), from: 2, term: 2)
        #expect(asked.messages.isEmpty)
        #expect(asked.write?.hardState?.votedFor == 2)
        let done = node.step(.persisted(sequence: asked.write!.sequence), at: later)
        #expect(done.messages.map(\.body) == [.voteResponse(granted: true)])
    }

    @Test(arguments: [Term(2), 3])
    func section5_2_aCandidateYieldsToALeader(term: Term) {
        var node = Self.node(.candidate)
        _ = node.receiveAndSync(append(0, 0, []), from: 3, term: term)
        #expect(node.role == .follower)
        #expect(node.leader == 3)
        #expect(node.term == term)
    }

    @Test func section5_2_timeoutsAreRandom() {
        var seen: Set<Tick> = []
        for random in stride(from: UInt64(0), to: 600, by: 50) {
            var node = Lockstep.node()
            _ = node.step(.tick(random: random), at: 0)
            var now: Tick = 0
            while node.role == .follower {
                now += 10
                _ = node.step(.tick(random: random), at: now)
            }
            #expect((1200...1800).contains(now))
            seen.insert(now)
        }
        #expect(seen.count == 12)
    }

    @Test func section5_2_aCandidatesTimeoutsAreRandom() {
        var seen: Set<Tick> = []
        for random in stride(from: UInt64(0), to: 600, by: 50) {
            var node = Self.node(.candidate)
            var now = later
            _ = node.step(.tick(random: random), at: now)
            while node.role == .candidate {
                now += 10
                _ = node.stepAndSync(.tick(random: random), at: now)
            }
            #expect(node.role == .preCandidate)
            #expect((1200...1810).contains(now - later))
            seen.insert(now - later)
        }
        #expect(seen.count == 12)
    }

    /// Votes seldom split: of five nodes that fall silent together mostly one alone times out first.
    @Test func section5_2_timeoutsSeldomCoincide() {
        var seed: UInt64 = 1
        func random() -> UInt64 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return seed >> 33
        }
        var conflicts = 0
        for _ in 0..<300 {
            var nodes = (1...5).map { Lockstep.node(NodeID($0), of: [1, 2, 3, 4, 5]) }
            for i in nodes.indices { _ = nodes[i].step(.tick(random: random()), at: 0) }
            var now: Tick = 1200
            while nodes.allSatisfy({ $0.role == .follower }) {
                now += 10
                for i in nodes.indices { _ = nodes[i].step(.tick(random: 0), at: now) }
            }
            if nodes.count(where: { $0.role != .follower }) > 1 { conflicts += 1 }
        }
        #expect(conflicts < 90)
    }

    // MARK: §5.3 Log replication

    @Test func section5_3_aLeaderReplicatesToAllInParallel() {
        var node = Self.node(.leader)
        for peer in [NodeID(2), 3] { _ = node.receiveAndSync(.appendAccepted(matchIndex: 2), from: peer, term: 2) }
        let effects = node.step(.propose(token: 1, payload: [7]), at: later)
        #expect(node.commitIndex == 2)
        let entry = Entry(index: 3, term: 2, payload: .command([7]))
        #expect(effects.write?.entries == [entry])
        // Its own disk writes while the others receive.
        #expect(effects.messages.map(\.to) == [2, 3])
        for message in effects.messages {
            let body = Message.Append(previousIndex: 2, previousTerm: 2, entries: [entry], commitIndex: 2)
            #expect(message.body == .append(body))
        }
    }

    @Test(arguments: [
        (3, [NodeID](), false), (3, [2], true), (3, [2, 3], true), (5, [2], false), (5, [2, 3], true),
        (5, [2, 3, 4, 5], true),
    ])
    func section5_3_aMajorityCommits(size: Int, accepting: [NodeID], isCommitted: Bool) {
        var cluster = Lockstep(voters: (1...size).map(NodeID.init))
        cluster.elect(1)
        cluster.isolated = Set((2...size).map(NodeID.init)).subtracting(accepting)
        cluster.propose("x", to: 1, token: 9)
        cluster.settle()
        #expect((cluster[1].commitIndex == 2) == isCommitted)
        #expect(cluster.proposals[9] == (isCommitted ? .committed(2) : nil))
    }

    @Test func section5_3_theLeadersOwnCopyCountsOnceItIsStable() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.slowDisks = [1]
        cluster.isolated = [3]
        cluster.propose("x", to: 1)
        cluster.settle()
        #expect(cluster[1].commitIndex == 1, "one stable copy of three")
        cluster.sync(1)
        #expect(cluster[1].commitIndex == 2)
    }

    /// With an entry of its own a leader commits all before it, those of earlier leaders included.
    @Test(arguments: [[], [Term(2)], [1, 2], [1]] as [[Term]])
    func section5_3_aCommitCommitsWhatIsBefore(before: [Term]) {
        var node = Lockstep.node(terms: before, term: 2)
        _ = node.lead()
        _ = node.stepAndSync(.propose(token: 1, payload: [7]))
        let last = LogIndex(before.count) + 2
        let effects = node.receiveAndSync(.appendAccepted(matchIndex: last), from: 2, term: 3)
        #expect(node.commitIndex == last)
        #expect(effects.committed.map(\.index) == Array(1...last))
        #expect(effects.committed.map(\.term) == before + [3, 3])
    }

    @Test func section5_3_followersLearnTheCommitIndex() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.propose("a", to: 1)
        cluster.propose("b", to: 1)
        cluster.settle()
        cluster.pass(100)
        for id in [NodeID(1), 2, 3] { #expect(cluster.commands(id) == ["a", "b"]) }
    }

    @Test(arguments: [
        // previous index and term, accepted; else the hint
        (LogIndex(0), Term(0), true, LogIndex(0)), (1, 1, true, 0), (2, 2, true, 0),
        (2, 3, false, 2), (3, 3, false, 2),
    ])
    func section5_3_anAppendMustFollowOn(previousIndex: LogIndex, previousTerm: Term, isAccepted: Bool, hint: LogIndex)
    {
        var node = Lockstep.node(terms: [1, 2], commit: 1)
        let effects = node.receiveAndSync(append(previousIndex, previousTerm, []), from: 2, term: 4)
        if isAccepted {
            #expect(effects.messages.map(\.body) == [.appendAccepted(matchIndex: max(previousIndex, 1))])
        } else {
            #expect(
                effects.messages.map(\.body) == [
                    .appendRejected(previousIndex: previousIndex, hintIndex: hint, hintTerm: 2)
                ])
        }
    }

    @Test(arguments: [
        (LogIndex(2), Term(2), [Term(3)], [Term(1), 2, 3], [Term(3)]),
        (1, 1, [3, 4], [1, 3, 4], [3, 4]),
        (0, 0, [1], [1, 2], []),
        (0, 0, [3], [3], [3]),
    ])
    func section5_3_conflictsAreReplacedAndNothingElse(
        previousIndex: LogIndex, previousTerm: Term, sent: [Term], log: [Term], written: [Term]
    ) {
        var node = Lockstep.node(terms: [1, 2])
        let effects = node.receive(append(previousIndex, previousTerm, sent), from: 2, term: 4)
        #expect((1...node.lastIndex).map { node.term(at: $0)! } == log)
        #expect(effects.write?.entries.map(\.term) == written)
    }

    /// Figure 7: whatever a follower's log holds, the leader's replaces it.
    @Test(arguments: [
        [Term(1), 1, 1, 4, 4, 5, 5, 6, 6],
        [1, 1, 1, 4],
        [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        [1, 1, 1, 4, 4, 4, 4],
        [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ])
    func section5_3_figure7(terms: [Term]) {
        func disk(_ terms: [Term]) -> Lockstep.Disk {
            var disk = Lockstep.Disk()
            disk.base = Snapshot(configuration: Configuration(voters: [1, 2, 3]))
            disk.hardState.term = 7
            disk.entries = terms.enumerated().map {
                Entry(index: LogIndex($0.offset) + 1, term: $0.element, payload: .command([UInt8($0.element)]))
            }
            return disk
        }
        let leading: [Term] = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.add(1, disk(leading))
        cluster.add(2, disk(terms))
        cluster.add(3, disk([1]))
        cluster.now += 10_000
        cluster.step(1, .campaign)
        cluster.settle()
        #expect(cluster[1].isLeader)
        #expect(cluster.terms(1) == leading + [8])
        #expect(cluster.terms(2) == leading + [8])
        #expect(cluster.terms(3) == leading + [8])
        #expect(cluster[2].commitIndex == 11)
    }

    // MARK: §5.4.1 Election restriction

    /// A candidate's questions say how far its log reaches.
    @Test(arguments: [[Term(1)], [1, 2], [1, 1, 2]])
    func section5_4_1_aCandidateSaysHowFarItsLogReaches(terms: [Term]) {
        var node = Lockstep.node(terms: terms, term: 3)
        let last = (LogIndex(terms.count), terms[terms.count - 1])
        let asked = node.stepAndSync(.campaign)
        #expect(asked.messages.map(\.to) == [2, 3])
        #expect(asked.messages.allSatisfy { $0.body == .preVoteRequest(lastIndex: last.0, lastTerm: last.1) })
        let voted = node.receiveAndSync(.preVoteResponse(granted: true), from: 2, term: 4)
        #expect(voted.messages.map(\.to) == [2, 3])
        #expect(
            voted.messages.allSatisfy { $0.body == .voteRequest(lastIndex: last.0, lastTerm: last.1, force: false) })
    }

    @Test(arguments: [
        // mine; the candidate's last term and index; granted
        ([Term(1)], Term(1), LogIndex(1), true), ([1], 2, 1, true), ([1, 1], 1, 1, false), ([1], 1, 2, true),
        ([1], 2, 2, true), ([1, 1], 2, 1, true), ([2], 1, 1, false), ([2], 1, 2, false), ([2, 1], 1, 1, false),
    ])
    func section5_4_1_aVoterRefusesAnOlderLog(mine: [Term], lastTerm: Term, lastIndex: LogIndex, isGranted: Bool) {
        var node = Lockstep.node(terms: mine, term: 2)
        let question = Message.Body.voteRequest(lastIndex: lastIndex, lastTerm: lastTerm, force: false)
        let vote = node.receiveAndSync(question, from: 2, term: 3)
        #expect(vote.messages.map(\.body) == [.voteResponse(granted: isGranted)])

        var other = Lockstep.node(terms: mine, term: 2)
        let preVote = other.receiveAndSync(
            .preVoteRequest(lastIndex: lastIndex, lastTerm: lastTerm), from: 2, term: 3)
        #expect(preVote.messages.map(\.body) == [.preVoteResponse(granted: isGranted)])
        #expect(other.term == 2)
    }

    // MARK: §5.4.2 Committing entries from previous terms

    @Test func section5_4_2_onlyTheOwnTermIsCountedFor() {
        var node = Lockstep.node(terms: [1, 2])
        _ = node.lead()
        #expect(node.lastIndex == 3)
        _ = node.receiveAndSync(.appendAccepted(matchIndex: 1), from: 2, term: 3)
        #expect(node.commitIndex == 0)
        _ = node.receiveAndSync(.appendAccepted(matchIndex: 2), from: 2, term: 3)
        #expect(node.commitIndex == 0)
        _ = node.receiveAndSync(.appendAccepted(matchIndex: 3), from: 2, term: 3)
        #expect(node.commitIndex == 3)
    }

    /// Figure 8: S1 led term 2 and left index 2 on S2; S5 led term 3 with another index 2; S1 leads term 4.
    @Test func section5_4_2_figure8() {
        var leader = Lockstep.node(1, of: [1, 2, 3, 4, 5], terms: [1, 2], term: 3, commit: 1)
        _ = leader.lead()
        // (c) S1, S2 and S3 hold index 2: a majority, and yet it is not committed ...
        for peer in [NodeID(2), 3] { _ = leader.receiveAndSync(.appendAccepted(matchIndex: 2), from: peer, term: 4) }
        #expect(leader.commitIndex == 1)
        // (d) ... for S5 may be elected by those without index 3, and replaces it.
        var overwritten = leader
        let effects = overwritten.receiveAndSync(append(1, 1, [3, 5], commit: 3), from: 5, term: 5)
        #expect(overwritten.role == .follower)
        #expect(overwritten.term(at: 2) == 3)
        #expect(effects.committed.map(\.term) == [3, 5])
        // (e) An entry of its own term on a majority commits both, and S5 cannot be elected any more.
        for peer in [NodeID(2), 3] { _ = leader.receiveAndSync(.appendAccepted(matchIndex: 3), from: peer, term: 4) }
        #expect(leader.commitIndex == 3)
        var voter = Lockstep.node(3, of: [1, 2, 3, 4, 5], terms: [1, 2, 4])
        let vote = voter.receiveAndSync(.voteRequest(lastIndex: 2, lastTerm: 3, force: false), from: 5, term: 5)
        #expect(vote.messages.map(\.body) == [.voteResponse(granted: false)])
    }

    // MARK: §6 Membership, §7 Compaction, §8 Clients: MembershipTests, SnapshotTests, LeaseTests

    @Test func section8_aNewLeaderCommitsANoOpFirst() {
        var node = Lockstep.node(terms: [1])
        let effects = node.lead()
        #expect(node.entry(at: 2) == Entry(index: 2, term: 2, payload: .empty))
        #expect(!node.isEstablishedLeader)
        #expect(effects.write == nil || effects.write?.entries.first?.payload == .empty)
    }
}
