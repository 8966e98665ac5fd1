import CLinux
import Glibc
import Synchronization

/// Watches a bridge while its owner sits in a call of the kernel that waits for it (mount, unmount) and can be told
/// nothing. A bridge that ends meanwhile would leave that call in D state for ever: every request is ended with an
/// error instead. One that hangs would, too, and is ended first.
final class BridgeWatch {
    /// What the thread needs; the owner keeps the descriptors open until the thread has ended.
    private final class Work: Sendable {
        let process: Int32
        let control: Int32
        let over: Int32
        let fuse: FUSEMount.Aborter
        let silenceLimit: Duration
        /// What the bridge said, for the owner.
        let heard = Mutex<[BridgeEvent]>([])

        init(_ bridge: BridgeProcess, over: Int32, fuse: FUSEMount.Aborter, silenceLimit: Duration) {
            self.process = bridge.pidDescriptor
            self.control = bridge.eventDescriptor
            self.over = over
            self.fuse = fuse
            self.silenceLimit = silenceLimit
        }

        func run() {
            var entries = [self.over, self.process, self.control].map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            /// Nil: the last one was answered.
            var pingedAt: ContinuousClock.Instant?
            while true {
                let count = poll(&entries, nfds_t(entries.count), BridgeWatch.pingMilliseconds)
                guard count >= 0 else { continue }
                if entries[0].revents != 0 { return }
                if entries[1].revents != 0 { return self.fuse.abort() }
                if entries[2].revents != 0 {
                    pingedAt = nil
                    if !self.hear() { entries[2].fd = -1 }
                } else if entries[2].fd >= 0 {
                    guard let since = pingedAt else {
                        BridgeProcess.tell(.ping, on: self.control)
                        pingedAt = .now
                        continue
                    }
                    if ContinuousClock.now - since > self.silenceLimit {
                        _ = clinux_pidfd_send_signal(self.process, SIGKILL)
                    }
                }
            }
        }

        /// Whatever it says shows that it is there. False when it is listened to no more: it is ending, or has said too
        /// much.
        private func hear() -> Bool {
            switch BridgeProcess.receive(self.control) {
            case .nothing: return true
            case .ended: return false
            case .packet(let packet):
                guard let event = BridgeEvent(parsing: packet) else { return true }
                return self.heard.withLock {
                    // One answer is the owner's, should it wait for one.
                    if event != .alive || !$0.contains(.alive) { $0.append(event) }
                    return $0.count < BridgeWatch.maximumEvents
                }
            }
        }
    }

    private static let stackSize = 256 * 1024
    private static let pingMilliseconds: Int32 = 1000
    /// What is heard for the owner. At the limit the rest waits in the socket, and the bridge is no longer asked
    /// whether it is there.
    private static let maximumEvents = 4096

    private let over: Descriptor
    private let work: Work
    private var thread = pthread_t()

    private init(_ bridge: BridgeProcess, _ fuse: FUSEMount, _ silenceLimit: Duration) throws(PlatformError) {
        let event = clinux_eventfd()
        guard event >= 0 else { throw .system("eventfd") }
        self.over = Descriptor(owning: event)
        self.work = Work(bridge, over: event, fuse: fuse.aborter, silenceLimit: silenceLimit)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, Self.stackSize)
        let argument = Unmanaged.passRetained(self.work)
        let error = pthread_create(
            &self.thread, &attributes,
            { pointer in
                if let pointer { Unmanaged<Work>.fromOpaque(pointer).takeRetainedValue().run() }
                return nil
            }, argument.toOpaque())
        guard error == 0 else {
            argument.release()
            throw .system("start the bridge's watch", error)
        }
    }

    /// What the bridge said.
    private func end() -> [BridgeEvent] {
        var one: UInt64 = 1
        _ = write(self.over.raw, &one, 8)
        pthread_join(self.thread, nil)
        return self.work.heard.withLock { $0 }
    }

    /// `body` ends, if with an error, although the bridge ends or answers nothing for `silenceLimit`. It must neither
    /// tell the bridge anything nor take its events: what it says meanwhile is among them afterwards.
    static func during<Result>(
        _ bridge: BridgeProcess, _ fuse: FUSEMount, silenceLimit: Duration = BridgeProcess.silenceLimit,
        _ body: () throws(PlatformError) -> Result
    ) throws(PlatformError) -> Result {
        let watch = try BridgeWatch(bridge, fuse, silenceLimit)
        defer { bridge.keep(watch.end()) }
        return try body()
    }
}
