import Raft
import StateRecords

/// The operations: each ends with a look at every area.
extension DiskVoter {
    struct Operation: Sendable {
        enum Kind: Sendable {
            /// Tells everybody that a new life of this node writes its area, and reads it back.
            case announce
            case look
            case preVote(Message)
            case vote(Message, commitIndex: LogIndex)
            /// As leader: a new header, with or without entries or a checkpoint. `index`: what is acknowledged with it.
            case lead(term: Term, index: LogIndex?, round: UInt64?)
            /// A step of a checkpoint, up to so many of its bytes. No header makes it reachable yet.
            case fill(through: Int)
        }

        enum Phase: Sendable {
            /// Entries or a checkpoint, where nothing reaches them yet.
            case body
            case header
            case looking
            /// What was read there, and may still be in the target's cache alone.
            case flushing([AreaSlots])
            /// The log of that area, to verify it and perhaps to adopt it.
            case reading(area: Int, AreaHeader)
            case readingState(area: Int, AreaHeader, DiskLog)
        }

        var kind: Kind
        var phase = Phase.looking
        /// What makes the body reachable.
        var header: AreaHeader?
        var log: AreaLog?
    }

    /// Writes what there is to write, then looks.
    mutating func begin(_ operation: Operation, body: [DiskBatch.Request] = []) {
        var operation = operation
        if case .announce = operation.kind { operation.header = self.header }
        if var header = operation.header {
            header.identity = self.identity
            header.node = self.node
            header.incarnation = self.incarnation
            header.sequence = self.header.sequence + 1
            operation.header = header
        }
        if self.defects.contains(.headerBesideEntries), !body.isEmpty, operation.header != nil {
            operation.phase = .header
            self.work = .operation(operation)
            return self.issue(.requests(body + [self.headerWrite(operation.header)].compactMap { $0 }))
        }
        if !body.isEmpty {
            operation.phase = .body
            self.work = .operation(operation)
            self.issue(.requests(body))
        } else {
            self.writeHeader(operation)
        }
    }

    private func headerWrite(_ header: AreaHeader?) -> DiskBatch.Request? {
        header.map { .write(offset: self.layout.slotOffset(self.area, 1 - self.currentSlot), bytes: $0.block) }
    }

    private mutating func writeHeader(_ operation: Operation) {
        guard let write = self.headerWrite(operation.header) else { return self.look(operation) }
        var operation = operation
        operation.phase = .header
        self.work = .operation(operation)
        self.issue(.requests([write]))
    }

    private mutating func look(_ operation: Operation) {
        var operation = operation
        operation.phase = .looking
        self.work = .operation(operation)
        self.issue(.requests(self.lookRequests))
    }

    mutating func proceed(_ operation: Operation, _ results: [[UInt8]]) {
        switch operation.phase {
        case .body:
            if case .fill(let byteCount) = operation.kind { return self.filled(through: byteCount) }
            self.writeHeader(operation)
        case .header:
            self.currentSlot = 1 - self.currentSlot
            self.slots[self.currentSlot] = operation.header
            if let log = operation.log { self.log = log }
            if self.defects.contains(.skipReread), case .lead = operation.kind {
                return self.finish(operation, [])
            }
            self.look(operation)
        case .looking:
            guard results.count == self.layout.areaCount else { return self.giveUp(.noAnswer) }
            let found = results.map { AreaSlots(bytes: $0, layout: self.layout, of: self.identity) }
            guard self.isNews(found), !self.defects.contains(.trustCache) else { return self.looked(operation, found) }
            var operation = operation
            operation.phase = .flushing(found)
            self.work = .operation(operation)
            self.issue(.flush)
        case .flushing(let found): self.looked(operation, found)
        case .reading(let area, let header): self.readLog(operation, area, header, results.flatMap { $0 })
        case .readingState(let area, let header, let log): self.readState(operation, area, header, log, results)
        }
    }

    // MARK: Looking

    /// Another node wrote since. Where the target loses its power now, that may be undone: remembered, it would look as if the
    /// disk had gone back.
    private func isNews(_ found: [AreaSlots]) -> Bool {
        found.indices.contains { area in
            area != self.area && found[area].header?.sequence ?? 0 > self.memory.sequences[area]
        }
    }

