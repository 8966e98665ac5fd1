/// Whether the target still answers what it was asked on this session: decides; the bridge gives a session up for it.
///
/// A command's age counts from when it was issued on this session. One that waited for a target that was away, however
/// long, is as young as any other when the target is back; counted from its beginning, it would end each new session at
/// once.
package struct SilenceWatch: Equatable, Sendable {
    package enum Verdict: Equatable, Sendable {
        case answers
        /// Something is outstanding, and nothing at all was heard for the silence limit.
        case isSilent
        /// It answers others and keeps one.
        case keepsOne
    }

    private let silenceLimit: Duration
    private let ageLimit: Duration
    private var lastHeard: ContinuousClock.Instant
    /// By the command's number; nil: it is not outstanding.
    private var issuedAt: [ContinuousClock.Instant?]

    /// - Parameters:
    ///   - commands: how many may be outstanding; their numbers are below.
    ///   - ageLimit: how long the target may keep a command while it answers others.
    package init(commands: Int, silenceLimit: Duration, ageLimit: Duration, at now: ContinuousClock.Instant) {
        self.silenceLimit = silenceLimit
        self.ageLimit = ageLimit
        self.lastHeard = now
        self.issuedAt = Array(repeating: nil, count: commands)
    }

    /// On another session, or again on the same one.
    package mutating func issued(_ command: Int, at now: ContinuousClock.Instant) { self.issuedAt[command] = now }

    /// Answered, or its session is over.
    package mutating func ended(_ command: Int) { self.issuedAt[command] = nil }

    package func isOutstanding(_ command: Int) -> Bool { self.issuedAt[command] != nil }

    /// The target said something, or a session with it began.
    package mutating func heard(at now: ContinuousClock.Instant) { self.lastHeard = now }

    package func verdict(at now: ContinuousClock.Instant) -> Verdict {
        guard let oldest = self.issuedAt.lazy.compactMap({ $0 }).min() else { return .answers }
        if now - max(self.lastHeard, oldest) > self.silenceLimit { return .isSilent }
        return now - oldest > self.ageLimit ? .keepsOne : .answers
    }
}
