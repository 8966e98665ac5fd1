import GoldenMessages
import Testing

@testable import SMB2Wire

@Suite struct ReparseDataTests {
    /// [MS-FSCC] 2.1.2.4.
    @Test func symbolicLinks() throws {
        let golden =
            hex("0C0000A0 1600 0000 0000 0600 0600 0400 01000000") + utf16("a\\b") + utf16("ab")
        let link = ReparseData.Symlink(substituteName: "a\\b", printName: "ab", isRelative: true)
        #expect(written { link.encode(into: &$0) } == golden)
        let data = try golden.parsed(ReparseData.init(parsing:))
        #expect(data.tag == ReparseData.symlinkTag)
        #expect(data.symlink == link)
        #expect(data == ReparseData(link))
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try ReparseData(parsing: s) }
        // Names that leave the buffer.
        for at in [8, 10, 12, 14] {
            var wrong = golden
            wrong[at] = 0x40
            #expect(throws: WireError.self) { try wrong.parsed(ReparseData.init(parsing:)) }
        }
        #expect(throws: WireError.self) { try (golden + [0]).parsed(ReparseData.init(parsing:)) }
    }

    @Test func othersAreKeptAsTheyCome() throws {
        let golden = hex("14000080 0400 0000 01020304")
        let data = try golden.parsed(ReparseData.init(parsing:))
        #expect(data.bytes == golden)
        #expect(data.symlink == nil)
        #expect(!data.isReserved)
        // A tag that is not Microsoft's comes with a GUID. [MS-FSCC] 2.1.2.3.
        let foreign = hex("03000000 0100 0000") + [UInt8](repeating: 7, count: 16) + [9]
        #expect(try foreign.parsed(ReparseData.init(parsing:)).tag == 3)
        #expect(throws: WireError.self) { try Array(foreign.dropLast()).parsed(ReparseData.init(parsing:)) }
        #expect(try hex("00000080 0000 0000").parsed(ReparseData.init(parsing:)).tag == 0x8000_0000)
        #expect(ReparseData(tag: 0x8000_0024).bytes == hex("24000080 00000000"))
        let large = hex("14000080 FFFF 0000") + [UInt8](repeating: 0, count: 0xFFFF)
        #expect(throws: WireError.self) { try large.parsed(ReparseData.init(parsing:)) }
    }

    @Test func stat() {
        let stat = StatInformation(
            fileID: 7, information: ResponseTests.information, reparseTag: 3, numberOfLinks: 2,
            effectiveAccess: .delete)
        let bytes = written { stat.encode(into: &$0) }
        #expect(bytes.count == StatInformation.byteCount)
        #expect(Array(bytes[60...]) == hex("03000000 02000000 00000100"))
        let lx = written { stat.encodeLx(into: &$0, owner: (1000, 100), mode: 0o100644) }
        #expect(lx.count == StatInformation.lxByteCount)
        #expect(Array(lx[72..<88]) == hex("07000000 E8030000 64000000 A4810000"))
        #expect(written { stat.encodeLx(into: &$0, owner: nil, mode: 0) }[72] == 4)
    }
}
