import ClusterCore
import Glibc
import Raft
import SQLite
import StateRecords

package enum StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    case database(SQLiteError)
    /// The file is not what this node wrote, whether SQLite can read it or not.
    case damaged(String)
    case newerFormat(String)
    /// What is stored is of a version of the cluster that this node's program cannot run.
    case newerCluster(ClusterVersion, newest: ClusterVersion)
    /// Another file of the state directory.
    case file(String)
    /// `damaged`, and no other node has what was in it.
    case nothingToHealFrom(String)
    /// `damaged`, and what stands beside it is, too: nobody knows any more which node this was.
    case unknownNode(String)

    package var description: String {
        switch self {
        case .database(let error) where error.isDiskFull:
            "the disk of the state directory is full: make room there, then start the node again (state.db: \(error))"
        case .database(let error): "state.db: \(error)"
        case .damaged(let what): "state.db is damaged: \(what)"
        case .newerFormat(let what):
            "state.db was written by a newer version (format \(what), this one knows \(StateSchema.format)): upgrade "
                + "this node"
        case .newerCluster(let version, let newest):
            "state.db is of a cluster that runs version \(version), and this program can run no newer one than \(newest): install on "
                + "this node the program that the other nodes run. Nothing was changed"
        case .file(let what): what
        case .nothingToHealFrom(let what):
            "state.db is damaged (\(what)), and this cluster has no other node to take its contents from. Nothing was "
                + "changed. Move the state directory away, start clusterd on an empty one, and bring the cluster back with "
                + "'clusterctl restore FILE' from the last 'clusterctl backup'; the files on the LUN are not concerned"
        case .unknownNode(let what):
            "state.db is damaged (\(what)), and so is node.identity beside it: which node this was is not known here. On a "
                + "healthy node 'clusterctl leave NODE' takes it out; then move this state directory away and join again"
        }
    }

    /// What was stored is gone: no passing trouble of the disk or of the administrator's making.
    var damage: String? {
        switch self {
        case .damaged(let what): what
        case .database(let error) where error.isCorrupt: "\(error)"
        default: nil
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
    /// What is stored cannot be trusted: the next start takes nothing of it and asks the others. For people, why.
    case lost(String)
}

extension StoreJob {
    /// The version of the cluster that a program must be able to run, to read this.
    fileprivate var needed: ClusterVersion {
        switch self {
        case .identity, .quorumMemory, .lost: return 1
        case .found(_, _, let state): return state.version
        case .write(let write, let state):
            var needed = state?.version ?? 1
            for entry in write.entries {
                guard case .command(let payload) = entry.payload, let raised = Command.raised(by: payload) else {
                    continue
                }
                needed = max(needed, raised)
            }
            return needed
        }
    }
}

/// `state.db`: the Raft log, the hard state, the state with its applied index, and the node's identity in one file, so
/// that they change together. The state in memory is the stored one plus the log's entries behind it. Every row has a
/// checksum (``RecordSum``), which is looked at whenever the row is read.
package struct StateDatabase: ~Copyable {
    /// Up to this size SQLite's own check of the whole file is made at every start: it takes a second for some GB.
    private static let quickCheckBytes = 256 << 20
    /// Below the shortest election time-out.
    private static let busyMilliseconds = 1000

    private let begin: Statement
    private let end: Statement
    private let putMeta: Statement
    private let putHardState: Statement
    private let putEntry: Statement
    private let cutFrom: Statement
    private let cutThrough: Statement
    private let putState: Statement
    // Last, so that the statements are released before it.
    private let database: Database

    /// `newest`: a file that needs a later version of the cluster is refused, and left as it is.
    package static func open(path: String, newest: ClusterVersion = .newest) throws(StoreError) -> StateDatabase {
        // SQLite gives its -wal and -shm files the mode of the database.
        let made = Glibc.open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        if made >= 0 { close(made) }
        let database = try Self.connect(path)
        // What an earlier life wrote and did not sync (killed in the middle, or the sync failed) may be in the page cache
        // alone: it looks committed, and a sync that is asked for now proves nothing about it. So nothing is read before it
        // was copied into the database and synced there.
        try Self.execute(database, "PRAGMA wal_checkpoint(TRUNCATE)")
        try StateSchema.prepare(database, newest: newest)
        do throws(SQLiteError) {
            return try StateDatabase(database)
        } catch  where error.isSchemaMissing {
            throw .damaged("its tables are not there")
        } catch {
            throw .database(error)
        }
    }

    private init(_ database: consuming Database) throws(SQLiteError) {
        let begin = try database.prepare("BEGIN IMMEDIATE")
        let end = try database.prepare("COMMIT")
        let putMeta = try database.prepare("INSERT OR REPLACE INTO meta(key, value, sum) VALUES(?1, ?2, ?3)")
        let putHardState = try database.prepare(
            "INSERT OR REPLACE INTO hard_state(id, term, voted_for, commit_index, sum) VALUES(1, ?1, ?2, ?3, ?4)")
        let putEntry = try database.prepare("INSERT INTO log(idx, term, payload, sum) VALUES(?1, ?2, ?3, ?4)")
        let cutFrom = try database.prepare("DELETE FROM log WHERE idx >= ?1")
        let cutThrough = try database.prepare("DELETE FROM log WHERE idx <= ?1")
        let putState = try database.prepare(
            "INSERT OR REPLACE INTO state(id, applied_index, value, sum) VALUES(1, ?1, ?2, ?3)")
        // All at once: a value that cannot be copied cannot be left half made.
        self.begin = begin
        self.end = end
        self.putMeta = putMeta
        self.putHardState = putHardState
        self.putEntry = putEntry
        self.cutFrom = cutFrom
        self.cutThrough = cutThrough
        self.putState = putState
        self.database = database
    }

    // MARK: Reading

    package borrowing func load() throws(StoreError) -> StoredContents {
        if try Self.pageBytes(self.database) <= Self.quickCheckBytes { try Self.quickCheck(self.database) }
        var contents = StoredContents()
        let meta = try Self.metaRows(self.database)
        if let bytes = meta["identity"] { contents.identity = try Self.decode("identity", bytes) }
        contents.quorumMemory = meta["quorum_disk"] ?? []
        if let bytes = meta["base"] { contents.base = try Self.decode("base", bytes) }
        let hardState = try Self.storedHardState(self.database)
        contents.hardState = hardState ?? HardState()
        try Self.eachEntry(self.database) { (index, term, payload) throws(StoreError) in
            contents.entries.append(
                Entry(index: index, term: term, payload: try Self.decode("entry \(index)", payload)))
        }
        if let bytes = try Self.stateRow(self.database) { contents.state = try Self.decode("state", bytes) }
        try Self.check(contents, hardState: hardState)
        return contents
    }

    /// Reads all of a file that another connection may be writing, as of one moment, and looks at every checksum. Takes
    /// nothing from the writer but time.
    static func verify(path: String) throws(StoreError) {
        guard access(path, F_OK) == 0 else { throw .damaged("the file is gone") }
        let database = try Self.connect(path)
        try Self.execute(database, "BEGIN")
        try Self.quickCheck(database)
        _ = try Self.metaRows(database)
        _ = try Self.storedHardState(database)
        try Self.eachEntry(database) { _, _, _ in }
        _ = try Self.stateRow(database)
    }

    /// The state and the whole log of a file that another connection may be writing, as of one moment.
    static func read(path: String) throws(StoreError) -> (state: ClusterState?, entries: [Entry]) {
        let database = try Self.connect(path)
        try Self.execute(database, "BEGIN")
        var entries: [Entry] = []
        try Self.eachEntry(database) { (index, term, payload) throws(StoreError) in
            entries.append(Entry(index: index, term: term, payload: try Self.decode("entry \(index)", payload)))
        }
        guard let bytes = try Self.stateRow(database) else { return (nil, entries) }
        return (try Self.decode("state", bytes), entries)
    }

    private static func decode<Value: BinaryRecord>(_ what: String, _ bytes: [UInt8]) throws(StoreError) -> Value {
        do throws(RecordError) {
            return try Value(decoding: bytes)
        } catch {
            throw .damaged("\(what): \(error)")
        }
    }

    private static func check(_ sum: UInt32, _ stored: UInt64, _ what: @autoclosure () -> String) throws(StoreError) {
        guard UInt64(sum) == stored else { throw .damaged("\(what()): the checksum is wrong") }
    }

    private static func pageBytes(_ database: borrowing Database) throws(StoreError) -> Int {
        let query = try Self.query(
            database, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        var count: Int64 = 0
        while try Self.next(query) { count = query.int64(0) }
        return Int(count)
    }

    private static func quickCheck(_ database: borrowing Database) throws(StoreError) {
        let query = try Self.query(database, "PRAGMA quick_check(1)")
        var said: [String] = []
        while try Self.next(query) { said.append(query.string(0)) }
        guard said == ["ok"] else { throw .damaged(said.first ?? "quick_check says nothing") }
    }

    private static func metaRows(_ database: borrowing Database) throws(StoreError) -> [String: [UInt8]] {
        let query = try Self.query(database, "SELECT key, value, sum FROM meta")
        var values: [String: [UInt8]] = [:]
        while try Self.next(query) {
            let key = query.string(0)
            let value = query.bytes(1)
            try Self.check(RecordSum.meta(key, value), query.uint64(2), "meta \(key)")
            values[key] = value
        }
        return values
    }

    private static func storedHardState(_ database: borrowing Database) throws(StoreError) -> HardState? {
        let query = try Self.query(database, "SELECT term, voted_for, commit_index, sum FROM hard_state")
        var found: HardState?
        while try Self.next(query) {
            let state = query.hardState()
            try Self.check(RecordSum.hardState(state), query.uint64(3), "hard state")
            found = state
        }
        return found
    }

    /// In the order of their indices.
    private static func eachEntry(
        _ database: borrowing Database, _ body: (LogIndex, Term, [UInt8]) throws(StoreError) -> Void
    ) throws(StoreError) {
        let query = try Self.query(database, "SELECT idx, term, payload, sum FROM log ORDER BY idx")
        while try Self.next(query) {
            let (index, term, payload) = (query.uint64(0), query.uint64(1), query.bytes(2))
            try Self.check(RecordSum.entry(index, term, payload), query.uint64(3), "entry \(index)")
            try body(index, term, payload)
        }
    }

    private static func stateRow(_ database: borrowing Database) throws(StoreError) -> [UInt8]? {
        let query = try Self.query(database, "SELECT applied_index, value, sum FROM state")
        var found: [UInt8]?
        while try Self.next(query) {
            let value = query.bytes(1)
            try Self.check(RecordSum.state(query.uint64(0), value), query.uint64(2), "state")
            found = value
        }
        return found
    }

    private static func connect(_ path: String) throws(StoreError) -> Database {
        do throws(SQLiteError) {
            let database = try Database(path: path)
            // Somebody who looks at the file with sqlite3 may lock it for a moment: no reason to end the node.
            try database.execute("PRAGMA busy_timeout=\(Self.busyMilliseconds)")
            return database
        } catch {
            throw .database(error)
        }
    }

    private static func execute(_ database: borrowing Database, _ sql: String) throws(StoreError) {
        do throws(SQLiteError) { try database.execute(sql) } catch { throw .database(error) }
    }

    private static func query(_ database: borrowing Database, _ sql: String) throws(StoreError) -> Statement {
        do throws(SQLiteError) {
            return try database.prepare(sql)
        } catch  where error.isSchemaMissing {
            throw .damaged("its tables are not there")
        } catch {
            throw .database(error)
        }
    }

    private static func next(_ query: borrowing Statement) throws(StoreError) -> Bool {
        do throws(SQLiteError) { return try query.step() } catch { throw .database(error) }
    }

    /// The log follows its base without gaps, and the state lies within it.
    private static func check(_ contents: StoredContents, hardState: HardState?) throws(StoreError) {
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
        if hardState == nil, contents.base.index > 0 || !contents.entries.isEmpty {
            throw .damaged("the hard state is missing")
        }
    }

    // MARK: Writing

    /// All or none; on return it is on stable storage.
    package borrowing func commit(_ jobs: [StoreJob]) throws(StoreError) {
        do throws(SQLiteError) {
            try self.begin.run()
            do throws(SQLiteError) {
                var hardState: HardState?
                for job in jobs { try self.perform(job, &hardState) }
                // The last one stands for all of the transaction.
                if let hardState { try self.put(hardState) }
                // With what needs it: a program that would skip it must not find it without being told.
                let needed = jobs.map(\.needed).max() ?? .oldest
                if needed > 1 { try StateSchema.require(needed, self.database) }
                try self.end.run()
            } catch {
                try? self.database.execute("ROLLBACK")
                throw error
            }
        } catch {
            throw .database(error)
        }
    }

    private borrowing func perform(_ job: StoreJob, _ last: inout HardState?) throws(SQLiteError) {
        switch job {
        case .identity(let identity): try self.put("identity", identity.encoded)
        case .quorumMemory(let bytes): try self.put("quorum_disk", bytes)
        case .lost: break
        case .found(let base, let hardState, let state):
            try self.put("base", base.encoded)
            last = hardState
            try self.put(state)
        case .write(let write, let state):
            last = write.hardState ?? last
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
        try self.putMeta.bind(UInt64(RecordSum.meta(key, value)), at: 3)
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
        try self.putHardState.bind(UInt64(RecordSum.hardState(hardState)), at: 4)
        try self.putHardState.run()
    }

    private borrowing func put(_ entry: Entry) throws(SQLiteError) {
        try self.putEntry.bind(entry.index, at: 1)
        try self.putEntry.bind(entry.term, at: 2)
        let payload = entry.payload.encoded
        try self.putEntry.bind(payload, at: 3)
        try self.putEntry.bind(UInt64(RecordSum.entry(entry.index, entry.term, payload)), at: 4)
        try self.putEntry.run()
    }

    private borrowing func put(_ state: ClusterState) throws(SQLiteError) {
        try self.putState.bind(state.appliedIndex, at: 1)
        let value = state.encoded
        try self.putState.bind(value, at: 2)
        try self.putState.bind(UInt64(RecordSum.state(state.appliedIndex, value)), at: 3)
        try self.putState.run()
    }

    private static func cut(_ statement: borrowing Statement, _ index: LogIndex) throws(SQLiteError) {
        try statement.bind(index, at: 1)
        try statement.run()
    }
}
