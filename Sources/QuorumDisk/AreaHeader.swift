import Raft
import StateRecords

/// The state of one node's area, whole in one block; two slots alternate and the highest valid sequence is in force.
package struct AreaHeader: Equatable, Sendable {
    /// "HFQAREA1", little-endian.
    private static let magic: UInt64 = 0x3141_4552_4151_4648

    package var identity: DiskIdentity
    /// 0: no node uses this area yet.
    package var node: NodeID = 0
    /// The node's start that wrote this.
    package var incarnation: UInt64 = 0
    /// Counts the headers of this area.
    package var sequence: UInt64 = 0
    /// The term in which the node last stood, with this disk, or led: not its current term.
    package var ballot: Term = 0
    /// Moves while the node leads.
    package var heartbeat: UInt64 = 0
    /// What the node knew as committed. For those who look; nothing rests on it.
    package var commitIndex: LogIndex = 0
    package var ring = Ring()
    package var checkpoint: Checkpoint?

    /// The log from the checkpoint on.
    package struct Ring: Equatable, Sendable {
        /// The position before the first entry: the checkpoint's, or zero.
        package var baseIndex: LogIndex = 0
        package var baseTerm: Term = 0
        package var lastIndex: LogIndex = 0
        package var lastTerm: Term = 0
        /// Ring positions in blocks, growing for ever: the first chunk's, and the one after the last.
        package var start: UInt64 = 0
        package var end: UInt64 = 0
        /// The chain before the first chunk and after the last.
        package var chainBefore: UInt32 = 0
        package var chain: UInt32 = 0

        package init() {}
    }

    /// The state in one of the two extents.
    package struct Checkpoint: Equatable, Sendable {
        package var extent: Int
        package var byteCount: Int
        /// CRC-32C of the bytes.
        package var sum: UInt32
        package var snapshot: Snapshot

        package init(extent: Int, byteCount: Int, sum: UInt32, snapshot: Snapshot) {
            self.extent = extent
            self.byteCount = byteCount
            self.sum = sum
            self.snapshot = snapshot
        }
    }

    package init(identity: DiskIdentity) { self.identity = identity }

    /// Raft §5.4.1: whose log is the more up to date.
    package func isLog(moreUpToDateThan last: (term: Term, index: LogIndex)) -> Bool {
        (self.ring.lastTerm, self.ring.lastIndex) > last
    }

    package var block: [UInt8] {
        var writer = BinaryWriter(reserving: Layout.blockSize)
        writer.write(Self.magic)
        writer.write(self.identity.cluster)
        writer.write(self.identity.disk)
        for value in [self.node, self.incarnation, self.sequence, self.ballot, self.heartbeat, self.commitIndex] {
            writer.write(value)
        }
        for value in [
            self.ring.baseIndex, self.ring.baseTerm, self.ring.lastIndex, self.ring.lastTerm, self.ring.start,
            self.ring.end,
        ] {
            writer.write(value)
        }
        writer.write(self.ring.chainBefore)
        writer.write(self.ring.chain)
        writer.write(self.checkpoint != nil)
        if let checkpoint = self.checkpoint {
            writer.write(UInt8(checkpoint.extent))
            writer.write(UInt64(checkpoint.byteCount))
            writer.write(checkpoint.sum)
            writer.write(checkpoint.snapshot.index)
            writer.write(checkpoint.snapshot.term)
            for list in [checkpoint.snapshot.configuration.voters, checkpoint.snapshot.configuration.learners] {
                writer.write(UInt8(list.count))
                for node in list { writer.write(node) }
            }
        }
        return SealedBlock.seal(writer)
    }

    /// nil where the block is torn, damaged, or makes no sense within `layout`.
    package init?(block: some RandomAccessCollection<UInt8>, layout: Layout) {
        guard var reader = SealedBlock.open(block, magic: Self.magic) else { return nil }
        do throws(RecordError) {
            try self.init(reading: &reader)
        } catch {
            return nil
        }
        guard self.makesSense(within: layout) else { return nil }
    }

    private init(reading reader: inout BinaryReader) throws(RecordError) {
        self.identity = DiskIdentity(cluster: try reader.read(), disk: try reader.read())
        self.node = try reader.read()
        self.incarnation = try reader.read()
        self.sequence = try reader.read()
        self.ballot = try reader.read()
        self.heartbeat = try reader.read()
        self.commitIndex = try reader.read()
        self.ring.baseIndex = try reader.read()
        self.ring.baseTerm = try reader.read()
        self.ring.lastIndex = try reader.read()
        self.ring.lastTerm = try reader.read()
        self.ring.start = try reader.read()
        self.ring.end = try reader.read()
        self.ring.chainBefore = try reader.read()
        self.ring.chain = try reader.read()
        guard try reader.read(Bool.self) else { return }
        let extent = Int(try reader.read(UInt8.self))
        let byteCount = Int(clamping: try reader.read(UInt64.self))
        let sum = try reader.read(UInt32.self)
        let index = try reader.read(LogIndex.self)
        let term = try reader.read(Term.self)
        var lists: [[NodeID]] = []
        for _ in 0..<2 {
            var nodes: [NodeID] = []
            for _ in 0..<(try reader.read(UInt8.self)) { nodes.append(try reader.read()) }
            lists.append(nodes)
        }
        self.checkpoint = Checkpoint(
            extent: extent, byteCount: byteCount, sum: sum,
            snapshot: Snapshot(
                index: index, term: term, configuration: Configuration(voters: lists[0], learners: lists[1])))
    }

    /// Terms and indexes beyond it would overflow arithmetic.
    private static let maximumNumber: UInt64 = 1 << 62

    private func makesSense(within layout: Layout) -> Bool {
        let ring = self.ring
        let numbers = [
            self.incarnation, self.sequence, self.ballot, self.heartbeat, ring.lastIndex, ring.lastTerm, ring.end,
        ]
        guard numbers.allSatisfy({ $0 < Self.maximumNumber }), ring.start <= ring.end,
            ring.end - ring.start <= layout.ringBlocks, ring.baseIndex <= ring.lastIndex,
            ring.baseTerm <= ring.lastTerm, (ring.baseIndex == 0) == (self.checkpoint == nil)
        else { return false }
        guard let checkpoint = self.checkpoint else { return true }
        return (0...1).contains(checkpoint.extent) && checkpoint.byteCount <= layout.checkpointByteCount
            && checkpoint.snapshot.index == ring.baseIndex && checkpoint.snapshot.term == ring.baseTerm
            && !checkpoint.snapshot.configuration.voters.isEmpty
    }
}

