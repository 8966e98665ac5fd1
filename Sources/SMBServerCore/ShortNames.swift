/// Names of the 8.3 form, [MS-FSCC] 2.1.5.2.1. No file is given one here, like on a volume where they are switched off; but a
/// name that has this form anyhow is its file's alternate name, too: smbclient's allinfo stops at a file without one.
enum ShortNames {
    /// The last component of a path as an 8.3 name; nil where it is none.
    static func name(of path: String) -> String? {
        let name =
            path.utf8.split(separator: UInt8(ascii: "\\"), omittingEmptySubsequences: false).last ?? path.utf8[...]
        let parts = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard let stem = parts.first, (1...8).contains(stem.count), parts.count <= 2, name.allSatisfy(self.isAllowed)
        else { return nil }
        if parts.count == 2 { guard (1...3).contains(parts[1].count) else { return nil } }
        return String(decoding: name, as: UTF8.self).uppercased()
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "."):
            true
        default: "!#$%&'()-@^_`{}~".utf8.contains(byte)
        }
    }
}
