import ClusterCore
import Raft
import StateRecords

/// What the server records, on its way into the Raft log.
extension Member {
    /// The epoch is the term that the server was told to serve in: a batch that was late must not slip into a later term.
    private func isVoid(_ batch: JournalBatch) -> Bool {
        batch.generation <= self.refusedGeneration || !self.raft.isLeader || self.raft.term != batch.epoch
            || self.takeover.term != batch.epoch
    }

    func journal(_ batch: JournalBatch) {
        if self.isVoid(batch) { return self.refuse(batch) }
        for case .putClient(let client) in batch.mutations { self.connectedClients.insert(client) }
        guard self.journalQueue.append(batch) else {
            self.refuse(batch)
            return self.journalFailed(
                generation: batch.generation, epoch: batch.epoch, "more waits than the cluster can take")
        }
        if self.journals.epoch != batch.epoch { self.journals = (batch.epoch, 0) }
        self.journals.underWay += 1
    }

    private func refuse(_ batch: JournalBatch) {
        self.server?.answer(.refused(sequence: batch.sequence), generation: batch.generation)
    }

    /// Once a turn: all that came in it goes together.
    func proposeJournal() {
        guard !self.journalQueue.isEmpty else { return }
        for batch in self.journalQueue.removeVoid(self.isVoid) {
            self.refuse(batch)
            self.settled(1, of: batch.epoch)
        }
        while let group = self.journalQueue.take() { self.propose(group) }
    }

    private func propose(_ group: JournalQueue.Group) {
        self.propose(.mutate(epoch: group.epoch, group.mutations), isJournal: true) { [weak self] outcome in
            guard let self else { return }
            self.journalQueue.resolved()
            defer { self.settled(group.batches, of: group.epoch) }
            switch outcome {
            case .applied(.done), .applied(.added):
                // It would answer those before it, too, and one of these was refused.
                guard group.generation > self.refusedGeneration else { return }
                self.server?.answer(.appended(sequence: group.sequence), generation: group.generation)
            case .applied(.refused(let refusal)): self.refused(group, "\(refusal)")
            case .dropped(let reason): self.refused(group, "\(reason)")
            }
        }
    }

    private func refused(_ group: JournalQueue.Group, _ problem: String) {
        self.logger.error("journal: batch \(group.sequence) is not in the log: \(problem)")
        self.server?.answer(.refused(sequence: group.sequence), generation: group.generation)
        self.journalFailed(generation: group.generation, epoch: group.epoch, problem)
    }

    /// What came after it may be in the log: the server's memory and the log differ from here on. A new server starts from
    /// the log. Once: whatever else this one has under way is refused, too.
    private func journalFailed(generation: UInt64, epoch: Term, _ problem: String) {
        guard generation > self.refusedGeneration else { return }
        self.refusedGeneration = generation
        if self.raft.isLeader, self.raft.term == epoch {
            self.decide(.serverExited("its journal was refused: \(problem)"))
        }
    }

    private func settled(_ batches: Int, of epoch: Term) {
        if self.journals.epoch == epoch { self.journals.underWay -= batches }
        self.serveWhenSettled()
    }
}
