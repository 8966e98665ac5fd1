import CLinux
import ClusterCore
import ClusterPlatform
import ClusterStore
import Glibc
import Logging
import StateRecords

/// The thread that runs smbserverd: starts it warm, speaks the journal's protocol with it, ends it, starts another. The
/// listening sockets are this process's: while no server runs, connection attempts wait in the backlog.
final class ServerWorker: Sendable {
    enum Order: Sendable {
        /// nil: none should run.
        case configure(ServerConfiguration?, listen: [String])
        case serve(Takeover.Operation, epoch: UInt64, HandleState)
        case freeze(Takeover.Operation)
        case silence
        case end(Takeover.Operation)
        /// Something was left over by `answer`.
        case flush
        /// Of that start of the server.
        case heard(ServerToCluster, generation: UInt64)
        /// That start of the server says nothing more: why, or nil where it closed its end.
        case silent(String?, generation: UInt64)
        case askStatus(isLUNReachable: Bool)
        /// Microseconds of CLOCK_BOOTTIME.
        case lease(until: UInt64)
        /// The closure is called once, on this worker's thread.
        case snapshot(SnapshotOrder, @Sendable (SnapshotOutcome) -> Void)
        /// The closure is called once, on this worker's thread, when the server that runs has done what it was told before: with the
        /// shares that it leaves out; nil: none runs.
        case askUnserved(@Sendable ([UnservedShare]?) -> Void)
    }

    private let orders = Mailbox<Order>()
    private let output = ServerOutput()
    /// What became of its batches has a socket of its own, which whichever thread of the server waits for them reads itself.
    private let answers = ServerOutput()

    init(binaries: String, loop: LoopMailbox, logger: Logger) {
        startThread("server") { [orders, output, answers] in
            setNiceness(0)  // and so the children that it starts
            ServerThread(
                orders: orders, output: output, answers: answers, executable: "\(binaries)/smbserverd", loop: loop,
                logger: logger
            ).run()
        }
    }

    func tell(_ order: Order) { self.orders.post(order) }

    /// To that start of the server, from the caller's own thread: clients wait for it, and a wake-up of the worker's thread
    /// costs more than the sending. Never blocks.
    func answer(_ message: ClusterToServer, generation: UInt64) {
        guard self.answers.add(message, generation: generation) else { return }
        if self.answers.flush() != .empty { self.orders.post(.flush) }
    }
}

private final class ServerThread {
    /// Between a start and the next after a server that ended at once.
    private static let restartDelay = Duration.milliseconds(200)
    /// Between attempts to listen where somebody else does.
    private static let listenDelay = Duration.seconds(1)
    /// Of the thread that has nothing to do but to answer.
    private static let silenceLimit = Duration.seconds(5)

    /// An order for a snapshot is answered by then, whether it is carried out or not.
    private static let snapshotAnswerTime = Duration.seconds(80)
    /// Orders for snapshots that are not answered; more are refused.
    private static let snapshotOrders = 128

    /// From SIGKILL to the end of a process that is in no call of the kernel.
    private static let endTime = Duration.seconds(1)

    /// smbserverd's descriptor numbers.
    private static let journalNumber: Int32 = 3
    private static let answersNumber: Int32 = 4
    private static let firstListenerNumber: Int32 = 5

    private struct Serve {
        var operation: Takeover.Operation
        var epoch: UInt64
        var nextPersistentID: UInt64
        var load: ServerLoad
        /// The server was given all of it, and the word to serve.
        var isTold = false
        var start = ContinuousClock.now
        var readyAt: ContinuousClock.Instant?
        /// Then it is taken for hung.
        var deadline: ContinuousClock.Instant

        init(_ operation: Takeover.Operation, epoch: UInt64, _ handles: HandleState) {
            self.operation = operation
            self.epoch = epoch
            self.nextPersistentID = handles.nextPersistentID
            self.load = ServerLoad(handles.orderedOpens)
            self.deadline = self.start + self.load.time
        }
    }

