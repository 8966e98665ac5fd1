import Raft
import StateRecords

/// Checkpoints: the whole state, into the extent that neither slot reaches, and out of another node's.
///
/// One that is longer than a step goes a step at a time, and between two of them goes what is due: a heartbeat on the
/// disk that rested for an election time-out would let another node stand, and would end the lease of one that has only
/// the disk.
extension DiskVoter {
    /// A checkpoint that is longer than a step, on its way to the disk. Nothing reaches it there before its header
    /// does.
    struct Filling: Sendable {
        let checkpoint: Waiting.Checkpoint
        let extent: Int
        /// On stable storage.
        var byteCount = 0
        /// Of what was given out to be written.
        var sum = CRC32C()
        /// A step is done: whatever else is due has its turn.
        var yields = false
    }

    /// A checkpoint that a candidate reads, or has read. Its election may be over before: the next one finds it here.
    struct FoundState: Sendable {
        let area: Int
        let checkpoint: AreaHeader.Checkpoint
        var bytes: [UInt8] = []
        var sum = CRC32C()
        var usedAt: Tick

        var isWhole: Bool { self.bytes.count == self.checkpoint.byteCount }

        /// Without what fills the last block.
        mutating func add(_ read: [UInt8]) {
            let new = read.prefix(self.checkpoint.byteCount - self.bytes.count)
            self.sum.add(new)
            self.bytes += new
        }
    }

    /// This node's state is on its way to the disk, or about to be.
    package var isTakingCheckpoint: Bool { self.filling != nil || self.waiting.checkpoint != nil }

    /// The last entry of the state that goes to the disk in steps; nil: none does.
    package var fillingIndex: LogIndex? { self.filling?.checkpoint.snapshot.index }

    // MARK: Writing

    mutating func wishForCheckpoint() {
        let used = self.log.end - self.log.start
        let interval = self.refusedState == nil ? self.limits.checkpointTicks : self.limits.refusedCheckpointTicks
        guard used > self.layout.ringBlocks / 2, self.filling == nil,
            self.lastCheckpointWish.map({ self.now - $0 >= interval }) ?? true
        else { return }
        self.lastCheckpointWish = self.now
        self.effects.wantsCheckpoint = true
    }

    mutating func checkpoint(_ snapshot: Snapshot, _ state: [UInt8], term: Term) {
        guard state.count <= self.layout.checkpointByteCount else {
            self.refusedState = state.count
            self.effects.status = .unavailable(.stateTooLong(byteCount: state.count))
            return
        }
        self.refusedState = nil
        guard self.isReady, term >= self.acknowledged.term, snapshot.index > 0,
            !snapshot.configuration.voters.isEmpty
        else { return }
        self.waiting.checkpoint = Waiting.Checkpoint(snapshot: snapshot, state: state, term: term)
    }

    mutating func write(_ checkpoint: Waiting.Checkpoint) {
        guard checkpoint.term >= self.header.ballot else {
            self.waiting.checkpoint = nil
            return
        }
        let snapshot = checkpoint.snapshot
        guard snapshot.index > self.log.baseIndex else {
            self.waiting.checkpoint = nil
            return self.publish(
                in: checkpoint.term, commitIndex: snapshot.index, log: nil, checkpoint: nil, index: snapshot.index,
                body: [])
        }
        let reached = self.slots.compactMap { $0?.checkpoint?.extent }
        guard let extent = [0, 1].first(where: { !reached.contains($0) }) else {
            // The older slot reaches the other one: the next header frees it.
            return self.lead(in: checkpoint.term, snapshot.index)
        }
        self.waiting.checkpoint = nil
        guard checkpoint.state.count > self.limits.checkpointStepByteCount else {
            let whole = checkpoint.state.indices
            return self.publish(
                checkpoint, in: extent, sum: CRC32C.of(checkpoint.state),
                body: self.writes(of: checkpoint.state, whole, into: extent))
        }
        self.filling = Filling(checkpoint: checkpoint, extent: extent)
        self.fill()
    }

