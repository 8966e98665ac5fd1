/// The levels of QUERY_DIRECTORY, [MS-SMB2] 2.2.33 and [MS-FSCC] 2.4.
package enum DirectoryInformationClass: UInt8, Sendable, CaseIterable {
    /// 2.4.10.
    case directory = 0x01
    /// 2.4.14.
    case fullDirectory = 0x02
    /// 2.4.8.
    case bothDirectory = 0x03
    /// 2.4.28.
    case names = 0x0C
    /// 2.4.17.
    case idBothDirectory = 0x25
    /// 2.4.18.
    case idFullDirectory = 0x26
    /// FileIdExtdDirectoryInformation, 2.4.19.
    case idExtendedDirectory = 0x3C
    /// FileId64ExtdDirectoryInformation, 2.4.18.
    case id64ExtendedDirectory = 0x4E
    /// FileId64ExtdBothDirectoryInformation, 2.4.17.
    case id64ExtendedBothDirectory = 0x4F
    /// FileIdAllExtdDirectoryInformation, 2.4.20.
    case idAllExtendedDirectory = 0x50
    /// FileIdAllExtdBothDirectoryInformation, 2.4.19.
    case idAllExtendedBothDirectory = 0x51
    /// SMB2_FIND_POSIX_INFORMATION of the POSIX extensions.
    case posix = 0x64

    /// Where the name starts; in the POSIX level two SIDs and the name's length come first.
    package var fixedByteCount: Int {
        switch self {
        case .directory: 64
        case .fullDirectory: 68
        case .bothDirectory: 94
        case .names: 12
        case .idBothDirectory: 104
        case .idFullDirectory: 80
        case .idExtendedDirectory: 88
        case .id64ExtendedDirectory: 80
        case .id64ExtendedBothDirectory: 106
        case .idAllExtendedDirectory: 96
        case .idAllExtendedBothDirectory: 122
        case .posix: 8 + POSIXInformation.fixedByteCount
        }
    }

    /// Where ShortNameLength is, a byte; the name, of 24 bytes, begins two after it.
    fileprivate var shortNameOffset: Int? {
        switch self {
        case .bothDirectory, .idBothDirectory: 68
        case .id64ExtendedBothDirectory: 80
        case .idAllExtendedBothDirectory: 96
        default: nil
        }
    }

    package var hasShortName: Bool { self.shortNameOffset != nil }

    /// The reparse tag has a field of its own.
    fileprivate var isExtended: Bool {
        switch self {
        case .idExtendedDirectory, .id64ExtendedDirectory, .id64ExtendedBothDirectory, .idAllExtendedDirectory,
            .idAllExtendedBothDirectory:
            true
        default: false
        }
    }

    /// Where the file id of 128 bits is.
    fileprivate var longIDOffset: Int? {
        switch self {
        case .idExtendedDirectory: 72
        case .idAllExtendedDirectory, .idAllExtendedBothDirectory: 80
        default: nil
        }
    }

    /// Where the one of 64 bits is.
    fileprivate var idOffset: Int? {
        switch self {
        case .idBothDirectory: 96
        case .idFullDirectory, .id64ExtendedDirectory, .id64ExtendedBothDirectory, .idAllExtendedDirectory,
            .idAllExtendedBothDirectory:
            72
        default: nil
        }
    }
}

/// One entry of a directory, as far as any level shows it. The name is passed beside it.
package struct DirectoryEntry: Equatable, Sendable {
    package var fileIndex: UInt32
    package var information: NetworkOpenInformation
    package var eaSize: UInt32
    /// Instead of the EA size where the entry is a reparse point ([MS-FSCC] 2.4.8); a field of its own in the extended level.
    package var reparseTag: UInt32
    /// 64 bits of file id; the extended level has 128.
    package var fileID: UInt64
    package var fileIDHigh: UInt64
    /// Shown by the POSIX level, which cannot do without.
    package var posix: POSIXAttributes?
    /// Likewise: the file system that has the file.
    package var deviceID: UInt32 = 0
    /// Shown by `idBothDirectory` in place of the EA size and the short name.
    package var apple: AppleDirectoryAttributes?
    /// At most 12 units; shown by the levels that have one.
    package var shortName: [UInt16] = []

    package init(
        fileIndex: UInt32 = 0, information: NetworkOpenInformation, eaSize: UInt32 = 0, reparseTag: UInt32 = 0,
        fileID: UInt64, fileIDHigh: UInt64 = 0
    ) {
        self.fileIndex = fileIndex
        self.information = information
        self.eaSize = eaSize
        self.reparseTag = reparseTag
        self.fileID = fileID
        self.fileIDHigh = fileIDHigh
    }
}

