import Raft
import SQLite
import StateRecords

/// The tables of `state.db`, and how a file of an earlier version becomes one of this.
///
/// Format 1 had no `sum` columns.
enum StateSchema {
    static let format = "2"

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
    static func prepare(_ database: borrowing Database) throws(StoreError) {
        do throws(SQLiteError) {
            try database.execute("BEGIN IMMEDIATE")
        } catch {
            throw .database(error)
        }
        do throws(StoreError) {
            try Self.bringUp(database)
            do throws(SQLiteError) { try database.execute("COMMIT") } catch { throw .database(error) }
        } catch {
            try? database.execute("ROLLBACK")
            throw error
        }
    }

    private static func bringUp(_ database: borrowing Database) throws(StoreError) {
        do throws(SQLiteError) {
            if try Self.isEmpty(database) {
                try database.execute(Self.tables)
                try Self.putFormat(database)
                return
            }
        } catch {
            throw .database(error)
        }
        switch try Self.storedFormat(database) {
        case Self.format: break
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

    private static func storedFormat(_ database: borrowing Database) throws(StoreError) -> String {
        do throws(SQLiteError) {
            let query = try database.prepare("SELECT value FROM meta WHERE key = 'format'")
            var bytes: [UInt8] = []
            while try query.step() { bytes = query.bytes(0) }
            return String(decoding: bytes, as: UTF8.self)
        } catch  where error.isSchemaMissing {
            throw .damaged("its tables are not there")
        } catch {
            throw .database(error)
        }
    }

    private static func putFormat(_ database: borrowing Database) throws(SQLiteError) {
        let put = try database.prepare("INSERT OR REPLACE INTO meta(key, value, sum) VALUES('format', ?1, ?2)")
        let value = Array(Self.format.utf8)
        try put.bind(value, at: 1)
        try put.bind(UInt64(RecordSum.meta("format", value)), at: 2)
        try put.run()
    }

    // MARK: From format 1

    private static func addSums(_ database: borrowing Database) throws(SQLiteError) {
        for table in ["meta", "hard_state", "log", "state"] {
            try database.execute("ALTER TABLE \(table) ADD COLUMN sum INTEGER NOT NULL DEFAULT 0")
        }
        try Self.putFormat(database)
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
