/// Times, sizes and attributes: FileNetworkOpenInformation, [MS-FSCC] 2.4.29, and the same fields in the same order in the
/// responses of CREATE ([MS-SMB2] 2.2.14) and CLOSE (2.2.16).
package struct NetworkOpenInformation: Equatable, Sendable {
    /// With the four reserved bytes that the information class ends with.
    package static let byteCount = 56

    package var creationTime: FileTime
    package var lastAccessTime: FileTime
    package var lastWriteTime: FileTime
    package var changeTime: FileTime
    package var allocationSize: UInt64
    package var endOfFile: UInt64
    package var attributes: FileAttributes

    package init(
        creationTime: FileTime, lastAccessTime: FileTime, lastWriteTime: FileTime, changeTime: FileTime,
        allocationSize: UInt64, endOfFile: UInt64, attributes: FileAttributes
    ) {
        self.creationTime = creationTime
        self.lastAccessTime = lastAccessTime
        self.lastWriteTime = lastWriteTime
        self.changeTime = changeTime
        self.allocationSize = allocationSize
        self.endOfFile = endOfFile
        self.attributes = attributes
    }

    /// 52 bytes at `offset`; the caller has checked the length.
    package init(loading span: RawSpan, at offset: Int) {
        self.creationTime = FileTime(ticks: span.load(UInt64.self, at: offset))
        self.lastAccessTime = FileTime(ticks: span.load(UInt64.self, at: offset + 8))
        self.lastWriteTime = FileTime(ticks: span.load(UInt64.self, at: offset + 16))
        self.changeTime = FileTime(ticks: span.load(UInt64.self, at: offset + 24))
        self.allocationSize = span.load(UInt64.self, at: offset + 32)
        self.endOfFile = span.load(UInt64.self, at: offset + 40)
        self.attributes = FileAttributes(rawValue: span.load(UInt32.self, at: offset + 48))
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FileNetworkOpenInformation")
        self.init(loading: data, at: 0)
    }

    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(Self.byteCount)
        self.store(into: &writer, at: at)
    }

    /// Writes 52 bytes over what was claimed.
    package func store(into writer: inout WireWriter, at offset: Int) {
        writer.store(self.creationTime.ticks, at: offset)
        writer.store(self.lastAccessTime.ticks, at: offset + 8)
        writer.store(self.lastWriteTime.ticks, at: offset + 16)
        writer.store(self.changeTime.ticks, at: offset + 24)
        writer.store(self.allocationSize, at: offset + 32)
        writer.store(self.endOfFile, at: offset + 40)
        writer.store(self.attributes.rawValue, at: offset + 48)
    }
}
