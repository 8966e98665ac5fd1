import Raft

/// Safeguards that the simulator switches off to prove that it would notice. Empty everywhere else.
package struct TransferDefects: OptionSet, Equatable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Parts are put together as they come, whichever state they are of: what a connection that broke left is gone on
    /// with.
    package static let mixStates = Self(rawValue: 1 << 0)
}

/// A state on its way to another node: as much of it at a time as the link takes, so that its length has no limit
/// there, and nothing that is said meanwhile waits behind more than a window of it.
package struct SnapshotTransfer: Sendable {
    package enum Limits {
        /// Of what waits in the link's queue; below it the next part is given out.
        package static let windowByteCount = 4 << 20
        /// In ticks of a millisecond: a link that is up and takes nothing for so long belongs to a node that hangs, and
        /// one that stays down so long to a node that is gone.
        package static let stallTicks: Tick = 30_000
        /// From the last part on until the state is acknowledged: it is read, stored and synced there.
        package static let answerTicks: Tick = 5000
        package static let answerTicksPerMebibyte: Tick = 100
    }

    /// What stands for the state once all parts of it are there.
    package let message: Message
    /// Of the last entry that it stands for.
    package let index: LogIndex
    private let state: [UInt8]
    private let windowByteCount: Int
    private let partByteCount: Int
    private let partCount: Int
    /// Parts that were given out.
    private var next = 0
    /// Which of the link's connections has them.
    private var connection: UInt64?
    private var queuedByteCount = 0
    private var movedAt: Tick

    package init(
        _ message: Message, of snapshot: Snapshot, state: [UInt8], now: Tick,
        windowByteCount: Int = Limits.windowByteCount, partByteCount: Int = SnapshotPart.partBytes
    ) {
        self.message = message
        self.index = snapshot.index
        self.state = state
        self.windowByteCount = windowByteCount
        self.partByteCount = partByteCount
        self.partCount = (state.count + partByteCount - 1) / partByteCount
        self.movedAt = now
    }

    package var isSent: Bool { self.next == self.partCount }

    /// What is to be sent now. `connection` names the one over which the link is up, nil where it is down; parts that
    /// another one had may be lost, so that all of them go again: the same bytes, for a receiver that was half-way.
    package mutating func parts(
        connection: UInt64?, queuedByteCount: Int, at now: Tick
    ) -> [SnapshotPart] {
        guard let connection else { return [] }
        if connection != self.connection {
            self.connection = connection
            self.next = 0
            self.movedAt = now
        } else if queuedByteCount < self.queuedByteCount {
            self.movedAt = now
        }
        self.queuedByteCount = queuedByteCount
        var parts: [SnapshotPart] = []
        while !self.isSent, self.queuedByteCount < self.windowByteCount {
            let start = self.next * self.partByteCount
            let bytes = Array(self.state[start..<min(start + self.partByteCount, self.state.count)])
            parts.append(SnapshotPart(number: UInt32(self.next), count: UInt32(self.partCount), bytes: bytes))
            self.queuedByteCount += bytes.count
            self.next += 1
            self.movedAt = now
        }
        return parts
    }

    /// A part was not taken after all.
    package mutating func partWasLost() { self.connection = nil }

    /// It makes no progress any more: a state that is made anew may.
    package func isOverdue(at now: Tick) -> Bool {
        // What waits in the queue is not sent yet, however slow the link is.
        let patience =
            self.isSent && self.queuedByteCount == 0
            ? Limits.answerTicks + Limits.answerTicksPerMebibyte * Tick(self.state.count >> 20) : Limits.stallTicks
        return now - min(now, self.movedAt) > patience
    }
}
