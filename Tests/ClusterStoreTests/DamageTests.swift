import CSQLite
import ClusterCore
import Foundation
import Raft
import SQLite
import StateRecords
import Testing

@testable import ClusterStore

/// What is noticed of a state that is not as it was left.
@Suite struct DamageTests {
    private let folder = TemporaryFolder()

    private func change(_ sql: String) throws { try Database(path: self.folder.database).execute(sql) }

    /// nil: it went unnoticed.
    private func damage() throws -> String? {
        do throws(StoreError) {
            _ = try StateDatabase.open(path: self.folder.database).load()
            return nil
        } catch {
            guard let damage = error.damage else { throw error }
            return damage
        }
    }

    /// Every field of every table, by one bit or by a row that goes or stands in another's place.
    @Test(
        arguments: [
            ("UPDATE meta SET value = x'00' || substr(value, 2) WHERE key = 'identity'", "meta identity"),
            ("UPDATE meta SET value = x'00' || substr(value, 2) WHERE key = 'base'", "meta base"),
            ("UPDATE meta SET value = x'010204' WHERE key = 'quorum_disk'", "meta quorum_disk"),
            ("UPDATE meta SET key = 'quorum_dish' WHERE key = 'quorum_disk'", "meta quorum_dish"),
            ("UPDATE meta SET sum = sum + 1 WHERE key = 'base'", "meta base"),
            ("UPDATE hard_state SET term = 3", "hard state"),
            ("UPDATE hard_state SET voted_for = 2", "hard state"),
            ("UPDATE hard_state SET voted_for = NULL", "hard state"),
            ("UPDATE hard_state SET commit_index = 2", "hard state"),
            ("DELETE FROM hard_state", "the hard state is missing"),
            ("UPDATE log SET term = 1 WHERE idx = 7", "entry 7"),
            ("UPDATE log SET payload = payload || x'00' WHERE idx = 7", "entry 7"),
            ("UPDATE log SET payload = (SELECT payload FROM log WHERE idx = 8) WHERE idx = 7", "entry 7"),
            (
                "UPDATE log SET payload = (SELECT payload FROM log WHERE idx = 8), "
                    + "sum = (SELECT sum FROM log WHERE idx = 8) WHERE idx = 7", "entry 7"
            ),
            ("DELETE FROM log WHERE idx = 7", "gap before entry 8"),
            ("UPDATE state SET applied_index = 2", "state"),
            ("UPDATE state SET value = substr(value, 1, length(value) - 1)", "state"),
            ("DELETE FROM state", "the state is missing"),
            ("DROP TABLE log", "tables are not there"),
            ("DROP TABLE meta", "tables are not there"),
            ("ALTER TABLE state DROP COLUMN sum", "tables are not there"),
            ("UPDATE meta SET value = x'' WHERE key = 'format'", "format"),
        ]) func aChangedRowIsNoticed(sql: String, says: String) throws
    {
        try self.folder.live()
        try self.change(sql)
        let damage = try self.damage()
        #expect(damage?.contains(says) == true, "\(damage ?? "unnoticed")")
    }

    /// A byte anywhere in the file: it is noticed, or it was one that nothing is in.
    @Test func aFlippedByteIsNoticedOrMeansNothing() throws {
        let whole = try self.folder.live()
        let bytes = self.folder.bytes(self.folder.database)
        var noticed = 0
        for position in stride(from: 3, to: bytes.count, by: 47) {
            var changed = bytes
            changed[position] ^= 1 << (position % 8)
            let other = TemporaryFolder()
            other.put(changed, other.database)
            do throws(StoreError) {
                let found = try StateDatabase.open(path: other.database).load()
                let isWhole = found == whole
                #expect(isWhole, "byte \(position) of \(bytes.count) went unnoticed")
            } catch {
                noticed += 1
                // A changed format may look like a newer one; SQLite refuses a header of a version that it does not know.
                #expect(error.damage != nil || position < 100 || "\(error)".contains("newer"), "\(position): \(error)")
            }
        }
        // A third of the file is full.
        #expect(noticed > 100)
    }

    @Test func aTruncatedFileIsNoticed() throws {
        let whole = try self.folder.live()
        let bytes = self.folder.bytes(self.folder.database)
        for count in [
            1, 50, 99, 100, 512, 4095, 4096, 5000, 8192, bytes.count / 2, bytes.count - 4096, bytes.count - 1,
        ] {
            let other = TemporaryFolder()
            other.put(bytes.prefix(count), other.database)
            try NodeFile(identity: identity).write(to: other.state.nodeFile)
            let start = try other.state.open()
            let isWhole = start.lost == nil && start.contents == whole
            #expect(start.lost != nil || isWhole, "cut to \(count) of \(bytes.count)")
        }
    }

    @Test func somethingElseInItsPlaceIsNoticed() throws {
        self.folder.put(Array("SQLite format 4, or a letter to somebody else".utf8), self.folder.database)
        #expect(try self.damage() != nil)
    }

