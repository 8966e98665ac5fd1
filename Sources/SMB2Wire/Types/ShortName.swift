/// Names of the 8.3 form, [MS-FSCC] 2.1.5.2.1. On most shares no file is given one, like on a volume where they are
/// switched off; but a name that has this form anyhow is its file's alternate name, too: smbclient's allinfo stops at a
/// file without one.
///
/// Where a share gives them, a file whose name has not the form is given one that is made of its name alone, and kept
/// nowhere: the first character, five of a hash of the upper-case name, a tilde, a sixth, and three of the extension.
/// Two names of one directory share one with a chance of one in two thousand million; then the short name leads to
/// either.
package enum ShortName {
    /// A name that has the form, in upper case; nil where it has not.
    package static func own(_ name: some StringProtocol) -> String? {
        let parts = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard let stem = parts.first, (1...8).contains(stem.count), parts.count <= 2,
            name.utf8.allSatisfy({ $0 == UInt8(ascii: ".") || self.isAllowed($0) })
        else { return nil }
        if parts.count == 2 { guard (1...3).contains(parts[1].count) else { return nil } }
        return name.uppercased()
    }

    /// What a name is given; its own where it has the form.
    package static func given(_ name: String) -> String {
        if let own = self.own(name) { return own }
        let upper = Array(name.uppercased().utf8)
        let dot = upper.lastIndex(of: UInt8(ascii: "."))
        let stem = dot.map { $0 > 0 ? upper[..<$0] : upper[...] } ?? upper[...]
        var short = [stem.first { self.isAllowed($0) } ?? UInt8(ascii: "_")]
        let digits = self.digits(self.hash(upper))
        short += digits.prefix(5) + [UInt8(ascii: "~")] + digits.suffix(1)
        if let dot, dot > 0 {
            let tail = upper[(dot + 1)...].filter { self.isAllowed($0) }.prefix(3)
            if !tail.isEmpty { short += [UInt8(ascii: ".")] + tail }
        }
        return String(decoding: short, as: UTF8.self)
    }

    /// Whether a name can be one that `given` made: the tilde is where it puts it.
    package static func mayBeGiven(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        return bytes.count >= 8 && bytes[6] == UInt8(ascii: "~") && self.own(name) != nil
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "!#$%&'()-@^_`{}~".utf8.contains(byte)
        }
    }

    /// FNV-1a: the same on every node, and after every start.
    private static func hash(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    private static func digits(_ hash: UInt64) -> [UInt8] {
        let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
        var rest = hash ^ (hash >> 32)
        return (0..<6).map { _ in
            defer { rest /= 36 }
            return alphabet[Int(rest % 36)]
        }
    }
}
