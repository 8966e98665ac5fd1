import Raft
import SQLite
import StateRecords

/// The tables of `state.db`, and how a file of an earlier version becomes one of this.
///
/// Format 1 had no `sum` columns. Format 3 has the same tables as 2, and in `meta` the `version` of the cluster that a program must
/// be able to run to read the file: what is of version 1 stays in format 2, which the programs of before versions read, and
/// they refuse 3.
enum StateSchema {
    /// The newest.
    static let format = "3"
    private static let firstVersionFormat = "2"

    private static let tables = """
        CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE hard_state(
            id INTEGER PRIMARY KEY CHECK(id = 1), term INTEGER NOT NULL, voted_for INTEGER,
            commit_index INTEGER NOT NULL, sum INTEGER NOT NULL);
        CREATE TABLE log(
            idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, payload BLOB NOT NULL, sum INTEGER NOT NULL);
        CREATE TABLE state(
            id INTEGER PRIMARY KEY CHECK(id = 1), applied_index INTEGER NOT NULL, value BLOB NOT NULL,
            sum INTEGER NOT NULL);
        """

    /// Makes the tables in an empty file and migrates those of an earlier version, all or nothing.
    static func prepare(
        _ database: borrowing Database, newest: ClusterVersion = .newest
    ) throws(StoreError) {
        do throws(SQLiteError) {
            try database.execute("BEGIN IMMEDIATE")
        } catch {
            throw .database(error)
        }
        do throws(StoreError) {
            try Self.bringUp(database, newest: newest)
            do throws(SQLiteError) { try database.execute("COMMIT") } catch { throw .database(error) }
        } catch {
            try? database.execute("ROLLBACK")
            throw error
        }
    }

    private static func bringUp(_ database: borrowing Database, newest: ClusterVersion) throws(StoreError) {
        do throws(SQLiteError) {
            if try Self.isEmpty(database) {
                try database.execute(Self.tables)
                try Self.put("format", Self.firstVersionFormat, database)
                return
            }
        } catch {
            throw .database(error)
        }
        switch try Self.storedText("format", database) {
        case Self.firstVersionFormat: break
        case Self.format:
            guard let needed = try Self.neededVersion(database) else { throw .damaged("its version is not readable") }
            guard needed <= newest else { throw .newerCluster(needed, newest: newest) }
        case "1":
            do throws(SQLiteError) { try Self.addSums(database) } catch { throw .database(error) }
        case let other where other.isEmpty || !other.allSatisfy(\.isWholeNumber):
            throw .damaged("its format is not readable")
        case let other: throw .newerFormat(other)
        }
    }

    private static func isEmpty(_ database: borrowing Database) throws(SQLiteError) -> Bool {
        let query = try database.prepare("SELECT count(*) FROM sqlite_master")
        var count: Int64 = 0
        while try query.step() { count = query.int64(0) }
        return count == 0
    }

    private static func text(_ key: String, _ database: borrowing Database) throws(SQLiteError) -> String {
        let query = try database.prepare("SELECT value FROM meta WHERE key = ?1")
        try query.bind(key, at: 1)
        var bytes: [UInt8] = []
        while try query.step() { bytes = query.bytes(0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func neededVersion(_ database: borrowing Database) throws(StoreError) -> ClusterVersion? {
        UInt16(try Self.storedText("version", database)).map { ClusterVersion(rawValue: $0) }
    }

    /// A program must be able to run that version, or a later one that is required already, to read the file from now on. Within
    /// a transaction.
    static func require(_ version: ClusterVersion, _ database: borrowing Database) throws(SQLiteError) {
        if let stored = UInt16(try Self.text("version", database)), stored >= version.rawValue { return }
        try Self.put("version", "\(version)", database)
        try Self.put("format", Self.format, database)
    }

    private static func storedText(_ key: String, _ database: borrowing Database) throws(StoreError) -> String {
        do throws(SQLiteError) {
            return try Self.text(key, database)
        } catch  where error.isSchemaMissing {
            throw .damaged("its tables are not there")
        } catch {
            throw .database(error)
        }
    }

    private static func put(_ key: String, _ text: String, _ database: borrowing Database) throws(SQLiteError) {
        let put = try database.prepare("INSERT OR REPLACE INTO meta(key, value, sum) VALUES(?1, ?2, ?3)")
        let value = Array(text.utf8)
        try put.bind(key, at: 1)
        try put.bind(value, at: 2)
        try put.bind(UInt64(RecordSum.meta(key, value)), at: 3)
        try put.run()
    }

    // MARK: From format 1

    private static func addSums(_ database: borrowing Database) throws(SQLiteError) {
        for table in ["meta", "hard_state", "log", "state"] {
            try database.execute("ALTER TABLE \(table) ADD COLUMN sum INTEGER NOT NULL DEFAULT 0")
        }
        try Self.put("format", Self.firstVersionFormat, database)
        do {
            let rows = try database.prepare("SELECT key, value FROM meta")
            let put = try database.prepare("UPDATE meta SET sum = ?2 WHERE key = ?1")
            var sums: [(String, UInt32)] = []
            while try rows.step() { sums.append((rows.string(0), RecordSum.meta(rows.string(0), rows.bytes(1)))) }
            for (key, sum) in sums {
                try put.bind(key, at: 1)
                try put.bind(UInt64(sum), at: 2)
                try put.run()
            }
        }
        do {
            let rows = try database.prepare("SELECT term, voted_for, commit_index FROM hard_state")
            let put = try database.prepare("UPDATE hard_state SET sum = ?1")
            var sum: UInt32?
            while try rows.step() { sum = RecordSum.hardState(rows.hardState()) }
            if let sum {
                try put.bind(UInt64(sum), at: 1)
                try put.run()
            }
        }
        do {
            let rows = try database.prepare("SELECT idx, term, payload FROM log")
            let put = try database.prepare("UPDATE log SET sum = ?2 WHERE idx = ?1")
            var sums: [(LogIndex, UInt32)] = []
            while try rows.step() {
                sums.append((rows.uint64(0), RecordSum.entry(rows.uint64(0), rows.uint64(1), rows.bytes(2))))
            }
            for (index, sum) in sums {
                try put.bind(index, at: 1)
                try put.bind(UInt64(sum), at: 2)
                try put.run()
            }
        }
        do {
            let rows = try database.prepare("SELECT applied_index, value FROM state")
            let put = try database.prepare("UPDATE state SET sum = ?1")
            var sum: UInt32?
            while try rows.step() { sum = RecordSum.state(rows.uint64(0), rows.bytes(1)) }
            if let sum {
                try put.bind(UInt64(sum), at: 1)
                try put.run()
            }
        }
    }
}

extension Statement {
    /// Of the columns term, voted_for, commit_index, the first three.
    borrowing func hardState() -> HardState {
        HardState(
            term: self.uint64(0), votedFor: self.isNull(1) ? nil : self.uint64(1), commitIndex: self.uint64(2))
    }
}
