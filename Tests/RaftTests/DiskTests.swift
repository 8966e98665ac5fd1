import Testing

@testable import Raft

/// The quorum disk as Raft sees it: one more voter, for which the shell of each node answers.
@Suite struct DiskTests {
    private let disk = firstDiskID

    /// A candidate of node 1 with this log; the disk's answer is still out.
    private func candidate(_ terms: [Term], commit: LogIndex = 0) -> RaftNode {
        var node = Lockstep.node(1, of: [1, 2, self.disk], terms: terms, term: 5, commit: commit)
        _ = node.stepAndSync(.campaign)
        _ = node.receiveAndSync(.preVoteResponse(granted: true), from: self.disk, term: 6)
        #expect(node.role == .candidate)
        return node
    }

    private func log(_ terms: [Term], base: Snapshot = Snapshot()) -> DiskLog {
        DiskLog(
            base: base,
            entries: terms.enumerated().map {
                Entry(index: base.index + 1 + LogIndex($0.offset), term: $0.element, payload: .command([9]))
            })
    }

    private func terms(_ node: RaftNode) -> [Term] {
        (node.firstIndex...).prefix { $0 <= node.lastIndex }.compactMap { node.term(at: $0) }
    }

    @Test func itsVoteElects() {
        var node = self.candidate([1, 2])
        _ = node.stepAndSync(.diskVoted(DiskVote(disk: self.disk, term: 6)))
        #expect(node.isLeader)
        #expect(self.terms(node) == [1, 2, 6])
    }

    @Test func whatItBringsIsStableBeforeItsVoteCounts() {
        var node = self.candidate([1, 2])
        let effects = node.step(.diskVoted(DiskVote(disk: self.disk, term: 6, log: self.log([1, 3, 3]))), at: later)
        #expect(effects.write?.entries.map(\.index) == [2, 3])
        #expect(node.role == .candidate)
        _ = node.step(.persisted(sequence: effects.write?.sequence ?? 0), at: later)
        #expect(node.isLeader)
        #expect(self.terms(node) == [1, 3, 3, 6])
    }

    @Test func aVoteOfAnotherTermIsNone() {
        var node = self.candidate([1])
        _ = node.stepAndSync(.diskVoted(DiskVote(disk: self.disk, term: 5, log: self.log([1, 3]))))
        _ = node.stepAndSync(.diskVoted(DiskVote(disk: self.disk + 1, term: 6, log: self.log([1, 3]))))
        #expect(node.role == .candidate)
        #expect(self.terms(node) == [1])
    }

    @Test func aCheckpointTakesTheLogsPlace() {
        let base = Snapshot(index: 4, term: 3, configuration: Configuration(voters: [1, 2, self.disk]))
        var node = self.candidate([1, 2])
        let effects = node.step(
            .diskVoted(DiskVote(disk: self.disk, term: 6, log: self.log([3, 4], base: base))), at: later)
        #expect(effects.write?.snapshot == base)
        #expect(effects.write?.entries.map(\.index) == [5, 6])
        _ = node.stepAndSync(.persisted(sequence: effects.write?.sequence ?? 0))
        #expect(node.isLeader)
        #expect(node.base == base)
        #expect(node.commitIndex == 4)
        #expect(self.terms(node) == [3, 4, 6])
    }

    @Test func aCheckpointThatTheLogHoldsIsNotInstalled() {
        let base = Snapshot(index: 2, term: 2, configuration: Configuration(voters: [1, 2, self.disk]))
        var node = self.candidate([1, 2, 2])
        let effects = node.stepAndSync(
            .diskVoted(DiskVote(disk: self.disk, term: 6, log: self.log([2, 2, 2], base: base))))
        #expect(effects.write?.snapshot == nil)
        #expect(self.terms(node) == [1, 2, 2, 2, 2, 6])
    }

    @Test func aLogThatContradictsWhatIsCommittedStopsTheNode() {
        var node = self.candidate([1, 2, 2], commit: 2)
        let effects = node.stepAndSync(.diskVoted(DiskVote(disk: self.disk, term: 6, log: self.log([1, 4, 4]))))
        #expect(effects.stopped == .committedPrefixConflict)
    }

