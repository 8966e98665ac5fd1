import CLinux
import Glibc

/// Watches a bridge while its owner sits in a call of the kernel that waits for it (mount, unmount) and can be told nothing. A bridge
/// that ends meanwhile would leave that call in D state for ever: every request is ended with an error instead.
final class BridgeWatch {
    /// What the thread needs; the owner keeps the descriptors open until the thread has ended.
    private final class Work: Sendable {
        let process: Int32
        let over: Int32
        let fuse: FUSEMount.Aborter

        init(process: Int32, over: Int32, fuse: FUSEMount.Aborter) {
            self.process = process
            self.over = over
            self.fuse = fuse
        }

        func run() {
            var entries = [self.process, self.over].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            while poll(&entries, 2, -1) < 0, errno == EINTR { continue }
            if entries[1].revents == 0 { self.fuse.abort() }
        }
    }

    private static let stackSize = 256 * 1024

    private let over: Descriptor
    private var thread = pthread_t()

    private init(_ bridge: BridgeProcess, _ fuse: FUSEMount) throws(PlatformError) {
        let event = clinux_eventfd()
        guard event >= 0 else { throw .system("eventfd") }
        self.over = Descriptor(owning: event)
        let work = Work(process: bridge.pidDescriptor, over: event, fuse: fuse.aborter)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, Self.stackSize)
        let argument = Unmanaged.passRetained(work)
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

    private func end() {
        var one: UInt64 = 1
        _ = write(self.over.raw, &one, 8)
        pthread_join(self.thread, nil)
    }

    /// `body` ends, if with an error, although the bridge does. It must not use `fuse`.
    static func during<Result>(
        _ bridge: BridgeProcess, _ fuse: FUSEMount, _ body: () throws(PlatformError) -> Result
    ) throws(PlatformError) -> Result {
        let watch = try BridgeWatch(bridge, fuse)
        defer { watch.end() }
        return try body()
    }
}
