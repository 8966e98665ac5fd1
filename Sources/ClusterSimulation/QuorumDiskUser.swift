import QuorumDisk
import Raft

/// What happens between the nodes and their quorum disk. `life`: of the node's process when it began.
enum DiskHappening {
    case request(UInt64)
    case barrier(node: Int, life: UInt64, disk: UInt64, batch: UInt64)
    case flush(node: Int, life: UInt64, disk: UInt64, batch: UInt64)
    /// nil: some of that batch failed.
    case done(node: Int, life: UInt64, disk: UInt64, batch: UInt64, [[UInt8]]?)
    case memory(node: Int, life: UInt64, disk: UInt64, DiskMemory)
}

/// A simulation whose nodes may have a quorum disk: the real `DiskVoter` of each, the LUN's blocks, and what goes wrong between
/// them. The simulation says who runs, hands on what the voter says to Raft, and when to step it.
protocol QuorumDiskUser {
    var time: UInt64 { get }
    var random: Random { get set }
    var trace: Trace { get set }
    var hasFaults: Bool { get }
    var quorum: QuorumDisks { get set }
    var diskFaults: DiskFaults { get }
    var diskDefects: DiskDefects { get }
    var diskLimits: DiskVoterLimits { get }
    /// What is written is in the target's cache until somebody flushes it, and gone where the target loses its power before.
    var diskHasCache: Bool { get }
    /// A barrier is a reset of the unit, which ends what the others have under way, too.
    var barrierEndsAll: Bool { get }

    /// On the node's own clock.
    func tick(_ i: Int) -> Tick
    /// Of the process that runs; nil where none does.
    func processLife(_ i: Int) -> UInt64?
    func nodeID(_ i: Int) -> NodeID
    /// Apart from `DiskSide.cutUntil`.
    func reachesDiskTarget(_ i: Int) -> Bool
    mutating func schedule(_ happening: DiskHappening, at time: UInt64)
    mutating func fail(_ violation: String)
    /// For the node's Raft core. `state`: of the checkpoint that comes with it.
    mutating func take(_ i: Int, _ event: Event, state: [UInt8]?)
    mutating func diskVoted(_ i: Int, _ vote: DiskVote)
    mutating func handInCheckpoint(_ i: Int)
}

extension QuorumDiskUser {
    /// A LUN laid out as a quorum disk, new to everybody.
    mutating func makeDisk(number: UInt64, _ layout: Layout) -> SharedDisk {
        let disk = SharedDisk(Superblock(identity: .simulated(number), layout: layout))
        self.quorum.disks[number] = disk
        return disk
    }

    // MARK: The nodes' sides

    /// From now on the node works with that disk.
    mutating func useDisk(_ i: Int, as number: NodeID, _ superblock: Superblock, area: Int) {
        self.quorum.sides[i].lives += 1
        self.quorum.sides[i].voter = DiskVoter(
            node: self.nodeID(i), number: number, area: area, incarnation: self.quorum.sides[i].lives,
            superblock: superblock, memory: self.quorum.sides[i].memories[superblock.identity.key],
            limits: self.diskLimits, now: self.tick(i), defects: self.diskDefects)
    }

    /// The process is gone, or its disk is another one.
    mutating func leaveDisk(_ i: Int) {
        if self.quorum.sides[i].voter?.fillingIndex != nil { self.quorum.counts.checkpointsBrokenOff += 1 }
        self.quorum.sides[i].voter = nil
    }

    mutating func stepVoter(_ i: Int, _ event: DiskEvent) {
        let now = self.tick(i)
        let filling = self.quorum.sides[i].voter?.fillingIndex
        guard let effects = self.quorum.sides[i].voter?.step(event, at: now),
            let (number, disk) = self.quorum.sides[i].voter.map({ ($0.number, $0.identity.key) })
        else { return }
        if let filling { self.noteSteps(i, of: filling, effects) }
        if let status = effects.status {
            self.trace.note(self.time, "disk status", self.nodeID(i), number, 0, "\(status)")
            if case .disabled = status {
                self.quorum.counts.disabled += 1
                self.noteFault(disk, "\(status)")
            }
        }
        if let memory = effects.memory, let life = self.processLife(i) {
            self.schedule(
                .memory(node: i, life: life, disk: disk, memory),
                at: self.time + 500 + self.random.below(UInt64(3000)))
        }
        if let batch = effects.batch { self.issue(batch, of: i, on: disk) }
        for message in effects.messages {
            self.trace.note(self.time, "disk says", message.to, message.term, 0, "\(message.body)")
            if case .appendAccepted = message.body { self.quorum.counts.acknowledgements += 1 }
            if case .preVoteResponse(granted: false) = message.body { self.quorum.counts.refusedForHeartbeat += 1 }
            self.take(i, .receive(message), state: nil)
        }
        for event in effects.events {
            self.trace.note(self.time, "disk event", self.nodeID(i), 0, 0, "\(event)")
            if case .diskVoted(let vote) = event {
                self.quorum.counts.grants += 1
                if vote.log != nil { self.quorum.counts.grantsWithLog += 1 }
                if let state = effects.state {
                    self.quorum.counts.grantsWithState += 1
                    if state.count > self.diskLimits.checkpointStepByteCount {
                        self.quorum.counts.statesReadInSteps += 1
                    }
                }
                self.diskVoted(i, vote)
            }
            self.take(i, event, state: effects.state)
        }
        if effects.wantsCheckpoint { self.handInCheckpoint(i) }
    }

