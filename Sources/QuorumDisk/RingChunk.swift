import ClusterCore
import Raft
import StateRecords

/// What one append brings into the ring: whole blocks, chained to the chunk before.
///
/// A chunk's entries take the place of whatever the chunks before it hold from its first index on.
package struct RingChunk: Equatable, Sendable {
    /// "HFQC", little-endian.
    private static let magic: UInt32 = 0x4351_4648
    /// magic, payload byte count, ring position, disk (its low half), count, chain before.
    static let headerByteCount = 4 + 4 + 8 + 8 + 4 + 4
    /// Entries are gathered up to this; a single longer one has a chunk of its own.
    static let gatheredByteCount = 64 << 10

    /// In blocks.
    package var position: UInt64
    package var blockCount: UInt64
    package var entries: [Entry]
    /// CRC-32C of the chunk's header and payload; the header names the chunk before by its own.
    package var chain: UInt32

    var firstIndex: LogIndex { self.entries.first?.index ?? 0 }
    var lastIndex: LogIndex { self.entries.last?.index ?? 0 }
    var end: UInt64 { self.position + self.blockCount }
}

extension RingChunk {
    /// Terms and indexes beyond it would overflow arithmetic.
    private static let maximumNumber: UInt64 = 1 << 62

    /// The bytes, padded to whole blocks, and the chunk that they are.
    static func make(
        _ entries: [Entry], at position: UInt64, on disk: DiskIdentity, after chainBefore: UInt32
    ) -> (chunk: RingChunk, bytes: [UInt8]) {
        var payload = BinaryWriter()
        for entry in entries { payload.write(entry) }
        var writer = BinaryWriter(reserving: Self.headerByteCount + payload.bytes.count)
        writer.write(Self.magic)
        writer.write(UInt32(payload.bytes.count))
        writer.write(position)
        writer.write(disk.disk.low)
        writer.write(UInt32(entries.count))
        writer.write(chainBefore)
        var bytes = writer.bytes + payload.bytes
        let chain = CRC32C.of(bytes)
        let blocks = Layout.blocks(bytes.count)
        bytes += [UInt8](repeating: 0, count: blocks * Layout.blockSize - bytes.count)
        return (
            RingChunk(position: position, blockCount: UInt64(blocks), entries: entries, chain: chain), bytes
        )
    }

    /// Reads the chunk at the beginning of `bytes`; nil where it is not the one that belongs there.
    init?(
        parsing bytes: ArraySlice<UInt8>, at position: UInt64, on disk: DiskIdentity, after chainBefore: UInt32
    ) {
        guard bytes.count >= Self.headerByteCount else { return nil }
        var reader = BinaryReader(bytes.prefix(Self.headerByteCount))
        guard let magic = try? reader.read(UInt32.self), magic == Self.magic,
            let byteCount = try? reader.read(UInt32.self), let found = try? reader.read(UInt64.self),
            found == position, let low = try? reader.read(UInt64.self), low == disk.disk.low,
            let count = try? reader.read(UInt32.self), let before = try? reader.read(UInt32.self),
            before == chainBefore, Int(byteCount) <= bytes.count - Self.headerByteCount, count > 0
        else { return nil }
        let whole = bytes.prefix(Self.headerByteCount + Int(byteCount))
        self.chain = CRC32C.of(whole)
        var payload = BinaryReader(whole.dropFirst(Self.headerByteCount))
        self.entries = []
        for _ in 0..<count {
            guard let entry = try? payload.read(Entry.self), entry.index > 0, entry.index < Self.maximumNumber,
                entry.term < Self.maximumNumber,
                entry.index == (self.entries.last?.index ?? entry.index - 1) + 1,
                entry.term >= self.entries.last?.term ?? 1
            else { return nil }
            self.entries.append(entry)
        }
        guard payload.isAtEnd else { return nil }
        self.position = position
        self.blockCount = UInt64(Layout.blocks(whole.count))
    }
}

