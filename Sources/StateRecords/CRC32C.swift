/// CRC-32C (Castagnoli), RFC 3720 B.4: reflected polynomial 0x82F63B78, initial value and final XOR all ones.
package struct CRC32C: Sendable {
    private var state: UInt32 = .max

    package init() {}

    package var value: UInt32 { ~self.state }

    package mutating func add(_ bytes: some Collection<UInt8>) {
        let state = self.state
        let done = bytes.withContiguousStorageIfAvailable { Self.update(state, $0) }
        self.state = done ?? Array(bytes).withUnsafeBufferPointer { Self.update(state, $0) }
    }

    package static func of(_ bytes: some Collection<UInt8>) -> UInt32 {
        var sum = Self()
        sum.add(bytes)
        return sum.value
    }

    /// Eight bytes at a time, a table for each ("slicing by 8": Kounavis and Berry, 2005); the rest one by one.
    private static func update(_ old: UInt32, _ bytes: UnsafeBufferPointer<UInt8>) -> UInt32 {
        self.tables.withUnsafeBufferPointer { tables in
            func look(_ table: Int, _ word: UInt32, _ shift: UInt32) -> UInt32 {
                tables[table << 8 | Int(word >> shift & 0xFF)]
            }
            let words = UnsafeRawBufferPointer(bytes)
            var state = old
            var offset = 0
            while words.count - offset >= 8 {
                let low = UInt32(littleEndian: words.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) ^ state
                let high = UInt32(littleEndian: words.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
                state = look(7, low, 0) ^ look(6, low, 8) ^ look(5, low, 16) ^ look(4, low, 24)
                state ^= look(3, high, 0) ^ look(2, high, 8) ^ look(1, high, 16) ^ look(0, high, 24)
                offset += 8
            }
            while offset < words.count {
                state = look(0, state ^ UInt32(words[offset]), 0) ^ (state >> 8)
                offset += 1
            }
            return state
        }
    }

    /// Table n, at n * 256: what a byte does to the sum with n zeros behind it.
    private static let tables: [UInt32] = { () -> [UInt32] in
        var tables: [UInt32] = []
        for byte in 0..<UInt32(256) {
            var value = byte
            for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0x82F6_3B78 : value >> 1 }
            tables.append(value)
        }
        for index in 256..<8 * 256 {
            let before = tables[index - 256]
            tables.append(tables[Int(before & 0xFF)] ^ (before >> 8))
        }
        return tables
    }()
}
