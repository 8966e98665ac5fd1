import Raft
import StateRecords

/// AppendEntries and heartbeats of a node that leads.
extension DiskVoter {
    /// A header that only moves the heartbeat and renews the ballot.
    mutating func lead(in term: Term, _ commitIndex: LogIndex) {
        self.publish(in: term, commitIndex: commitIndex, log: nil, checkpoint: nil, index: nil, body: [])
    }

    mutating func publish(
        in term: Term, commitIndex: LogIndex, log: AreaLog?, checkpoint: AreaHeader.Checkpoint?, index: LogIndex?,
        body: [DiskBatch.Request]
    ) {
        var header = self.header
        // The node's term is at least its ballot; a message of an older term is late.
        guard term >= header.ballot else { return }
        header.ballot = term
        header.heartbeat += 1
        header.commitIndex = max(header.commitIndex, commitIndex)
        if let log { header.ring = log.ring }
        if let checkpoint { header.checkpoint = checkpoint }
        var round: UInt64?
        if let heartbeat = self.waiting.heartbeat, heartbeat.term == term,
            case .heartbeat(let number, _) = heartbeat.body
        {
            round = number
            self.waiting.heartbeat = nil
        }
        var operation = Operation(kind: .lead(term: term, index: index, round: round))
        operation.header = header
        operation.log = log
        self.begin(operation, body: body)
    }

    /// Ring blocks that neither slot reaches.
    private var freeBlocks: UInt64 {
        let starts = self.slots.compactMap { $0?.ring }.filter { $0.end > $0.start }.map(\.start)
        let oldest = self.defects.contains(.overwriteReachable) ? self.log.start : starts.min() ?? self.log.end
        return self.layout.ringBlocks - (self.log.end - min(oldest, self.log.end))
    }

    // MARK: Entries

    /// Takes all appends that wait into one operation.
    mutating func append() {
        let messages = self.waiting.appends
        self.waiting.appends = []
        guard let term = messages.last?.term else { return }
        // What the area is to hold from `first` on, in the place of what it holds now.
        var staged: [Entry] = []
        var index: LogIndex?
        var commitIndex: LogIndex = 0
        for message in messages {
            guard message.term == term, case .append(let append) = message.body else { continue }
            commitIndex = max(commitIndex, append.commitIndex)
            if let matched = self.stage(append, &staged, in: term) { index = max(index ?? 0, matched) }
        }
        guard let index else { return }
        // Nothing new: the core knows it already.
        if staged.isEmpty, self.acknowledged.term == term, self.acknowledged.index >= index { return }
        var log = self.log
        var body: [DiskBatch.Request] = []
        let written = self.chunks(of: staged, into: &log, &body)
        if !staged.isEmpty, written == nil {
            // The ring is full; a checkpoint makes room, and a new header frees what the older slot reaches.
            self.wishForCheckpoint()
            return self.lead(in: term, commitIndex)
        }
        let matched = staged.isEmpty ? index : min(index, written ?? 0)
        self.publish(
            in: term, commitIndex: commitIndex, log: log, checkpoint: nil, index: matched, body: body)
    }

    /// The highest index at which the area agrees with the leader once `staged` is written; nil where it does not agree.
    private mutating func stage(_ append: Message.Append, _ staged: inout [Entry], in term: Term) -> LogIndex? {
        func known(_ index: LogIndex) -> Term? {
            if let first = staged.first, index >= first.index {
                let offset = Int(index - first.index)
                return offset < staged.count ? staged[offset].term : nil
            }
            return self.log.term(at: index)
        }
        var entries = append.entries[...]
        if append.previousIndex < self.log.baseIndex {
            // What a checkpoint covers is committed.
            entries = entries.drop { $0.index <= self.log.baseIndex }
            if entries.isEmpty { return append.lastIndex }
        } else if known(append.previousIndex) != append.previousTerm {
            self.reject(append, in: term)
            return nil
        }
        while let entry = entries.first, known(entry.index) == entry.term { entries.removeFirst() }
        if let first = entries.first {
            if let start = staged.first?.index, first.index >= start {
                staged.removeLast(staged.count - Int(first.index - start))
            } else {
                staged = []
            }
            staged += entries
        }
        return append.lastIndex
    }

    private mutating func reject(_ append: Message.Append, in term: Term) {
        var index = min(append.previousIndex, self.log.lastIndex)
        while index > self.log.baseIndex, let there = self.log.term(at: index), there > append.previousTerm {
            index -= 1
        }
        self.answer(
            .appendRejected(
                previousIndex: append.previousIndex, hintIndex: index, hintTerm: self.log.term(at: index) ?? 0),
            in: term)
    }

    /// The last index of what has room; nil where nothing has.
    private func chunks(of staged: [Entry], into log: inout AreaLog, _ body: inout [DiskBatch.Request]) -> LogIndex? {
        var free = self.freeBlocks
        var rest = staged[...]
        var last: LogIndex?
        while !rest.isEmpty {
            var count = 1
            var byteCount = rest.first?.byteCount ?? 0
            while count < rest.count {
                byteCount += rest[rest.startIndex + count].byteCount
                if byteCount > RingChunk.gatheredByteCount { break }
                count += 1
            }
            let (chunk, bytes) = RingChunk.make(
                Array(rest.prefix(count)), at: log.end, on: self.identity, after: log.chain)
            guard chunk.blockCount <= free, log.append(chunk) else { break }
            free -= chunk.blockCount
            var offset = 0
            for piece in self.layout.ringPieces(self.area, from: chunk.position, count: chunk.blockCount) {
                body.append(
                    .write(offset: piece.offset, bytes: Array(bytes[offset..<offset + piece.byteCount])))
                offset += piece.byteCount
            }
            last = chunk.lastIndex
            rest = rest.dropFirst(count)
        }
        return last
    }
}
