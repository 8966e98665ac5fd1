/// SRV_SNAPSHOT_ARRAY, [MS-SMB2] 2.2.32.2.
package struct SnapshotArray: Equatable, Sendable {
    /// A smaller buffer is no request at all, 3.3.5.15.1.
    package static let smallestByteCount = 16
    private static let fixedByteCount = 12
    /// UTF-16 with its NUL.
    private static let tokenByteCount = 2 * (SnapshotToken.length + 1)

    /// Those that the answer has: none where there was no room.
    package var tokens: [SnapshotToken]
    /// All that there are.
    package var total: Int
    /// What the array takes, or would take.
    package var arrayByteCount: Int

    package init(tokens: [SnapshotToken]) {
        self.tokens = tokens
        self.total = tokens.count
        self.arrayByteCount = tokens.isEmpty ? 0 : tokens.count * Self.tokenByteCount + 2
    }

    package init(parsing output: RawSpan) throws(WireError) {
        try output.require(Self.fixedByteCount, "SRV_SNAPSHOT_ARRAY")
        self.total = Int(output.load(UInt32.self, at: 0))
        let count = Int(output.load(UInt32.self, at: 4))
        self.arrayByteCount = Int(output.load(UInt32.self, at: 8))
        self.tokens = []
        guard count <= (output.byteCount - Self.fixedByteCount) / Self.tokenByteCount else {
            throw .truncated("SRV_SNAPSHOT_ARRAY")
        }
        for index in 0..<count {
            let at = Self.fixedByteCount + index * Self.tokenByteCount
            let text = try UTF16LE.decode(output.extracting(at..<(at + Self.tokenByteCount - 2)))
            guard let token = SnapshotToken(text) else { throw .invalidValue("SRV_SNAPSHOT_ARRAY") }
            self.tokens.append(token)
        }
    }

    /// - Parameter limit: the client's room; where the array does not fit it is told how much it needs.
    package func encode(into writer: inout WireWriter, limit: Int) {
        let fits = !self.tokens.isEmpty && Self.fixedByteCount + self.arrayByteCount <= limit
        writer.append(UInt32(self.total))
        writer.append(UInt32(fits ? self.tokens.count : 0))
        writer.append(UInt32(self.arrayByteCount))
        guard fits else {
            writer.claim(Self.smallestByteCount - Self.fixedByteCount)
            return
        }
        for token in self.tokens {
            for unit in token.text.utf16 { writer.append(unit) }
            writer.append(UInt16(0))
        }
        writer.append(UInt16(0))
    }
}
