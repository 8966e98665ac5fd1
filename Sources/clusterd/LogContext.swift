import ClusterCore
import Logging
import Raft
import Synchronization

/// What every line of the log carries, whichever thread writes it: where this node stands in the consensus.
enum LogContext {
    struct Position: Equatable, Sendable {
        var node: String
        var term: Term
        /// The last entry that was applied.
        var index: LogIndex
        var role: String
    }

    private static let position = Mutex<Position?>(nil)

    static func set(_ position: Position) { self.position.withLock { $0 = position } }

    static let provider = Logger.MetadataProvider {
        guard let position = Self.position.withLock({ $0 }) else { return [:] }
        return [
            "node": "\(position.node)", "term": "\(position.term)", "index": "\(position.index)",
            "role": "\(position.role)",
        ]
    }
}

extension Member {
    /// After whatever may have moved it.
    func noteForLog() {
        LogContext.set(
            LogContext.Position(
                node: self.identity.name, term: self.raft.term, index: self.raft.appliedIndex,
                role: self.takeover.isServing ? "active" : self.raft.role.name))
    }
}

extension Role {
    /// As an interpolation gives it, which looks the case's name up anew each time: a turn is not to pay for that twice.
    fileprivate var name: String {
        switch self {
        case .follower: "follower"
        case .preCandidate: "preCandidate"
        case .candidate: "candidate"
        case .leader: "leader"
        case .stopped: "stopped"
        }
    }
}