    private let orders: Mailbox<ServerWorker.Order>
    private let output: ServerOutput
    private let answers: ServerOutput
    private let executable: String
    private let loop: LoopMailbox
    private let logger: Logger

    private var configuration: ServerConfiguration?
    private var listenAddresses: [String] = []
    /// By address.
    private var listeners: [String: Int32] = [:]
    /// When the addresses that could not be opened are tried again; nil when all are open.
    private var listenAgain: ContinuousClock.Instant?

    private var child: ChildProcess?
    private var socket: Int32 = -1
    private var answersSocket: Int32 = -1
    private var generation: UInt64 = 0
    private var isReady = false
    /// Loaded or loading: cannot be loaded again.
    private var isUsed = false
    private var input: ServerInput?
    private var serve: Serve?
    private var freeze: Takeover.Operation?
    private var isSilenced = false
    private var endings: [(child: ChildProcess, state: ServerEnding)] = []
    /// The loop was told that they hold back the next server.
    private var isHeldBack = false
    /// Finished when these are gone.
    private var endOperation: Takeover.Operation?
    private var startNotBefore = ContinuousClock.now
    private var leaseEnd: UInt64 = 0
    /// Nil: the last one was answered.
    private var pingedAt: ContinuousClock.Instant?
    private var snapshots: [UInt64: (deadline: ContinuousClock.Instant, answer: @Sendable (SnapshotOutcome) -> Void)] =
        [:]
    private var nextSnapshot: UInt64 = 1
    /// The oldest first: the server answers them in turn.
    private var unservedQuestions: [@Sendable ([UnservedShare]?) -> Void] = []

    init(
        orders: Mailbox<ServerWorker.Order>, output: ServerOutput, answers: ServerOutput, executable: String,
        loop: LoopMailbox, logger: Logger
    ) {
        self.orders = orders
        self.output = output
        self.answers = answers
        self.executable = executable
        self.loop = loop
        self.logger = logger
    }

    func run() -> Never {
        while true {
            let full = [(self.socket, self.output), (self.answersSocket, self.answers)].filter { !$1.isEmpty }
            let others =
                full.map { pollfd(fd: $0.0, events: Int16(POLLOUT), revents: 0) }
                + self.endings.map { pollfd(fd: $0.child.pidDescriptor, events: Int16(POLLIN), revents: 0) }
            let waits = self.configuration != nil && (self.child == nil || self.serve != nil || self.listenAgain != nil)
            let looks = !self.snapshots.isEmpty || !self.endings.isEmpty
            self.orders.wait(milliseconds: waits || looks ? 50 : -1, others: others)
            for order in self.orders.drain() { self.perform(order) }
            self.lookAtEndings()
            self.goOnLoading()
            self.flush()
            if let serve = self.serve, ContinuousClock.now > serve.deadline {
                self.ended("it did not load the records within \(serve.load.time)")
            }
            self.answerLateSnapshots()
            if let again = self.listenAgain, ContinuousClock.now >= again { self.openListeners() }
            if self.child == nil { self.start() }
        }
    }

    // MARK: Orders

