/// What a share lets somebody do at most, whatever the files themselves grant.
package struct SharePermission: Equatable, BinaryRecord {
    package enum Level: UInt8, Sendable {
        /// Nothing, whatever is granted by another entry.
        case none = 0
        case read = 1
        /// Reads, writes, deletes; changes no security descriptors.
        case change = 2
        case full = 3
    }

    /// A user, or "Everyone", "Users", "Administrators".
    package var name: String
    package var level: Level

    package init(name: String, level: Level) {
        self.name = name
        self.level = level
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.name)
            writer.write(self.level.rawValue)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            let name = try reader.read(String.self)
            let tag = try reader.read(UInt8.self)
            guard let level = Level(rawValue: tag) else { throw .unknownTag(kind: "share permission", value: tag) }
            return SharePermission(name: name, level: level)
        }
    }
}

extension SharePermission: CustomStringConvertible {
    package var description: String { "\(self.name):\(self.level)" }
}

/// What a share has or has not, each off where nobody asked for it. The numbers are on disk.
package struct ShareTraits: OptionSet, Hashable, Sendable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Names that have not the 8.3 form get one that has.
    package static let shortNames = ShareTraits(rawValue: 1)
    package static let withoutStreams = ShareTraits(rawValue: 2)
    package static let withoutNotify = ShareTraits(rawValue: 4)
    /// A security descriptor's AUTO_INHERITED is kept as the client set it, not only where it asks for that.
    package static let keepsInheritedFlag = ShareTraits(rawValue: 8)
}

/// A share as the administrator declared it.
package struct ShareRecord: Equatable, BinaryRecord {
    package var name: String
    /// Absolute on a standalone server; in a cluster relative to the mounted LUN.
    package var path: String
    package var comment: String
    package var isContinuouslyAvailable: Bool
    package var isReadOnly: Bool
    package var requiresEncryption: Bool
    /// The POSIX extensions of SMB 3.1.1, for clients that ask for them. Since version 2.
    package var offersPOSIX: Bool
    /// Told to Macs: a volume that Time Machine may back up to. Since version 3, as what follows.
    package var isTimeMachine: Bool
    /// Empty: everyone has full access.
    package var permissions: [SharePermission]
    /// Directories do not show what the user may not read. [MS-SMB2] 3.3.1.6 Share.DoAccessBasedDirectoryEnumeration.
    package var isAccessBased: Bool
    /// Clients are told that they should ask for compressed data here. Since version 4.
    package var compressesData: Bool
    /// Since version 5, as what follows.
    package var traits: ShareTraits = []
    /// Patterns with `*` and `?`: files of these names are shown as hidden.
    package var hiddenFiles: [String] = []

    package init(
        name: String, path: String, comment: String = "", isContinuouslyAvailable: Bool = false,
        isReadOnly: Bool = false, requiresEncryption: Bool = false, offersPOSIX: Bool = true,
        isTimeMachine: Bool = false, permissions: [SharePermission] = [], isAccessBased: Bool = false,
        compressesData: Bool = false
    ) {
        self.name = name
        self.path = path
        self.comment = comment
        self.isContinuouslyAvailable = isContinuouslyAvailable
        self.isReadOnly = isReadOnly
        self.requiresEncryption = requiresEncryption
        self.offersPOSIX = offersPOSIX
        self.isTimeMachine = isTimeMachine
        self.permissions = permissions
        self.isAccessBased = isAccessBased
        self.compressesData = compressesData
    }

    package func encode(into writer: inout BinaryWriter) {
        // Version 2 added the POSIX extensions, which shares of before offer.
        writer.section(version: 5) { writer in
            writer.write(self.name)
            writer.write(self.path)
            writer.write(self.comment)
            writer.write(self.isContinuouslyAvailable)
            writer.write(self.isReadOnly)
            writer.write(self.requiresEncryption)
            writer.write(self.offersPOSIX)
            writer.write(self.isTimeMachine)
            writer.write(self.permissions)
            writer.write(self.isAccessBased)
            writer.write(self.compressesData)
            writer.write(self.traits.rawValue)
            writer.write(self.hiddenFiles)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            var record = ShareRecord(
                name: try reader.read(), path: try reader.read(), comment: try reader.read(),
                isContinuouslyAvailable: try reader.read(), isReadOnly: try reader.read(),
                requiresEncryption: try reader.read(), offersPOSIX: version >= 2 ? try reader.read() : true)
            guard version >= 3 else { return record }
            record.isTimeMachine = try reader.read()
            record.permissions = try reader.readArray()
            record.isAccessBased = try reader.read()
            if version >= 4 { record.compressesData = try reader.read() }
            guard version >= 5 else { return record }
            record.traits = ShareTraits(rawValue: try reader.read())
            record.hiddenFiles = try reader.readStrings()
            return record
        }
    }

    /// Gives somebody another level, in the place of what they had.
    package mutating func permit(_ permission: SharePermission) {
        self.permissions.removeAll { $0.name.lowercased() == permission.name.lowercased() }
        self.permissions.append(permission)
    }
}

/// A local user. The NT hash is as good as the password for NTLM: never printed, kept in files of mode 0600.
package struct UserRecord: Equatable, BinaryRecord {
    package var name: String
    /// MD4 of the password in UTF-16LE, 16 bytes ([MS-NLMP] 3.3.1).
    package var ntHash: [UInt8]
    /// The relative identifier below the cluster's own domain SID.
    package var relativeID: UInt32
    /// One of BUILTIN\Administrators: may take ownership, back up, restore, audit. Since version 2.
    package var isAdministrator: Bool

    package init(name: String, ntHash: [UInt8], relativeID: UInt32, isAdministrator: Bool = false) {
        self.name = name
        self.ntHash = ntHash
        self.relativeID = relativeID
        self.isAdministrator = isAdministrator
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 2) { writer in
            writer.write(self.name)
            writer.write(self.ntHash)
            writer.write(self.relativeID)
            writer.write(self.isAdministrator)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            UserRecord(
                name: try reader.read(), ntHash: try reader.read(), relativeID: try reader.read(),
                isAdministrator: version >= 2 ? try reader.read() : false)
        }
    }
}

extension UserRecord: CustomStringConvertible {
    package var description: String { "user \(self.name) (RID \(self.relativeID))" }
}

/// What an SMB server serves. The same on every node of a cluster: a client that reconnects elsewhere must find
/// the same ServerGuid, names and users.
package struct ServerConfiguration: Equatable, BinaryRecord {
    /// [MS-SMB2] 2.2.4 ServerGuid.
    package var serverGUID: GUID16
    /// The NetBIOS name, at most 15 characters, upper case.
    package var serverName: String
    /// The three sub-authorities of the machine's domain SID S-1-5-21-a-b-c.
    package var domain: (UInt32, UInt32, UInt32)
    /// Where the LUN is mounted; empty on a standalone server.
    package var mountPoint: String
    package var shares: [ShareRecord]
    package var users: [UserRecord]
    package var requiresSigning: Bool {
        get { self.security.requiresSigning }
        set { self.security.requiresSigning = newValue }
    }
    /// In section 2.
    package var limits: ServerLimits
    /// In section 3.
    package var snapshotSchedules: [SnapshotSchedule] = []
    /// Compression is agreed on with clients that offer it. In section 3, too.
    package var offersCompression: Bool
    /// In section 4; whether clients must sign stands in section 1.
    package var security: SecuritySettings

    /// - Parameter requiresSigning: nil: as `security` says.
    package init(
        serverGUID: GUID16, serverName: String, domain: (UInt32, UInt32, UInt32), mountPoint: String = "",
        shares: [ShareRecord] = [], users: [UserRecord] = [], requiresSigning: Bool? = nil,
        limits: ServerLimits = ServerLimits(), offersCompression: Bool = true,
        security: SecuritySettings = SecuritySettings()
    ) {
        self.serverGUID = serverGUID
        self.serverName = serverName
        self.domain = domain
        self.mountPoint = mountPoint
        self.shares = shares
        self.users = users
        self.limits = limits
        self.offersCompression = offersCompression
        self.security = security
        if let requiresSigning { self.security.requiresSigning = requiresSigning }
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.serverGUID == right.serverGUID && left.serverName == right.serverName && left.domain == right.domain
            && left.mountPoint == right.mountPoint && left.shares == right.shares && left.users == right.users
            && left.security == right.security && left.limits == right.limits
            && left.snapshotSchedules == right.snapshotSchedules
            && left.offersCompression == right.offersCompression
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 4) { writer in
            writer.write(self.serverGUID)
            writer.write(self.serverName)
            writer.write(self.domain.0)
            writer.write(self.domain.1)
            writer.write(self.domain.2)
            writer.write(self.mountPoint)
            writer.write(self.shares)
            writer.write(self.users)
            writer.write(self.requiresSigning)
            writer.write(self.limits)
            writer.write(self.snapshotSchedules)
            writer.write(self.offersCompression)
            writer.write(self.security)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            var configuration = ServerConfiguration(
                serverGUID: try reader.read(), serverName: try reader.read(),
                domain: (try reader.read(), try reader.read(), try reader.read()),
                mountPoint: try reader.read(), shares: try reader.readArray(), users: try reader.readArray(),
                requiresSigning: try reader.read(), limits: version >= 2 ? try reader.read() : ServerLimits())
            if version >= 3 {
                configuration.snapshotSchedules = try reader.readArray()
                configuration.offersCompression = try reader.read()
            }
            if version >= 4 { configuration.security = try reader.read() }
            return configuration
        }
    }
}
