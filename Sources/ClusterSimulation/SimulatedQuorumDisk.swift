import QuorumDisk
import Raft
import StateRecords

/// The blocks of a LUN, and what is on its way to them.
struct SharedDisk {
    static let sectorSize = 512

    let superblock: Superblock
    /// By block number; what is not there is zero.
    private(set) var blocks: [Int: [UInt8]] = [:]
    /// An earlier state, for a LUN that goes back to it.
    var copy: [Int: [UInt8]] = [:]
    var isWhole = true
    /// What the blocks of slots hold, as far as somebody looked.
    private var decoded: [Int: AreaHeader?] = [:]
    /// Blocks that were written since the last flush, as they were before.
    private(set) var unflushed: [Int: [UInt8]?] = [:]
    /// Of each node: a request of an earlier one is refused.
    var sessions: [Int: UInt64] = [:]

    init(_ superblock: Superblock) {
        self.superblock = superblock
        for write in superblock.formatting { self.write(write.bytes, at: write.offset, sectors: nil) }
        self.copy = self.blocks
    }

    func read(_ offset: Int, _ byteCount: Int) -> [UInt8] {
        let first = offset / Layout.blockSize
        // Both slots of an area, as in almost every read.
        if byteCount == Layout.blockSize { return self.blocks[first] ?? Self.emptyBlock }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        for block in first..<first + byteCount / Layout.blockSize { bytes += self.blocks[block] ?? Self.emptyBlock }
        return bytes
    }

    private static let emptyBlock = [UInt8](repeating: 0, count: Layout.blockSize)

    /// `sectors`: those that reach the medium; nil: all.
    mutating func write(_ bytes: [UInt8], at offset: Int, sectors: Set<Int>?, isCached: Bool = false) {
        for block in 0..<bytes.count / Layout.blockSize {
            let number = offset / Layout.blockSize + block
            if isCached, self.unflushed[number] == nil { self.unflushed[number] = .some(self.blocks[number]) }
            let start = block * Layout.blockSize
            guard let sectors else {
                self.set(number, Array(bytes[start..<start + Layout.blockSize]))
                continue
            }
            var contents = self.blocks[number] ?? Self.emptyBlock
            for sector in 0..<Layout.blockSize / Self.sectorSize {
                let from = start + sector * Self.sectorSize
                guard sectors.contains(from / Self.sectorSize) else { continue }
                let range = sector * Self.sectorSize..<(sector + 1) * Self.sectorSize
                contents.replaceSubrange(range, with: bytes[from..<from + Self.sectorSize])
            }
            self.set(number, contents)
        }
    }

    private mutating func set(_ number: Int, _ contents: [UInt8]?) {
        self.blocks[number] = contents
        self.decoded[number] = nil
    }

    mutating func flush() { self.unflushed = [:] }

    /// Of what was not flushed, some is gone.
    mutating func losePower(_ random: inout Random) {
        for number in self.unflushed.keys.sorted() where random.below(2) == 0 {
            self.set(number, self.unflushed[number] ?? nil)
        }
        self.unflushed = [:]
    }

    /// All of it, or both headers of one area.
    mutating func wipe(area: Int?) {
        if let area {
            for slot in 0..<2 { self.set(self.superblock.layout.slotOffset(area, slot) / Layout.blockSize, nil) }
        } else {
            self.blocks = [:]
            self.decoded = [:]
        }
        self.isWhole = false
    }

    mutating func goBack() {
        self.blocks = self.copy
        self.decoded = [:]
        self.isWhole = false
    }

    /// Of both slots, where they can be read.
    mutating func headers(of area: Int) -> [AreaHeader] {
        (0..<2).compactMap { slot in
            let number = self.superblock.layout.slotOffset(area, slot) / Layout.blockSize
            if let known = self.decoded[number] { return known }
            let header = Self.header(self.blocks[number], self.superblock.layout)
            self.decoded[number] = .some(header)
            return header
        }
    }

    /// The highest header sequence of that area in the copy.
    func copiedSequence(of area: Int) -> UInt64 {
        (0..<2).compactMap { slot in
            let number = self.superblock.layout.slotOffset(area, slot) / Layout.blockSize
            return Self.header(self.copy[number], self.superblock.layout)?.sequence
        }.max() ?? 0
    }

    private static func header(_ block: [UInt8]?, _ layout: Layout) -> AreaHeader? {
        block.flatMap { AreaHeader(block: $0[...], layout: layout) }
    }

    /// The bytes of a checkpoint are those of which its header has the sum.
    func holds(_ checkpoint: AreaHeader.Checkpoint, in area: Int) -> Bool {
        let start = self.superblock.layout.checkpointOffset(area, checkpoint.extent)
        let bytes = self.read(start, Layout.blocks(checkpoint.byteCount) * Layout.blockSize)
        return CRC32C.of(bytes.prefix(checkpoint.byteCount)) == checkpoint.sum
    }

