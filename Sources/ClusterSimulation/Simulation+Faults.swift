import Raft

/// Clients and everything that goes wrong.
extension Simulation {
    private func rate(of kind: FaultKind) -> UInt64 {
        switch kind {
        case .symmetricPartition: self.faults.symmetricPartitionsPerMinute
        case .asymmetricPartition: self.faults.asymmetricPartitionsPerMinute
        case .crash: self.faults.crashesPerMinute
        case .crashOfAll: self.faults.crashesOfAllPerMinute
        case .pause: self.faults.pausesPerMinute
        case .membershipChange: self.faults.membershipChangesPerMinute
        case .transfer: self.faults.transfersPerMinute
        case .forgottenLeader: self.faults.forgottenLeadersPerMinute
        case .campaign: self.faults.campaignsPerMinute
        case .nodePartition: self.faults.disk.nodePartitionsPerMinute
        case .diskOutage: self.faults.disk.outagesPerMinute
        case .diskWipe: self.faults.disk.wipesPerMinute
        case .diskRollback: self.faults.disk.rollbacksPerMinute
        case .diskChange: self.faults.disk.changesPerMinute
        }
    }

    mutating func scheduleFault(_ kind: FaultKind) {
        let rate = self.rate(of: kind)
        guard rate > 0 else { return }
        let mean = 60_000_000 / rate
        self.queue.schedule(.fault(kind), at: self.time + 1000 + self.random.below(2 * mean))
    }

    mutating func inject(_ kind: FaultKind) {
        guard self.hasFaults else { return }
        defer { self.scheduleFault(kind) }
        let victim = self.anyNode()
        switch kind {
        case .symmetricPartition:
            let ids = self.nodes.map(\.id)
            let side = ids.filter { _ in self.random.below(2) == 0 }
            self.cut(self.network.separate(side, from: ids.filter { !side.contains($0) }), "\(side)")
        case .asymmetricPartition:
            let from = self.nodes[victim].id
            let to = self.nodes[self.random.below(self.nodes.count)].id
            self.cut(self.network.mute(from, toward: to), "\(from) -> \(to)")
        case .crash:
            self.crashForAWhile(victim, isAnnounced: self.random.below(2) == 0)
        case .crashOfAll:
            for i in self.nodes.indices { self.crashForAWhile(i, isAnnounced: false) }
        case .pause: self.pause(victim)
        case .membershipChange: self.changeMembership()
        case .transfer:
            guard let leader = self.someLeader(), let voters = self.nodes[leader].raft?.configuration.voters else {
                return
            }
            let target = voters[self.random.below(voters.count)]
            self.trace.note(self.time, "transfer", self.nodes[leader].id, target)
            self.step(leader, .transferLeadership(to: target))
        case .forgottenLeader:
            // It voids the promise behind the lease, so it is done only where that leader is gone.
            guard !self.nodes[victim].isPaused, let leader = self.nodes[victim].raft?.leader,
                self.nodes[Int(leader) - 1].raft == nil
            else { return }
            self.step(victim, .forgetLeader)
        case .campaign:
            if !self.nodes[victim].isPaused { self.step(victim, .campaign) }
        case .nodePartition:
            let ids = self.nodes.map(\.id)
            self.cut(self.network.separate([ids[0]], from: ids), "between the nodes")
        case .diskOutage: self.cutDisk(from: self.random.below(2) == 0 ? [victim] : Array(self.nodes.indices))
        case .diskWipe:
            guard let disk = self.someDisk() else { return }
            let area = self.random.below(2) == 0 ? self.someLeader() : nil
            self.wipeDisk(disk, area: area.flatMap { $0 < Self.diskLayout.areaCount ? $0 : nil })
        case .diskRollback:
            guard let disk = self.someDisk() else { return }
            self.rollDiskBack(disk, Array(self.nodes.indices.prefix(Self.diskLayout.areaCount)))
        case .diskChange: self.changeDisk()
        }
    }