    private mutating func looked(_ operation: Operation, _ found: [AreaSlots]) {
        guard let headers = self.reliable(found) else { return }
        self.finish(operation, headers)
    }

    /// All areas' headers, or nil where they cannot be relied upon: then nothing is granted or acknowledged.
    private mutating func reliable(_ areas: [AreaSlots]) -> [AreaHeader]? {
        self.lastLook = self.now
        var found: [AreaHeader] = []
        var trouble: DiskTrouble?
        for (area, slots) in areas.enumerated() {
            guard let header = slots.header else {
                // The own one was just written, or read when this life began: it is gone.
                if area == self.area {
                    self.disable(.wentBack(area: area))
                    return nil
                }
                self.headers[area] = nil
                trouble = .areaUnreadable(area)
                continue
            }
            if !self.defects.contains(.ignoreRollback), let fault = self.fault(of: header, slots, in: area) {
                self.disable(fault)
                return nil
            }
            self.memory.sequences[area] = max(self.memory.sequences[area], header.sequence)
            self.headers[area] = header
            if self.moved[area]?.heartbeat != header.heartbeat { self.moved[area] = (header.heartbeat, self.now) }
            found.append(header)
        }
        if let trouble {
            // The disk answers; what it says is not whole. It is looked at again in a while.
            self.giveUp(trouble)
            return nil
        }
        return found
    }

    private func fault(of header: AreaHeader, _ slots: AreaSlots, in area: Int) -> DiskFault? {
        if header.identity != self.identity { return .otherDisk }
        if header.sequence < self.memory.sequences[area] { return .wentBack(area: area) }
        // Both of one's own: a header that was just written says nothing about what went back before it.
        guard area == self.area, slots.slots != self.slots else { return nil }
        return header.sequence <= self.header.sequence ? .wentBack(area: area) : .areaTaken
    }

    /// No other node led through the disk for an election time-out of this node's clock.
    private var othersAreSilent: Bool {
        self.moved.indices.allSatisfy { area in
            area == self.area
                || self.moved[area].map { self.now - $0.since >= self.limits.electionTicks } ?? false
        }
    }

    private func othersBallot(_ headers: [AreaHeader]) -> Term {
        headers.enumerated().map { $0.offset == self.area ? 0 : $0.element.ballot }.max() ?? 0
    }

    /// The most up to date of all areas' logs, where it is more so than the node's own log.
    private func better(_ headers: [AreaHeader], than last: (term: Term, index: LogIndex)) -> Int? {
        let considered = headers.indices.filter { $0 != self.area || !self.defects.contains(.ignoreOwnArea) }
        let best = considered.max {
            (headers[$0].ring.lastTerm, headers[$0].ring.lastIndex)
                < (headers[$1].ring.lastTerm, headers[$1].ring.lastIndex)
        }
        guard let best, headers[best].isLog(moreUpToDateThan: last), !self.defects.contains(.ignoreLogs) else {
            return nil
        }
        return best
    }

    // MARK: Finishing

    private mutating func finish(_ operation: Operation, _ headers: [AreaHeader]) {
        switch operation.kind {
        case .announce:
            self.become(.ready)
            self.keepMemory()
        case .look: self.keepMemoryAtTimes()
        case .preVote(let message): self.preVoted(operation, message, headers)
        case .vote(let message, _): self.voted(operation, message, headers)
        case .lead(let term, let index, let round):
            let ballot = self.othersBallot(headers)
            self.lastLead = (term, self.now)
            if ballot > term { return self.depose(in: ballot) }
            if let round { self.answer(.heartbeatResponse(round: round), in: term) }
            if let index {
                self.acknowledged = (term, max(index, self.acknowledged.term == term ? self.acknowledged.index : 0))
                self.answer(.appendAccepted(matchIndex: index), in: term)
                self.keepMemory()
            } else {
                self.keepMemoryAtTimes()
            }
            self.wishForCheckpoint()
        case .fill: break
        }
    }

    func message(_ body: Message.Body, in term: Term) -> Message {
        Message(from: self.number, to: self.node, term: term, body: body)
    }

    mutating func answer(_ body: Message.Body, in term: Term) {
        // Zero is no term that a message can have.
        if term > 0 { self.effects.messages.append(self.message(body, in: term)) }
    }