    /// What a running node finds by looking at the file, while it holds it open.
    @Test func aRunningStoreNotices() throws {
        try self.folder.live()
        let database = try StateDatabase.open(path: self.folder.database)
        try StateDatabase.verify(path: self.folder.database)
        try self.change("UPDATE log SET payload = payload || x'00' WHERE idx = 7")
        #expect(throws: StoreError.damaged("entry 7: the checksum is wrong")) {
            try StateDatabase.verify(path: self.folder.database)
        }
        unlink(self.folder.database)
        #expect(throws: StoreError.damaged("the file is gone")) {
            try StateDatabase.verify(path: self.folder.database)
        }
        _ = consume database
    }

    // MARK: Versions

    private static let firstFormat = """
        CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE hard_state(
            id INTEGER PRIMARY KEY CHECK(id = 1), term INTEGER NOT NULL, voted_for INTEGER,
            commit_index INTEGER NOT NULL);
        CREATE TABLE log(idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, payload BLOB NOT NULL);
        CREATE TABLE state(
            id INTEGER PRIMARY KEY CHECK(id = 1), applied_index INTEGER NOT NULL, value BLOB NOT NULL);
        INSERT INTO meta(key, value) VALUES('format', CAST('1' AS BLOB));
        """

    @Test func aFileOfTheFirstFormatIsMigrated() throws {
        let whole = try self.folder.live()
        let older = TemporaryFolder()
        do {
            let database = try Database(path: older.database)
            try database.execute(Self.firstFormat)
            try database.execute("ATTACH '\(self.folder.database)' AS new")
            try database.execute(
                """
                INSERT INTO main.meta SELECT key, value FROM new.meta WHERE key != 'format';
                INSERT INTO main.hard_state SELECT id, term, voted_for, commit_index FROM new.hard_state;
                INSERT INTO main.log SELECT idx, term, payload FROM new.log;
                INSERT INTO main.state SELECT id, applied_index, value FROM new.state;
                """)
        }
        #expect(try StateDatabase.open(path: older.database).load() == whole)
        // And again, from what the migration left.
        let again = try StateDatabase.open(path: older.database)
        #expect(try again.load() == whole)
        try again.commit([.write(Write(sequence: 1, entries: [entry(41, 2)]), state: nil)])
        #expect(try again.load().entries.last == entry(41, 2))
    }

    @Test func aNewerFormatIsRefusedAndLeftAlone() throws {
        try self.folder.live()
        try self.change("UPDATE meta SET value = CAST('4' AS BLOB) WHERE key = 'format'")
        let before = self.folder.bytes(self.folder.database)
        #expect(throws: StoreError.newerFormat("4")) { _ = try self.folder.state.open() }
        #expect(self.folder.state.damaged.isEmpty)
        #expect(self.folder.bytes(self.folder.database) == before)
    }
}

/// What a node starts with when its state is not what it was.
@Suite struct LossTests {
    private let folder = TemporaryFolder()

    private func start() throws -> StateStart { try self.folder.state.open() }

    @Test func aWholeStateIsTaken() throws {
        let whole = try self.folder.live()
        let start = try self.start()
        #expect(start.contents == whole)
        #expect(start.lost == nil)
    }

    /// Of a version that wrote no such file, or of a crash before it was written.
    @Test func aStateWithoutItsFileBesideIsTaken() throws {
        let whole = try self.folder.live()
        unlink(self.folder.state.nodeFile)
        #expect(try self.start().contents == whole)
        self.folder.put([1, 2, 3], self.folder.state.nodeFile)
        #expect(try self.start().contents == whole)
    }

    @Test func aDamagedStateIsSetAsideAndTheNodeKnowsWhoItWas() throws {
        try self.folder.live()
        try Database(path: self.folder.database).execute("UPDATE hard_state SET term = 1")
        let start = try self.start()
        #expect(start.contents == StoredContents())
        #expect(start.lost?.identity == identity)
        #expect(start.lost?.lost == "hard state: the checksum is wrong")
        let aside = self.folder.state.damaged
        #expect(aside.count == 1)
        var information = stat()
        #expect(stat(self.folder.path + "/" + (aside.first ?? ""), &information) == 0 && information.st_size > 0)
        _ = consume start
        // A crash before the others took it back changes nothing, and sets nothing more aside.
        let again = try self.start()
        #expect(again.lost?.lost == "hard state: the checksum is wrong")
        #expect(self.folder.state.damaged == aside)
    }

    @Test func aMissingStateIsALoss() throws {
        try self.folder.live()
        for suffix in ["", "-wal", "-shm"] { unlink(self.folder.database + suffix) }
        #expect(try self.start().lost?.lost == "the file is gone")
        #expect(self.folder.state.damaged.isEmpty)
    }

