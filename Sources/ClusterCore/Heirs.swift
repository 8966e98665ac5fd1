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
    /// A data node that votes, was heard lately and lacks little of the log.
    package struct Candidate: Equatable, Sendable {
        package var node: NodeID
        package var matchIndex: LogIndex
        /// Its last takeover failed, and none has succeeded since.
        package var hasFailed: Bool
        package var reach: Reach

        package init(node: NodeID, matchIndex: LogIndex, hasFailed: Bool, reach: Reach) {
            self.node = node
            self.matchIndex = matchIndex
            self.hasFailed = hasFailed
            self.reach = reach
        }
    }

    /// The best first; `reaching` are those of them that reach the LUN for certain.
    ///
    /// A node without a path to the LUN could only fail. One that failed is asked again when it has a path and the leader has
    /// none. A witness must hand on to somebody, so to such a node as well, but last.
    package static func choose(
        from candidates: [Candidate], leaderRole: NodeRole, leaderReach: Reach
    ) -> (heirs: [NodeID], reaching: [NodeID]) {
        let ordered = candidates.sorted { ($0.matchIndex, $1.node) > ($1.matchIndex, $0.node) }
        func isFit(_ candidate: Candidate) -> Bool {
            if candidate.reach == .no { return false }
            return !candidate.hasFailed || (candidate.reach == .yes && leaderReach == .no)
        }
        let fit = ordered.filter(isFit)
        let rest = leaderRole == .witness ? ordered.filter { !isFit($0) } : []
        return ((fit + rest).map(\.node), fit.filter { $0.reach == .yes }.map(\.node))
    }
}
