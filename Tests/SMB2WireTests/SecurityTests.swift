import GoldenMessages
import Testing

@testable import SMB2Wire

@Suite struct SecurityTests {
    @Test(arguments: [
        (SID.everyone, "S-1-1-0", "01 01 000000000001 00000000"),
        (SID.administrators, "S-1-5-32-544", "01 02 000000000005 20000000 20020000"),
        (SID.unixUser(1000), "S-1-22-1-1000", "01 02 000000000016 01000000 E8030000"),
        (SID(0x1234_5678_9ABC, []), "S-1-0x123456789ABC", "01 00 123456789ABC"),
    ])
    func sids(sid: SID, text: String, bytes: String) throws {
        let golden = hex(bytes)
        #expect(sid.description == text)
        #expect(SID(text) == sid)
        #expect(written { sid.encode(into: &$0) } == golden)
        #expect(try golden.parsed(SID.init(parsing:)) == sid)
        #expect(sid.byteCount == golden.count)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try SID(parsing: s) }
    }

    @Test(arguments: ["", "S", "S-1", "S-2-5", "S-1-5-x", "S-1-5-4294967296", "S-1-0x1234567890ABCD", "S-1-5-"])
    func malformedSIDTextIsRefused(text: String) { #expect(SID(text) == nil) }

    @Test func malformedSIDsAreRefused() {
        #expect(throws: WireError.invalidValue("SID revision")) {
            try hex("02 01 000000000001 00000000").parsed(SID.init(parsing:))
        }
        #expect(throws: WireError.limitExceeded("SID sub-authorities")) {
            try (hex("01 10 000000000001") + [UInt8](repeating: 0, count: 64)).parsed(SID.init(parsing:))
        }
    }

    static let descriptor = SecurityDescriptor(
        control: [.daclAutoInherited, .daclProtected], owner: .administrators, group: .users,
        dacl: ACL(entries: [
            ACE(kind: .accessDenied, mask: .writeData, sid: .guests),
            ACE(kind: .accessAllowed, flags: [.objectInherit, .containerInherit], mask: .fileAll, sid: .everyone),
        ]))

    static let golden = hex(
        """
        01 00 0494 14000000 24000000 00000000 34000000
        01 02 000000000005 20000000 20020000
        01 02 000000000005 20000000 21020000
        02 00 3400 0200 0000
        01 00 1800 02000000 01 02 000000000005 20000000 22020000
        00 03 1400 FF011F00 01 01 000000000001 00000000
        """)

    @Test func descriptors() throws {
        #expect(written { Self.descriptor.encode(into: &$0) } == Self.golden)
        #expect(try Self.golden.parsed(SecurityDescriptor.init(parsing:)) == Self.descriptor)
        assertEveryTruncationThrows(Self.golden) { s throws(WireError) in _ = try SecurityDescriptor(parsing: s) }
    }

    /// Object ACEs ([MS-DTYP] 2.4.4.3) and a callback's application data survive a round trip as they are.
    @Test func whatIsNotUnderstoodIsKept() throws {
        let acl = hex(
            """
            04 00 3800 0200 0000
            05 00 1400 01020304 05060708 090A0B0C 0D0E0F10
            09 00 1C00 89001200 01 01 000000000001 00000000 61727478 00000000
            """)
        let parsed = try acl.parsed(ACL.init(parsing:))
        #expect(parsed.entries[0].grant == nil)
        #expect(parsed.entries[1].grant?.sid == .everyone)
        #expect(written { parsed.encode(into: &$0) } == acl)
    }

    /// DACL present without an offset: NULL, which grants everything, and is not an empty one, which grants nothing.
    @Test func aNullDACLIsNotAnEmptyOne() throws {
        let null = hex("01 00 0480 00000000 00000000 00000000 00000000")
        let empty = hex("01 00 0480 00000000 00000000 00000000 14000000 02 00 0800 0000 0000")
        let nullDescriptor = try null.parsed(SecurityDescriptor.init(parsing:))
        #expect(nullDescriptor.dacl == nil && nullDescriptor.control.contains(.daclPresent))
        #expect(written { nullDescriptor.encode(into: &$0) } == null)
        let emptyDescriptor = try empty.parsed(SecurityDescriptor.init(parsing:))
        #expect(emptyDescriptor.dacl?.entries.isEmpty == true)
        #expect(written { emptyDescriptor.encode(into: &$0) } == empty)
    }

    @Test func aQueryGetsOnlyWhatItAskedFor() {
        let dacl = Self.descriptor.restricted(to: .dacl)
        #expect(dacl.owner == nil && dacl.group == nil && dacl.dacl == Self.descriptor.dacl)
        let owner = Self.descriptor.restricted(to: [.owner])
        #expect(owner.owner == .administrators && owner.dacl == nil)
        #expect(owner.control == .selfRelative)
    }

    @Test(arguments: [
        ("absolute", "01 00 0400 00000000 00000000 00000000 00000000"),
        ("revision 2", "02 00 0480 00000000 00000000 00000000 00000000"),
        ("owner in the head", "01 00 0480 04000000 00000000 00000000 00000000"),
        ("DACL beyond the end", "01 00 0480 00000000 00000000 00000000 FF000000"),
        ("ACL size beyond the end", "01 00 0480 00000000 00000000 00000000 14000000 02 00 0900 0000 0000"),
        ("ACE size 0", "01 00 0480 00000000 00000000 00000000 14000000 02 00 0C00 0100 0000 00 00 0000"),
        ("more ACEs than bytes", "01 00 0480 00000000 00000000 00000000 14000000 02 00 0800 0100 0000"),
        ("too many ACEs", "01 00 0480 00000000 00000000 00000000 14000000 02 00 0800 FFFF 0000"),
    ])
    func malformedDescriptorsAreRefused(what: String, text: String) {
        #expect(throws: WireError.self, "\(what)") { try hex(text).parsed(SecurityDescriptor.init(parsing:)) }
    }
}
