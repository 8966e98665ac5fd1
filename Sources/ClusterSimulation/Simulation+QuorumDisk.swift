import QuorumDisk
import Raft

/// Raft beside a quorum disk: what `QuorumDiskUser` asks for.
extension Simulation: QuorumDiskUser {
    static let diskLayout = Layout(areaCount: 3, ringByteCount: 16 * 4096, checkpointByteCount: 8 * 4096)

    var diskFaults: DiskFaults { self.faults.disk }
    var diskDefects: DiskDefects { self.options.diskDefects }

    var diskLimits: DiskVoterLimits {
        var limits = DiskVoterLimits()
        limits.heartbeatTicks = 80
        limits.electionTicks = self.limits.electionTicksMinimum
        limits.operationTicks = 500
        limits.retryTicks = 200
        limits.memoryTicks = 1000
        limits.checkpointTicks = 200
        limits.checkpointStepByteCount = self.states.sizes.stepByteCount
        return limits
    }

    var diskHasCache: Bool { false }
    var barrierEndsAll: Bool { false }

    func processLife(_ i: Int) -> UInt64? { self.nodes[i].raft == nil ? nil : self.nodes[i].incarnation }
    func nodeID(_ i: Int) -> NodeID { self.nodes[i].id }
    func reachesDiskTarget(_ i: Int) -> Bool { true }
    mutating func schedule(_ happening: DiskHappening, at time: UInt64) {
        self.queue.schedule(.disk(happening), at: time)
    }
    mutating func fail(_ violation: String) { self.checker.fail(violation) }
    mutating func diskVoted(_ i: Int, _ vote: DiskVote) { self.checker.diskVoted(vote, for: self.nodes[i].id) }

    mutating func take(_ i: Int, _ event: Event, state: [UInt8]?) {
        if let state {
            guard isStatePayload(state) else { return self.fail("quorum disk: a checkpoint is not what was written") }
            self.nodes[i].receivedStateHash = token(of: state)
        }
        self.step(i, event)
    }

    mutating func handInCheckpoint(_ i: Int) {
        let contents = self.nodes[i].disk.contents
        guard let node = self.nodes[i].raft, node.isLeader, let snapshot = node.snapshot(at: contents.appliedIndex)
        else { return }
        self.quorum.counts.checkpoints += 1
        // Within an extent in either case.
        let padding = self.random.below(6000) * (self.states.sizes.isWhole ? 1 : 4)
        let state = statePayload(token: contents.stateHash, byteCount: tokenByteCount + padding)
        self.stepVoter(i, .checkpoint(snapshot, state: state, term: node.term))
    }

    // MARK: The nodes

    /// Returns its number.
    mutating func makeDisk() -> NodeID {
        let number = max(self.quorum.newest + 1, firstDiskID)
        self.quorum.newest = number
        _ = self.makeDisk(number: number, Self.diskLayout)
        return number
    }

    /// Its configuration says which disk a node works with.
    mutating func reconcileDisk(_ i: Int) {
        guard let raft = self.nodes[i].raft else { return }
        let number = raft.configuration.disk
        guard number != self.quorum.sides[i].voter?.number else { return }
        self.leaveDisk(i)
        guard let number, let disk = self.quorum.disks[number], i < Self.diskLayout.areaCount else { return }
        self.useDisk(i, as: number, disk.superblock, area: i)
    }

    mutating func tellDisk(_ i: Int, _ message: Message) {
        self.trace.note(self.time, "to disk", message.from, message.to, message.term, "\(message.body)")
        self.queue.schedule(
            .toDisk(node: i, incarnation: self.nodes[i].incarnation, message),
            at: self.time + 10 + self.random.below(UInt64(50)))
    }

    mutating func happen(_ happening: DiskHappening) {
        switch happening {
        case .request(let number): self.performDiskRequest(number)
        case .barrier(let i, let life, let disk, let batch): self.performBarrier(i, life: life, on: disk, batch: batch)
        case .flush(let i, let life, let disk, let batch): self.flushDisk(i, life: life, on: disk, batch: batch)
        case .done(let i, let life, let disk, let batch, let results):
            guard self.isAlive(i, life, .disk(happening)), self.quorum.sides[i].voter?.identity.key == disk else {
                return
            }
            self.stepVoter(i, results.map { DiskEvent.completed(batch: batch, $0) } ?? .failed(batch: batch))
        case .memory(let i, let life, let disk, let memory):
            if self.nodes[i].incarnation == life { self.quorum.sides[i].memories[disk] = memory }
        }
    }

    // MARK: Faults

    func someDisk() -> NodeID? {
        self.someLeader().flatMap { self.nodes[$0].raft?.configuration.disk }
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
