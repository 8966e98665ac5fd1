/// Messages: whose term counts, and what a follower does. Raft §5.1, §5.3.
extension RaftNode {
    /// Terms and indexes that a peer may name; beyond it arithmetic would overflow, so the message is dropped.
    static let maximumNumber: UInt64 = 1 << 62

    mutating func receive(_ message: Message) {
        guard message.to == self.id, message.from != self.id, message.from != 0, Self.isWellFormed(message)
        else { return }
        if message.term < self.term { return self.answerStale(message) }
        if message.term > self.term {
            switch message.body {
            case .preVoteRequest, .preVoteResponse(granted: true): break
            case .voteRequest(_, _, let force):
                // Raft's dissertation §6.2: a candidate cannot depose a leader that others hear.
                if !force, self.isWithinLease { return }
                self.isBoundToLease = false
                self.becomeFollower(term: message.term, leader: nil)
            case .append, .heartbeat, .snapshot:
                self.becomeFollower(term: message.term, leader: message.from)
            default:
                self.becomeFollower(term: message.term, leader: nil)
            }
        }
        self.handle(message)
    }

    private mutating func handle(_ message: Message) {
        let peer = message.from
        switch message.body {
        case .preVoteRequest(let lastIndex, let lastTerm):
            self.preVoteRequested(message, lastIndex: lastIndex, lastTerm: lastTerm)
        case .preVoteResponse(let granted):
            let isMine = self.role == .preCandidate && (!granted || message.term == self.term + 1)
            if isMine { self.countVote(from: peer, granted: granted) }
        case .voteRequest(let lastIndex, let lastTerm, _):
            self.voteRequested(message, lastIndex: lastIndex, lastTerm: lastTerm)
        case .voteResponse(let granted):
            if self.role == .candidate { self.countVote(from: peer, granted: granted) }
        case .append(let append):
            if self.follow(peer) { self.appendReceived(append, from: peer) }
        case .heartbeat(let round, let commitIndex):
            if self.follow(peer) { self.heartbeatReceived(round: round, commitIndex: commitIndex, from: peer) }
        case .snapshot(let snapshot):
            if self.follow(peer) { self.snapshotReceived(snapshot, from: peer) }
        case .appendAccepted(let matchIndex):
            if self.isLeader { self.appendAccepted(matchIndex, by: peer) }
        case .appendRejected(let previousIndex, let hintIndex, let hintTerm):
            if self.isLeader {
                self.appendRejected(previousIndex, hint: (hintIndex, hintTerm), by: peer)
            }
        case .heartbeatResponse(let round):
            if self.isLeader { self.heartbeatAnswered(round: round, by: peer) }
        case .timeoutNow(let round):
            self.timeoutNow(message, round: round)
        }
    }

    /// The sender is behind: tell it the term, or a leader cut off earlier would stay one in its own eyes, and a
    /// pre-candidate would go on asking for a term that is past.
    private mutating func answerStale(_ message: Message) {
        switch message.body {
        case .append, .heartbeat, .snapshot: self.send(.heartbeatResponse(round: 0), to: message.from)
        case .preVoteRequest: self.send(.preVoteResponse(granted: false), to: message.from)
        case .voteRequest: self.send(.voteResponse(granted: false), to: message.from)
        default: break
        }
    }

    private static func isWellFormed(_ message: Message) -> Bool {
        guard message.term > 0, message.term < Self.maximumNumber else { return false }
        switch message.body {
        case .append(let append):
            guard append.previousIndex < Self.maximumNumber, append.previousTerm <= message.term else { return false }
            var index = append.previousIndex
            var term = append.previousTerm
            for entry in append.entries {
                index += 1
                guard entry.index == index, entry.term >= term, entry.term <= message.term else { return false }
                term = entry.term
                if case .configuration(let configuration) = entry.payload, configuration.voters.isEmpty {
                    return false
                }
            }
            return true
        case .snapshot(let snapshot):
            return snapshot.index < Self.maximumNumber && snapshot.term <= message.term
                && !snapshot.configuration.voters.isEmpty
        default:
            return true
        }
    }

