import QuorumDisk
import Raft
import StateRecords

/// The quorum disk: each node's `DiskVoter`, the LUN's blocks, and what goes wrong between them.
extension Simulation {
    private static let layout = Layout(areaCount: 3, ringByteCount: 16 * 4096, checkpointByteCount: 2 * 4096)

    private var diskLimits: DiskVoterLimits {
        var limits = DiskVoterLimits()
        limits.heartbeatTicks = 80
        limits.electionTicks = self.limits.electionTicksMinimum
        limits.operationTicks = 500
        limits.retryTicks = 200
        limits.memoryTicks = 1000
        limits.checkpointTicks = 200
        return limits
    }

    /// A LUN laid out as a quorum disk, new to everybody.
    mutating func makeDisk() -> NodeID {
        let number = max(self.quorum.newest + 1, firstDiskID)
        self.quorum.newest = number
        let identity = DiskIdentity(cluster: GUID16(low: 1, high: 1), disk: GUID16(low: number, high: 2))
        self.quorum.disks[number] = SharedDisk(Superblock(identity: identity, layout: Self.layout))
        return number
    }

    // MARK: The nodes' sides

    /// Its configuration says which disk a node works with.
    mutating func reconcileDisk(_ i: Int) {
        guard let raft = self.nodes[i].raft else { return }
        let number = raft.configuration.disk
        guard number != self.nodes[i].voter?.number else { return }
        self.nodes[i].voter = nil
        guard let number, let disk = self.quorum.disks[number], i < Self.layout.areaCount else { return }
        self.nodes[i].diskLives += 1
        self.nodes[i].voter = DiskVoter(
            node: self.nodes[i].id, number: number, area: i, incarnation: self.nodes[i].diskLives,
            superblock: disk.superblock, memory: self.nodes[i].diskMemories[number], limits: self.diskLimits,
            now: self.tick(i), defects: self.options.diskDefects)
    }

    mutating func tellDisk(_ i: Int, _ message: Message) {
        self.trace.note(self.time, "to disk", message.from, message.to, message.term, "\(message.body)")
        self.queue.schedule(
            .toDisk(node: i, incarnation: self.nodes[i].incarnation, message),
            at: self.time + 10 + self.random.below(UInt64(50)))
    }

    mutating func stepDisk(_ i: Int, _ event: DiskEvent) {
        let now = self.tick(i)
        guard let effects = self.nodes[i].voter?.step(event, at: now), let voter = self.nodes[i].voter else {
            return
        }
        let number = voter.number
        if let status = effects.status {
            self.trace.note(self.time, "disk status", self.nodes[i].id, number, 0, "\(status)")
            if case .disabled = status {
                self.quorum.counts.disabled += 1
                self.noteFault(number, "\(status)")
            }
        }
        if let memory = effects.memory {
            self.queue.schedule(
                .diskMemory(node: i, incarnation: self.nodes[i].incarnation, disk: number, memory),
                at: self.time + 500 + self.random.below(UInt64(3000)))
        }
        if let batch = effects.batch { self.issue(batch, of: i, on: number) }
        for message in effects.messages {
            self.trace.note(self.time, "disk says", message.to, message.term, 0, "\(message.body)")
            if case .appendAccepted = message.body { self.quorum.counts.acknowledgements += 1 }
            if case .preVoteResponse(granted: false) = message.body { self.quorum.counts.refusedForHeartbeat += 1 }
            self.step(i, .receive(message))
        }
        for event in effects.events {
            self.trace.note(self.time, "disk event", self.nodes[i].id, 0, 0, "\(event)")
            if case .diskVoted(let vote) = event {
                self.quorum.counts.grants += 1
                if vote.log != nil { self.quorum.counts.grantsWithLog += 1 }
                if effects.state != nil { self.quorum.counts.grantsWithState += 1 }
                self.checker.diskVoted(vote, for: self.nodes[i].id)
            }
            if let state = effects.state { self.nodes[i].receivedStateHash = token(of: state) }
            self.step(i, event)
        }
        if effects.wantsCheckpoint { self.handInCheckpoint(i) }
    }

    /// A whole disk is never given up: the safeguards cry wolf.
    private mutating func noteFault(_ number: NodeID, _ text: String) {
        if self.quorum.disks[number]?.isWhole == true, self.options.diskDefects.isEmpty {
            self.checker.fail("quorum disk: a disk that lost nothing was given up: \(text)")
        }
    }

    mutating func handInCheckpoint(_ i: Int) {
        let contents = self.nodes[i].disk.contents
        guard let node = self.nodes[i].raft, node.isLeader, let snapshot = node.snapshot(at: contents.appliedIndex)
        else { return }
        self.quorum.counts.checkpoints += 1
        self.stepDisk(
            i,
            .checkpoint(
                snapshot, state: payload(token: contents.stateHash, padding: self.random.below(6000)),
                term: node.term))
    }

