import SMBServerCore
import Synchronization

// What the server says by itself to other clients (to cache less) leaves before the answers of the same step: who has such an answer
// may tell those clients what happened, by whatever way, and they must not find in their caches that it did not. The connections
// may belong to several loops.
//
// Nobody waits in a circle: an announcement stands in its loop's mailbox in the order of the steps, and a loop puts what stands there
// in front of a frame that it holds back (`Loop.deliverMail`), so that whoever waits, waits for an earlier step.

/// Holds the answers of one step back until its announcements have left.
final class Precedence: Sendable {
    private struct State: Sendable {
        var announcements: Int
        var waiting: [Waiter] = []
    }

    private struct Waiter: Sendable {
        var loop: Loop
        var connection: Connection.ID
    }

    private let state: Mutex<State>

    init(announcements: Int) { self.state = Mutex(State(announcements: announcements)) }

    var isOver: Bool { self.state.withLock { $0.announcements == 0 } }

    /// The connection looks at its held frames again when it is over.
    func tell(_ loop: Loop, _ connection: Connection.ID) {
        let isOver = self.state.withLock { state in
            if state.announcements > 0 { state.waiting.append(Waiter(loop: loop, connection: connection)) }
            return state.announcements == 0
        }
        if isOver { loop.post(.release(connection)) }
    }

    fileprivate func announced() {
        let waiting = self.state.withLock { state -> [Waiter] in
            state.announcements -= 1
            guard state.announcements == 0 else { return [] }
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiter in waiting { waiter.loop.post(.release(waiter.connection)) }
    }
}

/// Goes along with one announcement, and ends when the kernel has that, or nobody will get it.
final class Announcement: Sendable {
    private let precedence: Precedence

    init(_ precedence: Precedence) { self.precedence = precedence }

    deinit { self.precedence.announced() }
}

/// A completion on its way to its connection.
struct Mail: Sendable {
    var completion: Completion
    /// See `Server.withTicket`.
    var ticket: UInt64
    /// The server speaks by itself to the client whose request made it speak: behind the answer to that.
    var isToRequester = false
    /// What must leave before it.
    var precedence: Precedence?
    var announcement: Announcement?
}
