import ClusterCore
import Raft

/// A connection to the target: what is sent over it arrives in order.
struct SimulatedSession {
    var id: UInt64
    var lastArrival: UInt64 = 0
}

/// What the storage thread has in its hands. It does one thing after the other, as the thread does.
struct SimulatedStorage {
    enum Order {
        case takeFence(Takeover.Operation, term: Term)
        case attach(Takeover.Operation, term: Term)
        case restartBridge(Takeover.Operation)
        case allowRetake
        case detach(Takeover.Operation, term: Term)
        case tearDown(Takeover.Operation)
    }

    enum Work {
        /// nil: logs in first.
        case fence(FenceRun?, key: SimulatedTarget.Key)
        case bridgeStart
        case mount
        case mounted
        case sync
        case detached
        case releaseLogin(SimulatedTarget.Key)
        case release
        case teardown
    }

    struct Job {
        var id: UInt64
        var operation: Takeover.Operation
        var work: Work
        /// The command that is waited for.
        var request: UInt64 = 0
    }

    var orders: [Order] = []
    var job: Job?
    var session: SimulatedSession?
    var bridgeRestart: Takeover.Operation?
    /// What a bridge said while the thread was busy.
    var news: [(bridge: UInt64, BridgeNews)] = []
    /// What the bridges of this attachment saw of the target.
    var generation: UInt64 = 0
}

/// What clusterd's storage thread does.
extension TakeoverSimulation {
    /// For each thing that waits for the target.
    static let storageTimeout: UInt64 = 5_000_000

    mutating func tellStorage(_ i: Int, _ order: SimulatedStorage.Order) {
        self.nodes[i].storage.orders.append(order)
        self.nextOrder(i)
    }

    private mutating func nextOrder(_ i: Int) {
        guard self.nodes[i].storage.job == nil else { return }
        let news = self.nodes[i].storage.news
        self.nodes[i].storage.news = []
        for (bridge, news) in news where self.nodes[i].bridge?.id == bridge { self.pass(i, news) }
        guard !self.nodes[i].storage.orders.isEmpty else { return }
        switch self.nodes[i].storage.orders.removeFirst() {
        case .takeFence(let operation, let term):
            let key = SimulatedTarget.Key(node: self.nodes[i].id, term: term)
            self.begin(i, operation, .fence(nil, key: key))
            if self.nodes[i].storage.session == nil {
                self.nodes[i].storage.session = SimulatedSession(id: self.newID())
                self.sendFence(i, .login, key)
            } else {
                self.runFence(i, key)
            }
        case .attach(let operation, let term):
            self.begin(i, operation, .bridgeStart)
            // The bridge is the same nexus in another session.
            self.nodes[i].storage.session = nil
            self.nodes[i].storage.generation = 0
            self.startBridge(i, SimulatedTarget.Key(node: self.nodes[i].id, term: term), isImpatient: true)
        case .restartBridge(let operation):
            guard let bridge = self.nodes[i].bridge else {
                self.report(i, .failed(operation, Takeover.Failure(.transient, "not attached")))
                return self.nextOrder(i)
            }
            self.nodes[i].storage.bridgeRestart = operation
            self.startBridge(i, bridge.key, isImpatient: false)
            self.nextOrder(i)
        case .allowRetake:
            self.allowRetake(i)
            self.nextOrder(i)
        case .detach(let operation, _):
            self.begin(i, operation, .sync)
            guard let bridge = self.nodes[i].bridge else { return self.endJob(i, nil) }
            if bridge.mode == .dead { return self.endJob(i, Takeover.Failure(.transient, "the bridge ended")) }
            // The flushing thread has the file system open.
            guard self.nodes[i].cache.sync == nil else {
                return self.endJob(i, Takeover.Failure(.transient, "the file system is still in use"))
            }
            self.setImpatient(i)
            self.writeBack(i, isUnmount: true)
        case .tearDown(let operation):
            self.begin(i, operation, .teardown)
            self.nodes[i].storage.session = nil
            self.nodes[i].storage.bridgeRestart = nil
            self.refuse(i)
            self.nodes[i].bridge = nil
            self.loseCache(i)
            self.finishJob(i, after: 30_000, 220_000)
        }
    }

