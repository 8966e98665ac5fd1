import Testing

@testable import SMB2Wire

@Suite struct SnapshotArrayTests {
    private func tokens(_ count: Int) -> [SnapshotToken] {
        (0..<count).compactMap { SnapshotToken(unixSeconds: 1_795_548_600 - Int64($0)) }
    }

    /// [MS-SMB] 4.2 shows one: a count, the same count, 52 bytes, the token and two NULs. SMB2's is the same structure.
    @Test func goldenBytes() throws {
        let token = try #require(SnapshotToken("@GMT-2006.04.26-04.08.27"))
        let bytes = written { SnapshotArray(tokens: [token]).encode(into: &$0, limit: 64) }
        #expect(Array(bytes[..<12]) == [1, 0, 0, 0, 1, 0, 0, 0, 0x34, 0, 0, 0])
        #expect(Array(bytes[12..<20]) == [0x40, 0, 0x47, 0, 0x4D, 0, 0x54, 0])
        #expect(Array(bytes[56...]) == [0x32, 0, 0x37, 0, 0, 0, 0, 0])
        #expect(bytes.count == 64)
    }

    @Test(arguments: [1, 2, 512]) func roundTrip(count: Int) throws {
        let array = SnapshotArray(tokens: self.tokens(count))
        let bytes = written { array.encode(into: &$0, limit: 1 << 20) }
        #expect(bytes.count == 12 + array.arrayByteCount)
        #expect(try bytes.parsed(SnapshotArray.init(parsing:)) == array)
        assertEveryTruncationThrows(bytes, upTo: bytes.count - 4) { (bytes) throws(WireError) in
            _ = try SnapshotArray(parsing: bytes)
        }
    }

    /// The first of a client's two calls has room for the counts alone; one byte too few is too few.
    @Test(arguments: [16, 63]) func aBufferTooSmallIsToldHowMuchItTakes(limit: Int) throws {
        let bytes = written { SnapshotArray(tokens: self.tokens(1)).encode(into: &$0, limit: limit) }
        #expect(bytes == [1, 0, 0, 0, 0, 0, 0, 0, 0x34, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func none() {
        #expect(written { SnapshotArray(tokens: []).encode(into: &$0, limit: 65536) } == Array(repeating: 0, count: 16))
    }

    @Test func whatIsNoToken() {
        var bytes = written { SnapshotArray(tokens: self.tokens(1)).encode(into: &$0, limit: 64) }
        bytes[12] = 0x41
        #expect(throws: WireError.self) { try bytes.parsed(SnapshotArray.init(parsing:)) }
    }
}
