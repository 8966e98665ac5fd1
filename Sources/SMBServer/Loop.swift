import CLinux
import Glibc
import SMB2Wire
import SMBCompression
import SMBServerCore
import StateRecords
import Synchronization

/// What other threads have to say to a loop.
enum LoopMessage: Sendable {
    case adopt(descriptor: Int32, client: ClientRecord)
    /// A file was flushed for the frame that waits for it.
    case synced(FrameWaiter, NTStatus)
    /// Bytes were copied for the frame that waits for it, as far as they could be.
    case copied(FrameWaiter, CopyJob.Answer, CopyResult)
    /// What a READ waited for, or why it cannot be had.
    case fetched(FrameWaiter, MissingRead, bytes: [UInt8], NTStatus)
    /// More mutations are on stable storage than when frames began to wait for them.
    case journaled
    case send(Mail)
    /// What a held frame waited for may be over.
    case release(Connection.ID)
    case close(Connection.ID)
    case sessionEnded(Connection.ID, session: UInt64)
    case freeze
    case thaw
    case leaseExtended
    case listen(descriptor: Int32, after: UInt64)
    case shutDown
}

/// One event loop on one thread, with the connections that were given to it. Nothing here blocks but `epoll_wait`.
final class Loop: @unchecked Sendable {
    /// How long a loop that was busy a moment ago looks for the next request before it sleeps.
    private static let spinMicroseconds: UInt64 = 30
    /// Expiry of handles and of silent connections is looked at this often, by the first loop.
    private static let tickMilliseconds: Int32 = 250

    let index: Int
    let server: Server
    let poller: Poller
    private let mailbox = Mutex<[LoopMessage]>([])
    /// Out of the mailbox, the next one to be handled last. Confined to the loop's thread.
    private var mail: [LoopMessage] = []
    /// Those of them that `deliverMail` has taken out of their turn; likewise.
    private var letters: [Mail] = []

    // Confined to the loop's thread.
    var pool = BufferPool()
    var compressor = Compressor()
    private var connections: [ClientConnection?] = []
    private var freeSlots: [Int] = []
    private var slots: [Connection.ID: Int] = [:]
    private var listeners: [Int32] = []
    /// Nobody is accepted before this ticket is stable.
    private var listenTicket: UInt64 = 0
    private var isListening = false
    /// It is not, because of that ticket: no other reason ends with a report of the journal.
    private var waitsToListen = false
    /// The highest ticket that some frame waits for.
    private var awaitedTicket: UInt64 = 0
    /// Nobody is woken for what it does not wait for.
    private let awaitsJournal = Atomic<Bool>(false)
    private(set) var isFrozen = false
    /// Some connection has sent what must arrive; see `ClientConnection.checkDelivery`.
    var deliveryIsWatched = false
    private var isRunning = true
    private let ended = Signal()
    // Guarded by `ended`.
    private var hasEnded = false

    private static let watchesToken = UInt64.max - 1
    /// A listening socket's token is this less its index: the lowest of the special ones.
    private static let listenerToken = UInt64.max - 2
    private static let mostListeners = 64
    private static let answersToken = listenerToken - UInt64(mostListeners)

    init(index: Int, server: Server) throws(ServerError) {
        self.index = index
        self.server = server
        self.poller = try Poller()
        if index == 0 {
            try self.poller.add(server.watches.descriptor, reads: true, writes: false, token: Self.watchesToken)
        }
        if let answers = server.journal.answers { try self.poller.addForOne(answers, token: Self.answersToken) }
    }

    func start() {
        Thread.start("smb-loop-\(self.index)") { [self] in self.run() }
    }

    /// The highest ticket that is known to be stable.
    var journaled: UInt64 { self.server.stableTicket.load(ordering: .sequentiallyConsistent) }

    /// A frame is held until this ticket is stable.
    func awaitJournal(_ ticket: UInt64) {
        self.awaitedTicket = max(self.awaitedTicket, ticket)
        self.awaitsJournal.store(true, ordering: .sequentiallyConsistent)
        // It may have become stable just before.
        if ticket <= self.journaled { self.tellJournaled() }
    }

    /// From any thread: a ticket was stored.
    func tellJournaled() {
        if self.awaitsJournal.exchange(false, ordering: .sequentiallyConsistent) { self.post(.journaled) }
    }

    /// From any thread.
    func post(_ message: LoopMessage) {
        let wasEmpty = self.mailbox.withLock {
            $0.append(message)
            return $0.count == 1
        }
        if wasEmpty { self.poller.wake() }
    }

