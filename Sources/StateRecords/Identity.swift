/// 128 bits as they stand on the SMB wire (little endian halves). SMB2Wire's `GUID` has the field structure; records
/// only compare and carry it.
package struct GUID16: Hashable, Sendable {
    package var low: UInt64
    package var high: UInt64

    package init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    package static let zero = GUID16(low: 0, high: 0)
}

/// A file, named so that every node that mounts the file system finds the same one: the file system's UUID and the
/// kernel's file handle (name_to_handle_at). `st_dev` differs from node to node and is never part of it.
package struct FileIdentity: Hashable, BinaryRecord {
    package var fileSystem: GUID16
    package var handleType: Int32
    /// At most 128 bytes (MAX_HANDLE_SZ); XFS uses 12.
    package var handle: [UInt8]

    package init(fileSystem: GUID16, handleType: Int32, handle: [UInt8]) {
        self.fileSystem = fileSystem
        self.handleType = handleType
        self.handle = handle
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.fileSystem)
        writer.write(self.handleType)
        writer.write(self.handle)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.fileSystem = try reader.read()
        self.handleType = try reader.read()
        self.handle = try reader.read()
    }
}
