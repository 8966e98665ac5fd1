import ClusterCore
import Raft
import SQLite
import StateRecords
import Testing

@testable import ClusterStore

/// `state.db` says which version of the cluster a program must be able to run to read it.
@Suite struct VersionMarkTests {
    private let folder = TemporaryFolder()
    private static let program = NodeProgram(name: "0.2", versions: .program)
    private static let first = ClusterState(
        founding: founding.configuration, membership: founding.membership, version: 1)
    private static let raise = Entry(
        index: 2, term: 1,
        payload: .command(
            Command.raiseVersion(2, stated: [StatedProgram(node: 1, program: program)]).encoded(for: 1)))

    private func meta(_ key: String) throws -> String {
        let database = try Database(path: self.folder.database)
        let query = try database.prepare("SELECT value FROM meta WHERE key = '\(key)'")
        var text = "nothing"
        while try query.step() { text = query.string(0) }
        return text
    }

    private func commit(_ jobs: [StoreJob]) throws {
        try StateDatabase.open(path: self.folder.database).commit(jobs)
    }

    /// The way back: a program of before versions reads format 2 and no other.
    @Test func aClusterOfVersionOneStaysReadableForOldPrograms() throws {
        try self.commit([
            .found(base: base, HardState(term: 1, commitIndex: 1), Self.first), .identity(identity),
            .write(Write(sequence: 1, entries: [entry(2, 1)]), state: Self.first),
        ])
        #expect(try self.meta("format") == "2")
        #expect(try self.meta("version") == "nothing")
        _ = try StateDatabase.open(path: self.folder.database, newest: 1).load()
    }

    /// With the entry itself, not when it is applied: an old program would skip it.
    @Test func theEntryThatRaisesTheVersionMarksTheFile() throws {
        try self.commit([.found(base: base, HardState(term: 1, commitIndex: 1), Self.first), .identity(identity)])
        #expect(try self.meta("format") == "2")
        try self.commit([.write(Write(sequence: 1, entries: [Self.raise]), state: nil)])
        #expect(try self.meta("format") == "3")
        #expect(try self.meta("version") == "2")
        // Another leader's entry takes its place: what was said to the disk stays.
        try self.commit([.write(Write(sequence: 2, entries: [entry(2, 2)]), state: nil)])
        #expect(try self.meta("version") == "2")
        #expect(try StateDatabase.open(path: self.folder.database).load().entries == [entry(2, 2)])
    }

    @Test func aStateOfANewerVersionMarksTheFileAndALaterMarkStays() throws {
        try self.commit([.found(base: base, HardState(term: 1, commitIndex: 1), founding), .identity(identity)])
        #expect(try self.meta("version") == "2")
        let database = try Database(path: self.folder.database)
        let put = try database.prepare("UPDATE meta SET value = CAST('9' AS BLOB), sum = ?1 WHERE key = 'version'")
        try put.bind(UInt64(RecordSum.meta("version", Array("9".utf8))), at: 1)
        try put.run()
        #expect(throws: StoreError.newerCluster(9, newest: .newest)) {
            _ = try StateDatabase.open(path: self.folder.database)
        }
        try StateDatabase.open(path: self.folder.database, newest: 9).commit([
            .write(Write(sequence: 1, entries: [Self.raise]), state: nil)
        ])
        #expect(try self.meta("version") == "9", "it never falls")
    }

    /// No damage: nothing is set aside, nobody is asked to take the node back.
    @Test func anOlderProgramRefusesAndLeavesEverything() throws {
        try self.commit([.found(base: base, HardState(term: 1, commitIndex: 1), founding), .identity(identity)])
        try NodeFile(identity: identity).write(to: self.folder.state.nodeFile)
        let before = self.folder.bytes(self.folder.database)
        #expect(throws: StoreError.newerCluster(2, newest: 1)) { _ = try self.folder.state.open(newest: 1) }
        #expect(self.folder.state.damaged.isEmpty)
        #expect(self.folder.bytes(self.folder.database) == before)
        #expect(try self.folder.state.open().lost == nil)
    }

    @Test func aMarkThatCannotBeReadIsDamage() throws {
        try self.commit([.found(base: base, HardState(term: 1, commitIndex: 1), founding), .identity(identity)])
        try Database(path: self.folder.database).execute("DELETE FROM meta WHERE key = 'version'")
        #expect(throws: StoreError.damaged("its version is not readable")) {
            _ = try StateDatabase.open(path: self.folder.database)
        }
    }
}
