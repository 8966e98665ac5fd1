/// The reservation key of a node in a term: the Raft term is the fence key is the journal epoch.
///
/// Eight bytes, big-endian on the wire: magic "HF" (16), node (16), term (32).
package struct FenceKey: Hashable, Sendable, CustomStringConvertible {
    package static let magic: UInt16 = 0x4846

    package var node: UInt16
    package var term: UInt32

    package init(node: UInt16, term: UInt32) {
        self.node = node
        self.term = term
    }

    /// Nil when the key was not made by Holdfast.
    package init?(raw: UInt64) {
        guard UInt16(truncatingIfNeeded: raw >> 48) == Self.magic else { return nil }
        self.node = UInt16(truncatingIfNeeded: raw >> 32)
        self.term = UInt32(truncatingIfNeeded: raw)
    }

    package var raw: UInt64 {
        UInt64(Self.magic) << 48 | UInt64(self.node) << 32 | UInt64(self.term)
    }

    package var description: String { "node \(self.node), term \(self.term)" }
}

/// 0x and 16 digits, as sg_persist prints keys.
package func keyText(_ raw: UInt64) -> String {
    let digits = String(raw, radix: 16)
    let text = "0x" + String(repeating: "0", count: 16 - digits.utf8.count) + digits
    guard let key = FenceKey(raw: raw) else { return text }
    return "\(text) (\(key))"
}
