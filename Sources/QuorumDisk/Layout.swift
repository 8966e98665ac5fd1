import ClusterCore
import StateRecords

/// Where everything lies on a quorum disk. All sizes in bytes, all multiples of `blockSize`.
///
/// `| superblock x 2 | ... 1 MiB | area 0 | area 1 | ... |`, and an area, written by one node alone:
/// `| header slot A | header slot B | entry ring | checkpoint extent 0 | checkpoint extent 1 |`.
package struct Layout: Equatable, Sendable {
    /// What is read and written at once; a header slot. A target's own blocks divide it.
    package static let blockSize = 4096
    /// Of the first area, and what every area is a multiple of.
    package static let alignment = 1 << 20
    package static let slotsByteCount = 2 * blockSize
    /// One read or write carries no more.
    package static let transferByteCount = 256 << 10
    package static let maximumAreas = 16

    package var areaCount: Int
    package var ringByteCount: Int
    package var checkpointByteCount: Int

    package init(areaCount: Int, ringByteCount: Int, checkpointByteCount: Int) {
        self.areaCount = areaCount
        self.ringByteCount = ringByteCount
        self.checkpointByteCount = checkpointByteCount
    }

    /// The least that `clusterctl` makes, and before checkpoints grew with the LUN all that it made: nodes replaced
    /// twice still find an area; the ring takes two of the longest proposals (8 MiB).
    package static let standard = Layout(areaCount: 4, ringByteCount: 20 << 20, checkpointByteCount: 16 << 20)

    /// What `clusterctl` makes of a LUN of that size: all that the rings leave of it is for checkpoints. nil: it is too
    /// small.
    package static func fitting(_ byteCount: UInt64) -> Layout? {
        var layout = Self.standard
        guard byteCount >= UInt64(layout.byteCount) else { return nil }
        let area = (Int(clamping: byteCount) - Self.alignment) / layout.areaCount / Self.alignment * Self.alignment
        let extent = (area - Self.slotsByteCount - layout.ringByteCount) / 2 / Self.alignment * Self.alignment
        // A longer state is sent to no node either.
        layout.checkpointByteCount = min(extent, SnapshotPart.stateBytes)
        return layout
    }

    package var isValid: Bool {
        (1...Self.maximumAreas).contains(self.areaCount)
            && [self.ringByteCount, self.checkpointByteCount].allSatisfy {
                $0 >= Self.blockSize && $0 <= 1 << 32 && $0 % Self.blockSize == 0
            }
    }

    package var ringBlocks: UInt64 { UInt64(self.ringByteCount / Self.blockSize) }

    package var areaByteCount: Int {
        let used = Self.slotsByteCount + self.ringByteCount + 2 * self.checkpointByteCount
        return (used + Self.alignment - 1) / Self.alignment * Self.alignment
    }

    /// What the LUN must have.
    package var byteCount: Int { Self.alignment + self.areaCount * self.areaByteCount }

    package func areaOffset(_ area: Int) -> Int { Self.alignment + area * self.areaByteCount }
    package func slotOffset(_ area: Int, _ slot: Int) -> Int { self.areaOffset(area) + slot * Self.blockSize }
    package func checkpointOffset(_ area: Int, _ extent: Int) -> Int {
        self.areaOffset(area) + Self.slotsByteCount + self.ringByteCount + extent * self.checkpointByteCount
    }

    /// The pieces on the disk of `count` blocks from ring position `start` on, in order: positions only grow, and wrap.
    package func ringPieces(_ area: Int, from start: UInt64, count: UInt64) -> [(offset: Int, byteCount: Int)] {
        let ring = self.areaOffset(area) + Self.slotsByteCount
        var pieces: [(offset: Int, byteCount: Int)] = []
        var position = start
        var left = count
        while left > 0 {
            let block = position % self.ringBlocks
            let blocks = min(left, self.ringBlocks - block, UInt64(Self.transferByteCount / Self.blockSize))
            pieces.append((ring + Int(block) * Self.blockSize, Int(blocks) * Self.blockSize))
            position += blocks
            left -= blocks
        }
        return pieces
    }

    package static func blocks(_ byteCount: Int) -> Int { (byteCount + self.blockSize - 1) / self.blockSize }
}

