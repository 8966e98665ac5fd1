/// The SMB2 packet header in its sync and async forms, [MS-SMB2] 2.2.1.
package struct SMB2Header: Equatable, Sendable {
    package static let byteCount = 64
    package static let structureSize: UInt16 = 64
    /// 0xFE 'S' 'M' 'B'.
    package static let protocolID: UInt32 = 0x424D_53FE
    /// The signature's bytes in the header: zero while the signature is computed.
    package static let signatureRange = 48..<64

    package struct Flags: OptionSet, Sendable {
        package var rawValue: UInt32

        package init(rawValue: UInt32) { self.rawValue = rawValue }

        /// SMB2_FLAGS_SERVER_TO_REDIR: a response.
        package static let response = Flags(rawValue: 0x0000_0001)
        package static let async = Flags(rawValue: 0x0000_0002)
        package static let related = Flags(rawValue: 0x0000_0004)
        package static let signed = Flags(rawValue: 0x0000_0008)
        package static let priorityMask = Flags(rawValue: 0x0000_0070)
        package static let dfs = Flags(rawValue: 0x1000_0000)
        package static let replay = Flags(rawValue: 0x2000_0000)
    }

    package var creditCharge: UInt16
    /// The status of a response. In a request of 3.x the low half is the ChannelSequence.
    package var status: NTStatus
    /// Kept raw: a request with a code we do not know still has a header that must be answered.
    package var commandCode: UInt16
    /// Credits asked for (request) or granted (response).
    package var credits: UInt16
    package var flags: Flags
    /// Bytes from this header to the next of the compound; 0 in the last.
    package var nextCommand: UInt32
    package var messageID: UInt64
    /// The eight bytes that are AsyncId in the async form, Reserved (the process id of old) and TreeId in the sync form.
    package var asyncID: UInt64
    package var sessionID: UInt64
    package var signature: SIMD2<UInt64>

    package init(
        command: SMB2Command, flags: Flags = [], status: NTStatus = .success, creditCharge: UInt16 = 0,
        credits: UInt16 = 0, messageID: UInt64 = 0, treeID: UInt32 = 0, sessionID: UInt64 = 0
    ) {
        self.creditCharge = creditCharge
        self.status = status
        self.commandCode = command.rawValue
        self.credits = credits
        self.flags = flags
        self.nextCommand = 0
        self.messageID = messageID
        self.asyncID = UInt64(treeID) << 32
        self.sessionID = sessionID
        self.signature = .zero
    }

    package var command: SMB2Command? { SMB2Command(rawValue: self.commandCode) }

    /// The sync form's TreeId. Meaningless in the async form.
    package var treeID: UInt32 {
        get { UInt32(truncatingIfNeeded: self.asyncID >> 32) }
        set { self.asyncID = UInt64(newValue) << 32 | self.asyncID & 0xFFFF_FFFF }
    }

    /// The sync form's Reserved field, once the process id; answered as it came.
    package var processID: UInt32 {
        get { UInt32(truncatingIfNeeded: self.asyncID) }
        set { self.asyncID = self.asyncID & 0xFFFF_FFFF_0000_0000 | UInt64(newValue) }
    }

    /// A 3.x request's ChannelSequence, [MS-SMB2] 3.3.5.2.10.
    package var channelSequence: UInt16 {
        get { UInt16(truncatingIfNeeded: self.status.rawValue) }
        set { self.status = NTStatus(rawValue: self.status.rawValue & 0xFFFF_0000 | UInt32(newValue)) }
    }

    package var isResponse: Bool { self.flags.contains(.response) }
    package var isAsync: Bool { self.flags.contains(.async) }
    package var isRelated: Bool { self.flags.contains(.related) }
    package var isSigned: Bool { self.flags.contains(.signed) }
    package var isReplay: Bool { self.flags.contains(.replay) }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.require(Self.byteCount, "SMB2 header")
        guard message.load(UInt32.self, at: 0) == Self.protocolID else { throw .invalidValue("SMB2 protocol id") }
        guard message.load(UInt16.self, at: 4) == Self.structureSize else { throw .structureSize("SMB2 header") }
        self.creditCharge = message.load(UInt16.self, at: 6)
        self.status = NTStatus(rawValue: message.load(UInt32.self, at: 8))
        self.commandCode = message.load(UInt16.self, at: 12)
        self.credits = message.load(UInt16.self, at: 14)
        self.flags = Flags(rawValue: message.load(UInt32.self, at: 16))
        self.nextCommand = message.load(UInt32.self, at: 20)
        self.messageID = message.load(UInt64.self, at: 24)
        self.asyncID = message.load(UInt64.self, at: 32)
        self.sessionID = message.load(UInt64.self, at: 40)
        self.signature = SIMD2(message.load(UInt64.self, at: 48), message.load(UInt64.self, at: 56))
    }

    /// Appends the header and makes it the start of the writer's message.
    package func encode(into writer: inout WireWriter) {
        let at = writer.claimUncleared(Self.byteCount)
        writer.messageStart = at
        self.store(into: &writer, at: at)
    }

    /// Writes the header over 64 bytes claimed earlier: a reply's status and credits are known only after its body.
    package func store(into writer: inout WireWriter, at offset: Int) {
        // One borrow of the storage for all the fields: this stands before every reply.
        writer.withUnsafeMutableBytes(in: offset..<offset + Self.byteCount) { bytes in
            bytes.storeBytes(of: Self.protocolID.littleEndian, toByteOffset: 0, as: UInt32.self)
            bytes.storeBytes(of: Self.structureSize.littleEndian, toByteOffset: 4, as: UInt16.self)
            bytes.storeBytes(of: self.creditCharge.littleEndian, toByteOffset: 6, as: UInt16.self)
            bytes.storeBytes(of: self.status.rawValue.littleEndian, toByteOffset: 8, as: UInt32.self)
            bytes.storeBytes(of: self.commandCode.littleEndian, toByteOffset: 12, as: UInt16.self)
            bytes.storeBytes(of: self.credits.littleEndian, toByteOffset: 14, as: UInt16.self)
            bytes.storeBytes(of: self.flags.rawValue.littleEndian, toByteOffset: 16, as: UInt32.self)
            bytes.storeBytes(of: self.nextCommand.littleEndian, toByteOffset: 20, as: UInt32.self)
            bytes.storeBytes(of: self.messageID.littleEndian, toByteOffset: 24, as: UInt64.self)
            bytes.storeBytes(of: self.asyncID.littleEndian, toByteOffset: 32, as: UInt64.self)
            bytes.storeBytes(of: self.sessionID.littleEndian, toByteOffset: 40, as: UInt64.self)
            bytes.storeBytes(of: self.signature[0].littleEndian, toByteOffset: 48, as: UInt64.self)
            bytes.storeBytes(of: self.signature[1].littleEndian, toByteOffset: 56, as: UInt64.self)
        }
    }
}

extension SMB2Header {
    /// The part of `packet` that is the message starting at its first byte: up to NextCommand, or all of it.
    /// [MS-SMB2] 3.3.5.2.7: NextCommand is a multiple of 8 and leaves a whole header on either side.
    package func messageLength(in packet: RawSpan) throws(WireError) -> Int {
        guard self.nextCommand != 0 else { return packet.byteCount }
        let next = Int(self.nextCommand)
        guard next & 7 == 0, next >= Self.byteCount, next <= packet.byteCount,
            packet.byteCount - next >= Self.byteCount
        else { throw .invalidValue("NextCommand") }
        return next
    }
}
