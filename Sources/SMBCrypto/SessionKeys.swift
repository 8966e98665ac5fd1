/// The ciphers of SMB2_ENCRYPTION_CAPABILITIES with their wire identifiers. [MS-SMB2] 2.2.3.1.2.
package enum SealingAlgorithm: UInt16, Sendable, CaseIterable {
    case aes128CCM = 0x0001
    case aes128GCM = 0x0002
    case aes256CCM = 0x0003
    case aes256GCM = 0x0004

    package var keyByteCount: Int { self == .aes256CCM || self == .aes256GCM ? 32 : 16 }
    package var nonceByteCount: Int { self.isCCM ? 11 : 12 }
    var isCCM: Bool { self == .aes128CCM || self == .aes256CCM }
}

/// SMB2_SIGNING_CAPABILITIES with their wire identifiers. [MS-SMB2] 2.2.3.1.7.
package enum SigningAlgorithm: UInt16, Sendable, CaseIterable {
    case hmacSHA256 = 0x0000
    case aesCMAC = 0x0001
    case aesGMAC = 0x0002

    /// What a dialect signs with where nothing was negotiated.
    package static func standard(forDialect dialect: UInt16) -> SigningAlgorithm {
        dialect >= 0x0300 ? .aesCMAC : .hmacSHA256
    }
}

/// Whose eyes the keys are seen with: what one side encrypts with, the other decrypts with.
package enum Role: Sendable { case client, server }

/// The keys of one session (of one channel, where channels are bound). [MS-SMB2] 3.1.4.2, 3.2.5.3.1, 3.3.5.5.3.
package struct SessionKeys: Equatable, Sendable {
    /// Session.SessionKey: the first 16 bytes of what the authentication gave.
    package var session: SecretKey
    package var signing: SecretKey
    /// Nil on 2.x, which does not know encryption.
    package var encryption: SecretKey?
    package var decryption: SecretKey?
    package var application: SecretKey

    /// `dialect` is the wire value (0x0202 ... 0x0311). `preauthIntegrity` counts on 3.1.1 only: the session's
    /// hash, which covers everything up to the last SESSION_SETUP request, not its response.
    /// `cipher` is the negotiated one; on 3.0 and 3.0.2 it is always AES-128-CCM.
    package init(
        sessionKey full: [UInt8], dialect: UInt16, preauthIntegrity: [UInt8] = [],
        cipher: SealingAlgorithm? = .aes128CCM, role: Role
    ) throws(CryptoError) {
        let session = SecretKey(full, paddedTo: 16)
        self.session = session
        guard dialect >= 0x0300 else {
            self.signing = session
            self.application = session
            self.encryption = nil
            self.decryption = nil
            return
        }
        let is311 = dialect >= 0x0311
        func derive(_ label: String, _ context: String, from key: [UInt8], _ byteCount: Int) throws(CryptoError)
            -> SecretKey
        {
            try Self.derive(
                from: key, label: Array(label.utf8) + [0],
                context: is311 ? preauthIntegrity : Array(context.utf8) + [0], byteCount: byteCount)
        }
        self.signing = try derive(is311 ? "SMBSigningKey" : "SMB2AESCMAC", "SmbSign", from: session.bytes, 16)
        self.application = try derive(is311 ? "SMBAppKey" : "SMB2APP", "SmbRpc", from: session.bytes, 16)

        guard let cipher else {
            self.encryption = nil
            self.decryption = nil
            return
        }
        // A 256-bit cipher is keyed from Session.FullSessionKey, the untruncated key.
        let byteCount = cipher.keyByteCount
        let base = byteCount == 32 ? full : session.bytes
        let toClient = try derive(is311 ? "SMBS2CCipherKey" : "SMB2AESCCM", "ServerOut", from: base, byteCount)
        let toServer = try derive(is311 ? "SMBC2SCipherKey" : "SMB2AESCCM", "ServerIn ", from: base, byteCount)
        self.encryption = role == .server ? toClient : toServer
        self.decryption = role == .server ? toServer : toClient
    }

    /// SP 800-108 in counter mode, HMAC-SHA256 as its PRF, r = 32. One round gives all that is ever asked for.
    /// [MS-SMB2] 3.1.4.2. `label` and `context` come with the terminating NUL that the section writes out.
    package static func derive(
        from key: [UInt8], label: [UInt8], context: [UInt8], byteCount: Int
    ) throws(CryptoError) -> SecretKey {
        precondition(byteCount > 0 && byteCount <= 32, "one round of HMAC-SHA256")
        let bits = UInt32(byteCount * 8)
        let length: [UInt8] = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: bits >> $0) }
        let output = try Digest.hmacSHA256(key: key, [0, 0, 0, 1], label, [0], context, length)
        return SecretKey(Array(output.prefix(byteCount)))
    }
}
