import ClusterCore
import Raft

extension TakeoverSimulation {
    enum FaultKind: CaseIterable {
        case partition, muteLink, crash, crashOfAll, pause, targetRestart, cutPath, serverExit, bridgeExit, serverHang,
            bridgeHang, move, stop, nodePartition, diskOutage, diskWipe, diskRollback, diskChange,
            stateLoss, leave
    }

    private func rate(of kind: FaultKind) -> UInt64 {
        switch kind {
        case .partition: self.faults.partitionsPerMinute
        case .muteLink: self.faults.muteLinksPerMinute
        case .crash: self.faults.crashesPerMinute
        case .crashOfAll: self.faults.crashesOfAllPerMinute
        case .pause: self.faults.pausesPerMinute
        case .targetRestart: self.faults.targetRestartsPerMinute
        case .cutPath: self.faults.cutPathsPerMinute
        case .serverExit: self.faults.serverExitsPerMinute
        case .bridgeExit: self.faults.bridgeExitsPerMinute
        case .serverHang, .bridgeHang: self.faults.hangsPerMinute
        case .move: self.faults.movesPerMinute
        case .stop: self.faults.stopsPerMinute
        case .nodePartition: self.faults.disk.nodePartitionsPerMinute
        case .diskOutage: self.faults.disk.outagesPerMinute
        case .diskWipe: self.faults.disk.wipesPerMinute
        case .diskRollback: self.faults.disk.rollbacksPerMinute
        case .diskChange: self.faults.disk.changesPerMinute
        case .stateLoss: self.faults.stateLossesPerMinute
        case .leave: self.faults.leavesPerMinute
        }
    }

    mutating func scheduleFault(_ kind: FaultKind) {
        let rate = self.rate(of: kind)
        guard rate > 0 else { return }
        self.schedule(.fault(kind), after: 1000, 120_000_000 / rate)
    }

    mutating func inject(_ kind: FaultKind) {
        guard self.hasFaults else { return }
        defer { self.scheduleFault(kind) }
        let victim = self.anyNode()
        let dataNode = self.nodes[victim].role == .data ? victim : self.random.below(2)
        switch kind {
        case .partition:
            let alone = self.nodes[victim].id
            self.cut(self.links.separate([alone], from: self.nodes.map(\.id).filter { $0 != alone }))
        case .muteLink:
            let to = self.nodes[self.random.below(self.nodes.count)].id
            self.cut(self.links.mute(self.nodes[victim].id, toward: to))
        case .crash: self.crashForAWhile(victim, isAnnounced: self.random.below(2) == 0)
        case .crashOfAll: for i in self.nodes.indices { self.crashForAWhile(i, isAnnounced: false) }
        case .pause: self.pause(victim)
        case .targetRestart: self.targetDown()
        case .cutPath:
            self.trace.note(self.time, "path cut", self.nodes[dataNode].id)
            self.cutUntil[dataNode] = self.time + 200_000 + self.random.below(self.faults.maximumCut)
        case .serverExit: self.killServer(dataNode)
        case .bridgeExit: self.killBridge(dataNode)
        case .serverHang: self.hang(dataNode, .server)
        case .bridgeHang: self.hang(dataNode, .bridge)
        case .move:
            guard let leader = self.someLeader(), self.nodes[leader].pause == nil else { return }
            self.report(leader, .move(to: self.nodes[1 - min(leader, 1)].id))
        case .stop:
            guard self.nodes[victim].isUp, self.nodes[victim].pause == nil else { return }
            self.report(victim, .stop)
        case .nodePartition: self.cut(self.links.separate([self.nodes[0].id], from: self.nodes.map(\.id)))
        case .diskOutage: self.takeDiskAway(from: victim)
        case .diskWipe:
            guard self.mayDiskForget, let disk = self.someDisk() else { return }
            self.wipeDisk(disk, area: self.random.below(3) == 0 ? nil : self.random.below(2))
        case .diskRollback:
            guard self.mayDiskForget, let disk = self.someDisk() else { return }
            self.rollDiskBack(disk, Array(self.nodes.indices))
        case .diskChange: self.replaceQuorumDisk()
        case .stateLoss: self.loseState(victim)
        case .leave: self.letLeave(victim)
        }
    }

    /// One node's way to the disk, both, or the disk's own target, which loses its power.
    private mutating func takeDiskAway(from victim: Int) {
        switch self.random.below(3) {
        case 0: self.cutDisk(from: [victim])
        case 1: self.cutDisk(from: Array(self.nodes.indices))
        default:
            guard self.diskIsApart, let disk = self.someDisk() else { return }
            self.restartDiskTarget(disk)
            self.cutDisk(from: Array(self.nodes.indices))
        }
    }

    /// Something happens to a node in the middle of what it was just told to do.
    mutating func injectAtStep(_ i: Int) {
        guard self.hasFaults else { return }
        if self.random.chance(perMillion: self.faults.crashAtStepPerMillion) {
            // Not in the middle of a step: that is one event.
            self.schedule(.crashAtStep(self.life(i)), after: 0, 15_000)
        }
        if self.random.chance(perMillion: self.faults.pauseAtStepPerMillion) {
            self.schedule(.pauseAtStep(self.life(i)), after: 0, 15_000)
        }
        let hangs = self.faults.hangAtStepPerMillion
        if hangs > 0, self.random.chance(perMillion: hangs) {
            let child: Child = self.random.below(2) == 0 ? .bridge : .server
            self.schedule(.hangAtStep(self.life(i), child), after: 0, 15_000)
        }
    }

    /// Who leads is the more interesting victim.
    private mutating func anyNode() -> Int {
        if self.random.below(2) == 0, let leader = self.someLeader() { return leader }
        return self.random.below(self.nodes.count)
    }

    func someLeader() -> Int? {
        self.nodes.indices.filter { self.nodes[$0].raft?.isLeader == true }.max {
            (self.nodes[$0].raft?.term ?? 0) < (self.nodes[$1].raft?.term ?? 0)
        }
    }

    private mutating func cut(_ partition: UInt64) {
        self.trace.note(self.time, "partition", partition)
        self.schedule(.heal(partition: partition), after: 100_000, self.faults.maximumPartition)
    }

    mutating func crashForAWhile(_ i: Int, isAnnounced: Bool) {
        guard self.nodes[i].isUp else { return }
        self.crash(i, isAnnounced: isAnnounced)
        let longest = self.random.below(2) == 0 ? 200_000 : self.faults.maximumDowntime
        self.schedule(.restart(self.life(i)), after: 50_000, longest)
    }

    mutating func pause(_ i: Int) {
        guard self.nodes[i].isUp, self.nodes[i].pause == nil else { return }
        self.nodes[i].pause = self.random.below(2) == 0 ? .clusterd : .node
        // About half an election time-out, one, and three or ten.
        let longest = [800_000, 1_600_000, self.faults.maximumPause][self.random.below(3)]
        self.trace.note(self.time, "pause", self.nodes[i].id, 0, 0, "\(self.nodes[i].pause as Pause?)")
        self.schedule(.resume(self.life(i)), after: 10_000, longest)
    }
}
