/// What one client knows of a file because the server acknowledged it: what must be there after every failover.
struct LedgerFile {
    static let blockByteCount = 4096
    static let blockCount = 64

    let number: Int
    var name: String
    /// The version that was last written to each block; 0 where none was.
    private(set) var versions = [UInt32](repeating: 0, count: Self.blockCount)

    init(number: Int, name: String) {
        self.number = number
        self.name = name
    }

    /// In bytes: all before it that was never written reads as zeros.
    var endOfFile: Int { ((self.versions.lastIndex { $0 != 0 }) ?? -1) * Self.blockByteCount + Self.blockByteCount }

    mutating func wrote(_ blocks: Range<Int>, _ version: UInt32) {
        for block in blocks { self.versions[block] = version }
    }

    enum Difference: Equatable {
        /// An acknowledged block holds what it held before, or nothing.
        case lost(block: Int, found: UInt32?)
        /// A block holds what was never written there.
        case wrong(block: Int)
        case length(expected: Int, found: Int)
    }

    /// What `bytes`, read from the beginning of `blocks`, have that differs from what was acknowledged.
    func difference(_ bytes: [UInt8], _ blocks: Range<Int>, client: Int) -> Difference? {
        let end = min(blocks.upperBound * Self.blockByteCount, max(self.endOfFile, blocks.lowerBound))
        let expected = max(0, end - blocks.lowerBound * Self.blockByteCount)
        guard bytes.count == expected else { return .length(expected: expected, found: bytes.count) }
        for block in blocks where (block - blocks.lowerBound) * Self.blockByteCount < expected {
            let start = (block - blocks.lowerBound) * Self.blockByteCount
            let found = bytes[start..<(start + Self.blockByteCount)]
            let version = self.versions[block]
            if found.elementsEqual(self.contents(block, version, client: client)) { continue }
            let older = (0..<version).reversed().prefix(200).first {
                found.elementsEqual(self.contents(block, $0, client: client))
            }
            return older.map { .lost(block: block, found: $0 == 0 ? nil : $0) } ?? .wrong(block: block)
        }
        return nil
    }

    /// The bytes of one version of one block, like no other block of any file. Version 0 is a hole.
    func contents(_ block: Int, _ version: UInt32, client: Int) -> [UInt8] {
        guard version != 0 else { return [UInt8](repeating: 0, count: Self.blockByteCount) }
        var random = SplitMix(
            seed: UInt64(version) << 32 ^ UInt64(client) << 52 ^ UInt64(self.number) << 8 ^ UInt64(block))
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.blockByteCount)
        while bytes.count < Self.blockByteCount {
            withUnsafeBytes(of: random.next()) { bytes.append(contentsOf: $0) }
        }
        return bytes
    }
}

/// Steele, Lea and Flood: Fast splittable pseudorandom number generators (2014).
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
