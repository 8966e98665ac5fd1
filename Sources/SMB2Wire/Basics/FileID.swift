/// SMB2_FILEID, [MS-SMB2] 2.2.14.1.
package struct FileID: Hashable, Sendable {
    package static let byteCount = 16
    /// "The file id of the previous request of this compound", [MS-SMB2] 3.3.5.2.7.2.
    package static let related = FileID(persistent: UInt64.max, volatile: UInt64.max)

    package var persistent: UInt64
    package var volatile: UInt64

    package init(persistent: UInt64, volatile: UInt64) {
        self.persistent = persistent
        self.volatile = volatile
    }

    /// Sixteen bytes at `offset`; the caller has checked the length.
    package init(loading span: RawSpan, at offset: Int) {
        self.persistent = span.load(UInt64.self, at: offset)
        self.volatile = span.load(UInt64.self, at: offset + 8)
    }
}

extension WireWriter {
    package mutating func append(_ id: FileID) {
        self.append(id.persistent)
        self.append(id.volatile)
    }

    package mutating func store(_ id: FileID, at offset: Int) {
        self.store(id.persistent, at: offset)
        self.store(id.volatile, at: offset + 8)
    }
}
