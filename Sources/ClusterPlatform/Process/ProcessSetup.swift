import CLinux
import Glibc

/// A mount namespace of our own, in which nothing propagates either way: what the daemon mounts dies with its processes,
/// and no other process can pin it. The first thing in main, before there is a second thread.
package func enterPrivateMountNamespace() throws(PlatformError) {
    guard clinux_unshare_mount_namespace() == 0 else { throw .system("unshare the mount namespace") }
    guard clinux_mount("none", "/", nil, CLINUX_MS_REC | CLINUX_MS_PRIVATE, nil) == 0 else {
        throw .system("make the mounts private")
    }
}

/// Locks what is mapped and what will be: memory reclaim that waits for our own block device would never end.
package func lockMemory() throws(PlatformError) {
    guard clinux_lock_memory() == 0 else { throw .system("mlockall") }
}

/// Locks each page from the moment on that it was used first: a heartbeat is not to wait for a page that was swapped out, and
/// what nobody uses takes no memory. Not inherited by the children.
package func lockTouchedMemory() throws(PlatformError) {
    guard clinux_lock_touched_memory() == 0 else { throw .system("mlockall") }
}

/// For a process that serves the block device beneath a file system: locked in memory, and never made to wait by reclaim
/// for the very device that it serves.
package func prepareBlockServer() throws(PlatformError) {
    try lockMemory()
    guard clinux_set_io_flusher() == 0 else { throw .system("PR_SET_IO_FLUSHER") }
}

/// systemd's notify protocol, sd_notify(3): datagrams to NOTIFY_SOCKET.
package struct ServiceNotifier: Sendable {
    private let address: String

    /// Nil where systemd did not start this process.
    package init?(socket: String? = getenv("NOTIFY_SOCKET").map { String(cString: $0) }) {
        guard let socket, !socket.isEmpty, socket.utf8.count < 108, socket.hasPrefix("/") || socket.hasPrefix("@")
        else {
            return nil
        }
        self.address = socket
    }

    /// WATCHDOG_USEC; a keep-alive is due in half of it.
    package var watchdogInterval: Duration? {
        guard let text = getenv("WATCHDOG_USEC"), let microseconds = Int64(String(cString: text)), microseconds > 0
        else {
            return nil
        }
        return .microseconds(microseconds)
    }

    package func ready(status: String) { self.send("READY=1\nSTATUS=\(status)") }
    package func status(_ text: String) { self.send("STATUS=\(text)") }
    package func stopping() { self.send("STOPPING=1") }
    /// The stop, which has begun, may take so much longer from now on, whatever the unit's TimeoutStopSec says.
    package func extendStop(by time: Duration) {
        let (seconds, attoseconds) = time.components
        self.send("EXTEND_TIMEOUT_USEC=\(seconds * 1_000_000 + attoseconds / 1_000_000_000_000)")
    }
    package func watchdog() { self.send("WATCHDOG=1") }

    /// Best effort: a service manager that is gone is no reason to stop serving.
    private func send(_ message: String) {
        let raw = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard raw >= 0 else { return }
        let descriptor = Descriptor(owning: raw)
        var target = sockaddr_un()
        target.sun_family = sa_family_t(AF_UNIX)
        var path = Array(self.address.utf8)
        if path.first == UInt8(ascii: "@") { path[0] = 0 }
        withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: path) }
        // An abstract name's length counts; a path's ends at its zero, which the structure has anyway.
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.count)
        let bytes = Array(message.utf8)
        _ = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
