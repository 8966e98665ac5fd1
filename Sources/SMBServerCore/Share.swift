import SMB2Wire
import StateRecords

/// What clients connect to. [MS-SMB2] 3.3.1.6. A reference: tree connects keep the share they were made with when the
/// configuration changes.
package final class Share: Sendable {
    package enum Kind: Sendable {
        case disk(any FileSystem)
        /// IPC$
        case pipes
    }

    package let name: String
    package let comment: String
    package let kind: Kind
    package let isContinuouslyAvailable: Bool
    package let isReadOnly: Bool
    package let requiresEncryption: Bool
    package let permissions: [SharePermission]
    package let isAccessBased: Bool
    /// The POSIX extensions, to clients that negotiated them.
    package let offersPOSIX: Bool
    /// Macs may keep their backups here.
    package let isTimeMachine: Bool
    /// SMB2_SHAREFLAG_COMPRESS_DATA.
    package let compressesData: Bool
    package let traits: ShareTraits

    package init(record: ShareRecord, fileSystem: any FileSystem) {
        self.name = record.name
        self.comment = record.comment
        self.kind = .disk(fileSystem)
        self.isContinuouslyAvailable = record.isContinuouslyAvailable
        self.isReadOnly = record.isReadOnly
        self.requiresEncryption = record.requiresEncryption
        self.permissions = record.permissions
        self.isAccessBased = record.isAccessBased
        self.offersPOSIX = record.offersPOSIX
        self.isTimeMachine = record.isTimeMachine
        self.compressesData = record.compressesData
        self.traits = record.traits
    }

    private init(pipes name: String, comment: String) {
        self.name = name
        self.comment = comment
        self.kind = .pipes
        self.isContinuouslyAvailable = false
        self.isReadOnly = false
        self.requiresEncryption = false
        self.permissions = []
        self.isAccessBased = false
        self.offersPOSIX = false
        self.isTimeMachine = false
        self.compressesData = false
        self.traits = []
    }

    /// The share of the named pipes.
    package static let ipc = Share(pipes: "IPC$", comment: "Remote IPC")

    package var fileSystem: (any FileSystem)? {
        if case .disk(let fileSystem) = self.kind { return fileSystem }
        return nil
    }

    package var isPipes: Bool { self.fileSystem == nil }

    /// What anybody may do at most, whoever it is.
    package var maximalAccess: AccessMask {
        self.isReadOnly ? AccessMask.fileGenericRead.union(.fileGenericExecute) : .fileAll
    }
}
