import Testing

@testable import ClusterPlatform

@Suite struct LUNContentTests {
    private let zeros = [UInt8](repeating: 0, count: LUNContent.edge)

    private func with(_ bytes: [UInt8], at offset: Int) -> [UInt8] {
        var content = self.zeros
        content.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
        return content
    }

    @Test func empty() {
        #expect(LUNContent.classify(first: self.zeros, last: self.zeros) == .empty)
    }

    @Test func oneByteIsNotEmpty() {
        #expect(
            LUNContent.classify(first: self.with([1], at: 700_000), last: self.zeros)
                == .foreign("data of an unknown kind"))
        #expect(
            LUNContent.classify(first: self.zeros, last: self.with([1], at: 5)) == .foreign("data of an unknown kind"))
    }

    @Test func ourOwn() throws {
        let id = try #require(FilesystemID("01234567-89ab-4cde-8f01-23456789abcd"))
        var first = self.with(Array("XFSB".utf8), at: 0)
        first.replaceSubrange(32..<48, with: bigEndian(id.high) + bigEndian(id.low))
        first.replaceSubrange(108..<116, with: Array("holdfast".utf8))
        #expect(LUNContent.classify(first: first, last: self.zeros) == .xfs(id, label: "holdfast"))
        #expect("\(id)" == "01234567-89ab-4cde-8f01-23456789abcd")
    }

    @Test(
        arguments: [
            (0x438, [0x53, 0xEF], "ext2, ext3 or ext4"), (510, [0x55, 0xAA], "an MBR partition table"),
            (512, Array("EFI PART".utf8), "a GPT partition table"), (0, Array("LUKS".utf8), "LUKS"),
            (3, Array("NTFS    ".utf8), "NTFS"), (0x10040, Array("_BHRfS_M".utf8), "btrfs"),
            (512, Array("LABELONE".utf8), "an LVM volume"), (4086, Array("SWAPSPACE2".utf8), "swap space"),
        ] as [(Int, [UInt8], String)])
    func foreign(offset: Int, magic: [UInt8], name: String) {
        #expect(LUNContent.classify(first: self.with(magic, at: offset), last: self.zeros) == .foreign(name))
    }

    /// Data only in the middle of the LUN: the samples find it.
    @Test func theMiddleIsSampled() throws {
        let size = UInt64(1) << 30
        let used = (size / 2)..<(size / 2 + UInt64(64 << 20))
        let content = try LUNContent.probe(byteCount: size) { offset, count in
            [UInt8](repeating: used.contains(offset) ? 7 : 0, count: count)
        }
        #expect(content == .foreign("data of an unknown kind"))
        let empty = try LUNContent.probe(byteCount: size) { _, count in [UInt8](repeating: 0, count: count) }
        #expect(empty == .empty)
    }

    @Test func aTinyLUNIsRefused() {
        #expect(throws: PlatformError.self) {
            try LUNContent.probe(byteCount: 4096) { _, count in [UInt8](repeating: 0, count: count) }
        }
    }

    @Test(arguments: ["", "0123", "01234567-89ab-4cde-8f01-23456789abcg", "0123456789ab4cde8f0123456789abcd0123"])
    func notAUUID(text: String) {
        #expect(FilesystemID(text) == nil)
    }

    @Test func randomIDsAreVersion4() throws {
        let id = FilesystemID.random()
        #expect(Array("\(id)")[14] == "4")
        #expect("89ab".contains(Array("\(id)")[19]))
        #expect(FilesystemID("\(id)") == id)
    }
}
