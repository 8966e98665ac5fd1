/// A table whose keys are array slots with a generation, so that a lookup is one bounds check and one compare, and a
/// stale key of a slot that was used again finds nothing.
///
/// A key is never 0 and never all ones: [MS-SMB2] gives both a meaning of their own (no id yet; the id of the
/// preceding request of a compound).
package struct SlotTable<Element: Sendable>: Sendable {
    /// The low bits are the slot plus one, the rest the generation.
    package typealias Key = UInt64

    package enum Width: Sendable {
        /// 32 bits of slot, 32 of generation.
        case wide
        /// Keys that fit into 32 bits (TreeId): 13 bits of slot, 18 of generation.
        case narrow
        /// Keys that fit into 32 bits and look like random numbers: 17 bits of slot, 15 of generation, permuted by the seed.
        /// SessionId: a client that lost its server names its old session to the new one, and must not hit another's.
        case scrambled

        fileprivate var slotBits: UInt64 {
            switch self {
            case .wide: 32
            case .narrow: 13
            case .scrambled: 17
            }
        }

        fileprivate var lastGeneration: UInt32 {
            switch self {
            case .wide: .max - 1
            case .narrow: (1 << 18) - 1
            case .scrambled: (1 << 15) - 1
            }
        }
    }

    private struct Slot: Sendable {
        var generation: UInt32
        var element: Element?
    }

    private var slots: [Slot] = []
    private var free: [Int] = []
    /// Where it is lowered below what is there, all of that stays.
    package var limit: Int { didSet { self.checkLimit() } }
    private let slotBits: UInt64
    private let lastGeneration: UInt32
    /// The generation that a slot begins with.
    private let seed: UInt32
    private let permutation: Permutation32?

    /// - Parameters:
    ///   - limit: the number of elements at which `insert` refuses.
    ///   - seed: makes the keys of two tables differ that must not be taken for each other.
    package init(limit: Int, seed: UInt32 = 1, width: Width = .wide) {
        self.slotBits = width.slotBits
        self.lastGeneration = width.lastGeneration
        self.limit = limit
        self.seed = max(1, seed % self.lastGeneration)
        self.permutation = width == .scrambled ? Permutation32(seed: seed) : nil
        self.checkLimit()
    }

    private func checkLimit() { precondition(self.limit < 1 << Int(self.slotBits) - 1) }

    package var count: Int { self.slots.count - self.free.count }
    package var isFull: Bool { self.count >= self.limit }

    private func index(_ shown: Key) -> Int? {
        var key = shown
        if let permutation = self.permutation {
            guard let narrow = UInt32(exactly: shown), narrow != 0 else { return nil }
            key = UInt64(permutation.undone(narrow))
        }
        let low = key & (1 << self.slotBits - 1)
        guard low != 0, low <= UInt64(self.slots.count) else { return nil }
        let index = Int(low) - 1
        return UInt64(self.slots[index].generation) == key >> self.slotBits ? index : nil
    }

    private func key(_ index: Int) -> Key {
        let key = UInt64(self.slots[index].generation) << self.slotBits | UInt64(index + 1)
        return self.permutation.map { UInt64($0.done(UInt32(truncatingIfNeeded: key))) } ?? key
    }

    /// The key of the new element; nil when the table is full.
    ///
    /// - Parameter isLimited: false for what must come in all the same, up to as many as there are keys.
    package mutating func insert(_ element: Element, isLimited: Bool = true) -> Key? {
        guard !isLimited || !self.isFull, self.count < 1 << Int(self.slotBits) - 2 else { return nil }
        if let index = self.free.popLast() {
            self.slots[index].element = element
            return self.key(index)
        }
        self.slots.append(Slot(generation: self.seed, element: element))
        return self.key(self.slots.count - 1)
    }

    @discardableResult
    package mutating func remove(_ key: Key) -> Element? {
        guard let index = self.index(key), let element = self.slots[index].element else { return nil }
        self.slots[index].element = nil
        let generation = self.slots[index].generation
        self.slots[index].generation = generation >= self.lastGeneration ? 1 : generation + 1
        self.free.append(index)
        return element
    }

    package subscript(_ key: Key) -> Element? {
        get {
            guard let index = self.index(key) else { return nil }
            return self.slots[index].element
        }
        _modify {
            guard let index = self.index(key), self.slots[index].element != nil else {
                // Of an element that is not there nothing can be changed, and a table is filled by `insert` alone.
                var none: Element?
                yield &none
                return
            }
            yield &self.slots[index].element
        }
    }

    /// In slot order, which is the same in every run.
    package var keys: [Key] {
        self.slots.indices.filter { self.slots[$0].element != nil }.map { self.key($0) }
    }

    package func forEach(_ body: (Key, Element) -> Void) {
        for index in self.slots.indices {
            if let element = self.slots[index].element { body(self.key(index), element) }
        }
    }
}
