import ClusterCore

/// One request of the kernel for the LUN.
struct BlockRequest {
    enum Kind: Equatable {
        case write(block: Int, value: UInt64)
        case flush
    }

    enum Owner {
        case client(generation: UInt64, ClientWrite)
        case mount
        case detach
        /// What the page cache holds.
        case writeBack(isUnmount: Bool)
    }

    var id: UInt64
    var kind: Kind
    var owner: Owner
}

/// lunbridge's words.
enum BridgeNews: Equatable {
    case ready
    case unreachable
    case reconnected
    case fenced
    case asks(unflushed: Bool)
    case failing
    case exited
    /// The reservations' generation.
    case seen(UInt64)
}

struct SimulatedBridge {
    enum Mode: Equatable {
        case down
        /// Logs in and looks, or looks again.
        case confirming
        case serving
        case asking
        case refusing
        case dead
    }

    enum Step {
        case login
        case look
        case retake(FenceRun)
        case register
        case lookAgain
        case reset
    }

    let id: UInt64
    let key: SimulatedTarget.Key
    var mode = Mode.down
    var session: SimulatedSession?
    var step = Step.login
    /// What an earlier session sent may still execute.
    var mustReset = true
    /// It was not serving before.
    var wasDown = true
    /// The command of `step` that is waited for.
    var request: UInt64 = 0
    var beat: UInt64 = 0
    var lastHeard: UInt64 = 0
    /// By the number of their commands: requests of the kernel, and how many writes had been answered when they were sent.
    var inFlight: [UInt64: (request: UInt64, writesAnswered: UInt64)] = [:]
    var generation: UInt64
    var restarted = false
    /// A bridge before this one may have answered writes that nobody flushed.
    var writesAnswered: UInt64 = 1
    var writesFlushed: UInt64 = 0
    var hasServed = false
    var mayRetake = false
    var saidUnreachable = false
    /// Requests that wait too long for the target fail.
    var isImpatient = false
    var downSince: UInt64 = 0
}

/// What lunbridge does.
extension TakeoverSimulation {
    static let commandTimeout: UInt64 = 2_000_000
    static let silenceLimit: UInt64 = 4_000_000
    static let heartbeatInterval: UInt64 = 500_000

    mutating func startBridge(_ i: Int, _ key: SimulatedTarget.Key, isImpatient: Bool) {
        self.nodes[i].hungBridge = nil
        var bridge = SimulatedBridge(id: self.newID(), key: key, generation: self.nodes[i].storage.generation)
        bridge.downSince = self.time
        self.nodes[i].bridge = bridge
        if isImpatient { self.setImpatient(i) }
        self.schedule(.bridgeConnect(self.life(i), bridge: bridge.id), after: 2000, 20_000)
    }

    private mutating func say(_ i: Int, _ news: BridgeNews) {
        guard let bridge = self.nodes[i].bridge else { return }
        self.schedule(.bridgeSaid(self.life(i), bridge: bridge.id, news), after: 20, 60)
    }

    mutating func setImpatient(_ i: Int) {
        guard let bridge = self.nodes[i].bridge, !bridge.isImpatient else { return }
        self.nodes[i].bridge?.isImpatient = true
        self.schedule(.bridgeImpatient(self.life(i), bridge: bridge.id), after: 500_000, 1000)
    }

    mutating func bridgeImpatient(_ i: Int, _ id: UInt64) {
        guard let bridge = self.nodes[i].bridge, bridge.id == id, bridge.isImpatient else { return }
        switch bridge.mode {
        case .down, .confirming, .asking:
            guard self.time - bridge.downSince > Self.storageTimeout else { break }
            self.refuse(i)
            self.say(i, .failing)
        case .serving, .refusing, .dead: break
        }
        self.schedule(.bridgeImpatient(self.life(i), bridge: id), after: 500_000, 1000)
    }

    // MARK: The session

