import SMB2Wire

/// SECURITY_INFORMATION, [MS-DTYP] 2.4.7: which parts of a security descriptor are asked for or set.
package struct SecurityParts: OptionSet, Hashable, Sendable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let owner = SecurityParts(rawValue: 1)
    package static let group = SecurityParts(rawValue: 2)
    package static let dacl = SecurityParts(rawValue: 4)
    package static let sacl = SecurityParts(rawValue: 8)
    /// The mandatory labels live in the SACL, and are everybody's to read who may read the DACL. [MS-FSA] 2.1.5.14.
    package static let label = SecurityParts(rawValue: 0x10)
    package static let protectedDACL = SecurityParts(rawValue: 0x8000_0000)
    package static let unprotectedDACL = SecurityParts(rawValue: 0x2000_0000)
    package static let all: SecurityParts = [.owner, .group, .dacl, .sacl]
}

/// A self-relative SECURITY_DESCRIPTOR, [MS-DTYP] 2.4.6, taken apart into its four pieces, each still in bytes: what merging,
/// storing and inheriting need.
struct SecurityPieces: Equatable, Sendable {
    static let daclPresent: UInt16 = 0x0004
    static let saclPresent: UInt16 = 0x0010
    static let daclAutoInheritRequired: UInt16 = 0x0100
    static let saclAutoInheritRequired: UInt16 = 0x0200
    static let daclAutoInherited: UInt16 = 0x0400
    static let saclAutoInherited: UInt16 = 0x0800
    static let daclProtected: UInt16 = 0x1000
    static let saclProtected: UInt16 = 0x2000
    static let selfRelative: UInt16 = 0x8000
    private static let headerBytes = 20

    var control: UInt16 = Self.selfRelative
    var owner: [UInt8]?
    var group: [UInt8]?
    var sacl: [UInt8]?
    /// Nil with `daclPresent` set: a NULL DACL, which grants everything.
    var dacl: [UInt8]?

    init() {}

    /// `base`: what the descriptor's offsets count from, before its own start (Samba's blob; 0 on the wire).
    init(parsing bytes: RawSpan, offsetsFromBefore base: Int = 0) throws(FileError) {
        guard bytes.byteCount >= Self.headerBytes, bytes.load(UInt8.self, at: 0) == 1 else {
            throw FileError(.invalidSecurityDescr, "a security descriptor")
        }
        self.control = bytes.load(UInt16.self, at: 2) | Self.selfRelative
        func offset(_ field: Int) throws(FileError) -> Int? {
            let value = Int(bytes.load(UInt32.self, at: field))
            guard value != 0 else { return nil }
            guard value >= base + Self.headerBytes, value - base <= bytes.byteCount else {
                throw FileError(.invalidSecurityDescr, "a security descriptor's offset")
            }
            return value - base
        }
        if let at = try offset(4) { self.owner = try Self.sid(bytes, at) }
        if let at = try offset(8) { self.group = try Self.sid(bytes, at) }
        if self.control & Self.saclPresent != 0, let at = try offset(12) { self.sacl = try Self.acl(bytes, at) }
        if self.control & Self.daclPresent != 0, let at = try offset(16) { self.dacl = try Self.acl(bytes, at) }
    }

    /// [MS-DTYP] 2.4.2.2: revision, count, authority (6), sub-authorities (4 each).
    private static func sid(_ bytes: RawSpan, _ at: Int) throws(FileError) -> [UInt8] {
        guard bytes.byteCount - at >= 8, bytes.load(UInt8.self, at: at) == 1 else {
            throw FileError(.invalidSid, "a security identifier")
        }
        let length = 8 + 4 * Int(bytes.load(UInt8.self, at: at + 1))
        guard length <= 8 + 4 * 15, length <= bytes.byteCount - at else {
            throw FileError(.invalidSid, "a security identifier")
        }
        return bytes.bytes(in: at..<at + length)
    }

    /// [MS-DTYP] 2.4.5: every entry is checked to lie within.
    private static func acl(_ bytes: RawSpan, _ at: Int) throws(FileError) -> [UInt8] {
        guard bytes.byteCount - at >= 8 else { throw FileError(.invalidAcl, "an access control list") }
        let length = Int(bytes.load(UInt16.self, at: at + 2))
        guard length >= 8, length <= bytes.byteCount - at else {
            throw FileError(.invalidAcl, "an access control list")
        }
        let list = bytes.bytes(in: at..<at + length)
        guard self.entries(list) != nil else { throw FileError(.invalidAcl, "an access control list's entries") }
        return list
    }

    /// The entries of an ACL; nil where they do not fit it.
    static func entries(_ acl: [UInt8]) -> [[UInt8]]? {
        let span = acl.span.bytes
        guard span.byteCount >= 8 else { return nil }
        var all: [[UInt8]] = []
        var at = 8
        for _ in 0..<span.load(UInt16.self, at: 4) {
            guard acl.count - at >= 8 else { return nil }
            let length = Int(span.load(UInt16.self, at: at + 2))
            guard length >= 8, length <= acl.count - at else { return nil }
            all.append(Array(acl[at..<at + length]))
            at += length
        }
        return all
    }

