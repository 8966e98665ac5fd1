import ClusterCore
import QuorumDisk
import Raft
import StateRecords

/// clusterd's loop: the shell of Raft and of the takeover, as `Member` has it.
extension TakeoverSimulation {
    static let maintenanceInterval: UInt64 = 200
    /// Milliseconds for which what a node said of its path to the LUN counts.
    static let reachTime: UInt64 = 5000
    static let snapshotTime: UInt64 = 5000

    // MARK: Life

    mutating func start(_ i: Int) {
        let contents = self.nodes[i].disk.contents
        self.nodes[i].incarnation += 1
        self.nodes[i].isUp = true
        self.nodes[i].pause = nil
        self.nodes[i].deferred = []
        self.nodes[i].hungBridge = nil
        self.nodes[i].hungServer = nil
        self.nodes[i].raft =
            self.nodes[i].absence != nil
            ? nil
            : RaftNode(
                id: self.nodes[i].id, hardState: contents.hardState, snapshot: contents.base, entries: contents.entries,
                appliedIndex: contents.state?.appliedIndex ?? 0,
                limits: self.settings.raftLimits(for: self.nodes[i].role),
                now: self.tick(i), defects: self.options.raftDefects)
        self.nodes[i].state = self.nodes[i].absence == nil ? contents.state : nil
        self.nodes[i].incoming = nil
        self.nodes[i].takeover = Takeover(
            node: self.nodes[i].id, role: self.nodes[i].role, limits: self.takeoverLimits)
        self.nodes[i].raftEvents = []
        self.nodes[i].isStepping = false
        self.nodes[i].diskEvents = []
        self.nodes[i].isSteppingDisk = false
        self.nodes[i].isChangingMembership = false
        self.nodes[i].leaving = []
        self.nodes[i].welcomed = []
        self.nodes[i].snapshotsSent = [:]
        self.leaveDisk(i)
        self.states.forget(i)
        self.nodes[i].takeoverEvents = []
        self.nodes[i].isTakingOver = false
        self.nodes[i].lease = false
        self.nodes[i].heirs = []
        self.nodes[i].reaching = []
        self.nodes[i].establishedTerm = 0
        self.nodes[i].pending = [:]
        self.nodes[i].reads = [:]
        self.nodes[i].journals = (0, 0)
        self.nodes[i].waitingServe = nil
        self.nodes[i].refusedGeneration = 0
        self.nodes[i].suspects = [:]
        self.nodes[i].reach = [:]
        self.nodes[i].server = SimulatedServer()
        self.nodes[i].storage = SimulatedStorage()
        self.nodes[i].network = SimulatedAddress()
        self.nodes[i].bridge = nil
        self.nodes[i].requests = []
        self.nodes[i].cache = SimulatedPageCache()
        self.nodes[i].movesUnanswered = 0
        self.trace.note(self.time, "start", self.nodes[i].id, contents.hardState.term)
        self.schedule(.tick(self.life(i)), after: 0, Self.tickInterval)
        guard self.nodes[i].absence == nil else { return self.schedule(.ask(self.life(i)), after: 1000, 200_000) }
        guard self.nodes[i].role == .data else { return }
        self.startServer(i)
        self.schedule(.probe(self.life(i)), after: 1000, 200_000)
    }

    private var takeoverLimits: TakeoverLimits {
        var limits = TakeoverLimits()
        if self.options.defects.contains(.stayUnreachable) { limits.unreachableTime = .max }
        return limits
    }

    /// clusterd and its children are gone. What is on its way to the target still arrives.
    mutating func crash(_ i: Int, isAnnounced: Bool) {
        guard self.nodes[i].isUp else { return }
        self.trace.note(self.time, "crash", self.nodes[i].id, 0, 0, "\(self.nodes[i].takeover.phase)")
        self.crashes += 1
        self.endServer(i)
        self.loseCache(i)
        self.nodes[i].isUp = false
        self.nodes[i].incarnation += 1
        self.nodes[i].raft = nil
        self.nodes[i].pause = nil
        self.nodes[i].deferred = []
        self.nodes[i].disk.lose(&self.random, tornTail: true)
        self.leaveDisk(i)
        self.states.forget(i)
        if self.hasQuorumDisk { self.tearDiskWrites(of: i) }
        guard isAnnounced else { return }
        let gone = self.nodes[i].id
        for j in self.nodes.indices where j != i && self.nodes[j].isUp {
            if self.links.isBlocked(from: gone, to: self.nodes[j].id) { continue }
            self.schedule(.peerLost(self.life(j), gone), after: 200, 3000)
        }
    }

