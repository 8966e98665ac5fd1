import Glibc

/// The owner of a file descriptor: closed exactly once, when its owner ends.
package struct Descriptor: ~Copyable, Sendable {
    package let raw: Int32

    package init(owning raw: Int32) {
        self.raw = raw
    }

    deinit {
        close(self.raw)
    }

    /// Gives the number away; the receiver closes it.
    package consuming func release() -> Int32 {
        let raw = self.raw
        discard self
        return raw
    }

    package static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws(PlatformError) -> Descriptor {
        let raw = Glibc.open(path, flags | O_CLOEXEC, mode)
        guard raw >= 0 else { throw .system("open \(path)") }
        return Descriptor(owning: raw)
    }

    package func setNonBlocking() throws(PlatformError) {
        let flags = fcntl(self.raw, F_GETFL)
        guard flags >= 0, fcntl(self.raw, F_SETFL, flags | O_NONBLOCK) == 0 else { throw .system("fcntl O_NONBLOCK") }
    }
}

/// The peer has closed its half; Glibc's module does not show it.
let pollHangUp: Int32 = 0x2000

/// Polls one descriptor. False when the time passed; a signal does not end the wait early.
package func waitForEvent(_ descriptor: Int32, _ events: Int32, until deadline: ContinuousClock.Instant) -> Int32 {
    while true {
        var entry = pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: events), revents: 0)
        let count = poll(&entry, 1, milliseconds(until: deadline))
        if count > 0 { return Int32(entry.revents) }
        if count == 0 || errno != EINTR { return 0 }
    }
}

/// What poll(2) wants: rounded up, so that a deadline is not polled for in a busy loop; never negative (which is for ever).
package func milliseconds(until deadline: ContinuousClock.Instant) -> Int32 {
    let left = ContinuousClock.now.duration(to: deadline)
    guard left > .zero else { return 0 }
    let (seconds, attoseconds) = left.components
    guard seconds < 1_000_000 else { return 1_000_000_000 }
    return Int32(seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
}

/// Writes all of it or throws; for small files of sysfs and /proc.
package func writeFile(_ path: String, _ text: String) throws(PlatformError) {
    let file = try Descriptor.open(path, O_WRONLY)
    var text = text
    let count = text.withUTF8 { write(file.raw, $0.baseAddress, $0.count) }
    guard count == text.utf8.count else { throw .system("write \(path)") }
}

package func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }
