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
        case .freeze(let operation): self.server?.tell(.freeze(operation))
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
        let now = self.tick
        let candidates: [Heirs.Candidate] = self.raft.peers.compactMap { peer in
            guard let node = state.configuration.node(peer.node), node.role == .data,
                self.raft.configuration.isVoter(peer.node), let heard = peer.lastHeard,
                now - min(now, heard) < Limits.heirSilenceMilliseconds,
                peer.matchIndex + Limits.heirLag >= self.raft.lastIndex
            else { return nil }
            return Heirs.Candidate(
                node: peer.node, matchIndex: peer.matchIndex, hasFailed: state.failedNodes.contains(peer.node),
                reach: self.reach(of: peer.node))
        }
        let (heirs, reaching) = Heirs.choose(
            from: candidates, leaderRole: self.identity.role, leaderReach: self.reach(of: self.identity.id))
        guard heirs != self.heirs || reaching != self.reaching else { return }
        self.heirs = heirs
        self.reaching = reaching
        self.decide(.heirs(heirs, reaching: reaching))
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

    // MARK: The journal

    /// A batch of the server becomes an entry of the log. The epoch is the term that the server was told to serve in: a
    /// batch that was late must not slip into a later term.
    func journal(generation: UInt64, epoch: Term, sequence: UInt64, _ mutations: [Mutation]) {
        guard generation > self.refusedGeneration, self.raft.isLeader, self.raft.term == epoch,
            self.takeover.term == epoch
        else {
            self.server?.tell(.refused(generation: generation, sequence: sequence))
            return
        }
        for case .putClient(let client) in mutations { self.connectedClients.insert(client) }
        if self.journals.epoch != epoch { self.journals = (epoch, 0) }
        self.journals.underWay += 1
        self.propose(.mutate(epoch: epoch, mutations), isJournal: true) { [weak self] outcome in
            guard let self else { return }
            if self.journals.epoch == epoch { self.journals.underWay -= 1 }
            defer { self.serveWhenSettled() }
            let problem: String
            switch outcome {
            case .applied(.done), .applied(.added):
                self.server?.tell(.appended(generation: generation, sequence: sequence))
                return
            case .applied(.refused(let refusal)): problem = "\(refusal)"
            case .dropped(let reason): problem = "\(reason)"
            }
            self.logger.error("journal: batch \(sequence) is not in the log: \(problem)")
            self.server?.tell(.refused(generation: generation, sequence: sequence))
            // What came after it may be in the log: the server's memory and the log differ from here on. A new server
            // starts from the log. Once: whatever else this one has under way is refused, too.
            guard generation > self.refusedGeneration else { return }
            self.refusedGeneration = generation
            if self.raft.isLeader, self.raft.term == epoch {
                self.decide(.serverExited("its journal was refused: \(problem)"))
            }
        }
    }

    /// Loads the records into the next server once all that the one before it appended in this term is applied or dropped:
    /// an open or a tombstone that comes into the state afterwards would never reach the server.
    private func serveWhenSettled() {
        guard let (operation, epoch) = self.waitingServe,
            self.journals.epoch != epoch || self.journals.underWay == 0
        else { return }
        self.waitingServe = nil
        let handles = self.state?.handles ?? HandleState()
        self.tickleList = handles.orderedClients
        self.connectedClients = []
        self.server?.tell(
            .serve(operation, epoch: epoch, nextPersistentID: handles.nextPersistentID, handles.orderedOpens))
    }

    /// The clients of the server before this one have been told. Those that came back are this one's.
    private func forgetTickled(_ term: Term) {
        let gone = self.tickleList.filter { !self.connectedClients.contains($0) }
        self.tickleList = []
        guard !gone.isEmpty else { return }
        self.propose(.mutate(epoch: term, gone.map { .removeClient($0) }))
    }
}