    mutating func resume(_ i: Int) {
        self.trace.note(self.time, "resume", self.nodes[i].id)
        self.nodes[i].pause = nil
        let deferred = self.nodes[i].deferred
        self.nodes[i].deferred = []
        // In a process that was stopped nothing is ordered between its threads.
        for happening in deferred {
            switch happening {
            case .storageReply, .storageDone, .networkDone, .bridgeReply, .server:
                self.schedule(happening, after: 0, self.random.below(3) == 0 ? 20_000 : 200)
            default: self.queue.schedule(happening, at: self.time)
            }
        }
    }

    /// First in every turn: a process that was stopped must not act on claims that are past.
    mutating func wake(_ i: Int) {
        let now = self.tick(i)
        let lease = UInt64(self.settings.leaseMilliseconds)
        let start = self.nodes[i].raft?.leaseStart
        let held = start.map { now - min(now, $0) < lease } ?? false
        if held, let start {
            self.nodes[i].server.leaseEnd =
                self.options.defects.contains(.ignoreServingLease) ? .max : start + lease
        }
        guard held != self.nodes[i].lease else { return }
        self.nodes[i].lease = held
        self.decide(i, .lease(held))
    }

    mutating func ticked(_ i: Int) {
        self.wake(i)
        self.step(i, .tick(random: self.random.next()))
        self.stepDisk(i, .tick)
        self.sendStates(i)
        self.settle(i)
    }

    mutating func settle(_ i: Int) {
        let now = self.tick(i)
        let patience = UInt64(self.settings.heartbeatMilliseconds) * 3 / 2
        for peer in self.nodes[i].suspects.keys.sorted() {
            guard let since = self.nodes[i].suspects[peer], now - since >= patience else { continue }
            self.nodes[i].suspects[peer] = nil
            if self.nodes[i].raft?.leader == peer { self.step(i, .peerLost(peer)) }
        }
        if let raft = self.nodes[i].raft, raft.isEstablishedLeader, self.nodes[i].state?.appliedTerm == raft.term,
            self.nodes[i].establishedTerm != raft.term
        {
            self.nodes[i].establishedTerm = raft.term
            self.updateHeirs(i)
            self.updateLatePeers(i)
            let handover = self.nodes[i].state?.handover
            self.decide(i, .predecessor(handedOver: handover != nil, steps: handover ?? []))
            self.decide(i, .ownTermApplied(raft.term))
        }
        if now - self.nodes[i].lastMaintenance >= Self.maintenanceInterval {
            self.nodes[i].lastMaintenance = now
            self.updateHeirs(i)
            self.updateLatePeers(i)
            self.maintain(i)
        }
        self.decide(i, .tick)
    }

    private mutating func maintain(_ i: Int) {
        self.reconcileQuorumDisk(i)
        if self.nodes[i].raft?.isEstablishedLeader == true { self.reconcileMembership(i) }
        self.compact(i)
        self.resendSnapshots(i)
        self.resendStates(i)
    }

    private mutating func compact(_ i: Int) {
        guard let state = self.nodes[i].state, let base = self.nodes[i].raft?.base.index,
            state.appliedIndex > base + Self.compaction.entries
        else { return }
        let held = self.states.heldIndex(i, base: base) ?? .max
        let through = min(state.appliedIndex - Self.compaction.kept, held)
        if through > base { self.step(i, .compact(through: through)) }
    }

    private mutating func updateHeirs(_ i: Int) {
        guard let raft = self.nodes[i].raft, raft.isLeader else {
            self.nodes[i].heirs = []
            self.nodes[i].reaching = []
            return
        }
        let candidates = self.nodes[i].state.map { state in
            Heirs.candidates(raft, state) { self.reach(of: $0, at: i) }
        }
        let (heirs, reaching) = Heirs.choose(
            from: candidates ?? [], leaderRole: self.nodes[i].role,
            leaderReach: self.reach(of: self.nodes[i].id, at: i), now: self.tick(i))
        guard heirs != self.nodes[i].heirs || reaching != self.nodes[i].reaching else { return }
        self.nodes[i].heirs = heirs
        self.nodes[i].reaching = reaching
        self.decide(i, .heirs(heirs, reaching: reaching))
    }

