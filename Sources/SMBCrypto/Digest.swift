import COpenSSL

/// One-shot digests and keyed digests for handshakes; what signs messages is ``Signer``.
package enum Digest {
    package static func sha512(_ parts: [UInt8]...) throws(CryptoError) -> [UInt8] {
        try self.digest(EVP_sha512(), 64, parts, "SHA-512")
    }

    package static func md5(_ parts: [UInt8]...) throws(CryptoError) -> [UInt8] {
        try self.digest(EVP_md5(), 16, parts, "MD5")
    }

    /// RFC 1320; the NT hash of a password is the MD4 of its UTF-16LE text.
    package static func md4(_ parts: [UInt8]...) throws(CryptoError) -> [UInt8] {
        try self.digest(LegacyAlgorithms.loaded().md4, 16, parts, "MD4")
    }

    package static func hmacMD5(key: [UInt8], _ parts: [UInt8]...) throws(CryptoError) -> [UInt8] {
        try self.hmac("MD5", key, 16, parts)
    }

    package static func hmacSHA256(key: [UInt8], _ parts: [UInt8]...) throws(CryptoError) -> [UInt8] {
        try self.hmac("SHA256", key, 32, parts)
    }

    private static func digest(
        _ algorithm: OpaquePointer?, _ byteCount: Int, _ parts: [[UInt8]], _ name: String
    ) throws(CryptoError) -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { throw .openSSL(name) }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestInit_ex(context, algorithm, nil) == 1 else { throw .openSSL(name) }
        for part in parts {
            guard EVP_DigestUpdate(context, part, part.count) == 1 else { throw .openSSL(name) }
        }
        var result = [UInt8](repeating: 0, count: byteCount)
        guard EVP_DigestFinal_ex(context, &result, nil) == 1 else { throw .openSSL(name) }
        return result
    }

    private static func hmac(
        _ digest: String, _ key: [UInt8], _ byteCount: Int, _ parts: [[UInt8]]
    ) throws(CryptoError) -> [UInt8] {
        // An empty key is legal for HMAC, but libcrypto takes a null pointer for "keep the old one".
        let keyBytes = key.isEmpty ? [0] : key
        guard let context = hf_mac_new("HMAC", "digest", digest, keyBytes, key.count) else {
            throw .openSSL("HMAC-\(digest)")
        }
        defer { EVP_MAC_CTX_free(context) }
        for part in parts {
            guard EVP_MAC_update(context, part, part.count) == 1 else { throw .openSSL("HMAC-\(digest)") }
        }
        var result = [UInt8](repeating: 0, count: byteCount)
        var length = 0
        guard EVP_MAC_final(context, &result, &length, byteCount) == 1, length == byteCount else {
            throw .openSSL("HMAC-\(digest)")
        }
        return result
    }
}

/// The running hash over NEGOTIATE and SESSION_SETUP of SMB 3.1.1: each message is hashed behind the
/// value so far. [MS-SMB2] 3.1.4.4.1 names SHA-512, the only algorithm there is.
package struct PreauthIntegrity: Equatable, Sendable {
    package static let byteCount = 64
    package private(set) var value = [UInt8](repeating: 0, count: PreauthIntegrity.byteCount)

    package init() {}

    /// `message` starts at its SMB2 header, without the transport's four bytes.
    package mutating func update(_ message: RawSpan) throws(CryptoError) {
        let bytes = message.withUnsafeBytes { Array($0) }
        self.value = try Digest.sha512(self.value, bytes)
    }

    package mutating func update(_ message: [UInt8]) throws(CryptoError) {
        self.value = try Digest.sha512(self.value, message)
    }
}
