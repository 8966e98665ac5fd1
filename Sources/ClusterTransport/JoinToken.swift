import Crypto

/// What lets one machine into the cluster, once: a secret that the cluster checks, and the fingerprint by which the
/// machine knows that it talks to the right cluster.
package struct JoinToken: Equatable, Sendable {
    package static let secretBytes = 16
    package static let fingerprintBytes = 32

    package let secret: [UInt8]
    package let fingerprint: [UInt8]

    package init?(secret: [UInt8], fingerprint: [UInt8]) {
        guard secret.count == Self.secretBytes, fingerprint.count == Self.fingerprintBytes else { return nil }
        self.secret = secret
        self.fingerprint = fingerprint
    }

    /// A new token of the cluster whose authority has this fingerprint.
    package init?(fingerprint: [UInt8]) {
        var generator = SystemRandomNumberGenerator()
        let secret = (0..<Self.secretBytes).map { _ in UInt8.random(in: 0...255, using: &generator) }
        self.init(secret: secret, fingerprint: fingerprint)
    }

    /// What the cluster keeps: who reads the state must not be able to join with it.
    package var secretHash: [UInt8] { Self.hash(self.secret) }

    package static func hash(_ secret: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: secret)) }

    /// `hf1-` and 52 bytes in hexadecimal: secret, fingerprint and a checksum, so that a token that was cut in copying is
    /// told apart from one that is wrong.
    package var text: String {
        let body = self.secret + self.fingerprint
        return "hf1-" + Hexadecimal.text(body + Self.checksum(body))
    }

    package enum ParseError: Error, Equatable, Sendable {
        case notAToken
        case damaged
    }

    package init(parsing text: String) throws(ParseError) {
        let prefix = "hf1-"
        let bodyBytes = Self.secretBytes + Self.fingerprintBytes
        guard text.hasPrefix(prefix) else { throw .notAToken }
        let digits = Array(text.utf8.dropFirst(prefix.utf8.count))
        guard digits.count == 2 * (bodyBytes + 4) else { throw .damaged }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Self.digit(digits[index]), let low = Self.digit(digits[index + 1]) else { throw .damaged }
            bytes.append(high << 4 | low)
        }
        let body = Array(bytes[..<bodyBytes])
        guard Self.checksum(body) == Array(bytes[bodyBytes...]) else { throw .damaged }
        self.secret = Array(body[..<Self.secretBytes])
        self.fingerprint = Array(body[Self.secretBytes...])
    }

    private static func checksum(_ body: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: body).prefix(4)) }

    private static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case 0x30...0x39: character - 0x30
        case 0x61...0x66: character - 0x61 + 10
        case 0x41...0x46: character - 0x41 + 10
        default: nil
        }
    }
}

package enum Hexadecimal {
    /// Two lower-case digits a byte.
    package static func text(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.utf8.count == 1 ? "0" + text : text
        }.joined()
    }
}
