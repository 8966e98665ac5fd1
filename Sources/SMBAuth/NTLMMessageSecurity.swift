import SMBCrypto

/// What an NTLM exchange leaves to the protection of messages. [MS-NLMP] 3.4.
package struct NTLMSecurityContext: Sendable {
    fileprivate var sessionKey: [UInt8]
    fileprivate var flags: NTLMFlags
    /// 1 where SPNEGO's mechListMIC took number 0 in both directions: the key streams begin anew behind it
    /// ([MS-SPNG] 3.3.5.1), the numbers go on.
    fileprivate var sequence: UInt32

    init(sessionKey: [UInt8], flags: NTLMFlags, sequence: UInt32) {
        self.sessionKey = sessionKey
        self.flags = flags
        self.sequence = sequence
    }
}

/// Signs and encrypts the messages of one NTLM session with extended session security, as one of its two ends. The key
/// streams go on from message to message: what is lost or comes out of order can never be read again.
/// [MS-NLMP] 3.4.3, 3.4.4.2.
package struct NTLMMessageSecurity: ~Copyable {
    package static let signatureByteCount = 16

    private struct Direction: ~Copyable {
        var signingKey: [UInt8]
        var stream: RC4
        var sequence: UInt32

        init(_ context: NTLMSecurityContext, fromServer: Bool) throws(CryptoError) {
            let signingKey = try NTLM.signingKey(context.sessionKey, fromServer: fromServer)
            let stream = try RC4(
                key: NTLM.sealingKey(context.sessionKey, flags: context.flags, fromServer: fromServer))
            self.signingKey = signingKey
            self.stream = stream
            self.sequence = context.sequence
        }

        /// The signature of the next message. 3.4.4.2.
        mutating func sign(_ message: [UInt8], encrypts: Bool) throws(CryptoError) -> [UInt8] {
            let number = self.sequence.littleEndianBytes
            self.sequence &+= 1
            var checksum = Array(try Digest.hmacMD5(key: self.signingKey, number, message).prefix(8))
            if encrypts { checksum = try self.stream.apply(checksum) }
            return UInt32(1).littleEndianBytes + checksum + number
        }
    }

    private var outgoing: Direction
    private var incoming: Direction
    private let encryptsChecksum: Bool

    package init(_ context: NTLMSecurityContext, isServer: Bool) throws(CryptoError) {
        let outgoing = try Direction(context, fromServer: isServer)
        let incoming = try Direction(context, fromServer: !isServer)
        self.outgoing = outgoing
        self.incoming = incoming
        self.encryptsChecksum = context.flags.contains(.keyExchange)
    }

    /// The signature over `message`; `sealed` of it is then encrypted in place. 3.4.3: the text first, then its checksum.
    package mutating func protect(_ message: inout [UInt8], sealing sealed: Range<Int>?) throws(CryptoError) -> [UInt8]
    {
        let plain = message
        if let sealed { message.replaceSubrange(sealed, with: try self.outgoing.stream.apply(Array(plain[sealed]))) }
        return try self.outgoing.sign(plain, encrypts: self.encryptsChecksum)
    }

    /// Decrypts `sealed` of `message` in place and says whether the signature fits.
    package mutating func open(
        _ message: inout [UInt8], sealed: Range<Int>?, signature: [UInt8]
    ) throws(CryptoError) -> Bool {
        if let sealed { message.replaceSubrange(sealed, with: try self.incoming.stream.apply(Array(message[sealed]))) }
        let expected = try self.incoming.sign(message, encrypts: self.encryptsChecksum)
        return constantTimeEqual(expected, signature)
    }
}
