import SMB2Wire
import StateRecords

/// All that the server knows: decides what to answer, touches no socket and no clock. The shell guards it with one lock,
/// tells it the time (`now`) and carries out what it returns. [MS-SMB2] 3.3.1.
package struct ServerState: ~Copyable, Sendable {
    package var configuration: ServerConfiguration { didSet { self.configurationChanged() } }
    private let capacity: ServerCapacity
    /// Of the configuration: who asks the pipes for a thousand names asks this.
    private(set) var accounts: Accounts
    /// By lower-case name. 3.3.1.5 ShareList.
    package var shares: [String: Share] = ["ipc$": .ipc]

    package var connections: SlotTable<Connection>
    /// Those of SMB 3.x, by ClientGuid, the oldest first.
    var clientConnections: [GUID: [Connection.ID]] = [:]
    package var sessions: SlotTable<Session>
    package var opens: SlotTable<Open>
    package var files = SlotTable<FileEntry>(limit: Limits.files)
    package var fileIndex: [FileKey: UInt64] = [:]
    /// The open named streams of a file.
    var streamIndex: [FileIdentity: [UInt64]] = [:]
    /// Durable and persistent opens by FileId.Persistent, connected or not.
    package var durableOpens: [UInt64: UInt64] = [:]
    /// Opens with a CreateGuid, connected or not.
    package var creates: [CreateKey: UInt64] = [:]
    package var pending: SlotTable<PendingRequest>
    /// What the configuration limits and no table counts: of all sessions, files and connections together.
    package internal(set) var usage = Usage()
    /// The file that a lease is on. 3.3.1.11 GlobalLeaseTableList.
    package var leases: [LeaseID: UInt64] = [:]
    /// How many of them are on directories: without any, no change in a directory need be looked at.
    package internal(set) var directoryLeases = 0
    /// Files with a break that waits for its acknowledgement.
    var breakingFiles: Set<UInt64> = []
    /// Directories that go with their last opens: without any, nobody who makes a file need look at its directory.
    var deletePendingDirectories: Set<UInt64> = []
    /// How often a file was deleted: whoever has just opened one may have to look again.
    var deletions: UInt64 = 0
    /// CREATEs with a CreateGuid that wait for a break.
    var pendingCreates: [CreateKey: UInt64] = [:]
    /// Files on which something happened that requests wait for, and the request that is carried out just now.
    var wokenFiles: [UInt64] = []
    /// Files of handles whose clients wait for the end of their earlier connection, and until when.
    var reclaims: [(deadline: UInt64, file: UInt64)] = []
    /// Files with a stream that becomes their data.
    var movingFiles: Set<UInt64> = []
    /// Compounds whose next message waits for the work of the one before it.
    var continuations: [UInt64: Continuation] = [:]
    var carriedOut: UInt64?
    /// By the request that is carried out just now; it takes them along if it has to wait.
    var filesAskedToClose: Set<UInt64>?
    /// Likewise: it waits for this.
    var moveAsked: (any StreamMoving)?
    /// What clients were given tokens for.
    var offloadTokens = OffloadTokens()

    /// What was said over connections of sessions that have others, the oldest first; Notifications.swift.
    var undelivered: [Connection.ID: [Notification]] = [:]

    /// Messages for the shell to send, drained after every call.
    package var completions: [Completion] = []
    /// Connections for the shell to close.
    package var disconnects: [Connection.ID] = []
    /// Sessions that ended, once for each of their channels: the shell forgets their keys once the replies of this frame
    /// have left.
    package var endedSessions: [(connection: Connection.ID, session: UInt64)] = []
    /// State that outlives the process, in order; drained after every call. `mutationsAwaited`: what was answered in this
    /// call must not leave before they are on stable storage, and all that came before them; also where there are none.
    package var mutations: [Mutation] = []
    package var mutationsAwaited = false

    /// Files that were deleted through persistent opens, for the shell to bring to stable storage; drained after every call.
    package var unsettledDeletions: [UnsettledDeletion] = []

    /// Streams that become their files' data, for the shell's threads; drained after every call.
    package var streamMoveOrders: [StreamMoveOrder] = []

    /// What went wrong without a reply that says so; for the log, drained after every call.
    package var notes: [String] = []
    static let notesLimit = 64

    /// Milliseconds of a monotonic clock, set by the shell before each call.
    package var now: UInt64 = 0
    /// The time of day, likewise.
    package var wallClock = FileTime.zero
    package var startTime = FileTime.zero
    package var nextPersistentID: UInt64 = 1
    /// Those below it are reserved; all are where none were (`reservePersistentIDs`).
    var persistentIDsEnd = UInt64.max
    /// Why `load` had to stop: the storage failed, and the records say more than the file system at the moment.
    package internal(set) var loadFailure: SMBError?
    package var statistics = ServerStatus()

    /// The token that NEGOTIATE carries: SPNEGO's NegTokenInit2.
    package let negotiateToken: [UInt8]
    /// 32 unpredictable bytes for each NEGOTIATE of 3.1.1.
    package let makeSalt: @Sendable () -> [UInt8]
    /// Addresses for FSCTL_QUERY_NETWORK_INTERFACE_INFO; the shell refreshes them.
    package var networkInterfaces: [NetworkInterfaceInfo] = []

    /// Sees changes in directories for CHANGE_NOTIFY; without one it is STATUS_NOT_SUPPORTED.
    package var watcher: (any DirectoryWatching)?
    /// RPC's own authentication; without it a bind that wants one is refused.
    package var pipeSecurity: (any PipeSecurityMechanisms)?

    /// - Parameter seed: a random number: session ids of one server mean nothing to the one after it.
    package init(
        configuration: ServerConfiguration, capacity: ServerCapacity = .unbounded, negotiateToken: [UInt8],
        seed: UInt32,
        makeSalt: @escaping @Sendable () -> [UInt8]
    ) {
        self.configuration = configuration
        self.accounts = Accounts(configuration)
        self.negotiateToken = negotiateToken
        self.makeSalt = makeSalt
        self.capacity = capacity
        let limits = configuration.limits
        self.connections = SlotTable(limit: min(Int(limits[.connections]), capacity.connections))
        self.sessions = SlotTable(limit: Int(limits[.sessions]), seed: seed, width: .scrambled)
        self.opens = SlotTable(limit: min(Int(limits[.opens]), capacity.opens), seed: seed)
        self.pending = SlotTable(limit: Int(limits[.requests]))
    }

    /// Lower limits end nothing: they refuse what is new until less is there.
    private mutating func configurationChanged() {
        self.accounts = Accounts(self.configuration)
        let limits = self.configuration.limits
        self.connections.limit = min(Int(limits[.connections]), self.capacity.connections)
        self.sessions.limit = Int(limits[.sessions])
        self.opens.limit = min(Int(limits[.opens]), self.capacity.opens)
        self.pending.limit = Int(limits[.requests])
    }

    /// Takes a new configuration and the file systems of its shares. Shares that are gone or changed stay with those who
    /// are connected to them.
    package mutating func configure(_ configuration: ServerConfiguration, shares: [Share]) {
        self.configuration = configuration
        self.shares = ["ipc$": .ipc]
        for share in shares { self.shares[share.name.lowercased()] = share }
    }

    package func status() -> ServerStatus {
        var status = self.statistics
        status.connections = UInt32(clamping: self.connections.count)
        status.sessions = UInt32(clamping: self.sessions.count)
        status.opens = UInt32(clamping: self.opens.count)
        status.treeConnects = UInt32(clamping: self.usage.treeConnects)
        status.notifies = UInt32(clamping: self.usage.notifies)
        status.pending = UInt32(clamping: self.pending.count)
        status.heldBytes = UInt64(clamping: self.usage.heldBytes)
        status.pipeBytes = UInt64(clamping: self.usage.pipeBytes)
        self.opens.forEach { _, open in
            if open.isPersistent {
                status.persistentOpens += 1
            } else if open.survivesDisconnect {
                status.durableOpens += 1
            }
            if open.session == nil { status.disconnectedOpens += 1 }
        }
        status.locks = UInt32(clamping: self.usage.locks)
        return status
    }

    // MARK: Connections

    /// A transport connection was accepted. Nil: there are too many, close it.
    package mutating func connected(_ client: ClientRecord) -> Connection.ID? {
        guard let id = self.connections.insert(Connection(client: client, acceptedAt: self.now)) else { return nil }
        self.mutations.append(.putClient(client))
        return id
    }

    /// The transport connection is gone. Sessions that have other channels go on with those, the others end; durable and
    /// persistent opens stay. [MS-SMB2] 3.3.7.1.
    package mutating func disconnected(_ id: Connection.ID) {
        guard let connection = self.connections[id] else { return }
        self.clientConnections[connection.clientGUID]?.removeAll { $0 == id }
        if self.clientConnections[connection.clientGUID]?.isEmpty == true {
            self.clientConnections[connection.clientGUID] = nil
        }
        for session in connection.sessions where !self.leaveChannel(id, of: session) {
            self.endSession(session, keepsDurable: true)
        }
        self.tellAgain(insteadOf: id)
        self.deliverElsewhere(insteadOf: id)
        self.orphanCreates(of: id)
        self.dropPending { $0.connection == id }
        self.continuations = self.continuations.filter { $0.value.frame.connection != id }
        self.connections.remove(id)
        self.mutations.append(.removeClient(connection.client))
        self.carryOutWoken()
    }

    /// Ends a session: its trees, its opens, its pending requests. [MS-SMB2] 3.3.4.12, 3.3.5.6, 3.3.7.1.
    /// - Returns: as `closeForClient`, for whoever is answered.
    @discardableResult
    mutating func endSession(_ id: UInt64, keepsDurable: Bool) -> [any FileHandle] {
        guard let session = self.sessions[id] else { return [] }
        var deleted: [any FileHandle] = []
        for key in self.opens.keys where self.opens[key]?.session == id {
            if let file = self.leaveOpen(key, keepsDurable: keepsDurable) { deleted.append(file) }
        }
        self.cancelPending(status: .cancelled) { $0.session == id }
        self.usage.treeConnects -= session.trees.count
        self.sessions.remove(id)
        for channel in session.channels {
            self.connections[channel]?.sessions.removeAll { $0 == id }
            self.endedSessions.append((channel, id))
        }
        return deleted
    }

    /// The clock moved on: gives up disconnected opens whose time is over, and connections that never authenticate.
    package mutating func tick() {
        for key in self.opens.keys {
            if let expiry = self.opens[key]?.expiresAt, expiry <= self.now { self.closeOpen(key) }
        }
        self.expireBreaks()
        self.offloadTokens.expire(now: self.now)
        self.tellOfMoves()
        let due = self.reclaims.prefix { $0.deadline <= self.now }
        for reclaim in due { self.wake(reclaim.file) }
        self.reclaims.removeFirst(due.count)
        self.carryOutWoken()
        for id in self.connections.keys {
            guard let connection = self.connections[id],
                self.now &- connection.acceptedAt > Limits.authenticationMilliseconds,
                !connection.sessions.contains(where: { self.sessions[$0]?.state != .inProgress })
            else { continue }
            // A connection whose last session logged off counts from then on; see `logoff`.
            self.disconnects.append(id)
        }
    }
}