    mutating func connectBridge(_ i: Int, _ id: UInt64) {
        guard let bridge = self.nodes[i].bridge, bridge.id == id, bridge.mode == .down else { return }
        self.nodes[i].bridge?.mode = .confirming
        let session = SimulatedSession(id: self.newID())
        self.nodes[i].bridge?.session = session
        self.nodes[i].bridge?.mustReset = true
        self.nodes[i].bridge?.wasDown = true
        self.control(i, .login, .login)
    }

    /// Sends a command and returns its number.
    private mutating func command(_ i: Int, _ command: SimulatedTarget.Command, timeout: UInt64) -> UInt64 {
        guard let bridge = self.nodes[i].bridge, var session = bridge.session else { return 0 }
        let request = self.newID()
        self.send(
            SimulatedTarget.Packet(
                nexus: SimulatedTarget.Nexus(node: self.nodes[i].id), machine: i, session: session.id,
                incarnation: self.nodes[i].incarnation, bridge: bridge.id, request: request, key: bridge.key,
                command: command), &session)
        self.nodes[i].bridge?.session = session
        self.queue.schedule(
            .bridgeReply(self.life(i), bridge: bridge.id, request: request, nil), at: self.time + timeout)
        return request
    }

    private mutating func control(_ i: Int, _ step: SimulatedBridge.Step, _ command: SimulatedTarget.Command) {
        self.nodes[i].bridge?.step = step
        let request = self.command(i, command, timeout: Self.commandTimeout)
        self.nodes[i].bridge?.request = request
    }

    /// Looks at the reservation on the present session.
    private mutating func verify(_ i: Int) {
        self.nodes[i].bridge?.mode = .confirming
        self.look(i)
    }

    private mutating func look(_ i: Int) {
        guard let key = self.nodes[i].bridge?.key else { return }
        if self.options.defects.contains(.blindRegistration) {
            self.control(i, .register, .register(key))
        } else {
            self.control(i, .look, .inspect)
        }
    }

    private mutating func loseSession(_ i: Int) {
        guard let bridge = self.nodes[i].bridge, bridge.session != nil else { return }
        self.nodes[i].bridge?.session = nil
        self.nodes[i].bridge?.inFlight = [:]
        self.nodes[i].bridge?.request = 0
        self.nodes[i].bridge?.beat = 0
        guard bridge.mode != .refusing else { return }
        self.nodes[i].bridge?.mode = .down
        self.nodes[i].bridge?.downSince = self.time
        if !bridge.saidUnreachable {
            self.nodes[i].bridge?.saidUnreachable = true
            self.say(i, .unreachable)
        }
        self.schedule(.bridgeConnect(self.life(i), bridge: bridge.id), after: 20_000, 230_000)
    }

    mutating func bridgeReplied(_ i: Int, _ id: UInt64, _ request: UInt64, _ reply: SimulatedTarget.Reply?) {
        guard let bridge = self.nodes[i].bridge, bridge.id == id, bridge.session != nil else { return }
        guard let reply else { return self.bridgeWaited(i, bridge, request) }
        self.nodes[i].bridge?.lastHeard = self.time
        if request == bridge.request {
            self.nodes[i].bridge?.request = 0
            self.confirm(i, bridge, reply)
        } else if request == bridge.beat {
            self.nodes[i].bridge?.beat = 0
            if case .reservations(let state) = reply, state.holder != bridge.key, bridge.mode == .serving {
                self.verify(i)
            }
        } else if let sent = self.nodes[i].bridge?.inFlight.removeValue(forKey: request) {
            self.completed(i, sent, reply)
        }
    }

    /// No answer in time; 0: the connection ended.
    private mutating func bridgeWaited(_ i: Int, _ bridge: SimulatedBridge, _ request: UInt64) {
        if request == 0 || request == bridge.request { return self.loseSession(i) }
        guard request == bridge.beat || bridge.inFlight[request] != nil else { return }
        if self.time - bridge.lastHeard >= Self.silenceLimit { return self.loseSession(i) }
        self.queue.schedule(
            .bridgeReply(self.life(i), bridge: bridge.id, request: request, nil),
            at: bridge.lastHeard + Self.silenceLimit)
    }

