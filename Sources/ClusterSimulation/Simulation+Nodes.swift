import QuorumDisk
import Raft

/// The shell of the simulated nodes: what clusterd does in earnest.
extension Simulation {
    /// The shell's timer.
    static let tickInterval: UInt64 = 20_000

    mutating func happen(_ happening: Happening) {
        switch happening {
        case .tick(let i, let incarnation):
            guard self.isAlive(i, incarnation, happening) else { return }
            self.step(i, .tick(random: self.random.next()))
            self.stepVoter(i, .tick)
            self.sendStates(i)
            self.resendStates(i)
            self.queue.schedule(happening, at: self.time + Self.tickInterval + self.random.below(UInt64(2000)))
        case .deliver(let envelope): self.deliver(envelope)
        case .synced(let i, let incarnation, let isFailure):
            guard self.isAlive(i, incarnation, happening) else { return }
            self.synced(i, isFailure: isFailure)
        case .peerLost(let i, let incarnation, let peer):
            guard self.isAlive(i, incarnation, happening) else { return }
            self.step(i, .peerLost(peer))
        case .snapshotFailed(let i, let incarnation, let peer):
            guard self.isAlive(i, incarnation, happening) else { return }
            self.step(i, .snapshotFailed(peer))
        case .restart(let i, let incarnation):
            if self.nodes[i].incarnation == incarnation, self.nodes[i].raft == nil { self.restart(i) }
        case .resume(let i, let incarnation):
            if self.nodes[i].incarnation == incarnation, self.nodes[i].isPaused { self.resume(i) }
        case .heal(let partition): self.network.heal(partition)
        case .client: self.client()
        case .fault(let kind): self.inject(kind)
        case .toDisk(let i, let incarnation, let message):
            guard self.isAlive(i, incarnation, happening) else { return }
            if let commitIndex = self.nodes[i].raft?.commitIndex, self.quorum.sides[i].voter?.number == message.to {
                self.stepVoter(i, .receive(message, commitIndex: commitIndex))
            }
        case .disk(let happening): self.happen(happening)
        case .state(let state):
            guard self.isAlive(state.machine, self.nodes[state.machine].incarnation, happening) else { return }
            self.happen(state)
        }
    }

    /// False where the process is gone; where it is paused, what happened waits for it.
    mutating func isAlive(_ i: Int, _ incarnation: UInt64, _ happening: Happening) -> Bool {
        guard self.nodes[i].incarnation == incarnation, self.nodes[i].raft != nil else { return false }
        guard self.nodes[i].isPaused else { return true }
        self.nodes[i].deferred.append(happening)
        return false
    }

    // MARK: Life

    mutating func start(_ i: Int) {
        let contents = self.nodes[i].disk.contents
        self.nodes[i].incarnation += 1
        var node = RaftNode(
            id: self.nodes[i].id, hardState: contents.hardState, snapshot: contents.base, entries: contents.entries,
            appliedIndex: contents.appliedIndex, limits: self.limits, now: self.tick(i),
            defects: self.options.defects)
        if self.options.hasLatePeer { node.latePeers = [NodeID(self.options.nodes)] }
        self.nodes[i].knownCommit = node.commitIndex
        self.nodes[i].raft = node
        self.nodes[i].changeTokens = []
        self.leaveDisk(i)
        self.states.forget(i)
        self.checker.restarted(self.nodes[i].id, hardState: contents.hardState)
        self.trace.note(
            self.time, "start", self.nodes[i].id, contents.hardState.term, node.lastIndex,
            "applied \(contents.appliedIndex)")
        self.queue.schedule(
            .tick(node: i, incarnation: self.nodes[i].incarnation),
            at: self.time + self.random.below(Self.tickInterval))
    }

