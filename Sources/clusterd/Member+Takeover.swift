import ClusterCore
import ClusterStore
import Raft
import StateRecords

/// The shell of the takeover.
extension Member {
    func decide(_ event: Takeover.Event) {
        self.takeoverEvents.append(event)
        guard !self.isTakingOver else { return }
        self.isTakingOver = true
        defer { self.isTakingOver = false }
        while !self.takeoverEvents.isEmpty {
            let next = self.takeoverEvents.removeFirst()
            let before = self.takeover.phase
            for directive in self.takeover.step(next, at: self.moment) { self.perform(directive) }
            if self.takeover.phase != before {
                self.logger.info("takeover: \(Self.text(self.takeover.phase))")
                if self.takeover.isServing { self.logger.notice("serving, term \(self.takeover.term)") }
            }
        }
    }

    static func text(_ phase: Takeover.Phase) -> String {
        switch phase {
        case .standby: "standby"
        case .elected: "elected"
        case .taking(let step): "taking over: \(step.rawValue)"
        case .serving: "serving"
        case .moving(let step): "moving away: \(step.rawValue)"
        case .clearing: "giving up"
        case .waiting: "waiting to try again"
        case .handingOver: "handing the leadership over"
        case .witnessLeading: "a witness that leads, looking for a data node"
        }
    }

    /// As `clusterctl status` shows it.
    var phaseText: String {
        if self.takeover.isServerHeldBack {
            return "\(Self.text(self.takeover.phase)), without a server: \(Takeover.heldBackReason)"
        }
        return self.takeover.isPreparingMove
            ? "serving, and about to move: what was written goes to the LUN first" : Self.text(self.takeover.phase)
    }

    private func perform(_ directive: Takeover.Directive) {
        switch directive {
        case .takeFence(let operation, let term): self.storage.tell(.takeFence(operation, term: Self.key(term)))
        case .attach(let operation, let term): self.storage.tell(.attach(operation, term: Self.key(term)))
        case .restartBridge(let operation): self.storage.tell(.restartBridge(operation))
        case .allowRetake: self.storage.tell(.allowRetake)
        case .refuseRetake: self.storage.tell(.refuseRetake)
        case .detach(let operation, let term): self.storage.tell(.detach(operation, term: Self.key(term)))
        case .tearDown(let operation):
            self.tearingDown = operation
            self.watchdog?.givesUp()
            self.storage.tell(.tearDown(operation))
        case .serve(let operation, let epoch):
            self.waitingServe = (operation, epoch)
            self.serveWhenSettled()
        case .freeze(let operation):
            self.waitingServe = nil
            self.server?.tell(.freeze(operation))
        case .flush(let operation): self.flusher?.tell(operation)
        case .silenceServer:
            self.waitingServe = nil
            self.server?.tell(.silence)
        case .endServer(let operation):
            self.waitingServe = nil
            self.server?.tell(.end(operation))
        case .raiseAddress(let operation): self.network?.tell(.raise(operation))
        case .tickle(let operation): self.network?.tell(.tickle(operation, self.tickleList))
        case .dropAddress(let operation): self.network?.tell(.drop(operation))
        case .activate(let term, var event):
            event.unixMilliseconds = unixMilliseconds()
            self.logSteps(event)
            self.propose(.activate(node: self.identity.id, term: term, event))
            self.forgetTickled(term)
        case .deactivate(let term, let steps):
            self.propose(.deactivate(node: self.identity.id, term: term, steps: steps))
        case .record(var event):
            event.unixMilliseconds = unixMilliseconds()
            self.logSteps(event)
            self.propose(.record(event))
            if event.kind == .serverRestart { self.forgetTickled(event.term) }
        case .confirmLeadership(let operation):
            self.confirmLeadership { [mailbox] confirmed in
                let refusal = Takeover.Failure(.transient, "the quorum did not confirm the leadership")
                mailbox.post(.takeover(confirmed ? .finished(operation, []) : .failed(operation, refusal)))
            }
        case .transferLeadership(let node):
            self.logger.notice("hands the leadership to \(self.name(of: node))")
            self.step(.transferLeadership(to: node))
        case .answerMove(let problem): self.moveAnswered(problem)
        case .mayExit: if self.isStopping { self.outcome = .ended }
        case .log(let text): self.logger.notice("\(text)")
        }
    }

