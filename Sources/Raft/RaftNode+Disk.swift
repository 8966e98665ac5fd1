/// The quorum disk as a voter. What it promises and how is QuorumDisk's; here is what its vote brings.
/// docs/spec/DiskRaft.tla, actions DiskRVRead and Crash.
extension RaftNode {
    mutating func diskVoted(_ vote: DiskVote) {
        guard self.role == .candidate, vote.term == self.term, self.configuration.isVoter(vote.disk),
            self.votes[vote.disk] == nil, self.diskVote == nil
        else { return }
        if let log = vote.log, self.log.isUpToDate(lastIndex: log.lastIndex, lastTerm: log.lastTerm),
            !self.defects.contains(.voteWithoutAdopting)
        {
            self.adopt(log)
            guard self.role == .candidate else { return }
        }
        if self.entriesToWrite.isEmpty, self.effects.write == nil {
            self.countVote(from: vote.disk, granted: true)
        } else {
            self.diskVote = (vote.disk, self.nextSequence)
        }
    }

    /// Only a candidate adopts, in the term in which the disk voted for it: a follower may have acknowledged to its leader
    /// what the area's log lacks.
    private mutating func adopt(_ log: DiskLog) {
        var entries = log.entries[...]
        if log.base.index <= self.commitIndex {
            while let entry = entries.first, entry.index <= self.commitIndex {
                if let mine = self.log.term(at: entry.index), mine != entry.term {
                    return self.stop(.committedPrefixConflict)
                }
                entries.removeFirst()
            }
            // A log more up to date than this one holds whatever is committed here.
            guard log.lastIndex >= self.commitIndex else { return self.stop(.committedPrefixConflict) }
        } else if self.log.term(at: log.base.index) != log.base.term {
            self.install(log.base)
        }
        while let entry = entries.first, self.log.term(at: entry.index) == entry.term { entries.removeFirst() }
        self.store(entries)
    }

    /// See `Event.diskBallot`. Its ballot is above the term only where this node's own storage lost something.
    mutating func diskBallot(_ ballot: Term) {
        guard ballot > self.term, ballot < Self.maximumNumber else { return }
        self.leaveRole()
        self.role = .follower
        self.leader = nil
        self.seenRound = 0
        self.restartElectionTimer()
        self.enter(term: ballot, votedFor: self.id)
    }
}