    // MARK: Follower

    /// False where this node itself leads this term: no second leader of it can exist.
    private mutating func follow(_ leader: NodeID) -> Bool {
        guard !self.isLeader else { return false }
        if self.role != .follower || self.leader != leader {
            self.becomeFollower(term: self.term, leader: leader)
        } else {
            self.restartElectionTimer()
        }
        self.lastHeardLeader = self.now
        self.isBoundToLease = true
        return true
    }

    private mutating func appendReceived(_ append: Message.Append, from leader: NodeID) {
        var previousIndex = append.previousIndex
        var entries = append.entries[...]
        if previousIndex < self.commitIndex {
            // An old append come late. What is committed agrees with every later leader's log.
            while let entry = entries.first, entry.index <= self.commitIndex {
                if let mine = self.log.term(at: entry.index), mine != entry.term {
                    return self.stop(.committedPrefixConflict)
                }
                entries.removeFirst()
            }
            previousIndex = self.commitIndex
        } else if !self.agrees(at: previousIndex, term: append.previousTerm) {
            guard previousIndex > self.commitIndex else { return self.stop(.committedPrefixConflict) }
            let hint = self.log.lastPosition(atOrBefore: previousIndex, termAtMost: append.previousTerm)
            return self.send(
                .appendRejected(previousIndex: previousIndex, hintIndex: hint.index, hintTerm: hint.term), to: leader)
        }
        let lastIndex = previousIndex + LogIndex(entries.count)
        while let entry = entries.first, self.log.term(at: entry.index) == entry.term { entries.removeFirst() }
        if let first = entries.first, first.index <= self.commitIndex { return self.stop(.committedPrefixConflict) }
        self.store(entries)
        self.commit(through: min(append.commitIndex, lastIndex))
        self.acknowledge(lastIndex, to: leader)
    }

    /// The log matching property (Raft §5.3): equal here means equal all the way before.
    private func agrees(at index: LogIndex, term: Term) -> Bool {
        guard let mine = self.log.term(at: index) else { return false }
        return mine == term || self.defects.contains(.skipPreviousCheck)
    }

    private mutating func heartbeatReceived(round: UInt64, commitIndex: LogIndex, from leader: NodeID) {
        // It never exceeds what this node acknowledged in this term.
        guard commitIndex <= self.log.lastIndex else { return self.stop(.acknowledgedLogLost) }
        self.seenRound = max(self.seenRound, round)
        self.commit(through: commitIndex)
        self.send(.heartbeatResponse(round: round), to: leader)
    }

    private mutating func snapshotReceived(_ snapshot: Snapshot, from leader: NodeID) {
        guard snapshot.index > self.commitIndex else { return self.acknowledge(self.commitIndex, to: leader) }
        if self.log.term(at: snapshot.index) == snapshot.term {
            self.commit(through: snapshot.index)
            return self.acknowledge(snapshot.index, to: leader)
        }
        self.install(snapshot)
        self.acknowledge(snapshot.index, to: leader)
    }

    /// Puts the state that the shell holds in the place of the whole log.
    mutating func install(_ snapshot: Snapshot) {
        self.log.restore(snapshot)
        self.entriesToWrite = []
        for i in self.pendingWrites.indices { self.pendingWrites[i].stableIndex = 0 }
        self.stableIndex = 0
        self.commitIndex = snapshot.index
        self.handedOutIndex = snapshot.index
        self.effects.write = Write(sequence: self.nextSequence, snapshot: snapshot)
        for (_, proposal) in self.proposals.sorted(by: { $0.key < $1.key }) { self.drop(proposal.token, .unknown) }
        self.proposals = [:]
    }

    mutating func commit(through index: LogIndex) {
        guard index > self.commitIndex else { return }
        if self.isLeader {
            for position in (self.commitIndex + 1)...index {
                self.uncommittedByteCount -= self.log.entry(at: position)?.byteCount ?? 0
            }
        }
        self.commitIndex = index
    }
}