/// Both slots of an area, as read.
struct AreaSlots: Equatable, Sendable {
    var slots: [AreaHeader?]
    private let identity: DiskIdentity?

    /// `identity`: of the disk that the reader works with.
    init(bytes: [UInt8], layout: Layout, of identity: DiskIdentity? = nil) {
        self.identity = identity
        self.slots = (0..<2).map { slot in
            let start = slot * Layout.blockSize
            guard bytes.count >= start + Layout.blockSize else { return nil }
            return AreaHeader(block: bytes[start..<start + Layout.blockSize], layout: layout)
        }
    }

    /// The slot in force; nil where neither can be read, which says nothing about what the area holds. A header of
    /// another disk is in force where there is none of this one: what a node sent before it heard of the LUN's new
    /// layout may land behind that.
    var current: Int? {
        let own = self.slots.map { $0?.identity == self.identity ? $0?.sequence : nil }
        return Self.latest(own) ?? Self.latest(self.slots.map { $0?.sequence })
    }

    private static func latest(_ sequences: [UInt64?]) -> Int? {
        switch (sequences[0], sequences[1]) {
        case (nil, nil): nil
        case (_, nil): 0
        case (nil, _): 1
        case (let a?, let b?): a >= b ? 0 : 1
        }
    }

    var header: AreaHeader? { self.current.flatMap { self.slots[$0] } }
}
