import CLinux
import Glibc
import Synchronization

/// The machine's watchdog: it resets the node when nobody pets it. The last fence, for a kernel that hangs.
package final class HardwareWatchdog: Sendable {
    private enum State {
        static let armed: UInt8 = 0
        static let petting: UInt8 = 1
        static let disarmed: UInt8 = 2
    }

    private let device: Descriptor
    private let state = Atomic<UInt8>(State.armed)

    package init(path: String = "/dev/watchdog", timeout: Duration) throws(PlatformError) {
        self.device = try Descriptor.open(path, O_WRONLY)
        let seconds = Int32(clamping: max(1, timeout.components.seconds))
        // Some devices have a time-out of their own, which stays.
        guard clinux_watchdog_set_timeout(self.device.raw, seconds) == 0 || errno == ENOTTY || errno == EOPNOTSUPP
        else {
            throw .system("set the time-out of \(path) to \(seconds) s")
        }
    }

    /// Any byte will do, Documentation/watchdog/watchdog-api. Nothing once it is disarmed. For one thread only; never waits.
    package func pet() {
        guard self.state.compareExchange(expected: State.armed, desired: State.petting, ordering: .acquiring).exchanged
        else { return }
        _ = write(self.device.raw, "k", 1)
        self.state.store(State.armed, ordering: .releasing)
    }

    /// The magic close: afterwards the device may be closed without a reset. It counts only as the last thing that is written.
    package func disarm() {
        while true {
            let (isOurs, found) = self.state.compareExchange(
                expected: State.armed, desired: State.disarmed, ordering: .acquiringAndReleasing)
            if isOurs { break }
            guard found == State.petting else { return }
            sched_yield()
        }
        _ = write(self.device.raw, "V", 1)
    }
}
