import ClusterCore
import ClusterStore
import Glibc
import StateRecords
import Synchronization

/// What one start of the server says, as it is heard on the node's own thread: its records go straight to the loop, because
/// clients wait for them; all else is the worker's.
final class ServerInput: Sendable {
    private struct State {
        var reader = FrameReader()
        /// The term that this start serves in; 0 while it is warm.
        var epoch: UInt64 = 0
        var isOpen = true
    }

    private let generation: UInt64
    private let orders: Mailbox<ServerWorker.Order>
    private let loop: LoopMailbox
    private let state = Mutex(State())

    /// Hears the socket over a descriptor of its own.
    init(_ socket: Int32, generation: UInt64, orders: Mailbox<ServerWorker.Order>, loop: LoopMailbox) {
        self.generation = generation
        self.orders = orders
        self.loop = loop
        let descriptor = fcntl(socket, F_DUPFD_CLOEXEC, 0)
        guard descriptor >= 0 else {
            self.ended("its journal cannot be read: \(String(cString: strerror(errno)))")
            return
        }
        loop.thread.hear(descriptor, received: { self.received($0) }, ended: { self.ended(nil) })
    }

    /// From now on it serves in that term.
    func serves(in epoch: UInt64) { self.state.withLock { $0.epoch = epoch } }

    /// On return nothing of this start comes to the loop any more: a record that came after the loop knew of its end would be
    /// taken for one that the next start has.
    func close() { self.state.withLock { $0.isOpen = false } }

    private func received(_ bytes: [UInt8]) {
        let problem: String? = self.state.withLock { state in
            guard state.isOpen else { return nil }
            state.reader.append(bytes)
            do throws(RecordError) {
                while let frame = try state.reader.next() {
                    self.received(try ServerToCluster(decoding: frame), byteCount: frame.count, epoch: state.epoch)
                }
                return nil
            } catch {
                state.isOpen = false
                return "it wrote what no server writes: \(error)"
            }
        }
        if let problem { self.ended(problem) }
    }

    private func received(_ message: ServerToCluster, byteCount: Int, epoch: UInt64) {
        guard case .append(let sequence, _, let mutations) = message else {
            return self.orders.post(.heard(message, generation: self.generation))
        }
        self.loop.post(
            .journal(
                JournalBatch(
                    generation: self.generation, epoch: epoch, sequence: sequence, mutations: mutations,
                    byteCount: byteCount)))
    }

    /// nil: it closed its end.
    private func ended(_ problem: String?) { self.orders.post(.silent(problem, generation: self.generation)) }
}
