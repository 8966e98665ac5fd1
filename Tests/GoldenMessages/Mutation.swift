/// Changes to well-formed bytes that find parsers' weak places.
package enum Mutation {
    /// Values at which lengths and offsets go wrong.
    private static let edges: [UInt32] = [
        0, 1, 2, 3, 4, 7, 8, 0x3F, 0x40, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, UInt32.max,
    ]

    /// One to four changes, most of them behind the header.
    package static func mutate(_ bytes: [UInt8], with random: inout SplitMix64) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            guard !bytes.isEmpty else { return bytes }
            // Mostly behind the header: the header's own fields are few.
            let lowest = Int.random(in: 0..<8, using: &random) == 0 ? 0 : min(64, bytes.count - 1)
            let at = Int.random(in: lowest..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 2, 3:
                let value = Self.edges[Int.random(in: 0..<Self.edges.count, using: &random)]
                for offset in 0..<min(Bool.random(using: &random) ? 2 : 4, bytes.count - at) {
                    bytes[at + offset] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(offset)))
                }
            case 4: bytes.removeSubrange(at...)
            default: bytes.insert(contentsOf: bytes[..<min(at, 24)], at: at)
            }
        }
        return bytes
    }
}

/// SplitMix64: the seeded generator of the mutation tests, here and on the whole server.
package struct SplitMix64: RandomNumberGenerator {
    package var state: UInt64

    package init(seed: UInt64) { self.state = seed }

    package mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
