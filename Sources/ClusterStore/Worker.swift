import CLinux
import Glibc
import Synchronization

/// A POSIX thread that runs `body` to its end. Swift's own executors are no place for calls that block.
package func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) {
    let box = Unmanaged.passRetained(ThreadBody(name: name, body: body))
    var thread = pthread_t()
    let result = pthread_create(
        &thread, nil,
        { argument in
            guard let argument else { return nil }
            // Balanced by passRetained: exactly one thread takes each box.
            let box = Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
            clinux_name_thread(box.name)
            box.body()
            return nil
        }, box.toOpaque())
    precondition(result == 0, "no thread could be started: \(String(cString: strerror(result)))")
    pthread_detach(thread)
}

/// How urgent the calling thread and those that it starts are, as nice(1) counts. The heartbeat must not wait behind a
/// server under load; a refusal (no right to it) changes only that.
package func setNiceness(_ value: Int32) { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, value) }

private final class ThreadBody: Sendable {
    /// The kernel takes 15 bytes.
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = String(name.prefix(15))
        self.body = body
    }
}

/// What other threads leave for one thread, which waits for it with poll(2) beside its own descriptors.
package final class Mailbox<Element: Sendable>: Sendable {
    private let waiting = Mutex<[Element]>([])
    /// An eventfd: readable while something waits.
    package let descriptor: Int32

    package init() {
        self.descriptor = clinux_eventfd()
        precondition(self.descriptor >= 0, "no eventfd: \(String(cString: strerror(errno)))")
    }

    deinit { close(self.descriptor) }

    package func post(_ element: Element) {
        let wasEmpty = self.waiting.withLock {
            $0.append(element)
            return $0.count == 1
        }
        guard wasEmpty else { return }
        var one: UInt64 = 1
        _ = write(self.descriptor, &one, 8)
    }

    /// All that waits, in the order of its posting.
    package func drain() -> [Element] {
        var count: UInt64 = 0
        _ = read(self.descriptor, &count, 8)
        return self.waiting.withLock {
            let all = $0
            $0 = []
            return all
        }
    }

    /// Waits until something is there, or the time has passed, or one of `others` has an event; says which of these.
    /// Milliseconds; negative is for ever.
    @discardableResult
    package func wait(milliseconds: Int32, others: [pollfd] = []) -> [pollfd] {
        var entries = [pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)] + others
        let count = poll(&entries, nfds_t(entries.count), milliseconds)
        return count > 0 ? Array(entries.dropFirst()) : others
    }
}
