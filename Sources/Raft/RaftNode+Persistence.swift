/// What waits for stable storage, and what follows from it.
extension RaftNode {
    /// Sends once that write is persisted; at once where it is.
    mutating func send(_ message: Message, after sequence: UInt64) {
        if sequence <= self.persistedSequence {
            self.effects.messages.append(message)
        } else {
            if self.held.count >= self.limits.maximumHeldMessages { self.held.removeFirst() }
            self.held.append(HeldMessage(sequence: sequence, message: message))
        }
    }

    /// Sends under the present term, once the term (and the vote in it) is persisted.
    mutating func send(_ body: Message.Body, to peer: NodeID) {
        self.send(
            Message(from: self.id, to: peer, term: self.term, body: body), after: self.hardStateSequence)
    }

    /// Promises that everything up to `index` is stable, once it is.
    mutating func acknowledge(_ index: LogIndex, to leader: NodeID) {
        let message = Message(from: self.id, to: leader, term: self.term, body: .appendAccepted(matchIndex: index))
        if self.defects.contains(.acknowledgeWithoutPersisting) {
            self.effects.messages.append(message)
        } else if index <= self.stableIndex {
            self.send(message, after: self.hardStateSequence)
        } else {
            // What is not stable yet is in this step's write or in one under way.
            let isInThisStep = !self.entriesToWrite.isEmpty || self.effects.write != nil
            let sequence = isInThisStep ? self.nextSequence : self.pendingWrites.last?.sequence ?? self.nextSequence
            self.send(message, after: max(sequence, self.hardStateSequence))
        }
    }

    /// Takes entries into the log and into this step's write. The log's tail from their first index on is replaced.
    mutating func store(_ entries: ArraySlice<Entry>) {
        guard let first = entries.first else { return }
        if first.index <= self.log.lastIndex { self.truncate(from: first.index) }
        self.log.append(entries)
        self.entriesToWrite.append(contentsOf: entries)
    }

    private mutating func truncate(from index: LogIndex) {
        precondition(index > self.commitIndex, "what is committed stays")
        self.log.truncate(
            from: index, keepConfiguration: self.defects.contains(.keepTruncatedConfiguration))
        self.entriesToWrite.removeAll { $0.index >= index }
        self.stableIndex = min(self.stableIndex, index - 1)
        // The ABA race: a write that completes later says nothing about entries that took the place of its own.
        if !self.defects.contains(.trustStaleWrites) {
            for i in self.pendingWrites.indices {
                self.pendingWrites[i].stableIndex = min(self.pendingWrites[i].stableIndex, index - 1)
            }
        }
        for lost in self.proposals.keys.filter({ $0 >= index }).sorted() {
            if let proposal = self.proposals.removeValue(forKey: lost) { self.drop(proposal.token, .unknown) }
        }
    }

    mutating func composeWrite() {
        guard self.role != .stopped else { return }
        guard self.hardStateIsDirty || !self.entriesToWrite.isEmpty || self.effects.write != nil else { return }
        var write = self.effects.write ?? Write(sequence: self.nextSequence)
        self.hardState.commitIndex = self.commitIndex
        write.hardState = self.hardState
        write.entries = self.entriesToWrite
        self.pendingWrites.append(PendingWrite(sequence: write.sequence, stableIndex: self.log.lastIndex))
        self.entriesToWrite = []
        self.hardStateIsDirty = false
        self.nextSequence += 1
        self.effects.write = write
    }

    mutating func persisted(through sequence: UInt64) {
        guard sequence > self.persistedSequence, sequence < self.nextSequence else { return }
        self.persistedSequence = sequence
        while let write = self.pendingWrites.first, write.sequence <= sequence {
            self.pendingWrites.removeFirst()
            self.stableIndex = max(self.stableIndex, min(write.stableIndex, self.log.lastIndex))
        }
        self.releaseHeld()
        if self.appliedIndex < self.log.base.index, self.stableIndex >= self.log.base.index {
            self.appliedIndex = self.log.base.index
        }
        if let own = self.ownVoteSequence, own <= sequence {
            self.ownVoteSequence = nil
            self.countVote(from: self.id, granted: true)
        }
        if let vote = self.diskVote, vote.sequence <= sequence {
            self.diskVote = nil
            self.countVote(from: vote.disk, granted: true)
        }
        if self.isLeader { self.advanceCommit() }
        // What the disk is to have is stable here first.
        if self.isLeader, let disk = self.configuration.disk { self.sendAppend(to: disk) }
    }

    /// Messages of an earlier term are of no use to anyone any more. Appends that became stable together are acknowledged
    /// together: an acknowledgement says "everything up to here", so the highest says what the others would.
    private mutating func releaseHeld() {
        var waiting: [HeldMessage] = []
        /// Where among the messages of this step each leader's acknowledgement is.
        var acknowledgements: [NodeID: Int] = [:]
        for entry in self.held {
            guard entry.sequence <= self.persistedSequence else {
                waiting.append(entry)
                continue
            }
            guard entry.message.term == self.term else { continue }
            if case .appendAccepted(let index) = entry.message.body {
                if let place = acknowledgements[entry.message.to],
                    case .appendAccepted(let earlier) = self.effects.messages[place].body
                {
                    self.effects.messages[place].body = .appendAccepted(matchIndex: max(earlier, index))
                    continue
                }
                acknowledgements[entry.message.to] = self.effects.messages.count
            }
            self.effects.messages.append(entry.message)
        }
        self.held = waiting
    }

    // MARK: Applying

    /// Only what is committed AND stable here is applied: the state machine may share the log's storage.
    mutating func handOutCommitted() {
        guard self.role != .stopped else { return }
        let limit = min(self.commitIndex, self.stableIndex)
        let room = self.limits.maximumUnappliedEntries - Int(clamping: self.handedOutIndex - self.appliedIndex)
        guard limit > self.handedOutIndex, room > 0 else { return }
        let batch = self.log.entries(
            from: self.handedOutIndex + 1, through: limit, maximumCount: room, maximumByteCount: .max)
        for entry in batch {
            self.effects.committed.append(entry)
            self.handedOutIndex = entry.index
            guard let proposal = self.proposals.removeValue(forKey: entry.index) else { continue }
            precondition(proposal.term == entry.term, "an overwritten proposal was resolved when it was overwritten")
            self.effects.proposals.append(
                ProposalResult(token: proposal.token, outcome: .committed(entry.index)))
        }
    }

    mutating func applied(through index: LogIndex) {
        guard index > self.appliedIndex, index <= self.handedOutIndex else { return }
        self.appliedIndex = index
    }

    mutating func compact(through index: LogIndex) {
        guard index <= self.appliedIndex, index > self.log.base.index, index <= self.stableIndex else { return }
        self.log.compact(through: index)
        self.effects.write = Write(sequence: self.nextSequence, compaction: self.log.base)
    }
}