/// Which disk this is. A disk that is wiped and laid out anew is another one.
package struct DiskIdentity: Equatable, Sendable {
    package var cluster: GUID16
    package var disk: GUID16

    package init(cluster: GUID16, disk: GUID16) {
        self.cluster = cluster
        self.disk = disk
    }
}

/// A block whose last four bytes are the CRC-32C of all before them.
enum SealedBlock {
    static func seal(_ writer: BinaryWriter) -> [UInt8] {
        var block = writer.bytes
        precondition(block.count <= Layout.blockSize - 4, "fits its block")
        block += [UInt8](repeating: 0, count: Layout.blockSize - 4 - block.count)
        let sum = CRC32C.of(block)
        return block + (0..<4).map { UInt8(truncatingIfNeeded: sum >> (8 * $0)) }
    }

    /// nil where the block is torn, damaged or something else.
    static func open(_ block: some RandomAccessCollection<UInt8>, magic: UInt64) -> BinaryReader? {
        guard block.count == Layout.blockSize else { return nil }
        let sum = block.suffix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard CRC32C.of(block.dropLast(4)) == sum else { return nil }
        var reader = BinaryReader(Array(block.dropLast(4)))
        guard let found = try? reader.read(UInt64.self), found == magic else { return nil }
        return reader
    }
}

/// Says that a LUN is a quorum disk, of which cluster, and how it is laid out. In blocks 0 and 1, which are equal.
package struct Superblock: Equatable, Sendable {
    /// "HFQDISK1", little-endian.
    private static let magic: UInt64 = 0x314B_5349_4451_4648
    static let version: UInt16 = 1

    package var identity: DiskIdentity
    package var layout: Layout

    package init(identity: DiskIdentity, layout: Layout) {
        self.identity = identity
        self.layout = layout
    }

    package var block: [UInt8] {
        var writer = BinaryWriter(reserving: Layout.blockSize)
        writer.write(Self.magic)
        writer.write(Self.version)
        writer.write(self.identity.cluster)
        writer.write(self.identity.disk)
        writer.write(UInt16(self.layout.areaCount))
        writer.write(UInt64(self.layout.ringByteCount))
        writer.write(UInt64(self.layout.checkpointByteCount))
        return SealedBlock.seal(writer)
    }

    /// nil where the block is none, or of a later version.
    package init?(block: some RandomAccessCollection<UInt8>) {
        guard var reader = SealedBlock.open(block, magic: Self.magic),
            let version = try? reader.read(UInt16.self), version == Self.version,
            let cluster = try? reader.read(GUID16.self), let disk = try? reader.read(GUID16.self),
            let areaCount = try? reader.read(UInt16.self), let ring = try? reader.read(UInt64.self),
            let checkpoint = try? reader.read(UInt64.self), ring <= 1 << 32, checkpoint <= 1 << 32
        else { return nil }
        self.identity = DiskIdentity(cluster: cluster, disk: disk)
        self.layout = Layout(
            areaCount: Int(areaCount), ringByteCount: Int(ring), checkpointByteCount: Int(checkpoint))
        guard self.layout.isValid else { return nil }
    }

    /// What makes a LUN this quorum disk: the areas first, so that a disk which has a superblock has all of it.
    package var formatting: [(offset: Int, bytes: [UInt8])] {
        var writes: [(offset: Int, bytes: [UInt8])] = []
        for area in 0..<self.layout.areaCount {
            let header = AreaHeader(identity: self.identity)
            writes.append((self.layout.slotOffset(area, 0), header.block))
            // Valid as well: two blocks that cannot be read are never an area that was not used yet.
            writes.append((self.layout.slotOffset(area, 1), header.block))
        }
        writes.append((Layout.blockSize, self.block))
        writes.append((0, self.block))
        return writes
    }
}
