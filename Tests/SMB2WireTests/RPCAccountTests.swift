import GoldenMessages
import Testing

@testable import SMB2Wire

/// [MS-LSAT], [MS-LSAD] and [MS-SAMR] on the wire.
@Suite struct RPCAccountTests {
    static let handle = RPCContextHandle(uuid: GUID(low: 1, high: 2))
    static let handleBytes = hex("00000000 0100000000000000 0200000000000000")

    static func stub(_ body: (inout NDRWriter) -> Void) -> [UInt8] {
        var writer = NDRWriter()
        body(&writer)
        return writer.bytes
    }

    @Test func lookupNamesRequests() throws {
        let golden =
            Self.handleBytes
            + hex(
                """
                01000000 01000000 0400 0400 00000200
                02000000 00000000 02000000 6100 6200
                00000000 00000000 0100 0000 00000000
                """)
        let call = LsarLookupNames(handle: Self.handle, names: ["ab"])
        #expect(Self.stub { call.encode(into: &$0) } == golden)
        #expect(try golden.parsed(LsarLookupNames.init(parsing:)) == call)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try LsarLookupNames(parsing: s) }
        var many = golden
        many.replaceSubrange(20..<28, with: hex("E9030000 E9030000"))
        #expect(throws: WireError.limitExceeded("NDR array")) { try many.parsed(LsarLookupNames.init(parsing:)) }
    }

    @Test func lookupSidsRequests() throws {
        let golden =
            Self.handleBytes
            + hex(
                """
                01000000 00000200 01000000 04000200 02000000 0102 000000000005 20000000 20020000
                00000000 00000000 0100 0000 00000000
                """)
        let call = LsarLookupSids(handle: Self.handle, sids: [.administrators])
        #expect(Self.stub { call.encode(into: &$0) } == golden)
        #expect(try golden.parsed(LsarLookupSids.init(parsing:)) == call)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try LsarLookupSids(parsing: s) }
    }

    /// LSAPR_REFERENCED_DOMAIN_LIST, then LSAPR_TRANSLATED_NAMES, [MS-LSAT] 2.2.12, 2.2.20.
    @Test func lookupSidsAnswers() {
        var translation = LsarTranslation()
        translation.domains = [.init(name: "B", sid: SID(5, [32]))]
        translation.entries = [.init(use: .alias, name: "U", sid: .users, domain: 0)]
        #expect(
            Self.stub { translation.answer(.names, into: &$0) }
                == hex(
                    """
                    00000200 01000000 04000200 20000000 01000000
                    0200 0200 08000200 0C000200
                    01000000 00000000 01000000 4200 0000
                    01000000 0101 000000000005 20000000
                    01000000 10000200 01000000
                    0400 0000 0200 0200 14000200 00000000
                    01000000 00000000 01000000 5500 0000
                    01000000 00000000
                    """))
        #expect(translation.status == .success)
    }

    @Test func requestsComeBackAsTheyWere() throws {
        let names = SamrLookupNames(handle: Self.handle, names: ["alice", ""])
        #expect(try Self.stub { names.encode(into: &$0) }.parsed(SamrLookupNames.init(parsing:)) == names)
        let ids = SamrLookupIDs(handle: Self.handle, relativeIDs: [500, 513])
        #expect(try Self.stub { ids.encode(into: &$0) }.parsed(SamrLookupIDs.init(parsing:)) == ids)
        let domain = SamrOpenDomain(handle: Self.handle, desiredAccess: 7, sid: SID(5, [21, 1, 2, 3]))
        let display = SamrQueryDisplay(
            handle: Self.handle, level: 1, index: 2, entryCount: 3, preferredByteCount: 4)
        let members = SamrGetAliasMembership(handle: Self.handle, sids: [.users, .everyone])
        let lookup = SamrLookupDomain(handle: Self.handle, name: "TEST")
        #expect(try Self.stub { domain.encode(into: &$0) }.parsed(SamrOpenDomain.init(parsing:)) == domain)
        #expect(try Self.stub { display.encode(into: &$0) }.parsed(SamrQueryDisplay.init(parsing:)) == display)
        #expect(try Self.stub { members.encode(into: &$0) }.parsed(SamrGetAliasMembership.init(parsing:)) == members)
        #expect(try Self.stub { lookup.encode(into: &$0) }.parsed(SamrLookupDomain.init(parsing:)) == lookup)
        assertEveryTruncationThrows(Self.stub { ids.encode(into: &$0) }) { s throws(WireError) in
            _ = try SamrLookupIDs(parsing: s)
        }
        assertEveryTruncationThrows(Self.stub { domain.encode(into: &$0) }) { s throws(WireError) in
            _ = try SamrOpenDomain(parsing: s)
        }
        assertEveryTruncationThrows(Self.stub { members.encode(into: &$0) }) { s throws(WireError) in
            _ = try SamrGetAliasMembership(parsing: s)
        }
    }

    /// TIME_OF_DAY_INFO, [MS-SRVS] 2.2.4.105: 2024-02-29 was a Thursday.
    @Test func timeOfDay() {
        let time = SrvsvcTimeOfDay(
            time: FileTime(unixSeconds: 1_709_211_845, nanoseconds: 250_000_000), milliseconds: 9)
        let stub = Self.stub { time.answer(into: &$0) }
        let values = stride(from: 4, to: stub.count, by: 4).map { stub.span.bytes.load(UInt32.self, at: $0) }
        #expect(values == [1_709_211_845, 9, 13, 4, 5, 25, 0, 310, 29, 2, 2024, 4, 0])
    }
}
