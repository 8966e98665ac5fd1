import Synchronization

/// A few threads for what an event loop must not wait for. First come, first served; who submits keeps to a limit of his own.
final class WorkerPool: Sendable {
    static let threadCount = 8

    private final class Queue: @unchecked Sendable {
        // Guarded by the signal's lock. Taken from `next` on, so that taking one does not move the rest.
        var jobs: [(@Sendable () -> Void)?] = []
        var next = 0

        func take() -> (@Sendable () -> Void)? {
            guard self.next < self.jobs.count else { return nil }
            let job = self.jobs[self.next].take()
            self.next += 1
            if self.next == self.jobs.count {
                self.jobs.removeAll(keepingCapacity: true)
                self.next = 0
            }
            return job
        }
    }

    private let queue = Queue()
    private let signal = Signal()
    private let done = Atomic<UInt64>(0)

    /// Jobs that have been done.
    var finished: UInt64 { self.done.load(ordering: .relaxed) }

    init(_ name: String) {
        for index in 0..<Self.threadCount { Thread.start("\(name)-\(index)") { [self] in self.run() } }
    }

    func submit(_ job: @escaping @Sendable () -> Void) {
        self.signal.withLock {
            self.queue.jobs.append(job)
            self.signal.wake()
        }
    }

    private func run() {
        while true {
            let job = self.signal.withLock {
                while true {
                    if let job = self.queue.take() { return job }
                    self.signal.wait()
                }
            }
            job()
            self.done.wrappingAdd(1, ordering: .relaxed)
        }
    }
}
