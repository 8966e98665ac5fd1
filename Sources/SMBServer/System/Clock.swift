import Glibc
import SMB2Wire

enum Clock {
    /// Milliseconds since some moment; never goes back.
    static var milliseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }

    static var microseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
    }

    /// Goes on while the machine sleeps; the same in every process.
    static var bootMicroseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
    }

    static var wall: FileTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return FileTime(unixSeconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }
}

/// What the administrator reads: one line an event on standard error, which the journal or the parent keeps.
package enum Log {
    package static func write(_ message: String) {
        let line = "smbserverd: \(message)\n"
        _ = line.withCString { Glibc.write(2, $0, strlen($0)) }
    }
}
