/// ShareAccess, [MS-SMB2] 2.2.13.
package struct ShareAccess: OptionSet, Hashable, Sendable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let read = ShareAccess(rawValue: 1)
    package static let write = ShareAccess(rawValue: 2)
    package static let delete = ShareAccess(rawValue: 4)
    package static let all: ShareAccess = [.read, .write, .delete]
}

/// CreateOptions, [MS-SMB2] 2.2.13.
package struct CreateOptions: OptionSet, Hashable, Sendable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let directoryFile = CreateOptions(rawValue: 0x0000_0001)
    package static let writeThrough = CreateOptions(rawValue: 0x0000_0002)
    package static let sequentialOnly = CreateOptions(rawValue: 0x0000_0004)
    package static let noIntermediateBuffering = CreateOptions(rawValue: 0x0000_0008)
    package static let synchronousIOAlert = CreateOptions(rawValue: 0x0000_0010)
    package static let synchronousIONonAlert = CreateOptions(rawValue: 0x0000_0020)
    package static let nonDirectoryFile = CreateOptions(rawValue: 0x0000_0040)
    package static let createTreeConnection = CreateOptions(rawValue: 0x0000_0080)
    package static let completeIfOplocked = CreateOptions(rawValue: 0x0000_0100)
    package static let noEAKnowledge = CreateOptions(rawValue: 0x0000_0200)
    package static let openRemoteInstance = CreateOptions(rawValue: 0x0000_0400)
    package static let randomAccess = CreateOptions(rawValue: 0x0000_0800)
    package static let deleteOnClose = CreateOptions(rawValue: 0x0000_1000)
    package static let openByFileID = CreateOptions(rawValue: 0x0000_2000)
    package static let openForBackupIntent = CreateOptions(rawValue: 0x0000_4000)
    package static let noCompression = CreateOptions(rawValue: 0x0000_8000)
    package static let openRequiringOplock = CreateOptions(rawValue: 0x0001_0000)
    package static let disallowExclusive = CreateOptions(rawValue: 0x0002_0000)
    package static let reserveOpfilter = CreateOptions(rawValue: 0x0010_0000)
    package static let openReparsePoint = CreateOptions(rawValue: 0x0020_0000)
    package static let openNoRecall = CreateOptions(rawValue: 0x0040_0000)
    package static let openForFreeSpaceQuery = CreateOptions(rawValue: 0x0080_0000)
}

/// CreateDisposition, [MS-SMB2] 2.2.13.
package enum CreateDisposition: UInt32, Sendable, CaseIterable {
    case supersede = 0
    case open = 1
    case create = 2
    case openIf = 3
    case overwrite = 4
    case overwriteIf = 5
}

/// CreateAction, [MS-SMB2] 2.2.14.
package enum CreateAction: UInt32, Sendable, CaseIterable {
    case superseded = 0
    case opened = 1
    case created = 2
    case overwritten = 3
}

/// ImpersonationLevel, [MS-SMB2] 2.2.13.
package enum ImpersonationLevel: UInt32, Sendable, CaseIterable {
    case anonymous = 0
    case identification = 1
    case impersonation = 2
    case delegate = 3
}

/// OplockLevel, [MS-SMB2] 2.2.13 and 2.2.14.
package struct OplockLevel: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let none = OplockLevel(rawValue: 0x00)
    package static let levelII = OplockLevel(rawValue: 0x01)
    package static let exclusive = OplockLevel(rawValue: 0x08)
    package static let batch = OplockLevel(rawValue: 0x09)
    package static let lease = OplockLevel(rawValue: 0xFF)
}

/// LeaseState, [MS-SMB2] 2.2.13.2.8.
package struct LeaseState: OptionSet, Hashable, Sendable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let readCaching = LeaseState(rawValue: 1)
    package static let handleCaching = LeaseState(rawValue: 2)
    package static let writeCaching = LeaseState(rawValue: 4)
}
