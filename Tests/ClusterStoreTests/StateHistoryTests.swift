import ClusterCore
import Raft
import StateRecords
import Testing

@testable import ClusterStore

@Suite struct StateHistoryTests {
    private let folder = TemporaryFolder()

    private func add(_ name: String, _ index: LogIndex) -> Entry {
        Entry(
            index: index, term: 2, payload: .command(Command.addShare(ShareRecord(name: name, path: name)).encoded))
    }

    private func shares(at index: LogIndex, applied: LogIndex) throws -> [String] {
        try StateHistory.state(at: index, applied: applied, in: self.folder.state).configuration.shares.map(\.name)
    }

    @Test func everyEntryBehindTheStoredStateCanBeSeen() throws {
        let database = try StateDatabase.open(path: self.folder.database)
        try database.commit([
            .found(base: base, HardState(term: 1, commitIndex: 1), founding),
            .write(Write(sequence: 1, entries: [self.add("a", 2), self.add("b", 3), self.add("c", 4)]), state: nil),
        ])
        #expect(try self.shares(at: 1, applied: 3) == [])
        #expect(try self.shares(at: 2, applied: 3) == ["a"])
        #expect(try self.shares(at: 3, applied: 3) == ["a", "b"])
        // In the log, and not committed.
        #expect(throws: StateHistory.Failure.notKept(first: 1, last: 3)) { try self.shares(at: 4, applied: 3) }
        // The state that stands for the entries before it is what there is from then on.
        var state = founding
        for entry in [self.add("a", 2), self.add("b", 3)] { try state.apply(entry) }
        try database.commit([
            .write(
                Write(sequence: 2, compaction: Snapshot(index: 2, term: 2, configuration: base.configuration)),
                state: state)
        ])
        #expect(throws: StateHistory.Failure.notKept(first: 3, last: 4)) { try self.shares(at: 2, applied: 4) }
        #expect(try self.shares(at: 3, applied: 4) == ["a", "b"])
        #expect(try self.shares(at: 4, applied: 4) == ["a", "b", "c"])
    }
}
