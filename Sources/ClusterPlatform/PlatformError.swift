import Fencing
import Glibc

/// What went wrong while acting on the machine, the target or the network. `message` is for a person: what happened, and
/// what to do next; it never holds a password.
package struct PlatformError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        /// An argument or a configuration value cannot be used.
        case invalid
        /// No connection, or no answer within the time-out.
        case unreachable
        /// CHAP or the target's access list said no.
        case loginRefused
        /// The target or the LUN does not exist.
        case notFound
        /// A key without our magic is registered or holds the reservation.
        case foreignReservation
        /// A node with a newer term holds, or held, the LUN: this node must not touch it.
        case superseded(FenceKey)
        /// The reservation is not what it must be, and did not become so.
        case conflict
        /// The LUN holds something else than this cluster's file system.
        case notOurs
        /// The target lacks what fencing needs.
        case unsafe
        /// The target refused a command: sense key, additional sense code and qualifier.
        case scsi(status: Int32, senseKey: UInt8, code: UInt16)
        /// Something still uses what should be taken away.
        case busy
        /// A system call failed.
        case system(errno: Int32)
    }

    package var kind: Kind
    package var message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    package var description: String { self.message }

    @inline(never)
    package static func system(_ what: String, _ error: Int32 = errno) -> PlatformError {
        PlatformError(.system(errno: error), "\(what): \(errorText(error))")
    }
}

package func errorText(_ error: Int32) -> String {
    guard let text = strerror(error) else { return "error \(error)" }
    return String(cString: text)
}

/// One step of a takeover, an attach or a teardown, and how long it took.
package struct StepTime: Equatable, Sendable {
    package var name: String
    package var duration: Duration

    package init(_ name: String, _ duration: Duration) {
        self.name = name
        self.duration = duration
    }

    package var milliseconds: Double {
        Double(self.duration.components.seconds) * 1000 + Double(self.duration.components.attoseconds) / 1e15
    }
}

/// Runs steps one after the other and keeps their times; those of one name are one.
struct StepClock {
    private(set) var steps: [StepTime] = []

    mutating func run<Result>(
        _ name: String, _ body: () throws(PlatformError) -> Result
    ) throws(PlatformError) -> Result {
        let start = ContinuousClock.now
        let result = try body()
        let duration = ContinuousClock.now - start
        if let known = self.steps.firstIndex(where: { $0.name == name }) {
            self.steps[known].duration += duration
        } else {
            self.steps.append(StepTime(name, duration))
        }
        return result
    }
}
