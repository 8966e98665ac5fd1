/// SMB2 READ Request, [MS-SMB2] 2.2.19.
package struct ReadRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 49
    package static let unbufferedFlag: UInt8 = 0x01
    /// SMB2_READFLAG_REQUEST_COMPRESSED: the client would like the response compressed. 3.1.1 only.
    package static let requestCompressedFlag: UInt8 = 0x02

    /// Where the client would like the data in the response, from the SMB2 header.
    package var padding: UInt8
    package var flags: UInt8
    package var length: UInt32
    package var offset: UInt64
    package var fileID: FileID
    package var minimumCount: UInt32
    /// Not zero: RDMA, which is not offered here.
    package var channel: UInt32
    package var remainingBytes: UInt32

    package init(fileID: FileID, offset: UInt64, length: UInt32, minimumCount: UInt32 = 0) {
        self.padding = 0x50
        self.flags = 0
        self.length = length
        self.offset = offset
        self.fileID = fileID
        self.minimumCount = minimumCount
        self.channel = 0
        self.remainingBytes = 0
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 48, "READ")
        let body = SMB2Header.byteCount
        self.padding = message.load(UInt8.self, at: body + 2)
        self.flags = message.load(UInt8.self, at: body + 3)
        self.length = message.load(UInt32.self, at: body + 4)
        self.offset = message.load(UInt64.self, at: body + 8)
        self.fileID = FileID(loading: message, at: body + 16)
        self.minimumCount = message.load(UInt32.self, at: body + 32)
        self.channel = message.load(UInt32.self, at: body + 36)
        self.remainingBytes = message.load(UInt32.self, at: body + 40)
    }

    package func encode(into writer: inout WireWriter) {
        // 2.2.19: at least one byte of buffer is sent.
        let body = writer.claim(49)
        writer.store(Self.structureSize, at: body)
        writer.store(self.padding, at: body + 2)
        writer.store(self.flags, at: body + 3)
        writer.store(self.length, at: body + 4)
        writer.store(self.offset, at: body + 8)
        writer.store(self.fileID, at: body + 16)
        writer.store(self.minimumCount, at: body + 32)
        writer.store(self.channel, at: body + 36)
        writer.store(self.remainingBytes, at: body + 40)
    }
}

/// SMB2 READ Response, [MS-SMB2] 2.2.20. The data stands directly behind its fixed part.
package struct ReadResponse: Equatable, Sendable {
    package static let structureSize: UInt16 = 17
    package static let fixedByteCount = 16
    /// DataLength, from the start of the fixed part.
    package static let dataLengthOffset = 4
    /// Header and fixed part: where the data starts, from the SMB2 header.
    package static let dataOffset = SMB2Header.byteCount + Self.fixedByteCount

    package var data: Range<Int>
    package var remaining: UInt32

    /// A response whose `dataLength` bytes follow.
    package init(dataLength: Int, remaining: UInt32 = 0) {
        self.data = Self.dataOffset..<Self.dataOffset + dataLength
        self.remaining = remaining
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: Self.fixedByteCount, "READ response")
        let body = SMB2Header.byteCount
        self.data = try message.range(
            offset: Int(message.load(UInt8.self, at: body + 2)), length: Int(message.load(UInt32.self, at: body + 4)),
            notBefore: Self.dataOffset, "READ data")
        self.remaining = message.load(UInt32.self, at: body + 8)
    }

    /// Appends the fixed part; the caller appends the data.
    package func encode(into writer: inout WireWriter) {
        let body = writer.claimUncleared(Self.fixedByteCount)
        self.store(into: &writer, at: body)
    }

    /// Writes the fixed part over bytes claimed before the length of the data was known.
    package func store(into writer: inout WireWriter, at body: Int) {
        writer.store(Self.structureSize, at: body)
        writer.store(UInt16(Self.dataOffset), at: body + 2)
        writer.store(UInt32(self.data.count), at: body + 4)
        writer.store(self.remaining, at: body + 8)
        writer.store(UInt32(0), at: body + 12)
    }
}
