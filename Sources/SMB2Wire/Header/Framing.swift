/// Direct TCP transport, [MS-SMB2] 2.1: a zero byte and the length in three bytes, most significant first.
package enum DirectTCP {
    package static let headerByteCount = 4
    /// What three bytes can say.
    package static let maximumLength = 0xFF_FFFF

    /// The length that the four bytes at `offset` announce; the caller has checked that they are there.
    package static func length(in stream: RawSpan, at offset: Int = 0) throws(WireError) -> Int {
        let word = stream.load(UInt32.self, at: offset).byteSwapped
        guard word >> 24 == 0 else { throw .invalidValue("direct TCP stream protocol") }
        return Int(word)
    }

    /// The four bytes for a message of `length`, as stored little-endian.
    package static func header(length: Int) -> UInt32 {
        precondition(length >= 0 && length <= Self.maximumLength)
        return UInt32(length).byteSwapped
    }
}

/// What a packet is, by its first four bytes.
package enum PacketKind: Equatable, Sendable {
    case smb1
    case smb2
    case encrypted
    case compressed
    case unknown

    package init(_ packet: RawSpan) {
        guard packet.byteCount >= 4 else {
            self = .unknown
            return
        }
        switch packet.load(UInt32.self, at: 0) {
        case SMB2Header.protocolID: self = .smb2
        case TransformHeader.protocolID: self = .encrypted
        case 0x424D_53FC: self = .compressed
        case SMB1Negotiate.protocolID: self = .smb1
        default: self = .unknown
        }
    }
}

/// The one SMB1 message a server of SMB2 must understand: the multi-protocol negotiate of [MS-SMB2] 3.3.5.3.1.
package struct SMB1Negotiate: Equatable, Sendable {
    /// 0xFF 'S' 'M' 'B'.
    package static let protocolID: UInt32 = 0x424D_53FF
    package static let command: UInt8 = 0x72
    package static let headerByteCount = 32
    /// Dialect strings looked at; real clients send at most a dozen.
    package static let maximumDialects = 64

    /// "SMB 2.002" is offered.
    package var offersSMB202: Bool
    /// "SMB 2.???" is offered: the client knows a dialect from 2.1 on.
    package var offersWildcard: Bool

    /// [MS-CIFS] 2.2.4.52.1: no words, then strings, each a 0x02 and NUL-terminated ASCII.
    package init(parsing packet: RawSpan) throws(WireError) {
        try packet.require(Self.headerByteCount + 3, "SMB1 negotiate")
        guard packet.load(UInt32.self, at: 0) == Self.protocolID, packet.load(UInt8.self, at: 4) == Self.command else {
            throw .invalidValue("SMB1 command")
        }
        guard packet.load(UInt8.self, at: Self.headerByteCount) == 0 else { throw .structureSize("SMB1 negotiate") }
        let length = Int(packet.load(UInt16.self, at: Self.headerByteCount + 1))
        let strings = try packet.range(
            offset: Self.headerByteCount + 3, length: length, notBefore: Self.headerByteCount + 3, "SMB1 dialects")
        self.offersSMB202 = false
        self.offersWildcard = false
        var at = strings.lowerBound
        var dialects = 0
        while at < strings.upperBound {
            guard packet.load(UInt8.self, at: at) == 0x02 else { throw .invalidValue("SMB1 dialect format") }
            at += 1
            let start = at
            while at < strings.upperBound, packet.load(UInt8.self, at: at) != 0 { at += 1 }
            guard at < strings.upperBound else { throw .truncated("SMB1 dialect") }
            dialects += 1
            guard dialects <= Self.maximumDialects else { throw .limitExceeded("SMB1 dialects") }
            let name = packet.extracting(start..<at)
            if name.hasSameBytes(as: Array("SMB 2.002".utf8).span.bytes) { self.offersSMB202 = true }
            if name.hasSameBytes(as: Array("SMB 2.???".utf8).span.bytes) { self.offersWildcard = true }
            at += 1
        }
    }
}
