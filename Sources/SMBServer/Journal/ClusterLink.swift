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

    /// How long the appending thread waits for an answer that a loop may read instead.
    private static let answersMilliseconds: Int32 = 10

    private let descriptor: Int32
    private let listeners: [Int32]
    /// nil: they come with the orders.
    let answers: Int32?
    /// In the order in which they were sent, whichever thread reads them.
    private let answerReader = Mutex(FrameReader())
    private let queueLimit: Int
    private let unansweredLimit: Int
    private let signal = Signal()
    // Guarded by the signal's lock.
    private var queue: [UInt8] = []
    private var unanswered = UnansweredBatches()
    /// No answer comes any more.
    private var isOver = false
    /// Whom an answer is reported to that the appending thread has to read itself.
    private var observer: (any JournalObserver)?
    /// Some thread sends what it took out of the queue: what is in there now waits for it.
    private var isSending = false
    private var waitersForRoom = 0
    private var lastSequence: UInt64 = 0
    /// Something was appended that nobody was woken for.
    private let wantsFlush = Atomic<Bool>(false)

    // Confined to the reading thread.
    private var server: Server?
    private var configuration: ServerConfiguration?
    private var records: [OpenRecord] = []
    private var isServing = false
    /// Of the configuration that came last.
    private var unserved: [UnservedShare] = []

    /// `answers`: the socket over which `clusterd` says what became of the batches.
    package init(
        descriptor: Int32, answers: Int32? = nil, listeners: [Int32], queueLimit: Int = ClusterLink.queueLimit,
        unansweredLimit: Int = JournalLimits.unansweredByteCount
    ) {
        self.queueLimit = queueLimit
        self.unansweredLimit = unansweredLimit
        self.descriptor = descriptor
        self.answers = answers
        self.listeners = listeners
    }

    // MARK: Journal

    func append(_ mutations: [Mutation], isAwaited: Bool, isFlushed: Bool) -> UInt64 {
        self.waitForAnswers()
        return self.signal.withLock {
            // The order of the sequence numbers is the order in the queue: there must be room before one is taken.
            self.waitForRoom()
            self.lastSequence += 1
            self.unanswered.append(
                self.enqueue(.append(sequence: self.lastSequence, isAwaited: isAwaited, mutations: mutations)))
            if isFlushed { self.wantsFlush.store(true, ordering: .relaxed) } else { self.signal.wakeAll() }
            return self.lastSequence
        }
    }

    /// While as much is unanswered as may be, whoever has something to record waits, and with it every client: they can
    /// send faster than a majority of disks takes it. One at a time, under the state's lock. The loops, which read the
    /// answers as a rule, may all wait for that lock: they are read here.
    private func waitForAnswers() {
        guard let answers = self.answers else { return }
        while true {
            let observer: (any JournalObserver)? = self.signal.withLock {
                guard self.unanswered.byteCount >= self.unansweredLimit, !self.isOver else { return nil }
                // Nobody flushes meanwhile what was appended in this turn.
                self.signal.wakeAll()
                return self.observer
            }
            guard let observer else { return }
            var waiting = pollfd(fd: answers, events: Int16(POLLIN), revents: 0)
            // A loop may be quicker: then it has reported them.
            guard poll(&waiting, 1, Self.answersMilliseconds) > 0 else { continue }
            guard self.takeAnswers(for: observer) else { return self.signal.withLock { self.isOver = true } }
        }
    }

    /// On the caller's own thread as far as the socket takes it: a wake-up of the writing thread costs more than the sending.
    func flush() {
        guard self.wantsFlush.exchange(false, ordering: .relaxed) else { return }
        while true {
            let bytes: [UInt8] = self.signal.withLock {
                // Whoever sends now looks into the queue again.
                guard !self.isSending, !self.queue.isEmpty else { return [] }
                return self.takeQueue()
            }
            guard !bytes.isEmpty else { return }
            let sent = self.send(bytes, flags: Int32(MSG_DONTWAIT))
            let isDone = self.signal.withLock {
                self.isSending = false
                guard sent < bytes.count else { return self.queue.isEmpty }
                // The writing thread may wait for the socket.
                self.queue.insert(contentsOf: bytes[sent...], at: 0)
                self.signal.wakeAll()
                return true
            }
            if isDone { return }
        }
    }

    func takeAnswers(for observer: any JournalObserver) -> Bool {
        guard let answers = self.answers else { return false }
        return self.answerReader.withLock { reader in
            withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
                while true {
                    let count = recv(answers, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
                    if count < 0, errno == EINTR { continue }
                    // Another loop was quicker.
                    if count < 0, errno == EAGAIN { return true }
                    guard count > 0 else { return false }
                    reader.append(buffer[..<count])
                    do throws(RecordError) {
                        while let frame = try reader.next() {
                            self.report(try ClusterToServer(decoding: frame), to: observer)
                        }
                    } catch {
                        observer.journalFailed("an answer of clusterd: \(error)")
                        return false
                    }
                    if count < buffer.count { return true }
                }
            }
        }
    }

    private func report(_ answer: ClusterToServer, to observer: any JournalObserver) {
        switch answer {
        case .appended(let sequence):
            self.signal.withLock { self.unanswered.answer(upTo: sequence) }
            observer.journaled(upTo: sequence)
        case .refused(let sequence):
            self.signal.withLock { self.isOver = true }
            observer.journalFailed("clusterd refused batch \(sequence)")
        default: break
        }
    }

    /// What was queued is with `clusterd` or lost: it decides alone.
    func drain() {}

    private func send(_ message: ServerToCluster) {
        self.signal.withLock {
            self.waitForRoom()
            self.enqueue(message)
            self.signal.wakeAll()
        }
    }

    /// Within the signal's lock, which is given up meanwhile. A `clusterd` that never reads again ends this process, or the
    /// lease that it no longer extends silences it.
    private func waitForRoom() {
        while self.queue.count >= self.queueLimit {
            self.waitersForRoom += 1
            self.signal.wakeAll()
            self.signal.wait()
            self.waitersForRoom -= 1
        }
    }

    /// Within the signal's lock. How long it is.
    @discardableResult
    private func enqueue(_ message: ServerToCluster) -> Int {
        let frame = FrameReader.frame(message)
        self.queue.append(contentsOf: frame)
        return frame.count
    }

    /// Within the signal's lock.
    private func takeQueue() -> [UInt8] {
        defer { self.queue = [] }
        self.isSending = true
        if self.waitersForRoom > 0 { self.signal.wakeAll() }
        return self.queue
    }

    /// How many bytes the socket took: all, or it is full where `flags` say not to wait, or it is broken.
    private func send(_ bytes: [UInt8], flags: Int32) -> Int {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    self.descriptor, $0.baseAddress.map { $0 + done }, $0.count - done, Int32(MSG_NOSIGNAL) | flags)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            done += count
        }
        return done
    }

    // MARK: Threads

    /// Serves until `clusterd` goes away; then the process must end.
    package func run() throws(ServerError) {
        Thread.start("smb-cluster-out") { [self] in self.writeAll() }
        var reader = FrameReader()
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            // A read that waits would be woken by each batch that `clusterd` takes out of the socket, too.
            var waiting = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, -1) > 0 else { continue }
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
                while self.queue.isEmpty || self.isSending { self.signal.wait() }
                return self.takeQueue()
            }
            // The reading thread sees the same end.
            guard self.send(bytes, flags: 0) == bytes.count else { return }
            self.signal.withLock { self.isSending = false }
        }
    }

    // MARK: Orders

    private func handle(_ message: ClusterToServer) throws(RecordError) {
        switch message {
        case .configure(let configuration): self.configure(configuration)
        case .load(let opens): self.records.append(contentsOf: opens)
        case .serve(let epoch, let next): self.serve(epoch: epoch, nextPersistentID: next)
        case .appended, .refused: if let server = self.server { self.report(message, to: server) }
        case .freeze: self.server?.freeze()
        case .stop: self.server?.fence()
        case .lease(let until): self.server?.extendLease(until: until)
        case .snapshot(let id, let order): self.carryOut(order, id)
        case .ping: self.send(.pong)
        case .statusRequest: self.send(.status(self.server?.status() ?? ServerStatus()))
        case .unservedRequest: self.send(.unserved(self.unserved))
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
                self.signal.withLock { self.observer = server }
            }
            // A standby has no file system yet: its shares are opened when it is told to serve.
            if self.isServing, let server = self.server { self.leaveOut(try server.configure(configuration)) }
        } catch {
            Log.write("\(error)")
            if self.isServing {
                self.unserved = configuration.shares.map { UnservedShare(name: $0.name, reason: "\(error)") }
                return
            }
        }
        self.send(.ready(processID: getpid()))
    }

    private func leaveOut(_ shares: [UnservedShare]) {
        self.unserved = shares
        for share in shares { Log.write("share \(share.name) is left out: \(share.reason)") }
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
        do throws(ServerError) { self.leaveOut(try server.configure(configuration)) } catch {
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
        // A freeze may have met it while it was warm.
        server.thaw()
        for listener in self.listeners { server.listen(on: listener) }
        self.send(.serving(epoch: epoch, reopened: UInt32(clamping: reopened), lost: UInt32(clamping: lost)))
    }
}