    /// Whether the checkpoint that was being written in steps still is; if not, whether its header goes out now.
    private mutating func noteSteps(_ i: Int, of index: LogIndex, _ effects: DiskEffects) {
        guard let voter = self.quorum.sides[i].voter, voter.fillingIndex != index else { return }
        var isPublished = false
        if case .requests(let requests) = effects.batch?.work {
            isPublished = requests.contains { request in
                guard case .write(_, let bytes) = request, bytes.count == Layout.blockSize else { return false }
                return AreaHeader(block: bytes, layout: voter.layout)?.checkpoint?.snapshot.index == index
            }
        }
        if isPublished {
            self.quorum.counts.checkpointsInSteps += 1
        } else {
            self.quorum.counts.checkpointsBrokenOff += 1
        }
    }

    /// A whole disk is never given up: the safeguards cry wolf.
    private mutating func noteFault(_ disk: UInt64, _ text: String) {
        if self.quorum.disks[disk]?.isWhole == true, self.diskDefects.subtracting(.trustCache).isEmpty {
            self.fail("quorum disk: a disk that lost nothing was given up: \(text)")
        }
    }

    // MARK: The way to the blocks

    private func reaches(_ i: Int) -> Bool {
        self.quorum.sides[i].cutUntil <= self.time && self.reachesDiskTarget(i)
    }

    private mutating func issue(_ batch: DiskBatch, of i: Int, on disk: UInt64) {
        guard let life = self.processLife(i) else { return }
        func done(_ results: [[UInt8]]?) -> DiskHappening {
            .done(node: i, life: life, disk: disk, batch: batch.number, results)
        }
        guard self.reaches(i) else {
            return self.schedule(done(nil), at: self.time + 1000 + self.random.below(UInt64(300_000)))
        }
        switch batch.work {
        case .barrier:
            self.schedule(
                .barrier(node: i, life: life, disk: disk, batch: batch.number),
                at: self.time + 300 + self.random.below(UInt64(3000)))
        case .flush:
            self.quorum.sides[i].batch = DiskSide.Batch(number: batch.number, results: [], isOver: false)
            self.schedule(
                .flush(node: i, life: life, disk: disk, batch: batch.number),
                at: self.time + 50 + self.random.below(UInt64(500)))
        case .requests(let requests):
            let isOver = self.quorum.sides[i].sessionIsOver
            self.quorum.sides[i].sessionIsOver = false
            let fails =
                isOver || self.hasFaults && self.random.chance(perMillion: self.diskFaults.failurePerMillion)
            self.quorum.sides[i].batch = DiskSide.Batch(
                number: batch.number, results: [[UInt8]?](repeating: nil, count: requests.count),
                isOver: fails || requests.isEmpty)
            self.quorum.sides[i].batch?.hasWritten = requests.contains { if case .write = $0 { true } else { false } }
            if fails || requests.isEmpty {
                self.schedule(done(fails ? nil : []), at: self.time + 100 + self.random.below(UInt64(2000)))
            }
            if isOver { return }
            let session = self.quorum.disks[disk]?.sessions[i] ?? 0
            for (position, request) in requests.enumerated() {
                var delay = 50 + self.random.below(UInt64(1000))
                if self.hasFaults, self.random.chance(perMillion: self.diskFaults.delayPerMillion) {
                    delay += self.random.below(self.diskFaults.maximumDelay)
                }
                let number = self.quorum.nextFlight
                self.quorum.nextFlight += 1
                self.quorum.flights[number] = QuorumDisks.Flight(
                    node: i, life: life, disk: disk, batch: batch.number, session: session, request: request,
                    position: position)
                self.schedule(.request(number), at: self.time + delay)
            }
        }
    }