/// The log of an area: its chunks, and the entries in force.
package struct AreaLog: Equatable, Sendable {
    struct Extent: Equatable, Sendable {
        var lastIndex: LogIndex
        var end: UInt64
        var chain: UInt32
    }

    private(set) var baseIndex: LogIndex = 0
    private(set) var baseTerm: Term = 0
    /// From `baseIndex + 1`.
    private(set) var entries: [Entry] = []
    private var extents: [Extent] = []
    private(set) var start: UInt64 = 0
    private(set) var end: UInt64 = 0
    private(set) var chainBefore: UInt32 = 0
    private(set) var chain: UInt32 = 0

    init() {}

    var lastIndex: LogIndex { self.baseIndex + LogIndex(self.entries.count) }
    var lastTerm: Term { self.entries.last?.term ?? self.baseTerm }

    func term(at index: LogIndex) -> Term? {
        if index == self.baseIndex { return self.baseTerm }
        guard index > self.baseIndex, index <= self.lastIndex else { return nil }
        return self.entries[Int(index - self.baseIndex) - 1].term
    }

    var ring: AreaHeader.Ring {
        var ring = AreaHeader.Ring()
        ring.baseIndex = self.baseIndex
        ring.baseTerm = self.baseTerm
        ring.lastIndex = self.lastIndex
        ring.lastTerm = self.lastTerm
        ring.start = self.start
        ring.end = self.end
        ring.chainBefore = self.chainBefore
        ring.chain = self.chain
        return ring
    }

    /// Takes a chunk in. False where its entries do not follow, or go back in terms.
    mutating func append(_ chunk: RingChunk) -> Bool {
        guard chunk.position == self.end, let first = chunk.entries.first, first.index <= self.lastIndex + 1 else {
            return false
        }
        // A chunk that was kept for its last entries may begin before the checkpoint.
        let kept = first.index > self.baseIndex ? Int(first.index - self.baseIndex) - 1 : 0
        let new = chunk.entries.drop { $0.index <= self.baseIndex }
        // Right behind the checkpoint an older chunk may hold older terms, whose place a later chunk takes.
        if let first = new.first, kept > 0, first.term < self.entries[kept - 1].term { return false }
        self.entries.removeLast(self.entries.count - kept)
        self.entries += new
        self.extents.append(Extent(lastIndex: chunk.lastIndex, end: chunk.end, chain: chunk.chain))
        self.end = chunk.end
        self.chain = chunk.chain
        return true
    }

    /// Begins at a checkpoint. What follows it stays where it is known to follow; everything goes where it does not.
    mutating func cut(to index: LogIndex, term: Term) {
        guard self.term(at: index) == term, index >= self.baseIndex else {
            self.entries = []
            self.extents = []
            self.start = self.end
            self.chainBefore = self.chain
            self.baseIndex = index
            self.baseTerm = term
            return
        }
        self.entries.removeFirst(Int(index - self.baseIndex))
        self.baseIndex = index
        self.baseTerm = term
        while let first = self.extents.first, first.lastIndex <= index {
            self.extents.removeFirst()
            self.start = first.end
            self.chainBefore = first.chain
        }
    }

    /// Reads the ring that a header describes; nil where any of it is not what the header's chain says.
    init?(ring: AreaHeader.Ring, bytes: [UInt8], on disk: DiskIdentity) {
        self.baseIndex = ring.baseIndex
        self.baseTerm = ring.baseTerm
        self.start = ring.start
        self.end = ring.start
        self.chainBefore = ring.chainBefore
        self.chain = ring.chainBefore
        var rest = bytes[...]
        while self.end < ring.end {
            guard let chunk = RingChunk(parsing: rest, at: self.end, on: disk, after: self.chain),
                chunk.end <= ring.end, self.append(chunk)
            else { return nil }
            rest = rest.dropFirst(Int(chunk.blockCount) * Layout.blockSize)
        }
        guard self.ring == ring, self.entries.first?.term ?? self.baseTerm >= self.baseTerm else { return nil }
    }
}
