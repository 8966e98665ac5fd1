import ClusterCore
import Glibc
import Raft
import SQLite
import StateRecords

package enum StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    case database(SQLiteError)
    /// The file is whole for SQLite and still not what this node wrote.
    case damaged(String)
    case newerFormat(String)

    package var description: String {
        switch self {
        case .database(let error) where error.isDiskFull:
            "the disk of the state directory is full: make room there, then start the node again (state.db: \(error))"
        case .database(let error) where error.isCorrupt: StoreError.damaged("\(error)").description
        case .database(let error): "state.db: \(error)"
        case .damaged(let what):
            "state.db is damaged (\(what)). Remove the node with 'clusterctl leave' on a healthy node, delete its state "
                + "directory and join it again; do not restore an old copy: it forgets votes and acknowledged entries"
        case .newerFormat(let what): "state.db was written by a newer version (format \(what)): upgrade this node"
        }
    }
}

/// What a node finds of its earlier life.
package struct StoredContents: Equatable, Sendable {
    package var identity: NodeIdentity?
    package var hardState = HardState()
    package var base = Snapshot()
    package var entries: [Entry] = []
    package var state: ClusterState?
    /// What the node keeps of the quorum disk; empty: nothing.
    package var quorumMemory: [UInt8] = []

    package init() {}
}

/// Whatever is written in one transaction, in this order.
package enum StoreJob: Sendable {
    case identity(NodeIdentity)
    /// `state` comes with every snapshot and every compaction: the state that stands for the entries which go. It is
    /// stored together with its own applied index.
    case write(Write, state: ClusterState?)
    /// What the node keeps of the quorum disk.
    case quorumMemory([UInt8])
    /// A new cluster's beginning.
    case found(base: Snapshot, HardState, ClusterState)
}