    private func perform(_ order: ServerWorker.Order) {
        switch order {
        case .configure(let configuration, let listen):
            self.configuration = configuration
            if listen != self.listenAddresses { self.listen(on: listen) }
            if let configuration, self.child != nil { self.send(.configure(configuration)) }
        case .serve(let operation, let epoch, let handles):
            if self.isUsed { self.end() }
            self.startNotBefore = ContinuousClock.now
            self.serve = Serve(operation, epoch: epoch, handles)
            if self.child == nil { self.start() }
            self.load()
        case .freeze(let operation):
            // The one that was to serve in place of one that ended is held back, or is being loaded since this moment:
            // the share moves without.
            if self.serve != nil {
                self.serve = nil
                if self.isUsed { self.end() }
            }
            // The one that served has just ended; one that is warm would be frozen for the next takeover.
            guard self.isUsed else { return self.loop.post(.takeover(.finished(operation, []))) }
            self.freeze = operation
            self.send(.freeze)
        case .silence:
            self.serve = nil
            self.freeze = nil
            // Where it stands, whatever it is doing: it need not be asked. Its sockets stay open until its end.
            if self.isUsed {
                self.child?.kill(SIGSTOP)
                self.isSilenced = true
            }
            let now = ContinuousClock.now
            for index in self.endings.indices { self.endings[index].state.giveUp(at: now) }
        case .end(let operation):
            self.serve = nil
            self.freeze = nil
            // A server that is warm and was given nothing has nothing to be ended for.
            if self.isUsed {
                self.send(.stop)
                self.flush()
                self.end()
            }
            // Told after the orders of this turn.
            self.endOperation = operation
        case .flush: break  // as after every order
        case .heard(let message, let generation):
            if generation == self.generation, self.child != nil { self.received(message) }
        case .silent(let problem, let generation):
            guard generation == self.generation, let child = self.child else { return }
            let status = problem == nil ? child.wait(timeout: .milliseconds(200)) : nil
            self.ended(problem ?? status.map { "\($0)" } ?? "it closed its journal")
        case .lease(let until):
            self.leaseEnd = until
            if self.child != nil { self.send(.lease(until: until)) }
        case .snapshot(let order, let answer): self.snapshot(order, answer)
        case .askUnserved(let answer):
            guard self.isUsed else { return answer(nil) }
            self.unservedQuestions.append(answer)
            self.send(.unservedRequest)
        case .askStatus(let isLUNReachable):
            // While it loads it answers nothing: how long that may take is known. Nor while it waits for a target that is away, which
            // it does for its clients: its end would cost them what they have open, and its successor would wait as well.
            guard self.isUsed, self.serve == nil, isLUNReachable else {
                self.pingedAt = nil
                return
            }
            self.send(.statusRequest)
            self.lookWhetherItAnswers()
        }
    }

    /// A server that hangs is of no use to anybody: a new one takes its place. About once a second, while it serves.
    private func lookWhetherItAnswers() {
        guard let pingedAt = self.pingedAt else {
            self.pingedAt = .now
            return self.send(.ping)
        }
        guard ContinuousClock.now - pingedAt > Self.silenceLimit else { return }
        self.ended("it has not answered for \(Self.silenceLimit)")
    }

    private func snapshot(_ order: SnapshotOrder, _ answer: @escaping @Sendable (SnapshotOutcome) -> Void) {
        guard self.isUsed, self.snapshots.count < Self.snapshotOrders else {
            return answer(.failed("the server of the share cannot be asked at the moment: try again"))
        }
        let id = self.nextSnapshot
        self.nextSnapshot += 1
        self.snapshots[id] = (ContinuousClock.now + Self.snapshotAnswerTime, answer)
        self.send(.snapshot(id: id, order))
    }

    /// A large share takes longer than anybody waits on a socket.
    private func answerLateSnapshots() {
        let now = ContinuousClock.now
        for (id, waiting) in self.snapshots where waiting.deadline <= now {
            self.snapshots[id] = nil
            waiting.answer(
                .done(
                    "it goes on: 'clusterctl snapshot list' shows it when it is whole, 'clusterctl snapshot cancel' ends it"
                ))
        }
    }

    private func failSnapshots() {
        let failed = self.snapshots.values
        self.snapshots = [:]
        for waiting in failed {
            waiting.answer(.failed("the server ended meanwhile: look with 'clusterctl snapshot list', then try again"))
        }
    }

    private func listen(on addresses: [String]) {
        for listener in self.listeners.values { close(listener) }
        self.listeners = [:]
        self.listenAddresses = addresses
        self.listenAgain = nil
        self.openListeners()
    }

