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

    /// The holder, when it is one of us.
    package var holder: FenceKey? { self.reservation.flatMap { FenceKey(raw: $0.key) } }

    /// Every key, registered or holding, that has not our magic.
    package var foreignKeys: [UInt64] {
        (self.keys + (self.reservation.map { [$0.key] } ?? [])).filter { FenceKey(raw: $0) == nil }
    }

    /// The newest term that left a key here.
    package var newest: FenceKey? {
        (self.keys + (self.reservation.map { [$0.key] } ?? [])).compactMap { FenceKey(raw: $0) }.max {
            $0.term < $1.term
        }
    }

    /// Whether the node of `key` left a key of an earlier term here: what it had in flight then may still land.
    package func hasOlderKey(than key: FenceKey) -> Bool {
        (self.keys + (self.reservation.map { [$0.key] } ?? [])).compactMap { FenceKey(raw: $0) }
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

    /// Before any registration: a blind REGISTER AND IGNORE would undo our own fencing.
    package func verdict(for own: FenceKey) -> Verdict {
        if let reservation = self.reservation {
            return reservation.key == own.raw && reservation.type == SCSICommand.reservationType
                ? .ours : .fenced(by: reservation.key)
        }
        if let newest = self.newest, newest.term > own.term || newest.term == own.term && newest.node != own.node {
            return .fenced(by: newest.raw)
        }
        return .forgotten
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

/// Takes the LUN for a node in a term, and makes sure that the target agrees. Checked, never timed.
package enum Fence {
    /// Another session may register between our look and our preempt; after this many rounds something is wrong.
    static let maximumRounds = 8

    package static func inspect(_ session: ISCSISession) throws(PlatformError) -> FenceState {
        let (generation, keys) = try session.readKeys()
        return FenceState(generation: generation, keys: keys, reservation: try session.readReservation())
    }

    /// Registers, reserves or preempts, drains what the old holder had in flight, and verifies that no key but ours is left and
    /// that ours holds the reservation, type 5. May be repeated with the same key.
    ///
    /// The old holder may be this node in an earlier term. Where a target knows its registration again at the login (LIO), there
    /// is nobody to preempt then, and what it had in flight is drained before its key goes: an attempt that fails halfway leaves
    /// the next one the key to know it by.
    ///
    /// `force` also throws out keys that are not Holdfast's, and newer ones that are; without it such a LUN is refused.
    /// `evict` ends the sessions of another node, by its number, before its key is preempted.
    package static func take(
        _ key: FenceKey, on session: ISCSISession, force: Bool = false, evict: (UInt16) -> Void = { _ in }
    ) throws(PlatformError) -> [StepTime] {
        var clock = StepClock()
        let before = try clock.run("inspect") { () throws(PlatformError) in try self.inspect(session) }
        try self.check(before, key, session.address, force)
        let victims = Set((before.keys + [before.reservation?.key ?? key.raw]).compactMap { FenceKey(raw: $0)?.node })
        for node in victims.subtracting([key.node]).sorted() {
            try clock.run("evict") { () throws(PlatformError) in evict(node) }
        }
        if before.hasOlderKey(than: key) {
            try clock.run("drain") { () throws(PlatformError) in try self.drain(session) }
        }
        try clock.run("register") { () throws(PlatformError) in try session.registerAndIgnoreExistingKey(key.raw) }
        for _ in 0..<Self.maximumRounds {
            let state = try self.inspect(session)
            try self.check(state, key, session.address, force)
            let others = Set(state.keys).subtracting([key.raw]).sorted()
            if let reservation = state.reservation {
                if reservation.key != key.raw || reservation.type != SCSICommand.reservationType {
                    try clock.run("preempt") { () throws(PlatformError) in
                        try self.preempt(reservation.key, key, session)
                    }
                    continue
                }
            } else {
                try clock.run("reserve") { () throws(PlatformError) in try session.reserve(key.raw) }
                continue
            }
            if others.isEmpty {
                guard state.keys.contains(key.raw) else { break }
                return clock.steps
            }
            for other in others {
                try clock.run("preempt") { () throws(PlatformError) in try self.preempt(other, key, session) }
            }
        }
        throw PlatformError(
            .conflict,
            "\(session.address): the reservation did not become ours; another initiator is working on this LUN")
    }

    /// Ends the sessions that an initiator has, over every portal, by logging in as it (RFC 3720 5.3.5) and out again.
    ///
    /// A node that hung, or lost its power, in the middle of sending a write leaves the target waiting for the rest of it. LIO ends
    /// neither PREEMPT AND ABORT nor LOGICAL UNIT RESET before that write is over, which is when it gives the connection up: after 45 s
    /// (measured: 42 s of standstill), and every login of whoever asked waits as well. A live one only connects again, and finds
    /// who holds the LUN. Best effort: a target that does not let us in under that name waits.
    package static func evict(_ initiator: Initiator, from address: LUNAddress) {
        for path in address.paths {
            guard let session = try? ISCSISession(path, as: initiator, timeout: ISCSISession.pathTimeout) else {
                continue
            }
            session.logout()
        }
    }

    /// Leaves the LUN without any key: for one that is only prepared, in no cluster yet. A node of a cluster lets its reservation
    /// stand, however it ends (the next one preempts it). Nothing to give: nothing done.
    package static func release(_ key: FenceKey, on session: ISCSISession) throws(PlatformError) {
        guard try session.readReservation()?.key == key.raw else { return }
        try session.registerAndIgnoreExistingKey(key.raw)
        // CLEAR and not RELEASE: a target that forgets nexuses at login (tgt) keeps ghosts with our key.
        try session.clear(key.raw)
    }

    /// Where registrations outlive a restart of the target, registers this nexus anew until the generation is above their number:
    /// one that counts them again from zero has a lower one then, and `GenerationWatch` notices. Returns what is there in the end.
    package static func raiseGeneration(
        _ key: FenceKey, on session: ISCSISession, _ seen: FenceState
    ) throws(PlatformError) -> FenceState {
        var state = seen
        guard try session.persists() else { return state }
        for _ in 0...ISCSISession.maximumKeys where state.generation <= state.keys.count {
            // Not the one that ignores the key: who was preempted meanwhile gets a conflict.
            try session.register(key.raw, replacing: key.raw)
            state = try self.inspect(session)
        }
        return state
    }

    /// PREEMPT AND ABORT where the target has it; else PREEMPT and a LOGICAL UNIT RESET, which drains writes in flight too.
    private static func preempt(_ victim: UInt64, _ key: FenceKey, _ session: ISCSISession) throws(PlatformError) {
        do {
            try session.preemptAndAbort(victim, as: key.raw)
        } catch {
            // The victim left by itself, or we were preempted: the next look tells.
            if error.kind == .conflict { return }
            guard case .scsi(_, 5, let code) = error.kind, code == 0x2400 || code == 0x2000 || code == 0x2600 else {
                throw error
            }
            try session.preempt(victim, as: key.raw)
            try self.drain(session)
        }
    }

    private static func drain(_ session: ISCSISession) throws(PlatformError) {
        try session.resetLogicalUnit()
        // Takes the unit attention that the reset leaves.
        try session.testUnitReady()
    }

    private static func check(
        _ state: FenceState, _ key: FenceKey, _ address: LUNAddress, _ force: Bool
    ) throws(PlatformError) {
        guard !force else { return }
        if let foreign = state.foreignKeys.first {
            throw PlatformError(
                .foreignReservation,
                "\(address): another system uses this LUN (key \(keyText(foreign)) is not Holdfast's); find out which, and only "
                    + "when nothing uses it any more, force the takeover")
        }
        if let newest = state.newest, newest.term > key.term || newest.term == key.term && newest.node != key.node {
            throw PlatformError(
                .superseded(newest),
                "\(address): \(newest) took this LUN, which is newer than our \(key); this node must not")
        }
    }
}