    private mutating func updateLatePeers(_ i: Int) {
        guard let state = self.nodes[i].state else { return }
        let role = self.nodes[i].role
        self.nodes[i].raft?.chooseLatePeers(state.configuration, ownRole: role)
    }

    private func reach(of node: NodeID, at i: Int) -> Reach {
        guard let said = self.nodes[i].reach[node], self.tick(i) - said.time < Self.reachTime else { return .unknown }
        return said.reach
    }

    /// Looks whether the target answers, and tells the leader.
    mutating func probe(_ i: Int) {
        let isReachable = self.target.isUp && self.cutUntil[i] <= self.time
        self.queue.schedule(
            .probed(self.life(i), isReachable ? .yes : .no), at: self.time + (isReachable ? 500 : 2_000_000))
    }

    mutating func probed(_ i: Int, _ reach: Reach) {
        self.schedule(.probe(self.life(i)), after: 1_000_000, 1000)
        self.nodes[i].reach[self.nodes[i].id] = (reach, self.tick(i))
        guard let leader = self.nodes[i].raft?.leader, leader != self.nodes[i].id else { return }
        self.transmit(.reach(from: self.nodes[i].id, reach), from: self.nodes[i].id, to: leader)
    }

    // MARK: Raft

    mutating func step(_ i: Int, _ event: Event) {
        self.nodes[i].raftEvents.append(event)
        guard !self.nodes[i].isStepping else { return }
        self.nodes[i].isStepping = true
        while self.nodes[i].isUp, !self.nodes[i].raftEvents.isEmpty {
            let next = self.nodes[i].raftEvents.removeFirst()
            let now = self.tick(i)
            guard let effects = self.nodes[i].raft?.step(next, at: now) else { break }
            self.perform(i, effects)
        }
        self.nodes[i].isStepping = false
        self.drainDisk(i)
    }

    private mutating func persist(_ i: Int, _ write: Write) {
        if write.snapshot != nil {
            guard let incoming = self.nodes[i].incoming else { preconditionFailure("a snapshot without its state") }
            self.trace.note(self.time, "installs", self.nodes[i].id, incoming.appliedIndex)
            self.nodes[i].state = incoming
            self.nodes[i].incoming = nil
            self.nodes[i].disk.enqueue(.write(write, state: incoming))
        } else {
            self.nodes[i].disk.enqueue(.write(write, state: write.compaction == nil ? nil : self.nodes[i].state))
        }
        self.startSync(i)
    }

    private mutating func perform(_ i: Int, _ effects: Effects) {
        if let write = effects.write { self.persist(i, write) }
        if let leadership = effects.leadership {
            self.trace.note(
                self.time, "role", self.nodes[i].id, leadership.term, leadership.leader ?? 0, "\(leadership.role)")
            if leadership.role == .leader { self.checker.becameLeader(self.nodes[i].id, leadership.term) }
            self.nodes[i].suspects = [:]
            self.decide(i, .leadership(isLeader: leadership.role == .leader, term: leadership.term))
        }
        let results = self.apply(i, effects.committed)
        for result in effects.proposals {
            guard let pending = self.nodes[i].pending.removeValue(forKey: result.token) else { continue }
            switch result.outcome {
            case .committed(let index): self.proposed(i, pending, results[index] ?? .done)
            case .dropped: self.proposed(i, pending, nil)
            }
        }
        for result in effects.reads {
            guard let operation = self.nodes[i].reads.removeValue(forKey: result.token) else { continue }
            let refusal = Takeover.Failure(.transient, "the quorum did not confirm the leadership")
            if case .ready = result.outcome {
                self.report(i, .finished(operation, []))
            } else {
                self.report(i, .failed(operation, refusal))
            }
        }
        for message in effects.messages {
            guard isDisk(message.to) else {
                self.transmit(.raft(message), from: message.from, to: message.to)
                continue
            }
            if self.quorum.sides[i].voter?.number == message.to, let commitIndex = self.nodes[i].raft?.commitIndex {
                self.nodes[i].diskEvents.append(.receive(message, commitIndex: commitIndex))
            }
        }
        for node in effects.snapshotsToSend { self.sendSnapshot(i, to: node) }
        if let reason = effects.stopped { self.checker.fail("node \(i + 1) stopped: \(reason)") }
    }

