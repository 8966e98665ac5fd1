import Glibc
import SMBServerCore
import StateRecords
import Synchronization
import Testing

@testable import SMBServer

/// More than a journal takes at once.
@Suite struct JournalTests {
    private static func records(_ ids: Range<UInt64>) -> [Mutation] {
        ids.map { id in
            .putOpen(
                OpenRecord(
                    persistentID: id, createGUID: .zero, clientGUID: .zero, ownerSID: "S-1-5-7", userName: "alice",
                    share: "ca", path: String(repeating: "p", count: 200),
                    file: FileIdentity(fileSystem: .zero, handleType: 1, handle: [1]), grantedAccess: 1, shareAccess: 7,
                    createOptions: 0, createDisposition: 1, createAction: 1, fileAttributes: 0x80,
                    timeoutMilliseconds: 0, isPersistent: true))
        }
    }

    // MARK: The server

    /// What was said to it, in order.
    private final class Tape: Journal {
        let batches = Mutex<[[Mutation]]>([])

        func append(_ mutations: [Mutation], isAwaited: Bool, isFlushed: Bool) -> UInt64 {
            self.batches.withLock {
                $0.append(mutations)
                return UInt64($0.count)
            }
        }

        func flush() {}
        func drain() {}
    }

    /// A step that changes the records of very many opens.
    @Test func theAnswerToAStepOfSeveralBatchesWaitsForTheLast() throws {
        let tape = Tape()
        let configuration = ServerConfiguration(serverGUID: .zero, serverName: "TEST", domain: (1, 2, 3))
        let server = try Server(configuration: configuration, journal: tape, loopCount: 1)
        defer { server.stop() }
        let step = Self.records(1..<5001)
        let (_, conditions) = server.withTicket(of: 1) { state in
            state.mutations = step
            state.mutationsAwaited = true
        }
        let batches = tape.batches.withLock { $0 }
        #expect(batches.count > 1)
        #expect(batches.flatMap { $0 } == step)
        #expect(conditions.ticket == UInt64(batches.count))
        // Nothing is left for the next step, and an answer that waits for those before it waits.
        let (_, next) = server.withTicket(of: 1) { $0.mutationsAwaited = true }
        #expect(next.ticket == conditions.ticket + 1)
        #expect(tape.batches.withLock { $0.last } == [])
    }

    // MARK: ClusterLink

    @Test func anAnswerIsOneToAllBatchesBeforeIt() {
        var batches = UnansweredBatches()
        for byteCount in [10, 20, 30] { batches.append(byteCount) }
        #expect(batches.byteCount == 60)
        batches.answer(upTo: 2)
        #expect(batches.byteCount == 30)
        batches.answer(upTo: 1)
        #expect(batches.byteCount == 30, "it came late")
        batches.append(5)
        batches.answer(upTo: 4)
        #expect(batches.byteCount == 0)
        batches.answer(upTo: 9)
        for round in 1...1000 {
            batches.append(round)
            if round > 3 { batches.answer(upTo: UInt64(round + 1)) }
            #expect(batches.byteCount == (max(1, round - 2)...round).reduce(0, +))
        }
    }

    // MARK: LocalJournal

    private final class Observer: JournalObserver {
        func journaled(upTo ticket: UInt64) {}
        func journalFailed(_ reason: String) {}
    }

    @Test(.timeLimit(.minutes(1))) func whoeverRecordsMoreThanTheDiskTakesWaits() throws {
        var template = Array("/tmp/holdfast-journal-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer {
            for end in ["", "-wal", "-shm", "-journal"] { unlink("\(directory)/journal.db\(end)") }
            rmdir(directory)
        }
        let journal = LocalJournal(path: "\(directory)/journal.db", queueLimit: 8)
        let observer = Observer()
        journal.start(observer)
        var last: UInt64 = 0
        for first in stride(from: UInt64(1), to: 401, by: 20) {
            let ticket = journal.append(Self.records(first..<first + 20), isAwaited: true, isFlushed: false)
            #expect(ticket == last + 1)
            last = ticket
        }
        journal.drain()
        let (opens, next) = try LocalJournal.load(path: "\(directory)/journal.db")
        #expect(opens.map(\.persistentID) == Array(1..<401))
        #expect(next == 401)
        withExtendedLifetime(observer) {}
    }

    /// Its server answers nobody any more, and must not wait for it to end.
    @Test(.timeLimit(.minutes(1))) func aJournalThatHasFailedKeepsNobodyWaiting() {
        let journal = LocalJournal(path: "/nowhere/journal.db", queueLimit: 8)
        let observer = Observer()
        journal.start(observer)
        for first in stride(from: UInt64(1), to: 101, by: 20) {
            _ = journal.append(Self.records(first..<first + 20), isAwaited: true, isFlushed: false)
        }
        journal.drain()
        withExtendedLifetime(observer) {}
    }
}
