import Glibc

/// A point of the monotonic clock, in nanoseconds.
package struct Instant: Comparable, Sendable {
    package var nanoseconds: UInt64

    package static var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    package static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

    package func adding(milliseconds: Int) -> Instant {
        Instant(nanoseconds: self.nanoseconds + UInt64(max(0, milliseconds)) * 1_000_000)
    }

    /// Zero where it has passed.
    package var millisecondsLeft: Int {
        let now = Instant.now
        return now < self ? Int((self.nanoseconds - now.nanoseconds) / 1_000_000) : 0
    }

    package func nanoseconds(since earlier: Instant) -> UInt64 {
        self.nanoseconds > earlier.nanoseconds ? self.nanoseconds - earlier.nanoseconds : 0
    }

    package func milliseconds(since earlier: Instant) -> Int { Int(self.nanoseconds(since: earlier) / 1_000_000) }
}

package func sleep(milliseconds: Int) {
    _ = usleep(UInt32(max(0, milliseconds)) * 1000)
}