    private func run() {
        var events = [UInt32](repeating: 0, count: Poller.batch)
        var tokens = [UInt64](repeating: 0, count: Poller.batch)
        var lastActive: UInt64 = 0
        var nextTick = Clock.milliseconds + UInt64(Self.tickMilliseconds)
        while self.isRunning {
            var count = self.poller.wait(&events, &tokens, timeoutMilliseconds: 0)
            // The journal takes longer than that, and may need this core for it.
            let mayWait = self.awaitedTicket > self.journaled
            if count == 0, mayWait || Clock.microseconds - lastActive > Self.spinMicroseconds {
                let ticks = self.index == 0 || self.deliveryIsWatched
                count = self.poller.wait(&events, &tokens, timeoutMilliseconds: ticks ? Self.tickMilliseconds : -1)
            }
            for index in 0..<count { self.handle(tokens[index], events[index]) }
            if count > 0 {
                self.server.flushJournal()
                lastActive = Clock.microseconds
            }
            guard self.index == 0 || self.deliveryIsWatched, Clock.milliseconds >= nextTick else { continue }
            nextTick = Clock.milliseconds + UInt64(Self.tickMilliseconds)
            guard !self.isFrozen else { continue }
            if self.deliveryIsWatched { self.checkDeliveries() }
            guard self.index == 0 else { continue }
            self.startListening()
            self.server.withState(from: self) { $0.tick() }
            self.server.flushJournal()
        }
        for connection in self.connections { connection?.close(nil) }
        self.server.flushJournal()
        for listener in self.listeners { Glibc.close(listener) }
        self.ended.withLock {
            self.hasEnded = true
            self.ended.wakeAll()
        }
    }

    /// From any thread but its own: until all its connections are closed.
    func waitForEnd() {
        self.ended.withLock {
            while !self.hasEnded { self.ended.wait() }
        }
    }

    private func handle(_ token: UInt64, _ events: UInt32) {
        switch token {
        case Poller.wakeToken:
            self.poller.clearWakeup()
            self.readMail()
        case Self.answersToken:
            if let answers = self.server.journal.answers, !self.server.journal.takeAnswers(for: self.server) {
                self.poller.remove(answers)
            }
            self.readMail()
        case (Self.listenerToken - UInt64(Self.mostListeners - 1))...Self.listenerToken:
            self.acceptAll(self.listeners[Int(Self.listenerToken - token)])
        case Self.watchesToken:
            self.server.drainWatches(from: self)
        default:
            guard token < UInt64(self.connections.count), let connection = self.connections[Int(token)] else { return }
            // Both directions are gone: nothing could be answered, and epoll would tell it again and again.
            if events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 { return connection.close(nil) }
            if events & EPOLLOUT.rawValue != 0 { connection.writable() }
            if events & ~EPOLLOUT.rawValue != 0 { connection.readable() }
        }
    }

    private func readMail() {
        self.collectMail()
        while let message = self.mail.popLast() { self.handle(message) }
    }

    private func collectMail() {
        self.mailbox.withLock { mailbox in
            self.mail.insert(contentsOf: mailbox.reversed(), at: 0)
            mailbox.removeAll(keepingCapacity: true)
        }
    }

    /// Gives the connections what is to be sent over them, without waiting for the other messages' turn. See Precedence.swift.
    ///
    /// - Returns: what `requester` is told because of its own request, the oldest first: it comes behind the answer.
    func deliverMail(butFor requester: Connection.ID) -> [Mail] {
        self.collectMail()
        var others: [LoopMessage] = []
        var newer: [Mail] = []
        var own: [Mail] = []
        for message in self.mail {
            guard case .send(let letter) = message else {
                others.append(message)
                continue
            }
            if letter.isToRequester, letter.completion.connection == requester {
                own.append(letter)
            } else {
                newer.append(letter)
            }
        }
        self.mail = others
        // What is delivered may make a connection go on with its requests, and lead here again.
        self.letters.insert(contentsOf: newer, at: 0)
        while let letter = self.letters.popLast() { self.connection(letter.completion.connection)?.send(letter) }
        return own.reversed()
    }

