import Foundation
import Glibc
import Synchronization
import Testing

@testable import ClusterTransport

@Suite struct NodeThreadTests {
    private struct Failure: Error, Equatable {}

    /// Not of the thread itself: what a turn sees.
    private final class Counter: Sendable {
        var turnCount: Int { self.turns.load(ordering: .relaxed) }
        var hasEnded: Bool { self.ended.load(ordering: .sequentiallyConsistent) }
        let turns = Atomic<Int>(0)
        let bytes = Mutex<[UInt8]>([])
        let ended = Atomic<Bool>(false)
    }

    @Test func turnsGoOnUntilOneHasAnOutcome() throws {
        let thread = NodeThread()
        let counter = Counter()
        let outcome = try thread.run(every: 1) {
            { counter.turns.add(1, ordering: .relaxed).newValue == 5 ? "over" : nil }
        }
        #expect(outcome == "over")
        thread.wake()
        usleep(50_000)
        #expect(counter.turnCount == 5, "nothing happens after the end")
    }

    @Test func aTurnFollowsEachWakeUp() throws {
        let thread = NodeThread()
        let counter = Counter()
        let start = ContinuousClock.now
        Thread.detachNewThread {
            for _ in 0..<100 {
                usleep(1000)
                thread.wake()
            }
        }
        _ = try thread.run(every: 10_000) { { counter.turns.add(1, ordering: .relaxed).newValue > 50 ? true : nil } }
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test func aFailureComesToTheCaller() {
        let thread = NodeThread()
        #expect(throws: Failure()) { _ = try thread.run(every: 1) { { () throws -> Bool? in throw Failure() } } }
        #expect(throws: Failure()) {
            _ = try thread.run(every: 1) { () throws -> () throws -> Bool? in throw Failure() }
        }
    }

    /// It once took longer with each: a closure in a generic type's storage is wrapped anew by each access.
    @Test func aTurnTakesNoLongerAfterManyOthers() throws {
        let thread = NodeThread()
        let counter = Counter()
        let times = Mutex<[ContinuousClock.Instant]>([])
        let count = 20_000
        _ = try thread.run(every: 10_000) {
            {
                let turn = counter.turns.add(1, ordering: .relaxed).newValue
                if [1, count / 10, count - count / 10, count].contains(turn) { times.withLock { $0.append(.now) } }
                thread.wake()
                return turn == count ? true : nil
            }
        }
        let marks = times.withLock { $0 }
        let (first, last) = (marks[1] - marks[0], marks[3] - marks[2])
        #expect(last < first * 4 + .milliseconds(20), "first \(first), last \(last)")
    }

    @Test func whatComesOverASocketIsHeardInOrderAndThenItsEnd() throws {
        let thread = NodeThread()
        let counter = Counter()
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        thread.hear(
            ends[1], received: { bytes in counter.bytes.withLock { $0 += bytes } },
            ended: { counter.ended.store(true, ordering: .sequentiallyConsistent) })
        let sent = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var done = 0
        while done < sent.count {
            let count = sent[done...].withUnsafeBytes { write(ends[0], $0.baseAddress, $0.count) }
            try #require(count > 0)
            done += count
        }
        #expect(!counter.hasEnded)
        close(ends[0])
        for _ in 0..<500 where !counter.hasEnded { usleep(10_000) }
        #expect(counter.hasEnded)
        #expect(counter.bytes.withLock { $0 } == sent)
    }

    /// A listener is there, or why not is known, before anybody waits for the thread.
    @Test func anAddressThatIsTakenIsSaidSoAtOnce() throws {
        let (descriptor, port) = try ListeningSocket.open(Endpoint(host: "127.0.0.1", port: 0))
        defer { close(descriptor) }
        #expect(port > 0)
        #expect(throws: ListeningSocket.Failure.self) {
            _ = try ListeningSocket.open(Endpoint(host: "127.0.0.1", port: port))
        }
        let (other, _) = try ListeningSocket.open(Endpoint(host: "::1", port: 0))
        close(other)
    }
}