    /// A request reaches the LUN.
    mutating func performDiskRequest(_ number: UInt64) {
        guard let flight = self.quorum.flights.removeValue(forKey: number),
            flight.session == self.quorum.disks[flight.disk]?.sessions[flight.node] ?? 0
        else { return }
        var result: [UInt8] = []
        switch flight.request {
        case .read(let offset, let byteCount):
            result = self.quorum.disks[flight.disk]?.read(offset, byteCount) ?? []
        case .write(let offset, let bytes): self.land(bytes, at: offset, on: flight.disk, sectors: nil)
        }
        let i = flight.node
        guard self.processLife(i) == flight.life, self.quorum.sides[i].voter?.identity.key == flight.disk,
            let batch = self.quorum.sides[i].batch, batch.number == flight.batch, !batch.isOver,
            flight.position < batch.results.count
        else { return }
        self.quorum.sides[i].batch?.results[flight.position] = result
        self.quorum.sides[i].batch?.missing -= 1
        guard batch.missing == 1 else { return }
        if self.diskHasCache, self.quorum.sides[i].batch?.hasWritten == true {
            var delay = 100 + self.random.below(UInt64(4000))
            if self.hasFaults, self.random.chance(perMillion: self.diskFaults.slowFlushPerMillion) {
                delay += self.random.below(self.diskFaults.maximumSlowFlush)
            }
            return self.schedule(
                .flush(node: i, life: flight.life, disk: flight.disk, batch: flight.batch), at: self.time + delay)
        }
        self.endBatch(i, life: flight.life, on: flight.disk)
    }

    mutating func flushDisk(_ i: Int, life: UInt64, on disk: UInt64, batch: UInt64) {
        guard self.processLife(i) == life, let waiting = self.quorum.sides[i].batch, waiting.number == batch,
            !waiting.isOver
        else { return }
        self.quorum.disks[disk]?.flush()
        self.endBatch(i, life: life, on: disk)
    }

    private mutating func endBatch(_ i: Int, life: UInt64, on disk: UInt64) {
        guard let batch = self.quorum.sides[i].batch else { return }
        self.quorum.sides[i].batch?.isOver = true
        self.schedule(
            .done(node: i, life: life, disk: disk, batch: batch.number, batch.results.compactMap { $0 }),
            at: self.time + 50 + self.random.below(UInt64(500)))
    }

    /// After it nothing that the node sent before reaches the disk any more.
    mutating func performBarrier(_ i: Int, life: UInt64, on disk: UInt64, batch: UInt64) {
        guard self.reaches(i) else { return }
        self.quorum.counts.barriers += 1
        if self.barrierEndsAll {
            for other in self.quorum.sides.indices where other != i { self.abort(other, on: disk) }
        }
        self.settleFlights(of: i, on: disk)
        self.quorum.disks[disk]?.sessions[i, default: 0] += 1
        self.quorum.sides[i].sessionIsOver = false
        self.schedule(
            .done(node: i, life: life, disk: disk, batch: batch, []),
            at: self.time + 50 + self.random.below(UInt64(500)))
    }

    /// A session ends: of what it had under way some is carried out, some in part, some not.
    private mutating func settleFlights(of i: Int, on disk: UInt64) {
        for number in self.quorum.flights.keys.sorted() {
            guard let flight = self.quorum.flights[number], flight.node == i, flight.disk == disk else { continue }
            self.quorum.flights[number] = nil
            guard case .write(let offset, let bytes) = flight.request else { continue }
            self.mayLand(bytes, at: offset, on: disk)
        }
    }

    /// A node dies: what it sent is on its way. Some of that arrives late, whatever becomes of the rest.
    mutating func tearDiskWrites(of i: Int) {
        self.quorum.sides[i].batch = nil
        for number in self.quorum.flights.keys.sorted() {
            guard let flight = self.quorum.flights[number], flight.node == i, self.random.below(2) == 0 else {
                continue
            }
            self.quorum.flights[number] = nil
            if case .write(let offset, let bytes) = flight.request { self.mayLand(bytes, at: offset, on: flight.disk) }
        }
    }

    private mutating func mayLand(_ bytes: [UInt8], at offset: Int, on disk: UInt64) {
        switch self.random.below(3) {
        case 0: self.land(bytes, at: offset, on: disk, sectors: nil)
        case 1 where self.diskFaults.tearsWrites:
            self.quorum.counts.tornWrites += 1
            let sectors = (0..<bytes.count / SharedDisk.sectorSize).filter { _ in self.random.below(2) == 0 }
            self.land(bytes, at: offset, on: disk, sectors: Set(sectors))
        default: break
        }
    }

