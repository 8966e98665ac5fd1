import COpenSSL

/// A symmetric key of at most 32 bytes, inline. Compared in constant time and never printed.
package struct SecretKey: Sendable {
    package static let maximumByteCount = 32

    private var storage: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    package let count: Int

    /// The first ``maximumByteCount`` bytes of `bytes`.
    package init(_ bytes: [UInt8]) {
        let count = min(bytes.count, Self.maximumByteCount)
        self.count = count
        withUnsafeMutableBytes(of: &self.storage) { target in
            bytes.withUnsafeBytes { target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }

    /// `bytes` cut or padded with zeroes to `count`: Session.SessionKey is the first 16 bytes of what
    /// the authentication protocol gave, padded on the right. [MS-SMB2] 3.3.5.5.3.
    package init(_ bytes: [UInt8], paddedTo count: Int) {
        precondition(count <= Self.maximumByteCount, "a key is at most 32 bytes")
        var padded = Array(bytes.prefix(count))
        padded.append(contentsOf: repeatElement(0, count: count - padded.count))
        self.init(padded)
    }

    package var bytes: [UInt8] { self.withUnsafeBytes { Array($0) } }

    package func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        var copy = self.storage
        let count = self.count
        // A local copy: its address is stable for the duration of the call.
        return try withUnsafeMutablePointer(to: &copy) { pointer throws(E) -> R in
            try body(UnsafeRawBufferPointer(start: UnsafeRawPointer(pointer), count: count))
        }
    }
}

extension SecretKey: Equatable {
    package static func == (left: SecretKey, right: SecretKey) -> Bool {
        constantTimeEqual(left.bytes, right.bytes)
    }
}

extension SecretKey: CustomStringConvertible, CustomDebugStringConvertible {
    package var description: String { "SecretKey(\(self.count) bytes)" }
    package var debugDescription: String { self.description }
}

/// Takes the same time wherever the first difference is; lengths are not secret.
package func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
}