    /// Those that are not open. Where another server has the port they are tried again until it is gone: no client can be
    /// served there before.
    private func openListeners() {
        let isFirstTime = self.listenAgain == nil
        self.listenAgain = nil
        let before = self.listeners.count
        for text in self.listenAddresses where self.listeners[text] == nil {
            guard let address = IPAddress(text) else { continue }
            do throws(PlatformError) {
                self.listeners[text] = try ListeningSocket.open(address: address, port: 445).release()
            } catch {
                if isFirstTime {
                    self.logger.error(
                        "\(error.message): no client can be served there. Stop what has the port; it is tried every second"
                    )
                }
                self.listenAgain = ContinuousClock.now + Self.listenDelay
            }
        }
        // It was given the old ones.
        if self.listeners.count != before || isFirstTime, self.child != nil, !self.isUsed { self.end() }
    }

    // MARK: The process

    private func start() {
        guard let configuration = self.configuration, !self.listeners.isEmpty,
            ContinuousClock.now >= self.startNotBefore
        else { return }
        guard let journal = self.socketPair() else { return }
        defer { close(journal.theirs) }
        guard let answers = self.socketPair() else {
            close(journal.ours)
            return
        }
        defer { close(answers.theirs) }
        var descriptors = [
            (source: journal.theirs, target: Self.journalNumber), (source: answers.theirs, target: Self.answersNumber),
        ]
        var arguments = ["--cluster-fd", "\(Self.journalNumber)", "--answers-fd", "\(Self.answersNumber)"]
        for (index, listener) in self.listenAddresses.compactMap({ self.listeners[$0] }).enumerated() {
            let number = Self.firstListenerNumber + Int32(index)
            descriptors.append((source: listener, target: number))
            arguments += ["--listen-fd", "\(number)"]
        }
        self.startNotBefore = ContinuousClock.now + Self.restartDelay
        do throws(PlatformError) {
            self.child = try ChildProcess(
                executable: self.executable, arguments: arguments, descriptors: descriptors)
        } catch {
            close(journal.ours)
            close(answers.ours)
            self.logger.error("\(error.message)")
            return
        }
        self.socket = journal.ours
        self.answersSocket = answers.ours
        self.generation += 1
        self.isReady = false
        self.isUsed = false
        self.isSilenced = false
        self.pingedAt = nil
        self.input = ServerInput(self.socket, generation: self.generation, orders: self.orders, loop: self.loop)
        self.output.open(self.socket, generation: self.generation)
        self.answers.open(self.answersSocket, generation: self.generation)
        self.send(.configure(configuration))
        self.send(.lease(until: self.leaseEnd))
    }

