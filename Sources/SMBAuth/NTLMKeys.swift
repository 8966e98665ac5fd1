import SMBCrypto

/// The MD4 of a password in UTF-16LE: all that is kept of it. [MS-NLMP] 3.3.1, NTOWFv1.
package struct NTHash: Equatable, Sendable {
    package static let byteCount = 16
    package let bytes: [UInt8]

    package init(password: String) throws(CryptoError) {
        self.bytes = try Digest.md4([UInt8](utf16LE: password))
    }

    /// Nobody's: no password has it.
    package static let none = NTHash()

    private init() { self.bytes = [UInt8](repeating: 0, count: Self.byteCount) }

    /// Nil unless there are ``byteCount`` bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }
}

extension NTHash: CustomStringConvertible, CustomDebugStringConvertible {
    package var description: String { "NTHash(secret)" }
    package var debugDescription: String { self.description }
}

/// What an NTLMv2 exchange yields on either side. [MS-NLMP] 3.3.2, 3.4.5.1.
struct NTLMv2Keys {
    /// NTProofStr, the answer to the challenge.
    var proof: [UInt8]
    /// The base of the session key, and with NTLMv2 the key exchange key as well.
    var sessionBase: [UInt8]
    var responseKey: [UInt8]

    /// `user` and `domain` in UTF-16LE as they are sent; `temp` is the response without its first 16 bytes.
    init(
        hash: NTHash, user: [UInt8], domain: [UInt8], serverChallenge: [UInt8], temp: [UInt8]
    ) throws(CryptoError) {
        self.responseKey = try Digest.hmacMD5(key: hash.bytes, user.uppercasedUTF16LE, domain)
        self.proof = try Digest.hmacMD5(key: self.responseKey, serverChallenge, temp)
        self.sessionBase = try Digest.hmacMD5(key: self.responseKey, self.proof)
    }
}

extension NTLM {
    /// Over the three messages, the last with a MIC of zeroes. [MS-NLMP] 3.1.5.1.2.
    static func messageIntegrityCode(
        sessionKey: [UInt8], negotiate: [UInt8], challenge: [UInt8], authenticate: [UInt8]
    ) throws(CryptoError) -> [UInt8] {
        var zeroed = authenticate
        zeroed.replaceSubrange(Self.micRange, with: repeatElement(0, count: Self.micRange.count))
        return try Digest.hmacMD5(key: sessionKey, negotiate, challenge, zeroed)
    }

    /// GSS_GetMIC with extended session security, for the first message of one direction (sequence number 0):
    /// SPNEGO's mechListMIC is the only thing ever signed. [MS-NLMP] 3.4.4.2, 3.4.5.2, 3.4.5.3.
    static func signature(
        of message: [UInt8], sessionKey: [UInt8], flags: NTLMFlags, fromServer: Bool
    ) throws(CryptoError) -> [UInt8] {
        let sequence = UInt32(0).littleEndianBytes
        let signing = try self.signingKey(sessionKey, fromServer: fromServer)
        var checksum = Array(try Digest.hmacMD5(key: signing, sequence, message).prefix(8))
        if flags.contains(.keyExchange) {
            checksum = try RC4.apply(key: self.sealingKey(sessionKey, flags: flags, fromServer: fromServer), checksum)
        }
        return UInt32(1).littleEndianBytes + checksum + sequence
    }

    static func signingKey(_ sessionKey: [UInt8], fromServer: Bool) throws(CryptoError) -> [UInt8] {
        try Digest.md5(sessionKey, self.constant("signing", fromServer))
    }

    static func sealingKey(
        _ sessionKey: [UInt8], flags: NTLMFlags, fromServer: Bool
    ) throws(CryptoError) -> [UInt8] {
        let byteCount = flags.contains(.key128) ? 16 : flags.contains(.key56) ? 7 : 5
        return try Digest.md5(Array(sessionKey.prefix(byteCount)), self.constant("sealing", fromServer))
    }

    private static func constant(_ purpose: String, _ fromServer: Bool) -> [UInt8] {
        let direction = fromServer ? "server-to-client" : "client-to-server"
        return Array("session key to \(direction) \(purpose) key magic constant".utf8) + [0]
    }
}
