import CLinux
import FileStore
import Glibc
import SMB2Wire
import SMBAuth
import SMBCrypto
import SMBServerCore
import StateRecords
import Synchronization

/// The shell of `ServerState`: loops, buffers, disks and the journal around one lock.
package final class Server: JournalObserver, @unchecked Sendable {
    /// Loops beyond this gain nothing: the state has one lock.
    private static let mostLoops = 8

    private let state: Mutex<ServerState>
    private let routes = Mutex<[Connection.ID: Loop]>([:])
    private let users = Mutex<[String: UserRecord]>([:])
    private let fenced = Atomic<Bool>(false)
    private let anonymous = Atomic<Bool>(false)
    private let nextLoop = Atomic<Int>(0)
    /// All mutations up to this ticket are on stable storage. Written by the journal, whose reports are one after the other and only go up.
    let stableTicket = Atomic<UInt64>(0)
    /// That of what `load` recorded; 0 before.
    private let loadTicket = Atomic<UInt64>(0)
    /// Addresses at which clients have come, whose interfaces were looked up.
    private let knownAddresses = Mutex<Set<[UInt8]>>([])
    private let quietLoops = Mutex<Set<Int>>([])
    /// Of the sessions that connections may be bound to.
    private let secrets = Mutex<[UInt64: SessionSecrets]>([:])
    private let volumes = Mutex<[String: (record: ShareRecord, volume: Volume)]>([:])

    let syncs = SyncPool()
    let reads = WorkerPool("smb-read", threads: 8, waitingLimit: 1 << 16)
    let copies = WorkerPool("smb-copy", threads: 2, waitingLimit: 1024)
    /// A few long ones do not keep the short ones waiting. Each move has two orders at most that wait for a thread.
    let moves = WorkerPool("smb-move", threads: 4, waitingLimit: 4 * Limits.streamMoves)
    let snapshots = SnapshotService()
    let names: ServerNames
    private let lease: ServingLease
    let journal: any Journal
    // Set once, before the first loop starts.
    private var loops: [Loop] = []
    let watches: Watches
    /// Told when a freeze is complete, and when the share's storage fails.
    var onFrozen: (@Sendable () -> Void)?
    var onStorageFailure: (@Sendable (String) -> Void)?

    init(
        configuration: ServerConfiguration, journal: any Journal, lease: ServingLease = .unlimited,
        loopCount: Int? = nil
    ) throws(ServerError) {
        self.journal = journal
        self.lease = lease
        self.names = ServerNames(host: configuration.serverName)
        let budget = DescriptorBudget.raised()
        let seed: UInt64
        do throws(CryptoError) { seed = try Random.integer() } catch { throw ServerError("randomness: \(error)") }
        self.state = Mutex(
            ServerState(
                configuration: configuration,
                capacity: ServerCapacity(opens: budget.opens, connections: budget.connections),
                negotiateToken: SPNEGO.serverHint(), seed: UInt32(truncatingIfNeeded: seed), makeSalt: { Self.salt() }))
        if configuration.limits[.opens] > UInt64(budget.opens)
            || configuration.limits[.connections] > UInt64(budget.connections)
        {
            Log.write(
                "at most \(budget.opens) files can be open, and \(budget.connections) clients connected: this process may have "
                    + "\(budget.total) descriptors (RLIMIT_NOFILE)")
        }
        do throws(FileError) { self.watches = try Watches() } catch { throw ServerError("inotify: \(error)") }
        let watches = self.watches
        let security = NTLMPipes(names: self.names)
        self.state.withLock {
            $0.watcher = watches
            $0.pipeSecurity = security
        }
        let cores = loopCount ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        for index in 0..<max(1, min(cores, Self.mostLoops)) {
            self.loops.append(try Loop(index: index, server: self))
        }
        for loop in self.loops { loop.start() }
    }

    /// 3.1.1's salt. Without randomness nothing else here would be safe either.
    private static func salt() -> [UInt8] {
        do throws(CryptoError) { return try Random.bytes(32) } catch { preconditionFailure("randomness: \(error)") }
    }

    // MARK: The state

    /// The effects of one call on the state, taken under its lock and delivered without it.
    private struct Effects {
        var ticket: UInt64 = 0
        var precedence: Precedence?
        var isAnnouncedToRequester = false
        var disconnects: [Connection.ID] = []
        var endedSessions: [(connection: Connection.ID, session: UInt64)] = []
        var notes: [String] = []
        var deletions: [UnsettledDeletion] = []
        var moves: [StreamMoveOrder] = []
    }

    /// What the answer of a step on the state must wait for.
    struct Conditions {
        /// That of the mutations which must be stable; 0 for none.
        var ticket: UInt64 = 0
        /// Of what the step says to other connections than `requester`.
        var precedence: Precedence?
        /// It says something to `requester`, too: that stands behind the answer and before the next one.
        var isAnnouncedToRequester = false
    }

    /// Runs `body` on the state.
    ///
    /// - Parameter requester: the connection whose request it is, if it is one's.
    func withTicket<Result: Sendable>(
        of requester: Connection.ID, _ body: (inout ServerState) -> Result
    ) -> (Result, Conditions) { self.run(requester, isFlushed: true, body) }

    /// Where `loop` is nil, which thread it is does not matter.
    @discardableResult
    func withState<Result: Sendable>(from loop: Loop?, _ body: (inout ServerState) -> Result) -> Result {
        self.run(nil, isFlushed: loop != nil, body).0
    }

    /// `isFlushed`: on a loop's thread, which has the journal's batches of a turn sent together.
    private func run<Result: Sendable>(
        _ requester: Connection.ID?, isFlushed: Bool, _ body: (inout ServerState) -> Result
    ) -> (Result, Conditions) {
        var effects: Effects?
        let result = self.state.withLock { state in
            state.now = Clock.milliseconds
            state.wallClock = Clock.wall
            let result = body(&state)
            if state.hasEffects { effects = self.takeEffects(&state, requester, isFlushed: isFlushed) }
            return result
        }
        guard let effects else { return (result, Conditions()) }
        self.deliver(effects)
        let conditions = Conditions(
            ticket: effects.ticket, precedence: effects.precedence,
            isAnnouncedToRequester: effects.isAnnouncedToRequester)
        return (result, conditions)
    }

    private func takeEffects(_ state: inout ServerState, _ requester: Connection.ID?, isFlushed: Bool) -> Effects {
        var effects = Effects()
        if !state.mutations.isEmpty || state.mutationsAwaited {
            // Under the lock: the journal's order is the order of the changes. Whoever waits waits for the last batch.
            var ticket: UInt64 = 0
            for batch in Mutation.batches(of: state.mutations) {
                ticket = self.journal.append(batch, isAwaited: state.mutationsAwaited, isFlushed: isFlushed)
            }
            if state.mutationsAwaited { effects.ticket = ticket }
            state.mutations.removeAll(keepingCapacity: true)
            state.mutationsAwaited = false
        }
        effects.isAnnouncedToRequester = state.completions.contains {
            $0.isAnnouncement && $0.connection == requester
        }
        effects.precedence = self.post(state.completions, ticket: effects.ticket, requester)
        state.completions.removeAll(keepingCapacity: true)
        swap(&effects.disconnects, &state.disconnects)
        swap(&effects.endedSessions, &state.endedSessions)
        swap(&effects.notes, &state.notes)
        swap(&effects.deletions, &state.unsettledDeletions)
        swap(&effects.moves, &state.streamMoveOrders)
        return effects
    }

    /// Under the lock: the order in the mailboxes is the order of the steps.
    private func post(_ completions: [Completion], ticket: UInt64, _ requester: Connection.ID?) -> Precedence? {
        let announcements = completions.count { $0.isAnnouncement && $0.connection != requester }
        let precedence = announcements > 0 ? Precedence(announcements: announcements) : nil
        for completion in completions {
            var mail = Mail(completion: completion, ticket: ticket)
            if !completion.isAnnouncement {
                mail.precedence = precedence
            } else if completion.connection != requester {
                mail.announcement = precedence.map { Announcement($0) }
            } else {
                mail.isToRequester = true
            }
            self.loop(of: completion.connection)?.post(.send(mail))
        }
        return precedence
    }

    private func deliver(_ effects: Effects) {
        for note in effects.notes { Log.write(note) }
        for (connection, session) in effects.endedSessions {
            self.secrets.withLock { $0[session] = nil }
            self.loop(of: connection)?.post(.sessionEnded(connection, session: session))
        }
        for connection in effects.disconnects { self.loop(of: connection)?.post(.close(connection)) }
        for deletion in effects.deletions { self.settle(deletion) }
        for order in effects.moves { self.carryOut(order) }
    }

    private func carryOut(_ order: StreamMoveOrder) {
        let isTaken = self.moves.submit { [self] in
            var failure: SMBError?
            do throws(SMBError) { try order.run() } catch {
                self.inspect(error.status)
                failure = error
            }
            let result = failure
            self.withState(from: nil) { $0.streamMoved(order, failure: result) }
        }
        precondition(isTaken, "more moves of streams than there may be")
    }

    private func settle(_ deletion: UnsettledDeletion) {
        self.syncs.submit(OpenFile.of(deletion.handle), includesName: true) { [self] status in
            self.inspect(status)
            if !status.isError { self.withState(from: nil) { $0.settleDeletion(deletion) } }
        }
    }

    private func loop(of connection: Connection.ID) -> Loop? { self.routes.withLock { $0[connection] } }

    func route(_ connection: Connection.ID, to loop: Loop?) {
        self.routes.withLock { $0[connection] = loop }
    }

    // MARK: Keys

    func secrets(of session: UInt64) -> SessionSecrets? { self.secrets.withLock { $0[session] } }

    /// Keeps them until the session ends; one that ended meanwhile leaves nothing.
    func keep(_ secrets: SessionSecrets, session: UInt64) {
        self.secrets.withLock { $0[session] = secrets }
        if !self.state.withLock({ $0.sessions[session] != nil }) { self.secrets.withLock { $0[session] = nil } }
    }

    /// Changes in watched directories go to those who asked for them. Called by the first loop.
    func drainWatches(from loop: Loop) {
        do throws(FileError) {
            let reports = try self.watches.drain()
            guard !reports.isEmpty else { return }
            self.withState(from: loop) { state in
                for report in reports {
                    state.directoryChanged(report.key, report.events, isOverflow: report.isOverflow)
                }
            }
        } catch { Log.write("change notification: \(error)") }
    }

    var allowsAnonymous: Bool { self.anonymous.load(ordering: .relaxed) }

    /// The user whom a client names, in any case.
    func user(named name: String) -> UserRecord? { self.users.withLock { $0[name.lowercased()] } }

    package func status() -> ServerStatus { self.state.withLock { $0.status() } }

    // MARK: Configuration

    /// Takes a configuration and opens the directories of its shares. A share that did not change keeps its volume.
    /// - Returns: the shares that are left out, because what their paths lead to is no directory.
    /// - Throws: where anything else is wrong, which may be better on the next node. Nothing is taken then.
    package func configure(_ configuration: ServerConfiguration) throws(ServerError) -> [UnservedShare] {
        var shares: [Share] = []
        var unserved: [UnservedShare] = []
        var open: [String: (record: ShareRecord, volume: Volume)] = [:]
        let before = self.volumes.withLock { $0 }
        for record in configuration.shares {
            let volume: Volume
            // What else a record says is the share's, not its files'.
            if let known = before[record.name], known.record.path == record.path,
                known.record.isReadOnly == record.isReadOnly, known.record.traits == record.traits,
                known.record.hiddenFiles == record.hiddenFiles
            {
                volume = known.volume
            } else {
                do throws(FileError) { volume = try Self.openVolume(record, configuration) } catch {
                    let reason = "\(Self.path(record, configuration)) cannot be served: \(error)"
                    // ENOTDIR: a file in the way of one share must not keep all the others from being served.
                    guard error.status == .objectPathNotFound else {
                        throw ServerError("share \(record.name): \(reason)")
                    }
                    unserved.append(UnservedShare(name: record.name, reason: reason))
                    continue
                }
            }
            open[record.name] = (record, volume)
            shares.append(Share(record: record, fileSystem: volume))
        }
        let opened = open
        self.volumes.withLock { $0 = opened }
        self.users.withLock { users in
            users = [:]
            for user in configuration.users { users[user.name.lowercased()] = user }
        }
        self.anonymous.store(configuration.security.allowsAnonymous, ordering: .relaxed)
        let all = shares
        self.withState(from: nil) { $0.configure(configuration, shares: all) }
        self.snapshots.configure(opened.mapValues(\.volume), configuration.snapshotSchedules)
        return unserved
    }

    private static func path(_ record: ShareRecord, _ configuration: ServerConfiguration) -> String {
        configuration.mountPoint.isEmpty ? record.path : "\(configuration.mountPoint)/\(record.path)"
    }

    private static func openVolume(
        _ record: ShareRecord, _ configuration: ServerConfiguration
    ) throws(FileError) -> Volume {
        var options = Volume.Options(label: record.name)
        options.hiddenFiles = record.hiddenFiles.map { NamePattern($0) }
        options.givesShortNames = record.traits.contains(.shortNames)
        options.refusesStreams = record.traits.contains(.withoutStreams)
        options.isReadOnly = record.isReadOnly
        let name = record.name
        options.log = { Log.write("share \(name): \($0)") }
        return try Volume(root: Self.path(record, configuration), options: options)
    }

    /// Gives the files of earlier persistent handles back. Before `listen`. Throws when the storage fails meanwhile: then
    /// nothing must be served, a client would be told that its handle is gone.
    package func load(
        _ records: [OpenRecord], nextPersistentID: UInt64
    ) throws(ServerError) -> (reopened: Int, lost: Int) {
        let (loaded, conditions) = self.run(nil, isFlushed: false) { state in
            let (reopened, lost) = state.load(records)
            state.alignRecords(records)
            if state.loadFailure == nil { state.reservePersistentIDs(from: nextPersistentID) }
            return (reopened: reopened, lost: lost.count, failure: state.loadFailure)
        }
        if let failure = loaded.failure {
            throw ServerError("loading: \(failure.status): \(failure.detail ?? "no detail")")
        }
        self.loadTicket.store(conditions.ticket, ordering: .relaxed)
        return (loaded.reopened, loaded.lost)
    }

    // MARK: Connections

    /// Accepts on a listening socket, which must not block, once what `load` recorded is stable: until then clients wait
    /// in the backlog.
    package func listen(on descriptor: Int32) {
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
        self.loops[0].post(.listen(descriptor: descriptor, after: self.loadTicket.load(ordering: .relaxed)))
    }

    /// Gives an accepted connection to the loop whose turn it is.
    func assign(_ descriptor: Int32, _ client: ClientRecord) {
        let isNew = self.knownAddresses.withLock { $0.insert(client.serverAddress).inserted }
        if isNew {
            // A virtual address that came after the start.
            let interfaces = NetworkInterfaces.all
            self.withState(from: nil) { $0.networkInterfaces = interfaces }
        }
        let turn = self.nextLoop.wrappingAdd(1, ordering: .relaxed).oldValue
        self.loops[turn % self.loops.count].post(.adopt(descriptor: descriptor, client: client))
    }

    // MARK: Journal

    func journaled(upTo ticket: UInt64) {
        self.stableTicket.store(ticket, ordering: .sequentiallyConsistent)
        for loop in self.loops { loop.tellJournaled() }
    }

    /// At the end of a loop's turn.
    func flushJournal() { self.journal.flush() }

    func journalFailed(_ reason: String) {
        Log.write("nothing can be made durable any more, no client is answered: \(reason)")
        self.fence()
    }

    // MARK: The end

    /// Nothing leaves any more, from this moment on.
    package func fence() {
        self.fenced.store(true, ordering: .sequentiallyConsistent)
        self.snapshots.hold()
        for loop in self.loops { loop.post(.freeze) }
    }

    var isFenced: Bool { self.fenced.load(ordering: .acquiring) }

    var mayAnswer: Bool { self.lease.mayAnswer() }

    func extendLease(until end: UInt64) {
        guard self.lease.extend(until: end) else { return }
        for loop in self.loops { loop.post(.leaseExtended) }
    }

    /// Takes no more requests, lets what runs finish, then calls `onFrozen`. No connection is closed.
    package func freeze() {
        self.snapshots.hold()
        self.quietLoops.withLock { $0.removeAll() }
        for loop in self.loops { loop.post(.freeze) }
    }

    package func thaw() {
        self.snapshots.resume()
        for loop in self.loops { loop.post(.thaw) }
    }

    func loopIsQuiet(_ loop: Loop) {
        let isLast = self.quietLoops.withLock { quiet in
            quiet.insert(loop.index).inserted && quiet.count == self.loops.count
        }
        // A fenced server was not asked.
        guard isLast, !self.isFenced else { return }
        self.onFrozen?()
    }

    /// Where another node can take over nothing leaves from here on: the clients ask again, there or here.
    func storageFailed(_ detail: String) {
        Log.write("storage: \(detail)")
        guard let report = self.onStorageFailure else { return }
        self.fence()
        report(detail)
    }

    /// Looks at a status that is about to leave. A failure of the storage is for `clusterd`; the client does not get it.
    func inspect(_ status: NTStatus) {
        guard status.saysStorageFailed, self.onStorageFailure != nil, !self.isFenced else { return }
        self.storageFailed("\(status)")
    }

    /// Closes all connections and waits until the loops have ended and what they changed is stable.
    package func stop() {
        self.snapshots.hold()
        for loop in self.loops { loop.post(.shutDown) }
        for loop in self.loops { loop.waitForEnd() }
        self.journal.drain()
    }
}

extension ServerState {
    /// Whether the last call left anything for the shell to do.
    fileprivate var hasEffects: Bool {
        !self.mutations.isEmpty || self.mutationsAwaited || !self.completions.isEmpty || !self.disconnects.isEmpty
            || !self.endedSessions.isEmpty || !self.notes.isEmpty || !self.unsettledDeletions.isEmpty
            || !self.streamMoveOrders.isEmpty
    }
}