    /// Leaders are the more interesting victims.
    private mutating func anyNode() -> Int {
        if self.random.below(2) == 0, let leader = self.someLeader() { return leader }
        return self.random.below(self.nodes.count)
    }

    func someLeader() -> Int? {
        let leaders = self.nodes.indices.filter { self.nodes[$0].raft?.isLeader == true && !self.nodes[$0].isPaused }
        return leaders.max { (self.nodes[$0].raft?.term ?? 0) < (self.nodes[$1].raft?.term ?? 0) }
    }

    private mutating func cut(_ partition: UInt64, _ text: @autoclosure () -> String) {
        self.trace.note(self.time, "partition", partition, 0, 0, text())
        self.queue.schedule(
            .heal(partition: partition), at: self.time + 100_000 + self.random.below(self.faults.maximumPartition))
    }

    private mutating func crashForAWhile(_ i: Int, isAnnounced: Bool) {
        guard self.nodes[i].raft != nil else { return }
        self.crash(i, isAnnounced: isAnnounced)
        // Some come back at once, while what they promised still counts.
        let longest = self.random.below(2) == 0 ? 100_000 : self.faults.maximumDowntime
        self.queue.schedule(
            .restart(node: i, incarnation: self.nodes[i].incarnation),
            at: self.time + 10_000 + self.random.below(longest))
    }

    private mutating func pause(_ i: Int) {
        guard self.nodes[i].raft != nil, !self.nodes[i].isPaused else { return }
        self.trace.note(self.time, "pause", self.nodes[i].id)
        self.nodes[i].isPaused = true
        self.queue.schedule(
            .resume(node: i, incarnation: self.nodes[i].incarnation),
            at: self.time + 10_000 + self.random.below(self.faults.maximumPause))
    }

    private mutating func changeMembership() {
        guard let leader = self.someLeader(), let configuration = self.nodes[leader].raft?.configuration else { return }
        let node = NodeID(1 + self.random.below(self.nodes.count))
        let change: ConfigurationChange
        if configuration.isLearner(node) {
            change = self.random.below(4) == 0 ? .remove(node) : .promote(node)
        } else if configuration.isVoter(node) {
            guard configuration.voters.count(where: { !isDisk($0) }) > 2 else { return }
            change = self.random.below(2) == 0 ? .remove(node) : .demote(node)
        } else {
            change = .addLearner(node)
        }
        let token = self.newToken()
        self.nodes[leader].changeTokens.insert(token)
        self.trace.note(self.time, "change", self.nodes[leader].id, node, token, "\(change)")
        self.step(leader, .changeConfiguration(token: token, change))
    }

    mutating func newToken() -> UInt64 {
        self.nextToken += 1
        return self.nextToken - 1
    }

    // MARK: Clients

    mutating func client() {
        let mean = 1_000_000 / self.options.proposalsPerSecond
        self.queue.schedule(.client, at: self.time + 1 + self.random.below(2 * mean))
        let isLost = self.random.below(20) == 0
        let target = isLost ? self.random.below(self.nodes.count) : self.someLeader()
        guard let target, !self.nodes[target].isPaused, self.nodes[target].raft != nil else { return }
        let token = self.newToken()
        if self.random.below(8) == 0 {
            self.checker.readStarted(token, at: self.time)
            guard self.options.defects.contains(.readWithoutQuorum), let known = self.nodes[target].raft?.commitIndex
            else { return self.step(target, .readIndex(token: token)) }
            // Nor whether it leads at all.
            self.checker.resolved(ReadResult(token: token, outcome: .ready(known)), at: self.time)
        } else {
            // Bursts reach the limits of windows and batches.
            let count = self.random.below(30) == 0 ? 20 : 1
            self.checker.proposed(token, at: self.time)
            self.step(target, .propose(token: token, payload: payload(token: token, padding: self.random.below(200))))
            for _ in 1..<max(count, 2) where count > 1 {
                let token = self.newToken()
                self.checker.proposed(token, at: self.time)
                self.step(target, .propose(token: token, payload: payload(token: token, padding: 0)))
            }
        }
    }
}
