import Raft

/// What the Raft core says to the disk, and which of it is taken up next.
extension DiskVoter {
    mutating func receive(_ message: Message, commitIndex: LogIndex) {
        guard message.to == self.number, message.from == self.node else { return }
        // Whoever stands or leads in a new term has no use for what it asked in an older one.
        switch message.body {
        case .preVoteRequest:
            self.waiting.preVote = message
            self.waiting.appends = []
            self.waiting.heartbeat = nil
        case .voteRequest:
            self.waiting.preVote = nil
            self.waiting.appends = []
            self.waiting.heartbeat = nil
            if message.term > self.votedTerm, message.term > self.waiting.vote?.message.term ?? 0 {
                self.waiting.vote = (message, commitIndex)
            }
        case .append:
            self.leads(in: message.term)
            self.waiting.appends.append(message)
            if self.waiting.appends.count > self.limits.maximumWaitingAppends { self.waiting.appends.removeFirst() }
        case .heartbeat:
            self.leads(in: message.term)
            self.waiting.heartbeat = message
        default: break
        }
    }

    private mutating func leads(in term: Term) {
        self.waiting.preVote = nil
        self.waiting.vote = nil
        self.waiting.appends.removeAll { $0.term < term }
        if self.acknowledged.term < term { self.acknowledged = (term, 0) }
        self.found = nil
    }

    /// The most urgent of what waits.
    mutating func startNext() {
        if let (message, commitIndex) = self.waiting.vote {
            self.waiting.vote = nil
            return self.stand(message, commitIndex: commitIndex)
        }
        if let message = self.waiting.preVote {
            self.waiting.preVote = nil
            return self.begin(Operation(kind: .preVote(message)))
        }
        // One at a time: the extent that this one would take is the other's.
        if let checkpoint = self.waiting.checkpoint, self.filling == nil { return self.write(checkpoint) }
        if self.filling?.yields == false { return self.fill() }
        // Its next step comes after whatever is begun below.
        defer { if self.work != nil { self.filling?.yields = false } }
        if !self.waiting.appends.isEmpty {
            self.append()
            if self.work != nil { return }
        }
        if let heartbeat = self.waiting.heartbeat {
            let isDue = self.lastLead.map {
                $0.term < heartbeat.term || self.now - $0.at >= self.limits.heartbeatTicks
            }
            if isDue ?? true { return self.lead(in: heartbeat.term, heartbeat.commitIndex) }
        }
        if self.filling != nil { return self.fill() }
        if self.lastLook.map({ self.now - $0 >= self.limits.heartbeatTicks }) ?? true {
            self.begin(Operation(kind: .look))
        }
    }
}

extension Message {
    fileprivate var commitIndex: LogIndex {
        if case .heartbeat(_, let commitIndex) = self.body { commitIndex } else { 0 }
    }
}
