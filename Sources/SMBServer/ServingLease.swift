import Synchronization

/// To when a clustered server may answer its clients. `clusterd` extends it for as long as a majority follows its node; when
/// `clusterd` hangs, or is stopped, another node takes over and this server must be silent by then, although nobody tells it.
/// The reservation guards what is written; this guards what is read.
final class ServingLease: Sendable {
    /// Microseconds of CLOCK_BOOTTIME.
    private let end: Atomic<UInt64>
    private let isAwaited = Atomic<Bool>(false)

    /// A server by itself answers to nobody.
    static var unlimited: ServingLease { ServingLease(end: .max) }
    /// Nothing is answered before the first extension.
    static var none: ServingLease { ServingLease(end: 0) }

    private init(end: UInt64) { self.end = Atomic(end) }

    private var isHeld: Bool {
        let end = self.end.load(ordering: .acquiring)
        return end == .max || Clock.bootMicroseconds < end
    }

    /// Asked before anything is sent. Who is told no is woken by the extension that comes.
    func mayAnswer() -> Bool {
        if self.isHeld { return true }
        self.isAwaited.store(true, ordering: .sequentiallyConsistent)
        // It may have been extended just before.
        return self.isHeld
    }

    /// True when somebody waits for it.
    func extend(until end: UInt64) -> Bool {
        self.end.store(end, ordering: .sequentiallyConsistent)
        return self.isAwaited.exchange(false, ordering: .sequentiallyConsistent)
    }
}
