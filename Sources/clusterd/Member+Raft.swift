import ClusterCore
import ClusterStore
import ClusterTransport
import QuorumDisk
import Raft
import StateRecords

/// The shell of the consensus core.
extension Member {
    /// Lets the core take an event and does what it says. What that leads to is taken up in turn, not nested.
    func step(_ event: Raft.Event) {
        self.raftEvents.append(event)
        guard !self.isStepping else { return }
        self.isStepping = true
        defer { self.isStepping = false }
        while !self.raftEvents.isEmpty {
            let next = self.raftEvents.removeFirst()
            self.perform(self.raft.step(next, at: self.tick))
        }
        self.isStepping = false
        self.drainDisk()
    }

    private func perform(_ effects: Effects) {
        // The peers' way is the longer one: what is to be on their disks and on this one goes to them first (Raft's
        // dissertation §10.2.1: a leader's own write and its peers' run side by side).
        for message in effects.messages where !self.isDeaf && !self.isShutOut(message.to) { self.send(message) }
        if let write = effects.write {
            for message in effects.messages where message.isAppend { self.transport.flush(message.to, class: .bulk) }
            self.persist(write)
        }
        if let leadership = effects.leadership { self.leadershipChanged(leadership) }
        if !effects.committed.isEmpty { self.apply(effects.committed) }
        for result in effects.proposals {
            self.journalProposals.remove(result.token)
            guard let answer = self.proposals.removeValue(forKey: result.token) else { continue }
            switch result.outcome {
            case .committed where self.isBlocked: answer(.dropped(.unknown))
            case .committed(let index): answer(.applied(self.results[index] ?? .done))
            case .dropped(let reason): answer(.dropped(reason))
            }
        }
        // An entry is applied in the same step as its proposal is resolved.
        self.results.removeAll(keepingCapacity: true)
        for result in effects.reads {
            guard let answer = self.reads.removeValue(forKey: result.token) else { continue }
            if case .ready = result.outcome { answer(true) } else { answer(false) }
        }
        for node in effects.snapshotsToSend where !self.isDeaf && !self.isShutOut(node) { self.sendSnapshot(to: node) }
        if let reason = effects.stopped {
            self.logger.critical("consensus stopped: \(reason)")
            if reason == .acknowledgedLogLost {
                self.store.submit(.lost("it lacks entries that this node acknowledged"))
            } else {
                self.fatal = self.fatal ?? Self.text(reason)
            }
            self.decide(.leadership(isLeader: false, term: self.raft.term))
        }
    }

    /// Appends keep to one link, so that they stay in their order: one that overtakes another is refused and sent again. No
    /// heartbeat or answer waits behind them on the other.
    private func send(_ message: Message) {
        guard isDisk(message.to) else {
            let messageClass: MessageClass = message.isAppend ? .bulk : .urgent
            self.transport.send(PeerMessage.raft(message).encoded, to: message.to, class: messageClass)
            return self.unflushed.append((message.to, messageClass))
        }
        if self.disk?.number == message.to {
            self.diskEvents.append(.receive(message, commitIndex: self.raft.commitIndex))
        }
    }

    /// What the turn's events led to goes out before whatever else is in the turn: somebody waits for the answer.
    func flush() {
        for (node, messageClass) in self.unflushed { self.transport.flush(node, class: messageClass) }
        self.unflushed.removeAll(keepingCapacity: true)
    }

    private static func text(_ reason: StopReason) -> String {
        switch reason {
        case .storageFailed: "the disk of the state directory failed: repair it, then start the node again"
        case .acknowledgedLogLost: "entries that this node acknowledged are gone"
        case .committedPrefixConflict:
            "the state directory is not the one that this node had (\(reason)), or the leader's is not: look at which was "
                + "restored from a copy before anything is deleted. For this one: remove the node with 'clusterctl leave' "
                + "on another, delete its state directory, and join it again"
        }
    }

