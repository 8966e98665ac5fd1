import Testing

@testable import ClusterSimulation

/// Histories that are known to be linearizable, or not, among them those of Herlihy and Wing's paper in the words of a lock.
@Suite struct LinearizabilityTests {
    private typealias Operation = TimedOperation<LockModel>

    /// From `begin` to `end`, and told who holds it then.
    private static func did(_ input: LockModel.Input, _ begin: UInt64, _ end: UInt64, _ holder: UInt64?) -> Operation {
        Operation(input, begin: begin, answer: .init(holder, at: end))
    }

    private static func unknown(_ input: LockModel.Input, _ begin: UInt64) -> Operation {
        Operation(input, begin: begin)
    }

    private static func verdict(_ operations: [Operation]) -> LinearizabilityVerdict {
        var checker = LinearizabilityChecker(operations)
        return checker.check()
    }

    private static func isLinearizable(_ operations: [Operation]) -> Bool { self.verdict(operations) == .linearizable }

    @Test func nothingIsLinearizable() {
        #expect(Self.isLinearizable([]))
        #expect(Self.isLinearizable([Self.unknown(.acquire(1), 0)]))
    }

    @Test func oneAfterAnother() {
        #expect(
            Self.isLinearizable([
                Self.did(.acquire(1), 0, 1, 1), Self.did(.read, 2, 3, 1), Self.did(.acquire(2), 4, 5, 1),
                Self.did(.release(1), 6, 7, nil), Self.did(.acquire(2), 8, 9, 2), Self.did(.clear, 10, 11, nil),
            ]))
    }

    /// The plainest violation: a read that ends before the next begins, and a state that nobody made.
    @Test func aStaleReadIsNot() {
        let history = [Self.did(.acquire(1), 0, 1, 1), Self.did(.read, 2, 3, nil)]
        #expect(Self.verdict(history) == .violated(operation: 1))
    }

    /// While the acquisition is under way a read may see it or not; once one saw it, no later one may miss it.
    @Test func readsBesideAnAcquisitionGoForwardOnly() {
        let acquisition = Self.did(.acquire(1), 0, 10, 1)
        #expect(Self.isLinearizable([acquisition, Self.did(.read, 1, 2, nil), Self.did(.read, 3, 4, 1)]))
        #expect(!Self.isLinearizable([acquisition, Self.did(.read, 1, 2, 1), Self.did(.read, 3, 4, nil)]))
        #expect(Self.isLinearizable([acquisition, Self.did(.read, 1, 4, 1), Self.did(.read, 3, 5, nil)]))
    }

    @Test func twoCannotBothHaveIt() {
        #expect(!Self.isLinearizable([Self.did(.acquire(1), 0, 10, 1), Self.did(.acquire(2), 0, 10, 2)]))
        #expect(Self.isLinearizable([Self.did(.acquire(1), 0, 10, 1), Self.did(.acquire(2), 0, 10, 1)]))
        #expect(
            Self.isLinearizable([
                Self.did(.acquire(1), 0, 10, 1), Self.did(.acquire(2), 0, 10, 2), Self.did(.release(1), 0, 10, nil),
            ]))
    }

    /// Whoever never heard may have had it at once, much later, or never.
    @Test func anUnknownOutcomeIsAny() {
        let lost = Self.unknown(.acquire(7), 0)
        #expect(Self.isLinearizable([lost, Self.did(.read, 5, 6, nil)]))
        #expect(Self.isLinearizable([lost, Self.did(.read, 5, 6, 7)]))
        #expect(Self.isLinearizable([lost, Self.did(.read, 5, 6, nil), Self.did(.read, 7, 8, 7)]))
        #expect(!Self.isLinearizable([lost, Self.did(.read, 5, 6, 7), Self.did(.read, 7, 8, nil)]))
        #expect(!Self.isLinearizable([Self.did(.read, 1, 2, 7), Self.unknown(.acquire(7), 3)]), "not before it began")
    }

    /// Once only: who had it, gave it back and has it again asked twice, or was carried out twice.
    @Test func nothingHappensTwice() {
        let once = [
            Self.did(.acquire(1), 0, 1, 1), Self.did(.release(1), 2, 3, nil), Self.did(.read, 4, 5, 1),
        ]
        #expect(!Self.isLinearizable(once))
        #expect(Self.isLinearizable([Self.unknown(.acquire(1), 0)] + once))
    }

    @Test func aLostAcknowledgementIsNoticed() {
        let history = [
            Self.did(.acquire(1), 0, 1, 1), Self.unknown(.acquire(2), 2), Self.did(.acquire(3), 4, 5, 3),
        ]
        #expect(Self.verdict(history) == .violated(operation: 2))
    }

    @Test func theSameMomentIsSideBySide() {
        #expect(Self.isLinearizable([Self.did(.acquire(1), 0, 5, 1), Self.did(.read, 5, 6, nil)]))
    }

    /// Many at once, none of whom heard: the search must not try every order of what changes nothing.
    @Test func manyUnknownOutcomesStayCheap() {
        var history: [Operation] = []
        for id in UInt64(1)...60 { history.append(Self.unknown(.acquire(id), id)) }
        var time: UInt64 = 100
        for id in UInt64(1001)...1100 {
            history.append(Self.did(.acquire(id), time, time + 1, id))
            history.append(Self.did(.release(id), time + 2, time + 3, nil))
            time += 4
        }
        #expect(Self.isLinearizable(history))
        history.append(Self.did(.read, time, time + 1, 1100))
        #expect(Self.verdict(history) == .violated(operation: history.count - 1))
    }

    @Test func aHistoryBeyondTheLimitIsLeftOpen() {
        var checker = LinearizabilityChecker([Self.did(.acquire(1), 0, 1, 1), Self.did(.acquire(2), 2, 3, 1)])
        #expect(checker.check(limit: 1) == .undecided)
    }

    /// Against the definition itself: every order of a few operations, tried one by one.
    @Test func itAgreesWithEveryOrderOfShortHistories() {
        var random = Random(seed: 1)
        var counts = (good: 0, bad: 0)
        for _ in 0..<3000 {
            let history = (0..<(2 + random.below(5))).map { _ -> Operation in
                let id = 1 + random.below(UInt64(2))
                let input = [LockModel.Input.acquire(id), .release(id), .clear, .read][random.below(4)]
                let begin = random.below(UInt64(8))
                guard random.below(3) != 0 else { return Self.unknown(input, begin) }
                let holder = [nil, 1, 2][random.below(3)] as UInt64?
                return Self.did(input, begin, begin + 1 + random.below(UInt64(6)), holder)
            }
            let expected = Self.hasOrder(history, [], nil)
            if expected { counts.good += 1 } else { counts.bad += 1 }
            #expect(Self.isLinearizable(history) == expected, "\(history)")
        }
        #expect(counts.good > 300)
        #expect(counts.bad > 300)
    }

    private static func hasOrder(_ history: [Operation], _ done: Set<Int>, _ state: UInt64?) -> Bool {
        let left = history.indices.filter { !done.contains($0) }
        if left.allSatisfy({ history[$0].answer == nil }) { return true }
        return left.contains { index in
            let operation = history[index]
            let isBeforeAll = left.allSatisfy { history[$0].answer.map { $0.time >= operation.begin } ?? true }
            let (after, output) = LockModel.apply(operation.input, to: state)
            guard isBeforeAll, operation.answer.map({ $0.output == output }) ?? true else { return false }
            return self.hasOrder(history, done.union([index]), after)
        }
    }
}