    mutating func crash(_ i: Int, isAnnounced: Bool) {
        guard self.nodes[i].raft != nil else { return }
        self.trace.note(self.time, "crash", self.nodes[i].id)
        self.nodes[i].raft = nil
        self.nodes[i].lease = nil
        self.nodes[i].isPaused = false
        self.nodes[i].deferred = []
        self.leaveDisk(i)
        self.states.forget(i)
        self.nodes[i].disk.lose(
            &self.random, tornTail: self.faults.tearsTails,
            loosesAppliedState: self.options.appliesOutsideTransaction)
        if self.options.quorumDisk { self.tearDiskWrites(of: i) }
        guard isAnnounced else { return }
        // The kernel resets the dead process's connections.
        let gone = self.nodes[i].id
        for j in self.nodes.indices where j != i && self.nodes[j].raft != nil {
            if self.network.isBlocked(from: gone, to: self.nodes[j].id) { continue }
            self.queue.schedule(
                .peerLost(node: j, incarnation: self.nodes[j].incarnation, peer: gone),
                at: self.time + 200 + self.random.below(UInt64(3000)))
        }
    }

    mutating func restart(_ i: Int) {
        if self.nodes[i].raft != nil { self.crash(i, isAnnounced: false) }
        self.start(i)
    }

    mutating func resume(_ i: Int) {
        self.trace.note(self.time, "resume", self.nodes[i].id)
        self.nodes[i].isPaused = false
        let deferred = self.nodes[i].deferred
        self.nodes[i].deferred = []
        for happening in deferred { self.happen(happening) }
    }

    // MARK: Steps

    mutating func step(_ i: Int, _ event: Event) {
        let now = self.tick(i)
        guard let effects = self.nodes[i].raft?.step(event, at: now), let node = self.nodes[i].raft else { return }
        self.nodes[i].lease = Lease(node)
        if node.commitIndex > self.nodes[i].knownCommit {
            self.trace.note(self.time, "commit", node.id, node.commitIndex, node.term)
            self.checker.committed(node, from: self.nodes[i].knownCommit)
            self.nodes[i].knownCommit = node.commitIndex
        }
        if let leadership = effects.leadership {
            self.trace.note(
                self.time, "role", node.id, leadership.term, leadership.leader ?? 0, "\(leadership.role)")
            if leadership.role == .leader { self.checker.becameLeader(node) }
        }
        if let reason = effects.stopped { self.stopped(i, reason) }
        self.store(i, effects, node)
        for message in effects.messages {
            self.checker.sent(message, by: node, disk: self.nodes[i].disk.contents)
            if isDisk(message.to) {
                self.tellDisk(i, message)
                continue
            }
            self.transmit(Envelope(message: message, incarnation: self.nodes[Int(message.to) - 1].incarnation))
        }
        for result in effects.proposals {
            let isChange = self.nodes[i].changeTokens.remove(result.token) != nil
            self.checker.resolved(result, isChange: isChange, at: self.time)
        }
        for result in effects.reads { self.checker.resolved(result, at: self.time) }
        for peer in effects.snapshotsToSend { self.sendSnapshot(i, to: peer) }
        if self.options.quorumDisk { self.reconcileDisk(i) }
        self.checkLeases()
    }

    private mutating func stopped(_ i: Int, _ reason: StopReason) {
        self.trace.note(self.time, "stopped", self.nodes[i].id, 0, 0, "\(reason)")
        guard reason == .storageFailed else {
            return self.checker.fail("node \(self.nodes[i].id) stopped: \(reason)")
        }
        // Someone notices and starts the node again, on what the disk then holds.
        self.crash(i, isAnnounced: true)
        self.queue.schedule(
            .restart(node: i, incarnation: self.nodes[i].incarnation),
            at: self.time + 1_000_000 + self.random.below(self.faults.maximumDowntime))
    }

    // MARK: Disk

    private mutating func store(_ i: Int, _ effects: Effects, _ node: RaftNode) {
        guard self.nodes[i].raft != nil else { return }
        if let write = effects.write {
            self.checker.wrote(write, by: node)
            if write.snapshot != nil { self.snapshotInstalls += 1 }
            self.nodes[i].disk.enqueue(.write(write, stateHash: self.nodes[i].receivedStateHash))
        }
        if !effects.committed.isEmpty { self.nodes[i].disk.enqueue(.apply(effects.committed)) }
        self.startSync(i)
    }

