/// An access control entry, [MS-DTYP] 2.4.4.
package struct ACE: Equatable, Sendable {
    package struct Kind: RawRepresentable, Hashable, Sendable {
        package var rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let accessAllowed = Kind(rawValue: 0x00)
        package static let accessDenied = Kind(rawValue: 0x01)
        package static let systemAudit = Kind(rawValue: 0x02)
        package static let accessAllowedCallback = Kind(rawValue: 0x09)
        package static let accessDeniedCallback = Kind(rawValue: 0x0A)
        package static let systemMandatoryLabel = Kind(rawValue: 0x11)

        /// Whether the entry is a mask, a SID, and perhaps more: the others (object ACEs, 2.4.4.3) stay opaque.
        var hasMaskAndSID: Bool {
            switch self.rawValue {
            case 0x00...0x03, 0x09, 0x0A, 0x0D, 0x11...0x13: true
            default: false
            }
        }
    }

    package struct Flags: OptionSet, Hashable, Sendable {
        package var rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let objectInherit = Flags(rawValue: 0x01)
        package static let containerInherit = Flags(rawValue: 0x02)
        package static let noPropagateInherit = Flags(rawValue: 0x04)
        package static let inheritOnly = Flags(rawValue: 0x08)
        package static let inherited = Flags(rawValue: 0x10)
        package static let successfulAccess = Flags(rawValue: 0x40)
        package static let failedAccess = Flags(rawValue: 0x80)
    }

    package enum Body: Equatable, Sendable {
        /// `applicationData`: what a callback or resource ACE carries behind its SID.
        case simple(mask: AccessMask, sid: SID, applicationData: [UInt8])
        /// An object ACE or an unknown kind: kept, never evaluated.
        case opaque([UInt8])
    }

    package var kind: Kind
    package var flags: Flags
    package var body: Body

    package init(kind: Kind, flags: Flags = [], mask: AccessMask, sid: SID) {
        self.kind = kind
        self.flags = flags
        self.body = .simple(mask: mask, sid: sid, applicationData: [])
    }

    /// The mask and the SID where this is an entry that has them.
    package var grant: (mask: AccessMask, sid: SID)? {
        guard case .simple(let mask, let sid, _) = self.body else { return nil }
        return (mask, sid)
    }

    package var byteCount: Int {
        switch self.body {
        case .simple(_, let sid, let data): 8 + sid.byteCount + data.count
        case .opaque(let bytes): 4 + bytes.count
        }
    }

    /// `data` is exactly the entry.
    init(parsing data: RawSpan) throws(WireError) {
        self.kind = Kind(rawValue: data.load(UInt8.self, at: 0))
        self.flags = Flags(rawValue: data.load(UInt8.self, at: 1))
        guard self.kind.hasMaskAndSID else {
            self.body = .opaque(data.bytes(in: 4..<data.byteCount))
            return
        }
        try data.require(16, "ACE")
        let sid = try SID(parsing: data.extracting(8..<data.byteCount))
        self.body = .simple(
            mask: AccessMask(rawValue: data.load(UInt32.self, at: 4)), sid: sid,
            applicationData: data.bytes(in: 8 + sid.byteCount..<data.byteCount))
    }

    func encode(into writer: inout WireWriter) {
        writer.append(self.kind.rawValue)
        writer.append(self.flags.rawValue)
        writer.append(UInt16(self.byteCount))
        switch self.body {
        case .simple(let mask, let sid, let data):
            writer.append(mask.rawValue)
            sid.encode(into: &writer)
            writer.append(data)
        case .opaque(let bytes):
            writer.append(bytes)
        }
    }
}

/// An access control list, [MS-DTYP] 2.4.5.
package struct ACL: Equatable, Sendable {
    package static let fixedByteCount = 8
    /// An ACL is at most 64 KiB, an ACE at least 4 bytes and in practice 16: more entries than this are no list of ours.
    package static let maximumEntries = 4096
    /// Whoever makes a list longer (inheritance does) must check `isEncodable` before encoding it.
    package static let maximumByteCount = 65_535

    /// 2, or 4 where object ACEs are in it.
    package var revision: UInt8
    package var entries: [ACE]

    package init(revision: UInt8 = 2, entries: [ACE]) {
        self.revision = revision
        self.entries = entries
    }

    package var byteCount: Int { self.entries.reduce(Self.fixedByteCount) { $0 + $1.byteCount } }

    /// Whether it has a form on the wire and on disk.
    package var isEncodable: Bool {
        self.entries.count <= Self.maximumEntries && self.byteCount <= Self.maximumByteCount
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.fixedByteCount, "ACL")
        self.revision = data.load(UInt8.self, at: 0)
        // MIN_ACL_REVISION to MAX_ACL_REVISION: Samba's tools say 3.
        guard (2...4).contains(self.revision) else { throw .invalidValue("ACL revision") }
        let size = Int(data.load(UInt16.self, at: 2))
        guard size >= Self.fixedByteCount, size <= data.byteCount else { throw .outOfBounds("ACL size") }
        let count = Int(data.load(UInt16.self, at: 4))
        guard count <= Self.maximumEntries else { throw .limitExceeded("ACEs") }
        self.entries = []
        self.entries.reserveCapacity(Swift.min(count, (size - Self.fixedByteCount) / 4))
        var at = Self.fixedByteCount
        for _ in 0..<count {
            guard size - at >= 4 else { throw .truncated("ACE") }
            let aceSize = Int(data.load(UInt16.self, at: at + 2))
            guard aceSize >= 4, aceSize <= size - at else { throw .outOfBounds("ACE size") }
            self.entries.append(try ACE(parsing: data.extracting(at..<at + aceSize)))
            at += aceSize
        }
    }

    /// Precondition: `isEncodable`.
    package func encode(into writer: inout WireWriter) {
        precondition(self.isEncodable)
        writer.append(self.revision)
        writer.append(UInt8(0))
        writer.append(UInt16(self.byteCount))
        writer.append(UInt16(self.entries.count))
        writer.append(UInt16(0))
        for entry in self.entries { entry.encode(into: &writer) }
    }
}

