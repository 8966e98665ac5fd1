import Testing

@testable import Fencing

/// What is sent, step by step, for what a target answers.
@Suite struct FencePlanTests {
    private let own = FenceKey(node: 1, term: 5)
    private let old = FenceKey(node: 2, term: 4)

    private func state(_ keys: [FenceKey], holder: FenceKey? = nil, type: UInt8 = Reservation.exclusive)
        -> FencePlan.Answer
    {
        .state(
            FenceState(
                generation: 1, keys: keys.map(\.raw), reservation: holder.map { Reservation(key: $0.raw, type: type) }))
    }

    /// The steps until the end, and the end; the answers are to these steps in turn.
    private func run(_ answers: [FencePlan.Answer], forces: Bool = false) -> ([FencePlan.Step], FencePlan.Next?) {
        var plan = FencePlan(self.own, forces: forces)
        var steps = [plan.start]
        for answer in answers {
            let next = plan.received(answer)
            guard case .step(let step) = next else { return (steps, next) }
            steps.append(step)
        }
        return (steps, nil)
    }

    @Test func aFreshLUNIsReservedAndLookedAtAgain() {
        let (steps, end) = self.run([
            self.state([]), .done, self.state([self.own]), .done, self.state([self.own], holder: self.own),
        ])
        #expect(steps == [.inspect, .register, .inspect, .reserve, .inspect])
        #expect(end == .taken)
    }

    @Test func theOldHolderIsEvictedAndPreempted() {
        let (steps, end) = self.run([
            self.state([self.old], holder: self.old), .done, .done, self.state([self.old, self.own], holder: self.old),
            .done,
            self.state([self.own], holder: self.own),
        ])
        #expect(steps == [.inspect, .evict(2), .register, .inspect, .preempt(self.old.raw, aborts: true), .inspect])
        #expect(end == .taken)
    }

    /// tgt has no PREEMPT AND ABORT: what the victim had in flight is drained by a reset.
    @Test func whereNothingIsAbortedItIsDrained() {
        let (steps, end) = self.run([
            self.state([self.old], holder: self.old), .done, .done, self.state([self.old, self.own], holder: self.old),
            .unsupported, .done, .done, self.state([self.own], holder: self.own),
        ])
        #expect(
            steps == [
                .inspect, .evict(2), .register, .inspect, .preempt(self.old.raw, aborts: true),
                .preempt(self.old.raw, aborts: false), .drain, .inspect,
            ])
        #expect(end == .taken)
    }

    /// Found by the simulator: a target that knows the registration again has nobody to preempt.
    @Test func whatThisNodeHadInFlightIsDrainedBeforeItsOlderKeyGoes() {
        let past = FenceKey(node: 1, term: 3)
        let (steps, end) = self.run([
            self.state([past], holder: past), .done, .done, self.state([self.own], holder: self.own),
        ])
        #expect(steps == [.inspect, .drain, .register, .inspect])
        #expect(end == .taken)
    }

    @Test func allGhostsGoBeforeTheNextLook() {
        let ghost = FenceKey(node: 3, term: 2)
        let (steps, _) = self.run([
            self.state([self.own, self.old, ghost], holder: self.own), .done, .done, .done,
            self.state([self.own, self.old, ghost, self.own], holder: self.own), .done, .done,
        ])
        let victims = [self.old.raw, ghost.raw].sorted()
        #expect(steps.prefix(5) == [.inspect, .evict(2), .evict(3), .register, .inspect])
        #expect(
            steps.suffix(3) == [.preempt(victims[0], aborts: true), .preempt(victims[1], aborts: true), .inspect])
    }

    @Test func whoWasQuickerIsSeenAtTheNextLook() {
        let rival = FenceKey(node: 2, term: 6)
        let (steps, end) = self.run([
            self.state([]), .done, self.state([self.own]), .conflict, self.state([self.own, rival], holder: rival),
        ])
        #expect(steps.last == .inspect)
        #expect(end == .superseded(rival))
        let (again, won) = self.run([
            self.state([]), .done, self.state([self.own, self.old], holder: self.old), .conflict,
            self.state([self.own], holder: self.own),
        ])
        #expect(again.last == .inspect)
        #expect(won == .taken)
    }

    /// A reservation that everybody may write under is none, even under our key.
    @Test func aReservationOfAnotherTypeIsReplaced() {
        let (steps, _) = self.run([self.state([]), .done, self.state([self.own], holder: self.own, type: 1)])
        #expect(steps.last == .preempt(self.own.raw, aborts: true))
    }

    @Test func whatANodeMustNotTake() {
        let newer = FenceKey(node: 2, term: 6)
        #expect(self.run([self.state([newer])]).1 == .superseded(newer))
        #expect(self.run([self.state([], holder: newer)]).1 == .superseded(newer))
        let rival = FenceKey(node: 2, term: 5)
        #expect(self.run([self.state([rival])]).1 == .superseded(rival))
        let foreign = FencePlan.Answer.state(FenceState(generation: 0, keys: [7], reservation: nil))
        #expect(self.run([foreign]).1 == .foreign(7))
        #expect(self.run([foreign], forces: true).0 == [.inspect, .register])
        #expect(self.run([self.state([newer])], forces: true).0 == [.inspect, .evict(2)])
        // Between the look and the registration.
        #expect(
            self.run([self.state([]), .done, self.state([self.own, newer], holder: newer)]).1 == .superseded(newer))
    }

    @Test func aTargetThatNeverAgreesIsGivenUp() {
        var answers = [self.state([]), .done]
        for _ in 0..<FencePlan.maximumRounds { answers += [self.state([self.own]), .done] }
        let (steps, end) = self.run(answers)
        #expect(end == .failed)
        #expect(steps.filter { $0 == .inspect }.count == FencePlan.maximumRounds + 1)
    }

    @Test func ourOwnRegistrationHasToBeThere() {
        #expect(self.run([self.state([]), .done, self.state([], holder: self.own)]).1 == .failed)
    }

    @Test func anAnswerThatDoesNotFitIsTheEnd() {
        #expect(self.run([.done]).1 == .failed)
        #expect(self.run([self.state([]), .conflict]).1 == .failed)
        #expect(self.run([self.state([]), .unsupported]).1 == .failed)
    }
}
