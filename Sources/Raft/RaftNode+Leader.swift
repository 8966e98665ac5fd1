/// What a leader does: replication (Raft §5.3, §5.4.2), heartbeats, CheckQuorum (dissertation §6.2).
extension RaftNode {
    mutating func leaderTick() {
        let contact = max(self.quorumTick { $0.lastHeard } ?? 0, self.leaderSince)
        if self.now - contact >= self.limits.electionTicksMinimum {
            return self.becomeFollower(term: self.term, leader: nil)
        }
        if let transfer = self.transfer, self.now >= transfer.deadline { self.transfer = nil }
        if self.takeBackTransfer() { return }
        if self.now - self.lastBroadcast >= self.limits.heartbeatTicks { self.broadcastHeartbeat() }
        if !self.latePeers.isEmpty, self.now - self.lastLateAppend >= self.limits.lateAppendTicks {
            self.lastLateAppend = self.now
            for peer in self.latePeers.sorted() { self.sendAppend(to: peer) }
        }
    }

    /// Whether this peer gets what is new with the next tick that is due, and the others suffice until then.
    func isLate(_ peer: NodeID) -> Bool {
        guard self.latePeers.contains(peer) else { return false }
        let configuration = self.configuration
        let prompt = configuration.voters.reduce(0) { count, voter in
            if voter == self.id { return count + 1 }
            guard !self.latePeers.contains(voter), let caughtUp = self.progress[voter]?.lastCaughtUp else {
                return count
            }
            return self.now - caughtUp < self.limits.promptTicks ? count + 1 : count
        }
        return prompt >= configuration.quorum
    }

    /// The latest tick that a quorum of voters reaches, this node counting as now.
    func quorumTick(_ value: (Progress) -> Tick?) -> Tick? {
        let configuration = self.configuration
        let ticks = configuration.voters.compactMap { voter in
            voter == self.id ? self.now : self.progress[voter].flatMap(value)
        }.sorted(by: >)
        return ticks.count >= configuration.quorum ? ticks[configuration.quorum - 1] : nil
    }

    mutating func broadcastHeartbeat() {
        self.lastBroadcast = self.now
        self.heartbeatRound += 1
        self.heartbeatSent[self.heartbeatRound] = self.now
        if self.heartbeatRound > UInt64(self.limits.maximumHeartbeatRounds) {
            self.heartbeatSent[self.heartbeatRound - UInt64(self.limits.maximumHeartbeatRounds)] = nil
        }
        for peer in self.progress.keys.sorted() {
            let known = min(self.progress[peer]?.matchIndex ?? 0, self.commitIndex)
            self.send(.heartbeat(round: self.heartbeatRound, commitIndex: known), to: peer)
        }
        if let transfer = self.transfer, transfer.isSent { self.tellHeir(transfer.target) }
    }

    mutating func heartbeatAnswered(round: UInt64, by peer: NodeID) {
        guard var known = self.progress[peer], round <= self.heartbeatRound else { return }
        known.heard(self.now, lastIndex: self.log.lastIndex)
        if let sent = self.heartbeatSent[round] {
            let stamp = self.defects.contains(.leaseFromAnswer) ? self.now : sent
            known.answeredHeartbeatSent = max(known.answeredHeartbeatSent ?? 0, stamp)
        }
        known.answeredRound = max(known.answeredRound, round)
        // Whatever was lost on the way is found out by asking again.
        known.isProbing = false
        if known.inFlight.count >= self.limits.maximumInFlightAppends { known.inFlight.removeFirst() }
        self.progress[peer] = known
        self.resolveReads()
        if known.state == .probe || known.matchIndex < self.log.lastIndex {
            self.sendAppend(to: peer, evenEmpty: true)
        }
    }

    // MARK: Appending

    @discardableResult
    mutating func append(_ payload: Entry.Payload) -> LogIndex {
        let entry = Entry(index: self.log.lastIndex + 1, term: self.term, payload: payload)
        self.uncommittedByteCount += entry.byteCount
        self.store([entry])
        return entry.index
    }

    mutating func propose(token: UInt64, payload: [UInt8]) {
        if let reason = self.reasonToRefuse() { return self.drop(token, reason) }
        guard payload.count <= self.limits.maximumProposalByteCount else { return self.drop(token, .tooLarge) }
        let index = self.append(.command(payload))
        self.proposals[index] = (self.term, token)
        self.broadcastAppends()
    }

    func reasonToRefuse() -> DropReason? {
        guard self.isLeader, self.configuration.isVoter(self.id) else { return .notLeader(leader: self.leader) }
        guard self.transfer == nil else { return .leadershipTransferring }
        let uncommitted = self.log.lastIndex - self.commitIndex
        guard uncommitted < UInt64(self.limits.maximumUncommittedEntries),
            self.uncommittedByteCount < self.limits.maximumUncommittedByteCount
        else { return .tooManyUncommitted }
        return nil
    }

    mutating func broadcastAppends() {
        for peer in self.progress.keys.sorted() where !self.isLate(peer) { self.sendAppend(to: peer) }
    }

