import StateRecords
import Testing

@Suite struct CRC32CTests {
    /// RFC 3720 B.4, and the check value that catalogues give.
    @Test func theSumsOfTheStandard() {
        #expect(CRC32C.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(CRC32C.of([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(CRC32C.of((0..<32).map { UInt8($0) }) == 0x46DD_794E)
        #expect(CRC32C.of(Array("123456789".utf8)) == 0xE306_9283)
    }

    /// Bit by bit, as the polynomial says; of every length, from every offset, at once and in two parts.
    @Test func everyLength() {
        func slow(_ bytes: ArraySlice<UInt8>) -> UInt32 {
            var state = UInt32.max
            for byte in bytes {
                state ^= UInt32(byte)
                for _ in 0..<8 { state = state & 1 == 1 ? (state >> 1) ^ 0x82F6_3B78 : state >> 1 }
            }
            return ~state
        }
        let bytes = (0..<64).map { UInt8(truncatingIfNeeded: $0 &* 73 &+ 11) }
        for first in 0..<9 {
            for end in first...64 {
                let part = bytes[first..<end]
                #expect(CRC32C.of(part) == slow(part))
                #expect(CRC32C.of(part.reversed().reversed() as [UInt8]) == slow(part))
                var sum = CRC32C()
                sum.add(part.prefix(part.count / 2))
                sum.add(part.dropFirst(part.count / 2).lazy.map { $0 })
                #expect(sum.value == slow(part))
            }
        }
    }
}