    @Test(
        arguments: [
            (NodeFile(identity: identity, term: 3), "it knows term 2, where this node was in term 3"),
            (NodeFile(identity: identity.started(4), term: 2, votedFor: 1), "start 3 of node 1"),
            (NodeFile(identity: identity, term: 2, votedFor: 1, lost: "found so"), "found so"),
        ]) func aStateThatForgotIsALoss(file: NodeFile, says: String) throws
    {
        try self.folder.live()
        try file.write(to: self.folder.state.nodeFile)
        let lost = try self.start().lost
        #expect(lost?.lost?.contains(says) == true, "\(lost?.lost ?? "taken")")
        #expect(self.folder.state.damaged.count == 1)
    }

    @Test func aForgottenVoteIsALoss() throws {
        try self.folder.live()
        try StateDatabase.open(path: self.folder.database).commit([
            .write(Write(sequence: 1, hardState: HardState(term: 2, votedFor: nil, commitIndex: 3)), state: nil)
        ])
        #expect(try self.start().lost != nil)
    }

    /// A crash between the two writes of a start leaves the file beside behind, never ahead.
    @Test func aFileBesideThatIsOlderIsNoLoss() throws {
        let whole = try self.folder.live()
        try NodeFile(identity: identity.started(2), term: 1).write(to: self.folder.state.nodeFile)
        #expect(try self.start().contents == whole)
    }

    @Test func theOnlyNodeStopsAndChangesNothing() throws {
        try self.folder.live()
        var alone = identity
        alone.peers = [identity.peers[0]]
        try NodeFile(identity: alone, term: 2, votedFor: 1).write(to: self.folder.state.nodeFile)
        try Database(path: self.folder.database).execute("UPDATE hard_state SET term = 1")
        let before = self.folder.bytes(self.folder.database)
        #expect(throws: StoreError.nothingToHealFrom("hard state: the checksum is wrong")) { _ = try self.start() }
        #expect(self.folder.bytes(self.folder.database) == before)
        #expect(self.folder.state.damaged.isEmpty)
    }

    @Test func whereNobodyKnowsWhoItWasItStops() throws {
        try self.folder.live()
        unlink(self.folder.state.nodeFile)
        try Database(path: self.folder.database).execute("UPDATE hard_state SET term = 1")
        #expect(throws: StoreError.unknownNode("hard state: the checksum is wrong")) { _ = try self.start() }
        #expect(self.folder.state.damaged.isEmpty)
    }

    @Test func onlySomeDamagedStatesStay() throws {
        for number in 1...5 { self.folder.put([1], "\(self.folder.path)/state.db.damaged-10\(number)") }
        try self.folder.live()
        try Database(path: self.folder.database).execute("UPDATE hard_state SET term = 1")
        _ = try self.start()
        let kept = self.folder.state.damaged
        #expect(kept.count == StateFolder.keptDamaged)
        #expect(kept.prefix(2) == ["state.db.damaged-104", "state.db.damaged-105"])
    }

    /// The new id's first start ends the loss; a note of a loss ends with nothing else.
    @Test func aNewIdentityEndsTheLoss() throws {
        try self.folder.live()
        let outcomes = Mailbox<ClusterStore.Outcome>()
        func stop(_ store: ClusterStore, after job: StoreJob) {
            store.submit(job)
            outcomes.wait(milliseconds: 5000)
            _ = outcomes.drain()
            store.stop()
        }
        // Its thread closes the file a moment later.
        func open() throws -> ClusterStore.Opened {
            for _ in 0..<100 {
                if let opened = try? ClusterStore.open(self.folder.state, report: { outcomes.post($0) }) {
                    return opened
                }
                usleep(20_000)
            }
            return try ClusterStore.open(self.folder.state) { outcomes.post($0) }
        }
        stop(try open().store, after: .lost("noticed"))
        let opened = try open()
        #expect(opened.lost?.lost == "noticed")
        var new = identity
        new.id = 3
        new.incarnation = 1
        stop(opened.store, after: .identity(new))
        let again = try open()
        #expect(again.lost == nil)
        #expect(again.contents.identity == new)
    }

    @Test func theFileBesideIsTheOwnersAloneAndEveryByteOfItCounts() throws {
        let file = NodeFile(identity: identity, term: 9, votedFor: 2, lost: "why")
        try file.write(to: self.folder.state.nodeFile)
        var information = stat()
        #expect(stat(self.folder.state.nodeFile, &information) == 0)
        #expect(information.st_mode & 0o777 == 0o600)
        #expect(try NodeFile.read(self.folder.state.nodeFile) == .found(file))
        for index in file.bytes.indices {
            var changed = file.bytes
            changed[index] ^= 1
            guard case .damaged = NodeFile.reading(changed) else {
                Issue.record("byte \(index) went unnoticed")
                return
            }
            guard case .damaged = NodeFile.reading(Array(file.bytes.prefix(index))) else {
                Issue.record("a file of \(index) bytes went unnoticed")
                return
            }
        }
    }
}

extension NodeIdentity {
    fileprivate func started(_ incarnation: UInt64) -> NodeIdentity {
        var copy = self
        copy.incarnation = incarnation
        return copy
    }
}
