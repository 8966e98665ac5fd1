/// What the shell may ask at any time.
extension RaftNode {
    package var term: Term { self.hardState.term }
    package var isLeader: Bool { self.role == .leader }
    package var lastIndex: LogIndex { self.log.lastIndex }
    package var lastTerm: Term { self.log.lastTerm }
    package var firstIndex: LogIndex { self.log.firstIndex }
    /// The log's beginning.
    package var base: Snapshot { self.log.base }
    /// The configuration in force: the last one in the log, committed or not.
    package var configuration: Configuration { self.log.configuration }
    package var configurationIsCommitted: Bool { self.log.configurationIndex <= self.commitIndex }
    /// This node leads and has committed an entry of its own term: everything committed before is known to it.
    package var isEstablishedLeader: Bool { self.isLeader && self.commitIndex >= self.ownTermIndex }

    package func entry(at index: LogIndex) -> Entry? { self.log.entry(at: index) }
    package func term(at index: LogIndex) -> Term? { self.log.term(at: index) }

    /// The description of a snapshot of the state as applied through `index`; nil where the log no longer, or not yet,
    /// reaches there.
    package func snapshot(at index: LogIndex) -> Snapshot? {
        guard index <= self.appliedIndex, let term = self.log.term(at: index) else { return nil }
        return Snapshot(index: index, term: term, configuration: self.log.configuration(at: index))
    }

    /// The message that follows the state to a peer, once all of it is there.
    package func snapshotMessage(_ snapshot: Snapshot, to peer: NodeID) -> Message {
        Message(from: self.id, to: peer, term: self.term, body: .snapshot(snapshot))
    }

    /// When the newest heartbeat that a quorum has answered was SENT. The serving lease runs from there: for less than
    /// `electionTicksMinimum` minus the clocks' drift no other node can be elected. nil: no lease.
    package var leaseStart: Tick? {
        guard self.isLeader else { return nil }
        if let transfer = self.transfer, transfer.isSent, !self.defects.contains(.leaseDuringTransfer) { return nil }
        if self.isLeaseBlocked, !self.defects.contains(.leaseDuringTransfer) { return nil }
        return self.quorumTick { $0.answeredHeartbeatSent }
    }

    /// What a leader knows of its peers, ascending by node.
    package var peers: [PeerStatus] {
        self.progress.keys.sorted().compactMap { node in
            self.progress[node].map {
                PeerStatus(
                    node: node, matchIndex: $0.matchIndex, lastHeard: $0.lastHeard,
                    lastCaughtUp: $0.lastCaughtUp, needsSnapshot: $0.state == .snapshot)
            }
        }
    }
}

package struct PeerStatus: Equatable, Sendable {
    package var node: NodeID
    package var matchIndex: LogIndex
    package var lastHeard: Tick?
    /// Of all that the leader's log held at this tick nothing is missing there.
    package var lastCaughtUp: Tick?
    package var needsSnapshot: Bool
}