    private mutating func apply(_ i: Int, _ entries: [Entry]) -> [LogIndex: CommandResult] {
        guard !entries.isEmpty else { return [:] }
        guard var state = self.nodes[i].state else { preconditionFailure("entries before the state") }
        // Taken out, so that it is changed in place.
        self.nodes[i].state = nil
        var results: [LogIndex: CommandResult] = [:]
        for entry in entries {
            guard let result = try? state.apply(entry) else {
                preconditionFailure("all programs of the simulation are the same")
            }
            results[entry.index] = result
        }
        let index = state.appliedIndex
        self.nodes[i].state = state
        self.step(i, .applied(index))
        return results
    }

    private mutating func sendSnapshot(_ i: Int, to node: NodeID) {
        guard let raft = self.nodes[i].raft, let state = self.nodes[i].state,
            let snapshot = raft.snapshot(at: state.appliedIndex)
        else { return self.step(i, .snapshotFailed(node)) }
        if !self.states.sizes.isWhole, !isDisk(node) {
            return self.transfer(snapshot, state.encoded, from: i, to: node)
        }
        self.nodes[i].snapshotsSent[node] = self.tick(i)
        if isDisk(node) { return self.handInCheckpoint(i) }
        self.transmit(.snapshot(raft.snapshotMessage(snapshot, to: node), state), from: self.nodes[i].id, to: node)
    }

    /// A snapshot that was not acknowledged by then is sent again.
    private mutating func resendSnapshots(_ i: Int) {
        guard !self.nodes[i].snapshotsSent.isEmpty, let raft = self.nodes[i].raft else { return }
        for peer in raft.peers where peer.needsSnapshot {
            guard let sent = self.nodes[i].snapshotsSent[peer.node], self.tick(i) - sent > Self.snapshotTime else {
                continue
            }
            self.nodes[i].snapshotsSent[peer.node] = nil
            self.step(i, .snapshotFailed(peer.node))
        }
    }

    private mutating func startSync(_ i: Int) {
        guard self.nodes[i].disk.startSync() else { return }
        var duration = 100 + self.random.below(UInt64(3000))
        if self.hasFaults, self.random.chance(perMillion: self.faults.slowSyncPerMillion) {
            duration += self.random.below(self.faults.maximumSlowSync)
        }
        self.queue.schedule(.synced(self.life(i)), at: self.time + duration)
    }

    mutating func synced(_ i: Int) {
        let (sequence, _) = self.nodes[i].disk.finishSync()
        self.wake(i)
        if let sequence { self.step(i, .persisted(sequence: sequence)) }
        self.startSync(i)
        self.settle(i)
    }

    private mutating func transmit(_ message: PeerMessage, from: NodeID, to: NodeID) {
        guard !self.links.isBlocked(from: from, to: to), let receiver = self.machine(of: to) else { return }
        if self.hasFaults, self.random.chance(perMillion: self.faults.lossPerMillion) { return }
        var delay = 100 + self.random.below(UInt64(900))
        if self.hasFaults, self.random.chance(perMillion: self.faults.delayPerMillion) {
            delay += self.random.below(self.faults.longDelay)
        }
        self.queue.schedule(.deliver(self.life(receiver), message), at: self.time + delay)
    }

    mutating func received(_ i: Int, _ message: PeerMessage) {
        self.wake(i)
        switch message {
        case .raft(let message):
            if self.links.isBlocked(from: message.from, to: message.to) { return }
            self.nodes[i].suspects[message.from] = nil
            // A node that was removed still has its certificate; it has no say.
            if self.nodes[i].state?.isRemoved(message.from) == true { return }
            self.step(i, .receive(message))
        case .snapshot(let message, let state):
            if self.links.isBlocked(from: message.from, to: message.to) { return }
            if self.nodes[i].state?.isRemoved(message.from) == true { return }
            self.nodes[i].incoming = state
            self.step(i, .receive(message))
            self.nodes[i].incoming = nil
        case .reach(let node, let reach): self.nodes[i].reach[node] = (reach, self.tick(i))
        }
        self.settle(i)
    }

    mutating func change(_ i: Int, _ change: ConfigurationChange, _ pending: Pending) {
        self.trace.note(self.time, "membership", self.nodes[i].id, 0, 0, "\(change)")
        let token = self.nodes[i].nextToken
        self.nodes[i].nextToken += 1
        self.nodes[i].pending[token] = pending
        self.step(i, .changeConfiguration(token: token, change))
    }

