import Raft
import StateRecords
import Testing

@testable import ClusterCore

/// A state that is longer than whatever a link holds.
@Suite struct SnapshotTransferTests {
    private static let snapshot = Snapshot(index: 900, term: 4, configuration: Configuration(voters: [1, 2, 3]))
    private static let message = Message(from: 1, to: 2, term: 5, body: .snapshot(snapshot))
    private static let state = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 2) }
    private static let partByteCount = 1000
    private static let windowByteCount = 4000

    private static func transfer(now: Tick = 0) -> SnapshotTransfer {
        SnapshotTransfer(
            self.message, of: self.snapshot, state: self.state, now: now, windowByteCount: self.windowByteCount,
            partByteCount: self.partByteCount)
    }

    /// A link that holds a fraction of the state, and takes so much of it in each turn.
    private struct Link {
        static let limit = 8000
        var connection: UInt64 = 1
        var queue: [SnapshotPart] = []
        var byteCount: Int { self.queue.reduce(0) { $0 + $1.bytes.count } }

        mutating func drain(_ count: Int, into collector: inout SnapshotCollector) -> [UInt8]? {
            var whole: [UInt8]?
            for part in self.queue.prefix(count) { whole = collector.add(part, of: message) ?? whole }
            self.queue.removeFirst(min(count, self.queue.count))
            return whole
        }
    }

    @Test func aStateThatNoQueueHoldsArrivesWhole() {
        var transfer = Self.transfer()
        var link = Link()
        var collector = SnapshotCollector()
        var arrived: [UInt8]?
        var turns = 0
        while arrived == nil, turns < 1000 {
            turns += 1
            link.queue += transfer.parts(connection: 1, queuedByteCount: link.byteCount, at: Tick(turns))
            #expect(link.byteCount < Self.windowByteCount + Self.partByteCount, "others wait behind a window, no more")
            #expect(link.byteCount <= Link.limit)
            arrived = link.drain(turns % 3, into: &collector)
        }
        #expect(arrived == Self.state)
        #expect(transfer.isSent)
        #expect(transfer.parts(connection: 1, queuedByteCount: 0, at: 2000).isEmpty)
        #expect(transfer.index == 900)
    }

    /// What the connection before had may be lost: it begins again, with the same bytes.
    @Test func aLinkThatBreaksInTheMiddleCostsNoNewState() {
        var transfer = Self.transfer()
        var link = Link()
        var collector = SnapshotCollector()
        for turn in 1...10 {
            link.queue += transfer.parts(connection: 1, queuedByteCount: link.byteCount, at: Tick(turn))
            _ = link.drain(2, into: &collector)
        }
        link.queue = []
        #expect(transfer.parts(connection: nil, queuedByteCount: 0, at: 11).isEmpty)
        let first = transfer.parts(connection: 2, queuedByteCount: 0, at: 12)
        #expect(first.map(\.number) == [0, 1, 2, 3])
        link.queue = first
        var arrived = link.drain(4, into: &collector)
        for turn in 13...1000 where arrived == nil {
            link.queue += transfer.parts(connection: 2, queuedByteCount: link.byteCount, at: Tick(turn))
            arrived = link.drain(2, into: &collector)
        }
        #expect(arrived == Self.state)
    }

    @Test func aPartThatWasNotTakenMeansThatAllGoAgain() {
        var transfer = Self.transfer()
        #expect(transfer.parts(connection: 1, queuedByteCount: 0, at: 1).count == 4)
        transfer.partWasLost()
        #expect(transfer.parts(connection: 1, queuedByteCount: 0, at: 2).first?.number == 0)
    }

    /// A slow link is no reason to make the state anew.
    @Test func progressCounts() {
        var transfer = Self.transfer()
        var now: Tick = 0
        var queued = 0
        while !transfer.isSent {
            queued += transfer.parts(connection: 1, queuedByteCount: queued, at: now).reduce(0) { $0 + $1.bytes.count }
            #expect(!transfer.isOverdue(at: now + SnapshotTransfer.Limits.stallTicks))
            now += SnapshotTransfer.Limits.stallTicks - 1
            // The kernel took a little, and less than a part.
            queued -= 500
        }
        #expect(now > 20 * SnapshotTransfer.Limits.stallTicks)
    }

    @Test func aLinkThatTakesNothingIsGivenUp() {
        var transfer = Self.transfer(now: 10)
        let queued = transfer.parts(connection: 1, queuedByteCount: 0, at: 10).count * Self.partByteCount
        let limit = 10 + SnapshotTransfer.Limits.stallTicks
        _ = transfer.parts(connection: 1, queuedByteCount: queued, at: limit)
        #expect(!transfer.isOverdue(at: limit))
        #expect(transfer.isOverdue(at: limit + 1))
        // And one that stays down.
        transfer = Self.transfer(now: 10)
        _ = transfer.parts(connection: nil, queuedByteCount: 0, at: limit)
        #expect(transfer.isOverdue(at: limit + 1))
    }

    /// To read and to store it takes the receiver longer, the longer it is.
    @Test func theAnswerToALongStateIsWaitedForLonger() {
        func patience(_ byteCount: Int) -> Tick {
            var transfer = SnapshotTransfer(
                Self.message, of: Self.snapshot, state: [UInt8](repeating: 0, count: byteCount), now: 0,
                windowByteCount: 1 << 30)
            // The link's queue takes it, and then the kernel.
            for _ in 1...2 { _ = transfer.parts(connection: 1, queuedByteCount: 0, at: 0) }
            #expect(transfer.isSent)
            return (0...).first { transfer.isOverdue(at: $0 * 100) } ?? 0
        }
        #expect(patience(1000) == 51)
        #expect(patience(20 << 20) == 71)
    }
}
