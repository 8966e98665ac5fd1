/// NTSTATUS, [MS-ERREF] 2.3, as far as a file server says it or its client hears it.
package struct NTStatus: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The top two bits: 0 success, 1 informational, 2 warning, 3 error.
    package var severity: UInt32 { self.rawValue >> 30 }
    package var isError: Bool { self.severity == 3 }
    /// Success or information: the response has its own body and not an error's.
    package var isSuccess: Bool { self.severity < 2 }

    package static let success = NTStatus(rawValue: 0x0000_0000)
    package static let pending = NTStatus(rawValue: 0x0000_0103)
    package static let moreEntries = NTStatus(rawValue: 0x0000_0105)
    package static let notifyCleanup = NTStatus(rawValue: 0x0000_010B)
    package static let notifyEnumDir = NTStatus(rawValue: 0x0000_010C)
    package static let someNotMapped = NTStatus(rawValue: 0x0000_0107)
    package static let bufferOverflow = NTStatus(rawValue: 0x8000_0005)
    package static let noMoreFiles = NTStatus(rawValue: 0x8000_0006)
    package static let deviceBusy = NTStatus(rawValue: 0x8000_0011)
    package static let invalidEaName = NTStatus(rawValue: 0x8000_0013)
    package static let eaListInconsistent = NTStatus(rawValue: 0x8000_0014)
    package static let verifyRequired = NTStatus(rawValue: 0x8000_0016)
    package static let noMoreEntries = NTStatus(rawValue: 0x8000_001A)
    package static let stoppedOnSymlink = NTStatus(rawValue: 0x8000_002D)
    package static let unsuccessful = NTStatus(rawValue: 0xC000_0001)
    package static let notImplemented = NTStatus(rawValue: 0xC000_0002)
    package static let invalidInfoClass = NTStatus(rawValue: 0xC000_0003)
    package static let infoLengthMismatch = NTStatus(rawValue: 0xC000_0004)
    package static let invalidHandle = NTStatus(rawValue: 0xC000_0008)
    package static let invalidParameter = NTStatus(rawValue: 0xC000_000D)
    package static let noSuchDevice = NTStatus(rawValue: 0xC000_000E)
    package static let noSuchFile = NTStatus(rawValue: 0xC000_000F)
    package static let invalidDeviceRequest = NTStatus(rawValue: 0xC000_0010)
    package static let endOfFile = NTStatus(rawValue: 0xC000_0011)
    package static let moreProcessingRequired = NTStatus(rawValue: 0xC000_0016)
    package static let noMemory = NTStatus(rawValue: 0xC000_0017)
    package static let accessDenied = NTStatus(rawValue: 0xC000_0022)
    package static let bufferTooSmall = NTStatus(rawValue: 0xC000_0023)
    package static let objectTypeMismatch = NTStatus(rawValue: 0xC000_0024)
    package static let objectNameInvalid = NTStatus(rawValue: 0xC000_0033)
    package static let objectNameNotFound = NTStatus(rawValue: 0xC000_0034)
    package static let objectNameCollision = NTStatus(rawValue: 0xC000_0035)
    package static let objectPathInvalid = NTStatus(rawValue: 0xC000_0039)
    package static let objectPathNotFound = NTStatus(rawValue: 0xC000_003A)
    package static let objectPathSyntaxBad = NTStatus(rawValue: 0xC000_003B)
    package static let dataError = NTStatus(rawValue: 0xC000_003E)
    package static let crcError = NTStatus(rawValue: 0xC000_003F)
    package static let sharingViolation = NTStatus(rawValue: 0xC000_0043)
    package static let quotaExceeded = NTStatus(rawValue: 0xC000_0044)
    package static let invalidViewSize = NTStatus(rawValue: 0xC000_001F)
    package static let easNotSupported = NTStatus(rawValue: 0xC000_004F)
    package static let eaTooLarge = NTStatus(rawValue: 0xC000_0050)
    package static let nonexistentEaEntry = NTStatus(rawValue: 0xC000_0051)
    package static let noEasOnFile = NTStatus(rawValue: 0xC000_0052)
    package static let fileLockConflict = NTStatus(rawValue: 0xC000_0054)
    package static let lockNotGranted = NTStatus(rawValue: 0xC000_0055)
    package static let deletePending = NTStatus(rawValue: 0xC000_0056)
    package static let invalidOwner = NTStatus(rawValue: 0xC000_005A)
    package static let privilegeNotHeld = NTStatus(rawValue: 0xC000_0061)
    package static let noSuchGroup = NTStatus(rawValue: 0xC000_0066)
    package static let noSuchDomain = NTStatus(rawValue: 0xC000_00DF)
    package static let noSuchAlias = NTStatus(rawValue: 0xC000_0151)
    package static let noSuchUser = NTStatus(rawValue: 0xC000_0064)
    package static let wrongPassword = NTStatus(rawValue: 0xC000_006A)
    package static let logonFailure = NTStatus(rawValue: 0xC000_006D)
    package static let accountRestriction = NTStatus(rawValue: 0xC000_006E)
    package static let invalidLogonHours = NTStatus(rawValue: 0xC000_006F)
    package static let invalidWorkstation = NTStatus(rawValue: 0xC000_0070)
    package static let passwordExpired = NTStatus(rawValue: 0xC000_0071)
    package static let accountDisabled = NTStatus(rawValue: 0xC000_0072)
    package static let noneMapped = NTStatus(rawValue: 0xC000_0073)
    package static let invalidAcl = NTStatus(rawValue: 0xC000_0077)
    package static let invalidSid = NTStatus(rawValue: 0xC000_0078)
    package static let invalidSecurityDescr = NTStatus(rawValue: 0xC000_0079)
    package static let procedureNotFound = NTStatus(rawValue: 0xC000_007A)
    package static let rangeNotLocked = NTStatus(rawValue: 0xC000_007E)
    package static let diskFull = NTStatus(rawValue: 0xC000_007F)
    package static let fileInvalid = NTStatus(rawValue: 0xC000_0098)
    package static let insufficientResources = NTStatus(rawValue: 0xC000_009A)
    package static let deviceDataError = NTStatus(rawValue: 0xC000_009C)
    package static let deviceNotConnected = NTStatus(rawValue: 0xC000_009D)
    package static let mediaWriteProtected = NTStatus(rawValue: 0xC000_00A2)
    package static let badImpersonationLevel = NTStatus(rawValue: 0xC000_00A5)
    package static let instanceNotAvailable = NTStatus(rawValue: 0xC000_00AB)
    package static let pipeNotAvailable = NTStatus(rawValue: 0xC000_00AC)
    package static let invalidPipeState = NTStatus(rawValue: 0xC000_00AD)
    package static let pipeBusy = NTStatus(rawValue: 0xC000_00AE)
    package static let pipeDisconnected = NTStatus(rawValue: 0xC000_00B0)
    package static let pipeClosing = NTStatus(rawValue: 0xC000_00B1)
    package static let ioTimeout = NTStatus(rawValue: 0xC000_00B5)
    package static let fileForcedClosed = NTStatus(rawValue: 0xC000_00B6)
    package static let fileIsADirectory = NTStatus(rawValue: 0xC000_00BA)
    package static let notSupported = NTStatus(rawValue: 0xC000_00BB)
    package static let badNetworkPath = NTStatus(rawValue: 0xC000_00BE)
    package static let networkBusy = NTStatus(rawValue: 0xC000_00BF)
    package static let invalidNetworkResponse = NTStatus(rawValue: 0xC000_00C3)
    package static let networkNameDeleted = NTStatus(rawValue: 0xC000_00C9)
    package static let networkAccessDenied = NTStatus(rawValue: 0xC000_00CA)
    package static let badDeviceType = NTStatus(rawValue: 0xC000_00CB)
    package static let badNetworkName = NTStatus(rawValue: 0xC000_00CC)
    package static let requestNotAccepted = NTStatus(rawValue: 0xC000_00D0)
    package static let notSameDevice = NTStatus(rawValue: 0xC000_00D4)
    package static let fileRenamed = NTStatus(rawValue: 0xC000_00D5)
    package static let pipeEmpty = NTStatus(rawValue: 0xC000_00D9)
    package static let invalidOplockProtocol = NTStatus(rawValue: 0xC000_00E3)
    package static let internalError = NTStatus(rawValue: 0xC000_00E5)
    package static let invalidUserBuffer = NTStatus(rawValue: 0xC000_00E8)
    package static let directoryNotEmpty = NTStatus(rawValue: 0xC000_0101)
    package static let fileCorruptError = NTStatus(rawValue: 0xC000_0102)
    package static let notADirectory = NTStatus(rawValue: 0xC000_0103)
    package static let nameTooLong = NTStatus(rawValue: 0xC000_0106)
    package static let tooManyOpenedFiles = NTStatus(rawValue: 0xC000_011F)
    package static let cancelled = NTStatus(rawValue: 0xC000_0120)
    package static let cannotDelete = NTStatus(rawValue: 0xC000_0121)
    package static let fileDeleted = NTStatus(rawValue: 0xC000_0123)
    package static let fileClosed = NTStatus(rawValue: 0xC000_0128)
    package static let pipeBroken = NTStatus(rawValue: 0xC000_014B)
    package static let invalidDeviceState = NTStatus(rawValue: 0xC000_0184)
    package static let ioDeviceError = NTStatus(rawValue: 0xC000_0185)
    package static let trustedRelationshipFailure = NTStatus(rawValue: 0xC000_018D)
    package static let accountExpired = NTStatus(rawValue: 0xC000_0193)
    package static let userSessionDeleted = NTStatus(rawValue: 0xC000_0203)
    package static let insuffServerResources = NTStatus(rawValue: 0xC000_0205)
    package static let connectionDisconnected = NTStatus(rawValue: 0xC000_020C)
    package static let connectionReset = NTStatus(rawValue: 0xC000_020D)
    package static let passwordMustChange = NTStatus(rawValue: 0xC000_0224)
    package static let notFound = NTStatus(rawValue: 0xC000_0225)
    package static let duplicateObjectid = NTStatus(rawValue: 0xC000_022A)
    package static let retry = NTStatus(rawValue: 0xC000_022D)
    package static let accountLockedOut = NTStatus(rawValue: 0xC000_0234)
    package static let handleNotClosable = NTStatus(rawValue: 0xC000_0235)
    package static let requestAborted = NTStatus(rawValue: 0xC000_0240)
    package static let pathNotCovered = NTStatus(rawValue: 0xC000_0257)
    package static let tooManyLinks = NTStatus(rawValue: 0xC000_0265)
    package static let notAReparsePoint = NTStatus(rawValue: 0xC000_0275)
    package static let ioReparseTagInvalid = NTStatus(rawValue: 0xC000_0276)
    package static let ioReparseTagMismatch = NTStatus(rawValue: 0xC000_0277)
    package static let ioReparseDataInvalid = NTStatus(rawValue: 0xC000_0278)
    package static let ioReparseTagNotHandled = NTStatus(rawValue: 0xC000_0279)
    package static let directoryIsAReparsePoint = NTStatus(rawValue: 0xC000_0281)
    package static let objectidNotFound = NTStatus(rawValue: 0xC000_02F0)
    package static let hashNotSupported = NTStatus(rawValue: 0xC000_A100)
    package static let invalidToken = NTStatus(rawValue: 0xC000_0465)
    package static let offloadReadFileNotSupported = NTStatus(rawValue: 0xC000_A2A3)
    package static let offloadWriteFileNotSupported = NTStatus(rawValue: 0xC000_A2A4)
    package static let networkSessionExpired = NTStatus(rawValue: 0xC000_035C)
    package static let authenticationFirewallFailed = NTStatus(rawValue: 0xC000_0413)
    package static let ntlmBlocked = NTStatus(rawValue: 0xC000_0418)
    package static let requestOutOfSequence = NTStatus(rawValue: 0xC000_042A)
    package static let serverUnavailable = NTStatus(rawValue: 0xC000_0466)
    package static let fileNotAvailable = NTStatus(rawValue: 0xC000_0467)
    package static let reparsePointEncountered = NTStatus(rawValue: 0xC000_050B)
    package static let smbNoPreauthIntegrityHashOverlap = NTStatus(rawValue: 0xC05D_0000)
    package static let smbBadClusterDialect = NTStatus(rawValue: 0xC05D_0001)
}

