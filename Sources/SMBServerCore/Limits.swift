/// Every table of the server has a limit; what happens at it stands here, and at `ServerLimit` for those that the
/// administrator may choose.
package enum Limits {
    /// SESSION_SETUP then fails with STATUS_REQUEST_NOT_ACCEPTED; so does TREE_CONNECT.
    package static let sessionsPerConnection = 1024
    package static let treeConnectsPerSession = 4096
    /// Files that are open or waited for: each has an open or a request, and those have limits.
    package static let files = 1 << 23
    /// Channels of one session, [MS-SMB2] 3.3.5.5.2 (Windows: 32).
    package static let channelsPerSession = 32
    /// Asynchronous requests of one connection; more fail with STATUS_INSUFFICIENT_RESOURCES. Half of what a
    /// client can hold in credits, so that a client cannot starve itself. [MS-SMB2] 3.3.4.2.
    package static let asyncPerConnection = 4096
    /// Files whose clients come back before their old connections have ended.
    package static let reclaims = 1 << 18
    /// Changes kept for one open while no CHANGE_NOTIFY waits; more are answered with STATUS_NOTIFY_ENUM_DIR.
    package static let eventsPerNotify = 4096
    /// Messages of one compound; a longer one closes the connection.
    package static let messagesPerCompound = 256
    /// MaxTransactSize, MaxReadSize, MaxWriteSize, [MS-SMB2] 2.2.4: with multi-credit, and without (2.0.2).
    package static let transfer = 8 << 20
    package static let transferWithoutCredits = 64 << 10
    /// The longest message that is read at all: the largest WRITE, its header, and room for a compound around it.
    package static let message = Limits.transfer + (256 << 10)
    /// Before a session has keys: a SESSION_SETUP with the largest token, and room around it.
    package static let messageBeforeLogon = 128 << 10
    /// Locks in one LOCK request.
    package static let locksPerRequest = 1024

    /// FileId.Persistent: so many are reserved in the journal at a time.
    package static let persistentIDsReserved: UInt64 = 1 << 32
    /// Durable and persistent handles, [MS-SMB2] 3.3.5.9.10: what a client gets that asks for 0, and the most it gets.
    package static let defaultHandleTimeoutMilliseconds: UInt32 = 180_000
    package static let maximumHandleTimeoutMilliseconds: UInt32 = 300_000
    /// Durable handles of the first version, [MS-SMB2] 3.3.5.9.6 (Windows: 16 minutes).
    package static let durableHandleTimeoutMilliseconds: UInt32 = 960_000
    /// Resilient handles, [MS-SMB2] 3.3.5.15.9: what a client gets that asks for 0 (Windows: 2 minutes), and MaxResiliencyTimeout:
    /// who asks for more is refused with STATUS_INVALID_PARAMETER (Windows: 5 minutes, too).
    package static let defaultResiliencyMilliseconds: UInt32 = 120_000
    package static let maximumResiliencyMilliseconds: UInt32 = 300_000
    /// Break notifications that have not arrived yet over one of several channels; of more the oldest are forgotten, and not said
    /// again if the channel is lost.
    package static let undeliveredPerConnection = 4096
    /// Who caches one file; more are granted nothing.
    package static let cachingHoldersPerFile = 4096
    /// How long a client may take to acknowledge an oplock or lease break, [MS-SMB2] 3.3.2.1, 3.3.2.5; then it caches
    /// nothing any more.
    package static let breakMilliseconds: UInt64 = 35_000
    /// How long a client that comes back for a handle waits for the end of its earlier connection.
    package static let reclaimMilliseconds: UInt64 = 500
    /// Requests that wait for the breaks of one file; more fail with STATUS_INSUFFICIENT_RESOURCES.
    package static let waitingPerFile = 1024
    /// Bytes of one connection's requests that wait for breaks, with what follows them in their compounds; more fail with
    /// STATUS_INSUFFICIENT_RESOURCES.
    package static let deferredByteCount = 2 * Limits.message

    /// Streams that become their files' data at a time, in all files; more fail with STATUS_INSUFFICIENT_RESOURCES.
    package static let streamMoves = 64
    /// What takes longer is told STATUS_PENDING.
    package static let silentMoveMilliseconds: UInt64 = 1000

    /// A connection that negotiated but never authenticated is closed after this.
    package static let authenticationMilliseconds: UInt64 = 45_000
}

/// How much is there of what no table counts.
package struct Usage: Sendable {
    package internal(set) var treeConnects = 0
    /// Byte ranges locked in all files.
    package internal(set) var locks = 0
    /// CHANGE_NOTIFY requests that wait.
    package internal(set) var notifies = 0
    /// Bytes of deferred requests of all connections.
    package internal(set) var heldBytes = 0
    /// ``NamedPipe/keptByteCount`` of all open pipes.
    package internal(set) var pipeBytes = 0
}
