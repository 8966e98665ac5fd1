/// xoshiro256** seeded through SplitMix64: the one source of chance in a run, so that a seed is the whole run.
package struct Random: Equatable, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    package init(seed: UInt64) {
        var mixer = seed
        func next() -> UInt64 {
            mixer &+= 0x9E37_79B9_7F4A_7C15
            var z = mixer
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
        self.state = (next(), next(), next(), next())
    }

    package static func == (a: Self, b: Self) -> Bool { a.state == b.state }

    package mutating func next() -> UInt64 {
        let product = self.state.1 &* 5
        let result = ((product << 7) | (product >> 57)) &* 9
        let shifted = self.state.1 << 17
        self.state.2 ^= self.state.0
        self.state.3 ^= self.state.1
        self.state.1 ^= self.state.2
        self.state.0 ^= self.state.3
        self.state.2 ^= shifted
        self.state.3 = (self.state.3 << 45) | (self.state.3 >> 19)
        return result
    }

    /// Uniform enough: the ranges here are tiny against 2^64.
    package mutating func below(_ limit: UInt64) -> UInt64 { limit == 0 ? 0 : self.next() % limit }
    package mutating func below(_ limit: Int) -> Int { Int(self.below(UInt64(limit))) }
    package mutating func within(_ range: ClosedRange<UInt64>) -> UInt64 {
        range.lowerBound + self.below(range.upperBound - range.lowerBound + 1)
    }
    /// True once in `1 / probability` calls; the probability in parts per million.
    package mutating func chance(perMillion: UInt64) -> Bool { self.below(1_000_000) < perMillion }
}
