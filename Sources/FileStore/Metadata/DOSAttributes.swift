import CLinux
import SMB2Wire

/// The attributes that Linux does not have, and the creation time, in Samba's `user.DOSATTRIB`: the structure
/// xattr_DOSATTRIB of its IDL in NDR, little-endian: an old textual form ("" or "0x22", NUL-terminated), the version twice
/// (2 bytes each), then by version
///
/// | version | fields, 4-aligned |
/// |---|---|
/// | 3 | valid flags, attributes, EA size (4 each), size, allocation size, creation time, change time (8 each) |
/// | 4 | valid flags, attributes (4 each), invented inode time, creation time (8 each) |
/// | 5 | valid flags, attributes (4 each), creation time (8) |
///
/// Written as version 4, which every Samba since 4.11 reads; 1 and 2, which nobody writes any more, read as absent.
package struct DOSAttributes: Equatable, Sendable {
    package static let name = "user.DOSATTRIB"
    /// More than version 3 with the longest textual form takes.
    static let maximumBytes = 128

    private static let validAttributes: UInt32 = 0x01
    private static let validCreationTime: UInt32 = 0x10

    /// Nil: not kept, the defaults hold.
    package var attributes: FileAttributes?
    package var creationTime: FileTime?
    /// Where the attributes say that the file is a reparse point: what `user.SmbReparse` says. Not kept here.
    package var reparseTag: UInt32 = 0

    /// What is kept of the attributes a file is shown with.
    static let kept = FileAttributes.settable.subtracting(.normal).union([.sparseFile, .reparsePoint])

    package init(attributes: FileAttributes? = nil, creationTime: FileTime? = nil) {
        self.attributes = attributes
        self.creationTime = creationTime
    }

    package init?(parsing bytes: RawSpan) {
        var at = 0
        while at < bytes.byteCount, bytes.load(UInt8.self, at: at) != 0 { at += 1 }
        let version = (at + 1 + 1) & ~1
        guard bytes.byteCount >= 4, version <= bytes.byteCount - 4 else { return nil }
        let fields = (version + 4 + 3) & ~3
        let creationOffset: Int
        switch bytes.load(UInt16.self, at: version) {
        case 3: creationOffset = 28
        case 4: creationOffset = 16
        case 5: creationOffset = 8
        default: return nil
        }
        guard bytes.byteCount >= creationOffset + 8, fields <= bytes.byteCount - creationOffset - 8 else { return nil }
        let valid = bytes.load(UInt32.self, at: fields)
        if valid & Self.validAttributes != 0 {
            self.attributes = FileAttributes(rawValue: bytes.load(UInt32.self, at: fields + 4))
        }
        if valid & Self.validCreationTime != 0 {
            self.creationTime = FileTime(ticks: bytes.load(UInt64.self, at: fields + creationOffset))
        }
    }

    /// Version 4.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = [0, 0, 4, 0, 4, 0, 0, 0]
        var valid: UInt32 = 0
        if self.attributes != nil { valid |= Self.validAttributes }
        if self.creationTime != nil { valid |= Self.validCreationTime }
        withUnsafeBytes(of: valid.littleEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: (self.attributes?.rawValue ?? 0).littleEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: UInt64(0)) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: (self.creationTime?.ticks ?? 0).littleEndian) { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// Of an open file (O_PATH will do). Absent, unreadable or damaged: the defaults.
    static func read(_ descriptor: Int32) -> DOSAttributes {
        var dos = self.parse { clinux_getxattr(descriptor, self.name, $0, $1) }
        if dos.attributes?.contains(.reparsePoint) == true {
            withTerminated(ReparsePoints.attribute) { name in
                dos.reparseTag = ReparsePoints.tag { clinux_getxattr(descriptor, name, $0, $1) }
            }
        }
        return dos
    }

    /// Of a directory's entry.
    static func read(directory: Int32, entry: UnsafePointer<CChar>) -> DOSAttributes {
        var dos = self.parse { clinux_getxattr_entry(directory, entry, self.name, $0, $1) }
        if dos.attributes?.contains(.reparsePoint) == true {
            withTerminated(ReparsePoints.attribute) { name in
                dos.reparseTag = ReparsePoints.tag { clinux_getxattr_entry(directory, entry, name, $0, $1) }
            }
        }
        return dos
    }

    private static func parse(_ read: (UnsafeMutableRawPointer?, Int) -> Int) -> DOSAttributes {
        var buffer = InlineArray<128, UInt8>(repeating: 0)
        var span = buffer.mutableSpan
        let count = span.withUnsafeMutableBufferPointer { read($0.baseAddress, $0.count) }
        guard count > 0 else { return DOSAttributes() }
        return DOSAttributes(parsing: buffer.span.bytes.extracting(first: count)) ?? DOSAttributes()
    }

    func write(_ descriptor: Int32) throws(FileError) {
        let bytes = self.encoded
        try check(clinux_setxattr(descriptor, Self.name, bytes, bytes.count, 0), "set the DOS attributes")
    }
}

extension FileInformation {
    /// Files are ARCHIVE and directories nothing but directories unless `user.DOSATTRIB` says otherwise; a file that
    /// Linux lets nobody write is read-only.
    init(_ status: FileStatus, _ dos: DOSAttributes) {
        var attributes: FileAttributes
        if let kept = dos.attributes {
            attributes = kept.intersection(FileAttributes.settable.subtracting(.normal))
        } else {
            attributes = status.isDirectory ? [] : .archive
            if status.isRegular, status.raw.mode & 0o222 == 0 { attributes.insert(.readOnly) }
        }
        if status.isDirectory { attributes.insert(.directory) }
        let reparseTag = status.reparseTag != 0 ? status.reparseTag : dos.reparseTag
        if reparseTag != 0 { attributes.insert(.reparsePoint) }
        if status.isRegular, let kept = dos.attributes, kept.contains(.sparseFile) { attributes.insert(.sparseFile) }
        self.attributes = attributes.normalized
        self.creationTime = dos.creationTime ?? status.birthTime
        self.lastAccessTime = status.accessTime
        self.lastWriteTime = status.writeTime
        self.changeTime = status.changeTime
        self.endOfFile = status.isRegular ? status.size : 0
        self.allocationSize = status.isRegular ? status.raw.blocks * 512 : 0
        self.linkCount = status.raw.links
        self.fileID = status.inode
        self.isDirectory = status.isDirectory
        self.reparseTag = reparseTag
        self.mode = status.raw.mode
        self.uid = status.raw.uid
        self.gid = status.raw.gid
    }
}