/// SECURITY_DESCRIPTOR in its self-relative form, [MS-DTYP] 2.4.6.
package struct SecurityDescriptor: Equatable, Sendable {
    package static let fixedByteCount = 20

    package struct Control: OptionSet, Hashable, Sendable {
        package var rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }
        package static let ownerDefaulted = Control(rawValue: 0x0001)
        package static let groupDefaulted = Control(rawValue: 0x0002)
        package static let daclPresent = Control(rawValue: 0x0004)
        package static let daclDefaulted = Control(rawValue: 0x0008)
        package static let saclPresent = Control(rawValue: 0x0010)
        package static let saclDefaulted = Control(rawValue: 0x0020)
        package static let daclAutoInheritRequired = Control(rawValue: 0x0100)
        package static let saclAutoInheritRequired = Control(rawValue: 0x0200)
        package static let daclAutoInherited = Control(rawValue: 0x0400)
        package static let saclAutoInherited = Control(rawValue: 0x0800)
        package static let daclProtected = Control(rawValue: 0x1000)
        package static let saclProtected = Control(rawValue: 0x2000)
        package static let selfRelative = Control(rawValue: 0x8000)
    }

    /// With `daclPresent` and no `dacl`: a NULL DACL, which grants everything.
    package var control: Control
    package var owner: SID?
    package var group: SID?
    package var sacl: ACL?
    package var dacl: ACL?

    package init(control: Control = .selfRelative, owner: SID?, group: SID?, sacl: ACL? = nil, dacl: ACL?) {
        self.control = control.union(.selfRelative)
        self.owner = owner
        self.group = group
        self.sacl = sacl
        self.dacl = dacl
        if sacl != nil { self.control.insert(.saclPresent) }
        if dacl != nil { self.control.insert(.daclPresent) }
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.fixedByteCount, "SECURITY_DESCRIPTOR")
        guard data.load(UInt8.self, at: 0) == 1 else { throw .invalidValue("SECURITY_DESCRIPTOR revision") }
        self.control = Control(rawValue: data.load(UInt16.self, at: 2))
        guard self.control.contains(.selfRelative) else { throw .invalidValue("absolute SECURITY_DESCRIPTOR") }
        self.owner = nil
        self.group = nil
        self.sacl = nil
        self.dacl = nil
        if let range = try Self.part(data, 4) { self.owner = try SID(parsing: data.extracting(range)) }
        if let range = try Self.part(data, 8) { self.group = try SID(parsing: data.extracting(range)) }
        if self.control.contains(.saclPresent), let range = try Self.part(data, 12) {
            self.sacl = try ACL(parsing: data.extracting(range))
        }
        if self.control.contains(.daclPresent), let range = try Self.part(data, 16) {
            self.dacl = try ACL(parsing: data.extracting(range))
        }
    }

    /// From the offset stored at `field` to the end; nil where it is 0.
    private static func part(_ data: RawSpan, _ field: Int) throws(WireError) -> Range<Int>? {
        let offset = Int(data.load(UInt32.self, at: field))
        guard offset != 0 else { return nil }
        guard offset >= self.fixedByteCount, offset <= data.byteCount else {
            throw .outOfBounds("SECURITY_DESCRIPTOR offset")
        }
        return offset..<data.byteCount
    }

    /// Appends the descriptor: owner, group, SACL, DACL, each on a 4-byte boundary.
    package func encode(into writer: inout WireWriter) {
        let start = writer.claim(Self.fixedByteCount)
        writer.store(UInt8(1), at: start)
        writer.store(self.control.rawValue, at: start + 2)
        if let owner = self.owner {
            writer.store(UInt32(writer.count - start), at: start + 4)
            owner.encode(into: &writer)
        }
        if let group = self.group {
            writer.store(UInt32(writer.count - start), at: start + 8)
            group.encode(into: &writer)
        }
        if let sacl = self.sacl {
            writer.align(to: 4, from: start)
            writer.store(UInt32(writer.count - start), at: start + 12)
            sacl.encode(into: &writer)
        }
        if let dacl = self.dacl {
            writer.align(to: 4, from: start)
            writer.store(UInt32(writer.count - start), at: start + 16)
            dacl.encode(into: &writer)
        }
    }

    /// Only the parts that a query asked for, [MS-SMB2] 3.3.5.20.3.
    package func restricted(to information: SecurityInformation) -> SecurityDescriptor {
        var copy = self
        if !information.contains(.owner) { copy.owner = nil }
        if !information.contains(.group) { copy.group = nil }
        if !information.contains(.sacl) {
            copy.sacl = nil
            copy.control.subtract([.saclPresent, .saclAutoInherited, .saclProtected, .saclDefaulted])
        }
        if !information.contains(.dacl) {
            copy.dacl = nil
            copy.control.subtract([.daclPresent, .daclAutoInherited, .daclProtected, .daclDefaulted])
        }
        return copy
    }
}
