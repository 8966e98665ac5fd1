import ClusterCore
import ClusterStore
import QuorumDisk
import Raft
import StateRecords

/// Where a state came from, for what has to be done with it.
enum StateSource: Sendable {
    /// That node, with the message that stands for it.
    case node(NodeID, Message, index: LogIndex)
    /// The quorum disk, for a vote.
    case disk(base: Snapshot)
}

/// Whole states on their way: to nodes that lack what the log has no more, to the quorum disk, and from either. Of a
/// million handles to encode or decode one takes seconds: threads of their own do, and the loop is heard meanwhile.
extension Member {
    // MARK: Out

    /// Also to the quorum disk.
    func sendSnapshot(to node: NodeID) {
        // One that is being encoded will do.
        guard self.encodings[node] == nil else { return }
        guard let state = self.state, let snapshot = self.raft.snapshot(at: state.appliedIndex) else {
            return self.step(.snapshotFailed(node))
        }
        self.transfers[node] = nil
        self.encodings[node] = snapshot.index
        startThread("encode") { [mailbox] in
            // The loop's threads go before others; this one need not.
            setNiceness(0)
            mailbox.post(.stateEncoded(node, snapshot, state.encoded))
        }
    }

    func stateEncoded(_ node: NodeID, _ snapshot: Snapshot, _ state: [UInt8]) {
        self.encodings[node] = nil
        guard self.raft.isLeader else { return }
        if isDisk(node) {
            guard self.disk?.number == node else { return }
            self.checkpoint = (.now, snapshot.index)
            return self.stepDisk(.checkpoint(snapshot, state: state, term: self.raft.term))
        }
        guard self.raft.peers.contains(where: { $0.node == node && $0.needsSnapshot }) else { return }
        self.transfers[node] = SnapshotTransfer(
            self.raft.snapshotMessage(snapshot, to: node), of: snapshot, state: state, now: self.tick)
    }

    /// In each turn, as much as the links take.
    func sendStates() {
        guard !self.transfers.isEmpty else { return }
        let waiting = Set(self.raft.peers.lazy.filter(\.needsSnapshot).map(\.node))
        for node in self.transfers.keys.sorted() {
            guard var transfer = self.transfers.removeValue(forKey: node), waiting.contains(node), self.raft.isLeader,
                transfer.message.term == self.raft.term
            else { continue }
            let isCutOff = self.isDeaf || self.isShutOut(node)
            let queue = isCutOff ? nil : self.transport.queue(to: node, class: .bulk)
            let parts = transfer.parts(
                connection: queue?.connection, queuedByteCount: queue?.byteCount ?? 0, at: self.tick)
            for part in parts {
                let message = PeerMessage.snapshot(transfer.message, part)
                if self.transport.send(message.encoded, to: node, class: .bulk) { continue }
                transfer.partWasLost()
                break
            }
            self.transfers[node] = transfer
        }
    }

    /// Of whoever makes no progress with it. A new one is made then, of what is applied by that time.
    func resendSnapshots(_ now: ContinuousClock.Instant) {
        for peer in self.raft.peers where peer.needsSnapshot && self.encodings[peer.node] == nil {
            if isDisk(peer.node) {
                if self.disk?.isTakingCheckpoint == true { self.checkpoint?.moved = now }
                let patience =
                    self.disk?.refusedState == nil ? Limits.checkpointTime : Limits.refusedCheckpointTime
                if let checkpoint = self.checkpoint, now - checkpoint.moved <= patience { continue }
            } else if let transfer = self.transfers[peer.node] {
                guard transfer.isOverdue(at: self.tick) else { continue }
                self.transfers[peer.node] = nil
            }
            self.step(.snapshotFailed(peer.node))
        }
    }

    /// What the log keeps for whoever a state is on its way to: cut off behind that, the log would make the next one
    /// necessary, and so on.
    var heldLogIndex: LogIndex? {
        guard self.bytesSinceCompaction < Limits.heldLogBytes else { return nil }
        let checkpoint = self.disk?.isTakingCheckpoint == true ? self.checkpoint?.index : nil
        let indexes = self.transfers.values.map(\.index) + self.encodings.values + [checkpoint].compactMap { $0 }
        // Of one that the log was cut off behind all the same nothing can be kept any more.
        return indexes.filter { $0 >= self.raft.base.index }.min()
    }

    // MARK: In

    func decode(_ bytes: [UInt8], from source: StateSource) {
        startThread("decode") { [mailbox] in
            setNiceness(0)
            let result: Result<ClusterState, RecordError>
            do throws(RecordError) {
                result = .success(try ClusterState(decoding: bytes))
            } catch {
                result = .failure(error)
            }
            mailbox.post(.stateDecoded(result, source))
        }
    }

    /// The disk voted, and with its vote comes a checkpoint. The election may be over before that is read: the state
    /// stays for the next one's vote.
    func checkpointFound(_ bytes: [UInt8], _ vote: DiskVote) {
        guard let base = vote.log?.base else { return }
        if let found = self.foundState, found.base == base { return self.install(found.state, with: .diskVoted(vote)) }
        let isBeingDecoded = self.checkpointVote?.log?.base == base
        self.checkpointVote = vote
        if !isBeingDecoded { self.decode(bytes, from: .disk(base: base)) }
    }

    func stateDecoded(_ result: Result<ClusterState, RecordError>, _ source: StateSource) {
        var vote: DiskVote?
        if case .disk(let base) = source, self.checkpointVote?.log?.base == base {
            vote = self.checkpointVote
            self.checkpointVote = nil
        }
        let state: ClusterState
        switch result {
        case .success(let decoded): state = decoded
        case .failure(.newer(let version)):
            return self.cannotGoOn(.tooNew(version, from: source.index, program: self.options.versions))
        case .failure(let error):
            return self.logger.error("\(self.text(source)) cannot be read: \(error)")
        }
        guard state.appliedIndex == source.index else {
            return self.logger.error("\(self.text(source)) is of another entry than it says")
        }
        if let problem = self.options.versions.problem(with: state) { return self.cannotGoOn(problem) }
        switch source {
        case .node(let node, let message, _):
            guard !self.isDeaf, !self.isShutOut(node) else { return }
            self.install(state, with: .receive(message))
        case .disk(let base):
            // Nil: another node leads meanwhile, or another checkpoint was found.
            guard let vote else { return }
            self.foundState = (base, state)
            self.install(state, with: .diskVoted(vote))
        }
    }

    /// Taken by the step where it puts the state in the place of the log.
    private func install(_ state: ClusterState, with event: Raft.Event) {
        self.incoming = state
        self.step(event)
        self.incoming = nil
    }

    private func text(_ source: StateSource) -> String {
        switch source {
        case .node(let node, _, _): "a snapshot from \(self.name(of: node))"
        case .disk: "the checkpoint on the quorum disk"
        }
    }
}

extension StateSource {
    fileprivate var index: LogIndex {
        switch self {
        case .node(_, _, let index): index
        case .disk(let base): base.index
        }
    }
}