    // MARK: The way to the blocks

    private func reaches(_ i: Int) -> Bool { self.nodes[i].diskCutUntil <= self.time }

    private mutating func issue(_ batch: DiskBatch, of i: Int, on disk: NodeID) {
        let incarnation = self.nodes[i].incarnation
        func done(_ results: [[UInt8]]?) -> Happening {
            .diskDone(node: i, incarnation: incarnation, disk: disk, batch: batch.number, results)
        }
        guard self.reaches(i) else {
            return self.queue.schedule(done(nil), at: self.time + 1000 + self.random.below(UInt64(300_000)))
        }
        switch batch.work {
        case .barrier:
            self.queue.schedule(
                .diskBarrier(node: i, disk: disk, batch: batch.number, incarnation: incarnation),
                at: self.time + 300 + self.random.below(UInt64(3000)))
        case .requests(let requests):
            let fails = self.hasFaults && self.random.chance(perMillion: self.faults.diskFailurePerMillion)
            self.quorum.batches[i] = QuorumDisks.Batch(
                number: batch.number, results: [[UInt8]?](repeating: nil, count: requests.count),
                isOver: fails || requests.isEmpty)
            if fails || requests.isEmpty {
                self.queue.schedule(done(fails ? nil : []), at: self.time + 100 + self.random.below(UInt64(2000)))
            }
            for (position, request) in requests.enumerated() {
                var delay = 50 + self.random.below(UInt64(1000))
                if self.hasFaults, self.random.chance(perMillion: self.faults.diskDelayPerMillion) {
                    delay += self.random.below(self.faults.maximumDiskDelay)
                }
                let number = self.quorum.nextFlight
                self.quorum.nextFlight += 1
                self.quorum.flights[number] = QuorumDisks.Flight(
                    node: i, incarnation: incarnation, disk: disk, batch: batch.number,
                    session: self.quorum.disks[disk]?.sessions[i] ?? 0, request: request, position: position)
                self.queue.schedule(.diskRequest(number), at: self.time + delay)
            }
        }
    }

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
        guard self.nodes[flight.node].incarnation == flight.incarnation, self.nodes[flight.node].raft != nil,
            self.nodes[flight.node].voter?.number == flight.disk, var batch = self.quorum.batches[flight.node],
            batch.number == flight.batch, !batch.isOver, flight.position < batch.results.count
        else { return }
        batch.results[flight.position] = result
        let results = batch.results.compactMap { $0 }
        batch.isOver = results.count == batch.results.count
        self.quorum.batches[flight.node] = batch
        guard batch.isOver else { return }
        self.queue.schedule(
            .diskDone(
                node: flight.node, incarnation: flight.incarnation, disk: flight.disk, batch: flight.batch, results),
            at: self.time + 50 + self.random.below(UInt64(500)))
    }

    /// After it nothing that the node sent before reaches the disk any more.
    mutating func performBarrier(_ i: Int, on disk: NodeID, batch: UInt64, incarnation: UInt64) {
        guard self.reaches(i) else { return }
        self.quorum.counts.barriers += 1
        self.settleFlights(of: i, on: disk)
        self.quorum.disks[disk]?.sessions[i, default: 0] += 1
        self.queue.schedule(
            .diskDone(node: i, incarnation: incarnation, disk: disk, batch: batch, []),
            at: self.time + 50 + self.random.below(UInt64(500)))
    }

    /// A session ends: of what it had under way some is carried out, some in part, some not.
    private mutating func settleFlights(of i: Int, on disk: NodeID) {
        for number in self.quorum.flights.keys.sorted() {
            guard let flight = self.quorum.flights[number], flight.node == i, flight.disk == disk else { continue }
            self.quorum.flights[number] = nil
            guard case .write(let offset, let bytes) = flight.request else { continue }
            self.mayLand(bytes, at: offset, on: disk)
        }
    }

    /// A node dies: what it sent is on its way. Some of that arrives late, whatever becomes of the rest.
    mutating func tearDiskWrites(of i: Int) {
        self.quorum.batches[i] = nil
        for number in self.quorum.flights.keys.sorted() {
            guard let flight = self.quorum.flights[number], flight.node == i, self.random.below(2) == 0 else {
                continue
            }
            self.quorum.flights[number] = nil
            if case .write(let offset, let bytes) = flight.request { self.mayLand(bytes, at: offset, on: flight.disk) }
        }
    }

    private mutating func mayLand(_ bytes: [UInt8], at offset: Int, on disk: NodeID) {
        switch self.random.below(3) {
        case 0: self.land(bytes, at: offset, on: disk, sectors: nil)
        case 1 where self.faults.tearsDiskWrites:
            self.quorum.counts.tornWrites += 1
            let sectors = (0..<bytes.count / SharedDisk.sectorSize).filter { _ in self.random.below(2) == 0 }
            self.land(bytes, at: offset, on: disk, sectors: Set(sectors))
        default: break
        }
    }

    private mutating func land(_ bytes: [UInt8], at offset: Int, on number: NodeID, sectors: Set<Int>?) {
        guard let disk = self.quorum.disks[number] else { return }
        let layout = disk.superblock.layout
        let area = (offset - Layout.alignment) / layout.areaByteCount
        let isHeader = offset - layout.areaOffset(area) < Layout.slotsByteCount
        if !isHeader, disk.isWhole {
            let range = offset..<offset + bytes.count
            for header in disk.headers(of: area).compactMap({ $0 }) {
                if disk.reachable(from: header, in: area).contains(where: { $0.overlaps(range) }) {
                    self.checker.fail("quorum disk: node \(area + 1) overwrites blocks that a header reaches")
                }
            }
        }
        let before = disk.headers(of: area).compactMap { $0 }.max { $0.sequence < $1.sequence }
        self.quorum.disks[number]?.write(bytes, at: offset, sectors: sectors)
        guard isHeader, disk.isWhole, let before else { return }
        let after = self.quorum.disks[number]?.headers(of: area).compactMap { $0 }.max { $0.sequence < $1.sequence }
        if after == nil || after?.sequence ?? 0 < before.sequence || after?.ballot ?? 0 < before.ballot {
            self.checker.fail("quorum disk: the area of node \(area + 1) went back from \(before.sequence)")
        }
    }

    // MARK: Faults

    mutating func cutDisk(from nodes: [Int]) {
        let end = self.time + 100_000 + self.random.below(self.faults.maximumDiskOutage)
        self.trace.note(self.time, "disk outage", UInt64(nodes.count), end)
        for i in nodes { self.nodes[i].diskCutUntil = max(self.nodes[i].diskCutUntil, end) }
    }

    mutating func wipeDisk() {
        guard let number = self.someDisk() else { return }
        self.trace.note(self.time, "disk wiped", number)
        self.quorum.counts.wipes += 1
        let area = self.random.below(2) == 0 ? self.someLeader() : nil
        self.quorum.disks[number]?.wipe(area: area.flatMap { $0 < Self.layout.areaCount ? $0 : nil })
    }

    private func someDisk() -> NodeID? {
        self.someLeader().flatMap { self.nodes[$0].raft?.configuration.disk }
    }

    /// Either takes a copy or goes back to the last one. A disk that goes back where some node has no memory of it being
    /// further cannot be told from one that did not (docs/QUORUM.md): that is not asked for.
    mutating func rollDiskBack() {
        guard let number = self.someDisk(), let disk = self.quorum.disks[number], disk.isWhole else { return }
        let areas = 0..<disk.superblock.layout.areaCount
        func sequence(_ blocks: [Int: [UInt8]], _ area: Int) -> UInt64 {
            disk.headers(of: area, in: blocks).compactMap { $0?.sequence }.max() ?? 0
        }
        let isNoticed = self.nodes.prefix(areas.count).allSatisfy { node in
            guard let memory = node.diskMemories[number] else { return false }
            return areas.contains { memory.sequences[$0] > sequence(disk.copy, $0) }
        }
        guard isNoticed, self.random.below(2) == 0 else {
            self.quorum.disks[number]?.copy = disk.blocks
            return
        }
        self.trace.note(self.time, "disk went back", number)
        self.quorum.counts.rollbacks += 1
        self.quorum.disks[number]?.goBack()
    }

    /// The administrator's replacement, a step at a time.
    mutating func changeDisk() {
        guard let leader = self.someLeader(), let configuration = self.nodes[leader].raft?.configuration else { return }
        let change: ConfigurationChange
        if let disk = configuration.disk {
            if configuration.isLearner(disk) {
                change = self.random.below(8) == 0 ? .remove(disk) : .promote(disk)
            } else {
                guard configuration.voters.count(where: { !isDisk($0) }) > 1 else { return }
                change = .remove(disk)
            }
        } else {
            self.quorum.counts.replacements += 1
            change = .addLearner(self.makeDisk())
        }
        let token = self.newToken()
        self.nodes[leader].changeTokens.insert(token)
        self.trace.note(self.time, "disk change", self.nodes[leader].id, 0, token, "\(change)")
        self.step(leader, .changeConfiguration(token: token, change))
    }
}
