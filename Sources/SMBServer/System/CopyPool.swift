import SMB2Wire
import SMBServerCore

/// A few threads that copy from file to file: neither the event loops nor those who wait for a flush wait for that.
final class CopyPool: Sendable {
    static let threadCount = 2
    /// Jobs that wait for a thread; more fail with STATUS_INSUFF_SERVER_RESOURCES.
    static let waitingLimit = 1024

    private final class Queue: @unchecked Sendable {
        // Guarded by the signal's lock.
        var waiting: [(job: CopyJob, waiter: SyncPool.Waiter)] = []
    }

    private let queue = Queue()
    private let signal = Signal()

    init() {
        for index in 0..<Self.threadCount { Thread.start("smb-copy-\(index)") { [self] in self.run() } }
    }

    func submit(_ job: CopyJob, _ waiter: SyncPool.Waiter) {
        let isTaken = self.signal.withLock {
            guard self.queue.waiting.count < Self.waitingLimit else { return false }
            self.queue.waiting.append((job, waiter))
            self.signal.wake()
            return true
        }
        if !isTaken {
            let refused = CopyResult(status: .insuffServerResources, pieces: 0, byteCount: 0)
            waiter.loop.post(.copied(waiter, job.answer, refused))
        }
    }

    private func run() {
        while true {
            let (job, waiter) = self.signal.withLock {
                while self.queue.waiting.isEmpty { self.signal.wait() }
                return self.queue.waiting.removeFirst()
            }
            waiter.loop.post(.copied(waiter, job.answer, job.run()))
        }
    }
}
