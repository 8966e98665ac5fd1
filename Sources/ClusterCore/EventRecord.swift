import Raft
import StateRecords

/// A step of a takeover, and how long it took.
package struct StepRecord: Equatable, BinaryRecord {
    package var name: String
    package var microseconds: UInt64

    package init(name: String, microseconds: UInt64) {
        self.name = name
        self.microseconds = microseconds
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.name)
        writer.write(self.microseconds)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.name = try reader.read()
        self.microseconds = try reader.read()
    }
}

/// Something that an administrator will ask about afterwards.
package struct EventRecord: Equatable, BinaryRecord {
    package enum Kind: UInt8, Sendable, CaseIterable {
        /// A node began to serve after another had stopped unasked (or for the first time).
        case takeover = 1
        /// A node began to serve because it was asked to.
        case move = 2
        case serverRestart = 3
        case bridgeRestart = 4
        /// The active node stopped serving by itself: quorum lost, fenced by a peer, storage failed.
        case fenced = 5
        /// A takeover could not be finished.
        case failure = 6
        case nodeJoined = 7
        case nodeLeft = 8
        /// A node's stored state was lost or damaged, and the others took it back as a new one. In section 2, as all below.
        case stateLost = 9
        /// The cluster was brought back from a backup.
        case restored = 10
        /// An administrator did something, or tried to: who, what, how it went.
        case administration = 11
        /// A takeover on purpose, under a copy that accounts for every byte.
        case drill = 12
        /// The cluster runs a newer version. From version 2 of the cluster on.
        case upgraded = 13

        /// The last that a reader of section 1 knows; to it the later ones are this.
        static let lastOfSectionOne = Kind.nodeLeft

        package var name: String {
            switch self {
            case .takeover: "takeover"
            case .move: "move"
            case .serverRestart: "server-restart"
            case .bridgeRestart: "bridge-restart"
            case .fenced: "fenced"
            case .failure: "failure"
            case .nodeJoined: "node-joined"
            case .nodeLeft: "node-left"
            case .stateLost: "state-lost"
            case .restored: "restored"
            case .administration: "administration"
            case .drill: "drill"
            case .upgraded: "upgraded"
            }
        }
    }

    package var kind: Kind
    package var node: NodeID
    package var term: Term
    /// The recording node's wall clock, milliseconds since 1970: for people; nothing decides by it.
    package var unixMilliseconds: UInt64
    package var steps: [StepRecord]
    package var detail: String

    package init(
        kind: Kind, node: NodeID, term: Term, unixMilliseconds: UInt64 = 0, steps: [StepRecord] = [],
        detail: String = ""
    ) {
        self.kind = kind
        self.node = node
        self.term = term
        self.unixMilliseconds = unixMilliseconds
        self.steps = steps
        self.detail = detail
    }

    package var totalMicroseconds: UInt64 { self.steps.reduce(0) { $0 &+ $1.microseconds } }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 2) { writer in
            writer.write(min(self.kind.rawValue, Kind.lastOfSectionOne.rawValue))
            writer.write(self.node)
            writer.write(self.term)
            writer.write(self.unixMilliseconds)
            writer.write(self.steps)
            writer.write(self.detail)
            writer.write(self.kind.rawValue)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            let tag = try reader.read(UInt8.self)
            guard let kind = Kind(rawValue: tag) else { throw .unknownTag(kind: "event", value: tag) }
            var record = EventRecord(
                kind: kind, node: try reader.read(), term: try reader.read(), unixMilliseconds: try reader.read(),
                steps: try reader.readArray(), detail: try reader.read())
            // One that only a newer version knows keeps what it is to an older one.
            if version >= 2 { record.kind = Kind(rawValue: try reader.read(UInt8.self)) ?? kind }
            return record
        }
    }
}

/// A join token, without the secret: only its hash is kept.
package struct TokenRecord: Equatable, BinaryRecord {
    /// SHA-256 of the token's secret.
    package var hash: [UInt8]
    /// How long it may be used, counted on the leader's own monotonic clock from the moment at which that leader applied
    /// this record: the nodes' wall clocks may differ by days.
    package var validMilliseconds: UInt64

    package init(hash: [UInt8], validMilliseconds: UInt64) {
        self.hash = hash
        self.validMilliseconds = validMilliseconds
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.hash)
        writer.write(self.validMilliseconds)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.hash = try reader.read()
        self.validMilliseconds = try reader.read()
    }
}
