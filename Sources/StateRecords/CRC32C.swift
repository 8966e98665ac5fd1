/// CRC-32C (Castagnoli), RFC 3720 B.4: reflected polynomial 0x82F63B78, initial value and final XOR all ones.
package struct CRC32C: Sendable {
    private var state: UInt32 = .max

    package init() {}

    package var value: UInt32 { ~self.state }

    package mutating func add(_ bytes: some Collection<UInt8>) {
        var state = self.state
        let isDone: Void? = bytes.withContiguousStorageIfAvailable { bytes in
            for byte in bytes { state = Self.table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ (state >> 8) }
        }
        if isDone == nil {
            for byte in bytes { state = Self.table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ (state >> 8) }
        }
        self.state = state
    }

    package static func of(_ bytes: some Collection<UInt8>) -> UInt32 {
        var sum = Self()
        sum.add(bytes)
        return sum.value
    }

    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? (value >> 1) ^ 0x82F6_3B78 : value >> 1 }
    }
}
