/// What one object does when its operations come one after another.
package protocol SequentialModel: Sendable {
    associatedtype State: Hashable & Sendable
    associatedtype Input: Equatable & Sendable
    associatedtype Output: Hashable & Sendable

    static var initial: State { get }
    /// The state after the operation, and what its caller is told.
    static func apply(_ input: Input, to state: State) -> (state: State, output: Output)
    /// Whether an operation can explain any of all the answers that were given, where nobody heard its own.
    static func canExplain(_ input: Input, _ outputs: Set<Output>) -> Bool
}

/// One operation as its caller saw it. Times are of one clock, in whatever unit.
package struct TimedOperation<Model: SequentialModel>: Sendable {
    package var input: Model.Input
    package var begin: UInt64
    /// nil: the caller never heard. It may have happened at any time after `begin`, or not.
    package var answer: Answer?

    package struct Answer: Sendable {
        package var output: Model.Output
        package var time: UInt64

        package init(_ output: Model.Output, at time: UInt64) {
            self.output = output
            self.time = time
        }
    }

    package init(_ input: Model.Input, begin: UInt64, answer: Answer? = nil) {
        self.input = input
        self.begin = begin
        self.answer = answer
    }
}

package enum LinearizabilityVerdict: Equatable, Sendable {
    /// There is an order of the operations, each within its time, that explains every answer.
    case linearizable
    /// There is none. `operation`: by its place in the history, one that no order reaches beyond.
    case violated(operation: Int)
    /// Not found out within the limit.
    case undecided
}