    private mutating func begin(_ i: Int, _ operation: Takeover.Operation, _ work: SimulatedStorage.Work) {
        self.nodes[i].storage.job = SimulatedStorage.Job(id: self.newID(), operation: operation, work: work)
    }

    /// Ends the job when that time is over.
    private mutating func finishJob(_ i: Int, after shortest: UInt64, _ spread: UInt64) {
        guard let job = self.nodes[i].storage.job else { return }
        self.schedule(.storageDone(self.life(i), job: job.id), after: shortest, spread)
    }

    private mutating func endJob(_ i: Int, _ failure: Takeover.Failure?) {
        guard let job = self.nodes[i].storage.job else { return }
        self.nodes[i].storage.job = nil
        if let failure {
            self.report(i, .failed(job.operation, failure))
        } else {
            self.report(i, .finished(job.operation, []))
        }
        self.nextOrder(i)
    }

    // MARK: The fence

    private mutating func sendFence(_ i: Int, _ command: SimulatedTarget.Command, _ key: SimulatedTarget.Key) {
        guard var session = self.nodes[i].storage.session else { return }
        let request = self.newID()
        self.nodes[i].storage.job?.request = request
        self.send(
            SimulatedTarget.Packet(
                nexus: SimulatedTarget.Nexus(node: self.nodes[i].id), machine: i, session: session.id,
                incarnation: self.nodes[i].incarnation, bridge: 0, request: request, key: key, command: command),
            &session)
        self.nodes[i].storage.session = session
        self.queue.schedule(
            .storageReply(self.life(i), request: request, nil), at: self.time + Self.storageTimeout)
    }

    private mutating func runFence(_ i: Int, _ key: SimulatedTarget.Key) {
        var run = FenceRun(key: key, on: self.target.kind, defects: self.options.defects)
        let next = run.begin()
        self.nodes[i].storage.job?.work = .fence(run, key: key)
        if case .send(let command) = next { self.sendFence(i, command, key) }
    }

    mutating func storageReplied(_ i: Int, _ request: UInt64, _ reply: SimulatedTarget.Reply?) {
        guard let job = self.nodes[i].storage.job, job.request == request else { return }
        self.nodes[i].storage.job?.request = 0
        guard let reply else {
            self.nodes[i].storage.session = nil
            switch job.work {
            case .release, .releaseLogin: return self.endJob(i, nil)
            default: break
            }
            return self.endJob(i, Takeover.Failure(.transient, "the target did not answer"))
        }
        switch job.work {
        case .fence(nil, let key): self.runFence(i, key)
        case .fence(.some(var run), let key):
            let next = run.received(reply)
            self.nodes[i].storage.job?.work = .fence(run, key: key)
            switch next {
            case .send(let command): self.sendFence(i, command, key)
            case .done:
                self.trace.note(self.time, "fenced", self.nodes[i].id, key.term)
                self.checker.fenced(key)
                self.endJob(i, nil)
            case .superseded:
                self.nodes[i].storage.session = nil
                self.endJob(i, Takeover.Failure(.superseded, "a newer term was here"))
            case .failed:
                self.nodes[i].storage.session = nil
                self.endJob(i, Takeover.Failure(.transient, "conflict"))
            }
        case .releaseLogin(let key):
            self.nodes[i].storage.job?.work = .release
            self.sendFence(i, .clear, key)
        case .release: self.letGo(i)
        case .bridgeStart, .mount, .mounted, .sync, .detached, .teardown: break
        }
    }

    // MARK: Attach and detach

