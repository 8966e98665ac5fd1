/// Membership changes of one server at a time (Raft's dissertation §4.1) and ReadIndex (§6.4).
extension RaftNode {
    mutating func propose(token: UInt64, change: ConfigurationChange) {
        if let reason = self.reasonToRefuse() ?? self.reasonToRefuse(change) { return self.drop(token, reason) }
        guard let configuration = change.applied(to: self.configuration) else {
            return self.drop(token, .invalidChange)
        }
        let index = self.append(.configuration(configuration))
        self.proposals[index] = (self.term, token)
        self.reconcileProgress()
        self.broadcastAppends()
    }

    private func reasonToRefuse(_ change: ConfigurationChange) -> DropReason? {
        // Without it two leaders may each change the configuration of which the other knows nothing:
        // https://groups.google.com/g/raft-dev/c/t4xj6dJTP6E
        if !self.isEstablishedLeader, !self.defects.contains(.changeBeforeOwnTermCommit) {
            return .ownTermNotCommitted
        }
        if !self.configurationIsCommitted, !self.defects.contains(.concurrentChanges) {
            return .configurationChangePending
        }
        if case .addLearner = change, self.configuration.members.count >= self.limits.maximumMembers {
            return .invalidChange
        }
        if case .promote(let node) = change, self.configuration.isLearner(node), !self.isCaughtUp(node) {
            return .learnerNotCaughtUp
        }
        switch change {
        case .remove, .demote: return self.majorityIsHeard(after: change) ? nil : .majorityNotHeard
        case .addLearner, .promote: return nil
        }
    }

    /// The change is in force at once and is itself committed by the voters that stay. Without a majority of those it
    /// could neither be committed nor taken back: whoever holds it in its log votes for no one who does not.
    private func majorityIsHeard(after change: ConfigurationChange) -> Bool {
        guard let configuration = change.applied(to: self.configuration) else { return true }
        let heard = configuration.voters.count { voter in
            voter == self.id
                || self.progress[voter]?.lastHeard.map { self.now - $0 < self.limits.electionTicksMinimum } ?? false
        }
        return heard >= configuration.quorum
    }

    /// Whether that member could be taken out now: the voters that would stay, as far as they were heard just now, are a majority.
    package func isMajorityHeard(without member: NodeID) -> Bool { self.majorityIsHeard(after: .remove(member)) }

    private func isCaughtUp(_ node: NodeID) -> Bool {
        guard let known = self.progress[node], let heard = known.lastHeard,
            self.now - heard < self.limits.electionTicksMinimum
        else { return false }
        return known.state == .replicate && known.matchIndex + self.limits.promotionLagEntries >= self.commitIndex
    }

    /// Peers of the configuration in force are followed, others no longer.
    mutating func reconcileProgress() {
        let members = self.configuration.members
        for gone in self.progress.keys.filter({ !members.contains($0) }) {
            self.progress[gone] = nil
            if self.transfer?.target == gone { self.transfer = nil }
        }
        for peer in members where peer != self.id && self.progress[peer] == nil {
            self.progress[peer] = Progress(nextIndex: self.log.lastIndex + 1)
        }
    }

    // MARK: ReadIndex

    mutating func readIndex(token: UInt64) {
        guard self.isLeader, self.configuration.isVoter(self.id) else {
            self.effects.reads.append(
                ReadResult(token: token, outcome: .dropped(.notLeader(leader: self.leader))))
            return
        }
        guard self.pendingReads.count < self.limits.maximumPendingReads else {
            self.effects.reads.append(ReadResult(token: token, outcome: .dropped(.tooManyReads)))
            return
        }
        self.broadcastHeartbeat()
        self.pendingReads.append(
            PendingRead(
                token: token, round: self.heartbeatRound,
                index: self.isEstablishedLeader ? self.commitIndex : nil))
        self.resolveReads()
    }

    mutating func resolveReads() {
        guard !self.pendingReads.isEmpty, self.isEstablishedLeader else { return }
        let configuration = self.configuration
        let rounds = configuration.voters.map { voter in
            voter == self.id ? self.heartbeatRound : self.progress[voter]?.answeredRound ?? 0
        }.sorted(by: >)
        let confirmed = rounds[configuration.quorum - 1]
        var waiting: [PendingRead] = []
        for read in self.pendingReads {
            let index = read.index ?? self.commitIndex
            if read.round <= confirmed || self.defects.contains(.readWithoutQuorum) {
                self.effects.reads.append(ReadResult(token: read.token, outcome: .ready(index)))
            } else {
                waiting.append(PendingRead(token: read.token, round: read.round, index: index))
            }
        }
        self.pendingReads = waiting
    }
}