    /// The blocks that a valid header reaches.
    func reachable(from header: AreaHeader, in area: Int) -> [Range<Int>] {
        let layout = self.superblock.layout
        var ranges = layout.ringPieces(area, from: header.ring.start, count: header.ring.end - header.ring.start).map {
            $0.offset..<$0.offset + $0.byteCount
        }
        if let checkpoint = header.checkpoint {
            let start = layout.checkpointOffset(area, checkpoint.extent)
            ranges.append(start..<start + checkpoint.byteCount)
        }
        return ranges
    }
}

/// What happened to quorum disks in a run: a fault that never comes proves nothing.
package struct DiskCounts: Equatable, Sendable {
    package var grants = 0
    package var grantsWithLog = 0
    package var grantsWithState = 0
    package var acknowledgements = 0
    package var checkpoints = 0
    /// Checkpoints that went to the disk in several steps, and those of which only some steps did.
    package var checkpointsInSteps = 0
    package var checkpointsBrokenOff = 0
    /// Checkpoints that a vote brought, and that were read in several steps.
    package var statesReadInSteps = 0
    package var barriers = 0
    package var tornWrites = 0
    package var wipes = 0
    package var rollbacks = 0
    package var replacements = 0
    package var disabled = 0
    package var refusedForHeartbeat = 0

    package init() {}

    package static func += (a: inout Self, b: Self) {
        a.grants += b.grants
        a.grantsWithLog += b.grantsWithLog
        a.grantsWithState += b.grantsWithState
        a.acknowledgements += b.acknowledgements
        a.checkpoints += b.checkpoints
        a.checkpointsInSteps += b.checkpointsInSteps
        a.checkpointsBrokenOff += b.checkpointsBrokenOff
        a.statesReadInSteps += b.statesReadInSteps
        a.barriers += b.barriers
        a.tornWrites += b.tornWrites
        a.wipes += b.wipes
        a.rollbacks += b.rollbacks
        a.replacements += b.replacements
        a.disabled += b.disabled
        a.refusedForHeartbeat += b.refusedForHeartbeat
    }
}

extension DiskCounts: CustomStringConvertible {
    package var description: String {
        """
          disk votes \(self.grants), with entries \(self.grantsWithLog), with a checkpoint \(self.grantsWithState)
          acknowledgements \(self.acknowledgements), checkpoints \(self.checkpoints), barriers \(self.barriers)
          checkpoints in several steps \(self.checkpointsInSteps), broken off \(self.checkpointsBrokenOff), \
        read in several steps \(self.statesReadInSteps)
          torn writes \(self.tornWrites), wipes \(self.wipes), gone back \(self.rollbacks), \
        noticed by a node \(self.disabled), disks added \(self.replacements)
        """
    }
}

/// One node's side of its quorum disk.
struct DiskSide {
    /// The batch that the node waits for.
    struct Batch {
        var number: UInt64
        var results: [[UInt8]?]
        /// How many of them.
        var missing: Int
        var isOver: Bool
        var hasWritten = false

        init(number: UInt64, results: [[UInt8]?], isOver: Bool) {
            self.number = number
            self.results = results
            self.missing = results.count
            self.isOver = isOver
        }
    }

    /// For the disk that the node's configuration names.
    var voter: DiskVoter?
    /// Values of it, over all starts of the node.
    var lives: UInt64 = 0
    /// What the node keeps of every disk, on stable storage.
    var memories: [UInt64: DiskMemory] = [:]
    /// It does not reach the disk until then.
    var cutUntil: UInt64 = 0
    var batch: Batch?
    /// The target ended it; the node learns of it from the next request.
    var sessionIsOver = false
}

/// All disks of a run, by the lower half of their GUIDs, and what is on its way to them.
struct QuorumDisks {
    struct Flight {
        var node: Int
        var life: UInt64
        var disk: UInt64
        var batch: UInt64
        var session: UInt64
        var request: DiskBatch.Request
        /// Of the batch's results.
        var position: Int
    }

    var disks: [UInt64: SharedDisk] = [:]
    var newest: UInt64 = 0
    var flights: [UInt64: Flight] = [:]
    var nextFlight: UInt64 = 1
    var sides: [DiskSide]
    var counts = DiskCounts()

    init(nodes: Int) { self.sides = [DiskSide](repeating: DiskSide(), count: nodes) }
}

extension DiskIdentity {
    static func simulated(_ number: UInt64) -> DiskIdentity {
        DiskIdentity(cluster: GUID16(low: 1, high: 1), disk: GUID16(low: number, high: 2))
    }

    /// Under which a simulation finds the disk.
    var key: UInt64 { self.disk.low }
}
