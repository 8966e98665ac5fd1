/// A security identifier, [MS-DTYP] 2.4.2.
package struct SID: Hashable, Sendable {
    package static let maximumSubAuthorities = 15

    /// 48 bits.
    package var authority: UInt64
    package var subAuthorities: [UInt32]

    package init(_ authority: UInt64, _ subAuthorities: [UInt32]) {
        precondition(authority >> 48 == 0 && subAuthorities.count <= Self.maximumSubAuthorities)
        self.authority = authority
        self.subAuthorities = subAuthorities
    }

    /// [MS-DTYP] 2.4.2.4.
    package static let null = SID(0, [0])
    package static let everyone = SID(1, [0])
    package static let creatorOwner = SID(3, [0])
    package static let creatorGroup = SID(3, [1])
    package static let ownerRights = SID(3, [4])
    package static let network = SID(5, [2])
    package static let anonymous = SID(5, [7])
    package static let authenticatedUsers = SID(5, [11])
    package static let localSystem = SID(5, [18])
    package static let administrators = SID(5, [32, 544])
    package static let users = SID(5, [32, 545])
    package static let guests = SID(5, [32, 546])

    /// Samba's mapping of Unix ids: S-1-22-1-uid and S-1-22-2-gid.
    package static func unixUser(_ uid: UInt32) -> SID { SID(22, [1, uid]) }
    package static func unixGroup(_ gid: UInt32) -> SID { SID(22, [2, gid]) }

    package var byteCount: Int { 8 + 4 * self.subAuthorities.count }

    /// A SID at the beginning of `data`; more may follow.
    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(8, "SID")
        guard data.load(UInt8.self, at: 0) == 1 else { throw .invalidValue("SID revision") }
        let count = Int(data.load(UInt8.self, at: 1))
        guard count <= Self.maximumSubAuthorities else { throw .limitExceeded("SID sub-authorities") }
        guard 4 * count <= data.byteCount - 8 else { throw .truncated("SID") }
        // Six bytes, most significant first.
        self.authority = data.load(UInt64.self, at: 0).byteSwapped & 0xFFFF_FFFF_FFFF
        self.subAuthorities = (0..<count).map { data.load(UInt32.self, at: 8 + 4 * $0) }
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(UInt8(1))
        writer.append(UInt8(self.subAuthorities.count))
        for shift in stride(from: 40, through: 0, by: -8) {
            writer.append(UInt8(truncatingIfNeeded: self.authority >> UInt64(shift)))
        }
        for subAuthority in self.subAuthorities { writer.append(subAuthority) }
    }
}

extension SID: CustomStringConvertible {
    /// [MS-DTYP] 2.4.2.1; an authority of 2^32 and more in hexadecimal.
    package var description: String {
        var text = "S-1-"
        if self.authority < 1 << 32 {
            text += String(self.authority)
        } else {
            let digits = String(self.authority, radix: 16, uppercase: true)
            text += "0x" + String(repeating: "0", count: 12 - digits.count) + digits
        }
        for subAuthority in self.subAuthorities { text += "-" + String(subAuthority) }
        return text
    }

    /// The textual form back.
    package init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 3, parts[0] == "S" || parts[0] == "s", parts[1] == "1",
            parts.count - 3 <= Self.maximumSubAuthorities
        else { return nil }
        let authority =
            parts[2].hasPrefix("0x") ? UInt64(parts[2].dropFirst(2), radix: 16) : UInt64(parts[2])
        guard let authority, authority >> 48 == 0 else { return nil }
        var subAuthorities: [UInt32] = []
        for part in parts.dropFirst(3) {
            guard let value = UInt32(part) else { return nil }
            subAuthorities.append(value)
        }
        self.init(authority, subAuthorities)
    }
}
