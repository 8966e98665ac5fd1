import Glibc
import SQLite
import StateRecords
import Synchronization

/// The journal of a server that stands alone: a SQLite file, one writer thread, one transaction for all that has queued up
/// while the one before it was on its way to the disk.
final class LocalJournal: Journal, @unchecked Sendable {
    /// Mutations that may queue for the writer. At it whoever has something to record waits, and with it every client:
    /// they can send faster than a disk takes it.
    static let queueLimit = 1 << 20

    private let path: String
    private let queueLimit: Int
    private let signal = Signal()
    // Guarded by the signal's lock.
    private var queue: [Mutation] = []
    private var waitersForRoom = 0
    private var lastTicket: UInt64 = 0
    private var doneTicket: UInt64 = 0
    private var failure: String?
    private weak var observer: (any JournalObserver)?

    init(path: String, queueLimit: Int = LocalJournal.queueLimit) {
        self.path = path
        self.queueLimit = queueLimit
    }

    /// Opens or makes the file and reads what an earlier server left.
    static func load(path: String) throws(ServerError) -> (opens: [OpenRecord], nextPersistentID: UInt64) {
        // Its owner's alone: it names files and users. SQLite's other files have the mode of this one.
        let made = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard made >= 0 else { throw ServerError("journal \(path)", errno: errno) }
        close(made)
        do {
            let database = try Database(path: path)
            try Self.prepare(database)
            var state = HandleState()
            let opens = try database.prepare("SELECT record FROM opens")
            while try opens.step() { state.apply(.putOpen(try OpenRecord(decoding: opens.bytes(0)))) }
            let values = try database.prepare("SELECT value FROM counters WHERE name = 'nextPersistentID'")
            while try values.step() { state.apply(.reserveIDs(below: values.uint64(0))) }
            return (state.orderedOpens, state.nextPersistentID)
        } catch {
            throw ServerError("journal \(path): \(error)")
        }
    }

    private static func prepare(_ database: borrowing Database) throws(SQLiteError) {
        try database.execute(
            """
            CREATE TABLE IF NOT EXISTS opens (id INTEGER PRIMARY KEY, record BLOB NOT NULL);
            CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
            """)
    }

    func start(_ observer: any JournalObserver) {
        self.observer = observer
        Thread.start("smb-journal") { [self] in self.run() }
    }

    func append(_ mutations: [Mutation], isAwaited: Bool, isFlushed: Bool) -> UInt64 {
        self.signal.withLock {
            // The order of the tickets is the order in the queue: there must be room before one is taken. A writer that
            // has failed makes none; nobody is answered any more.
            while self.queue.count >= self.queueLimit, self.failure == nil {
                self.waitersForRoom += 1
                self.signal.wait()
                self.waitersForRoom -= 1
            }
            self.lastTicket += 1
            guard self.failure == nil else { return self.lastTicket }
            // Clients are of interest to a cluster only: nobody else tells them of a move.
            for mutation in mutations where mutation.isKeptLocally { self.queue.append(mutation) }
            self.signal.wakeAll()
            return self.lastTicket
        }
    }

    /// The writer is at it already.
    func flush() {}

    func drain() {
        self.signal.withLock {
            while self.doneTicket < self.lastTicket, self.failure == nil { self.signal.wait() }
        }
    }

    private func run() {
        do {
            let database = try Database(path: self.path)
            try Self.prepare(database)
            let put = try database.prepare("INSERT OR REPLACE INTO opens (id, record) VALUES (?, ?)")
            let remove = try database.prepare("DELETE FROM opens WHERE id = ?")
            let count = try database.prepare(
                "INSERT OR REPLACE INTO counters (name, value) VALUES ('nextPersistentID', ?)")
            var done: UInt64 = 0
            while true {
                let (batch, ticket) = self.signal.withLock {
                    while self.lastTicket == done { self.signal.wait() }
                    defer { self.queue.removeAll(keepingCapacity: true) }
                    if self.waitersForRoom > 0 { self.signal.wakeAll() }
                    return (self.queue, self.lastTicket)
                }
                if !batch.isEmpty {
                    try database.transaction { () throws(SQLiteError) in
                        for mutation in batch {
                            switch mutation {
                            case .putOpen(let record):
                                try put.bind(record.persistentID, at: 1)
                                try put.bind(record.encoded, at: 2)
                                try put.run()
                            case .removeOpen(let id):
                                try remove.bind(id, at: 1)
                                try remove.run()
                            case .reserveIDs(let limit):
                                try count.bind(limit, at: 1)
                                try count.run()
                            case .putClient, .removeClient, .removeAllClients: break
                            }
                        }
                    }
                }
                done = ticket
                self.signal.withLock {
                    self.doneTicket = ticket
                    self.signal.wakeAll()
                }
                self.observer?.journaled(upTo: ticket)
            }
        } catch {
            self.signal.withLock {
                self.failure = "\(error)"
                self.signal.wakeAll()
            }
            self.observer?.journalFailed("journal \(self.path): \(error)")
        }
    }
}

extension Mutation {
    fileprivate var isKeptLocally: Bool {
        switch self {
        case .putOpen, .removeOpen, .reserveIDs: true
        case .putClient, .removeClient, .removeAllClients: false
        }
    }
}
