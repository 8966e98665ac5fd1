import ClusterCore
import QuorumDisk
import Raft
import StateRecords

/// The takeover beside a quorum disk in the witness's place: what `QuorumDiskUser` asks for, and clusterd's loop around the
/// voter, as `Member+QuorumDisk` has it.
extension TakeoverSimulation: QuorumDiskUser {
    /// Small, so that rings fill and checkpoints are written in a short run. Four areas, as `Layout.standard` has.
    static let diskLayout = Layout(areaCount: 4, ringByteCount: 16 * 4096, checkpointByteCount: 64 * 4096)
    /// After so many applied entries the log is cut, and so many stay for a node that was away for a moment.
    static let compaction: (entries: LogIndex, kept: LogIndex) = (200, 40)

    var diskFaults: DiskFaults { self.faults.disk }
    var diskDefects: DiskDefects { self.options.diskDefects }

    var diskLimits: DiskVoterLimits {
        var limits = DiskVoterLimits()
        limits.electionTicks = UInt64(self.settings.electionMinimumMilliseconds)
        limits.heartbeatTicks = min(limits.heartbeatTicks, UInt64(self.settings.leaseMilliseconds) / 3)
        limits.checkpointStepByteCount = self.states.sizes.stepByteCount
        return limits
    }

    var diskHasCache: Bool { true }
    var barrierEndsAll: Bool { true }

    func processLife(_ i: Int) -> UInt64? { self.nodes[i].isUp ? self.nodes[i].incarnation : nil }
    func nodeID(_ i: Int) -> NodeID { self.nodes[i].id }

    /// The disk is on the target with the files, or on one of its own that only `DiskSide.cutUntil` takes away.
    func reachesDiskTarget(_ i: Int) -> Bool {
        self.diskIsApart || self.target.isUp && self.cutUntil[i] <= self.time
    }

    mutating func schedule(_ happening: DiskHappening, at time: UInt64) {
        self.queue.schedule(.disk(happening), at: time)
    }

    mutating func fail(_ violation: String) { self.checker.fail(violation) }
    mutating func diskVoted(_ i: Int, _ vote: DiskVote) {}

    mutating func take(_ i: Int, _ event: Event, state: [UInt8]?) {
        guard let state else { return self.step(i, event) }
        guard let state = try? ClusterState(decoding: state) else {
            return self.fail("quorum disk: a checkpoint cannot be read")
        }
        self.nodes[i].incoming = state
        self.step(i, event)
        self.nodes[i].incoming = nil
    }

    mutating func handInCheckpoint(_ i: Int) {
        guard let state = self.nodes[i].state, let raft = self.nodes[i].raft,
            let snapshot = raft.snapshot(at: state.appliedIndex)
        else { return }
        self.quorum.counts.checkpoints += 1
        self.nodes[i].diskEvents.append(.checkpoint(snapshot, state: state.encoded, term: raft.term))
    }

    // MARK: clusterd's loop

    func makeQuorumDiskRecord(_ disk: SharedDisk) -> QuorumDiskRecord {
        let superblock = disk.superblock
        return QuorumDiskRecord(
            lun: "", disk: superblock.identity.disk, areaCount: UInt32(superblock.layout.areaCount),
            ringByteCount: UInt64(superblock.layout.ringByteCount),
            checkpointByteCount: UInt64(superblock.layout.checkpointByteCount))
    }

    /// The disk in Raft's configuration is the one that this node works with, once it knows where that is.
    mutating func reconcileQuorumDisk(_ i: Int) {
        guard let raft = self.nodes[i].raft else { return }
        let number = raft.configuration.disk
        guard number != self.quorum.sides[i].voter?.number else { return }
        self.leaveDisk(i)
        self.nodes[i].diskEvents = []
        guard let number, let record = self.nodes[i].state?.configuration.quorumDisks.record(number),
            let area = record.area(of: self.nodes[i].id), let disk = self.quorum.disks[record.disk.low],
            area < disk.superblock.layout.areaCount
        else { return }
        self.useDisk(i, as: number, disk.superblock, area: area)
        self.stepDisk(i, .tick)
    }

    mutating func stepDisk(_ i: Int, _ event: DiskEvent) {
        guard self.quorum.sides[i].voter != nil else { return }
        self.nodes[i].diskEvents.append(event)
        self.drainDisk(i)
    }

    /// Of the core and the disk's voter, without any time passing: beyond it there is no end.
    private static let turnsAtOnce = 10_000

    /// Not within a step of the Raft core, and not within itself: what either says to the other waits its turn.
    mutating func drainDisk(_ i: Int) {
        guard !self.nodes[i].isStepping, !self.nodes[i].isSteppingDisk else { return }
        self.nodes[i].isSteppingDisk = true
        var turns = 0
        while self.nodes[i].isUp, !self.nodes[i].diskEvents.isEmpty {
            turns += 1
            guard turns <= Self.turnsAtOnce else {
                self.fail("livelock: node \(self.nodeID(i)) and its quorum disk answer each other for ever")
                break
            }
            let event = self.nodes[i].diskEvents.removeFirst()
            self.stepVoter(i, event)
        }
        self.nodes[i].isSteppingDisk = false
    }

    mutating func happen(_ happening: DiskHappening) {
        switch happening {
        case .request(let number): self.performDiskRequest(number)
        case .barrier(let i, let life, let disk, let batch): self.performBarrier(i, life: life, on: disk, batch: batch)
        case .flush(let i, let life, let disk, let batch): self.flushDisk(i, life: life, on: disk, batch: batch)
        case .done(let i, let life, let disk, let batch, let results):
            guard self.isRunning(Life(node: i, incarnation: life), .disk(happening)) else { return }
            self.wake(i)
            guard self.quorum.sides[i].voter?.identity.key == disk else { return }
            self.stepDisk(i, results.map { DiskEvent.completed(batch: batch, $0) } ?? .failed(batch: batch))
            self.settle(i)
        case .memory(let i, let life, let disk, let memory):
            if self.processLife(i) == life { self.quorum.sides[i].memories[disk] = memory }
        }
    }

    // MARK: Faults

    /// The disk that the leader's configuration names.
    func someDisk() -> UInt64? {
        guard let leader = self.someLeader(), let number = self.nodes[leader].raft?.configuration.disk else {
            return nil
        }
        return self.nodes[leader].state?.configuration.quorumDisks.record(number)?.disk.low
    }

    /// `clusterctl quorum replace`, or `remove`.
    mutating func replaceQuorumDisk() {
        guard self.mayDiskForget, let leader = self.someLeader(), self.nodes[leader].pause == nil else { return }
        self.nextLoss = max(self.nextLoss, self.time + Self.lossInterval)
        self.trace.note(self.time, "disk change", self.nodes[leader].id)
        self.quorum.newest += 1
        let disk = self.makeDisk(number: self.quorum.newest, Self.diskLayout)
        self.quorum.counts.replacements += 1
        self.propose(leader, .setQuorumDisk(self.makeQuorumDiskRecord(disk)))
    }
}