    /// The next step, or the header behind the last one.
    mutating func fill() {
        guard let filling = self.filling else { return }
        let checkpoint = filling.checkpoint
        guard checkpoint.term >= self.header.ballot, checkpoint.snapshot.index > self.log.baseIndex else {
            self.filling = nil
            return
        }
        guard filling.byteCount < checkpoint.state.count else {
            self.filling = nil
            return self.publish(checkpoint, in: filling.extent, sum: filling.sum.value, body: [])
        }
        if self.defects.contains(.headerBeforeSteps), filling.byteCount > 0 {
            self.filling = nil
            return self.publish(checkpoint, in: filling.extent, sum: CRC32C.of(checkpoint.state), body: [])
        }
        let step =
            filling.byteCount..<min(filling.byteCount + self.limits.checkpointStepByteCount, checkpoint.state.count)
        self.filling?.sum.add(checkpoint.state[step])
        self.begin(
            Operation(kind: .fill(through: step.upperBound)),
            body: self.writes(of: checkpoint.state, step, into: filling.extent))
    }

    mutating func filled(through byteCount: Int) {
        self.filling?.byteCount = byteCount
        self.filling?.yields = true
    }

    private mutating func publish(
        _ checkpoint: Waiting.Checkpoint, in extent: Int, sum: UInt32, body: [DiskBatch.Request]
    ) {
        let snapshot = checkpoint.snapshot
        var log = self.log
        log.cut(to: snapshot.index, term: snapshot.term)
        self.publish(
            in: checkpoint.term, commitIndex: snapshot.index, log: log,
            checkpoint: AreaHeader.Checkpoint(
                extent: extent, byteCount: checkpoint.state.count, sum: sum, snapshot: snapshot),
            index: snapshot.index, body: body)
    }

    /// Whole blocks, in transfers.
    private func writes(of state: [UInt8], _ range: Range<Int>, into extent: Int) -> [DiskBatch.Request] {
        let start = self.layout.checkpointOffset(self.area, extent)
        return stride(from: range.lowerBound, to: range.upperBound, by: Layout.transferByteCount).map { offset in
            var bytes = Array(state[offset..<min(offset + Layout.transferByteCount, range.upperBound)])
            bytes += [UInt8](repeating: 0, count: Layout.blocks(bytes.count) * Layout.blockSize - bytes.count)
            return .write(offset: start + offset, bytes: bytes)
        }
    }

    // MARK: Reading

    /// Reads on where the last election came to, and grants once all of it is there.
    mutating func findState(_ operation: Operation, _ area: Int, _ header: AreaHeader, _ log: DiskLog) {
        guard case .vote(let message, _) = operation.kind, let checkpoint = header.checkpoint else { return }
        if self.found?.area != area || self.found?.checkpoint != checkpoint {
            self.found = FoundState(area: area, checkpoint: checkpoint, usedAt: self.now)
        }
        self.found?.usedAt = self.now
        guard let found = self.found else { return }
        guard !found.isWhole else {
            guard found.sum.value == checkpoint.sum else {
                self.found = nil
                return self.giveUp(.logUnreadable(area))
            }
            // A short one is read again as soon as it would be found.
            if checkpoint.byteCount <= self.limits.checkpointStepByteCount { self.found = nil }
            return self.grant(in: message.term, log, found.bytes)
        }
        let start = self.layout.checkpointOffset(area, checkpoint.extent) + found.bytes.count
        let step = min(checkpoint.byteCount - found.bytes.count, self.limits.checkpointStepByteCount)
        var operation = operation
        operation.phase = .readingState(area: area, header, log)
        self.work = .operation(operation)
        self.issue(
            .requests(
                Self.pieces(step).map { .read(offset: start + $0.lowerBound, byteCount: $0.count) }))
    }

    mutating func readState(
        _ operation: Operation, _ area: Int, _ header: AreaHeader, _ log: DiskLog, _ results: [[UInt8]]
    ) {
        // Forgotten by a node that leads meanwhile, without this vote.
        guard let before = self.found?.bytes.count else { return }
        for bytes in results { self.found?.add(bytes) }
        guard self.found?.bytes.count != before else { return self.giveUp(.logUnreadable(area)) }
        self.findState(operation, area, header, log)
    }

    /// Whole blocks that hold so many bytes, in transfers.
    private static func pieces(_ byteCount: Int) -> [Range<Int>] {
        let end = Layout.blocks(byteCount) * Layout.blockSize
        return stride(from: 0, to: end, by: Layout.transferByteCount).map {
            $0..<min($0 + Layout.transferByteCount, end)
        }
    }

    /// Nobody stands any more, or not for long.
    mutating func forgetFoundState() {
        if let found = self.found, self.now - found.usedAt >= self.limits.foundStateTicks { self.found = nil }
    }
}
