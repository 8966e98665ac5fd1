import Raft
import StateRecords

/// What clusterctl asks of clusterd over DIR/admin.sock, one frame a connection, and what a follower passes on to the
/// leader.
package enum AdminRequest: Equatable, BinaryRecord {
    case initialize(InitializeParameters)
    case join(JoinParameters)
    case token(validMilliseconds: UInt64)
    case status
    case addShare(ShareRecord)
    case removeShare(name: String)
    /// `replaces`: the user must exist; else must not.
    case putUser(name: String, ntHash: [UInt8], replaces: Bool)
    case removeUser(name: String)
    case listUsers
    /// To this node, or wherever it can go.
    case move(node: String)
    /// This node, or another.
    case leave(node: String)
    case inspectOpens
    /// From a node to the leader: it started, with these properties.
    case nodeStarted(NodeRecord)
    case changeNode(NodeChange)
    /// A `ServerLimit` by its name.
    case setLimit(name: String, value: UInt64)
    case changeShare(ShareChange)
    case setAdministrator(name: String, Bool)
    /// For the server of the node that serves.
    case snapshot(SnapshotOrder)
    case setSnapshotSchedule(SnapshotSchedule)
    case removeSnapshotSchedule(share: String)
    case listSnapshotSchedules
    /// Credentials with which a person administers the cluster from another machine. `days` of `RemoteCredential.days`.
    case issueCredentials(name: String, days: UInt32)
    case revokeCredentials(name: String)
    case listCredentials
    /// Of the node that is asked: shows its certificate, or has it replaced.
    case certificate(renews: Bool)
    /// From a node to the leader: a new certificate for that node.
    case reissueCertificate
    /// For the node that is asked. Secret. Empty: the cluster's own LUN.
    case checkStorage(lun: String)
    /// The LUN was made larger at the target: look, and have the file system follow.
    case growStorage
    /// The LUN of the cluster, over other portals or with another login. Secret.
    case setStorageAddress(lun: String)
    /// A `SecuritySetting` by its name, with a value as a person types it.
    case setSecurity(name: String, value: String)
    /// Lays the LUN out and has it vote in the place of whatever quorum disk there is; empty: takes that one out.
    /// `forces`: also a LUN that was another quorum disk.
    case replaceQuorumDisk(lun: String, forces: Bool)
    /// From a node whose state is lost, with its certificate: take it back, as one that knows nothing. Why, for people.
    case rejoin(reason: String)
    /// `isLocal`: from the node that is asked, as it has it.
    case backup(isLocal: Bool)
    case restore(RestoreParameters)
    case events
    /// `index` 0: as the leader has it now. Else as of that entry, from what the node that is asked keeps.
    case inspect(InspectedPart, index: LogIndex)
    /// Takes the share from the node that serves it, where the cluster is whole.
    case drill(DrillKind)
    /// What came of it.
    case drilled(DrillReport)
    /// From a node to the leader: what its administrator asks, and who that is.
    indirect case audited(AdminRequest, by: String)
    /// Raises the cluster to the newest version that all nodes can run. Since version 2, as what follows.
    case finishUpgrade
    /// `rejoin`, with what the node's program can run.
    case rejoinStating(reason: String, NodeProgram)

    package func encode(into writer: inout BinaryWriter) {
        switch self {
        case .initialize(let parameters):
            writer.write(UInt8(1))
            writer.write(parameters)
        case .join(let parameters):
            writer.write(UInt8(2))
            writer.write(parameters)
        case .token(let valid):
            writer.write(UInt8(3))
            writer.write(valid)
        case .status: writer.write(UInt8(4))
        case .addShare(let share):
            writer.write(UInt8(5))
            writer.write(share)
        case .removeShare(let name):
            writer.write(UInt8(6))
            writer.write(name)
        case .putUser(let name, let hash, let replaces):
            writer.write(UInt8(7))
            writer.write(name)
            writer.write(hash)
            writer.write(replaces)
        case .removeUser(let name):
            writer.write(UInt8(8))
            writer.write(name)
        case .listUsers: writer.write(UInt8(9))
        case .move(let node):
            writer.write(UInt8(10))
            writer.write(node)
        case .leave(let node):
            writer.write(UInt8(11))
            writer.write(node)
        case .inspectOpens: writer.write(UInt8(12))
        case .nodeStarted(let node):
            writer.write(UInt8(13))
            writer.write(node)
        case .changeNode(let change):
            writer.write(UInt8(82))
            writer.write(change)
        case .setSecurity(let name, let value):
            writer.write(UInt8(21))
            writer.write(name)
            writer.write(value)
        case .setLimit(let name, let value):
            writer.write(UInt8(20))
            writer.write(name)
            writer.write(value)
        case .changeShare(let change):
            writer.write(UInt8(14))
            writer.write(change)
        case .setAdministrator(let name, let isAdministrator):
            writer.write(UInt8(15))
            writer.write(name)
            writer.write(isAdministrator)
        case .snapshot(let order):
            writer.write(UInt8(30))
            writer.write(order)
        case .setSnapshotSchedule(let schedule):
            writer.write(UInt8(31))
            writer.write(schedule)
        case .removeSnapshotSchedule(let share):
            writer.write(UInt8(32))
            writer.write(share)
        case .listSnapshotSchedules: writer.write(UInt8(33))
        case .issueCredentials(let name, let days):
            writer.write(UInt8(60))
            writer.write(name)
            writer.write(days)
        case .revokeCredentials(let name):
            writer.write(UInt8(61))
            writer.write(name)
        case .listCredentials: writer.write(UInt8(62))
        case .certificate(let renews):
            writer.write(UInt8(63))
            writer.write(renews)
        case .reissueCertificate: writer.write(UInt8(64))
        case .checkStorage(let lun):
            writer.write(UInt8(40))
            writer.write(lun)
        case .growStorage: writer.write(UInt8(70))
        case .setStorageAddress(let lun):
            writer.write(UInt8(71))
            writer.write(lun)
        case .replaceQuorumDisk(let lun, let forces):
            writer.write(UInt8(45))
            writer.write(lun)
            writer.write(forces)
        case .rejoin(let reason):
            writer.write(UInt8(50))
            writer.write(reason)
        case .backup(let isLocal):
            writer.write(UInt8(51))
            writer.write(isLocal)
        case .restore(let parameters):
            writer.write(UInt8(52))
            writer.write(parameters)
        case .events: writer.write(UInt8(53))
        case .inspect(let part, let index):
            writer.write(UInt8(54))
            writer.write(part.rawValue)
            writer.write(index)
        case .drill(let kind):
            writer.write(UInt8(56))
            writer.write(kind.rawValue)
        case .drilled(let report):
            writer.write(UInt8(57))
            writer.write(report)
        case .audited(let request, let who):
            writer.write(UInt8(55))
            writer.write(who)
            writer.write(request)
        case .finishUpgrade: writer.write(UInt8(80))
        case .rejoinStating(let reason, let program):
            writer.write(UInt8(81))
            writer.write(reason)
            writer.write(program)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 1: self = .initialize(try reader.read())
        case 2: self = .join(try reader.read())
        case 3: self = .token(validMilliseconds: try reader.read())
        case 4: self = .status
        case 5: self = .addShare(try reader.read())
        case 6: self = .removeShare(name: try reader.read())
        case 7: self = .putUser(name: try reader.read(), ntHash: try reader.read(), replaces: try reader.read())
        case 8: self = .removeUser(name: try reader.read())
        case 9: self = .listUsers
        case 10: self = .move(node: try reader.read())
        case 11: self = .leave(node: try reader.read())
        case 12: self = .inspectOpens
        case 13: self = .nodeStarted(try reader.read())
        case 82: self = .changeNode(try reader.read())
        case 21: self = .setSecurity(name: try reader.read(), value: try reader.read())
        case 20: self = .setLimit(name: try reader.read(), value: try reader.read())
        case 14: self = .changeShare(try reader.read())
        case 15: self = .setAdministrator(name: try reader.read(), try reader.read())
        case 30: self = .snapshot(try reader.read())
        case 31: self = .setSnapshotSchedule(try reader.read())
        case 32: self = .removeSnapshotSchedule(share: try reader.read())
        case 33: self = .listSnapshotSchedules
        case 60: self = .issueCredentials(name: try reader.read(), days: try reader.read())
        case 61: self = .revokeCredentials(name: try reader.read())
        case 62: self = .listCredentials
        case 63: self = .certificate(renews: try reader.read())
        case 64: self = .reissueCertificate
        case 40: self = .checkStorage(lun: try reader.read())
        case 70: self = .growStorage
        case 71: self = .setStorageAddress(lun: try reader.read())
        case 45: self = .replaceQuorumDisk(lun: try reader.read(), forces: try reader.read())
        case 50: self = .rejoin(reason: try reader.read())
        case 51: self = .backup(isLocal: try reader.read())
        case 52: self = .restore(try reader.read())
        case 53: self = .events
        case 54:
            let part = try reader.read(UInt8.self)
            guard let part = InspectedPart(rawValue: part) else { throw .unknownTag(kind: "part", value: part) }
            self = .inspect(part, index: try reader.read())
        case 56:
            let kind = try reader.read(UInt8.self)
            guard let kind = DrillKind(rawValue: kind) else { throw .unknownTag(kind: "drill", value: kind) }
            self = .drill(kind)
        case 57: self = .drilled(try reader.read())
        case 55:
            let who = try reader.read(String.self)
            // One level: what comes from outside must not decide how deep this goes.
            var ahead = reader
            guard try ahead.read(UInt8.self) != tag else { throw .unknownTag(kind: "audited request", value: tag) }
            self = .audited(try reader.read(), by: who)
        case 80: self = .finishUpgrade
        case 81: self = .rejoinStating(reason: try reader.read(), try reader.read())
        default: throw .unknownTag(kind: "admin request", value: tag)
        }
    }
}