    mutating func storageDone(_ i: Int, _ id: UInt64) {
        guard let job = self.nodes[i].storage.job, job.id == id else { return }
        switch job.work {
        case .mounted:
            if self.hasFaults, self.random.chance(perMillion: self.faults.workerFailurePerMillion) {
                self.refuse(i)
                self.nodes[i].bridge = nil
                let isPermanent = self.random.below(3) == 0
                return self.endJob(i, Takeover.Failure(isPermanent ? .permanent : .transient, "the mount failed"))
            }
            self.nodes[i].bridge?.isImpatient = false
            self.endJob(i, nil)
        case .detached:
            guard self.options.defects.contains(.releaseAtDetach), let key = self.target.holder,
                key.node == self.nodes[i].id
            else {
                return self.letGo(i)
            }
            self.nodes[i].storage.session = SimulatedSession(id: self.newID())
            self.nodes[i].storage.job?.work = .releaseLogin(key)
            self.sendFence(i, .login, key)
        case .teardown: self.endJob(i, nil)
        case .fence, .bridgeStart, .mount, .sync, .releaseLogin, .release: break
        }
    }

    /// The reservation stays.
    private mutating func letGo(_ i: Int) {
        self.nodes[i].storage.session = nil
        self.endJob(i, nil)
    }

    /// The kernel's answer to what mount and unmount asked for.
    mutating func storageAnswered(_ i: Int, _ owner: BlockRequest.Owner, isError: Bool) {
        guard let job = self.nodes[i].storage.job else { return }
        switch (owner, job.work) {
        case (.mount, .mount):
            guard !isError else { return self.attachFailed(i) }
            self.nodes[i].storage.job?.work = .mounted
            self.finishJob(i, after: 20_000, 300_000)
        case (.detach, .sync):
            guard !isError else { return self.endJob(i, Takeover.Failure(.transient, "the target went away")) }
            // What a dead server left unanswered goes first.
            guard self.nodes[i].requests.isEmpty else {
                return self.submit(i, BlockRequest(id: self.newID(), kind: .flush, owner: .detach))
            }
            self.unmounted(i)
            self.nodes[i].bridge = nil
            self.nodes[i].storage.job?.work = .detached
            self.finishJob(i, after: 10_000, 90_000)
        default: break
        }
    }

    private mutating func attachFailed(_ i: Int) {
        self.refuse(i)
        self.nodes[i].bridge = nil
        self.endJob(i, Takeover.Failure(.transient, "the bridge did not come up"))
    }

    // MARK: The bridge's news

    mutating func bridgeSaid(_ i: Int, _ id: UInt64, _ news: BridgeNews) {
        guard self.nodes[i].bridge?.id == id else { return }
        self.trace.note(self.time, "bridge says", self.nodes[i].id, 0, 0, "\(news)")
        if case .seen(let generation) = news {
            self.nodes[i].storage.generation = generation
            return
        }
        if case .bridgeStart? = self.nodes[i].storage.job?.work {
            switch news {
            case .ready:
                self.nodes[i].storage.job?.work = .mount
                let value = self.nextValue
                self.nextValue += 1
                self.submit(
                    i,
                    BlockRequest(id: self.newID(), kind: .write(block: Self.logBlock, value: value), owner: .mount))
            case .unreachable, .reconnected, .seen: break
            case .fenced, .asks, .failing, .exited: self.attachFailed(i)
            }
            return
        }
        guard let job = self.nodes[i].storage.job else { return self.pass(i, news) }
        self.nodes[i].storage.news.append((id, news))
        // Mount and unmount would wait for a dead bridge for ever: the thread is told apart.
        guard news == .exited else { return }
        switch job.work {
        case .mount, .sync: self.refuse(i)
        case .fence, .bridgeStart, .mounted, .detached, .releaseLogin, .release, .teardown: break
        }
    }

    private mutating func pass(_ i: Int, _ news: BridgeNews) {
        switch news {
        case .ready:
            if let operation = self.nodes[i].storage.bridgeRestart {
                self.nodes[i].storage.bridgeRestart = nil
                self.report(i, .finished(operation, []))
            }
            self.report(i, .bridgeReachable)
        case .reconnected: self.report(i, .bridgeReachable)
        case .unreachable: self.report(i, .bridgeUnreachable("no answer"))
        case .fenced: self.report(i, .bridgeFenced("another node"))
        case .asks(unflushed: false): self.report(i, .bridgeAsksToRetake("nobody holds it"))
        case .asks(unflushed: true): self.report(i, .serverStorageFailed("the target may have lost writes"))
        case .failing: self.report(i, .serverStorageFailed("out of patience"))
        case .exited:
            if let operation = self.nodes[i].storage.bridgeRestart {
                self.nodes[i].storage.bridgeRestart = nil
                self.report(i, .failed(operation, Takeover.Failure(.transient, "the bridge ended again")))
            } else {
                self.report(i, .bridgeExited("signal 9"))
            }
        case .seen: break
        }
    }

