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
    /// From a node to the leader: what its administrator asks, and who that is.
    indirect case audited(AdminRequest, by: String)

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
        case .audited(let request, let who):
            writer.write(UInt8(55))
            writer.write(who)
            writer.write(request)
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
        case 55:
            let who = try reader.read(String.self)
            // One level: what comes from outside must not decide how deep this goes.
            var ahead = reader
            guard try ahead.read(UInt8.self) != tag else { throw .unknownTag(kind: "audited request", value: tag) }
            self = .audited(try reader.read(), by: who)
        default: throw .unknownTag(kind: "admin request", value: tag)
        }
    }
}

/// `clusterctl init`.
package struct InitializeParameters: Equatable, BinaryRecord {
    package var clusterName: String
    package var nodeName: String
    package var address: String
    package var virtualIP: String
    package var interface: String
    /// Secret.
    package var lun: String
    /// Make the file system on a LUN that is proved empty.
    package var formats: Bool
    /// Use the XFS that the LUN already holds.
    package var adopts: Bool
    /// Throw out reservations that are there.
    package var forces: Bool
    /// Take a target that lacks something of what fencing needs. Since version 2.
    package var acceptsUnsafe = false
    /// The quorum disk's LUN; empty: none. Secret. Since version 3.
    package var quorumLUN = ""

    package init(
        clusterName: String, nodeName: String, address: String, virtualIP: String, interface: String, lun: String,
        formats: Bool, adopts: Bool, forces: Bool, acceptsUnsafe: Bool = false
    ) {
        self.clusterName = clusterName
        self.nodeName = nodeName
        self.address = address
        self.virtualIP = virtualIP
        self.interface = interface
        self.lun = lun
        self.formats = formats
        self.adopts = adopts
        self.forces = forces
        self.acceptsUnsafe = acceptsUnsafe
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 3) { writer in
            writer.write(self.clusterName)
            writer.write(self.nodeName)
            writer.write(self.address)
            writer.write(self.virtualIP)
            writer.write(self.interface)
            writer.write(self.lun)
            writer.write(self.formats)
            writer.write(self.adopts)
            writer.write(self.forces)
            writer.write(self.acceptsUnsafe)
            writer.write(self.quorumLUN)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            var parameters = InitializeParameters(
                clusterName: try reader.read(), nodeName: try reader.read(), address: try reader.read(),
                virtualIP: try reader.read(), interface: try reader.read(), lun: try reader.read(),
                formats: try reader.read(), adopts: try reader.read(), forces: try reader.read(),
                acceptsUnsafe: version >= 2 ? try reader.read() : false)
            if version >= 3 { parameters.quorumLUN = try reader.read() }
            return parameters
        }
    }
}

