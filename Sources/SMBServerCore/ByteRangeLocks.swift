/// A byte range lock of one open. [MS-FSA] 2.1.1.10.
package struct ByteRangeLock: Equatable, Sendable {
    package var offset: UInt64
    package var length: UInt64
    package var isExclusive: Bool
    /// The open's key in the table of opens.
    package var owner: UInt64

    package init(offset: UInt64, length: UInt64, isExclusive: Bool, owner: UInt64) {
        self.offset = offset
        self.length = length
        self.isExclusive = isExclusive
        self.owner = owner
    }

    /// Ranges that end past 2^64 are refused before they come here. An empty range overlaps what it lies inside of.
    fileprivate func overlaps(_ offset: UInt64, _ length: UInt64) -> Bool {
        if self.length != 0, self.offset == offset, self.length == length { return true }
        let (end, past) = self.offset.addingReportingOverflow(self.length)
        let (otherEnd, otherPast) = offset.addingReportingOverflow(length)
        if !past, offset >= end { return false }
        if !otherPast, self.offset >= otherEnd { return false }
        return true
    }
}

/// The byte range locks of one stream of one file. [MS-FSA] 2.1.4.10, 2.1.5.8, 2.1.5.9.
package struct ByteRangeLocks: Equatable, Sendable {
    /// The locks that one file can have; more are refused with STATUS_INSUFFICIENT_RESOURCES.
    package static let limit = 16384

    package private(set) var all: [ByteRangeLock] = []

    package init() {}

    package var isEmpty: Bool { self.all.isEmpty }

    /// Whether `offset + length` stays within the 64-bit file space. [MS-SMB2] 3.3.5.14.2.
    package static func isValid(offset: UInt64, length: UInt64) -> Bool {
        length == 0 || length - 1 <= UInt64.max - offset
    }

    /// Whether a new lock is refused. A shared lock may be stacked on its owner's own exclusive lock; nothing else may
    /// overlap an exclusive lock.
    package func refuses(_ lock: ByteRangeLock) -> Bool {
        self.all.contains { held in
            if !held.isExclusive && !lock.isExclusive { return false }
            if held.isExclusive && !lock.isExclusive && held.owner == lock.owner { return false }
            return held.overlaps(lock.offset, lock.length)
        }
    }

    /// Adds a lock that `refuses` did not refuse. False when the file has too many.
    package mutating func add(_ lock: ByteRangeLock) -> Bool {
        guard self.all.count < Self.limit else { return false }
        self.all.append(lock)
        return true
    }

    /// Removes the owner's lock of exactly this range, an exclusive one first. False when there is none.
    package mutating func remove(offset: UInt64, length: UInt64, owner: UInt64) -> Bool {
        func first(exclusive: Bool) -> Int? {
            self.all.firstIndex {
                $0.owner == owner && $0.offset == offset && $0.length == length && $0.isExclusive == exclusive
            }
        }
        guard let index = first(exclusive: true) ?? first(exclusive: false) else { return false }
        self.all.remove(at: index)
        return true
    }

    /// Takes back a lock that was just added.
    package mutating func removeLast(_ lock: ByteRangeLock) -> Bool {
        guard let index = self.all.lastIndex(of: lock) else { return false }
        self.all.remove(at: index)
        return true
    }

    /// How many were removed.
    package mutating func removeAll(owner: UInt64) -> Int {
        let before = self.all.count
        self.all.removeAll { $0.owner == owner }
        return before - self.all.count
    }

    package func owned(by owner: UInt64) -> [ByteRangeLock] {
        self.all.filter { $0.owner == owner }
    }

    /// Reading is refused by somebody else's exclusive lock.
    package func refusesRead(offset: UInt64, length: UInt64, by owner: UInt64) -> Bool {
        guard length != 0, !self.all.isEmpty else { return false }
        return self.all.contains { $0.isExclusive && $0.owner != owner && $0.overlaps(offset, length) }
    }

    /// Writing is refused by somebody else's exclusive lock and by any shared lock, also the writer's own.
    package func refusesWrite(offset: UInt64, length: UInt64, by owner: UInt64) -> Bool {
        guard length != 0, !self.all.isEmpty else { return false }
        return self.all.contains { (!$0.isExclusive || $0.owner != owner) && $0.overlaps(offset, length) }
    }
}