extension NTStatus: CustomStringConvertible {
    /// The specification's name, or the number.
    package var description: String {
        switch self {
        case .success: "STATUS_SUCCESS"
        case .pending: "STATUS_PENDING"
        case .moreEntries: "STATUS_MORE_ENTRIES"
        case .notifyCleanup: "STATUS_NOTIFY_CLEANUP"
        case .notifyEnumDir: "STATUS_NOTIFY_ENUM_DIR"
        case .bufferOverflow: "STATUS_BUFFER_OVERFLOW"
        case .noMoreFiles: "STATUS_NO_MORE_FILES"
        case .deviceBusy: "STATUS_DEVICE_BUSY"
        case .invalidEaName: "STATUS_INVALID_EA_NAME"
        case .eaListInconsistent: "STATUS_EA_LIST_INCONSISTENT"
        case .verifyRequired: "STATUS_VERIFY_REQUIRED"
        case .noMoreEntries: "STATUS_NO_MORE_ENTRIES"
        case .stoppedOnSymlink: "STATUS_STOPPED_ON_SYMLINK"
        case .unsuccessful: "STATUS_UNSUCCESSFUL"
        case .notImplemented: "STATUS_NOT_IMPLEMENTED"
        case .invalidInfoClass: "STATUS_INVALID_INFO_CLASS"
        case .infoLengthMismatch: "STATUS_INFO_LENGTH_MISMATCH"
        case .invalidHandle: "STATUS_INVALID_HANDLE"
        case .invalidParameter: "STATUS_INVALID_PARAMETER"
        case .noSuchDevice: "STATUS_NO_SUCH_DEVICE"
        case .noSuchFile: "STATUS_NO_SUCH_FILE"
        case .invalidDeviceRequest: "STATUS_INVALID_DEVICE_REQUEST"
        case .endOfFile: "STATUS_END_OF_FILE"
        case .moreProcessingRequired: "STATUS_MORE_PROCESSING_REQUIRED"
        case .noMemory: "STATUS_NO_MEMORY"
        case .accessDenied: "STATUS_ACCESS_DENIED"
        case .bufferTooSmall: "STATUS_BUFFER_TOO_SMALL"
        case .objectTypeMismatch: "STATUS_OBJECT_TYPE_MISMATCH"
        case .objectNameInvalid: "STATUS_OBJECT_NAME_INVALID"
        case .objectNameNotFound: "STATUS_OBJECT_NAME_NOT_FOUND"
        case .objectNameCollision: "STATUS_OBJECT_NAME_COLLISION"
        case .objectPathInvalid: "STATUS_OBJECT_PATH_INVALID"
        case .objectPathNotFound: "STATUS_OBJECT_PATH_NOT_FOUND"
        case .objectPathSyntaxBad: "STATUS_OBJECT_PATH_SYNTAX_BAD"
        case .dataError: "STATUS_DATA_ERROR"
        case .crcError: "STATUS_CRC_ERROR"
        case .sharingViolation: "STATUS_SHARING_VIOLATION"
        case .quotaExceeded: "STATUS_QUOTA_EXCEEDED"
        case .invalidViewSize: "STATUS_INVALID_VIEW_SIZE"
        case .easNotSupported: "STATUS_EAS_NOT_SUPPORTED"
        case .eaTooLarge: "STATUS_EA_TOO_LARGE"
        case .nonexistentEaEntry: "STATUS_NONEXISTENT_EA_ENTRY"
        case .noEasOnFile: "STATUS_NO_EAS_ON_FILE"
        case .fileLockConflict: "STATUS_FILE_LOCK_CONFLICT"
        case .lockNotGranted: "STATUS_LOCK_NOT_GRANTED"
        case .deletePending: "STATUS_DELETE_PENDING"
        case .invalidOwner: "STATUS_INVALID_OWNER"
        case .privilegeNotHeld: "STATUS_PRIVILEGE_NOT_HELD"
        case .noSuchUser: "STATUS_NO_SUCH_USER"
        case .wrongPassword: "STATUS_WRONG_PASSWORD"
        case .logonFailure: "STATUS_LOGON_FAILURE"
        case .accountRestriction: "STATUS_ACCOUNT_RESTRICTION"
        case .invalidLogonHours: "STATUS_INVALID_LOGON_HOURS"
        case .invalidWorkstation: "STATUS_INVALID_WORKSTATION"
        case .passwordExpired: "STATUS_PASSWORD_EXPIRED"
        case .accountDisabled: "STATUS_ACCOUNT_DISABLED"
        case .noneMapped: "STATUS_NONE_MAPPED"
        case .someNotMapped: "STATUS_SOME_NOT_MAPPED"
        case .noSuchGroup: "STATUS_NO_SUCH_GROUP"
        case .noSuchDomain: "STATUS_NO_SUCH_DOMAIN"
        case .noSuchAlias: "STATUS_NO_SUCH_ALIAS"
        case .invalidAcl: "STATUS_INVALID_ACL"
        case .invalidSid: "STATUS_INVALID_SID"
        case .invalidSecurityDescr: "STATUS_INVALID_SECURITY_DESCR"
        case .procedureNotFound: "STATUS_PROCEDURE_NOT_FOUND"
        case .rangeNotLocked: "STATUS_RANGE_NOT_LOCKED"
        case .diskFull: "STATUS_DISK_FULL"
        case .fileInvalid: "STATUS_FILE_INVALID"
        case .insufficientResources: "STATUS_INSUFFICIENT_RESOURCES"
        case .deviceDataError: "STATUS_DEVICE_DATA_ERROR"
        case .deviceNotConnected: "STATUS_DEVICE_NOT_CONNECTED"
        case .mediaWriteProtected: "STATUS_MEDIA_WRITE_PROTECTED"
        case .badImpersonationLevel: "STATUS_BAD_IMPERSONATION_LEVEL"
        case .instanceNotAvailable: "STATUS_INSTANCE_NOT_AVAILABLE"
        case .pipeNotAvailable: "STATUS_PIPE_NOT_AVAILABLE"
        case .invalidPipeState: "STATUS_INVALID_PIPE_STATE"
        case .pipeBusy: "STATUS_PIPE_BUSY"
        case .pipeDisconnected: "STATUS_PIPE_DISCONNECTED"
        case .pipeClosing: "STATUS_PIPE_CLOSING"
        case .ioTimeout: "STATUS_IO_TIMEOUT"
        case .fileForcedClosed: "STATUS_FILE_FORCED_CLOSED"
        case .fileIsADirectory: "STATUS_FILE_IS_A_DIRECTORY"
        case .notSupported: "STATUS_NOT_SUPPORTED"
        case .badNetworkPath: "STATUS_BAD_NETWORK_PATH"
        case .networkBusy: "STATUS_NETWORK_BUSY"
        case .invalidNetworkResponse: "STATUS_INVALID_NETWORK_RESPONSE"
        case .networkNameDeleted: "STATUS_NETWORK_NAME_DELETED"
        case .networkAccessDenied: "STATUS_NETWORK_ACCESS_DENIED"
        case .badDeviceType: "STATUS_BAD_DEVICE_TYPE"
        case .badNetworkName: "STATUS_BAD_NETWORK_NAME"
        case .requestNotAccepted: "STATUS_REQUEST_NOT_ACCEPTED"
        case .requestOutOfSequence: "STATUS_REQUEST_OUT_OF_SEQUENCE"
        case .notSameDevice: "STATUS_NOT_SAME_DEVICE"
        case .fileRenamed: "STATUS_FILE_RENAMED"
        case .pipeEmpty: "STATUS_PIPE_EMPTY"
        case .invalidOplockProtocol: "STATUS_INVALID_OPLOCK_PROTOCOL"
        case .internalError: "STATUS_INTERNAL_ERROR"
        case .invalidUserBuffer: "STATUS_INVALID_USER_BUFFER"
        case .directoryNotEmpty: "STATUS_DIRECTORY_NOT_EMPTY"
        case .fileCorruptError: "STATUS_FILE_CORRUPT_ERROR"
        case .notADirectory: "STATUS_NOT_A_DIRECTORY"
        case .nameTooLong: "STATUS_NAME_TOO_LONG"
        case .tooManyOpenedFiles: "STATUS_TOO_MANY_OPENED_FILES"
        case .cancelled: "STATUS_CANCELLED"
        case .cannotDelete: "STATUS_CANNOT_DELETE"
        case .fileDeleted: "STATUS_FILE_DELETED"
        case .fileClosed: "STATUS_FILE_CLOSED"
        case .pipeBroken: "STATUS_PIPE_BROKEN"
        case .invalidDeviceState: "STATUS_INVALID_DEVICE_STATE"
        case .ioDeviceError: "STATUS_IO_DEVICE_ERROR"
        case .trustedRelationshipFailure: "STATUS_TRUSTED_RELATIONSHIP_FAILURE"
        case .accountExpired: "STATUS_ACCOUNT_EXPIRED"
        case .userSessionDeleted: "STATUS_USER_SESSION_DELETED"
        case .insuffServerResources: "STATUS_INSUFF_SERVER_RESOURCES"
        case .connectionDisconnected: "STATUS_CONNECTION_DISCONNECTED"
        case .connectionReset: "STATUS_CONNECTION_RESET"
        case .passwordMustChange: "STATUS_PASSWORD_MUST_CHANGE"
        case .notFound: "STATUS_NOT_FOUND"
        case .duplicateObjectid: "STATUS_DUPLICATE_OBJECTID"
        case .retry: "STATUS_RETRY"
        case .accountLockedOut: "STATUS_ACCOUNT_LOCKED_OUT"
        case .handleNotClosable: "STATUS_HANDLE_NOT_CLOSABLE"
        case .requestAborted: "STATUS_REQUEST_ABORTED"
        case .pathNotCovered: "STATUS_PATH_NOT_COVERED"
        case .tooManyLinks: "STATUS_TOO_MANY_LINKS"
        case .notAReparsePoint: "STATUS_NOT_A_REPARSE_POINT"
        case .ioReparseTagInvalid: "STATUS_IO_REPARSE_TAG_INVALID"
        case .ioReparseTagMismatch: "STATUS_IO_REPARSE_TAG_MISMATCH"
        case .ioReparseDataInvalid: "STATUS_IO_REPARSE_DATA_INVALID"
        case .ioReparseTagNotHandled: "STATUS_IO_REPARSE_TAG_NOT_HANDLED"
        case .directoryIsAReparsePoint: "STATUS_DIRECTORY_IS_A_REPARSE_POINT"
        case .objectidNotFound: "STATUS_OBJECTID_NOT_FOUND"
        case .hashNotSupported: "STATUS_HASH_NOT_SUPPORTED"
        case .invalidToken: "STATUS_INVALID_TOKEN"
        case .offloadReadFileNotSupported: "STATUS_OFFLOAD_READ_FILE_NOT_SUPPORTED"
        case .offloadWriteFileNotSupported: "STATUS_OFFLOAD_WRITE_FILE_NOT_SUPPORTED"
        case .networkSessionExpired: "STATUS_NETWORK_SESSION_EXPIRED"
        case .authenticationFirewallFailed: "STATUS_AUTHENTICATION_FIREWALL_FAILED"
        case .ntlmBlocked: "STATUS_NTLM_BLOCKED"
        case .serverUnavailable: "STATUS_SERVER_UNAVAILABLE"
        case .fileNotAvailable: "STATUS_FILE_NOT_AVAILABLE"
        case .reparsePointEncountered: "STATUS_REPARSE_POINT_ENCOUNTERED"
        case .smbNoPreauthIntegrityHashOverlap: "STATUS_SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP"
        case .smbBadClusterDialect: "STATUS_SMB_BAD_CLUSTER_DIALECT"
        default: "0x" + String(self.rawValue, radix: 16, uppercase: true)
        }
    }
}
