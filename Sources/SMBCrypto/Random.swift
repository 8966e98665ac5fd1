import COpenSSL

/// The operating system's randomness through libcrypto's generator.
package enum Random {
    package static func bytes(_ count: Int) throws(CryptoError) -> [UInt8] {
        precondition(count >= 0 && count <= Int(Int32.max), "a sane number of random bytes")
        var result = [UInt8](repeating: 0, count: count)
        guard RAND_bytes(&result, Int32(count)) == 1 else { throw .openSSL("RAND_bytes") }
        return result
    }

    package static func integer() throws(CryptoError) -> UInt64 {
        try self.bytes(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
