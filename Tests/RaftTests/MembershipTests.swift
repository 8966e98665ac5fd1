import Testing

@testable import Raft

/// Raft §6 in its dissertation's form (§4): one server at a time.
@Suite struct MembershipTests {
    @Test func section6_aLearnerCatchesUpAndIsPromoted() {
        var cluster = Lockstep(voters: [1, 2, 3], outsiders: [4])
        cluster.elect(1)
        for i in 0..<5 { cluster.propose("\(i)", to: 1) }
        cluster.settle()
        cluster.step(1, .changeConfiguration(token: 1, .promote(4)))
        #expect(cluster.proposals[1] == .dropped(.invalidChange), "not even a learner")
        cluster.isolated = [4]
        cluster.step(1, .changeConfiguration(token: 2, .addLearner(4)))
        cluster.settle()
        #expect(cluster.proposals[2] == .committed(7), "a learner's answer is not waited for")
        cluster.step(1, .changeConfiguration(token: 3, .promote(4)))
        #expect(cluster.proposals[3] == .dropped(.learnerNotCaughtUp))
        cluster.isolated = []
        cluster.pass(300)
        #expect(cluster.commands(4).count == 5)
        cluster.step(1, .changeConfiguration(token: 4, .promote(4)))
        cluster.settle()
        #expect(cluster.proposals[4] == .committed(8))
        for id in [NodeID(1), 2, 3, 4] {
            #expect(cluster[id].configuration == Configuration(voters: [1, 2, 3, 4]))
        }
    }

    @Test func aLearnerNeverCampaigns() {
        var cluster = Lockstep(voters: [1, 2], learners: [3])
        cluster.elect(1)
        cluster.isolated = [1, 2]
        cluster.pass(5000)
        #expect(cluster[3].role == .follower)
        #expect(cluster[3].term == 1)
    }

    @Test func aLearnerDoesNotCount() {
        var cluster = Lockstep(voters: [1, 2], learners: [3, 4])
        cluster.elect(1)
        cluster.isolated = [2]
        cluster.propose("x", to: 1)
        cluster.settle()
        #expect(cluster[1].commitIndex == 1)
        #expect(cluster[3].lastIndex == 2)
    }

    /// The bug of the dissertation's first algorithm: two leaders each change a configuration of which the other's
    /// change is unknown to them. https://groups.google.com/g/raft-dev/c/t4xj6dJTP6E
    @Test func aConfigurationChangeBeforeAnOwnTermCommitIsRefused() {
        var node = Lockstep.node(1, of: [1, 2, 3, 4])
        _ = node.lead()
        var effects = node.stepAndSync(.changeConfiguration(token: 1, .addLearner(5)))
        #expect(effects.proposals.map(\.outcome) == [.dropped(.ownTermNotCommitted)])
        #expect(node.configuration == Configuration(voters: [1, 2, 3, 4]))
        for peer in [NodeID(2), 3] { _ = node.receiveAndSync(.appendAccepted(matchIndex: 1), from: peer, term: 1) }
        effects = node.stepAndSync(.changeConfiguration(token: 2, .addLearner(5)))
        #expect(effects.proposals.isEmpty)
        #expect(node.configuration.learners == [5])

        // What the check is for: without it the change is in force at once.
        var defective = RaftNode(
            id: 1, snapshot: Snapshot(configuration: Configuration(voters: [1, 2, 3, 4])), now: 0,
            defects: .changeBeforeOwnTermCommit)
        _ = defective.lead()
        _ = defective.stepAndSync(.changeConfiguration(token: 1, .addLearner(5)))
        #expect(defective.configuration.learners == [5])
        #expect(defective.commitIndex == 0)
    }

    @Test func changesAreMadeOneAtATime() {
        var cluster = Lockstep(voters: [1, 2, 3], outsiders: [4, 5])
        cluster.elect(1)
        cluster.isolated = [2, 3]
        cluster.step(1, .changeConfiguration(token: 1, .addLearner(4)))
        cluster.step(1, .changeConfiguration(token: 2, .addLearner(5)))
        #expect(cluster.proposals[2] == .dropped(.configurationChangePending))
        cluster.isolated = []
        cluster.pass(300)
        #expect(cluster.proposals[1] == .committed(2))
        cluster.step(1, .changeConfiguration(token: 3, .addLearner(5)))
        cluster.settle()
        #expect(cluster.proposals[3] == .committed(3))
    }

