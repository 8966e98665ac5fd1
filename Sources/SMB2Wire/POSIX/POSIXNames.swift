/// Names of POSIX opens. On the wire a slash separates components there, and every other character but NUL may stand in one,
/// the backslash, too; everything else in the
/// server knows names as Windows has them, with what Windows cannot write mapped into Unicode's private use area as Services
/// for Macintosh made usual ([MS-FSCC] 2.1.5.2 says what is reserved; Linux's client with `mapposix` and macOS map the same).
/// One table, both ways.
package enum POSIXNames {
    private static let space = UInt16(UInt8(ascii: " "))
    private static let dot = UInt16(UInt8(ascii: "."))
    private static let slash = UInt16(UInt8(ascii: "/"))
    private static let backslash = UInt16(UInt8(ascii: "\\"))
    /// From U+F020 on, in this order.
    private static let reserved: [UInt16] = "\"*:<>?\\|".utf16 + [0x20, 0x2E]

    /// A path from the wire as the rest of the server writes it, with backslashes between its components. The components "." and ".."
    /// are left to be refused.
    package static func mapped(path: String) -> String {
        var units: [UInt16] = []
        for (index, component) in path.utf16.split(separator: self.slash, omittingEmptySubsequences: false)
            .enumerated()
        {
            if index > 0 { units.append(self.backslash) }
            let isDots = component.count <= 2 && component.allSatisfy { $0 == self.dot }
            let last = component.index(component.endIndex, offsetBy: component.isEmpty ? 0 : -1)
            for at in component.indices {
                units.append(isDots ? component[at] : self.mapped(component[at], isLast: at == last))
            }
        }
        return String(decoding: units, as: UTF16.self)
    }

    private static func mapped(_ unit: UInt16, isLast: Bool) -> UInt16 {
        switch unit {
        case 1..<0x20: return 0xF000 | unit
        case self.space, self.dot:
            guard isLast else { return unit }
            return unit == self.space ? 0xF028 : 0xF029
        default:
            guard unit < 0x80, let index = self.reserved.firstIndex(of: unit) else { return unit }
            return 0xF020 + UInt16(index)
        }
    }

    /// What a mapped unit stands for; nil for all others.
    package static func original(_ unit: UInt16) -> UInt16? {
        switch unit {
        case 0xF001...0xF01F: return unit & 0xFF
        case 0xF020...0xF029: return self.reserved[Int(unit - 0xF020)]
        default: return nil
        }
    }

    /// A name as a POSIX client shall read it.
    package static func unmapped(_ name: [UInt16]) -> [UInt16] {
        guard name.contains(where: { $0 & 0xFF00 == 0xF000 }) else { return name }
        return name.map { self.original($0) ?? $0 }
    }
}
