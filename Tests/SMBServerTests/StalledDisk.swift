import SMB2Wire

@testable import SMBServer

/// A disk that does not answer: it keeps all the threads that flush a server's files, and with them whatever is to be
/// flushed from then on, until it goes on.
final class StalledDisk {
    private final class Gate: @unchecked Sendable {
        private let signal = Signal()
        // Guarded by `signal`.
        private var isOpen = false

        func open() {
            self.signal.withLock {
                self.isOpen = true
                self.signal.wakeAll()
            }
        }

        func pass() {
            self.signal.withLock {
                while !self.isOpen { self.signal.wait() }
            }
        }
    }

    /// A thread has one file at a time: this one keeps it.
    private final class Blocker: SyncTarget {
        private let gate: Gate

        init(_ gate: Gate) { self.gate = gate }

        func bringToStorage(includingName: Bool) -> NTStatus {
            self.gate.pass()
            return .success
        }
    }

    private let gate = Gate()

    init(of server: RunningServer) {
        for _ in 0..<SyncPool.threadCount {
            server.standalone.server.syncs.submit(Blocker(self.gate), includesName: false) { _ in }
        }
    }

    func resume() { self.gate.open() }
}