    mutating func propose(_ i: Int, _ command: Command, _ pending: Pending = .other) {
        let token = self.nodes[i].nextToken
        self.nodes[i].nextToken += 1
        self.nodes[i].pending[token] = pending
        self.step(i, .propose(token: token, payload: command.encoded))
    }

    // MARK: The journal

    mutating func journal(_ i: Int, _ generation: UInt64, _ epoch: Term, _ write: ClientWrite) {
        guard generation > self.nodes[i].refusedGeneration, let raft = self.nodes[i].raft, raft.isLeader,
            raft.term == epoch, self.nodes[i].takeover.term == epoch, let record = write.record
        else { return self.tellServer(i, generation, .refused) }
        if self.nodes[i].journals.epoch != epoch { self.nodes[i].journals = (epoch, 0) }
        self.nodes[i].journals.underWay += 1
        if self.options.defects.contains(.acknowledgeUncommitted) { self.tellServer(i, generation, .appended(write)) }
        var mutations = write.lock?.mutations ?? [.putOpen(.simulated(record))]
        if let closed = write.closes { mutations.append(.removeOpen(persistentID: closed)) }
        if self.options.defects.contains(.repeatProposal), write.lock != nil {
            self.schedule(.journalAgain(self.life(i), epoch: epoch, write: write), after: 1000, 500_000)
        }
        self.propose(
            i, .mutate(epoch: epoch, mutations),
            .journal(generation: generation, epoch: epoch, write: write))
    }

    mutating func proposeAgain(_ i: Int, _ epoch: Term, _ write: ClientWrite) {
        guard let lock = write.lock else { return }
        self.propose(i, .mutate(epoch: epoch, lock.mutations))
    }

    /// `result`: nil where it was dropped.
    private mutating func proposed(_ i: Int, _ pending: Pending, _ result: CommandResult?) {
        if case .change = pending { self.nodes[i].isChangingMembership = false }
        guard case .journal(let generation, let epoch, let write) = pending else {
            return self.membershipProposed(i, pending, result)
        }
        let isApplied = result == .done
        if self.nodes[i].journals.epoch == epoch { self.nodes[i].journals.underWay -= 1 }
        if isApplied {
            self.tellServer(i, generation, .appended(write))
        } else {
            self.tellServer(i, generation, .refused)
            if generation > self.nodes[i].refusedGeneration {
                self.nodes[i].refusedGeneration = generation
                if self.nodes[i].raft?.isLeader == true, self.nodes[i].raft?.term == epoch {
                    self.decide(i, .serverExited("its journal was refused"))
                }
            }
        }
        self.serveWhenSettled(i)
    }

    private mutating func serveWhenSettled(_ i: Int) {
        guard let (operation, epoch) = self.nodes[i].waitingServe,
            self.nodes[i].journals.epoch != epoch || self.nodes[i].journals.underWay == 0
        else { return }
        self.nodes[i].waitingServe = nil
        self.checker.loads(self.nodes[i].state?.handles.opens.keys.sorted() ?? [], self.nodes[i].id)
        self.serve(i, operation, epoch)
    }

    // MARK: The takeover

    /// What a worker posts to the loop, which takes it in that order.
    mutating func report(_ i: Int, _ event: Takeover.Event) {
        let time = max(self.time + 5 + self.random.below(UInt64(50)), self.nodes[i].lastReport + 1)
        self.nodes[i].lastReport = time
        self.queue.schedule(.reported(self.life(i), event), at: time)
    }

    mutating func decide(_ i: Int, _ event: Takeover.Event) {
        self.nodes[i].takeoverEvents.append(event)
        guard !self.nodes[i].isTakingOver else { return }
        self.nodes[i].isTakingOver = true
        while self.nodes[i].isUp, !self.nodes[i].takeoverEvents.isEmpty {
            let next = self.nodes[i].takeoverEvents.removeFirst()
            let before = self.nodes[i].takeover.phase
            let now = self.moment(i)
            let directives = self.nodes[i].takeover.step(next, at: now)
            let phase = self.nodes[i].takeover.phase
            if phase != before {
                let term = self.nodes[i].takeover.term
                self.trace.note(self.time, "phase", self.nodes[i].id, term, 0, "\(phase)")
                if phase == .serving { self.serves(i, term) }
                if phase == .moving(.transfer) { self.movesAway(i) }
            }
            for directive in directives where self.nodes[i].isUp { self.perform(i, directive) }
        }
        self.nodes[i].isTakingOver = false
    }