/// `clusterctl join`, on the machine that joins.
package struct JoinParameters: Equatable, BinaryRecord {
    /// A member: `host:port`.
    package var member: String
    /// The token as it was printed. Secret.
    package var token: String
    package var nodeName: String
    package var address: String
    package var interface: String
    package var role: NodeRole

    package init(
        member: String, token: String, nodeName: String, address: String, interface: String, role: NodeRole
    ) {
        self.member = member
        self.token = token
        self.nodeName = nodeName
        self.address = address
        self.interface = interface
        self.role = role
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.member)
            writer.write(self.token)
            writer.write(self.nodeName)
            writer.write(self.address)
            writer.write(self.interface)
            writer.write(self.role.rawValue)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            JoinParameters(
                member: try reader.read(), token: try reader.read(), nodeName: try reader.read(),
                address: try reader.read(), interface: try reader.read(), role: try reader.readRole())
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

/// The raw material of a ``ClusterStatus``: the reporter's replicated state without its secrets, and what it alone knows.
package struct StatusReport: Equatable, BinaryRecord {
    package struct NodeReport: Equatable, BinaryRecord {
        package var id: NodeID
        package var isConnected: Bool
        /// 0 unknown, 1 follower, 2 learner, 3 leader.
        package var role: UInt8
        package var lag: UInt64
        package var knowsLag: Bool
        /// Whether it reaches the LUN. In the report's section 2: an older version does not know it.
        package var reach: Reach

        package init(id: NodeID, isConnected: Bool, role: UInt8, lag: UInt64?, reach: Reach = .unknown) {
            self.id = id
            self.isConnected = isConnected
            self.role = role
            self.lag = lag ?? 0
            self.knowsLag = lag != nil
            self.reach = reach
        }

        package func encode(into writer: inout BinaryWriter) {
            writer.write(self.id)
            writer.write(self.isConnected)
            writer.write(self.role)
            writer.write(self.lag)
            writer.write(self.knowsLag)
        }

        package init(from reader: inout BinaryReader) throws(RecordError) {
            self.id = try reader.read()
            self.isConnected = try reader.read()
            self.role = try reader.read()
            self.lag = try reader.read()
            self.knowsLag = try reader.read()
            self.reach = .unknown
        }
    }

    package var reporter: String
    /// Secrets blanked.
    package var state: ClusterState
    package var term: Term
    package var commitIndex: LogIndex
    package var leader: String
    package var hasQuorum: Bool
    package var phase: String
    package var problem: String
    package var nodes: [NodeReport]
    package var lun: String
    package var fileSystem: String
    package var fence: String
    package var server: ServerStatus?
    package var handles: HandleCounts
    /// nil: the cluster has none, and is to have none. In section 3.
    package var quorumDisk: QuorumDiskStatus?
    /// The reporter's ways to the LUN. In section 4.
    package var paths: [PathReport] = []

    package init(
        reporter: String, state: ClusterState, active: ActiveNode?, term: Term, commitIndex: LogIndex, leader: String,
        hasQuorum: Bool, phase: String, problem: String, nodes: [NodeReport], lun: String, fileSystem: String,
        fence: String, server: ServerStatus?
    ) {
        self.reporter = reporter
        self.handles = HandleCounts(state.handles)
        self.state = state.forPeople(active: active)
        self.term = term
        self.commitIndex = commitIndex
        self.leader = leader
        self.hasQuorum = hasQuorum
        self.phase = phase
        self.problem = problem
        self.nodes = nodes
        self.lun = lun
        self.fileSystem = fileSystem
        self.fence = fence
        self.server = server
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 4) { writer in
            writer.write(self.reporter)
            writer.write(self.state)
            writer.write(self.term)
            writer.write(self.commitIndex)
            writer.write(self.leader)
            writer.write(self.hasQuorum)
            writer.write(self.phase)
            writer.write(self.problem)
            writer.write(self.nodes)
            writer.write(self.lun)
            writer.write(self.fileSystem)
            writer.write(self.fence)
            writer.write(self.server)
            writer.write(self.handles)
            for node in self.nodes { writer.write(node.reach.rawValue) }
            writer.write(self.quorumDisk)
            writer.write(self.paths)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            let reporter = try reader.read(String.self)
            let state = try reader.read(ClusterState.self)
            var report = StatusReport(
                reporter: reporter, state: state, active: state.active, term: try reader.read(),
                commitIndex: try reader.read(), leader: try reader.read(), hasQuorum: try reader.read(),
                phase: try reader.read(), problem: try reader.read(), nodes: try reader.readArray(),
                lun: try reader.read(), fileSystem: try reader.read(), fence: try reader.read(),
                server: try reader.readOptional())
            report.handles = try reader.read()
            guard version >= 2 else { return report }
            for index in report.nodes.indices {
                report.nodes[index].reach = Reach(rawValue: try reader.read(UInt8.self)) ?? .unknown
            }
            if version >= 3 { report.quorumDisk = try reader.readOptional() }
            if version >= 4 { report.paths = try reader.readArray() }
            return report
        }
    }

    package var status: ClusterStatus {
        let configuration = self.state.configuration
        let roles = ["unknown", "follower", "learner", "leader"]
        let nodes = configuration.nodes.map { record in
            let report = self.nodes.first { $0.id == record.id }
            return ClusterStatus.Node(
                id: record.id, name: record.name, address: record.address, kind: record.role.name,
                role: roles[min(Int(report?.role ?? 0), roles.count - 1)], connected: report?.isConnected ?? false,
                active: self.state.active?.node == record.id, incarnation: record.incarnation,
                lag: report.flatMap { $0.knowsLag ? $0.lag : nil },
                lunReachable: record.role == .data ? report?.reach.isYes : nil)
        }
        var status = ClusterStatus(
            reporter: self.reporter, state: self.state, term: self.term, commitIndex: self.commitIndex,
            leader: self.leader.isEmpty ? nil : self.leader, hasQuorum: self.hasQuorum, phase: self.phase,
            problem: self.problem.isEmpty ? nil : self.problem, nodes: nodes, lun: self.lun,
            fileSystem: self.fileSystem, fence: self.fence, server: self.server, handles: self.handles)
        status.quorumDisk = self.quorumDisk.map {
            ClusterStatus.QuorumDisk(lun: $0.lun, role: $0.role, state: $0.state, ready: $0.isReady)
        }
        status.paths = self.paths.map {
            ClusterStatus.Path(portal: $0.portal, reached: $0.reach.isYes, used: $0.isUsed)
        }
        return status
    }
}

