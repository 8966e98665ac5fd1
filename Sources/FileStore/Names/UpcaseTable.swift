/// The upper case of each UTF-16 unit, as [MS-FSA] 2.1.4 compares names: Unicode's simple mapping, unit by unit (surrogates
/// map to themselves), as NTFS's $UpCase does. Like there, nothing outside of ASCII maps into it (dotless i, long s), and
/// the micro sign stays.
package struct UpcaseTable: Sendable {
    /// 65536 units, never freed: made once, on first use (about 2 ms).
    nonisolated(unsafe) private static let units: UnsafePointer<UInt16> = {
        let table = UnsafeMutablePointer<UInt16>.allocate(capacity: 65536)
        for value in UInt32(0)..<65536 {
            let unit = UInt16(value)
            table[Int(value)] = unit
            guard let scalar = Unicode.Scalar(value), scalar.properties.changesWhenUppercased, value != 0xB5 else {
                continue
            }
            // The stdlib offers the full mappings. Where upper case is several letters, title case has the simple one.
            let upper =
                Self.single(scalar.properties.uppercaseMapping) ?? Self.single(scalar.properties.titlecaseMapping)
            guard let upper, upper.value < 65536, value < 0x80 || upper.value >= 0x80 else { continue }
            table[Int(value)] = UInt16(upper.value)
        }
        return UnsafePointer(table)
    }()

    private static func single(_ text: String) -> Unicode.Scalar? {
        let scalars = text.unicodeScalars
        return scalars.count == 1 ? scalars.first : nil
    }

    nonisolated(unsafe) private let units = Self.units

    package init() {}

    @inline(__always)
    package subscript(unit: UInt16) -> UInt16 { self.units[Int(unit)] }
}