    /// Another node stands or leads in a later term.
    private mutating func depose(in term: Term) {
        self.waiting.appends = []
        self.waiting.heartbeat = nil
        self.waiting.checkpoint = nil
        self.filling = nil
        self.answer(.heartbeatResponse(round: 0), in: term)
    }

    private mutating func keepMemory() {
        self.lastMemory = self.now
        self.effects.memory = self.memory
    }

    private mutating func keepMemoryAtTimes() {
        if self.now - self.lastMemory >= self.limits.memoryTicks { self.keepMemory() }
    }

    // MARK: Votes

    /// `message.term` is the term that the node would stand in. Reads only.
    private mutating func preVoted(_ operation: Operation, _ message: Message, _ headers: [AreaHeader]) {
        guard case .preVoteRequest(let lastIndex, let lastTerm) = message.body else { return }
        let ballot = self.othersBallot(headers)
        guard ballot < message.term else { return self.answer(.preVoteResponse(granted: false), in: ballot) }
        guard self.othersAreSilent || self.defects.contains(.ignoreHeartbeat) else {
            return self.answer(.preVoteResponse(granted: false), in: message.term - 1)
        }
        guard let best = self.better(headers, than: (lastTerm, lastIndex)), best != self.area else {
            return self.answer(.preVoteResponse(granted: true), in: message.term)
        }
        self.read(best, headers[best], operation)
    }

    /// RequestVote: the term and the node's vote for itself are on its own stable storage by now.
    mutating func stand(_ message: Message, commitIndex: LogIndex) {
        guard case .voteRequest = message.body, message.term > self.votedTerm else { return }
        self.votedTerm = message.term
        guard self.header.ballot < message.term || self.defects.contains(.ignoreOwnBallot) else {
            return self.answer(.voteResponse(granted: false), in: message.term)
        }
        var operation = Operation(kind: .vote(message, commitIndex: commitIndex))
        if !self.defects.contains(.voteWithoutBallot) {
            operation.header = self.header
            operation.header?.ballot = message.term
        }
        self.begin(operation)
    }

    private mutating func voted(_ operation: Operation, _ message: Message, _ headers: [AreaHeader]) {
        guard case .voteRequest(let lastIndex, let lastTerm, let force) = message.body else { return }
        let ballot = self.othersBallot(headers)
        let isBeaten =
            self.defects.contains(.equalBallotAllowed) ? ballot > message.term : ballot >= message.term
        guard !isBeaten else { return self.answer(.voteResponse(granted: false), in: max(ballot, message.term)) }
        // After the ballot: a leader whose heartbeat comes later sees it, so nobody is elected within its lease.
        guard force || self.othersAreSilent || self.defects.contains(.ignoreHeartbeat) else {
            return self.answer(.voteResponse(granted: false), in: message.term)
        }
        guard let best = self.better(headers, than: (lastTerm, lastIndex)) else {
            return self.grant(in: message.term, nil, nil)
        }
        self.read(best, headers[best], operation)
    }

    mutating func grant(in term: Term, _ log: DiskLog?, _ state: [UInt8]?) {
        self.effects.events.append(.diskVoted(DiskVote(disk: self.number, term: term, log: log)))
        self.effects.state = state
        self.keepMemory()
    }

    private mutating func read(_ area: Int, _ header: AreaHeader, _ operation: Operation) {
        var operation = operation
        operation.phase = .reading(area: area, header)
        self.work = .operation(operation)
        self.issue(.requests(self.reads(of: area, header.ring)))
    }

    private mutating func readLog(_ operation: Operation, _ area: Int, _ header: AreaHeader, _ bytes: [UInt8]) {
        guard let found = AreaLog(ring: header.ring, bytes: bytes, on: self.identity) else {
            return self.giveUp(.logUnreadable(area))
        }
        switch operation.kind {
        case .preVote(let message): self.answer(.preVoteResponse(granted: true), in: message.term)
        case .vote(let message, let commitIndex):
            let log = DiskLog(base: header.checkpoint?.snapshot ?? Snapshot(), entries: found.entries)
            guard let checkpoint = header.checkpoint, checkpoint.snapshot.index > commitIndex else {
                return self.grant(in: message.term, log, nil)
            }
            self.findState(operation, area, header, log)
        default: break
        }
    }
}
