import Synchronization

/// What all clients together have seen, for the line that is printed every second and the one at the end.
final class Tally: Sendable {
    struct Counts {
        var acknowledged = 0
        /// Acknowledged bytes, names, handles or locks that are not there any more.
        var lost = 0
        /// Bytes that nobody wrote, names that nobody made.
        var wrong = 0
        /// Answers that an application would have seen as an error.
        var errors = 0
        var reclaims = 0
        var longestStallMilliseconds = 0

        var isClean: Bool { self.lost == 0 && self.wrong == 0 && self.errors == 0 }

        func print(_ event: String) {
            JSONLine(event).with("acknowledged", self.acknowledged).with("lost", self.lost).with("wrong", self.wrong)
                .with("errors", self.errors).with("reclaims", self.reclaims)
                .with("longestStallMilliseconds", self.longestStallMilliseconds).print()
        }
    }

    enum Finding: String {
        case lost, wrong, errors
    }

    private let counts = Mutex(Counts())

    var now: Counts { self.counts.withLock { $0 } }

    /// How long an application waited for one operation that was acknowledged in the end.
    func acknowledged(milliseconds: Int) {
        self.counts.withLock { counts in
            counts.acknowledged += 1
            counts.longestStallMilliseconds = max(counts.longestStallMilliseconds, milliseconds)
        }
    }

    func reclaimed() { self.counts.withLock { $0.reclaims += 1 } }

    func found(_ finding: Finding, client: Int, _ what: String) {
        self.counts.withLock { counts in
            switch finding {
            case .lost: counts.lost += 1
            case .wrong: counts.wrong += 1
            case .errors: counts.errors += 1
            }
        }
        JSONLine(finding.rawValue).with("client", client).with("what", what).print()
    }
}

/// The locks that the clients hold now, for each other to run into.
final class LockBoard: Sendable {
    struct Entry: Equatable {
        var path: String
        var offset: UInt64
        var length: UInt64
        /// No two locks have the same.
        var generation: Int
    }

    private let entries = Mutex<[Int: Entry]>([:])

    func publish(_ entry: Entry?, of client: Int) { self.entries.withLock { $0[client] = entry } }

    func entry(of client: Int) -> Entry? { self.entries.withLock { $0[client] } }
}
