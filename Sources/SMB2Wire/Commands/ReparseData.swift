/// REPARSE_DATA_BUFFER, [MS-FSCC] 2.1.2: what FSCTL_GET_REPARSE_POINT answers and FSCTL_SET_REPARSE_POINT takes.
package struct ReparseData: Equatable, Sendable {
    /// MAXIMUM_REPARSE_DATA_BUFFER_SIZE.
    package static let maximumByteCount = 16 << 10
    static let headerByteCount = 8
    /// With a GUID, where the tag is not Microsoft's. [MS-FSCC] 2.1.2.3.
    static let guidHeaderByteCount = 24
    package static let symlinkTag = SymlinkErrorData.reparseTag
    private static let microsoftBit: UInt32 = 0x8000_0000

    package var tag: UInt32
    /// The whole buffer.
    package var bytes: [UInt8]

    /// A symbolic link, [MS-FSCC] 2.1.2.4.
    package struct Symlink: Equatable, Sendable {
        package static let fixedByteCount = 20

        package var substituteName: String
        package var printName: String
        /// SYMLINK_FLAG_RELATIVE.
        package var isRelative: Bool

        package init(substituteName: String, printName: String, isRelative: Bool) {
            self.substituteName = substituteName
            self.printName = printName
            self.isRelative = isRelative
        }

        package init(parsing data: RawSpan) throws(WireError) {
            try data.require(Self.fixedByteCount, "symbolic link")
            let start = Self.fixedByteCount
            let substitute = try data.range(
                offset: start + Int(data.load(UInt16.self, at: 8)), length: Int(data.load(UInt16.self, at: 10)),
                notBefore: start, "substitute name")
            let print = try data.range(
                offset: start + Int(data.load(UInt16.self, at: 12)), length: Int(data.load(UInt16.self, at: 14)),
                notBefore: start, "print name")
            self.isRelative = data.load(UInt32.self, at: 16) & 1 != 0
            self.substituteName = try UTF16LE.decode(data.extracting(substitute))
            self.printName = try UTF16LE.decode(data.extracting(print))
            guard !self.substituteName.isEmpty else { throw .invalidValue("substitute name") }
        }

        package func encode(into writer: inout WireWriter) {
            let at = writer.claim(Self.fixedByteCount)
            let substituteLength = writer.append(utf16: self.substituteName)
            let printLength = writer.append(utf16: self.printName)
            writer.store(ReparseData.symlinkTag, at: at)
            writer.store(UInt16(12 + substituteLength + printLength), at: at + 4)
            writer.store(UInt16(substituteLength), at: at + 10)
            writer.store(UInt16(substituteLength), at: at + 12)
            writer.store(UInt16(printLength), at: at + 14)
            writer.store(UInt32(self.isRelative ? 1 : 0), at: at + 16)
        }
    }

    /// A tag that has no data.
    package init(tag: UInt32) {
        self.tag = tag
        var writer = WireWriter(capacity: 8)
        writer.append(tag)
        writer.append(UInt32(0))
        self.bytes = writer.bytes
    }

    package init(_ symlink: Symlink) {
        self.tag = Self.symlinkTag
        var writer = WireWriter(capacity: 128)
        symlink.encode(into: &writer)
        self.bytes = writer.bytes
    }

    /// Checked as [MS-FSA] 2.1.5.10.37 wants it: the length, and that a symbolic link is one.
    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(Self.headerByteCount, "REPARSE_DATA_BUFFER")
        guard input.byteCount <= Self.maximumByteCount else { throw .limitExceeded("REPARSE_DATA_BUFFER") }
        self.tag = input.load(UInt32.self, at: 0)
        let length = Int(input.load(UInt16.self, at: 4))
        let header = self.tag & Self.microsoftBit != 0 ? Self.headerByteCount : Self.guidHeaderByteCount
        guard length == input.byteCount - header else { throw .outOfBounds("ReparseDataLength") }
        if self.tag == Self.symlinkTag { _ = try Symlink(parsing: input) }
        self.bytes = input.copied
    }

    /// Nil where it is no symbolic link.
    package var symlink: Symlink? {
        guard self.tag == Self.symlinkTag else { return nil }
        let span = self.bytes.span.bytes
        return try? Symlink(parsing: span)
    }

    /// IO_REPARSE_TAG_RESERVED_ZERO, _ONE and _TWO mean nothing.
    package var isReserved: Bool { self.tag <= 2 }
}
