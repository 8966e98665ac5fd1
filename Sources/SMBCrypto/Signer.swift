import COpenSSL

/// Signs and verifies the messages of one session or channel, in place. Owns one libcrypto context, keyed
/// once and used for every message: no allocation a message. Not for two threads at once.
/// [MS-SMB2] 3.1.4.1 (signing), 3.1.5.1 (verifying).
package struct Signer: ~Copyable {
    /// Where the SMB2 header keeps its signature.
    package static let signatureRange = 48..<64
    package static let headerByteCount = 64

    private enum Context {
        case mac(OpaquePointer)
        case gmac(OpaquePointer)
    }

    package let algorithm: SigningAlgorithm
    private let context: Context

    package init(_ algorithm: SigningAlgorithm, key: SecretKey) throws(CryptoError) {
        guard key.count == 16 else { throw .malformed("a signing key has 16 bytes, not \(key.count)") }
        self.context = try Self.makeContext(algorithm, key.bytes)
        self.algorithm = algorithm
    }

    deinit {
        switch self.context {
        case .mac(let context): EVP_MAC_CTX_free(context)
        case .gmac(let context): EVP_CIPHER_CTX_free(context)
        }
    }

    /// Writes the signature of `message`, which reaches from its SMB2 header to its end (in a compound: to the
    /// next header, padding included). The caller has set SMB2_FLAGS_SIGNED. `fromServer`: who sends it.
    package mutating func sign(_ message: UnsafeMutableRawBufferPointer, fromServer: Bool) throws(CryptoError) {
        guard message.count >= Self.headerByteCount else { throw .malformed("no SMB2 header to sign") }
        let field = UnsafeMutableRawBufferPointer(rebasing: message[Self.signatureRange])
        field.initializeMemory(as: UInt8.self, repeating: 0)
        let signature = try self.compute(UnsafeRawBufferPointer(message), fromServer: fromServer)
        withUnsafeBytes(of: signature) { field.copyMemory(from: $0) }
    }

    /// Throws ``CryptoError/authentication`` where the signature does not match. The message is as before afterwards.
    package mutating func verify(_ message: UnsafeMutableRawBufferPointer, fromServer: Bool) throws(CryptoError) {
        guard message.count >= Self.headerByteCount else { throw .malformed("no SMB2 header to verify") }
        let field = UnsafeMutableRawBufferPointer(rebasing: message[Self.signatureRange])
        let received = field.loadUnaligned(as: Signature.self)
        field.initializeMemory(as: UInt8.self, repeating: 0)
        defer { withUnsafeBytes(of: received) { field.copyMemory(from: $0) } }
        let expected = try self.compute(UnsafeRawBufferPointer(message), fromServer: fromServer)
        // Branch-free over all sixteen bytes.
        guard (expected.0 ^ received.0) | (expected.1 ^ received.1) == 0 else { throw .authentication }
    }

    private static func makeContext(_ algorithm: SigningAlgorithm, _ key: [UInt8]) throws(CryptoError) -> Context {
        switch algorithm {
        case .hmacSHA256:
            guard let context = hf_mac_new("HMAC", "digest", "SHA256", key, key.count) else {
                throw .openSSL("HMAC-SHA256")
            }
            return .mac(context)
        case .aesCMAC:
            guard let context = hf_mac_new("CMAC", "cipher", "AES-128-CBC", key, key.count) else {
                throw .openSSL("AES-CMAC")
            }
            return .mac(context)
        case .aesGMAC:
            guard let context = EVP_CIPHER_CTX_new() else { throw .openSSL("AES-GMAC") }
            guard EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nil, key, nil) == 1 else {
                EVP_CIPHER_CTX_free(context)
                throw .openSSL("AES-GMAC")
            }
            return .gmac(context)
        }
    }

    private typealias Signature = (UInt64, UInt64)

    private func compute(_ message: UnsafeRawBufferPointer, fromServer: Bool) throws(CryptoError) -> Signature {
        // The longest output is HMAC-SHA256's; its first 16 bytes are the signature.
        var output: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        let bytes = message.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let succeeded = withUnsafeMutableBytes(of: &output) { output in
            let target = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
            var length = 0
            switch self.context {
            case .mac(let context):
                return EVP_MAC_init(context, nil, 0, nil) == 1
                    && EVP_MAC_update(context, bytes, message.count) == 1
                    && EVP_MAC_final(context, target, &length, output.count) == 1
            case .gmac(let context):
                guard let count = Int32(exactly: message.count) else { return false }
                var nonce = Self.nonce(of: message, fromServer: fromServer)
                var written: Int32 = 0
                return withUnsafeBytes(of: &nonce) { nonce in
                    let iv = nonce.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    return EVP_EncryptInit_ex(context, nil, nil, nil, iv) == 1
                        && EVP_EncryptUpdate(context, nil, &written, bytes, count) == 1
                        && EVP_EncryptFinal_ex(context, target, &written) == 1
                        && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, output.baseAddress) == 1
                }
            }
        }
        guard succeeded else { throw .openSSL("signing with \(self.algorithm)") }
        return (output.0, output.1)
    }

    /// AES-GMAC's nonce: the message id, then bit 0 for a message of the server and bit 1 for CANCEL.
    /// [MS-SMB2] 3.1.4.1.
    private static func nonce(of message: UnsafeRawBufferPointer, fromServer: Bool) -> (UInt32, UInt32, UInt32) {
        let command = UInt16(littleEndian: message.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
        let flags: UInt32 = (fromServer ? 1 : 0) | (command == 0x000C ? 2 : 0)
        return (
            message.loadUnaligned(fromByteOffset: 24, as: UInt32.self),
            message.loadUnaligned(fromByteOffset: 28, as: UInt32.self),
            flags.littleEndian
        )
    }
}
