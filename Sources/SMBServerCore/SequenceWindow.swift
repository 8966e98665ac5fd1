/// Which message ids a client may use now: Connection.CommandSequenceWindow, [MS-SMB2] 3.3.1.1, 3.3.1.2, 3.3.5.2.3.
package struct SequenceWindow: Sendable {
    /// The credits that one connection can hold, and so the width of its window.
    package static let maximumCredits = 8192

    private static let words = SequenceWindow.maximumCredits / 64

    /// The lowest id that was not used yet.
    package private(set) var low: UInt64 = 0
    /// One past the highest id that was granted.
    package private(set) var high: UInt64 = 1
    /// Bit (id mod maximumCredits) is set when an id of low..<high was used.
    private var used: [UInt64]

    package init() {
        self.used = Array(repeating: 0, count: Self.words)
    }

    /// The SMB1 multi-protocol negotiation used message id 0, [MS-SMB2] 3.3.5.3.
    package mutating func consumeFirst() {
        _ = self.consume(0, charge: 1)
    }

    private func isUsed(_ id: UInt64) -> Bool {
        let bit = Int(truncatingIfNeeded: id % UInt64(Self.maximumCredits))
        return self.used[bit >> 6] & (1 << UInt64(bit & 63)) != 0
    }

    private mutating func set(_ id: UInt64, _ value: Bool) {
        let bit = Int(truncatingIfNeeded: id % UInt64(Self.maximumCredits))
        if value {
            self.used[bit >> 6] |= 1 << UInt64(bit & 63)
        } else {
            self.used[bit >> 6] &= ~(1 << UInt64(bit & 63))
        }
    }

    /// Takes `charge` consecutive ids from `id` on. False when one of them was not granted or was used before: the
    /// connection must then be closed.
    package mutating func consume(_ id: UInt64, charge: UInt16) -> Bool {
        let charge = UInt64(max(1, charge))
        guard id >= self.low, id < self.high, charge <= self.high - id else { return false }
        for each in id..<(id + charge) where self.isUsed(each) { return false }
        for each in id..<(id + charge) { self.set(each, true) }
        while self.low < self.high, self.isUsed(self.low) {
            self.set(self.low, false)
            self.low += 1
        }
        return true
    }

    /// Grants up to `wanted` more ids and says how many. At least one while the client would otherwise have none.
    package mutating func grant(_ wanted: UInt16) -> UInt16 {
        let room = UInt64(Self.maximumCredits) - (self.high - self.low)
        let granted = min(UInt64(max(1, wanted)), room)
        self.high += granted
        return UInt16(granted)
    }
}
