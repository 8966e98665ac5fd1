import GoldenMessages
import Testing

@testable import SMB2Wire

/// The inputs of the FSCTLs that work on files: golden bytes, round trip, every truncation.
@Suite struct FileControlTests {
    @Test func duplicateExtentsEx() throws {
        let golden = hex(
            """
            3800000000000000 \(RequestTests.idText) 0010000000000000 0020000000000000 0030000000000000
            01000000 00000000
            """)
        let extended = try golden.parsed(DuplicateExtentsEx.init(parsing:))
        #expect(extended.extents.sourceOffset == 0x1000)
        #expect(extended.extents.targetOffset == 0x2000)
        #expect(extended.extents.byteCount == 0x3000)
        #expect(extended.flags == DuplicateExtentsEx.sourceAtomic)
        #expect(written { extended.encode(into: &$0) } == golden)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try DuplicateExtentsEx(parsing: s) }
        var wrong = golden
        wrong[0] = 0x28
        #expect(throws: WireError.self) { try wrong.parsed(DuplicateExtentsEx.init(parsing:)) }
    }

    @Test func fileLevelTrim() throws {
        let golden = hex(
            """
            00000000 02000000 0010000000000000 0020000000000000 0000010000000000 0010000000000000
            """)
        let trim = try golden.parsed(FileLevelTrim.init(parsing:))
        #expect(trim.ranges == [.init(offset: 0x1000, length: 0x2000), .init(offset: 0x1_0000, length: 0x1000)])
        #expect(written { trim.encode(into: &$0) } == golden)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try FileLevelTrim(parsing: s) }
        let many = hex("00000000 FFFFFFFF") + [UInt8](repeating: 0, count: 64)
        #expect(throws: WireError.self) { try many.parsed(FileLevelTrim.init(parsing:)) }
        let keyed = hex("01000000 01000000") + [UInt8](repeating: 0, count: 16)
        #expect(throws: WireError.self) { try keyed.parsed(FileLevelTrim.init(parsing:)) }
    }

    @Test func fileRegions() throws {
        let golden = hex("0010000000000000 0020000000000000 02000000 00000000")
        let query = try golden.parsed(FileRegionQuery.init(parsing:))
        #expect(query.range == .init(offset: 0x1000, length: 0x2000))
        #expect(query.usage == FileRegionQuery.validNoncachedData)
        #expect(try [UInt8]().parsed(FileRegionQuery.init(parsing:)).range.length == UInt64(Int64.max))
        for length in 1..<golden.count {
            #expect(throws: WireError.self) { try Array(golden[..<length]).parsed(FileRegionQuery.init(parsing:)) }
        }
        let answer = hex(
            """
            00000000 01000000 01000000 00000000 0010000000000000 0020000000000000 02000000 00000000
            """)
        #expect(written { FileRegionQuery.encodeAnswer(query.range, usage: query.usage, into: &$0) } == answer)
        #expect(
            written { FileRegionQuery.encodeAnswer(nil, usage: 1, into: &$0) }
                == hex("00000000 00000000 00000000 00000000"))
    }

    @Test func offload() throws {
        let read = OffloadRead(timeToLiveMilliseconds: 1000, offset: 0x1000, byteCount: 0x10000)
        let golden = hex("20000000 00000000 E8030000 00000000 0010000000000000 0000010000000000")
        #expect(written { read.encode(into: &$0) } == golden)
        #expect(try golden.parsed(OffloadRead.init(parsing:)) == read)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try OffloadRead(parsing: s) }

        // Type and length of a token are big-endian. [MS-FSCC] 2.1.11.
        let token = OffloadToken(type: OffloadToken.zeroData, high: 1, low: 2)
        let bytes = written { token.append(to: &$0) }
        #expect(bytes.count == OffloadToken.byteCount)
        #expect(Array(bytes[..<24]) == hex("FFFF0001 0000 01F8 0100000000000000 0200000000000000"))

        let write = OffloadWrite(offset: 3, byteCount: 4, transferOffset: 5, token: token)
        let encoded = written { write.encode(into: &$0) }
        #expect(encoded.count == OffloadWrite.byteCount)
        #expect(try encoded.parsed(OffloadWrite.init(parsing:)) == write)
        assertEveryTruncationThrows(encoded) { s throws(WireError) in _ = try OffloadWrite(parsing: s) }
        let answer = written { OffloadWrite.encodeAnswer(byteCount: 7, into: &$0) }
        #expect(answer == hex("10000000 00000000 0700000000000000"))
        #expect(
            written { OffloadRead.encodeAnswer(byteCount: 9, token, into: &$0) }.count == OffloadRead.outputByteCount)
    }
}
