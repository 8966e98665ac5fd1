/// File attributes, [MS-FSCC] 2.6.
package struct FileAttributes: OptionSet, Hashable, Sendable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let readOnly = FileAttributes(rawValue: 0x0000_0001)
    package static let hidden = FileAttributes(rawValue: 0x0000_0002)
    package static let system = FileAttributes(rawValue: 0x0000_0004)
    package static let directory = FileAttributes(rawValue: 0x0000_0010)
    package static let archive = FileAttributes(rawValue: 0x0000_0020)
    package static let normal = FileAttributes(rawValue: 0x0000_0080)
    package static let temporary = FileAttributes(rawValue: 0x0000_0100)
    package static let sparseFile = FileAttributes(rawValue: 0x0000_0200)
    package static let reparsePoint = FileAttributes(rawValue: 0x0000_0400)
    package static let compressed = FileAttributes(rawValue: 0x0000_0800)
    package static let offline = FileAttributes(rawValue: 0x0000_1000)
    package static let notContentIndexed = FileAttributes(rawValue: 0x0000_2000)
    package static let encrypted = FileAttributes(rawValue: 0x0000_4000)
    package static let integrityStream = FileAttributes(rawValue: 0x0000_8000)
    package static let noScrubData = FileAttributes(rawValue: 0x0002_0000)
    package static let recallOnOpen = FileAttributes(rawValue: 0x0004_0000)
    package static let pinned = FileAttributes(rawValue: 0x0008_0000)
    package static let unpinned = FileAttributes(rawValue: 0x0010_0000)
    package static let recallOnDataAccess = FileAttributes(rawValue: 0x0040_0000)

    /// Every attribute [MS-FSCC] 2.6 defines; another bit in a request is STATUS_INVALID_PARAMETER.
    package static let all = FileAttributes(rawValue: 0x005F_FFB7)
    /// What a client may set: [MS-FSA] 2.1.5.15.2 and the create of 2.1.5.1.
    package static let settable: FileAttributes = [
        .readOnly, .hidden, .system, .archive, .normal, .temporary, .offline, .notContentIndexed,
    ]

    /// [MS-FSCC] 2.6: NORMAL stands alone, and only where nothing else is set.
    package var normalized: FileAttributes {
        let others = self.subtracting(.normal)
        return others.isEmpty ? .normal : others
    }
}