    private mutating func confirm(_ i: Int, _ bridge: SimulatedBridge, _ reply: SimulatedTarget.Reply) {
        switch (bridge.step, reply) {
        case (.login, .good): self.look(i)
        case (.look, .reservations(let state)), (.lookAgain, .reservations(let state)):
            if case .lookAgain = bridge.step {
                self.confirmed(i, bridge, state, hasRegistered: true)
            } else {
                self.confirmed(i, bridge, state, hasRegistered: false)
            }
        case (.retake(var run), _):
            switch run.received(reply) {
            case .send(let command): self.control(i, .retake(run), command)
            case .done:
                self.trace.note(self.time, "retaken", self.nodes[i].id, bridge.key.term)
                self.checker.fenced(bridge.key)
                self.control(i, .look, .inspect)
            case .superseded, .failed: self.loseSession(i)
            }
        case (.register, .good):
            if !self.options.defects.contains(.blindRegistration) {
                self.control(i, .lookAgain, .inspect)
            } else if bridge.mustReset {
                self.control(i, .reset, .reset)
            } else {
                self.becomeServing(i)
            }
        case (.reset, .good):
            self.nodes[i].bridge?.mustReset = false
            self.becomeServing(i)
        default: self.loseSession(i)
        }
    }

    private mutating func confirmed(
        _ i: Int, _ bridge: SimulatedBridge, _ state: SimulatedTarget.Reservations, hasRegistered: Bool
    ) {
        if state.generation < bridge.generation, !self.options.defects.contains(.forgetGeneration) {
            self.nodes[i].bridge?.restarted = true
        }
        self.nodes[i].bridge?.generation = state.generation
        if state.generation != bridge.generation { self.say(i, .seen(state.generation)) }
        let isUnflushed = bridge.writesAnswered > bridge.writesFlushed
        switch state.fence.verdict(for: bridge.key.fence) {
        case .fenced: return self.becomeFenced(i)
        case .forgotten:
            guard bridge.mayRetake || self.options.defects.contains(.retakeUnasked) else {
                return self.ask(i, unflushed: isUnflushed)
            }
            var run = FenceRun(key: bridge.key, on: self.target.kind, defects: self.options.defects)
            if case .send(let command) = run.begin() { self.control(i, .retake(run), command) }
            return
        case .ours: break
        }
        if self.nodes[i].bridge?.restarted == true, isUnflushed, !bridge.mayRetake {
            return self.ask(i, unflushed: true)
        }
        guard hasRegistered else { return self.control(i, .register, .register(bridge.key)) }
        guard state.keys.contains(bridge.key) else { return self.loseSession(i) }
        if bridge.mustReset { return self.control(i, .reset, .reset) }
        self.becomeServing(i)
    }

    private mutating func ask(_ i: Int, unflushed: Bool) {
        self.nodes[i].bridge?.mode = .asking
        self.nodes[i].bridge?.wasDown = true
        self.nodes[i].bridge?.downSince = self.time
        self.say(i, .asks(unflushed: unflushed))
    }

    mutating func allowRetake(_ i: Int) {
        guard let bridge = self.nodes[i].bridge, bridge.mode != .dead else { return }
        self.nodes[i].bridge?.mayRetake = true
        if bridge.mode == .asking { self.verify(i) }
    }

    private mutating func becomeServing(_ i: Int) {
        guard let bridge = self.nodes[i].bridge else { return }
        self.nodes[i].bridge?.mode = .serving
        self.nodes[i].bridge?.mayRetake = false
        self.nodes[i].bridge?.restarted = false
        self.nodes[i].bridge?.saidUnreachable = false
        self.nodes[i].bridge?.lastHeard = self.time
        self.nodes[i].bridge?.wasDown = false
        if bridge.wasDown {
            self.say(i, bridge.hasServed ? .reconnected : .ready)
            self.schedule(.bridgeBeat(self.life(i), bridge: bridge.id), after: Self.heartbeatInterval, 1000)
        }
        self.nodes[i].bridge?.hasServed = true
        self.issue(i)
    }

    private mutating func becomeFenced(_ i: Int) {
        self.refuse(i)
        self.say(i, .fenced)
    }