/// `state.db`: the Raft log, the hard state, the state with its applied index, and the node's identity in one file, so
/// that they change together. The state in memory is the stored one plus the log's entries behind it.
package struct StateDatabase: ~Copyable {
    private static let format = "1"

    private let putMeta: Statement
    private let putHardState: Statement
    private let putEntry: Statement
    private let cutFrom: Statement
    private let cutThrough: Statement
    private let putState: Statement
    // Last, so that the statements are released before it.
    private let database: Database

    package static func open(path: String) throws(StoreError) -> StateDatabase {
        do throws(SQLiteError) {
            return try StateDatabase(opening: path)
        } catch {
            throw .database(error)
        }
    }

    private init(opening path: String) throws(SQLiteError) {
        // SQLite gives its -wal and -shm files the mode of the database.
        let made = Glibc.open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        if made >= 0 { close(made) }
        let database = try Database(path: path)
        // What an earlier life wrote and did not sync (killed in the middle, or the sync failed) may be in the page cache
        // alone: it looks committed, and a sync that is asked for now proves nothing about it. So nothing is read before
        // it was copied into the database and synced there.
        try database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        try database.execute(Self.schema)
        let putMeta = try database.prepare("INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)")
        let putHardState = try database.prepare(
            "INSERT OR REPLACE INTO hard_state(id, term, voted_for, commit_index) VALUES(1, ?1, ?2, ?3)")
        let putEntry = try database.prepare("INSERT INTO log(idx, term, payload) VALUES(?1, ?2, ?3)")
        let cutFrom = try database.prepare("DELETE FROM log WHERE idx >= ?1")
        let cutThrough = try database.prepare("DELETE FROM log WHERE idx <= ?1")
        let putState = try database.prepare(
            "INSERT OR REPLACE INTO state(id, applied_index, value) VALUES(1, ?1, ?2)")
        // All at once: a value that cannot be copied cannot be left half made.
        self.putMeta = putMeta
        self.putHardState = putHardState
        self.putEntry = putEntry
        self.cutFrom = cutFrom
        self.cutThrough = cutThrough
        self.putState = putState
        self.database = database
    }

    private static let schema = """
        CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS hard_state(
            id INTEGER PRIMARY KEY CHECK(id = 1), term INTEGER NOT NULL, voted_for INTEGER,
            commit_index INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS log(idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, payload BLOB NOT NULL);
        CREATE TABLE IF NOT EXISTS state(
            id INTEGER PRIMARY KEY CHECK(id = 1), applied_index INTEGER NOT NULL, value BLOB NOT NULL);
        INSERT OR IGNORE INTO meta(key, value) VALUES('format', CAST('\(format)' AS BLOB));
        """

    // MARK: Reading

    package borrowing func load() throws(StoreError) -> StoredContents {
        var contents = StoredContents()
        let meta = try self.metaRows()
        let format = String(decoding: meta["format"] ?? [], as: UTF8.self)
        guard format == Self.format else { throw .newerFormat(format) }
        if let bytes = meta["identity"] { contents.identity = try Self.decode("identity", bytes) }
        contents.quorumMemory = meta["quorum_disk"] ?? []
        if let bytes = meta["base"] { contents.base = try Self.decode("base", bytes) }
        contents.hardState = try self.storedHardState()
        for (index, term, payload) in try self.logRows() {
            contents.entries.append(
                Entry(index: index, term: term, payload: try Self.decode("entry \(index)", payload)))
        }
        if let bytes = try self.stateRow() { contents.state = try Self.decode("state", bytes) }
        try Self.check(contents)
        return contents
    }

    private static func decode<Value: BinaryRecord>(_ what: String, _ bytes: [UInt8]) throws(StoreError) -> Value {
        do throws(RecordError) {
            return try Value(decoding: bytes)
        } catch {
            throw .damaged("\(what): \(error)")
        }
    }

    private borrowing func metaRows() throws(StoreError) -> [String: [UInt8]] {
        do throws(SQLiteError) {
            let query = try self.database.prepare("SELECT key, value FROM meta")
            var values: [String: [UInt8]] = [:]
            while try query.step() { values[query.string(0)] = query.bytes(1) }
            return values
        } catch {
            throw .database(error)
        }
    }

    private borrowing func storedHardState() throws(StoreError) -> HardState {
        do throws(SQLiteError) {
            let query = try self.database.prepare("SELECT term, voted_for, commit_index FROM hard_state")
            var found = HardState()
            while try query.step() {
                found = HardState(
                    term: query.uint64(0), votedFor: query.isNull(1) ? nil : query.uint64(1),
                    commitIndex: query.uint64(2))
            }
            return found
        } catch {
            throw .database(error)
        }
    }

    private borrowing func logRows() throws(StoreError) -> [(LogIndex, Term, [UInt8])] {
        do throws(SQLiteError) {
            let query = try self.database.prepare("SELECT idx, term, payload FROM log ORDER BY idx")
            var rows: [(LogIndex, Term, [UInt8])] = []
            while try query.step() { rows.append((query.uint64(0), query.uint64(1), query.bytes(2))) }
            return rows
        } catch {
            throw .database(error)
        }
    }

    private borrowing func stateRow() throws(StoreError) -> [UInt8]? {
        do throws(SQLiteError) {
            let query = try self.database.prepare("SELECT value FROM state")
            var value: [UInt8]?
            while try query.step() { value = query.bytes(0) }
            return value
        } catch {
            throw .database(error)
        }
    }

    /// The log follows its base without gaps, and the state lies within it.
    private static func check(_ contents: StoredContents) throws(StoreError) {
        var next = contents.base.index + 1
        for entry in contents.entries {
            guard entry.index == next else { throw .damaged("the log has a gap before entry \(entry.index)") }
            next += 1
        }
        if let state = contents.state {
            guard state.appliedIndex >= contents.base.index, state.appliedIndex < next else {
                throw .damaged("the state's index \(state.appliedIndex) is not in the log")
            }
        } else if contents.base.index > 0 {
            throw .damaged("the state is missing")
        }
    }

    // MARK: Writing

    /// All or none; on return it is on stable storage.
    package borrowing func commit(_ jobs: [StoreJob]) throws(StoreError) {
        do throws(SQLiteError) {
            try self.database.execute("BEGIN IMMEDIATE")
            do throws(SQLiteError) {
                for job in jobs { try self.perform(job) }
                try self.database.execute("COMMIT")
            } catch {
                try? self.database.execute("ROLLBACK")
                throw error
            }
        } catch {
            throw .database(error)
        }
    }

    private borrowing func perform(_ job: StoreJob) throws(SQLiteError) {
        switch job {
        case .identity(let identity): try self.put("identity", identity.encoded)
        case .quorumMemory(let bytes): try self.put("quorum_disk", bytes)
        case .found(let base, let hardState, let state):
            try self.put("base", base.encoded)
            try self.put(hardState)
            try self.put(state)
        case .write(let write, let state):
            if let hardState = write.hardState { try self.put(hardState) }
            if let snapshot = write.snapshot {
                try Self.cut(self.cutFrom, 0)
                try self.put("base", snapshot.encoded)
            }
            if let state { try self.put(state) }
            if let first = write.entries.first {
                try Self.cut(self.cutFrom, first.index)
                for entry in write.entries { try self.put(entry) }
            }
            if let compaction = write.compaction {
                try self.put("base", compaction.encoded)
                try Self.cut(self.cutThrough, compaction.index)
            }
        }
    }

    private borrowing func put(_ key: String, _ value: [UInt8]) throws(SQLiteError) {
        try self.putMeta.bind(key, at: 1)
        try self.putMeta.bind(value, at: 2)
        try self.putMeta.run()
    }

    private borrowing func put(_ hardState: HardState) throws(SQLiteError) {
        try self.putHardState.bind(hardState.term, at: 1)
        if let vote = hardState.votedFor {
            try self.putHardState.bind(vote, at: 2)
        } else {
            try self.putHardState.bindNull(at: 2)
        }
        try self.putHardState.bind(hardState.commitIndex, at: 3)
        try self.putHardState.run()
    }

    private borrowing func put(_ entry: Entry) throws(SQLiteError) {
        try self.putEntry.bind(entry.index, at: 1)
        try self.putEntry.bind(entry.term, at: 2)
        try self.putEntry.bind(entry.payload.encoded, at: 3)
        try self.putEntry.run()
    }

    private borrowing func put(_ state: ClusterState) throws(SQLiteError) {
        try self.putState.bind(state.appliedIndex, at: 1)
        try self.putState.bind(state.encoded, at: 2)
        try self.putState.run()
    }

    private static func cut(_ statement: borrowing Statement, _ index: LogIndex) throws(SQLiteError) {
        try statement.bind(index, at: 1)
        try statement.run()
    }
}