    /// The quorum disk is never wiped under the one node that is left with it.
    @Test func aMemberCanBeDoneWithoutWhereTheOthersAreAMajority() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.pass(300)
        #expect(cluster[1].isMajorityHeard(without: 3))
        cluster.isolated = [2]
        cluster.pass(2000)
        #expect(cluster[1].isLeader)
        #expect(!cluster[1].isMajorityHeard(without: 3), "node 1 alone is none of the two that would stay")
        #expect(cluster[1].isMajorityHeard(without: 2))
        #expect(cluster[1].isMajorityHeard(without: 9), "no member")
        cluster.isolated = []
        cluster.pass(300)
        #expect(cluster[1].isMajorityHeard(without: 3))
    }

    /// Removing the healthy one of two followers would leave a leader that can commit nothing, not even that removal.
    @Test func aRemovalThatLeavesNoMajorityIsRefused() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.isolated = [3]
        cluster.pass(2000)
        cluster.step(1, .changeConfiguration(token: 1, .remove(2)))
        #expect(cluster.proposals[1] == .dropped(.majorityNotHeard))
        cluster.step(1, .changeConfiguration(token: 2, .demote(2)))
        #expect(cluster.proposals[2] == .dropped(.majorityNotHeard))
        #expect(cluster[1].configuration.voters == [1, 2, 3])
        cluster.pass(3000)
        #expect(cluster[1].isLeader)
        cluster.step(1, .changeConfiguration(token: 3, .remove(3)))
        cluster.settle()
        #expect(cluster.proposals[3] == .committed(2), "the dead one can be taken out")
        cluster.step(1, .changeConfiguration(token: 4, .remove(2)))
        cluster.settle()
        #expect(cluster.proposals[4] == .committed(3), "and of two the other one, which leaves the leader alone")
    }

    @Test func aChangeIsInForceWhenAppendedAndGoneWhenTruncated() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.pass(100)
        cluster.isolated = [1]
        cluster.step(1, .changeConfiguration(token: 1, .remove(3)))
        #expect(cluster[1].configuration.voters == [1, 2])
        #expect(!cluster[1].configurationIsCommitted)
        cluster.pass(3000)
        cluster.isolated = []
        cluster.pass(500)
        #expect(cluster[1].configuration.voters == [1, 2, 3])
        #expect(cluster.proposals[1] == .dropped(.unknown))
    }

    /// etcd `confchange_v1_remove_leader`: it leads until its removal is committed by the others, then steps down.
    @Test func confchangeV1RemoveLeader() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.pass(100)
        cluster.isolated = [2]
        cluster.step(1, .changeConfiguration(token: 1, .remove(1)))
        cluster.propose("refused", to: 1, token: 2)
        #expect(cluster.proposals[2] == .dropped(.notLeader(leader: 1)))
        cluster.settle()
        #expect(cluster[1].isLeader)
        #expect(cluster[1].commitIndex == 1, "its own copy does not count: 3 alone is no majority of 2 and 3")
        cluster.isolated = []
        cluster.pass(300)
        #expect(cluster[1].role == .follower)
        #expect(cluster.proposals[1] == .committed(2))
        let leaders = [NodeID(2), 3].filter { cluster[$0].isLeader }
        #expect(leaders.count == 1, "the heir was asked to campaign at once")
        cluster.pass(5000)
        #expect(!cluster[1].isLeader)
        cluster.propose("on we go", to: leaders[0], token: 3)
        cluster.settle()
        #expect(cluster.commands(leaders[0]) == ["on we go"])
    }

    /// etcd `confchange_v1_remove_leader_stepdown`: what it appended before its removal is committed with that by the others
    /// alone; then it neither takes proposals nor campaigns.
    @Test func confchangeV1RemoveLeaderStepdown() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.pass(100)
        cluster.isolated = [3]
        cluster.propose("foo", to: 1, token: 1)
        cluster.step(1, .changeConfiguration(token: 2, .remove(1)))
        cluster.settle()
        #expect(cluster[1].isLeader)
        #expect(cluster[1].commitIndex == 1, "2 alone is no majority of 2 and 3")
        #expect(cluster[2].lastIndex == 3)
        cluster.isolated = []
        cluster.pass(300)
        #expect(cluster.proposals[1] == .committed(2))
        #expect(cluster.proposals[2] == .committed(3))
        #expect(cluster[1].role == .follower)
        #expect(cluster[1].configuration.voters == [2, 3])
        cluster.propose("baz", to: 1, token: 3)
        guard case .dropped(.notLeader) = cluster.proposals[3] else { return #expect(Bool(false)) }
        let term = cluster[1].term
        cluster.step(1, .campaign)
        cluster.pass(5000)
        #expect(cluster[1].role == .follower)
        #expect(cluster[1].term == term)
        #expect([NodeID(2), 3].count { cluster[$0].isLeader } == 1)
    }

    /// §4.2.2: whoever a configuration leaves out stands for election until that is committed. Node 4 is dead; 2 and 3 lack the entry
    /// that leaves 1 out, and need its vote, which their logs are too short for.
    @Test func whoeverIsLeftOutStandsUntilThatIsCommitted() {
        var cluster = Lockstep(voters: [1, 2, 3, 4])
        cluster.elect(1)
        cluster.isolated = [4]
        cluster.pass(300)
        cluster.isolated = [2, 3, 4]
        cluster.step(1, .changeConfiguration(token: 1, .demote(1)))
        cluster.pass(5000)
        #expect(cluster[1].configuration.voters == [2, 3, 4] && cluster[1].role != .leader)
        cluster.isolated = [4]
        cluster.pass(20_000)
        #expect(cluster[2].role == .leader || cluster[3].role == .leader)
        for id in [NodeID(2), 3] {
            #expect(cluster[id].configuration.voters == [2, 3, 4] && cluster[id].configurationIsCommitted)
        }
        #expect(cluster[1].role == .follower)
    }

    @Test func theLastVoterStays() {
        var cluster = Lockstep(voters: [1])
        cluster.step(1, .campaign)
        cluster.step(1, .changeConfiguration(token: 1, .remove(1)))
        #expect(cluster.proposals[1] == .dropped(.invalidChange))
        cluster.step(1, .changeConfiguration(token: 2, .demote(1)))
        #expect(cluster.proposals[2] == .dropped(.invalidChange))
    }

    @Test func membersAreLimited() {
        var limits = RaftLimits()
        limits.maximumMembers = 3
        var cluster = Lockstep(voters: [1, 2, 3], limits: limits)
        cluster.elect(1)
        cluster.step(1, .changeConfiguration(token: 1, .addLearner(4)))
        #expect(cluster.proposals[1] == .dropped(.invalidChange))
    }

    /// The configuration in force survives compaction, a snapshot and a restart.
    @Test func theConfigurationOutlivesItsEntry() {
        var cluster = Lockstep(voters: [1, 2, 3], outsiders: [4])
        cluster.elect(1)
        cluster.step(1, .changeConfiguration(token: 1, .addLearner(4)))
        cluster.settle()
        cluster.propose("x", to: 1)
        cluster.pass(200)
        let expected = Configuration(voters: [1, 2, 3], learners: [4])
        cluster.step(1, .compact(through: 3))
        #expect(cluster[1].configuration == expected)
        cluster.restart(1)
        #expect(cluster[1].configuration == expected)

        var fresh = Lockstep.node(9, of: [1, 2, 3])
        let snapshot = Snapshot(index: 3, term: 1, configuration: expected)
        _ = fresh.receiveAndSync(.snapshot(snapshot), from: 1, term: 1)
        #expect(fresh.configuration == expected)
        #expect(fresh.base == snapshot)
    }
}
