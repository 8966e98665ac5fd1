import StateRecords

/// The records on their way into a server that is to serve: as many at a time as it reads, so that their number has no
/// limit on the way there.
package struct ServerLoad: Sendable {
    package enum Limits {
        /// In one message.
        package static let opensPerMessage = 256
        /// Of what waits to be read by the server; below it the next message is given out.
        package static let windowByteCount = 8 << 20
        /// From the first record to the server's word that it serves; then it is taken for hung.
        package static let time = Duration.seconds(20)
        /// And for each record: some eight times of what it takes where nothing has to be read from the disk
        /// (docs/PERFORMANCE.md).
        package static let timePerOpen = Duration.microseconds(500)
    }

    private let opens: [OpenRecord]
    private let windowByteCount: Int
    private var next = 0

    package init(_ opens: [OpenRecord], windowByteCount: Int = Limits.windowByteCount) {
        self.opens = opens
        self.windowByteCount = windowByteCount
    }

    package var isDone: Bool { self.next == self.opens.count }

    /// How long the whole of it may take.
    package var time: Duration { Limits.time + Limits.timePerOpen * self.opens.count }

    /// What is to be said now; nil: nothing, before more of what waits was read.
    package mutating func take(waitingByteCount: Int) -> [OpenRecord]? {
        guard !self.isDone, waitingByteCount < self.windowByteCount else { return nil }
        let end = min(self.next + Limits.opensPerMessage, self.opens.count)
        defer { self.next = end }
        return Array(self.opens[self.next..<end])
    }
}
