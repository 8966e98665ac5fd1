import CLinux
import Glibc

/// A thread of our own: an event loop, the journal's writer, a helper. Detached; ends when `body` returns.
enum Thread {
    /// The stack of each; the loops keep their buffers elsewhere.
    static let stackByteCount = 1 << 20

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, Self.stackByteCount)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        // The box is retained here and released by the thread itself.
        let box = Unmanaged.passRetained(
            Body {
                clinux_name_thread(name)
                body()
            })
        let result = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        pthread_attr_destroy(&attributes)
        precondition(result == 0, "no thread for \(name): error \(result)")
    }
}

/// A mutex and a condition: threads wait for work here.
final class Signal: @unchecked Sendable {
    // Allocated apart: their addresses must not change.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(self.mutex, nil)
        pthread_cond_init(self.condition, nil)
    }

    deinit {
        pthread_cond_destroy(self.condition)
        pthread_mutex_destroy(self.mutex)
        self.condition.deallocate()
        self.mutex.deallocate()
    }

    func withLock<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(self.mutex)
        defer { pthread_mutex_unlock(self.mutex) }
        return body()
    }

    /// Within `withLock` only.
    func wait() { pthread_cond_wait(self.condition, self.mutex) }
    /// The same, at most for so long.
    func wait(milliseconds: Int) {
        var until = timespec()
        // What a condition without attributes goes by.
        clock_gettime(CLOCK_REALTIME, &until)
        let nanoseconds = until.tv_nsec + milliseconds % 1000 * 1_000_000
        until.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
        until.tv_nsec = nanoseconds % 1_000_000_000
        pthread_cond_timedwait(self.condition, self.mutex, &until)
    }

    func wake() { pthread_cond_signal(self.condition) }
    func wakeAll() { pthread_cond_broadcast(self.condition) }
}