    private mutating func land(_ bytes: [UInt8], at offset: Int, on key: UInt64, sectors: Set<Int>?) {
        // Not a copy of the disk: it would be written as one.
        guard let layout = self.quorum.disks[key]?.superblock.layout, let isWhole = self.quorum.disks[key]?.isWhole
        else {
            return
        }
        let area = (offset - Layout.alignment) / layout.areaByteCount
        let isHeader = offset - layout.areaOffset(area) < Layout.slotsByteCount
        let headers = isWhole ? self.quorum.disks[key]?.headers(of: area) ?? [] : []
        if !isHeader {
            let range = offset..<offset + bytes.count
            for header in headers {
                let reached = self.quorum.disks[key]?.reachable(from: header, in: area) ?? []
                if reached.contains(where: { $0.overlaps(range) }) {
                    self.fail("quorum disk: the owner of area \(area) overwrites blocks that a header reaches")
                }
            }
        }
        let isCached = self.diskHasCache
        self.quorum.disks[key]?.write(bytes, at: offset, sectors: sectors, isCached: isCached)
        guard isHeader, let before = headers.max(by: { $0.sequence < $1.sequence }) else { return }
        let after = self.quorum.disks[key]?.headers(of: area).max { $0.sequence < $1.sequence }
        if after == nil || after?.sequence ?? 0 < before.sequence || after?.ballot ?? 0 < before.ballot {
            self.fail("quorum disk: area \(area) went back from \(before.sequence)")
        }
        if let checkpoint = after?.checkpoint, checkpoint != before.checkpoint,
            self.quorum.disks[key]?.holds(checkpoint, in: area) == false
        {
            self.fail("quorum disk: a header of area \(area) reaches a checkpoint that is not all there")
        }
    }

    // MARK: Faults

    mutating func cutDisk(from nodes: [Int]) {
        let end = self.time + 100_000 + self.random.below(self.diskFaults.maximumOutage)
        self.trace.note(self.time, "disk outage", UInt64(nodes.count), end)
        for i in nodes { self.quorum.sides[i].cutUntil = max(self.quorum.sides[i].cutUntil, end) }
    }

    /// What the node has under way with the disk ends there, done, half done or not; its session with it.
    private mutating func abort(_ i: Int, on disk: UInt64) {
        self.settleFlights(of: i, on: disk)
        self.quorum.disks[disk]?.sessions[i, default: 0] += 1
        guard let batch = self.quorum.sides[i].batch, !batch.isOver else { return }
        self.quorum.sides[i].batch?.isOver = true
        guard let life = self.processLife(i) else { return }
        // A process that dies closes its connections; a machine that loses its power says nothing.
        let wait: UInt64 = self.random.below(2) == 0 ? 1000 : 1_500_000
        self.schedule(.done(node: i, life: life, disk: disk, batch: batch.number, nil), at: self.time + wait)
    }

    /// The target of the disk lost its power, and what was in its cache.
    mutating func restartDiskTarget(_ disk: UInt64) {
        for i in self.quorum.sides.indices {
            self.abort(i, on: disk)
            self.quorum.sides[i].sessionIsOver = true
        }
        var random = self.random
        self.quorum.disks[disk]?.losePower(&random)
        self.random = random
    }

    /// All of it, or both headers of one area.
    mutating func wipeDisk(_ disk: UInt64, area: Int?) {
        self.trace.note(self.time, "disk wiped", disk)
        self.quorum.counts.wipes += 1
        self.quorum.disks[disk]?.wipe(area: area)
    }

    /// Either takes a copy or goes back to the last one. A disk that goes back where some node has no memory of it being
    /// further cannot be told from one that did not (docs/QUORUM.md): that is not asked for.
    ///
    /// - Parameter nodes: those that may use the disk.
    mutating func rollDiskBack(_ key: UInt64, _ nodes: [Int]) {
        guard let disk = self.quorum.disks[key], disk.isWhole else { return }
        let areas = 0..<disk.superblock.layout.areaCount
        let isNoticed = nodes.allSatisfy { i in
            guard let memory = self.quorum.sides[i].memories[key] else { return false }
            return areas.contains { memory.sequences[$0] > disk.copiedSequence(of: $0) }
        }
        guard isNoticed, self.random.below(2) == 0 else {
            self.quorum.disks[key]?.copy = disk.blocks
            return
        }
        self.trace.note(self.time, "disk went back", key)
        self.quorum.counts.rollbacks += 1
        self.quorum.disks[key]?.goBack()
    }
}
