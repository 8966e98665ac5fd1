import Raft
import StateRecords

/// One change of the replicated state: what an entry of the Raft log carries.
package enum Command: Equatable, BinaryRecord {
    /// What smbserverd journals. `epoch` is the term that the server was started in; an entry of any other term is void
    /// (one rule: the term is the journal's epoch).
    case mutate(epoch: Term, [Mutation])
    /// A node joins with a token, which is used up. The id in the record is ignored: the state gives it out.
    case addNode(NodeRecord, tokenHash: [UInt8])
    case removeNode(NodeID)
    /// A node's clusterd started, or its certificate, address or interface changed.
    case updateNode(NodeRecord)
    case addShare(ShareRecord)
    case removeShare(name: String)
    /// Adds the user or replaces the password.
    case putUser(name: String, ntHash: [UInt8])
    case removeUser(name: String)
    case putToken(TokenRecord)
    case removeToken(hash: [UInt8])
    case setSettings(ClusterSettings)
    /// This node serves, with the fence key of this term.
    case activate(node: NodeID, term: Term, EventRecord)
    /// It stopped serving, in order; `steps` is what it did for that, and what the next node's record begins with.
    case deactivate(node: NodeID, term: Term, steps: [StepRecord])
    case record(EventRecord)
    /// A `ServerLimit` by its name, which a newer version may know alone.
    case setLimit(name: String, value: UInt64)
    /// What `clusterctl share set` changes of a share.
    case changeShare(ShareChange)
    case setAdministrator(name: String, Bool)
    /// In the place of the share's schedule before it.
    case setSnapshotSchedule(SnapshotSchedule)
    case removeSnapshotSchedule(share: String)
    case putCredential(RemoteCredential)
    case removeCredential(name: String)
    /// A `SecuritySetting` by its name, with a value as a person types it.
    case setSecurity(name: String, value: String)
    /// Other portals, or another login, of the same LUN. Secret.
    case setStorageAddress(String)
    /// The quorum disk that the cluster is to have from now on; nil: none. Its number and areas are given by the state.
    case setQuorumDisk(QuorumDiskRecord?)
    /// The machine of this node, which is no member any more, lost its state and comes back under a new id.
    case replaceNode(NodeID)
    /// The cluster runs this version from here on. `stated`: what each node's program can run, as it said to the leader; void where
    /// that is not every node of the state, or one of them cannot run it.
    case raiseVersion(ClusterVersion, stated: [StatedProgram])

    static let raiseVersionTag: UInt8 = 100

    package func encode(into writer: inout BinaryWriter) {
        switch self {
        case .mutate(let epoch, let mutations):
            writer.write(UInt8(1))
            writer.write(epoch)
            writer.write(mutations)
        case .addNode(let node, let hash):
            writer.write(UInt8(2))
            writer.write(node)
            writer.write(hash)
        case .removeNode(let id):
            writer.write(UInt8(3))
            writer.write(id)
        case .updateNode(let node):
            writer.write(UInt8(4))
            writer.write(node)
        case .addShare(let share):
            writer.write(UInt8(5))
            writer.write(share)
        case .removeShare(let name):
            writer.write(UInt8(6))
            writer.write(name)
        case .putUser(let name, let hash):
            writer.write(UInt8(7))
            writer.write(name)
            writer.write(hash)
        case .removeUser(let name):
            writer.write(UInt8(8))
            writer.write(name)
        case .putToken(let token):
            writer.write(UInt8(9))
            writer.write(token)
        case .removeToken(let hash):
            writer.write(UInt8(10))
            writer.write(hash)
        case .setSettings(let settings):
            writer.write(UInt8(11))
            writer.write(settings)
        case .activate(let node, let term, let event):
            writer.write(UInt8(12))
            writer.write(node)
            writer.write(term)
            writer.write(event)
        case .deactivate(let node, let term, let steps):
            writer.write(UInt8(13))
            writer.write(node)
            writer.write(term)
            writer.write(steps)
        case .record(let event):
            writer.write(UInt8(14))
            writer.write(event)
        case .setSecurity(let name, let value):
            writer.write(UInt8(21))
            writer.write(name)
            writer.write(value)
        case .setLimit(let name, let value):
            writer.write(UInt8(20))
            writer.write(name)
            writer.write(value)
        case .changeShare(let change):
            writer.write(UInt8(15))
            writer.write(change)
        case .setAdministrator(let name, let isAdministrator):
            writer.write(UInt8(16))
            writer.write(name)
            writer.write(isAdministrator)
        case .setSnapshotSchedule(let schedule):
            writer.write(UInt8(30))
            writer.write(schedule)
        case .removeSnapshotSchedule(let share):
            writer.write(UInt8(31))
            writer.write(share)
        case .putCredential(let credential):
            writer.write(UInt8(60))
            writer.write(credential)
        case .removeCredential(let name):
            writer.write(UInt8(61))
            writer.write(name)
        case .setStorageAddress(let lun):
            writer.write(UInt8(90))
            writer.write(lun)
        case .setQuorumDisk(let record):
            writer.write(UInt8(45))
            writer.write(record)
        case .replaceNode(let id):
            writer.write(UInt8(50))
            writer.write(id)
        case .raiseVersion(let version, let stated):
            writer.write(Self.raiseVersionTag)
            writer.write(version.rawValue)
            writer.write(stated)
        }
    }

    /// Whether commands begin with this byte.
    static func isKnown(tag: UInt8) -> Bool {
        switch tag {
        case 1...16, 20, 21, 30, 31, 45, 50, 60, 61, 90, Self.raiseVersionTag: true
        default: false
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 1: self = .mutate(epoch: try reader.read(), try reader.readArray())
        case 2: self = .addNode(try reader.read(), tokenHash: try reader.read())
        case 3: self = .removeNode(try reader.read())
        case 4: self = .updateNode(try reader.read())
        case 5: self = .addShare(try reader.read())
        case 6: self = .removeShare(name: try reader.read())
        case 7: self = .putUser(name: try reader.read(), ntHash: try reader.read())
        case 8: self = .removeUser(name: try reader.read())
        case 9: self = .putToken(try reader.read())
        case 10: self = .removeToken(hash: try reader.read())
        case 11: self = .setSettings(try reader.read())
        case 12: self = .activate(node: try reader.read(), term: try reader.read(), try reader.read())
        case 13: self = .deactivate(node: try reader.read(), term: try reader.read(), steps: try reader.readArray())
        case 14: self = .record(try reader.read())
        case 21: self = .setSecurity(name: try reader.read(), value: try reader.read())
        case 90: self = .setStorageAddress(try reader.read())
        case 20: self = .setLimit(name: try reader.read(), value: try reader.read())
        case 15: self = .changeShare(try reader.read())
        case 16: self = .setAdministrator(name: try reader.read(), try reader.read())
        case 30: self = .setSnapshotSchedule(try reader.read())
        case 31: self = .removeSnapshotSchedule(share: try reader.read())
        case 60: self = .putCredential(try reader.read())
        case 61: self = .removeCredential(name: try reader.read())
        case 45: self = .setQuorumDisk(try reader.readOptional())
        case 50: self = .replaceNode(try reader.read())
        case Self.raiseVersionTag:
            self = .raiseVersion(ClusterVersion(rawValue: try reader.read()), stated: try reader.readArray())
        default: throw .unknownTag(kind: "command", value: tag)
        }
    }
}