    private mutating func startSync(_ i: Int) {
        guard self.nodes[i].disk.startSync() else { return }
        var duration = 100 + self.random.below(UInt64(3000))
        var isFailure = false
        if self.hasFaults {
            if self.random.chance(perMillion: self.faults.slowSyncPerMillion) {
                duration += self.random.below(self.faults.maximumSlowSync)
            }
            isFailure = self.random.chance(perMillion: self.faults.failedSyncPerMillion)
        }
        self.queue.schedule(
            .synced(node: i, incarnation: self.nodes[i].incarnation, isFailure: isFailure), at: self.time + duration)
    }

    private mutating func synced(_ i: Int, isFailure: Bool) {
        if isFailure {
            self.trace.note(self.time, "fsync failed", self.nodes[i].id)
            return self.step(i, .storageFailed)
        }
        let (sequence, applied) = self.nodes[i].disk.finishSync()
        if let applied {
            let contents = self.nodes[i].disk.contents
            self.checker.applied(contents.appliedIndex, stateHash: contents.stateHash, by: self.nodes[i].id)
            self.step(i, .applied(applied))
        }
        if let sequence { self.step(i, .persisted(sequence: sequence)) }
        if let node = self.nodes[i].raft { self.checker.synced(node, disk: self.nodes[i].disk.contents) }
        self.compact(i)
        self.startSync(i)
    }

    private mutating func compact(_ i: Int) {
        guard let lag = self.faults.compactionLag, let node = self.nodes[i].raft,
            node.appliedIndex > node.base.index + lag + 10
        else { return }
        let through = min(node.appliedIndex - lag, self.states.heldIndex(i, base: node.base.index) ?? .max)
        if through > node.base.index { self.step(i, .compact(through: through)) }
    }

    // MARK: Network

    private mutating func transmit(_ envelope: Envelope) {
        let message = envelope.message
        self.trace.note(self.time, "send", message.from, message.to, message.term, "\(message.body)")
        if self.network.isBlocked(from: message.from, to: message.to) { return }
        if self.hasFaults, self.random.chance(perMillion: self.faults.lossPerMillion) { return }
        let isDoubled = self.hasFaults && self.random.chance(perMillion: self.faults.duplicationPerMillion)
        for _ in 0..<(isDoubled ? 2 : 1) {
            var delay = 100 + self.random.below(UInt64(900))
            if self.hasFaults, self.random.chance(perMillion: self.faults.delayPerMillion) {
                delay += self.random.below(self.faults.longDelay)
            }
            self.queue.schedule(.deliver(envelope), at: self.time + delay)
        }
    }

    private mutating func deliver(_ envelope: Envelope) {
        let i = Int(envelope.message.to) - 1
        guard self.isAlive(i, envelope.incarnation, .deliver(envelope)) else { return }
        if self.network.isBlocked(from: envelope.message.from, to: envelope.message.to) { return }
        self.nodes[i].receivedStateHash = envelope.stateHash
        self.step(i, .receive(envelope.message))
    }

    private mutating func sendSnapshot(_ i: Int, to peer: NodeID) {
        let contents = self.nodes[i].disk.contents
        let fails = self.hasFaults && self.random.chance(perMillion: self.faults.snapshotFailurePerMillion)
        guard !fails, let node = self.nodes[i].raft, let snapshot = node.snapshot(at: contents.appliedIndex) else {
            return self.queue.schedule(
                .snapshotFailed(node: i, incarnation: self.nodes[i].incarnation, peer: peer),
                at: self.time + 1000 + self.random.below(UInt64(100_000)))
        }
        if !self.states.sizes.isWhole, !isDisk(peer) {
            let state = statePayload(token: contents.stateHash, byteCount: self.states.drawByteCount())
            return self.transfer(snapshot, state, from: i, to: peer)
        }
        // Whether it arrived is known from the peer's answer; a shell that hears nothing gives up in the end.
        self.queue.schedule(
            .snapshotFailed(node: i, incarnation: self.nodes[i].incarnation, peer: peer), at: self.time + 1_500_000)
        if isDisk(peer) { return self.handInCheckpoint(i) }
        let envelope = Envelope(
            message: node.snapshotMessage(snapshot, to: peer),
            incarnation: self.nodes[Int(peer) - 1].incarnation, stateHash: contents.stateHash)
        self.transmit(envelope)
    }
}
