import Synchronization

/// A few threads for what an event loop must not wait for. First come, first served.
final class WorkerPool: Sendable {
    private final class Queue: @unchecked Sendable {
        // Guarded by the signal's lock.
        var jobs = WaitingLine<@Sendable () -> Void>()
    }

    private let queue = Queue()
    private let signal = Signal()
    private let done = Atomic<UInt64>(0)

    /// Jobs that have been done.
    var finished: UInt64 { self.done.load(ordering: .relaxed) }

    /// Jobs that wait for a thread; more are refused.
    private let waitingLimit: Int

    init(_ name: String, threads: Int, waitingLimit: Int) {
        self.waitingLimit = waitingLimit
        for index in 0..<threads { Thread.start("\(name)-\(index)") { [self] in self.run() } }
    }

    /// False: too many wait already.
    func submit(_ job: @escaping @Sendable () -> Void) -> Bool {
        self.signal.withLock {
            guard self.queue.jobs.count < self.waitingLimit else { return false }
            self.queue.jobs.append(job)
            self.signal.wake()
            return true
        }
    }

    private func run() {
        while true {
            let job = self.signal.withLock {
                while true {
                    if let job = self.queue.jobs.popFirst() { return job }
                    self.signal.wait()
                }
            }
            job()
            self.done.wrappingAdd(1, ordering: .relaxed)
        }
    }
}
