/// Open.LockSequenceArray: recognises a LOCK request that is sent again after a reconnect.
/// [MS-SMB2] 3.3.1.10, 3.3.5.14.
package struct LockSequences: Equatable, Sendable {
    /// Indices 1...64 are valid.
    package static let count = 64
    /// An entry that holds no sequence number; numbers have four bits.
    package static let none: UInt8 = 0xFF

    /// Empty until the first entry is set: most opens never lock.
    package private(set) var entries: [UInt8]

    package init(entries: [UInt8] = []) {
        self.entries = entries.count == Self.count ? entries : []
    }

    /// Whether this request was carried out before.
    package func isReplay(index: UInt32, number: UInt8) -> Bool {
        guard Self.isValid(index), !self.entries.isEmpty else { return false }
        return self.entries[Int(index) - 1] == number
    }

    /// A new request with this index is under way; the entry is not valid until it succeeds.
    package mutating func begin(index: UInt32) {
        guard Self.isValid(index), !self.entries.isEmpty else { return }
        self.entries[Int(index) - 1] = Self.none
    }

    package mutating func succeed(index: UInt32, number: UInt8) {
        guard Self.isValid(index) else { return }
        if self.entries.isEmpty { self.entries = Array(repeating: Self.none, count: Self.count) }
        self.entries[Int(index) - 1] = number
    }

    private static func isValid(_ index: UInt32) -> Bool { index >= 1 && index <= UInt32(Self.count) }
}