    // MARK: The way to the target

    mutating func send(_ packet: SimulatedTarget.Packet, _ session: inout SimulatedSession) {
        var arrival = self.time + 50 + self.random.below(UInt64(300))
        if self.hasFaults, self.random.chance(perMillion: self.faults.latePerMillion) {
            arrival += self.random.below(self.faults.maximumLateness)
        }
        // A cut path loses nothing: the kernel sends it again.
        let end = self.cutUntil[packet.machine]
        if end > self.time { arrival = max(arrival, end + self.random.below(UInt64(200_000))) }
        arrival = max(arrival, session.lastArrival + 1)
        session.lastArrival = arrival
        self.queue.schedule(.arrive(packet), at: arrival)
    }

    private mutating func answer(_ packet: SimulatedTarget.Packet, _ reply: SimulatedTarget.Reply) {
        var arrival = self.time + 50 + self.random.below(UInt64(300))
        let end = self.cutUntil[packet.machine]
        if end > self.time { arrival = max(arrival, end + self.random.below(UInt64(200_000))) }
        let life = Life(node: packet.machine, incarnation: packet.incarnation)
        let happening: Happening =
            packet.bridge == 0
            ? .storageReply(life, request: packet.request, reply)
            : .bridgeReply(life, bridge: packet.bridge, request: packet.request, reply)
        self.queue.schedule(happening, at: arrival)
    }

    mutating func arrived(_ packet: SimulatedTarget.Packet) {
        var drained: [SimulatedTarget.Packet] = []
        let arrival = self.target.arrive(packet, drained: &drained)
        self.trace.note(
            self.time, "target", packet.key.term, packet.nexus.node, packet.request,
            "\(packet.bridge == 0 ? "storage" : "bridge") \(packet.command): \(arrival)")
        for victim in drained { self.answer(victim, .aborted) }
        switch arrival {
        case .dropped: break
        case .answered(let reply):
            if case .write = packet.command { self.conflicts += 1 }
            self.answer(packet, reply)
        case .executing(let id):
            let isSlow = self.hasFaults && self.random.chance(perMillion: self.faults.slowWritePerMillion)
            self.schedule(.land(id), after: 20, isSlow ? self.faults.maximumSlowWrite : 300)
        }
    }

    mutating func landed(_ id: UInt64) {
        guard let packet = self.target.finish(id) else { return }
        self.trace.note(self.time, "lands", packet.key.term, packet.nexus.node, packet.request)
        self.checker.landed(packet.key, self.target)
        self.answer(packet, .good)
    }

    mutating func targetDown() {
        guard self.target.isUp else { return }
        self.trace.note(self.time, "target down")
        self.target.goDown()
        if self.hasQuorumDisk, !self.diskIsApart {
            for disk in self.quorum.disks.keys.sorted() { self.restartDiskTarget(disk) }
        }
        self.checker.checkBlocks(self.target)
        // A process that dies closes its connections; a machine that loses its power says nothing.
        if self.random.below(2) == 0 {
            for i in self.nodes.indices {
                guard let bridge = self.nodes[i].bridge, bridge.session != nil else { continue }
                self.schedule(.bridgeReply(self.life(i), bridge: bridge.id, request: 0, nil), after: 50, 500)
            }
        }
        self.schedule(.targetUp(restart: self.target.restarts), after: 20_000, self.faults.maximumTargetDowntime)
    }

    mutating func targetUp(restart: Int) {
        guard self.target.restarts == restart, !self.target.isUp else { return }
        self.trace.note(self.time, "target up")
        self.target.comeUp()
    }
}
