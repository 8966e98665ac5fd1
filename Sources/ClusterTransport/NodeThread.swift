import NIOCore
import NIOPosix
import Synchronization

/// The one thread of a node for what it hears, what it decides and what it says: between a message that came in and the answer
/// that goes out no other thread is woken, which would take longer than either.
package final class NodeThread: Sendable {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    /// Nil before the start and after the end. In a value of its own: a closure that goes through a generic type's storage is
    /// wrapped once more by each access.
    private let turn = Mutex<Turn?>(nil)

    private struct Turn: Sendable {
        let take: @Sendable () -> Void
    }

    package init() {}

    var eventLoop: any EventLoop { self.group.next() }

    /// Runs on this thread what `start` makes there: one turn after each ``wake()`` and each `milliseconds`, until one of them
    /// ends with an outcome. The caller waits for that.
    package func run<Outcome: Sendable>(
        every milliseconds: Int64, _ start: @escaping @Sendable () throws -> () throws -> Outcome?
    ) throws -> Outcome {
        let eventLoop = self.eventLoop
        let outcome = eventLoop.makePromise(of: Outcome.self)
        eventLoop.execute {
            do {
                let body = NIOLoopBound(try start(), eventLoop: eventLoop)
                self.turn.withLock { turn in
                    turn = Turn {
                        do {
                            guard let end = try body.value() else { return }
                            outcome.succeed(end)
                        } catch { outcome.fail(error) }
                        self.turn.withLock { $0 = nil }
                    }
                }
                eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(milliseconds)) { task in
                    if !self.takeTurn() { task.cancel() }
                }
            } catch { outcome.fail(error) }
        }
        return try outcome.futureResult.wait()
    }

    /// From any thread: there will be a turn after this.
    package func wake() { self.eventLoop.execute { self.takeTurn() } }

    @discardableResult
    private func takeTurn() -> Bool {
        guard let turn = self.turn.withLock({ $0 }) else { return false }
        turn.take()
        return true
    }
}