    private func persist(_ write: Write) {
        if let problem = self.problem(with: write) { return self.cannotGoOn(problem) }
        if write.snapshot != nil {
            guard let incoming = self.incoming else { preconditionFailure("a snapshot without its state") }
            self.state = incoming
            self.incoming = nil
            self.store.submit(.write(write, state: incoming))
            self.bytesSinceCompaction = 0
            self.announceConfiguration()
            self.noteTokens()
        } else {
            for entry in write.entries { self.bytesSinceCompaction += entry.byteCount }
            self.store.submit(.write(write, state: write.compaction == nil ? nil : self.state))
        }
    }

    /// What is not stored is not acknowledged, and not stored is what this program could not apply.
    private func problem(with write: Write) -> VersionProblem? {
        let versions = self.options.versions
        if write.snapshot != nil, let incoming = self.incoming, let problem = versions.problem(with: incoming) {
            return problem
        }
        return write.entries.lazy.compactMap { versions.problem(with: $0) }.first
    }

    private func apply(_ entries: [Entry]) {
        guard !self.isBlocked else { return }
        guard var state = self.state else { preconditionFailure("entries before the state") }
        // Taken out, so that it is changed in place.
        self.state = nil
        let before = state.version
        var problem: VersionProblem?
        for entry in entries {
            do throws(VersionProblem) {
                let result = try state.apply(entry, program: self.options.versions)
                if !self.proposals.isEmpty { self.results[entry.index] = result }
            } catch {
                problem = error
                break
            }
        }
        self.state = state
        if let problem { self.cannotGoOn(problem) }
        if state.version != before {
            self.logger.notice("the cluster runs version \(state.version)")
            self.hasToldStart = false
        }
        if state.configuration != self.announcedConfiguration { self.announceConfiguration() }
        self.noteTokens()
        self.step(.applied(state.appliedIndex))
    }

    private func leadershipChanged(_ leadership: Leadership) {
        let who = leadership.leader.map { self.name(of: $0) } ?? "nobody"
        self.noteForLog()
        self.logger.notice("term \(leadership.term): \(leadership.role), leader: \(who)")
        self.heardLeader = self.tick
        self.suspects = [:]
        if leadership.leader != nil {
            self.foundState = nil
            self.checkpointVote = nil
        }
        if leadership.role != .leader { self.giveUpProposals() }
        self.decide(.leadership(isLeader: leadership.role == .leader, term: leadership.term))
    }

    /// What this node proposed as leader and is not committed may be yet, or never: whoever waits for it need not wait for that.
    private func giveUpProposals() {
        for token in self.proposals.keys.sorted() where !self.journalProposals.contains(token) {
            self.proposals.removeValue(forKey: token)?(.dropped(.unknown))
        }
    }

    // MARK: Messages

    func received(_ peerMessage: PeerMessage, from node: NodeID) {
        guard !self.isDeaf else { return }
        self.suspects[node] = nil
        // A node that was removed still has its certificate; it has no say.
        if let state = self.state, state.isRemoved(node) { return }
        switch peerMessage {
        case .raft, .snapshot: guard !self.isShutOut(node) else { return }
        case .reach, .introduction: break
        }
        switch peerMessage {
        case .raft(let message):
            guard message.from == node else { return }
            // A snapshot comes with its state or not at all.
            if case .snapshot = message.body { return }
            if node == self.raft.leader { self.heardLeader = self.tick }
            self.step(.receive(message))
            self.campaignForTheBehind(message)
        case .snapshot(let message, let part):
            guard message.from == node, case .snapshot(let snapshot) = message.body,
                let bytes = self.collector.add(part, of: message)
            else { return }
            self.decode(bytes, from: .node(node, message, index: snapshot.index))
        case .reach(let reach): self.heard(reach, of: node)
        case .introduction(let record):
            guard record.id == node else { return }
            self.introduced(record, by: node)
            guard let configuration = self.state?.configuration, node >= configuration.nextNodeID,
                self.newcomers.count < ClusterLimits.nodes, let endpoint = Endpoint(record.address),
                self.newcomers[node] != endpoint
            else { return }
            self.logger.notice("\(record.name) at \(record.address) joined while this node was away")
            self.newcomers[node] = endpoint
            var peers = self.newcomers
            for known in configuration.nodes { peers[known.id] = Endpoint(known.address) }
            self.transport.setPeers(peers)
        }
    }

