import Fencing

/// A ``FencePlan`` at the simulated target, one command at a time.
struct FenceRun {
    enum Next: Equatable {
        case send(SimulatedTarget.Command)
        case done
        case superseded
        case failed
    }

    private let key: SimulatedTarget.Key
    private let kind: SimulatedTarget.Kind
    private var plan: FencePlan

    init(key: SimulatedTarget.Key, on kind: SimulatedTarget.Kind, defects: TakeoverDefects) {
        self.key = key
        self.kind = kind
        self.plan = FencePlan(key.fence, defects: defects.fence)
    }

    mutating func begin() -> Next { self.next(.step(self.plan.start)) }

    mutating func received(_ reply: SimulatedTarget.Reply) -> Next {
        let answer: FencePlan.Answer
        switch reply {
        case .good: answer = .done
        case .conflict: answer = .conflict
        case .reservations(let state): answer = .state(state.fence)
        case .aborted: return .failed
        }
        return self.next(self.plan.received(answer))
    }

    private mutating func next(_ next: FencePlan.Next) -> Next {
        switch next {
        case .taken: return .done
        case .superseded: return .superseded
        case .foreign, .failed: return .failed
        case .step(let step):
            switch step {
            case .inspect: return .send(.inspect)
            // Best effort: this target lets nobody in under another's name.
            case .evict: return self.next(self.plan.received(.done))
            case .drain: return .send(.reset)
            case .register: return .send(.register(self.key))
            case .reserve: return .send(.reserve)
            case .preempt(_, aborts: true) where self.kind == .forgetful:
                return self.next(self.plan.received(.unsupported))
            case .preempt(let victim, _):
                guard let key = FenceKey(raw: victim) else { return .failed }
                return .send(.preempt(SimulatedTarget.Key(key)))
            }
        }
    }
}

extension SimulatedTarget.Key {
    fileprivate init(_ key: FenceKey) { self.init(node: UInt64(key.node), term: UInt64(key.term)) }
}

extension TakeoverDefects {
    fileprivate var fence: FenceDefects {
        var defects: FenceDefects = []
        if self.contains(.skipPreempt) { defects.insert(.skipPreempt) }
        if self.contains(.skipDrain) { defects.insert(.skipDrain) }
        if self.contains(.skipOwnDrain) { defects.insert(.skipOwnDrain) }
        return defects
    }
}