/// Appends entries of one level, each on an 8-byte boundary and linked by NextEntryOffset, as long as they fit.
package struct DirectoryEntryWriter {
    package enum Outcome: Equatable, Sendable {
        case appended
        /// It does not fit any more; nothing was appended.
        case full
        /// The name is not valid UTF-8: it cannot be shown. Nothing was appended.
        case unrepresentable
    }

    package let informationClass: DirectoryInformationClass
    /// Bytes the client has room for.
    package let limit: Int
    package private(set) var count = 0
    private let start: Int
    private var previous: Int?

    /// The list starts where the writer is now.
    package init(_ informationClass: DirectoryInformationClass, limit: Int, writer: borrowing WireWriter) {
        self.informationClass = informationClass
        self.limit = limit
        self.start = writer.count
    }

    /// Appends an entry; `name` is UTF-8, as the kernel gave it.
    package mutating func append(
        _ entry: DirectoryEntry, name: RawSpan, into writer: inout WireWriter
    ) -> Outcome {
        guard let place = self.begin(entry, &writer) else { return .full }
        guard let nameLength = writer.append(utf16FromUTF8: name) else {
            writer.truncate(to: place.before)
            return .unrepresentable
        }
        return self.finish(entry, place, nameLength: nameLength, into: &writer)
    }

    /// Appends an entry; `name` is in UTF-16 units.
    package mutating func append(
        _ entry: DirectoryEntry, utf16 name: [UInt16], into writer: inout WireWriter
    ) -> Outcome {
        guard let place = self.begin(entry, &writer) else { return .full }
        for unit in name { writer.append(unit) }
        return self.finish(entry, place, nameLength: name.count * 2, into: &writer)
    }

    /// Where an entry starts, and where the list ended before its padding; nil where its fixed part does not fit.
    private func begin(_ entry: DirectoryEntry, _ writer: inout WireWriter) -> (before: Int, at: Int)? {
        let before = writer.count
        if self.previous != nil { writer.align(to: 8, from: self.start) }
        let at = writer.count
        let fixed = self.informationClass.fixedByteCount
        guard fixed <= self.limit - (at - self.start) else {
            writer.truncate(to: before)
            return nil
        }
        guard self.informationClass == .posix else {
            writer.claim(fixed)
            return (before, at)
        }
        guard let posix = entry.posix else { preconditionFailure("a POSIX entry without POSIX attributes") }
        writer.claim(8)
        POSIXInformation(
            information: entry.information, fileID: entry.fileID, deviceID: entry.deviceID, attributes: posix
        ).encode(into: &writer)
        writer.claim(4)
        return (before, at)
    }

    private mutating func finish(
        _ entry: DirectoryEntry, _ place: (before: Int, at: Int), nameLength: Int, into writer: inout WireWriter
    ) -> Outcome {
        guard writer.count - self.start <= self.limit else {
            writer.truncate(to: place.before)
            return .full
        }
        self.store(entry, nameLength: UInt32(nameLength), into: &writer, at: place.at)
        if let previous = self.previous { writer.store(UInt32(place.at - previous), at: previous) }
        self.previous = place.at
        self.count += 1
        return .appended
    }

    private func store(_ entry: DirectoryEntry, nameLength: UInt32, into writer: inout WireWriter, at: Int) {
        writer.store(entry.fileIndex, at: at + 4)
        guard self.informationClass != .posix else {
            writer.store(nameLength, at: writer.count - Int(nameLength) - 4)
            return
        }
        guard self.informationClass != .names else {
            writer.store(nameLength, at: at + 8)
            return
        }
        let information = entry.information
        writer.store(information.creationTime.ticks, at: at + 8)
        writer.store(information.lastAccessTime.ticks, at: at + 16)
        writer.store(information.lastWriteTime.ticks, at: at + 24)
        writer.store(information.changeTime.ticks, at: at + 32)
        writer.store(information.endOfFile, at: at + 40)
        writer.store(information.allocationSize, at: at + 48)
        writer.store(information.attributes.rawValue, at: at + 56)
        writer.store(nameLength, at: at + 60)
        let level = self.informationClass
        guard level != .directory else { return }
        if level.isExtended {
            writer.store(entry.eaSize, at: at + 64)
            writer.store(entry.reparseTag, at: at + 68)
        } else {
            writer.store(entry.reparseTag != 0 ? entry.reparseTag : entry.eaSize, at: at + 64)
        }
        if let offset = level.idOffset { writer.store(entry.fileID, at: at + offset) }
        if let offset = level.longIDOffset {
            writer.store(entry.fileID, at: at + offset)
            writer.store(entry.fileIDHigh, at: at + offset + 8)
        }
        if let offset = level.shortNameOffset {
            let name = entry.shortName.prefix(Self.shortNameUnits)
            writer.store(UInt8(2 * name.count), at: at + offset)
            for (index, unit) in name.enumerated() { writer.store(unit, at: at + offset + 2 + 2 * index) }
        }
        if level == .idBothDirectory { entry.apple?.store(into: &writer, at: at) }
    }

    private static let shortNameUnits = 12
}

