/// A node's identity in the cluster, given once and never reused. Zero is nobody.
package typealias NodeID = UInt64
/// Quorum disks have numbers from here on, each of its own; nodes are numbered below. A disk votes and holds a log, but never
/// leads and is never applied to: its shell on each node answers for it (target QuorumDisk).
package let firstDiskID: NodeID = 1 << 48

package func isDisk(_ id: NodeID) -> Bool { id >= firstDiskID }

/// A Raft term. Also the fence key's and the journal epoch's number (docs/ARCHITECTURE.md, "One rule").
package typealias Term = UInt64
/// A position in the log; the first entry is 1, and 0 is the position before it.
package typealias LogIndex = UInt64
/// The shell's monotonic clock in units of its own choice (`RaftLimits` is in the same unit), rounded down.
package typealias Tick = UInt64

/// One entry of the replicated log.
package struct Entry: Equatable, Sendable {
    package enum Payload: Equatable, Sendable {
        /// The no-op that a new leader commits before anything else (Raft §8).
        case empty
        /// Opaque to Raft: what the state machine applies.
        case command([UInt8])
        /// The whole configuration that holds from this entry on, not the difference to the last.
        case configuration(Configuration)
    }

    package var index: LogIndex
    package var term: Term
    package var payload: Payload

    package init(index: LogIndex, term: Term, payload: Payload) {
        self.index = index
        self.term = term
        self.payload = payload
    }

    /// What the entry counts for against the byte limits: its payload and a little for its frame.
    package var byteCount: Int {
        switch self.payload {
        case .empty: Self.frameByteCount
        case .command(let bytes): Self.frameByteCount + bytes.count
        case .configuration(let configuration):
            Self.frameByteCount + 8 * (configuration.voters.count + configuration.learners.count)
        }
    }

    package static let frameByteCount = 32
}

/// What a node must find again after a restart, apart from its log.
package struct HardState: Equatable, Sendable {
    package var term: Term
    package var votedFor: NodeID?
    /// A lower bound, written along whenever something else is: nothing waits for it.
    package var commitIndex: LogIndex

    package init(term: Term = 0, votedFor: NodeID? = nil, commitIndex: LogIndex = 0) {
        self.term = term
        self.votedFor = votedFor
        self.commitIndex = commitIndex
    }
}

/// Who votes and who only listens. Both lists ascend and share no member.
package struct Configuration: Equatable, Sendable {
    package private(set) var voters: [NodeID]
    package private(set) var learners: [NodeID]

    package init(voters: [NodeID] = [], learners: [NodeID] = []) {
        let voting = Set(voters)
        self.voters = voting.sorted()
        self.learners = Set(learners).subtracting(voting).sorted()
    }

    package var members: [NodeID] { (self.voters + self.learners).sorted() }
    /// The votes that make a majority.
    package var quorum: Int { self.voters.count / 2 + 1 }

    package func isVoter(_ node: NodeID) -> Bool { self.voters.contains(node) }
    package func isLearner(_ node: NodeID) -> Bool { self.learners.contains(node) }
    package func contains(_ node: NodeID) -> Bool { self.isVoter(node) || self.isLearner(node) }
    /// The quorum disk, of which there is at most one, voting or learning.
    package var disk: NodeID? { self.voters.last { isDisk($0) } ?? self.learners.last { isDisk($0) } }
}

/// A change of at most one voter (Raft's dissertation §4.1), so that any majority before and any after it share a node.
package enum ConfigurationChange: Equatable, Sendable {
    case addLearner(NodeID)
    /// Makes a caught-up learner a voter.
    case promote(NodeID)
    /// Makes a voter a learner.
    case demote(NodeID)
    case remove(NodeID)

    package var node: NodeID {
        switch self {
        case .addLearner(let node), .promote(let node), .demote(let node), .remove(let node): node
        }
    }

    /// The configuration after the change; nil where it changes nothing, leaves no node to vote, or brings a second disk.
    package func applied(to configuration: Configuration) -> Configuration? {
        var voters = configuration.voters
        var learners = configuration.learners
        switch self {
        case .addLearner(let node):
            guard node != 0, !configuration.contains(node) else { return nil }
            // One at a time: a disk is replaced by taking the old one out first.
            if isDisk(node), configuration.disk != nil { return nil }
            learners.append(node)
        case .promote(let node):
            guard configuration.isLearner(node) else { return nil }
            learners.removeAll { $0 == node }
            voters.append(node)
        case .demote(let node):
            guard configuration.isVoter(node) else { return nil }
            voters.removeAll { $0 == node }
            learners.append(node)
        case .remove(let node):
            guard configuration.contains(node) else { return nil }
            voters.removeAll { $0 == node }
            learners.removeAll { $0 == node }
        }
        // A disk alone could elect nobody.
        return voters.allSatisfy(isDisk) ? nil : Configuration(voters: voters, learners: learners)
    }
}

/// What stands for the log's beginning: the position, and the configuration that held there. The state itself, and its
/// transfer in chunks, are the shell's.
package struct Snapshot: Equatable, Sendable {
    package var index: LogIndex
    package var term: Term
    package var configuration: Configuration

    package init(index: LogIndex = 0, term: Term = 0, configuration: Configuration = Configuration()) {
        self.index = index
        self.term = term
        self.configuration = configuration
    }
}

package enum Role: Equatable, Sendable {
    case follower
    case preCandidate
    case candidate
    case leader
    /// Storage failed or the log contradicts the cluster's: does nothing until the process is started anew.
    case stopped
}
