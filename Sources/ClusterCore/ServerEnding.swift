/// A server that was killed and is not gone: a call of the kernel that waits for the LUN goes on, and its files are open
/// until it is over.
package struct ServerEnding: Equatable, Sendable {
    package enum Limits {
        /// How long it may take from the moment at which the storage was given up. Everything that it is in fails by
        /// then; should it not, the node goes on.
        package static let givenUpTime = Duration.seconds(15)
        /// Then the log says so.
        package static let noteTime = Duration.seconds(5)
    }

    private let start: ContinuousClock.Instant
    private var givenUpAt: ContinuousClock.Instant?
    private var isNoted = false

    /// `isGivenUp`: the storage was, before the server was killed.
    package init(at now: ContinuousClock.Instant, isGivenUp: Bool) {
        self.start = now
        self.givenUpAt = isGivenUp ? now : nil
    }

    /// The next server waits for it. Where the storage was given up what the call still does fails.
    package var holdsBack: Bool { self.givenUpAt == nil }

    /// The storage is given up.
    package mutating func giveUp(at now: ContinuousClock.Instant) {
        if self.givenUpAt == nil { self.givenUpAt = now }
    }

    /// Whoever asked for the server's end goes on without.
    package func isGoneWithout(at now: ContinuousClock.Instant) -> Bool {
        self.givenUpAt.map { now - $0 > Limits.givenUpTime } ?? false
    }

    /// Once.
    package mutating func takeNote(at now: ContinuousClock.Instant) -> Bool {
        guard !self.isNoted, now - self.start > Limits.noteTime else { return false }
        self.isNoted = true
        return true
    }
}