    private func handle(_ message: LoopMessage) {
        switch message {
        case .adopt(let descriptor, let client): self.adopt(descriptor, client)
        case .synced(let waiter, let status): self.connection(waiter.connection)?.synced(waiter, status)
        case .copied(let waiter, let answer, let result):
            self.connection(waiter.connection)?.copied(waiter, answer, result)
        case .fetched(let waiter, let missing, let bytes, let status):
            self.connection(waiter.connection)?.fetched(waiter, missing, bytes: bytes, status)
        case .journaled:
            // Before the frames look: what becomes stable while they do is told again.
            if self.awaitedTicket > self.journaled { self.awaitJournal(self.awaitedTicket) }
            for connection in self.connections { connection?.journaled() }
            if self.waitsToListen, !self.isFrozen { self.startListening() }
        case .send(let mail): self.connection(mail.completion.connection)?.send(mail)
        case .release(let id): self.connection(id)?.release()
        case .close(let id): self.connection(id)?.close("closed by the server")
        case .sessionEnded(let id, let session): self.connection(id)?.forget(session: session)
        case .freeze:
            self.isFrozen = true
            self.stopListening()
            for connection in self.connections { connection?.updateInterest() }
            self.reportIfQuiet()
        case .thaw:
            self.isFrozen = false
            self.startListening()
            for connection in self.connections { connection?.resume() }
        case .leaseExtended: for connection in self.connections { connection?.leaseExtended() }
        case .listen(let descriptor, let ticket):
            guard self.listeners.count < Self.mostListeners else { return Log.write("too many listening sockets") }
            self.stopListening()
            self.listeners.append(descriptor)
            self.listenTicket = max(self.listenTicket, ticket)
            self.awaitJournal(self.listenTicket)
            if !self.isFrozen { self.startListening() }
        case .shutDown: self.isRunning = false
        }
    }

    private func connection(_ id: Connection.ID) -> ClientConnection? {
        self.slots[id].flatMap { self.connections[$0] }
    }

    private func checkDeliveries() {
        var isWatched = false
        // One that is closed leaves the table.
        for connection in self.connections where connection?.checkDelivery() == true { isWatched = true }
        self.deliveryIsWatched = isWatched
    }

    // MARK: Accepting

    private func startListening() {
        self.waitsToListen = !self.isListening && self.listenTicket > self.journaled
        guard !self.isListening, !self.waitsToListen else { return }
        self.isListening = true
        for (index, listener) in self.listeners.enumerated() {
            do throws(ServerError) {
                try self.poller.add(
                    listener, reads: true, writes: false, token: Self.listenerToken - UInt64(index))
            } catch { Log.write("listening: \(error)") }
        }
    }

    private func stopListening() {
        guard self.isListening else { return }
        self.isListening = false
        for listener in self.listeners { self.poller.remove(listener) }
    }

    private func acceptAll(_ listener: Int32) {
        while !self.isFrozen {
            var address = sockaddr_storage()
            let descriptor = clinux_accept(listener, &address)
            switch -descriptor {
            case EAGAIN: return
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                // Until the next tick: the waiting connection would wake the loop without end.
                Log.write("no connection can be accepted: \(String(cString: strerror(-descriptor)))")
                return self.stopListening()
            default: break
            }
            // One that was gone before it was accepted.
            guard descriptor >= 0 else { continue }
            var one: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
            setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &one, socklen_t(MemoryLayout<Int32>.size))
            self.server.assign(descriptor, SocketAddress.clientRecord(descriptor, peer: address))
        }
    }

    private func adopt(_ descriptor: Int32, _ client: ClientRecord) {
        guard let id = self.server.withState(from: self, { $0.connected(client) }) else {
            Glibc.close(descriptor)
            return
        }
        let slot = self.freeSlots.popLast() ?? self.connections.count
        if slot == self.connections.count { self.connections.append(nil) }
        let connection = ClientConnection(descriptor, id: id, slot: slot, loop: self)
        do throws(ServerError) {
            try self.poller.add(descriptor, reads: !self.isFrozen, writes: false, token: UInt64(slot))
        } catch {
            Log.write("a connection is refused: \(error)")
            Glibc.close(descriptor)
            self.freeSlots.append(slot)
            self.server.withState(from: self) { $0.disconnected(id) }
            return
        }
        self.connections[slot] = connection
        self.slots[id] = slot
        self.server.route(id, to: self)
    }

    /// The connection has closed its socket.
    func closed(_ connection: ClientConnection) {
        self.connections[connection.slot] = nil
        self.freeSlots.append(connection.slot)
        self.slots[connection.id] = nil
        self.server.route(connection.id, to: nil)
        self.server.withState(from: self) { $0.disconnected(connection.id) }
        self.reportIfQuiet()
    }

    // MARK: Freezing

    /// Frozen, and nothing waits any more for a disk or the journal.
    func reportIfQuiet() {
        guard self.isFrozen, self.connections.allSatisfy({ $0?.isQuiet ?? true }) else { return }
        self.server.loopIsQuiet(self)
    }
}