    /// The fence key has 32 bits for the term: at one election a second they last for 136 years.
    private static func key(_ term: Term) -> UInt32 {
        precondition(term <= UInt32.max, "the term no longer fits the fence key")
        return UInt32(term)
    }

    private func logSteps(_ event: EventRecord) {
        let steps = event.steps.map { "\($0.name) \(Double($0.microseconds / 100) / 10) ms" }.joined(separator: ", ")
        self.logger.notice("\(event.kind.name), term \(event.term): \(event.detail)\(steps)")
    }

    // MARK: Who could take over

    func updateHeirs() {
        guard self.raft.isLeader, let state = self.state else {
            self.heirs = []
            self.reaching = []
            return
        }
        let (heirs, reaching) = Heirs.choose(
            from: Heirs.candidates(self.raft, state) { self.reach(of: $0) }, leaderRole: self.identity.role,
            leaderReach: self.reach(of: self.identity.id), now: self.tick)
        guard heirs != self.heirs || reaching != self.reaching else { return }
        self.heirs = heirs
        self.reaching = reaching
        self.decide(.heirs(heirs, reaching: reaching))
    }

    func updateLatePeers() {
        guard let state = self.state else { return }
        self.raft.chooseLatePeers(state.configuration, ownRole: self.identity.role)
    }

    /// Why this data node cannot take over, as far as it has said since that tick. Only the leader knows.
    func hindrance(of node: NodeID, _ state: ClusterState, after: Tick) -> Heirs.Hindrance? {
        let candidates = Heirs.candidates(self.raft, state) { self.reach(of: $0) }
        guard let candidate = candidates.first(where: { $0.node == node }) else { return .isSilent }
        return Heirs.hindrance(of: candidate, leaderReach: self.reach(of: self.identity.id), after: after)
    }

    /// What this node's own look at the target found over one of its portals. One is enough; the leader has to know it.
    func probed(_ path: Int, _ found: Reach) {
        guard path < self.paths.count else { return }
        self.paths[path].reach = found
        guard let reach = Reach.overall(self.paths.map(\.reach)) else { return }
        self.heard(reach, of: self.identity.id)
        guard let leader = self.raft.leader, leader != self.identity.id else { return }
        self.transport.send(PeerMessage.reach(reach).encoded, to: leader, class: .urgent)
    }

    func heard(_ reach: Reach, of node: NodeID) { self.reaches[node] = (reach, self.tick) }

    func reach(of node: NodeID) -> Reach {
        guard let said = self.reaches[node], self.tick - said.heard < Limits.reachMilliseconds else { return .unknown }
        return said.reach
    }

    // MARK: The next server

    /// Loads the records into the next server once all that the one before it appended in this term is applied or dropped:
    /// an open or a tombstone that comes into the state afterwards would never reach the server.
    func serveWhenSettled() {
        guard let (operation, epoch) = self.waitingServe,
            self.journals.epoch != epoch || self.journals.underWay == 0
        else { return }
        self.waitingServe = nil
        let handles = self.state?.handles ?? HandleState()
        self.tickleList = handles.orderedClients
        self.connectedClients = []
        self.server?.tell(.serve(operation, epoch: epoch, handles))
    }

    /// The clients of the server before this one have been told. Those that came back are this one's.
    private func forgetTickled(_ term: Term) {
        let gone = self.tickleList.filter { !self.connectedClients.contains($0) }
        self.tickleList = []
        guard !gone.isEmpty else { return }
        self.propose(.mutate(epoch: term, gone.map { .removeClient($0) }))
    }
}
