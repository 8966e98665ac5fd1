import ClusterCore
import Foundation
import Raft
import SQLite
import StateRecords
import Testing

@testable import ClusterStore

@Suite struct StateDatabaseTests {
    private let folder = TemporaryFolder()
    private var path: String { self.folder.path + "/state.db" }

    private func founded() throws -> StateDatabase {
        let database = try StateDatabase.open(path: self.path)
        try database.commit([.found(base: base, HardState(term: 1, commitIndex: 1), founding)])
        return database
    }

    private func reopened() throws -> StoredContents { try StateDatabase.open(path: self.path).load() }

    @Test func anEmptyFileIsANodeWithoutAnEarlierLife() throws {
        #expect(try self.reopened() == StoredContents())
    }

    @Test func theFileIsTheOwnersAlone() throws {
        _ = try self.founded()
        var information = stat()
        #expect(stat(self.path, &information) == 0)
        #expect(information.st_mode & 0o777 == 0o600)
    }

    @Test func aRestartFindsWhatWasCommitted() throws {
        let identity = NodeIdentity(
            id: 1, name: "node-a", clusterName: "tshare", address: "10.0.0.1:7420", role: .data, certificatePEM: "c",
            keyPEM: "k", authorityPEM: "a", incarnation: 3)
        do {
            let database = try self.founded()
            try database.commit([
                .identity(identity),
                .write(
                    Write(
                        sequence: 1, hardState: HardState(term: 2, votedFor: 1, commitIndex: 1),
                        entries: [entry(2, 2), entry(3, 2), entry(4, 2)]), state: nil),
                // A new leader's entries replace the tail.
                .write(
                    Write(
                        sequence: 2, hardState: HardState(term: 3, votedFor: nil, commitIndex: 2),
                        entries: [entry(3, 3, "other")]), state: nil),
            ])
        }
        let found = try self.reopened()
        #expect(found.identity == identity)
        #expect(found.hardState == HardState(term: 3, votedFor: nil, commitIndex: 2))
        #expect(found.base == base)
        #expect(found.entries == [entry(2, 2), entry(3, 3, "other")])
        #expect(found.state == founding)
    }

    /// Without a former name its bytes are those of the version that knew none.
    @Test func anIdentityRemembersTheNameBefore() throws {
        var renamed = identity
        renamed.rename(to: "other")
        #expect(renamed.formerName == identity.name)
        #expect(try NodeIdentity(decoding: renamed.encoded) == renamed)
        #expect(identity.encoded[0] == 1)
        #expect(try NodeIdentity(decoding: identity.encoded) == identity)
    }

    @Test func aCompactionKeepsTheStateThatReplacesTheEntries() throws {
        var state = founding
        do {
            let database = try self.founded()
            let entries = (2...9).map { Entry(index: $0, term: 1, payload: .empty) }
            for entry in entries { try state.apply(entry) }
            try database.commit([.write(Write(sequence: 1, entries: entries), state: nil)])
            try database.commit([
                .write(
                    Write(sequence: 2, compaction: Snapshot(index: 6, term: 1, configuration: base.configuration)),
                    state: state)
            ])
        }
        let found = try self.reopened()
        #expect(found.base.index == 6)
        #expect(found.entries.map(\.index) == [7, 8, 9])
        #expect(found.state == state)
        #expect(found.state?.appliedIndex == 9)
    }

    @Test func aSnapshotReplacesStateAndLog() throws {
        var state = founding
        do {
            let database = try self.founded()
            try database.commit([.write(Write(sequence: 1, entries: [entry(2, 1), entry(3, 1)]), state: nil)])
            for index in 2...20 { try state.apply(Entry(index: LogIndex(index), term: 4, payload: .empty)) }
            let snapshot = Snapshot(index: 20, term: 4, configuration: Configuration(voters: [1, 2]))
            try database.commit([.write(Write(sequence: 2, snapshot: snapshot), state: state)])
        }
        let found = try self.reopened()
        #expect(found.base.index == 20)
        #expect(found.entries.isEmpty)
        #expect(found.state == state)
    }

    /// What an earlier life left in the write-ahead log may never have been synced: it is copied into the database, and
    /// synced there, before anything is read.
    @Test func whatAKilledLifeLeftIsMadeStableFirst() throws {
        let database = try self.founded()
        try database.commit([.write(Write(sequence: 1, entries: [entry(2, 1)]), state: nil)])
        let elsewhere = TemporaryFolder()
        let copy = elsewhere.path + "/state.db"
        for suffix in ["", "-wal"] {
            let from = open(self.path + suffix, O_RDONLY)
            let to = open(copy + suffix, O_CREAT | O_WRONLY, 0o600)
            var buffer = [UInt8](repeating: 0, count: 8 << 20)
            let count = read(from, &buffer, buffer.count)
            #expect(count > 0 && write(to, buffer, count) == count)
            close(from)
            close(to)
        }
        let found = try StateDatabase.open(path: copy)
        var information = stat()
        #expect(stat(copy + "-wal", &information) == 0)
        #expect(information.st_size == 0)
        #expect(try found.load().entries == [entry(2, 1)])
    }

    /// Half of a transaction is worse than none.
    @Test func aFailedCommitLeavesNothing() throws {
        let database = try self.founded()
        let other = try Database(path: self.path)
        try other.execute("BEGIN IMMEDIATE")
        #expect(throws: StoreError.self) {
            try database.commit([.write(Write(sequence: 1, entries: [entry(2, 1)]), state: nil)])
        }
        try other.execute("ROLLBACK")
        #expect(try database.load().entries.isEmpty)
    }

    @Test func aGapInTheLogIsDamage() throws {
        let database = try self.founded()
        try database.commit([.write(Write(sequence: 1, entries: [entry(3, 1)]), state: nil)])
        #expect(throws: StoreError.damaged("the log has a gap before entry 3")) { try database.load() }
    }

    @Test func damagedBytesAreNamed() throws {
        let database = try self.founded()
        try Database(path: self.path).execute("UPDATE state SET value = x'0102'")
        do throws(StoreError) {
            _ = try database.load()
            Issue.record("damage went unnoticed")
        } catch {
            guard case .damaged(let what) = error else { throw error }
            #expect(what == "state: the checksum is wrong")
        }
    }

    /// After one failure nothing is ever acknowledged again, although the disk works by then.
    @Test func theFirstFailurePoisonsTheStore() throws {
        let outcomes = Mailbox<ClusterStore.Outcome>()
        _ = try self.founded()
        let store = try ClusterStore.open(StateFolder(path: self.folder.path)) { outcomes.post($0) }.store
        store.submit(.write(Write(sequence: 1, entries: [entry(2, 1)]), state: nil))
        outcomes.wait(milliseconds: 5000)
        guard case .persisted(1)? = outcomes.drain().first else {
            Issue.record("the first write was not acknowledged")
            return
        }
        let other = try Database(path: self.path)
        try other.execute("BEGIN IMMEDIATE")
        store.submit(.write(Write(sequence: 2, entries: [entry(3, 1)]), state: nil))
        outcomes.wait(milliseconds: 5000)
        guard case .failed? = outcomes.drain().first else {
            Issue.record("a failed commit was not reported")
            return
        }
        try other.execute("ROLLBACK")
        store.submit(.write(Write(sequence: 3, entries: [entry(4, 1)]), state: nil))
        outcomes.wait(milliseconds: 300)
        #expect(outcomes.drain().isEmpty)
        #expect(try self.reopened().entries.map(\.index) == [2])
    }
}
