import CSQLite

/// What SQLite said. The first failure of a commit or a sync poisons a durable store for good; who owns the store
/// decides that, this only reports.
package struct SQLiteError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The extended result code, <https://www.sqlite.org/rescode.html>.
    package let code: Int32
    package let message: String
    /// What was being done: an SQL text or a call's name.
    package let operation: String

    package var isDiskFull: Bool { self.code & 0xFF == SQLITE_FULL }
    package var isCorrupt: Bool { self.code & 0xFF == SQLITE_CORRUPT || self.code & 0xFF == SQLITE_NOTADB }
    /// The text is right where the tables are as they should be: one of them, or a column, is not there.
    package var isSchemaMissing: Bool { self.code == SQLITE_ERROR }

    package var description: String { "\(self.operation): \(self.message) (SQLite error \(self.code))" }
}

/// One connection to one database file, used by one thread at a time.
package struct Database: ~Copyable {
    private let handle: OpaquePointer

    /// Opens or makes the file (mode 0600 is the caller's umask or directory), in WAL mode with `synchronous=FULL`:
    /// a transaction that was committed is on the disk.
    package init(path: String) throws(SQLiteError) {
        self.handle = try Self.open(path)
    }

    private static func open(_ path: String) throws(SQLiteError) -> OpaquePointer {
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let result = sqlite3_open_v2(path, &opened, flags, nil)
        guard result == SQLITE_OK, let opened else {
            let message = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close_v2(opened)
            throw SQLiteError(code: result, message: message, operation: "open \(path)")
        }
        let pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON"
        let set = sqlite3_exec(opened, pragmas, nil, nil, nil)
        guard set == SQLITE_OK else {
            let error = SQLiteError(
                code: set, message: String(cString: sqlite3_errmsg(opened)), operation: "open \(path)")
            sqlite3_close_v2(opened)
            throw error
        }
        return opened
    }

    deinit { sqlite3_close_v2(self.handle) }

    /// Runs statements that give no rows (or whose rows nobody wants).
    package borrowing func execute(_ sql: String) throws(SQLiteError) {
        let result = sqlite3_exec(self.handle, sql, nil, nil, nil)
        guard result == SQLITE_OK else { throw self.failure(result, sql) }
    }

    package borrowing func prepare(_ sql: String) throws(SQLiteError) -> Statement {
        var statement: OpaquePointer?
        let result = sqlite3_prepare_v3(self.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard result == SQLITE_OK, let statement else { throw self.failure(result, sql) }
        return Statement(statement: statement, database: self.handle, sql: sql)
    }

    /// All or none. An error inside rolls back and is thrown on.
    package borrowing func transaction(_ body: () throws(SQLiteError) -> Void) throws(SQLiteError) {
        try self.execute("BEGIN IMMEDIATE")
        do {
            try body()
            try self.execute("COMMIT")
        } catch {
            // The error to report is the first; after a failed COMMIT SQLite may have rolled back by itself.
            sqlite3_exec(self.handle, "ROLLBACK", nil, nil, nil)
            throw error
        }
    }

    package var changes: Int { Int(sqlite3_changes64(self.handle)) }

    @inline(never)
    private borrowing func failure(_ code: Int32, _ operation: String) -> SQLiteError {
        SQLiteError(code: code, message: String(cString: sqlite3_errmsg(self.handle)), operation: operation)
    }
}

/// A prepared statement, to be bound, stepped and reset again and again. Must not outlive its ``Database``: keep the two
/// in one owner, statements released first.
package struct Statement: ~Copyable {
    private let statement: OpaquePointer
    private let database: OpaquePointer
    private let sql: String

    fileprivate init(statement: OpaquePointer, database: OpaquePointer, sql: String) {
        self.statement = statement
        self.database = database
        self.sql = sql
    }

    deinit { sqlite3_finalize(self.statement) }

    /// `index` counts from 1.
    package borrowing func bind(_ value: Int64, at index: Int32) throws(SQLiteError) {
        try self.check(sqlite3_bind_int64(self.statement, index, value))
    }

    /// SQLite keeps 64-bit integers signed: the bits are kept, the order of values above Int64.max is not.
    package borrowing func bind(_ value: UInt64, at index: Int32) throws(SQLiteError) {
        try self.bind(Int64(bitPattern: value), at: index)
    }

    package borrowing func bind(_ value: String, at index: Int32) throws(SQLiteError) {
        try self.check(sqlite3_bind_text(self.statement, index, value, -1, transient))
    }

    package borrowing func bind(_ value: [UInt8], at index: Int32) throws(SQLiteError) {
        let result = value.withUnsafeBytes {
            // A null pointer would bind NULL; an empty blob is a zero-length blob.
            $0.count == 0
                ? sqlite3_bind_zeroblob(self.statement, index, 0)
                : sqlite3_bind_blob64(self.statement, index, $0.baseAddress, UInt64($0.count), transient)
        }
        try self.check(result)
    }

    package borrowing func bindNull(at index: Int32) throws(SQLiteError) {
        try self.check(sqlite3_bind_null(self.statement, index))
    }

    /// True with a row, false when done (and reset then).
    package borrowing func step() throws(SQLiteError) -> Bool {
        switch sqlite3_step(self.statement) {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            sqlite3_reset(self.statement)
            return false
        case let code:
            let error = SQLiteError(
                code: code, message: String(cString: sqlite3_errmsg(self.database)), operation: self.sql)
            sqlite3_reset(self.statement)
            throw error
        }
    }

    /// Runs a statement that gives no rows.
    package borrowing func run() throws(SQLiteError) { while try self.step() {} }

    package borrowing func reset() { sqlite3_reset(self.statement) }

    /// `column` counts from 0.
    package borrowing func int64(_ column: Int32) -> Int64 { sqlite3_column_int64(self.statement, column) }
    package borrowing func uint64(_ column: Int32) -> UInt64 { UInt64(bitPattern: self.int64(column)) }
    package borrowing func isNull(_ column: Int32) -> Bool {
        sqlite3_column_type(self.statement, column) == SQLITE_NULL
    }

    package borrowing func bytes(_ column: Int32) -> [UInt8] {
        guard let base = sqlite3_column_blob(self.statement, column) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: base, count: Int(sqlite3_column_bytes(self.statement, column))))
    }

    package borrowing func string(_ column: Int32) -> String {
        guard let text = sqlite3_column_text(self.statement, column) else { return "" }
        return String(cString: text)
    }

    private borrowing func check(_ code: Int32) throws(SQLiteError) {
        guard code == SQLITE_OK else {
            throw SQLiteError(code: code, message: String(cString: sqlite3_errmsg(self.database)), operation: self.sql)
        }
    }
}

/// SQLITE_TRANSIENT: SQLite copies the bytes before the bind returns. A macro of C that Swift does not import.
private let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
