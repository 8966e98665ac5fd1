import SMB2Wire
import SMBServerCore

/// A few threads that bring files to stable storage. All who wait for the same file share one flush: those who come
/// while it runs share the next.
final class SyncPool: Sendable {
    static let threadCount = 4

    private final class Queue: @unchecked Sendable {
        // Guarded by the signal's lock.
        var waiting: [ObjectIdentifier: (file: any SyncTarget, includesName: Bool, waiters: [Waiter])] = [:]
        /// Files with waiters and no thread. A client may leave very many at once.
        var ready = WaitingLine<ObjectIdentifier>()
        var busy: Set<ObjectIdentifier> = []
    }

    private let queue = Queue()
    private let signal = Signal()

    init() {
        for index in 0..<Self.threadCount { Thread.start("smb-sync-\(index)") { [self] in self.run() } }
    }

    /// Called on one of the pool's threads.
    typealias Waiter = @Sendable (NTStatus) -> Void

    /// - Parameter includesName: the file is new, renamed or deleted: its directory entry must be stable too.
    func submit(_ file: any SyncTarget, includesName: Bool, _ waiter: @escaping Waiter) {
        let id = ObjectIdentifier(file)
        self.signal.withLock {
            if self.queue.waiting[id] != nil {
                self.queue.waiting[id]?.waiters.append(waiter)
                if includesName { self.queue.waiting[id]?.includesName = true }
            } else {
                self.queue.waiting[id] = (file, includesName, [waiter])
                if !self.queue.busy.contains(id) { self.queue.ready.append(id) }
            }
            self.signal.wake()
        }
    }

    private func run() {
        while true {
            let (id, job) = self.signal.withLock {
                while true {
                    while let id = self.queue.ready.popFirst() {
                        if let job = self.queue.waiting.removeValue(forKey: id) {
                            self.queue.busy.insert(id)
                            return (id, job)
                        }
                    }
                    self.signal.wait()
                }
            }
            let status = job.file.bringToStorage(includingName: job.includesName)
            for waiter in job.waiters { waiter(status) }
            self.signal.withLock {
                self.queue.busy.remove(id)
                if self.queue.waiting[id] != nil {
                    self.queue.ready.append(id)
                    self.signal.wake()
                }
            }
        }
    }
}

/// Which reply waits for a disk.
struct FrameWaiter: Sendable {
    var loop: Loop
    var connection: Connection.ID
    var frame: UInt64
    /// Which reply of the frame.
    var reply: Int
}

/// What can be flushed.
protocol SyncTarget: AnyObject, Sendable {
    /// `.success`, or what to tell the client.
    func bringToStorage(includingName: Bool) -> NTStatus
}