    private mutating func movesAway(_ i: Int) {
        self.checker.moves += 1
        if !self.nodes[i].cache.dirty.isEmpty {
            self.checker.fail("data: node \(i + 1) hands the share over and holds what it acknowledged")
        }
    }

    /// What `clusterctl move` asks of the leader, which knows whether an earlier one is still unanswered.
    mutating func moveAsked(_ i: Int, _ event: Takeover.Event) {
        guard self.nodes[i].movesUnanswered == 0 else { return }
        self.nodes[i].movesUnanswered = 1
        self.decide(i, event)
    }

    private mutating func moveAnswered(_ i: Int) {
        self.nodes[i].movesUnanswered -= 1
        if self.nodes[i].movesUnanswered < 0 { self.checker.fail("move: node \(i + 1) answers what nobody asked") }
    }

    private mutating func serves(_ i: Int, _ term: Term) {
        self.checker.serves(self.nodes[i].id, term)
        if self.checker.takeovers > 1, self.hasQuorumDisk, self.faults.isOnlyLostLink {
            self.checker.fail(
                "veto: node \(self.nodes[i].id) took over, though the other one led through the quorum disk all along")
        }
    }

    private mutating func perform(_ i: Int, _ directive: Takeover.Directive) {
        self.trace.note(self.time, "does", self.nodes[i].id, 0, 0, "\(directive)")
        self.injectAtStep(i)
        switch directive {
        case .takeFence(let operation, let term):
            if self.options.defects.contains(.serveBeforeFence) {
                self.report(i, .finished(operation, []))
            } else {
                self.tellStorage(i, .takeFence(operation, term: term))
            }
        case .attach(let operation, let term): self.tellStorage(i, .attach(operation, term: term))
        case .restartBridge(let operation): self.tellStorage(i, .restartBridge(operation))
        case .allowRetake: self.tellStorage(i, .allowRetake)
        case .refuseRetake: break
        case .detach(let operation, let term): self.tellStorage(i, .detach(operation, term: term))
        case .tearDown(let operation): self.tellStorage(i, .tearDown(operation))
        case .serve(let operation, let epoch):
            self.nodes[i].waitingServe = (operation, epoch)
            self.serveWhenSettled(i)
        case .freeze(let operation):
            self.nodes[i].waitingServe = nil
            self.freezeServer(i, operation)
        case .flush(let operation): self.flush(i, operation)
        case .silenceServer:
            self.nodes[i].waitingServe = nil
            if self.options.defects.contains(.endServerFirst) { self.endUsedServer(i) }
            self.silenceServer(i)
        case .endServer(let operation):
            self.nodes[i].waitingServe = nil
            self.endUsedServer(i)
            self.report(i, .finished(operation, []))
        case .raiseAddress(let operation): self.tellNetwork(i, .raise(operation))
        case .tickle(let operation): self.tellNetwork(i, .tickle(operation))
        case .dropAddress(let operation): self.tellNetwork(i, .drop(operation))
        case .activate(let term, let event): self.propose(i, .activate(node: self.nodes[i].id, term: term, event))
        case .deactivate(let term, let steps):
            self.propose(i, .deactivate(node: self.nodes[i].id, term: term, steps: steps))
        case .record(let event):
            if event.detail.hasPrefix("storage: ") { self.pathFailovers += 1 }
            self.propose(i, .record(event))
        case .confirmLeadership(let operation):
            let token = self.nodes[i].nextToken
            self.nodes[i].nextToken += 1
            self.nodes[i].reads[token] = operation
            self.step(i, .readIndex(token: token))
        case .transferLeadership(let node): self.step(i, .transferLeadership(to: node))
        case .answerMove: self.moveAnswered(i)
        case .log: break
        case .mayExit: self.exit(i)
        }
    }

    /// An orderly end; somebody starts it again.
    private mutating func exit(_ i: Int) {
        self.crash(i, isAnnounced: true)
        self.schedule(.restart(self.life(i)), after: 100_000, self.faults.maximumDowntime)
    }
}
