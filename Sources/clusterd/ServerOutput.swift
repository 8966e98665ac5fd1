import CLinux
import Glibc
import StateRecords
import Synchronization

/// What waits to be read by the server that runs, and its socket: both the worker's thread, whose socket it is, and the loop
/// write to it. What was added first goes first, whoever sends it.
final class ServerOutput: Sendable {
    enum Rest: Equatable {
        case empty
        /// The socket is full, or broken: the worker's thread sees which.
        case some
        /// Above ``limit``.
        case tooMuch
    }

    /// Bytes that wait for the server to read them; beyond it it is taken for hung.
    static let limit = 256 << 20
    /// What was sent is dropped from the front of the buffer from here on: a buffer that never runs empty must not
    /// grow.
    private static let spent = 1 << 20

    private struct State {
        var descriptor: Int32 = -1
        var generation: UInt64 = 0
        var bytes: [UInt8] = []
        var start = 0
    }

    private let state = Mutex(State())

    /// The descriptor does not block, and stays open until `close()`.
    func open(_ descriptor: Int32, generation: UInt64) {
        self.state.withLock { $0 = State(descriptor: descriptor, generation: generation) }
    }

    /// Nothing is written to the descriptor any more.
    func close() {
        self.state.withLock {
            $0.descriptor = -1
            $0.bytes = []
            $0.start = 0
        }
    }

    /// What waits to be read, apart from what the socket has.
    var byteCount: Int { self.state.withLock { $0.bytes.count - $0.start } }

    var isEmpty: Bool { self.state.withLock { $0.start == $0.bytes.count } }

    /// False where that start of the server is gone.
    @discardableResult
    func add(_ message: ClusterToServer, generation: UInt64) -> Bool {
        let frame = FrameReader.frame(message)
        return self.state.withLock { state in
            guard state.descriptor >= 0, state.generation == generation else { return false }
            state.bytes += frame
            return true
        }
    }

    func flush() -> Rest {
        self.state.withLock { state in
            while state.descriptor >= 0, state.start < state.bytes.count {
                let count = state.bytes.withUnsafeBytes { bytes in
                    Glibc.send(
                        state.descriptor, bytes.baseAddress?.advanced(by: state.start), bytes.count - state.start,
                        Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
                }
                if count > 0 {
                    state.start += count
                } else if count < 0, errno == EINTR {
                    continue
                } else {
                    break
                }
            }
            guard state.start < state.bytes.count else {
                state.bytes.removeAll(keepingCapacity: true)
                state.start = 0
                return .empty
            }
            if state.start > Self.spent, state.start > state.bytes.count / 2 {
                state.bytes.removeFirst(state.start)
                state.start = 0
            }
            return state.bytes.count - state.start > Self.limit ? .tooMuch : .some
        }
    }
}
