import Raft
import StateRecords

/// Every time-out that the administrator may choose, in milliseconds, and the SMB server's limits. The defaults suit metal and quiet virtual machines.
package struct ClusterSettings: Equatable, BinaryRecord {
    package var heartbeatMilliseconds: UInt32 = 100
    package var electionMinimumMilliseconds: UInt32 = 1200
    package var electionMaximumMilliseconds: UInt32 = 1800
    /// How long after the SENDING of a heartbeat that a majority answered the active node may go on serving. Below the
    /// shortest election time-out, so that it has stopped before another can have been elected.
    package var leaseMilliseconds: UInt32 = 900
    /// In section 2.
    package var limits = ServerLimits()
    /// In section 3. Whether clients must sign stands in the configuration's own section, too, where older versions look.
    package var security = SecuritySettings()

    package init() {}

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 3) { writer in
            writer.write(self.heartbeatMilliseconds)
            writer.write(self.electionMinimumMilliseconds)
            writer.write(self.electionMaximumMilliseconds)
            writer.write(self.leaseMilliseconds)
            writer.write(self.limits)
            writer.write(self.security)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            var settings = ClusterSettings()
            settings.heartbeatMilliseconds = try reader.read()
            settings.electionMinimumMilliseconds = try reader.read()
            settings.electionMaximumMilliseconds = try reader.read()
            settings.leaseMilliseconds = try reader.read()
            if version >= 2 { settings.limits = try reader.read() }
            if version >= 3 { settings.security = try reader.read() }
            return settings
        }
    }

    /// Of a node with this role. A witness leaves the first try to a data node: it could not serve if it won.
    package func raftLimits(for role: NodeRole) -> RaftLimits {
        var limits = RaftLimits()
        limits.heartbeatTicks = UInt64(self.heartbeatMilliseconds)
        limits.electionTicksMinimum = UInt64(self.electionMinimumMilliseconds)
        limits.electionTicksMaximum = UInt64(self.electionMaximumMilliseconds)
        limits.transferTicks = UInt64(self.electionMinimumMilliseconds)
        limits.candidacyDelayTicks = role == .witness ? 2 * UInt64(self.electionMaximumMilliseconds) : 0
        return limits
    }
}

/// What the administrator decided, the same on all nodes.
package struct ClusterConfiguration: Equatable, BinaryRecord {
    package var name: String
    /// Also the SMB server's ServerGuid, [MS-SMB2] 2.2.4.
    package var guid: GUID16
    /// The three sub-authorities of the domain SID S-1-5-21-a-b-c of the local users.
    package var domain: [UInt32]
    /// The certificate authority with its private key, PEM: whoever leads can sign a joining node's certificate. Secret.
    package var certificateAuthority: String
    /// Ascending by id.
    package var nodes: [NodeRecord]
    package var nextNodeID: NodeID
    /// In the form `192.0.2.10/24`.
    package var virtualIPs: [String]
    /// `iscsi://user%password@host/iqn/lun`. Secret.
    package var lun: String
    /// The UUID of the file system on it, 16 bytes.
    package var fileSystem: [UInt8]
    package var shares: [ShareRecord]
    package var users: [UserRecord]
    package var nextRelativeID: UInt32
    package var settings: ClusterSettings
    /// At most one a share.
    package var snapshotSchedules: [SnapshotSchedule] = []
    /// In section 3.
    package var quorumDisks = QuorumDisks()
    /// In section 4.
    package var credentials: [RemoteCredential] = []

    package static let firstRelativeID: UInt32 = 1001

    package init(
        name: String, guid: GUID16, domain: [UInt32], certificateAuthority: String, nodes: [NodeRecord],
        virtualIPs: [String], lun: String, fileSystem: [UInt8], settings: ClusterSettings = ClusterSettings()
    ) {
        self.name = name
        self.guid = guid
        self.domain = domain
        self.certificateAuthority = certificateAuthority
        self.nodes = nodes.sorted { $0.id < $1.id }
        self.nextNodeID = (nodes.map(\.id).max() ?? 0) + 1
        self.virtualIPs = virtualIPs
        self.lun = lun
        self.fileSystem = fileSystem
        self.shares = []
        self.users = []
        self.nextRelativeID = Self.firstRelativeID
        self.settings = settings
    }

    package func node(_ id: NodeID) -> NodeRecord? { self.nodes.first { $0.id == id } }
    package func node(named name: String) -> NodeRecord? { self.nodes.first { $0.name == name } }

    /// What smbserverd gets. The mount point is each node's own.
    package func server(mountPoint: String) -> ServerConfiguration {
        var server = ServerConfiguration(
            serverGUID: self.guid, serverName: String(self.name.uppercased().prefix(Names.longestNetBIOSName)),
            domain: (self.domain[0], self.domain[1], self.domain[2]), mountPoint: mountPoint, shares: self.shares,
            users: self.users, limits: self.settings.limits, security: self.settings.security)
        server.snapshotSchedules = self.snapshotSchedules
        return server
    }

    /// Where the share's schedule stands.
    func scheduleIndex(of share: String) -> Int? {
        self.snapshotSchedules.firstIndex { $0.share.lowercased() == share.lowercased() }
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 4) { writer in
            writer.write(self.name)
            writer.write(self.guid)
            for part in self.domain { writer.write(part) }
            writer.write(self.certificateAuthority)
            writer.write(self.nodes)
            writer.write(self.nextNodeID)
            writer.write(self.virtualIPs)
            writer.write(self.lun)
            writer.write(self.fileSystem)
            writer.write(self.shares)
            writer.write(self.users)
            writer.write(self.nextRelativeID)
            writer.write(self.settings.security.requiresSigning)
            writer.write(self.settings)
            writer.write(self.snapshotSchedules)
            writer.write(self.quorumDisks)
            writer.write(self.credentials)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            let name = try reader.read(String.self)
            let guid = try reader.read(GUID16.self)
            let domain = [try reader.read(UInt32.self), try reader.read(UInt32.self), try reader.read(UInt32.self)]
            let authority = try reader.read(String.self)
            let nodes = try reader.readArray(NodeRecord.self)
            let nextNodeID = try reader.read(NodeID.self)
            var configuration = ClusterConfiguration(
                name: name, guid: guid, domain: domain, certificateAuthority: authority, nodes: nodes,
                virtualIPs: try reader.readStrings(), lun: try reader.read(), fileSystem: try reader.read())
            configuration.nextNodeID = nextNodeID
            configuration.shares = try reader.readArray()
            configuration.users = try reader.readArray()
            configuration.nextRelativeID = try reader.read()
            let requiresSigning = try reader.read(Bool.self)
            configuration.settings = try reader.read()
            configuration.settings.security.requiresSigning = requiresSigning
            if version >= 2 { configuration.snapshotSchedules = try reader.readArray() }
            if version >= 3 { configuration.quorumDisks = try reader.read() }
            if version >= 4 { configuration.credentials = try reader.readArray() }
            return configuration
        }
    }
}

/// Prints no secret, whoever logs it.
extension ClusterConfiguration: CustomStringConvertible {
    package var description: String { "cluster \(self.name) with \(self.nodes.count) nodes" }
}
