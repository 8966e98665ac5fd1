import GoldenMessages
import Testing

@testable import SMB2Wire

@Suite struct BasicsTests {
    @Test func theWriterStoresLittleEndianAlignsAndPatches() {
        var writer = WireWriter(capacity: 1)
        writer.append(UInt8(0xAA))
        let at = writer.claim(4)
        writer.append(UInt16(0x1122))
        writer.align(to: 8)
        writer.store(UInt32(0xDEAD_BEEF), at: at)
        #expect(writer.bytes == hex("AA EFBEADDE 2211 00"))
        writer.truncate(to: 2)
        writer.append(hex("0102"))
        #expect(writer.bytes == hex("AA EF 0102"))
    }

    @Test func aReusedWriterClearsWhatItClaims() {
        var writer = WireWriter(reusing: [UInt8](repeating: 0xFF, count: 8))
        writer.claim(4)
        #expect(writer.bytes == [0, 0, 0, 0])
        writer.reset()
        #expect(writer.count == 0)
        #expect(writer.claimUncleared(2) == 0)
        #expect(writer.takeStorage().count == 8)
    }

    @Test func rangesAreCheckedBySubtraction() throws {
        let bytes = [UInt8](repeating: 0, count: 10)
        #expect(
            try bytes.parsed { s throws(WireError) in try s.range(offset: 4, length: 6, notBefore: 4, "") } == 4..<10)
        #expect(
            try bytes.parsed { s throws(WireError) in try s.range(offset: 0, length: 0, notBefore: 4, "") } == 4..<4)
        for (offset, length) in [(4, 7), (3, 1), (11, 1), (4, Int.max), (Int.max, 1), (10, 1), (4, -1)] where length > 0
        {
            #expect(throws: WireError.outOfBounds("x")) {
                try bytes.parsed { s throws(WireError) in try s.range(offset: offset, length: length, notBefore: 4, "x")
                }
            }
        }
    }

    @Test(arguments: ["", "a", "test", "longer than four.txt", "Grüße", "日本語テキスト", "a😀b", "\u{FFFF}é"])
    func utf16RoundTrips(text: String) throws {
        let wire = written { $0.append(utf16: text) }
        #expect(wire == utf16(text))
        #expect(try UTF16LE.decode(wire.span.bytes) == text)
        var scratch: [UInt8] = [1, 2, 3]
        try UTF16LE.utf8(of: wire.span.bytes, into: &scratch)
        #expect(scratch == Array(text.utf8))
        var writer = WireWriter()
        #expect(writer.append(utf16FromUTF8: Array(text.utf8).span.bytes) == wire.count)
        #expect(writer.bytes == wire)
        #expect(UTF16LE.byteCount(of: text) == wire.count)
    }

    @Test(arguments: ["61", "00D8", "00D86100", "00DC", "6100 00D8 00D8", "61006200630064 00 6500 FFDB"])
    func malformedUTF16IsRefused(text: String) {
        #expect(throws: WireError.self) { try UTF16LE.decode(hex(text).span.bytes) }
    }

    @Test(arguments: ["FF", "C080", "E08080", "EDA080", "F4908080", "F8888080", "C3", "E282", "61F09F98", "C328"])
    func malformedUTF8IsRefused(text: String) {
        var writer = WireWriter()
        writer.append(UInt8(7))
        #expect(writer.append(utf16FromUTF8: hex(text).span.bytes) == nil)
        #expect(writer.bytes == [7])
    }

    @Test func guidsHaveTheirUsualForms() {
        // [MS-DTYP] 2.3.4: data1..3 little-endian, data4 as it stands.
        let guid = GUID(0x0011_2233, 0x4455, 0x6677, (0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF))
        #expect(guid.description == "00112233-4455-6677-8899-aabbccddeeff")
        let wire = written { $0.append(guid) }
        #expect(wire == hex("33221100 5544 7766 8899AABBCCDDEEFF"))
        #expect(GUID(loading: wire.span.bytes, at: 0) == guid)
    }

    @Test func fileTimesConvert() {
        // 2020-01-01 00:00:00 UTC is 132223104000000000 in FILETIME.
        let time = FileTime(unixSeconds: 1_577_836_800, nanoseconds: 123_456_789)
        #expect(time.ticks == 132_223_104_001_234_567)
        #expect(time.unix == (1_577_836_800, 123_456_700))
        #expect(FileTime(unixSeconds: -1, nanoseconds: 500_000_000).unix == (-1, 500_000_000))
        #expect(FileTime(unixSeconds: Int64.min, nanoseconds: 0) == .zero)
        #expect(FileTime(unixSeconds: Int64.max, nanoseconds: 999_999_999).ticks == UInt64(Int64.max))
        #expect(FileTime.suppressUpdates.unix.seconds > 0)
    }

    @Test func genericRightsMap() {
        #expect(AccessMask.genericRead.mappingGeneric.rawValue == 0x0012_0089)
        #expect(AccessMask.genericAll.mappingGeneric.rawValue == 0x001F_01FF)
        #expect(AccessMask([.genericWrite, .maximumAllowed]).mappingGeneric.rawValue == 0x0212_0116)
    }

    @Test func attributesNormalize() {
        #expect(FileAttributes([.normal, .archive]).normalized == .archive)
        #expect(FileAttributes([]).normalized == .normal)
    }
}
