import Raft

/// Whether a node reaches the LUN, as it said last.
package enum Reach: UInt8, Sendable {
    /// It said nothing lately.
    case unknown = 0
    case yes = 1
    case no = 2

    /// Over several ways: reached over one is reached. Nil while none is known to lead there and some were not tried yet.
    package static func overall(_ paths: [Reach]) -> Reach? {
        if paths.contains(.yes) { return .yes }
        return paths.contains(.unknown) || paths.isEmpty ? nil : .no
    }

    /// nil: unknown.
    package var isYes: Bool? {
        switch self {
        case .unknown: nil
        case .yes: true
        case .no: false
        }
    }
}

/// Which data nodes the leadership may be handed to, and in which order.
package enum Heirs {
    /// A data node as its leader knows it.
    package struct Candidate: Equatable, Sendable {
        package var node: NodeID
        package var isVoter: Bool
        package var matchIndex: LogIndex
        package var lastHeard: Tick?
        /// `PeerStatus.lastCaughtUp`.
        package var lastCaughtUp: Tick?
        /// Its last takeover failed, and none has succeeded since.
        package var hasFailed: Bool
        package var reach: Reach

        package init(_ peer: PeerStatus, isVoter: Bool, hasFailed: Bool, reach: Reach) {
            self.node = peer.node
            self.isVoter = isVoter
            self.matchIndex = peer.matchIndex
            self.lastHeard = peer.lastHeard
            self.lastCaughtUp = peer.lastCaughtUp
            self.hasFailed = hasFailed
            self.reach = reach
        }
    }

    /// Why a node is none, as an administrator reads it behind the node's name.
    package enum Hindrance: String, Equatable, Sendable {
        case isLearner = "has no vote yet"
        case isSilent = "is not connected to the active node"
        /// While it lacks some of the log a transfer waits for it, and nobody serves.
        case lagsBehind = "is not up to date yet"
        case reachesNothing = "does not reach the LUN"
        case hasFailed = "failed when it was to take over last, and has not since ('clusterctl events' says why)"
    }

    /// The data nodes that this node, which leads, knows of; `reach`: what each said of its path to the LUN.
    package static func candidates(_ raft: RaftNode, _ state: ClusterState, reach: (NodeID) -> Reach) -> [Candidate] {
        raft.peers.compactMap { peer in
            guard state.configuration.node(peer.node)?.role == .data else { return nil }
            return Candidate(
                peer, isVoter: raft.configuration.isVoter(peer.node), hasFailed: state.failedNodes.contains(peer.node),
                reach: reach(peer.node))
        }
    }

    /// In ticks of a millisecond: how long ago an heir was heard last, and had all of the log.
    package static let silenceTicks: Tick = 1000

    /// A node without a path to the LUN could only fail. One that failed is asked again when it has a path and the leader has
    /// none. `after`: since when it must have been heard, and have had all of the log.
    package static func hindrance(of candidate: Candidate, leaderReach: Reach, after: Tick) -> Hindrance? {
        func isRecent(_ tick: Tick?) -> Bool { tick.map { $0 > after } ?? false }
        if !isRecent(candidate.lastHeard) { return .isSilent }
        if !candidate.isVoter { return .isLearner }
        if !isRecent(candidate.lastCaughtUp) { return .lagsBehind }
        if candidate.reach == .no { return .reachesNothing }
        if candidate.hasFailed, candidate.reach != .yes || leaderReach != .no { return .hasFailed }
        return nil
    }

    /// The best first; `reaching` are those of them that reach the LUN for certain.
    ///
    /// A witness must hand on to somebody, so to a node that would fail as well, but last.
    package static func choose(
        from candidates: [Candidate], leaderRole: NodeRole, leaderReach: Reach, now: Tick
    ) -> (heirs: [NodeID], reaching: [NodeID]) {
        let after = now - min(now, Self.silenceTicks)
        let ordered = candidates.sorted { ($0.matchIndex, $1.node) > ($1.matchIndex, $0.node) }
            .map { ($0, Self.hindrance(of: $0, leaderReach: leaderReach, after: after)) }
        let fit = ordered.filter { $0.1 == nil }.map(\.0)
        let rest =
            leaderRole == .witness ? ordered.filter { $0.1 == .reachesNothing || $0.1 == .hasFailed }.map(\.0) : []
        return ((fit + rest).map(\.node), fit.filter { $0.reach == .yes }.map(\.node))
    }
}

extension RaftNode {
    /// The commits of a data node need no witness and no quorum disk while the other data node keeps up.
    package mutating func chooseLatePeers(_ configuration: ClusterConfiguration, ownRole: NodeRole) {
        let late = self.configuration.voters.filter { isDisk($0) || configuration.node($0)?.role == .witness }
        self.latePeers = ownRole == .data ? Set(late) : []
    }
}
