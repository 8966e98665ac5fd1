import Fencing

/// Takes the LUN for a node in a term, and makes sure that the target agrees. Checked, never timed.
package enum Fence {
    package static func inspect(_ session: ISCSISession) throws(PlatformError) -> FenceState {
        let (generation, keys) = try session.readKeys()
        return FenceState(generation: generation, keys: keys, reservation: try session.readReservation())
    }

    /// Carries out a ``FencePlan``. May be repeated with the same key.
    ///
    /// `force` also throws out keys that are not Holdfast's, and newer ones that are; without it such a LUN is refused.
    /// `evict` ends the sessions of another node, by its number, before its key is preempted.
    package static func take(
        _ key: FenceKey, on session: ISCSISession, force: Bool = false, evict: (UInt16) -> Void = { _ in }
    ) throws(PlatformError) -> [StepTime] {
        var clock = StepClock()
        var plan = FencePlan(key, forces: force)
        var next = FencePlan.Next.step(plan.start)
        while case .step(let step) = next {
            let answer = try clock.run(step.name) { () throws(PlatformError) in
                try self.perform(step, key, session, evict)
            }
            next = plan.received(answer)
        }
        switch next {
        case .taken, .step: return clock.steps
        case .foreign(let foreign):
            throw PlatformError(
                .foreignReservation,
                "\(session.address): another system uses this LUN (key \(keyText(foreign)) is not Holdfast's); find out which, and only "
                    + "when nothing uses it any more, force the takeover")
        case .superseded(let newest):
            throw PlatformError(
                .superseded(newest),
                "\(session.address): \(newest) took this LUN, which is newer than our \(key); this node must not")
        case .failed:
            throw PlatformError(
                .conflict,
                "\(session.address): the reservation did not become ours; another initiator is working on this LUN")
        }
    }

    private static func perform(
        _ step: FencePlan.Step, _ key: FenceKey, _ session: ISCSISession, _ evict: (UInt16) -> Void
    ) throws(PlatformError) -> FencePlan.Answer {
        switch step {
        case .inspect: return .state(try self.inspect(session))
        case .evict(let node): evict(node)
        case .drain:
            try session.resetLogicalUnit()
            // Takes the unit attention that the reset leaves.
            try session.testUnitReady()
        case .register: try session.registerAndIgnoreExistingKey(key.raw)
        case .reserve:
            do { try session.reserve(key.raw) } catch {
                guard error.kind == .conflict else { throw error }
                return .conflict
            }
        case .preempt(let victim, aborts: true):
            do { try session.preemptAndAbort(victim, as: key.raw) } catch {
                if error.kind == .conflict { return .conflict }
                // INVALID FIELD IN CDB, INVALID COMMAND OPERATION CODE, INVALID FIELD IN PARAMETER LIST.
                guard case .scsi(_, 5, let code) = error.kind, code == 0x2400 || code == 0x2000 || code == 0x2600
                else { throw error }
                return .unsupported
            }
        case .preempt(let victim, aborts: false): try session.preempt(victim, as: key.raw)
        }
        return .done
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
}

extension FencePlan.Step {
    /// As the takeover's report calls it.
    fileprivate var name: String {
        switch self {
        case .inspect: "inspect"
        case .evict: "evict"
        case .drain: "drain"
        case .register: "register"
        case .reserve: "reserve"
        case .preempt: "preempt"
        }
    }
}
