/// SMB2 WRITE Request, [MS-SMB2] 2.2.21.
package struct WriteRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 49
    package static let writeThroughFlag: UInt32 = 0x0000_0001
    package static let unbufferedFlag: UInt32 = 0x0000_0002

    package var offset: UInt64
    package var fileID: FileID
    /// Not zero: RDMA, which is not offered here.
    package var channel: UInt32
    package var remainingBytes: UInt32
    package var flags: UInt32
    /// The bytes to write, relative to the SMB2 header.
    package var data: Range<Int>

    package var isWriteThrough: Bool { self.flags & Self.writeThroughFlag != 0 }

    package init(fileID: FileID, offset: UInt64, flags: UInt32 = 0) {
        self.offset = offset
        self.fileID = fileID
        self.channel = 0
        self.remainingBytes = 0
        self.flags = flags
        self.data = 0..<0
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 48, "WRITE")
        let body = SMB2Header.byteCount
        self.offset = message.load(UInt64.self, at: body + 8)
        self.fileID = FileID(loading: message, at: body + 16)
        self.channel = message.load(UInt32.self, at: body + 32)
        self.remainingBytes = message.load(UInt32.self, at: body + 36)
        self.flags = message.load(UInt32.self, at: body + 44)
        self.data = try message.range(
            offset: Int(message.load(UInt16.self, at: body + 2)), length: Int(message.load(UInt32.self, at: body + 4)),
            notBefore: body + 48, "WRITE data")
    }

    package func encode(into writer: inout WireWriter, data: RawSpan) {
        let body = writer.claim(48)
        writer.store(Self.structureSize, at: body)
        writer.store(UInt16(writer.offsetInMessage), at: body + 2)
        writer.store(UInt32(data.byteCount), at: body + 4)
        writer.store(self.offset, at: body + 8)
        writer.store(self.fileID, at: body + 16)
        writer.store(self.channel, at: body + 32)
        writer.store(self.remainingBytes, at: body + 36)
        writer.store(self.flags, at: body + 44)
        writer.append(data)
    }
}

/// SMB2 WRITE Response, [MS-SMB2] 2.2.22.
package struct WriteResponse: Equatable, Sendable {
    package static let structureSize: UInt16 = 17

    package var count: UInt32

    package init(count: UInt32) { self.count = count }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 16, "WRITE response")
        self.count = message.load(UInt32.self, at: SMB2Header.byteCount + 4)
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(16)
        writer.store(Self.structureSize, at: body)
        writer.store(self.count, at: body + 4)
    }
}
