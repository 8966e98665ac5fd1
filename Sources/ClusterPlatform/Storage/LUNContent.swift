/// The UUID of the cluster's file system. `clusterctl init` makes it, before anything is formatted; the cluster's configuration
/// keeps it; a LUN with another one is not ours.
package struct FilesystemID: Hashable, Sendable, CustomStringConvertible {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package init?(_ text: String) {
        let digits = text.utf8.filter { $0 != UInt8(ascii: "-") }
        guard text.utf8.count == 36, digits.count == 32,
            let high = UInt64(String(decoding: digits[..<16], as: UTF8.self), radix: 16),
            let low = UInt64(String(decoding: digits[16...], as: UTF8.self), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// Version 4, RFC 9562.
    package static func random() -> FilesystemID {
        FilesystemID(
            high: UInt64.random(in: .min ... .max) & ~0xF000 | 0x4000,
            low: UInt64.random(in: .min ... .max) & ~(3 << 62) | 2 << 62)
    }

    package var description: String {
        let digits = [self.high, self.low].map {
            let text = String($0, radix: 16)
            return String(repeating: "0", count: 16 - text.utf8.count) + text
        }.joined()
        var text = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { text += "-" }
            text.append(digit)
        }
        return text
    }
}

/// What is on a LUN, found out by reading it.
package enum LUNContent: Equatable, Sendable {
    /// The first and the last MiB and the samples between are zeros.
    case empty
    case xfs(FilesystemID, label: String)
    case foreign(String)

    static let edge = 1 << 20
    static let sampleCount = 64
    static let sampleSize = 4096

    /// Reads through a session, before anything is attached: no writes, no reservation needed.
    package static func probe(_ session: ISCSISession) throws(PlatformError) -> LUNContent {
        let description = try session.describe()
        let blockSize = description.blockSize
        return try self.probe(byteCount: description.byteCount) { (offset, count) throws(PlatformError) in
            try session.read(
                block: offset / UInt64(blockSize), count: UInt32(count / Int(blockSize)), blockSize: blockSize)
        }
    }

    static func probe(
        byteCount: UInt64, _ read: (_ offset: UInt64, _ count: Int) throws(PlatformError) -> [UInt8]
    ) throws(PlatformError) -> LUNContent {
        guard byteCount >= UInt64(2 * Self.edge) else {
            throw PlatformError(.invalid, "the LUN has only \(byteCount) bytes; a file system needs at least 300 MiB")
        }
        let first = try read(0, Self.edge)
        // What is known by its beginning needs no more reading: the mount of our own file system waits for this.
        let beginning = Self.classify(first: first, last: [])
        guard beginning == .empty else { return beginning }
        let lastOffset = (byteCount - UInt64(Self.edge)) / 4096 * 4096
        let last = try read(lastOffset, Self.edge)
        let content = Self.classify(first: first, last: last)
        guard content == .empty else { return content }
        let stride = (lastOffset - UInt64(Self.edge)) / UInt64(Self.sampleCount + 1) / 4096 * 4096
        guard stride > 0 else { return .empty }
        for index in 1...UInt64(Self.sampleCount) {
            let sample = try read(UInt64(Self.edge) + index * stride, Self.sampleSize)
            if sample.contains(where: { $0 != 0 }) { return .foreign("data of an unknown kind") }
        }
        return .empty
    }

    /// Signatures as blkid knows them. Whatever is not zero and not known is foreign too.
    static func classify(first: [UInt8], last: [UInt8]) -> LUNContent {
        func has(_ text: StaticString, at offset: Int) -> Bool {
            text.withUTF8Buffer { magic in
                first.count - magic.count >= offset && first[offset..<(offset + magic.count)].elementsEqual(magic)
            }
        }
        if has("XFSB", at: 0), let high = loadBigEndian(UInt64.self, first, at: 32),
            let low = loadBigEndian(UInt64.self, first, at: 40), first.count >= 120
        {
            let label = String(decoding: first[108..<120].prefix { $0 != 0 }, as: UTF8.self)
            return .xfs(FilesystemID(high: high, low: low), label: label)
        }
        if has("EFI PART", at: 512) || has("EFI PART", at: 4096) { return .foreign("a GPT partition table") }
        if has("LUKS", at: 0) { return .foreign("LUKS") }
        if has("LABELONE", at: 512) || has("LABELONE", at: 0) { return .foreign("an LVM volume") }
        if has("_BHRfS_M", at: 0x10040) { return .foreign("btrfs") }
        if has("SWAPSPACE2", at: 4086) { return .foreign("swap space") }
        if has("NTFS    ", at: 3) { return .foreign("NTFS") }
        if has("FAT", at: 54) || has("FAT32", at: 82) || has("EXFAT   ", at: 3) { return .foreign("FAT") }
        if has("VMFS", at: 0) { return .foreign("VMFS") }
        if first.count > 0x439, first[0x438] == 0x53, first[0x439] == 0xEF { return .foreign("ext2, ext3 or ext4") }
        if first.count > 511, first[510] == 0x55, first[511] == 0xAA { return .foreign("an MBR partition table") }
        if first.contains(where: { $0 != 0 }) || last.contains(where: { $0 != 0 }) {
            return .foreign("data of an unknown kind")
        }
        return .empty
    }
}
