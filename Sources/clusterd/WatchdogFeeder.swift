import ClusterCore
import ClusterPlatform
import ClusterStore
import Glibc
import Logging
import Synchronization

/// The thread that feeds the machine's watchdog for as long as the node turns and nothing that it has to give up hangs. It does
/// nothing else: no allocation, no file, no lock, and all of the process is in memory.
final class WatchdogFeeder: Sendable {
    private let device: HardwareWatchdog
    private let lastTurn = Atomic<UInt64>(WatchdogFeeder.now)
    /// 0: nothing is being given up.
    private let givingUpSince = Atomic<UInt64>(0)

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }

    init(path: String, logger: Logger) throws(PlatformError) {
        self.device = try HardwareWatchdog(path: path, timeout: .seconds(WatchdogRule.deviceSeconds))
        do throws(PlatformError) { try lockMemory() } catch {
            logger.warning("the watchdog's thread may have to wait for memory: \(error.message)")
        }
        logger.notice("\(path) resets this machine when it hangs for \(WatchdogRule.deviceSeconds) s")
        startThread("watchdog") { [self] in self.feed() }
    }

    private func feed() {
        var isStarving = false
        while true {
            usleep(UInt32(WatchdogRule.intervalMilliseconds * 1000))
            let since = self.givingUpSince.load(ordering: .relaxed)
            let feeds = WatchdogRule.feeds(
                now: Self.now, lastTurn: self.lastTurn.load(ordering: .relaxed), givingUpSince: since == 0 ? nil : since
            )
            if feeds { self.device.pet() }
            if !feeds, !isStarving {
                let text: StaticString = "clusterd: HANGS: the watchdog is not fed any more and resets this machine\n"
                _ = write(2, text.utf8Start, text.utf8CodeUnitCount)
            }
            isStarving = !feeds
        }
    }

    /// In every turn of the node's loop.
    func turned() { self.lastTurn.store(Self.now, ordering: .relaxed) }

    /// The LUN has to be let go of.
    func givesUp() { self.givingUpSince.store(max(1, Self.now), ordering: .relaxed) }
    func gaveUp() { self.givingUpSince.store(0, ordering: .relaxed) }

    /// Before an end in order; whoever just dies leaves the device armed.
    func disarm() { self.device.disarm() }
}
