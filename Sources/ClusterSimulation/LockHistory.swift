/// An exclusive open, or lock, of the replicated state: one holder or none. What a caller is told is who holds it afterwards.
package enum LockModel: SequentialModel {
    package enum Input: Equatable, Sendable {
        /// Takes it where nobody has it.
        case acquire(UInt64)
        /// Gives it back; nothing happens where somebody else has it.
        case release(UInt64)
        /// Whoever has it loses it.
        case clear
        case read
    }

    package static var initial: UInt64? { nil }

    package static func apply(_ input: Input, to state: UInt64?) -> (state: UInt64?, output: UInt64?) {
        let after: UInt64? =
            switch input {
            case .acquire(let id): state ?? id
            case .release(let id): state == id ? nil : state
            case .clear: nil
            case .read: state
            }
        return (after, after)
    }

    /// A holder whom nobody ever saw explains nothing.
    package static func canExplain(_ input: Input, _ outputs: Set<UInt64?>) -> Bool {
        switch input {
        case .acquire(let id), .release(let id): outputs.contains(id)
        case .clear: true
        case .read: false
        }
    }
}

/// What clients did to some locks, and what they were told.
struct LockHistory {
    private var operations: [Int: [TimedOperation<LockModel>]] = [:]
    /// Histories that were too tangled to be decided.
    private(set) var undecided = 0
    private(set) var answeredCount = 0

    /// Returns its number among those of that lock.
    mutating func begins(_ input: LockModel.Input, key: Int, at time: UInt64) -> Int {
        self.operations[key, default: []].append(TimedOperation(input, begin: time))
        return (self.operations[key]?.count ?? 0) - 1
    }

    mutating func answered(_ key: Int, _ index: Int, _ holder: UInt64?, at time: UInt64) {
        self.answeredCount += 1
        self.operations[key]?[index].answer = .init(holder, at: time)
    }

    /// It certainly did not happen.
    mutating func refused(_ key: Int, _ index: Int) {
        // A read that nobody heard of means nothing.
        self.operations[key]?[index].input = .read
    }

    /// What is wrong with them; nil: nothing.
    mutating func violation() -> String? {
        for (key, history) in self.operations.sorted(by: { $0.key < $1.key }) {
            var checker = LinearizabilityChecker(history)
            switch checker.check() {
            case .linearizable: break
            case .undecided: self.undecided += 1
            case .violated(let index):
                let operation = history[index]
                let told = operation.answer?.output.map { "\($0)" } ?? "nobody"
                return
                    "linearizability: of lock \(key) \(operation.input), begun at \(operation.begin), cannot have been told "
                    + "\(told) at \(operation.answer?.time ?? 0), in whatever order the others happened"
            }
        }
        return nil
    }
}