    func introduce(to node: NodeID) {
        guard !self.isDeaf else { return }
        var record =
            self.state?.configuration.node(self.identity.id)
            ?? NodeRecord(
                id: self.identity.id, name: self.identity.name, address: self.identity.address,
                role: self.identity.role, interface: "", incarnation: self.identity.incarnation)
        record.incarnation = self.identity.incarnation
        record.program = self.options.program
        self.transport.send(PeerMessage.introduction(record).encoded, to: node, class: .urgent)
    }

    /// See ``WitnessPolicy``.
    private func campaignForTheBehind(_ message: Message) {
        guard case .preVoteRequest(let lastIndex, let lastTerm) = message.body,
            WitnessPolicy.shouldCampaign(
                role: self.identity.role, silence: self.tick - self.heardLeader,
                electionTicks: UInt64(self.settings.electionMinimumMilliseconds), asked: (lastTerm, lastIndex),
                own: (self.raft.lastTerm, self.raft.lastIndex)), self.raft.role == .follower
        else { return }
        self.step(.campaign)
    }

    /// A broken link alone proves nothing (a switch may have blinked). A leader whose process died says nothing more either.
    func lookAtSuspects() {
        let patience = UInt64(self.settings.heartbeatMilliseconds) * 3 / 2
        for (node, since) in self.suspects where self.tick - since >= patience {
            self.suspects[node] = nil
            guard node == self.raft.leader else { continue }
            self.logger.notice("the leader \(self.name(of: node)) is gone: its link broke and it is silent")
            self.heardLeader = 0
            self.step(.peerLost(node))
        }
    }

    // MARK: Proposals

    /// - Parameter isJournal: of the server, which waits for what became of it, also where this node leads no more. A person is
    ///   told at once then that it is not known.
    func propose(_ command: Command, isJournal: Bool = false, _ answer: @escaping (ProposalOutcome) -> Void) {
        if let hold = self.hold(on: command) { return answer(.applied(.refused(.heldBack(hold)))) }
        let token = self.nextToken
        self.nextToken += 1
        self.proposals[token] = answer
        if isJournal { self.journalProposals.insert(token) }
        self.step(.propose(token: token, payload: command.encoded(for: self.version)))
    }

    /// For what nobody waits for; losing it loses a line of history.
    func propose(_ command: Command) {
        self.propose(command) { [logger] outcome in
            if case .dropped(let reason) = outcome { logger.debug("not recorded: \(reason)") }
        }
    }

    func change(_ change: ConfigurationChange, _ answer: @escaping (ProposalOutcome) -> Void) {
        let token = self.nextToken
        self.nextToken += 1
        self.proposals[token] = answer
        self.step(.changeConfiguration(token: token, change))
    }

    func confirmLeadership(_ answer: @escaping (Bool) -> Void) {
        let token = self.nextToken
        self.nextToken += 1
        self.reads[token] = answer
        self.step(.readIndex(token: token))
    }

    func compact() {
        guard let state = self.state else { return }
        let base = self.raft.base.index
        let held = self.heldLogIndex ?? .max
        let through: LogIndex
        if state.appliedIndex > base + Limits.compactEntries {
            through = min(state.appliedIndex - Limits.keptEntries, held)
        } else if self.bytesSinceCompaction > Limits.compactBytes {
            through = min(state.appliedIndex, held)
        } else {
            return
        }
        guard through > base else { return }
        self.step(.compact(through: through))
        self.bytesSinceCompaction = 0
    }
}

extension Message {
    fileprivate var isAppend: Bool { if case .append = self.body { true } else { false } }
}
