/// A GUID in its packet form, [MS-DTYP] 2.3.4.2: sixteen bytes, the first three fields little-endian.
package struct GUID: Hashable, Sendable, Comparable {
    package static let byteCount = 16
    package static let zero = GUID(low: 0, high: 0)

    /// Bytes 0..<8 and 8..<16, as little-endian integers.
    package var low: UInt64
    package var high: UInt64

    package init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// From the textual form's fields, e.g. `GUID(0x12345678, 0x1234, 0xabcd, (0xef, 0, 1, 2, 3, 4, 5, 6))`.
    package init(
        _ data1: UInt32, _ data2: UInt16, _ data3: UInt16,
        _ data4: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)
    ) {
        self.low = UInt64(data1) | UInt64(data2) << 32 | UInt64(data3) << 48
        let first = UInt64(data4.0) | UInt64(data4.1) << 8 | UInt64(data4.2) << 16 | UInt64(data4.3) << 24
        let second = UInt64(data4.4) | UInt64(data4.5) << 8 | UInt64(data4.6) << 16 | UInt64(data4.7) << 24
        self.high = first | second << 32
    }

    /// Sixteen bytes at `offset`; the caller has checked the length.
    package init(loading span: RawSpan, at offset: Int) {
        self.low = span.load(UInt64.self, at: offset)
        self.high = span.load(UInt64.self, at: offset + 8)
    }

    package static func < (a: GUID, b: GUID) -> Bool { (a.high, a.low) < (b.high, b.low) }
}

extension GUID: CustomStringConvertible {
    /// The usual textual form, lower case, without braces.
    package var description: String {
        func hex(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: digits - text.count) + text
        }
        let tail = self.high.byteSwapped
        return hex(self.low & 0xFFFF_FFFF, 8) + "-" + hex(self.low >> 32 & 0xFFFF, 4) + "-" + hex(self.low >> 48, 4)
            + "-" + hex(tail >> 48, 4) + "-" + hex(tail & 0xFFFF_FFFF_FFFF, 12)
    }
}

extension WireWriter {
    package mutating func append(_ guid: GUID) {
        self.append(guid.low)
        self.append(guid.high)
    }

    package mutating func store(_ guid: GUID, at offset: Int) {
        self.store(guid.low, at: offset)
        self.store(guid.high, at: offset + 8)
    }
}