    /// What the disk is given is on the node's own storage first.
    @Test func theDiskGetsOnlyWhatIsStable() {
        var node = self.candidate([1])
        _ = node.stepAndSync(.diskVoted(DiskVote(disk: self.disk, term: 6)))
        _ = node.receiveAndSync(.appendAccepted(matchIndex: 2), from: self.disk, term: 6)
        _ = node.receiveAndSync(.appendAccepted(matchIndex: 2), from: 2, term: 6)
        let effects = node.step(.propose(token: 1, payload: [1]), at: later)
        func receivers(_ effects: Effects) -> [NodeID] {
            effects.messages.compactMap {
                if case .append(let append) = $0.body, !append.entries.isEmpty { $0.to } else { nil }
            }
        }
        #expect(receivers(effects) == [2], "the other node writes at the same time as this one")
        let then = node.step(.persisted(sequence: effects.write?.sequence ?? 0), at: later)
        #expect(receivers(then) == [self.disk])
    }

    @Test func withTheDiskALeaderAloneCommits() {
        var node = self.candidate([1])
        _ = node.stepAndSync(.diskVoted(DiskVote(disk: self.disk, term: 6)))
        _ = node.receiveAndSync(.appendAccepted(matchIndex: 2), from: self.disk, term: 6)
        #expect(node.commitIndex == 2)
        _ = node.stepAndSync(.propose(token: 1, payload: [1]))
        let effects = node.receiveAndSync(.appendAccepted(matchIndex: 3), from: self.disk, term: 6)
        #expect(effects.proposals.map(\.outcome) == [.committed(3)])
    }

    @Test func theOwnAreasBallotIsATermInWhichItVotedForItself() {
        var node = Lockstep.node(1, of: [1, 2, self.disk], terms: [1], term: 2)
        let effects = node.step(.diskBallot(7), at: later)
        #expect(effects.write?.hardState == HardState(term: 7, votedFor: 1, commitIndex: 0))
        #expect(node.role == .follower)
        _ = node.stepAndSync(.persisted(sequence: effects.write?.sequence ?? 0))
        let answer = node.receiveAndSync(
            .voteRequest(lastIndex: 9, lastTerm: 6, force: true), from: 2, term: 7)
        #expect(answer.messages.map(\.body) == [.voteResponse(granted: false)])
        #expect(node.step(.diskBallot(7), at: later).write == nil)
    }

    // MARK: Membership

    @Test func oneDiskAtATimeAndNeverAlone() {
        let with = Configuration(voters: [1, 2, self.disk])
        #expect(ConfigurationChange.addLearner(self.disk + 1).applied(to: with) == nil)
        #expect(ConfigurationChange.remove(self.disk).applied(to: with) == Configuration(voters: [1, 2]))
        #expect(ConfigurationChange.remove(1).applied(to: Configuration(voters: [1, self.disk])) == nil)
        #expect(ConfigurationChange.demote(1).applied(to: Configuration(voters: [1, self.disk])) == nil)
        let learner = Configuration(voters: [1, 2], learners: [self.disk])
        #expect(learner.disk == self.disk)
        #expect(ConfigurationChange.addLearner(self.disk + 1).applied(to: learner) == nil)
    }

    /// Remove, add the new one as a learner, promote once it has everything.
    @Test func aDiskIsReplaced() {
        let other = self.disk + 1
        var node = self.candidate([1])
        _ = node.stepAndSync(.diskVoted(DiskVote(disk: self.disk, term: 6)))
        _ = node.receiveAndSync(.heartbeatResponse(round: 1), from: 2, term: 6)
        _ = node.receiveAndSync(.appendAccepted(matchIndex: 2), from: 2, term: 6)
        func change(_ change: ConfigurationChange) -> ProposalResult.Outcome? {
            _ = node.stepAndSync(.changeConfiguration(token: 1, change))
            return node.receiveAndSync(.appendAccepted(matchIndex: node.lastIndex), from: 2, term: 6)
                .proposals.last?.outcome
        }
        #expect(change(.remove(self.disk)) == .committed(3))
        #expect(change(.addLearner(other)) == .committed(4))
        let early = node.stepAndSync(.changeConfiguration(token: 2, .promote(other)))
        #expect(early.proposals.map(\.outcome) == [.dropped(.learnerNotCaughtUp)])
        _ = node.receiveAndSync(.appendAccepted(matchIndex: 4), from: other, term: 6)
        #expect(change(.promote(other)) == .committed(5))
        #expect(node.configuration == Configuration(voters: [1, 2, other]))
    }

    @Test func leadershipIsNeverHandedToIt() {
        var node = self.candidate([1])
        _ = node.stepAndSync(.diskVoted(DiskVote(disk: self.disk, term: 6)))
        _ = node.receiveAndSync(.appendAccepted(matchIndex: 2), from: self.disk, term: 6)
        let effects = node.stepAndSync(.transferLeadership(to: self.disk))
        #expect(effects.messages.isEmpty)
        #expect(node.isLeader)
    }
}