    /// Sends what the peer lacks, as far as its window allows. `evenEmpty`: asks even where there is nothing new.
    ///
    /// That commands are committed is no news worth a message of its own: it goes with the next append, or with the next
    /// heartbeat. Nobody waits for it at a follower, which serves nobody, and no promise rests on it: a new leader commits
    /// whatever is in its log with its own term's no-op (Raft §5.4.2), told or not. What a follower applies is late by one
    /// heartbeat at most. No-ops and configurations are told at once: a joining node and its administrator wait for these.
    mutating func sendAppend(to peer: NodeID, evenEmpty: Bool = false) {
        guard var known = self.progress[peer] else { return }
        defer { self.progress[peer] = known }
        var evenEmpty = evenEmpty
        while !known.isPaused(maximumInFlight: self.limits.maximumInFlightAppends) {
            let previousIndex = known.nextIndex - 1
            guard let previousTerm = self.log.term(at: previousIndex) else {
                // Only a peer that answers is worth the work.
                guard let heard = known.lastHeard, self.now - heard < self.limits.electionTicksMinimum else { return }
                known.becomeSnapshot()
                self.effects.snapshotsToSend.append(peer)
                return
            }
            // A disk's acknowledgement must not outlive this node's own copy (DiskRaft.tla, LocalFirst).
            let isHeldBack = isDisk(peer) && !self.defects.contains(.diskBeforeLocal)
            let entries = self.log.entries(
                from: known.nextIndex, through: isHeldBack ? self.stableIndex : self.log.lastIndex,
                maximumCount: self.limits.maximumAppendEntries, maximumByteCount: self.limits.maximumAppendByteCount)
            let knowsCommit = known.sentCommitIndex >= min(self.toldAtOnceIndex, previousIndex)
            if entries.isEmpty, knowsCommit, !evenEmpty { return }
            evenEmpty = false
            let append = Message.Append(
                previousIndex: previousIndex, previousTerm: previousTerm, entries: Array(entries),
                commitIndex: self.commitIndex)
            self.send(.append(append), to: peer)
            known.sentCommitIndex = max(known.sentCommitIndex, min(self.commitIndex, append.lastIndex))
            if known.state == .probe {
                known.isProbing = true
            } else if let last = entries.last {
                known.inFlight.append(last.index)
                known.nextIndex = last.index + 1
            }
        }
    }

    mutating func appendAccepted(_ index: LogIndex, by peer: NodeID) {
        guard self.progress[peer] != nil, index <= self.log.lastIndex else { return }
        let hasMoved = self.progress[peer]?.accept(through: index) ?? false
        self.progress[peer]?.heard(self.now, lastIndex: self.log.lastIndex)
        switch self.progress[peer]?.state {
        case .probe where hasMoved || self.progress[peer]?.matchIndex == index:
            self.progress[peer]?.becomeReplicate()
        case .snapshot where (self.progress[peer]?.matchIndex ?? 0) + 1 >= self.log.firstIndex:
            self.progress[peer]?.becomeReplicate()
        default: break
        }
        self.advanceCommit()
        guard self.isLeader else { return }
        if !self.isLate(peer) { self.sendAppend(to: peer) }
        self.finishTransfer()
    }

    mutating func appendRejected(_ previousIndex: LogIndex, hint: (index: LogIndex, term: Term), by peer: NodeID) {
        guard var known = self.progress[peer] else { return }
        known.heard(self.now, lastIndex: self.log.lastIndex)
        switch known.state {
        case .snapshot: break
        case .replicate where previousIndex > known.matchIndex: known.becomeProbe()
        case .probe where known.nextIndex - 1 == previousIndex:
            let agreed = self.log.lastPosition(atOrBefore: hint.index, termAtMost: hint.term)
            known.nextIndex = max(known.matchIndex + 1, min(previousIndex, agreed.index + 1))
            known.isProbing = false
        default:
            self.progress[peer] = known
            return
        }
        self.progress[peer] = known
        self.sendAppend(to: peer)
    }

    mutating func snapshotFailed(_ peer: NodeID) {
        guard self.isLeader, self.progress[peer]?.state == .snapshot else { return }
        self.progress[peer]?.becomeProbe()
        // The next heartbeat's answer starts the next attempt.
        self.progress[peer]?.isProbing = true
    }

    // MARK: Committing

    /// Raft §5.4.2: only entries of the leader's own term are committed by counting; earlier ones with them.
    mutating func advanceCommit() {
        let configuration = self.configuration
        let matches = configuration.voters.map { voter in
            voter == self.id ? self.stableIndex : self.progress[voter]?.matchIndex ?? 0
        }.sorted(by: >)
        let index = matches[configuration.quorum - 1]
        guard index > self.commitIndex,
            self.log.term(at: index) == self.term || self.defects.contains(.commitOldTermByCounting)
        else { return }
        self.noteToldAtOnce(through: index)
        self.commit(through: index)
        self.resolveReads()
        self.broadcastAppends()
        if !configuration.isVoter(self.id), self.configurationIsCommitted { self.leaveAsRemoved() }
    }

    /// Of what is about to be committed, the last entry that is no command.
    private mutating func noteToldAtOnce(through index: LogIndex) {
        var position = index
        while position > self.commitIndex, let entry = self.log.entry(at: position) {
            guard case .command = entry.payload else { return self.toldAtOnceIndex = position }
            position -= 1
        }
    }

    /// Raft §6: a leader that is no longer a voter steps down once that is committed; the best voter takes over at once.
    private mutating func leaveAsRemoved() {
        let heir = self.configuration.voters.filter { !isDisk($0) }.max {
            (self.progress[$0]?.matchIndex ?? 0, $1) < (self.progress[$1]?.matchIndex ?? 0, $0)
        }
        if let heir { self.send(.timeoutNow(round: self.heartbeatRound), to: heir) }
        self.becomeFollower(term: self.term, leader: nil)
    }
}