/// What a client reads of a directory entry.
package struct ParsedDirectoryEntry: Equatable, Sendable {
    /// Entries read from one answer.
    package static let maximumEntries = 1 << 20

    package var name: String
    /// In the level `names`, and for what a level does not have, zeros.
    package var entry: DirectoryEntry

    package static func parseList(
        _ data: RawSpan, _ informationClass: DirectoryInformationClass
    ) throws(WireError) -> [ParsedDirectoryEntry] {
        var entries: [ParsedDirectoryEntry] = []
        var at = 0
        guard data.byteCount > 0 else { return entries }
        while true {
            guard entries.count < Self.maximumEntries else { throw .limitExceeded("directory entries") }
            guard data.byteCount - at >= informationClass.fixedByteCount else { throw .truncated("directory entry") }
            let next = Int(data.load(UInt32.self, at: at))
            entries.append(try Self.parse(data, at: at, informationClass))
            guard next != 0 else { return entries }
            guard next >= informationClass.fixedByteCount, next <= data.byteCount - at else {
                throw .outOfBounds("NextEntryOffset")
            }
            at += next
        }
    }

    private static func parse(
        _ data: RawSpan, at: Int, _ informationClass: DirectoryInformationClass
    ) throws(WireError) -> ParsedDirectoryEntry {
        guard informationClass != .posix else { return try Self.parsePOSIX(data, at: at) }
        let start = at + informationClass.fixedByteCount
        let nameLength = Int(data.load(UInt32.self, at: informationClass == .names ? at + 8 : at + 60))
        let range = try data.range(offset: start, length: nameLength, notBefore: start, "directory entry name")
        let name = try UTF16LE.decode(data.extracting(range))
        var information = NetworkOpenInformation(
            creationTime: .zero, lastAccessTime: .zero, lastWriteTime: .zero, changeTime: .zero, allocationSize: 0,
            endOfFile: 0, attributes: [])
        if informationClass != .names {
            information.creationTime = FileTime(ticks: data.load(UInt64.self, at: at + 8))
            information.lastAccessTime = FileTime(ticks: data.load(UInt64.self, at: at + 16))
            information.lastWriteTime = FileTime(ticks: data.load(UInt64.self, at: at + 24))
            information.changeTime = FileTime(ticks: data.load(UInt64.self, at: at + 32))
            information.endOfFile = data.load(UInt64.self, at: at + 40)
            information.allocationSize = data.load(UInt64.self, at: at + 48)
            information.attributes = FileAttributes(rawValue: data.load(UInt32.self, at: at + 56))
        }
        var entry = DirectoryEntry(
            fileIndex: data.load(UInt32.self, at: at + 4), information: information, fileID: 0)
        switch informationClass {
        case .directory, .names, .posix: break
        default:
            entry.eaSize = data.load(UInt32.self, at: at + 64)
            if !informationClass.isExtended, information.attributes.contains(.reparsePoint) {
                (entry.eaSize, entry.reparseTag) = (0, entry.eaSize)
            }
        }
        if informationClass.isExtended { entry.reparseTag = data.load(UInt32.self, at: at + 68) }
        if let offset = informationClass.idOffset { entry.fileID = data.load(UInt64.self, at: at + offset) }
        if let offset = informationClass.longIDOffset {
            entry.fileID = data.load(UInt64.self, at: at + offset)
            entry.fileIDHigh = data.load(UInt64.self, at: at + offset + 8)
        }
        if let offset = informationClass.shortNameOffset {
            let count = min(Int(data.load(UInt8.self, at: at + offset)) / 2, 12)
            entry.shortName = (0..<count).map { data.load(UInt16.self, at: at + offset + 2 + 2 * $0) }
        }
        return ParsedDirectoryEntry(name: name, entry: entry)
    }

    private static func parsePOSIX(_ data: RawSpan, at: Int) throws(WireError) -> ParsedDirectoryEntry {
        let posix = try POSIXInformation(parsing: data.extracting(at + 8..<data.byteCount))
        let lengthAt = at + 8 + posix.byteCount
        guard data.byteCount - lengthAt >= 4 else { throw .truncated("directory entry name") }
        let length = Int(data.load(UInt32.self, at: lengthAt))
        let range = try data.range(
            offset: lengthAt + 4, length: length, notBefore: lengthAt + 4, "directory entry name")
        var entry = DirectoryEntry(
            fileIndex: data.load(UInt32.self, at: at + 4), information: posix.information,
            reparseTag: posix.attributes.reparseTag, fileID: posix.fileID)
        entry.posix = posix.attributes
        entry.deviceID = posix.deviceID
        return ParsedDirectoryEntry(name: try UTF16LE.decode(data.extracting(range)), entry: entry)
    }
}