    /// The mandatory labels of a SACL alone, [MS-DTYP] 2.4.4.13; nil where it has none. What it audits beside them is a
    /// privilege's to know.
    private static func labels(of acl: [UInt8]) -> [UInt8]? {
        let labels = self.entries(acl)?.filter { $0[0] == ACE.Kind.systemMandatoryLabel.rawValue } ?? []
        guard !labels.isEmpty else { return nil }
        var list = Array(acl[..<2])
        list.append(little: UInt16(truncatingIfNeeded: labels.reduce(8) { $0 + $1.count }))
        list.append(little: UInt16(truncatingIfNeeded: labels.count))
        list.append(little: UInt16(0))
        return labels.reduce(into: list) { $0 += $1 }
    }

    /// Self-relative; `base` as in `init(parsing:)`.
    func encoded(offsetsFromBefore base: Int = 0) -> [UInt8] {
        var control = self.control | Self.selfRelative
        if self.sacl != nil { control |= Self.saclPresent }
        if self.dacl != nil { control |= Self.daclPresent }
        var bytes: [UInt8] = [1, 0]
        bytes.append(little: control)
        var at = Self.headerBytes + base
        for piece in [self.owner, self.group, self.sacl, self.dacl] {
            guard let piece else {
                bytes.append(little: UInt32(0))
                continue
            }
            bytes.append(little: UInt32(truncatingIfNeeded: at))
            at += (piece.count + 3) & ~3
        }
        for piece in [self.owner, self.group, self.sacl, self.dacl] {
            guard let piece else { continue }
            bytes.append(contentsOf: piece)
            while bytes.count & 3 != 0 { bytes.append(0) }
        }
        return bytes
    }

    /// Only these parts; what is left out is absent and its control bits clear.
    func selecting(_ parts: SecurityParts) -> SecurityPieces {
        var result = SecurityPieces()
        if parts.contains(.owner) { result.owner = self.owner }
        if parts.contains(.group) { result.group = self.group }
        let saclBits = Self.saclPresent | Self.saclAutoInherited | Self.saclProtected
        if parts.contains(.sacl) {
            result.sacl = self.sacl
            result.control |= self.control & saclBits
        } else if parts.contains(.label), let labels = self.sacl.flatMap({ Self.labels(of: $0) }) {
            result.sacl = labels
            result.control |= self.control & saclBits
        }
        let daclBits = Self.daclPresent | Self.daclAutoInherited | Self.daclProtected
        if parts.contains(.dacl) {
            result.dacl = self.dacl
            result.control |= self.control & daclBits
        }
        return result
    }

    /// [MS-FSA] 2.1.5.16: these parts replaced by `other`'s.
    mutating func merge(_ other: SecurityPieces, _ parts: SecurityParts) {
        if parts.contains(.owner), let owner = other.owner { self.owner = owner }
        if parts.contains(.group), let group = other.group { self.group = group }
        if parts.contains(.sacl) {
            self.sacl = other.sacl
            self.control = self.control & ~(Self.saclPresent | Self.saclAutoInherited | Self.saclProtected)
            self.control |= other.control & (Self.saclPresent | Self.saclProtected)
            if other.control & Self.saclAutoInheritRequired != 0 {
                self.control |= other.control & Self.saclAutoInherited
            }
        }
        guard parts.contains(.dacl) else { return }
        self.dacl = other.dacl
        self.control = self.control & ~(Self.daclPresent | Self.daclAutoInherited | Self.daclProtected)
        // A list that is not there is a NULL one.
        self.control |= Self.daclPresent | other.control & Self.daclProtected
        // SE_DACL_AUTO_INHERITED is kept only where it was asked for, [MS-DTYP] 2.4.6.
        if other.control & Self.daclAutoInheritRequired != 0 { self.control |= other.control & Self.daclAutoInherited }
        if parts.contains(.protectedDACL) { self.control |= Self.daclProtected }
        if parts.contains(.unprotectedDACL) { self.control &= ~Self.daclProtected }
    }
}

extension [UInt8] {
    mutating func append(little value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { self.append(contentsOf: $0) }
    }
}

extension SecurityPieces {
    init(_ descriptor: SecurityDescriptor) throws(FileError) {
        var writer = WireWriter()
        descriptor.encode(into: &writer)
        try self.init(parsing: writer.bytes.span.bytes)
    }

    /// What access checks and inheritance read.
    func descriptor() throws(FileError) -> SecurityDescriptor {
        do throws(WireError) { return try SecurityDescriptor(parsing: self.encoded().span.bytes) } catch {
            throw FileError(.invalidSecurityDescr, "a stored security descriptor")
        }
    }
}