    mutating func beat(_ i: Int, _ id: UInt64) {
        guard let bridge = self.nodes[i].bridge, bridge.id == id, bridge.session != nil else { return }
        if bridge.mode == .serving, bridge.beat == 0 {
            let request = self.command(i, .inspect, timeout: Self.silenceLimit)
            self.nodes[i].bridge?.beat = request
        }
        self.schedule(.bridgeBeat(self.life(i), bridge: id), after: Self.heartbeatInterval, 1000)
    }

    /// The process dies; what the kernel waits for waits for the next.
    mutating func killBridge(_ i: Int) {
        guard let bridge = self.nodes[i].bridge, bridge.mode != .dead, bridge.mode != .refusing else { return }
        self.trace.note(self.time, "bridge dies", self.nodes[i].id)
        self.nodes[i].bridge?.mode = .dead
        self.nodes[i].bridge?.session = nil
        self.nodes[i].bridge?.inFlight = [:]
        self.say(i, .exited)
    }

    // MARK: Requests

    mutating func submit(_ i: Int, _ request: BlockRequest) {
        guard let bridge = self.nodes[i].bridge, bridge.mode != .refusing else {
            return self.answered(i, request, isError: true)
        }
        self.nodes[i].requests.append(request)
        self.issue(i)
    }

    /// The kernel has one write of a block under way at a time.
    private mutating func issue(_ i: Int) {
        guard let bridge = self.nodes[i].bridge, bridge.mode == .serving else { return }
        let sent = Set(bridge.inFlight.values.map(\.request))
        var blocks: Set<Int> = []
        for request in self.nodes[i].requests {
            switch request.kind {
            case .write(let block, let value):
                guard blocks.insert(block).inserted, !sent.contains(request.id) else { continue }
                let number = self.command(i, .write(block: block, value: value), timeout: Self.silenceLimit)
                self.nodes[i].bridge?.inFlight[number] = (request.id, 0)
            case .flush:
                guard !sent.contains(request.id) else { continue }
                let number = self.command(i, .flush, timeout: Self.silenceLimit)
                self.nodes[i].bridge?.inFlight[number] = (request.id, bridge.writesAnswered)
            }
        }
    }

    private mutating func completed(
        _ i: Int, _ sent: (request: UInt64, writesAnswered: UInt64), _ reply: SimulatedTarget.Reply
    ) {
        switch reply {
        case .good:
            guard let index = self.nodes[i].requests.firstIndex(where: { $0.id == sent.request }) else { return }
            let request = self.nodes[i].requests.remove(at: index)
            if case .write = request.kind {
                self.nodes[i].bridge?.writesAnswered += 1
            } else if let flushed = self.nodes[i].bridge?.writesFlushed {
                self.nodes[i].bridge?.writesFlushed = max(flushed, sent.writesAnswered)
            }
            self.answered(i, request, isError: false)
            self.issue(i)
        case .conflict: if self.nodes[i].bridge?.mode == .serving { self.verify(i) }
        case .aborted, .reservations: self.issue(i)
        }
    }

    /// From now on everything fails; what waited is answered first.
    mutating func refuse(_ i: Int) {
        guard self.nodes[i].bridge != nil else { return }
        self.nodes[i].bridge?.mode = .refusing
        self.nodes[i].bridge?.session = nil
        self.nodes[i].bridge?.inFlight = [:]
        let requests = self.nodes[i].requests
        self.nodes[i].requests = []
        for request in requests { self.answered(i, request, isError: true) }
    }

    private mutating func answered(_ i: Int, _ request: BlockRequest, isError: Bool) {
        switch request.owner {
        case .client(let generation, let write):
            self.schedule(
                .server(
                    self.life(i), generation: generation,
                    .answered(write, isFlush: request.kind == .flush, isError: isError)), after: 5, 40)
        case .mount, .detach: self.storageAnswered(i, request.owner, isError: isError)
        case .writeBack(let isUnmount): self.writtenBack(i, request, isUnmount: isUnmount, isError: isError)
        }
    }
}