/// Why an administrator's command did nothing.
package struct AdminFailure: Error, Equatable, BinaryRecord {
    package enum Code: UInt8, Sendable {
        /// The command itself cannot be done: a name that exists, a token that expired. Exit status 1.
        case refused = 1
        /// Not now: no quorum, no leader, a move under way. Exit status 3.
        case unavailable = 3
        /// This node is not in a cluster, or is in one already. Exit status 4.
        case wrongState = 4
        /// Storage: unreachable, foreign, reserved by another. Exit status 5.
        case storage = 5
    }

    /// What the programs of before version 2 say of a request that they do not know.
    package static let otherVersion = AdminFailure(
        .refused, "the leader runs another version: upgrade the nodes to one version")

    package var code: Code
    /// What happened and what to do next.
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.code.rawValue)
        writer.write(self.message)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        guard let code = Code(rawValue: tag) else { throw .unknownTag(kind: "failure", value: tag) }
        self.init(code, try reader.read())
    }
}

package enum AdminReply: Equatable, BinaryRecord {
    case done(String)
    case failed(AdminFailure)
    case token(String)
    /// JSON would need a parser in the daemon: ``ClusterStatus`` travels as records.
    case status(StatusReport)
    case users([String])
    case opens([OpenRecord])
    case snapshots([SnapshotRecord])
    case snapshotSchedules([SnapshotSchedule])
    case credentials(CredentialsReply)
    case credentialList([RemoteCredential])
    case storage(StorageReport)
    /// To `rejoin`.
    case joined(JoinReply)
    /// ``ClusterBackup/bytes``. Secret.
    case backup([UInt8])
    case events(EventHistory)
    case inspection(Inspection)

    package func encode(into writer: inout BinaryWriter) {
        switch self {
        case .done(let text):
            writer.write(UInt8(1))
            writer.write(text)
        case .failed(let failure):
            writer.write(UInt8(2))
            writer.write(failure)
        case .token(let text):
            writer.write(UInt8(3))
            writer.write(text)
        case .status(let report):
            writer.write(UInt8(4))
            writer.write(report)
        case .users(let names):
            writer.write(UInt8(5))
            writer.write(names)
        case .opens(let opens):
            writer.write(UInt8(6))
            writer.write(opens)
        case .snapshots(let snapshots):
            writer.write(UInt8(30))
            writer.write(snapshots)
        case .snapshotSchedules(let schedules):
            writer.write(UInt8(31))
            writer.write(schedules)
        case .credentials(let credentials):
            writer.write(UInt8(60))
            writer.write(credentials)
        case .credentialList(let list):
            writer.write(UInt8(61))
            writer.write(list)
        case .storage(let report):
            writer.write(UInt8(40))
            writer.write(report)
        case .joined(let reply):
            writer.write(UInt8(50))
            writer.write(reply)
        case .backup(let bytes):
            writer.write(UInt8(51))
            writer.write(bytes)
        case .events(let history):
            writer.write(UInt8(53))
            writer.write(history)
        case .inspection(let inspection):
            writer.write(UInt8(54))
            writer.write(inspection)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 1: self = .done(try reader.read())
        case 2: self = .failed(try reader.read())
        case 3: self = .token(try reader.read())
        case 4: self = .status(try reader.read())
        case 5: self = .users(try reader.readStrings())
        case 6: self = .opens(try reader.readArray())
        case 30: self = .snapshots(try reader.readArray())
        case 60: self = .credentials(try reader.read())
        case 61: self = .credentialList(try reader.readArray())
        case 31: self = .snapshotSchedules(try reader.readArray())
        case 40: self = .storage(try reader.read())
        case 50: self = .joined(try reader.read())
        case 51: self = .backup(try reader.read())
        case 53: self = .events(try reader.read())
        case 54: self = .inspection(try reader.read())
        default: throw .unknownTag(kind: "admin reply", value: tag)
        }
    }
}
