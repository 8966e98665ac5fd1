import CLinux
import Glibc
import StateRecords
import Synchronization

/// The socket to the `clusterd` above: the journal of a clustered server, and where its orders come from.
/// When it closes, `clusterd` is gone, and so is the right to serve.
package final class ClusterLink: Journal, @unchecked Sendable {
    /// Bytes that may queue for `clusterd`. At it whoever has something to record waits, and with it every client: they can
    /// send faster than a majority of disks can take.
    package static let queueLimit = 32 << 20

    private let descriptor: Int32
    private let listeners: [Int32]
    private let queueLimit: Int
    private let signal = Signal()
    // Guarded by the signal's lock.
    private var queue: [UInt8] = []
    private var lastSequence: UInt64 = 0

    // Confined to the reading thread.
    private var server: Server?
    private var configuration: ServerConfiguration?
    private var records: [OpenRecord] = []
    private var isServing = false

    package init(descriptor: Int32, listeners: [Int32], queueLimit: Int = ClusterLink.queueLimit) {
        self.queueLimit = queueLimit
        self.descriptor = descriptor
        self.listeners = listeners
    }

    // MARK: Journal

    func append(_ mutations: [Mutation], isAwaited: Bool) -> UInt64 {
        self.signal.withLock {
            // The order of the sequence numbers is the order in the queue: there must be room before one is taken.
            self.waitForRoom()
            self.lastSequence += 1
            self.enqueue(.append(sequence: self.lastSequence, isAwaited: isAwaited, mutations: mutations))
            return self.lastSequence
        }
    }

    /// What was queued is with `clusterd` or lost: it decides alone.
    func drain() {}

    private func send(_ message: ServerToCluster) {
        self.signal.withLock { self.enqueue(message) }
    }

    /// Within the signal's lock, which is given up meanwhile. A `clusterd` that never reads again ends this process, or the
    /// lease that it no longer extends silences it.
    private func waitForRoom() {
        while self.queue.count >= self.queueLimit { self.signal.wait() }
    }

    /// Within the signal's lock.
    private func enqueue(_ message: ServerToCluster) {
        self.waitForRoom()
        self.queue.append(contentsOf: FrameReader.frame(message))
        self.signal.wakeAll()
    }

    // MARK: Threads

    /// Serves until `clusterd` goes away; then the process must end.
    package func run() throws(ServerError) {
        Thread.start("smb-cluster-out") { [self] in self.writeAll() }
        var reader = FrameReader()
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(self.descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ServerError("clusterd is gone") }
            reader.append(buffer[..<count])
            do throws(RecordError) {
                while let frame = try reader.next() { try self.handle(try ClusterToServer(decoding: frame)) }
            } catch { throw ServerError("a message of clusterd: \(error)") }
        }
    }

    private func writeAll() {
        while true {
            let bytes = self.signal.withLock {
                while self.queue.isEmpty { self.signal.wait() }
                defer {
                    self.queue.removeAll(keepingCapacity: true)
                    self.signal.wakeAll()
                }
                return self.queue
            }
            var done = 0
            while done < bytes.count {
                let count = bytes.withUnsafeBytes {
                    Glibc.send(self.descriptor, $0.baseAddress.map { $0 + done }, $0.count - done, Int32(MSG_NOSIGNAL))
                }
                if count < 0, errno == EINTR { continue }
                // The reading thread sees the same end.
                guard count > 0 else { return }
                done += count
            }
        }
    }

    // MARK: Orders

    private func handle(_ message: ClusterToServer) throws(RecordError) {
        switch message {
        case .configure(let configuration): self.configure(configuration)
        case .load(let opens): self.records.append(contentsOf: opens)
        case .serve(let epoch, let next): self.serve(epoch: epoch, nextPersistentID: next)
        case .appended(let sequence): self.server?.journaled(upTo: sequence)
        case .refused(let sequence): self.server?.journalFailed("clusterd refused batch \(sequence)")
        case .freeze: self.server?.freeze()
        case .stop: self.server?.fence()
        case .lease(let until): self.server?.extendLease(until: until)
        case .snapshot(let id, let order): self.carryOut(order, id)
        case .ping: self.send(.pong)
        case .statusRequest: self.send(.status(self.server?.status() ?? ServerStatus()))
        }
    }

    private func carryOut(_ order: SnapshotOrder, _ id: UInt64) {
        guard self.isServing, let server = self.server else {
            return self.send(.snapshotDone(id: id, .failed("this node does not serve the share")))
        }
        server.snapshots.carryOut(order) { [self] in self.send(.snapshotDone(id: id, $0)) }
    }

    private func configure(_ configuration: ServerConfiguration) {
        self.configuration = configuration
        do throws(ServerError) {
            if self.server == nil {
                let server = try Server(configuration: configuration, journal: self, lease: .none)
                server.onFrozen = { [self] in self.send(.frozen) }
                server.onStorageFailure = { [self] in self.send(.storageFailed(detail: $0)) }
                self.server = server
            }
            // A standby has no file system yet: its shares are opened when it is told to serve.
            if self.isServing { try self.server?.configure(configuration) }
        } catch {
            Log.write("\(error)")
            if self.isServing { return }
        }
        self.send(.ready(processID: getpid()))
    }

    private func serve(epoch: UInt64, nextPersistentID: UInt64) {
        guard let server = self.server, let configuration = self.configuration else {
            Log.write("clusterd said serve before configure")
            return
        }
        if self.isServing {
            server.thaw()
            self.send(.serving(epoch: epoch, reopened: 0, lost: 0))
            return
        }
        do throws(ServerError) { try server.configure(configuration) } catch {
            self.send(.storageFailed(detail: "\(error)"))
            return
        }
        self.isServing = true
        let records = self.records
        self.records.removeAll()
        let (reopened, lost): (Int, Int)
        do throws(ServerError) {
            (reopened, lost) = try server.load(records, nextPersistentID: nextPersistentID)
        } catch {
            server.storageFailed("\(error)")
            return
        }
        for listener in self.listeners { server.listen(on: listener) }
        self.send(.serving(epoch: epoch, reopened: UInt32(clamping: reopened), lost: UInt32(clamping: lost)))
    }
}
