/// Elections: Raft §5.2, §5.4.1; PreVote and CheckQuorum: Raft's dissertation §9.6, §6.2.
extension RaftNode {
    private var isVoter: Bool { self.configuration.isVoter(self.id) }

    /// Also a node that the newest configuration leaves out may stand, until that is committed: its log may be the only one that
    /// is long enough for those who are left. Its own vote does not count then (`countVote`), and when the configuration is
    /// committed it steps down. Raft's dissertation §4.2.2.
    private var mayStand: Bool {
        self.isVoter || !self.configurationIsCommitted && self.log.configuration(at: self.commitIndex).isVoter(self.id)
    }

    /// A leader was heard of so recently that its lease may stand.
    var isWithinLease: Bool {
        if self.hasEarlierLife, self.now - self.startedAt < self.limits.electionTicksMinimum { return true }
        if self.defects.contains(.voteWithinLease) { return false }
        if self.isLeader { return true }
        return self.isBoundToLease && self.now - self.lastHeardLeader < self.limits.electionTicksMinimum
    }

    mutating func electionTick() {
        if let start = self.campaignAt, self.now >= start {
            self.campaignAt = nil
            if self.leader == nil { return self.campaign(force: false) }
        }
        if let timeout = self.electionTimeout, self.now - self.electionStart >= timeout {
            return self.campaign(force: false)
        }
        // A pre-candidate asks so often that a voter which notices the loss a little later grants it before it would
        // campaign itself.
        let interval =
            self.role == .preCandidate
            ? min(self.limits.heartbeatTicks, self.limits.lostPeerStaggerTicks / 2) : self.limits.heartbeatTicks
        guard self.role != .follower, self.now - self.lastBroadcast >= interval else { return }
        self.askForVotes()
    }

    /// PreVote first; `force` skips it, on the leader's own request.
    mutating func campaign(force: Bool) {
        guard self.role != .leader, self.mayStand else { return self.restartElectionTimer() }
        self.leaveRole()
        self.leader = nil
        self.restartElectionTimer()
        if force {
            self.becomeCandidate(force: true)
        } else {
            self.role = .preCandidate
            self.askForVotes()
            self.countVote(from: self.id, granted: true)
        }
    }

    private mutating func becomeCandidate(force: Bool) {
        self.leaveRole()
        self.role = .candidate
        self.leader = nil
        self.restartElectionTimer()
        self.enter(term: self.term + 1, votedFor: self.id)
        self.forcesElection = force
        self.ownVoteSequence = self.hardStateSequence
        self.askForVotes()
    }

    private mutating func askForVotes() {
        self.lastBroadcast = self.now
        for peer in self.configuration.voters where peer != self.id && self.votes[peer] == nil {
            if self.role == .preCandidate {
                self.effects.messages.append(
                    Message(
                        from: self.id, to: peer, term: self.term + 1,
                        body: .preVoteRequest(lastIndex: self.log.lastIndex, lastTerm: self.log.lastTerm)))
            } else {
                self.send(
                    .voteRequest(
                        lastIndex: self.log.lastIndex, lastTerm: self.log.lastTerm, force: self.forcesElection),
                    to: peer)
            }
        }
    }

    mutating func countVote(from voter: NodeID, granted: Bool) {
        guard self.role == .candidate || self.role == .preCandidate, self.configuration.isVoter(voter) else { return }
        // A refused pre-vote may be granted a moment later, when that voter has noticed too that the leader is gone.
        if self.role == .preCandidate, !granted { return }
        if self.votes[voter] == nil { self.votes[voter] = granted }
        let granted = self.configuration.voters.count { self.votes[$0] == true }
        let refused = self.configuration.voters.count { self.votes[$0] == false }
        if granted >= self.configuration.quorum {
            if self.role == .preCandidate { self.becomeCandidate(force: false) } else { self.becomeLeader() }
        } else if refused >= self.configuration.quorum {
            self.becomeFollower(term: self.term, leader: nil)
        }
    }

    mutating func preVoteRequested(_ message: Message, lastIndex: LogIndex, lastTerm: Term) {
        let isNewer = self.isUpToDate(lastIndex: lastIndex, lastTerm: lastTerm)
        let granted = message.term > self.term && isNewer && !self.isWithinLease
        self.effects.messages.append(
            Message(
                from: self.id, to: message.from, term: granted ? message.term : self.term,
                body: .preVoteResponse(granted: granted)))
    }

