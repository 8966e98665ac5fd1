import GoldenMessages
import Raft
import StateRecords
import Testing

@testable import QuorumDisk

@Suite struct LayoutTests {
    static var header: AreaHeader {
        var header = AreaHeader(identity: testIdentity)
        header.node = 2
        header.incarnation = 9
        header.sequence = 77
        header.ballot = 12
        header.heartbeat = 1000
        header.commitIndex = 40
        header.ring.baseIndex = 30
        header.ring.baseTerm = 10
        header.ring.lastIndex = 44
        header.ring.lastTerm = 12
        header.ring.start = 100
        header.ring.end = 105
        header.ring.chainBefore = 0xDEAD_BEEF
        header.ring.chain = 0x1234_5678
        header.checkpoint = AreaHeader.Checkpoint(
            extent: 1, byteCount: 5000, sum: 0xABCD,
            snapshot: Snapshot(
                index: 30, term: 10, configuration: Configuration(voters: [1, 2, firstDiskID], learners: [3])))
        return header
    }

    @Test func nothingOverlaps() throws {
        for layout in [testLayout, .standard, try #require(Layout.fitting(1 << 30))] {
            #expect(layout.isValid)
            var ranges: [Range<Int>] = [0..<2 * Layout.blockSize]
            for area in 0..<layout.areaCount {
                #expect(layout.areaOffset(area) % Layout.alignment == 0)
                ranges.append(layout.slotOffset(area, 0)..<layout.slotOffset(area, 0) + Layout.blockSize)
                ranges.append(layout.slotOffset(area, 1)..<layout.slotOffset(area, 1) + Layout.blockSize)
                let ring = layout.ringPieces(area, from: 0, count: layout.ringBlocks)
                #expect(ring.reduce(0) { $0 + $1.byteCount } == layout.ringByteCount)
                ranges += ring.map { $0.offset..<$0.offset + $0.byteCount }
                for extent in 0..<2 {
                    let start = layout.checkpointOffset(area, extent)
                    ranges.append(start..<start + layout.checkpointByteCount)
                }
            }
            for (a, b) in zip(ranges, ranges.dropFirst()) { #expect(a.upperBound <= b.lowerBound) }
            #expect(ranges.last?.upperBound ?? .max <= layout.byteCount)
        }
        #expect(Layout.standard.byteCount <= 256 << 20, "what docs/QUORUM.md asks for")
    }

    /// docs/QUORUM.md says how long a state fits which LUN.
    @Test(arguments: [(256, 21), (1024, 117), (4096, 501), (16_384, 1024)])
    func aLargerLUNHoldsALongerState(lun: Int, state: Int) throws {
        let layout = try #require(Layout.fitting(UInt64(lun) << 20))
        #expect(layout.isValid && layout.byteCount <= lun << 20)
        #expect(layout.checkpointByteCount == state << 20)
        #expect((layout.areaCount, layout.ringByteCount) == (Layout.standard.areaCount, Layout.standard.ringByteCount))
        let superblock = Superblock(identity: testIdentity, layout: layout)
        #expect(Superblock(block: superblock.block) == superblock)
    }

    @Test func whatIsTooSmallIsNotLaidOut() {
        #expect(Layout.fitting(UInt64(Layout.standard.byteCount)) == .standard)
        #expect(Layout.fitting(UInt64(Layout.standard.byteCount) - 1) == nil)
        #expect(Layout.fitting(0) == nil)
    }

    /// What was laid out before checkpoints grew with the LUN: its superblock says where everything is, and there it
    /// is.
    @Test func aDiskOfBeforeGoesOnAsItIs() throws {
        var writer = BinaryWriter()
        for byte in "HFQDISK1".utf8 { writer.write(byte) }
        writer.write(UInt16(1))
        writer.write(testIdentity.cluster)
        writer.write(testIdentity.disk)
        writer.write(UInt16(4))
        writer.write(UInt64(20 << 20))
        writer.write(UInt64(16 << 20))
        let superblock = try #require(Superblock(block: SealedBlock.seal(writer)))
        #expect(superblock.identity == testIdentity)
        let layout = superblock.layout
        #expect((0..<4).map { layout.areaOffset($0) >> 20 } == [1, 54, 107, 160])
        #expect(layout.slotOffset(1, 1) == 54 << 20 + 4096)
        #expect(layout.ringPieces(1, from: 0, count: 1).map(\.offset) == [54 << 20 + 8192])
        #expect((0..<2).map { layout.checkpointOffset(1, $0) } == [74 << 20 + 8192, 90 << 20 + 8192])

        var bench = Bench(layout: layout)
        _ = bench.vote(1, term: 1)
        bench.append(1, term: 1, after: (0, 0), [1, 1])
        bench.run(1)
        let state = [UInt8](repeating: 7, count: 10_000)
        bench.checkpoint(1, term: 1, at: (1, 1), state)
        bench.run(1)
        #expect(bench.disk.read(21 << 20 + 8192, 4096) == [UInt8](repeating: 7, count: 4096))
        #expect(bench.vote(2, term: 2)?.log?.lastIndex == 2)
        #expect(bench.states[2] == state)
    }

    @Test func theRingWraps() {
        let pieces = testLayout.ringPieces(1, from: 8 * 7 + 6, count: 4)
        let ring = testLayout.areaOffset(1) + Layout.slotsByteCount
        #expect(pieces.map(\.offset) == [ring + 6 * 4096, ring])
        #expect(pieces.map(\.byteCount) == [2 * 4096, 2 * 4096])
    }

    @Test func theSuperblockReadsBack() {
        let superblock = Superblock(identity: testIdentity, layout: .standard)
        #expect(superblock.block.count == Layout.blockSize)
        #expect(Superblock(block: superblock.block) == superblock)
        #expect(Array(superblock.block.prefix(8)) == Array("HFQDISK1".utf8), "what blkid's users will look for")
    }

    @Test func aHeaderReadsBack() {
        let header = Self.header
        #expect(header.block.count == Layout.blockSize)
        #expect(AreaHeader(block: header.block, layout: .standard) == header)
        #expect(AreaHeader(block: header.block, layout: testLayout) == header)
    }

    /// A block that is torn anywhere, or has one bit wrong, is no header and no superblock.
    @Test func whatIsTornIsNothing() {
        let old = AreaHeader(identity: testIdentity).block
        let new = Self.header.block
        for sectors in 1..<8 {
            let torn = Array(new.prefix(sectors * 512)) + old.dropFirst(sectors * 512)
            // The first sectors hold all fields, the last one the sum.
            #expect(AreaHeader(block: torn, layout: testLayout) == nil)
        }
        for bit in stride(from: 0, to: 8 * 4096, by: 131) {
            var block = new
            block[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(AreaHeader(block: block, layout: testLayout) == nil)
        }
        #expect(AreaHeader(block: [UInt8](repeating: 0, count: 4096), layout: testLayout) == nil)
        #expect(AreaHeader(block: new.dropLast(1), layout: testLayout) == nil)
        #expect(Superblock(block: new) == nil)
    }

    /// A valid sum does not make sense of nonsense: what a header names lies within the disk.
    @Test func aHeaderThatPointsAstrayIsNone() {
        func isRefused(_ change: (inout AreaHeader) -> Void) -> Bool {
            var header = Self.header
            change(&header)
            return AreaHeader(block: header.block, layout: testLayout) == nil
        }
        #expect(isRefused { $0.ring.end = $0.ring.start + 9 })
        #expect(isRefused { $0.ring.start = $0.ring.end + 1 })
        #expect(isRefused { $0.ring.lastIndex = 29 })
        #expect(isRefused { $0.sequence = 1 << 62 })
        #expect(isRefused { $0.checkpoint?.extent = 2 })
        #expect(isRefused { $0.checkpoint?.byteCount = 3 * 4096 + 1 })
        #expect(isRefused { $0.checkpoint?.snapshot.index = 31 })
        #expect(isRefused { $0.checkpoint = nil })
    }

    @Test func theSlotInForceIsTheLatestThatCanBeRead() {
        var older = Self.header
        older.sequence = 76
        let zero = [UInt8](repeating: 0, count: 4096)
        func slots(_ a: [UInt8], _ b: [UInt8]) -> AreaSlots { AreaSlots(bytes: a + b, layout: testLayout) }
        #expect(slots(older.block, Self.header.block).header?.sequence == 77)
        #expect(slots(Self.header.block, older.block).current == 0)
        #expect(slots(older.block, zero).header?.sequence == 76)
        #expect(slots(zero, zero).header == nil)
        #expect(slots(zero, zero).current == nil)
    }

    @Test func chunksReadBackAndOnlyInTheirPlace() {
        let entries = (5...9).map { Entry(index: $0, term: 3, payload: .command([UInt8](repeating: 7, count: 2000))) }
        let (chunk, bytes) = RingChunk.make(entries, at: 6, on: testIdentity, after: 99)
        #expect(bytes.count % Layout.blockSize == 0)
        #expect(chunk.blockCount == UInt64(bytes.count / Layout.blockSize))
        func parse(
            _ bytes: [UInt8], at position: UInt64 = 6, _ disk: DiskIdentity = testIdentity, _ chain: UInt32 = 99
        ) -> RingChunk? {
            RingChunk(parsing: bytes[...], at: position, on: disk, after: chain)
        }
        #expect(parse(bytes) == chunk)
        #expect(parse(bytes, at: 7) == nil)
        #expect(parse(bytes, at: 6, DiskIdentity(cluster: testIdentity.cluster, disk: GUID16(low: 9, high: 4))) == nil)
        #expect(parse(bytes, at: 6, testIdentity, 98) == nil)
        for count in [0, 10, 31, 32, 33, 4096, bytes.count - 4096] {
            #expect(parse(Array(bytes.prefix(count))) == nil)
        }
        // A bit wrong in a payload: another chain, which the header does not have.
        var damaged = bytes
        damaged[500] ^= 1
        #expect(parse(damaged)?.chain != chunk.chain)
    }

    /// Chunks replace what comes after their first index; checkpoints cut off the front.
    @Test func theLogOfAnAreaIsWhatItsChunksSay() throws {
        func entries(_ range: ClosedRange<UInt64>, _ term: Term) -> [Entry] {
            range.map { Entry(index: $0, term: term, payload: .empty) }
        }
        var log = AreaLog()
        var bytes: [UInt8] = []
        for (range, term): (ClosedRange<UInt64>, Term) in [(1...10, 1), (5...8, 2), (9...9, 2)] {
            let (chunk, more) = RingChunk.make(entries(range, term), at: log.end, on: testIdentity, after: log.chain)
            let isTaken = log.append(chunk)
            #expect(isTaken)
            bytes += more
        }
        #expect(log.lastIndex == 9)
        #expect((1...9).map { log.term(at: $0) } == [1, 1, 1, 1, 2, 2, 2, 2, 2])
        #expect(AreaLog(ring: log.ring, bytes: bytes, on: testIdentity) == log)
        #expect(AreaLog(ring: log.ring, bytes: Array(bytes.dropLast(4096)), on: testIdentity) == nil)

        for cut in LogIndex(1)...9 {
            var shorter = log
            shorter.cut(to: cut, term: cut < 5 ? 1 : 2)
            #expect(shorter.lastIndex == 9)
            let kept = Array(bytes.dropFirst(Int(shorter.start) * 4096))
            #expect(AreaLog(ring: shorter.ring, bytes: kept, on: testIdentity) == shorter, "cut at \(cut)")
        }
        var replaced = log
        replaced.cut(to: 7, term: 3)
        #expect(replaced.lastIndex == 7 && replaced.lastTerm == 3)
        #expect(replaced.start == replaced.end)
        // Gaps and terms that go back are no log.
        let gap = RingChunk.make(entries(11...12, 2), at: log.end, on: testIdentity, after: log.chain).chunk
        let takesGap = log.append(gap)
        #expect(!takesGap)
        let back = RingChunk.make(entries(10...10, 1), at: log.end, on: testIdentity, after: log.chain).chunk
        let takesBack = log.append(back)
        #expect(!takesBack)
    }

    /// Whatever is on the disk, reading it ends, without a trap.
    @Test func damagedBlocksAreRefusedOrMakeSense() {
        var random = SplitMix64(seed: 4)
        let superblock = Superblock(identity: testIdentity, layout: testLayout)
        let entries = (1...40).map {
            Entry(
                index: $0, term: 2,
                payload: $0 % 5 == 0
                    ? .configuration(Configuration(voters: [1, 2, disk1])) : .command([UInt8](repeating: 1, count: 50)))
        }
        let (_, chunk) = RingChunk.make(entries, at: 0, on: testIdentity, after: 0)
        var taken = 0
        for _ in 0..<3000 {
            _ = AreaHeader(block: GoldenMessages.Mutation.mutate(Self.header.block, with: &random), layout: testLayout)
            _ = Superblock(block: GoldenMessages.Mutation.mutate(superblock.block, with: &random))
            let bytes = GoldenMessages.Mutation.mutate(chunk, with: &random)
            guard let found = RingChunk(parsing: bytes[...], at: 0, on: testIdentity, after: 0) else { continue }
            taken += 1
            var log = AreaLog()
            if log.append(found) { #expect(log.lastIndex == found.entries.last?.index) }
            // The same with the sum made right again, for headers: the fields themselves are wrong then.
            var writer = BinaryWriter()
            for byte in GoldenMessages.Mutation.mutate(Array(Self.header.block.prefix(300)), with: &random).prefix(4000)
            {
                writer.write(byte)
            }
            if let header = AreaHeader(block: SealedBlock.seal(writer), layout: testLayout) {
                #expect(header.ring.end - header.ring.start <= testLayout.ringBlocks)
            }
        }
        #expect(taken > 100, "most changes fall into payloads, which only the chain tells")
    }
}
