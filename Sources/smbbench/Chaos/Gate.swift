import Synchronization
import SMBClient

/// Lets the clients work, has them pause between two operations, and ends their work.
final class Gate: Sendable {
    private enum Phase { case working, paused, ended }

    private struct State {
        var phase = Phase.working
        /// Clients that are in the middle of an operation.
        var busy = 0
    }

    private static let pollMilliseconds = 5
    private let state = Mutex(State())

    /// Does `step` again and again while there is to be work.
    func work(_ step: () -> Void) {
        while true {
            let phase = self.state.withLock { state in
                if state.phase == .working { state.busy += 1 }
                return state.phase
            }
            switch phase {
            case .working:
                step()
                self.state.withLock { $0.busy -= 1 }
            case .paused: sleep(milliseconds: Self.pollMilliseconds)
            case .ended: return
            }
        }
    }

    /// Returns when no operation is under way.
    func stop() {
        self.state.withLock { $0.phase = .paused }
        while self.state.withLock({ $0.busy }) > 0 { sleep(milliseconds: Self.pollMilliseconds) }
    }

    func end() { self.state.withLock { $0.phase = .ended } }
}