/// What a node's program can run, as the node said.
package struct StatedProgram: Equatable, BinaryRecord {
    package var node: NodeID
    package var program: NodeProgram

    package init(node: NodeID, program: NodeProgram) {
        self.node = node
        self.program = program
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.node)
        writer.write(self.program)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.node = try reader.read()
        self.program = try reader.read()
    }
}

/// What became of a command when it was applied, the same on every node.
package enum CommandResult: Equatable, Sendable {
    case done
    /// The node with the id that it was given.
    case added(NodeRecord)
    case refused(Refusal)
}

/// Why a command changed nothing. For people.
package enum Refusal: Equatable, Sendable, CustomStringConvertible {
    case staleEpoch(Term, now: Term)
    case exists(String)
    case unknown(String)
    case tokenUnknown
    case tooMany(String, limit: Int)
    case inUse(String)
    case invalid(String)
    /// Not even proposed, or of no effect: the cluster runs an older version.
    case heldBack(VersionHold)

    package var description: String {
        switch self {
        case .staleEpoch(let epoch, let now): "the journal's epoch \(epoch) is not the term \(now)"
        case .exists(let what): "\(what) exists already"
        case .unknown(let what): "there is no \(what)"
        case .tokenUnknown:
            "the join token is unknown, used or expired: make a new one with 'clusterctl token' on a member"
        case .tooMany(let what, let limit): "there are already \(limit) \(what), which is the limit"
        case .inUse(let what), .invalid(let what): "\(what)"
        case .heldBack(let hold): "\(hold)"
        }
    }
}
