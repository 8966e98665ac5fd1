/// How a node takes the LUN in a term: registers, reserves or preempts, drains what the old holder had in flight, and is done when
/// the target says that no key but ours is left and that ours holds the reservation. One command after the other; whoever sends
/// them says what the target answered.
///
/// The old holder may be this node in an earlier term. Where a target knows its registration again at the login (LIO), there is
/// nobody to preempt then, and what it had in flight is drained before its key goes: an attempt that fails halfway leaves the
/// next one the key to know it by.
package struct FencePlan: Equatable, Sendable {
    package enum Step: Equatable, Sendable {
        /// READ KEYS and READ RESERVATION. The answer is `state`.
        case inspect
        /// Ends the sessions of that node at the target, as far as that can be done. Always `done`.
        case evict(UInt16)
        /// LOGICAL UNIT RESET.
        case drain
        /// REGISTER AND IGNORE EXISTING KEY.
        case register
        case reserve
        /// PREEMPT AND ABORT, which drains what the victim had in flight; or, where the target has none, PREEMPT.
        case preempt(UInt64, aborts: Bool)
    }

    package enum Answer: Equatable, Sendable {
        case done
        case state(FenceState)
        /// RESERVATION CONFLICT.
        case conflict
        /// The target has no such command.
        case unsupported
    }

    package enum Next: Equatable, Sendable {
        case step(Step)
        case taken
        /// A newer term was here: this node must not.
        case superseded(FenceKey)
        /// Somebody else's key.
        case foreign(UInt64)
        /// What this target, or somebody else who works on the LUN, makes impossible.
        case failed
    }

    /// Another session may register between our look and our preempt; after this many rounds something is wrong.
    static let maximumRounds = 8

    private enum Stage: Equatable {
        case inspecting
        case evicting
        case emptying
        case registering
        case looking
        case reserving
        /// And then drained, where that was not done at the same time.
        case preempting
        case draining
    }

    private let key: FenceKey
    private let forces: Bool
    private let defects: FenceDefects
    private var stage = Stage.inspecting
    private var rounds = 0
    /// Nodes whose sessions are to be ended.
    private var evicted: [UInt16] = []
    private var drainsFirst = false
    /// Keys that are still to be preempted before the next look.
    private var victims: [UInt64] = []

    /// `forces`: also throws out keys that are not Holdfast's, and newer ones that are; without it such a LUN is refused.
    package init(_ key: FenceKey, forces: Bool = false, defects: FenceDefects = []) {
        self.key = key
        self.forces = forces
        self.defects = defects
    }

    /// The first step.
    package var start: Step { .inspect }

    /// What follows from the answer to the last step.
    package mutating func received(_ answer: Answer) -> Next {
        switch (self.stage, answer) {
        case (.inspecting, .state(let state)):
            if let refusal = self.refusal(state) { return refusal }
            let nodes = Set(state.allKeys.compactMap { FenceKey(raw: $0)?.node }).subtracting([self.key.node])
            self.evicted = nodes.sorted(by: >)
            self.drainsFirst = state.hasOlderKey(than: self.key) && !self.defects.contains(.skipOwnDrain)
            return self.evictNext()
        case (.evicting, .done): return self.evictNext()
        case (.emptying, .done): return self.go(.registering, .register)
        case (.registering, .done): return self.look()
        case (.looking, .state(let state)): return self.judge(state)
        // Somebody was quicker: the next look tells.
        case (.reserving, .done), (.reserving, .conflict): return self.look()
        case (.preempting, .unsupported):
            guard let victim = self.victims.last else { return .failed }
            return self.go(.draining, .preempt(victim, aborts: false))
        case (.draining, .done) where !self.defects.contains(.skipDrain):
            // Comes back as the end of the preempting.
            return self.go(.preempting, .drain)
        // The victim left by itself, or we were preempted: the next look tells.
        case (.preempting, .done), (.preempting, .conflict), (.draining, .done), (.draining, .conflict):
            self.victims.removeLast()
            return self.preemptNext()
        default: return .failed
        }
    }

    private mutating func go(_ stage: Stage, _ step: Step) -> Next {
        self.stage = stage
        return .step(step)
    }

    private mutating func evictNext() -> Next {
        if let node = self.evicted.popLast() { return self.go(.evicting, .evict(node)) }
        return self.drainsFirst ? self.go(.emptying, .drain) : self.go(.registering, .register)
    }

    private mutating func look() -> Next {
        guard self.rounds < Self.maximumRounds else { return .failed }
        self.rounds += 1
        return self.go(.looking, .inspect)
    }

    private mutating func judge(_ state: FenceState) -> Next {
        if let refusal = self.refusal(state) { return refusal }
        guard let reservation = state.reservation else { return self.go(.reserving, .reserve) }
        if self.defects.contains(.skipPreempt) { return .taken }
        guard reservation.key == self.key.raw, reservation.type == Reservation.exclusive else {
            self.victims = [reservation.key]
            return self.preemptNext()
        }
        self.victims = Set(state.keys).subtracting([self.key.raw]).sorted(by: >)
        if self.victims.isEmpty { return state.keys.contains(self.key.raw) ? .taken : .failed }
        return self.preemptNext()
    }

    private mutating func preemptNext() -> Next {
        guard let victim = self.victims.last else { return self.look() }
        return self.go(.preempting, .preempt(victim, aborts: true))
    }

    private func refusal(_ state: FenceState) -> Next? {
        guard !self.forces else { return nil }
        if let foreign = state.foreignKeys.first { return .foreign(foreign) }
        return state.newer(than: self.key).map { .superseded($0) }
    }
}

/// Safeguards that the simulator's mutation tests switch off, to prove that it would notice. Empty everywhere else.
package struct FenceDefects: OptionSet, Equatable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Only registers: an older key keeps what it has.
    package static let skipPreempt = Self(rawValue: 1 << 0)
    /// Where a preempt drains nothing nobody does.
    package static let skipDrain = Self(rawValue: 1 << 1)
    /// A node that takes the LUN after itself drains nothing.
    package static let skipOwnDrain = Self(rawValue: 1 << 2)
}
