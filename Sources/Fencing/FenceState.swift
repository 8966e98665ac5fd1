/// A persistent reservation as READ RESERVATION tells it, SPC-4 6.15.3.
package struct Reservation: Equatable, Sendable {
    /// Write Exclusive, Registrants Only, SPC-4 6.15.3.4: the one that a node takes.
    package static let exclusive: UInt8 = 5

    package var key: UInt64
    package var type: UInt8

    package init(key: UInt64, type: UInt8) {
        self.key = key
        self.type = type
    }
}

/// Who may write to the LUN, as the target says. `decide` is what a session that lost its connection must do.
package struct FenceState: Equatable, Sendable {
    package var generation: UInt32
    package var keys: [UInt64]
    package var reservation: Reservation?

    package init(generation: UInt32, keys: [UInt64], reservation: Reservation?) {
        self.generation = generation
        self.keys = keys
        self.reservation = reservation
    }

    /// Those that are registered, and the one that holds: a ghost may hold without being registered.
    package var allKeys: [UInt64] { self.keys + (self.reservation.map { [$0.key] } ?? []) }

    /// The holder, when it is one of us.
    package var holder: FenceKey? { self.reservation.flatMap { FenceKey(raw: $0.key) } }

    /// Every key, registered or holding, that has not our magic.
    package var foreignKeys: [UInt64] {
        self.allKeys.filter { FenceKey(raw: $0) == nil }
    }

    /// The newest term that left a key here.
    package var newest: FenceKey? {
        self.allKeys.compactMap { FenceKey(raw: $0) }.max {
            $0.term < $1.term
        }
    }

    /// Whether the node of `key` left a key of an earlier term here: what it had in flight then may still land.
    package func hasOlderKey(than key: FenceKey) -> Bool {
        self.allKeys.compactMap { FenceKey(raw: $0) }
            .contains { $0.node == key.node && $0.term < key.term }
    }

    package enum Verdict: Equatable, Sendable {
        /// Our key still holds the reservation: this nexus may register again.
        case ours
        /// Another key holds it, or a newer term was here: stop for good.
        case fenced(by: UInt64)
        /// Nobody holds it: the target forgot (it restarted without APTPL), or somebody cleared it. Only the quorum knows
        /// whether we still lead.
        case forgotten
    }

    /// A newer term than that of `key` was here, or another node in the same: whose key it is.
    package func newer(than key: FenceKey) -> FenceKey? {
        guard let newest = self.newest, newest.term > key.term || newest.term == key.term && newest.node != key.node
        else { return nil }
        return newest
    }

    /// Before any registration: a blind REGISTER AND IGNORE would undo our own fencing.
    package func verdict(for own: FenceKey) -> Verdict {
        if let reservation = self.reservation {
            return reservation.key == own.raw && reservation.type == Reservation.exclusive
                ? .ours : .fenced(by: reservation.key)
        }
        return self.newer(than: own).map { .fenced(by: $0.raw) } ?? .forgotten
    }
}

/// Notices that a target restarted although its reservations are still there (APTPL). SPC-4 6.15.2: PRGENERATION is zero after a
/// power on, whatever APTPL says; otherwise it only grows. LIO counts the registrations that it was given back (measured), so
/// `Fence.raiseGeneration` sees to it that there never are as many of them.
package struct GenerationWatch: Equatable, Sendable {
    package private(set) var last: UInt32

    package init(last: UInt32 = 0) { self.last = last }

    /// True when the target restarted since the last look.
    package mutating func sees(_ generation: UInt32) -> Bool {
        defer { self.last = generation }
        return generation < self.last
    }
}
