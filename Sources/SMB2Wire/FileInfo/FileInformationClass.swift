/// The file information classes of [MS-FSCC] 2.4 that SMB2 queries and sets ([MS-SMB2] 2.2.37, 2.2.39).
package enum FileInformationClass: UInt8, Sendable, CaseIterable {
    case basic = 4
    case standard = 5
    case `internal` = 6
    case ea = 7
    case access = 8
    case name = 9
    case rename = 10
    case link = 11
    case disposition = 13
    case position = 14
    case fullEA = 15
    case mode = 16
    case alignment = 17
    case all = 18
    case allocation = 19
    case endOfFile = 20
    case alternateName = 21
    case stream = 22
    case pipe = 23
    case pipeLocal = 24
    case pipeRemote = 25
    case compression = 28
    case networkOpen = 34
    case attributeTag = 35
    case validDataLength = 39
    case shortName = 40
    case normalizedName = 48
    case id = 59
    case dispositionEx = 64
    case renameEx = 65
    case stat = 68
    case statLx = 70
    case caseSensitive = 71
    case linkEx = 72
    /// FilePosixInformation of the POSIX extensions.
    case posix = 100

    /// The length of the class's fixed part: a buffer of fewer bytes is STATUS_INFO_LENGTH_MISMATCH ([MS-SMB2] 3.3.5.20.1,
    /// 3.3.5.21.1), one that holds it but not the variable part gets STATUS_BUFFER_OVERFLOW and what fits.
    package var fixedByteCount: Int {
        switch self {
        case .basic: BasicInformation.byteCount
        case .standard: StandardInformation.byteCount
        case .internal, .position, .endOfFile, .allocation, .validDataLength: 8
        case .ea, .access, .mode, .alignment, .dispositionEx: 4
        // One unit of name counts as fixed: the structure in Windows' headers holds one, padded.
        case .name, .alternateName, .shortName, .normalizedName: 8
        case .rename, .renameEx, .link, .linkEx: RenameInformation.fixedByteCount
        case .disposition: 1
        case .fullEA: 8
        case .all: AllInformation.fixedByteCount + 4
        case .stream: StreamInformation.fixedByteCount + 8
        case .pipe: 8
        case .pipeLocal: 40
        case .pipeRemote: 16
        case .compression: CompressionInformation.byteCount
        case .networkOpen: NetworkOpenInformation.byteCount
        case .attributeTag: AttributeTagInformation.byteCount
        case .id: IDInformation.byteCount
        case .stat: StatInformation.byteCount
        case .statLx: StatInformation.lxByteCount
        case .caseSensitive: 4
        case .posix: POSIXInformation.fixedByteCount
        }
    }
}