/// One of a node's ways to the LUN.
package struct PathReport: Equatable, BinaryRecord {
    package var portal: String
    package var reach: Reach
    /// This node uses the LUN over it.
    package var isUsed: Bool

    package init(portal: String, reach: Reach, isUsed: Bool) {
        self.portal = portal
        self.reach = reach
        self.isUsed = isUsed
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.portal)
        writer.write(self.reach.rawValue)
        writer.write(self.isUsed)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.portal = try reader.read()
        self.reach = Reach(rawValue: try reader.read(UInt8.self)) ?? .unknown
        self.isUsed = try reader.read()
    }
}

/// The quorum disk as the reporter sees it.
package struct QuorumDiskStatus: Equatable, BinaryRecord {
    /// Without the password.
    package var lun: String
    /// `voter`, `learner`, `joining` or `leaving`.
    package var role: String
    /// For people.
    package var state: String
    package var isReady: Bool

    package init(lun: String, role: String, state: String, isReady: Bool) {
        self.lun = lun
        self.role = role
        self.state = state
        self.isReady = isReady
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.lun)
        writer.write(self.role)
        writer.write(self.state)
        writer.write(self.isReady)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.lun = try reader.read()
        self.role = try reader.read()
        self.state = try reader.read()
        self.isReady = try reader.read()
    }
}

/// The opens that survive a failover, counted by kind.
package struct HandleCounts: Equatable, BinaryRecord {
    package var persistent: UInt32 = 0
    package var durable: UInt32 = 0
    package var locks: UInt32 = 0
    package var leases: UInt32 = 0

    package init(_ state: HandleState) {
        for open in state.opens.values {
            if open.isPersistent { self.persistent += 1 } else { self.durable += 1 }
            self.locks += UInt32(clamping: open.locks.count)
            if let lease = open.lease, lease.state != 0 { self.leases += 1 }
        }
    }

    package func encode(into writer: inout BinaryWriter) {
        for count in [self.persistent, self.durable, self.locks, self.leases] { writer.write(count) }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.persistent = try reader.read()
        self.durable = try reader.read()
        self.locks = try reader.read()
        self.leases = try reader.read()
    }
}

// MARK: Between nodes

/// A machine that is no node yet asks to become one.
package struct JoinRequest: Equatable, BinaryRecord {
    /// Of the token.
    package var secret: [UInt8]
    package var node: NodeRecord

    package init(secret: [UInt8], node: NodeRecord) {
        self.secret = secret
        self.node = node
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.secret)
        writer.write(self.node)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.secret = try reader.read()
        self.node = try reader.read()
    }
}

package enum JoinReply: Equatable, BinaryRecord {
    case accepted(
        node: NodeRecord, clusterName: String, certificatePEM: String, keyPEM: String, authorityPEM: String,
        peers: [NodeRecord])
    /// Ask that one: it leads.
    case redirect(address: String)
    case refused(AdminFailure)

    package func encode(into writer: inout BinaryWriter) {
        switch self {
        case .accepted(let node, let name, let certificate, let key, let authority, let peers):
            writer.write(UInt8(1))
            writer.write(node)
            writer.write(name)
            writer.write(certificate)
            writer.write(key)
            writer.write(authority)
            writer.write(peers)
        case .redirect(let address):
            writer.write(UInt8(2))
            writer.write(address)
        case .refused(let failure):
            writer.write(UInt8(3))
            writer.write(failure)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 1:
            self = .accepted(
                node: try reader.read(), clusterName: try reader.read(), certificatePEM: try reader.read(),
                keyPEM: try reader.read(), authorityPEM: try reader.read(), peers: try reader.readArray())
        case 2: self = .redirect(address: try reader.read())
        case 3: self = .refused(try reader.read())
        default: throw .unknownTag(kind: "join reply", value: tag)
        }
    }
}