/// Whether a history of one object is linearizable (Herlihy, Wing 1990): the search of Wing and Gong (1993) with Lowe's
/// memory of what was tried (2017), as Porcupine has it. Objects are independent of each other, so a history is checked for
/// each key alone.
///
/// What tangles a history is what nobody heard the outcome of. Two such operations that ask for the same are taken in the order of
/// their beginnings: what the later one explains the earlier one does as well. And where the answered ones led to a state with some
/// of the unheard spent, nothing more is to be found there with more of them spent.
package struct LinearizabilityChecker<Model: SequentialModel> {
    /// Orders begun, over all of a check. A history of some hundred operations takes about as many; a tangled one is left open.
    package static var standardLimit: Int { 20_000 }

    private struct Entry {
        var operation: Int
        var isAnswer: Bool
    }

    /// What may come next: first those that were answered, then those whose outcome nobody heard, which are put in only where
    /// nothing else explains what follows.
    private enum Candidate {
        case entry(Int)
        case unheard(Int)
    }

    private struct Place: Hashable {
        /// The answered operations that came to it, in whatever order.
        var done: [UInt64]
        var state: Model.State
    }

    /// Bits: which of the answered operations have their place, and which of the unheard.
    private struct Taken {
        var done: [UInt64]
        var spent: [UInt64]

        init(operations: Int, unheard: Int) {
            self.done = Array(repeating: 0, count: (operations + 63) / 64)
            self.spent = Array(repeating: 0, count: (unheard + 63) / 64)
        }

        func isSpent(_ index: Int) -> Bool { self.spent[index / 64] & 1 << UInt64(index % 64) != 0 }
    }

    /// Where the search has been, and with which of the unheard spent.
    private struct Tried {
        private var spent: [Place: [[UInt64]]] = [:]
        private(set) var count = 0

        /// False where that was tried with as few.
        mutating func insert(_ place: Place, spent: [UInt64]) -> Bool {
            let before = self.spent[place, default: []]
            let isKnown = before.contains { zip($0, spent).allSatisfy { $0 & ~$1 == 0 } }
            guard !isKnown else { return false }
            self.spent[place] = before.filter { !zip(spent, $0).allSatisfy { $0 & ~$1 == 0 } } + [spent]
            self.count += 1
            return true
        }
    }

    private let operations: [TimedOperation<Model>]
    /// Those that were never answered, by their beginnings.
    private let unheard: [Int]
    /// For each of these the one before it that asks for the same, which goes first.
    private let forerunners: [Int?]
    /// Of the others the beginnings and answers in the order of their times; a doubly linked list, its head behind the last.
    private let entries: [Entry]
    private var next: [Int]
    private var previous: [Int]
    /// The entry of each operation's answer.
    private let answers: [Int?]

    package init(_ operations: [TimedOperation<Model>]) {
        self.operations = operations
        var timed: [(time: UInt64, entry: Entry)] = []
        for (index, operation) in operations.enumerated() {
            guard let answer = operation.answer else { continue }
            timed.append((operation.begin, Entry(operation: index, isAnswer: false)))
            timed.append((answer.time, Entry(operation: index, isAnswer: true)))
        }
        // What happens at the same moment is side by side: beginnings first.
        timed.sort { a, b in
            (a.time, a.entry.isAnswer ? 1 : 0, a.entry.operation) < (
                b.time, b.entry.isAnswer ? 1 : 0, b.entry.operation
            )
        }
        self.entries = timed.map(\.entry)
        let outputs = Set(operations.compactMap(\.answer?.output))
        self.unheard = operations.indices
            .filter { operations[$0].answer == nil && Model.canExplain(operations[$0].input, outputs) }
            .sorted { (operations[$0].begin, $0) < (operations[$1].begin, $1) }
        let unheard = self.unheard
        self.forerunners = unheard.indices.map { index in
            unheard[..<index].lastIndex { operations[$0].input == operations[unheard[index]].input }
        }
        let count = self.entries.count
        self.next = (0...count).map { $0 == count ? (count == 0 ? count : 0) : $0 + 1 }
        self.previous = (0...count).map { $0 == 0 ? count : $0 - 1 }
        var answers = [Int?](repeating: nil, count: operations.count)
        for (position, entry) in self.entries.enumerated() where entry.isAnswer { answers[entry.operation] = position }
        self.answers = answers
    }

    package mutating func check(limit: Int = Self.standardLimit) -> LinearizabilityVerdict {
        let head = self.entries.count
        var missing = self.operations.count { $0.answer != nil }
        var state = Model.initial
        var taken = Taken(operations: self.operations.count, unheard: self.unheard.count)
        var tried = Tried()
        var path: [(step: Candidate, before: Model.State)] = []
        var deepest = (depth: -1, operation: 0)
        var candidate = Candidate.entry(self.next[head])
        while missing > 0 {
            switch candidate {
            case .entry(let entry) where entry == head || self.entries[entry].isAnswer:
                candidate = .unheard(0)
                continue
            case .entry: break
            case .unheard(let index):
                let barrier = self.firstAnswer
                if index < self.unheard.count, self.operations[self.unheard[index]].begin <= barrier.time { break }
                // An answer of something that found no place before it: what was put before was wrong.
                if path.count > deepest.depth { deepest = (path.count, barrier.operation) }
                guard let (last, before) = path.popLast() else { return .violated(operation: deepest.operation) }
                state = before
                if case .entry(let entry) = last {
                    self.unlift(entry)
                    missing += 1
                }
                self.toggle(last, &taken)
                candidate = self.after(last)
                continue
            }
            guard let after = self.step(candidate, state, taken) else {
                candidate = self.after(candidate)
                continue
            }
            self.toggle(candidate, &taken)
            guard tried.insert(Place(done: taken.done, state: after), spent: taken.spent) else {
                self.toggle(candidate, &taken)
                candidate = self.after(candidate)
                continue
            }
            guard tried.count <= limit else { return .undecided }
            path.append((candidate, state))
            state = after
            if case .entry(let entry) = candidate {
                self.lift(entry)
                missing -= 1
            }
            candidate = .entry(self.next[head])
        }
        return .linearizable
    }

    private func after(_ candidate: Candidate) -> Candidate {
        switch candidate {
        case .entry(let entry): .entry(self.next[entry])
        case .unheard(let index): .unheard(index + 1)
        }
    }

    private func toggle(_ candidate: Candidate, _ taken: inout Taken) {
        switch candidate {
        case .entry(let entry):
            let operation = self.entries[entry].operation
            taken.done[operation / 64] ^= 1 << UInt64(operation % 64)
        case .unheard(let index): taken.spent[index / 64] ^= 1 << UInt64(index % 64)
        }
    }

    /// Whatever comes next begins before it.
    private var firstAnswer: (time: UInt64, operation: Int) {
        var entry = self.next[self.entries.count]
        while entry < self.entries.count, !self.entries[entry].isAnswer { entry = self.next[entry] }
        guard entry < self.entries.count else { return (.max, 0) }
        let operation = self.entries[entry].operation
        return (self.operations[operation].answer?.time ?? .max, operation)
    }

    /// nil: not here. What nobody heard of and would change nothing may as well have happened later, or never.
    private func step(_ candidate: Candidate, _ state: Model.State, _ taken: Taken) -> Model.State? {
        switch candidate {
        case .entry(let entry):
            let operation = self.operations[self.entries[entry].operation]
            let (after, output) = Model.apply(operation.input, to: state)
            return operation.answer?.output == output ? after : nil
        case .unheard(let index):
            guard !taken.isSpent(index), self.forerunners[index].map(taken.isSpent) ?? true else { return nil }
            let after = Model.apply(self.operations[self.unheard[index]].input, to: state).state
            return after == state ? nil : after
        }
    }

    private mutating func lift(_ entry: Int) {
        self.remove(entry)
        if let answer = self.answers[self.entries[entry].operation] { self.remove(answer) }
    }

    private mutating func unlift(_ entry: Int) {
        if let answer = self.answers[self.entries[entry].operation] { self.restore(answer) }
        self.restore(entry)
    }

    private mutating func remove(_ entry: Int) {
        self.next[self.previous[entry]] = self.next[entry]
        self.previous[self.next[entry]] = self.previous[entry]
    }

    private mutating func restore(_ entry: Int) {
        self.next[self.previous[entry]] = entry
        self.previous[self.next[entry]] = entry
    }
}