    /// Both ends are closed in other children; ours does not block.
    private func socketPair() -> (ours: Int32, theirs: Int32)? {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            self.logger.error("no socket pair for smbserverd: \(String(cString: strerror(errno)))")
            return nil
        }
        _ = fcntl(ends[0], F_SETFL, fcntl(ends[0], F_GETFL) | O_NONBLOCK)
        return (ends[0], ends[1])
    }

    /// Ends the process and forgets it, without a word to the loop.
    private func end() {
        self.failSnapshots()
        for answer in self.unservedQuestions { answer(nil) }
        self.unservedQuestions = []
        guard let child = self.child else { return }
        child.kill(SIGKILL)
        if child.wait(timeout: Self.endTime) == nil {
            self.endings.append((child, ServerEnding(at: .now, isGivenUp: self.isSilenced)))
        }
        self.child = nil
        self.input?.close()
        self.input = nil
        self.output.close()
        self.answers.close()
        close(self.socket)
        close(self.answersSocket)
        self.socket = -1
        self.answersSocket = -1
        self.isUsed = false
        self.isReady = false
        self.startNotBefore = ContinuousClock.now
    }

    private func lookAtEndings() {
        let now = ContinuousClock.now
        self.endings.removeAll { $0.child.wait(timeout: .zero) != nil }
        for index in self.endings.indices where self.endings[index].state.takeNote(at: now) {
            self.logger.warning("smbserverd was killed and is not gone: a call of the kernel waits for the LUN")
        }
        let holdsBack = self.endings.contains(where: \.state.holdsBack)
        // The next one is held back by them, and does not hang.
        if let time = self.serve?.load.time, !self.isUsed, holdsBack {
            self.serve?.deadline = now + time
            if !self.isHeldBack {
                self.isHeldBack = true
                self.loop.post(.takeover(.serverHeldBack))
            }
        }
        if self.isHeldBack, !holdsBack {
            self.isHeldBack = false
            self.loop.post(.takeover(.serverReleased))
        }
        self.load()
        guard let operation = self.endOperation, self.endings.allSatisfy({ $0.state.isGoneWithout(at: now) })
        else { return }
        self.endOperation = nil
        self.loop.post(.takeover(.finished(operation, [])))
    }

    /// It ended, or has to be treated as if.
    private func ended(_ how: String) {
        let wasUsed = self.isUsed || self.serve != nil
        self.end()
        self.startNotBefore = ContinuousClock.now + (wasUsed ? .zero : Self.restartDelay)
        self.serve = nil
        self.freeze = nil
        if wasUsed {
            self.loop.post(.takeover(.serverExited(how)))
            self.loop.post(.serverStatus(nil))
        } else {
            self.logger.error("smbserverd ended while it waited (\(how)); another is started")
        }
    }

    // MARK: The journal's socket

    private func load() {
        // What an earlier one still has under way on the same file system must not come after what this one does.
        guard var serve = self.serve, self.isReady, !self.isUsed, !self.endings.contains(where: \.state.holdsBack)
        else { return }
        self.isUsed = true
        self.input?.serves(in: serve.epoch)
        serve.readyAt = ContinuousClock.now
        self.serve = serve
    }

    /// The next records, where those before were read, and behind the last one the word to serve.
    private func goOnLoading() {
        while self.isUsed, var serve = self.serve, !serve.isTold {
            while let opens = serve.load.take(waitingByteCount: self.output.byteCount) {
                self.send(.load(opens: opens))
            }
            if serve.load.isDone {
                self.send(.serve(epoch: serve.epoch, nextPersistentID: serve.nextPersistentID))
                serve.isTold = true
            }
            self.serve = serve
            self.flush()
            // The rest when the socket has room.
            guard self.output.isEmpty else { return }
        }
    }

    private func send(_ message: ClusterToServer) { self.output.add(message, generation: self.generation) }

    private func flush() {
        if self.output.flush() == .tooMuch || self.answers.flush() == .tooMuch {
            self.ended("it does not read its journal")
        }
    }

    private func received(_ message: ServerToCluster) {
        switch message {
        case .ready:
            self.isReady = true
            self.load()
        case .serving(let epoch, let reopened, let lost):
            guard let serve = self.serve, serve.epoch == epoch else { return }
            self.serve = nil
            self.logger.notice("smbserverd serves: \(reopened) handles taken up, \(lost) lost")
            var steps: [StepRecord] = []
            let now = ContinuousClock.now
            let readyAt = serve.readyAt ?? now
            if readyAt - serve.start > .milliseconds(2) {
                steps.append(StepRecord(name: "server start", microseconds: (readyAt - serve.start).microseconds))
            }
            steps.append(StepRecord(name: "load", microseconds: (now - readyAt).microseconds))
            self.loop.post(.takeover(.finished(serve.operation, steps)))
        case .frozen:
            guard let freeze = self.freeze else { return }
            self.freeze = nil
            self.loop.post(.takeover(.finished(freeze, [])))
        case .status(let status): self.loop.post(.serverStatus(status))
        case .snapshotDone(let id, let outcome): self.snapshots.removeValue(forKey: id)?.answer(outcome)
        case .unserved(let shares): if !self.unservedQuestions.isEmpty { self.unservedQuestions.removeFirst()(shares) }
        case .pong: self.pingedAt = nil
        case .storageFailed(let detail): self.loop.post(.takeover(.serverStorageFailed(detail)))
        case .append: break  // straight to the loop: `ServerInput`
        }
    }
}
