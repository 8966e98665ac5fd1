import COpenSSL

/// SMB2 TRANSFORM_HEADER, [MS-SMB2] 2.2.41. Offsets from its first byte.
package enum TransformLayout {
    package static let byteCount = 52
    /// FD 'S' 'M' 'B', read as a little-endian number.
    package static let protocolID: UInt32 = 0x424D_53FD
    static let tagRange = 4..<20
    static let nonceOffset = 20
    static let sizeOffset = 36
    static let flagsOffset = 42
    static let sessionIDOffset = 44
    /// Nonce to session id is authenticated but not encrypted.
    static let additionalDataRange = 20..<52
    static let encrypted: UInt16 = 0x0001

    /// The session whose key opens the packet; nil where it is no transform header at all.
    package static func sessionID(of packet: UnsafeRawBufferPointer) -> UInt64? {
        guard packet.count >= Self.byteCount,
            UInt32(littleEndian: packet.loadUnaligned(as: UInt32.self)) == Self.protocolID
        else { return nil }
        return UInt64(littleEndian: packet.loadUnaligned(fromByteOffset: Self.sessionIDOffset, as: UInt64.self))
    }
}

/// Encrypts and decrypts the messages of one session, in place, with one context a direction that is keyed
/// once: no allocation a message. Not for two threads at once. [MS-SMB2] 3.1.4.3, 3.3.5.2.1.1.
package struct Sealer: ~Copyable {
    package let algorithm: SealingAlgorithm
    private let encryption: OpaquePointer
    private let decryption: OpaquePointer
    /// A key must never meet a nonce twice: random where it starts, then counted.
    private var nonce: (prefix: UInt32, counter: UInt64)

    package init(_ algorithm: SealingAlgorithm, encryption: SecretKey, decryption: SecretKey) throws(CryptoError) {
        guard encryption.count == algorithm.keyByteCount, decryption.count == algorithm.keyByteCount else {
            throw .malformed("\(algorithm) wants keys of \(algorithm.keyByteCount) bytes")
        }
        let nonce = (prefix: UInt32(truncatingIfNeeded: try Random.integer()), counter: try Random.integer())
        let contexts = try Self.contexts(algorithm, encryption: encryption, decryption: decryption)
        self.algorithm = algorithm
        self.nonce = nonce
        self.encryption = contexts.encryption
        self.decryption = contexts.decryption
    }

    deinit {
        EVP_CIPHER_CTX_free(self.encryption)
        EVP_CIPHER_CTX_free(self.decryption)
    }

    /// `packet` is ``TransformLayout/byteCount`` bytes of room and, behind them, the message or the compound.
    /// Writes the header and encrypts in place.
    package mutating func seal(_ packet: UnsafeMutableRawBufferPointer, sessionID: UInt64) throws(CryptoError) {
        let size = packet.count - TransformLayout.byteCount
        guard size > 0, let size32 = Int32(exactly: size), let base = packet.baseAddress else {
            throw .malformed("nothing to encrypt, or too much")
        }
        UnsafeMutableRawBufferPointer(rebasing: packet[..<TransformLayout.byteCount])
            .initializeMemory(as: UInt8.self, repeating: 0)
        base.storeBytes(of: TransformLayout.protocolID.littleEndian, as: UInt32.self)
        self.nonce.counter &+= 1
        base.storeBytes(
            of: self.nonce.counter.littleEndian, toByteOffset: TransformLayout.nonceOffset, as: UInt64.self)
        // CCM takes three bytes of the prefix, GCM four; what is behind the nonce stays zero.
        let prefix = self.algorithm.isCCM ? self.nonce.prefix & 0x00FF_FFFF : self.nonce.prefix
        base.storeBytes(of: prefix.littleEndian, toByteOffset: TransformLayout.nonceOffset + 8, as: UInt32.self)
        base.storeBytes(of: UInt32(size).littleEndian, toByteOffset: TransformLayout.sizeOffset, as: UInt32.self)
        base.storeBytes(
            of: TransformLayout.encrypted.littleEndian, toByteOffset: TransformLayout.flagsOffset, as: UInt16.self)
        base.storeBytes(of: sessionID.littleEndian, toByteOffset: TransformLayout.sessionIDOffset, as: UInt64.self)
        try self.encrypt(base, size32)
    }

    /// Encrypts behind a finished header; apart from ``seal(_:sessionID:)`` so that known answers can be tested.
    func encrypt(_ base: UnsafeMutableRawPointer, _ size: Int32) throws(CryptoError) {
        let context = self.encryption
        let bytes = base.assumingMemoryBound(to: UInt8.self)
        let text = bytes + TransformLayout.byteCount
        var written: Int32 = 0
        let succeeded =
            EVP_EncryptInit_ex(context, nil, nil, nil, bytes + TransformLayout.nonceOffset) == 1
            && (!self.algorithm.isCCM || EVP_EncryptUpdate(context, nil, &written, nil, size) == 1)
            && EVP_EncryptUpdate(
                context, nil, &written, bytes + TransformLayout.additionalDataRange.lowerBound,
                Int32(TransformLayout.additionalDataRange.count)) == 1
            && EVP_EncryptUpdate(context, text, &written, text, size) == 1 && written == size
            && EVP_EncryptFinal_ex(context, text + Int(size), &written) == 1
            && EVP_CIPHER_CTX_ctrl(
                context, EVP_CTRL_AEAD_GET_TAG, Int32(TransformLayout.tagRange.count),
                bytes + TransformLayout.tagRange.lowerBound) == 1
        guard succeeded else { throw .openSSL("encrypting with \(self.algorithm)") }
    }

    /// Decrypts in place and returns where in `packet` the message is. Throws ``CryptoError/authentication`` for a
    /// tag that does not match (the contents are gone then) and ``CryptoError/malformed(_:)`` for a header that
    /// lies. The caller has looked the session up by ``TransformLayout/sessionID(of:)``.
    package mutating func open(_ packet: UnsafeMutableRawBufferPointer) throws(CryptoError) -> Range<Int> {
        let size = packet.count - TransformLayout.byteCount
        guard size > 0, let size32 = Int32(exactly: size), let base = packet.baseAddress,
            TransformLayout.sessionID(of: UnsafeRawBufferPointer(packet)) != nil
        else { throw .malformed("no transform header, or nothing behind it") }
        let declared = UInt32(
            littleEndian: packet.loadUnaligned(fromByteOffset: TransformLayout.sizeOffset, as: UInt32.self))
        guard declared == UInt32(size) else { throw .malformed("OriginalMessageSize is not the message's size") }
        let flags = UInt16(
            littleEndian: packet.loadUnaligned(fromByteOffset: TransformLayout.flagsOffset, as: UInt16.self))
        guard flags == TransformLayout.encrypted else { throw .malformed("transform flags \(flags)") }

        let context = self.decryption
        let bytes = base.assumingMemoryBound(to: UInt8.self)
        let text = bytes + TransformLayout.byteCount
        let nonce = bytes + TransformLayout.nonceOffset
        let tagCount = Int32(TransformLayout.tagRange.count)
        let tag = bytes + TransformLayout.tagRange.lowerBound
        let additional = bytes + TransformLayout.additionalDataRange.lowerBound
        let additionalCount = Int32(TransformLayout.additionalDataRange.count)
        var written: Int32 = 0
        if self.algorithm.isCCM {
            // CCM wants tag and length first, and checks the tag in the update.
            guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tagCount, tag) == 1,
                EVP_DecryptInit_ex(context, nil, nil, nil, nonce) == 1,
                EVP_DecryptUpdate(context, nil, &written, nil, size32) == 1,
                EVP_DecryptUpdate(context, nil, &written, additional, additionalCount) == 1
            else { throw .openSSL("decrypting with \(self.algorithm)") }
            guard EVP_DecryptUpdate(context, text, &written, text, size32) == 1, written == size32 else {
                ERR_clear_error()
                throw .authentication
            }
        } else {
            guard EVP_DecryptInit_ex(context, nil, nil, nil, nonce) == 1,
                EVP_DecryptUpdate(context, nil, &written, additional, additionalCount) == 1,
                EVP_DecryptUpdate(context, text, &written, text, size32) == 1, written == size32,
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tagCount, tag) == 1
            else { throw .openSSL("decrypting with \(self.algorithm)") }
            guard EVP_DecryptFinal_ex(context, text + size, &written) == 1 else {
                ERR_clear_error()
                throw .authentication
            }
        }
        return TransformLayout.byteCount..<packet.count
    }

    private static func contexts(
        _ algorithm: SealingAlgorithm, encryption: SecretKey, decryption: SecretKey
    ) throws(CryptoError) -> (encryption: OpaquePointer, decryption: OpaquePointer) {
        let sealing = try Self.context(algorithm, key: encryption, encrypts: true)
        do throws(CryptoError) {
            return (sealing, try Self.context(algorithm, key: decryption, encrypts: false))
        } catch {
            EVP_CIPHER_CTX_free(sealing)
            throw error
        }
    }

    private static func context(
        _ algorithm: SealingAlgorithm, key: SecretKey, encrypts: Bool
    ) throws(CryptoError) -> OpaquePointer {
        let cipher: OpaquePointer? =
            switch algorithm {
            case .aes128CCM: EVP_aes_128_ccm()
            case .aes128GCM: EVP_aes_128_gcm()
            case .aes256CCM: EVP_aes_256_ccm()
            case .aes256GCM: EVP_aes_256_gcm()
            }
        guard let context = EVP_CIPHER_CTX_new() else { throw .openSSL("EVP_CIPHER_CTX_new") }
        let direction: Int32 = encrypts ? 1 : 0
        let nonceCount = Int32(algorithm.nonceByteCount)
        let succeeded =
            EVP_CipherInit_ex(context, cipher, nil, nil, nil, direction) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, nonceCount, nil) == 1
            && (!algorithm.isCCM || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, nil) == 1)
            && EVP_CipherInit_ex(context, nil, nil, key.bytes, nil, direction) == 1
        guard succeeded else {
            EVP_CIPHER_CTX_free(context)
            throw .openSSL("\(algorithm)")
        }
        return context
    }
}
