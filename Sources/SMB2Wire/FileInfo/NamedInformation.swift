/// FileNameInformation ([MS-FSCC] 2.4.32), FileNormalizedNameInformation (2.4.30), FileAlternateNameInformation (2.4.5):
/// a length and a name.
package struct NameInformation: Equatable, Sendable {
    package var name: String

    package init(_ name: String) { self.name = name }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(4, "FileNameInformation")
        let range = try data.range(
            offset: 4, length: Int(data.load(UInt32.self, at: 0)), notBefore: 4, "FileNameInformation")
        self.name = try UTF16LE.decode(data.extracting(range))
    }

    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(4)
        writer.store(UInt32(writer.append(utf16: self.name)), at: at)
    }
}

/// FileRenameInformation for SMB2 ([MS-FSCC] 2.4.43.2), with the Ex flags (2.4.43.3), and FileLinkInformation for SMB2
/// (2.4.27.2), which have the same layout.
package struct RenameInformation: Equatable, Sendable {
    package static let fixedByteCount = 20
    /// A target longer than this is no path.
    package static let maximumNameByteCount = 65_534

    /// The class without Ex: one byte. With it: flags, of which bit 0 means the same.
    package var flags: UInt32
    package var rootDirectory: UInt64
    /// In UTF-16, relative to the information's beginning.
    package var name: Range<Int>

    package var replaceIfExists: Bool { self.flags & 1 != 0 }
    /// FILE_RENAME_POSIX_SEMANTICS and FILE_LINK_POSIX_SEMANTICS, of the Ex classes.
    package var hasPOSIXSemantics: Bool { self.flags & 2 != 0 }

    package init(replaceIfExists: Bool) {
        self.flags = replaceIfExists ? 1 : 0
        self.rootDirectory = 0
        self.name = 0..<0
    }

    /// `isEx`: FileRenameInformationEx or FileLinkInformationEx, whose first field is 32 bits of flags.
    package init(parsing data: RawSpan, isEx: Bool = false) throws(WireError) {
        try data.require(Self.fixedByteCount, "FileRenameInformation")
        self.flags = isEx ? data.load(UInt32.self, at: 0) : (data.load(UInt8.self, at: 0) != 0 ? 1 : 0)
        self.rootDirectory = data.load(UInt64.self, at: 8)
        let length = Int(data.load(UInt32.self, at: 16))
        guard length <= Self.maximumNameByteCount else { throw .limitExceeded("FileRenameInformation name") }
        self.name = try data.range(
            offset: Self.fixedByteCount, length: length, notBefore: Self.fixedByteCount, "FileRenameInformation name")
    }

    package func encode(into writer: inout WireWriter, name: String) {
        let at = writer.claim(Self.fixedByteCount)
        writer.store(self.flags, at: at)
        writer.store(self.rootDirectory, at: at + 8)
        writer.store(UInt32(writer.append(utf16: name)), at: at + 16)
        // [MS-SMB2] 2.2.39: Windows refuses fewer than the 24 bytes that its structure takes.
        if writer.count - at < 24 { writer.claim(24 - (writer.count - at)) }
    }
}

/// One stream: FileStreamInformation, [MS-FSCC] 2.4.44.
package struct StreamInformation: Equatable, Sendable {
    package static let fixedByteCount = 24
    /// Streams that a client reads from one answer.
    package static let maximumEntries = 65_536

    /// With its colons: `::$DATA`, `:name:$DATA`.
    package var name: String
    package var size: UInt64
    package var allocationSize: UInt64

    package init(name: String, size: UInt64, allocationSize: UInt64) {
        self.name = name
        self.size = size
        self.allocationSize = allocationSize
    }

    /// Appends whole entries as long as they fit into `limit` bytes; false where some did not (STATUS_BUFFER_OVERFLOW).
    package static func encode(_ streams: [StreamInformation], into writer: inout WireWriter, limit: Int) -> Bool {
        let start = writer.count
        var previous: Int?
        for stream in streams {
            let before = writer.count
            if previous != nil { writer.align(to: 8, from: start) }
            let at = writer.claim(Self.fixedByteCount)
            let length = writer.append(utf16: stream.name)
            guard writer.count - start <= limit else {
                writer.truncate(to: before)
                return false
            }
            writer.store(UInt32(length), at: at + 4)
            writer.store(stream.size, at: at + 8)
            writer.store(stream.allocationSize, at: at + 16)
            if let previous { writer.store(UInt32(at - previous), at: previous) }
            previous = at
        }
        return true
    }

    package static func parseList(_ data: RawSpan) throws(WireError) -> [StreamInformation] {
        var streams: [StreamInformation] = []
        var at = 0
        guard data.byteCount > 0 else { return streams }
        while true {
            guard streams.count < Self.maximumEntries else { throw .limitExceeded("streams") }
            guard data.byteCount - at >= Self.fixedByteCount else { throw .truncated("FileStreamInformation") }
            let next = Int(data.load(UInt32.self, at: at))
            let start = at + Self.fixedByteCount
            let name = try data.range(
                offset: start, length: Int(data.load(UInt32.self, at: at + 4)), notBefore: start, "stream name")
            streams.append(
                StreamInformation(
                    name: try UTF16LE.decode(data.extracting(name)), size: data.load(UInt64.self, at: at + 8),
                    allocationSize: data.load(UInt64.self, at: at + 16)))
            guard next != 0 else { return streams }
            guard next >= Self.fixedByteCount, next <= data.byteCount - at else {
                throw .outOfBounds("NextEntryOffset")
            }
            at += next
        }
    }
}

/// FileAllInformation, [MS-FSCC] 2.4.2.
package struct AllInformation: Equatable, Sendable {
    /// Up to the name.
    package static let fixedByteCount = 100

    package var basic: BasicInformation
    package var standard: StandardInformation
    package var indexNumber: UInt64
    package var eaSize: UInt32
    package var access: AccessMask
    package var position: UInt64
    package var mode: UInt32
    package var alignment: UInt32
    package var name: String

    package init(
        basic: BasicInformation, standard: StandardInformation, indexNumber: UInt64, eaSize: UInt32,
        access: AccessMask, position: UInt64, mode: UInt32, alignment: UInt32, name: String
    ) {
        self.basic = basic
        self.standard = standard
        self.indexNumber = indexNumber
        self.eaSize = eaSize
        self.access = access
        self.position = position
        self.mode = mode
        self.alignment = alignment
        self.name = name
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.fixedByteCount, "FileAllInformation")
        self.basic = try BasicInformation(parsing: data)
        self.standard = try StandardInformation(parsing: data.extracting(40..<64))
        self.indexNumber = data.load(UInt64.self, at: 64)
        self.eaSize = data.load(UInt32.self, at: 72)
        self.access = AccessMask(rawValue: data.load(UInt32.self, at: 76))
        self.position = data.load(UInt64.self, at: 80)
        self.mode = data.load(UInt32.self, at: 88)
        self.alignment = data.load(UInt32.self, at: 92)
        self.name = try NameInformation(parsing: data.extracting(96..<data.byteCount)).name
    }

    package func encode(into writer: inout WireWriter) {
        self.basic.encode(into: &writer)
        self.standard.encode(into: &writer)
        writer.append(self.indexNumber)
        writer.append(self.eaSize)
        writer.append(self.access.rawValue)
        writer.append(self.position)
        writer.append(self.mode)
        writer.append(self.alignment)
        NameInformation(self.name).encode(into: &writer)
    }
}
