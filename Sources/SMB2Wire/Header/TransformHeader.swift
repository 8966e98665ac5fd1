/// SMB2 TRANSFORM_HEADER, [MS-SMB2] 2.2.41: what stands before an encrypted message.
package struct TransformHeader: Equatable, Sendable {
    package static let byteCount = 52
    /// 0xFD 'S' 'M' 'B'.
    package static let protocolID: UInt32 = 0x424D_53FD
    package static let signatureRange = 4..<20
    /// What the cipher authenticates besides the message: everything behind the signature.
    package static let associatedDataRange = 20..<52
    package static let nonceRange = 20..<36
    /// Flags in 3.1.1 (Encrypted), EncryptionAlgorithm in 3.0 and 3.0.2 (AES-128-CCM): the same value.
    package static let encrypted: UInt16 = 0x0001

    package var signature: SIMD2<UInt64>
    /// Eleven bytes of it count for CCM, twelve for GCM; the rest is zero.
    package var nonce: SIMD2<UInt64>
    package var originalMessageSize: UInt32
    package var flags: UInt16
    package var sessionID: UInt64

    package init(nonce: SIMD2<UInt64>, originalMessageSize: UInt32, sessionID: UInt64) {
        self.signature = .zero
        self.nonce = nonce
        self.originalMessageSize = originalMessageSize
        self.flags = Self.encrypted
        self.sessionID = sessionID
    }

    /// `packet` is the transform header and the ciphertext. Checks what can be checked before decrypting:
    /// [MS-SMB2] 3.3.5.2.1.1, the flag, and that OriginalMessageSize is what follows.
    package init(parsing packet: RawSpan) throws(WireError) {
        try packet.require(Self.byteCount, "transform header")
        guard packet.load(UInt32.self, at: 0) == Self.protocolID else { throw .invalidValue("transform protocol id") }
        self.signature = SIMD2(packet.load(UInt64.self, at: 4), packet.load(UInt64.self, at: 12))
        self.nonce = SIMD2(packet.load(UInt64.self, at: 20), packet.load(UInt64.self, at: 28))
        self.originalMessageSize = packet.load(UInt32.self, at: 36)
        self.flags = packet.load(UInt16.self, at: 42)
        self.sessionID = packet.load(UInt64.self, at: 44)
        guard self.flags == Self.encrypted else { throw .invalidValue("transform flags") }
        guard self.originalMessageSize == packet.byteCount - Self.byteCount else {
            throw .outOfBounds("OriginalMessageSize")
        }
    }

    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(Self.byteCount)
        self.store(into: &writer, at: at)
    }

    package func store(into writer: inout WireWriter, at offset: Int) {
        writer.store(Self.protocolID, at: offset)
        writer.store(self.signature[0], at: offset + 4)
        writer.store(self.signature[1], at: offset + 12)
        writer.store(self.nonce[0], at: offset + 20)
        writer.store(self.nonce[1], at: offset + 28)
        writer.store(self.originalMessageSize, at: offset + 36)
        writer.store(UInt16(0), at: offset + 40)
        writer.store(self.flags, at: offset + 42)
        writer.store(self.sessionID, at: offset + 44)
    }
}