    /// The term is the receiver's already. Votes whatever its own configuration says: it may not know of its promotion.
    mutating func voteRequested(_ message: Message, lastIndex: LogIndex, lastTerm: Term) {
        let isFree = self.hardState.votedFor == nil || self.hardState.votedFor == message.from
        let granted =
            isFree && self.leader == nil && self.isUpToDate(lastIndex: lastIndex, lastTerm: lastTerm)
        if granted {
            if self.hardState.votedFor == nil {
                self.hardState.votedFor = message.from
                self.hardStateIsDirty = true
                self.hardStateSequence = self.nextSequence
            }
            self.restartElectionTimer()
        }
        if granted, self.defects.contains(.voteWithoutPersisting) {
            self.effects.messages.append(
                Message(from: self.id, to: message.from, term: self.term, body: .voteResponse(granted: true)))
        } else {
            self.send(.voteResponse(granted: granted), to: message.from)
        }
    }

    private func isUpToDate(lastIndex: LogIndex, lastTerm: Term) -> Bool {
        self.defects.contains(.skipLogUpToDateCheck)
            || self.log.isUpToDate(lastIndex: lastIndex, lastTerm: lastTerm)
    }

    /// See `Event.peerLost`.
    mutating func peerLost(_ peer: NodeID) {
        if self.isLeader {
            self.progress[peer]?.answeredHeartbeatSent = nil
            // Whoever was late is needed now.
            self.progress[peer]?.lastCaughtUp = nil
            self.broadcastAppends()
            if self.progress[peer]?.state == .snapshot { self.snapshotFailed(peer) }
            return
        }
        guard self.leader == peer else { return }
        self.leader = nil
        self.isBoundToLease = false
        guard self.isVoter else { return }
        let rank = self.configuration.voters.filter { $0 != peer && !isDisk($0) }.firstIndex(of: self.id) ?? 0
        let delay = UInt64(rank) * self.limits.lostPeerStaggerTicks + self.limits.candidacyDelayTicks
        if delay == 0 { self.campaign(force: false) } else { self.campaignAt = self.now + delay }
    }

    mutating func forgetLeader() {
        guard self.role == .follower else { return }
        self.leader = nil
        self.isBoundToLease = false
    }

    // MARK: Leadership transfer (Raft's dissertation §3.10)

    mutating func startTransfer(to target: NodeID) {
        guard self.isLeader, target != self.id, !isDisk(target), self.configuration.isVoter(target) else { return }
        if let transfer = self.transfer, transfer.target == target { return }
        guard self.transfer?.isSent != true else { return }
        self.transfer = Transfer(target: target, deadline: self.now + self.limits.transferTicks)
        self.finishTransfer()
        if self.transfer?.isSent != true { self.sendAppend(to: target) }
    }

    /// Asks the target to campaign once it has everything.
    mutating func finishTransfer() {
        guard let transfer = self.transfer, !transfer.isSent,
            self.progress[transfer.target]?.matchIndex == self.log.lastIndex
        else { return }
        self.transfer?.isSent = true
        self.tellHeir(transfer.target)
    }

    /// Again with each heartbeat, which goes before it: it may be lost, or come when the target does not follow yet.
    mutating func tellHeir(_ target: NodeID) {
        self.leaseBlock = (target, self.heartbeatRound, self.now)
        self.send(.timeoutNow(round: self.heartbeatRound), to: target)
    }

    /// What was told the heir of a transfer may still make it campaign, and no lease of this node holds.
    var isLeaseBlocked: Bool {
        guard let block = self.leaseBlock else { return false }
        return (self.progress[block.node]?.answeredRound ?? 0) <= block.round
    }

    /// The heir did not take over and does not answer any more: it may be gone for good, and this node would lead without a lease
    /// for as long. A term of its own makes void what the heir was told. Nobody else leads: whoever hears of it votes for this
    /// node, because it is the leader that asks.
    mutating func takeBackTransfer() -> Bool {
        guard self.transfer == nil, self.isLeaseBlocked, let block = self.leaseBlock,
            self.now - block.told >= self.limits.electionTicksMinimum
        else { return false }
        self.becomeFollower(term: self.term, leader: nil)
        self.campaign(force: true)
        return true
    }

    mutating func timeoutNow(_ message: Message, round: UInt64) {
        // A leader that gave the transfer up has sent later rounds; after those its lease may stand again.
        guard self.role == .follower, self.leader == message.from, round == self.seenRound else { return }
        self.campaign(force: true)
    }
}
