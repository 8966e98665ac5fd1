/// The LZ4 block format (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md): a token of two nibbles, literals, a
/// distance of 16 bits. Our own because it is this short; liblz4 would be a C library of its own on every node.
enum LZ4 {
    private static let window = 65535
    private static let shortest = 4
    /// "The last 5 bytes of input are always literals", and no match starts in the last 12.
    private static let lastLiterals = 5
    private static let lastMatch = 12

    @inline(__always)
    private static func length(_ nibble: Int, _ input: inout ByteSource) throws(CompressionError) -> Int {
        guard nibble == 15 else { return nibble }
        var length = 15
        while true {
            let byte = Int(try input.read(UInt8.self))
            length += byte
            guard byte == 255 else { return length }
        }
    }

    static func decompress(_ input: inout ByteSource, into output: inout ByteTarget) throws(CompressionError) {
        while !output.isFull {
            let token = Int(try input.read(UInt8.self))
            let literals = try self.length(token >> 4, &input)
            try input.move(literals, to: &output)
            // The last sequence has no match.
            if output.isFull { return }
            let distance = Int(try input.read(UInt16.self))
            let length = try self.length(token & 15, &input)
            try output.copy(distance: distance, length: length + Self.shortest)
        }
    }

    static func compress(
        _ source: UnsafeRawBufferPointer, _ table: inout MatchTable, into output: inout ByteTarget
    ) -> Bool {
        table.reset(for: source.count)
        let end = source.count
        var finder = MatchFinder(source, in: 0..<end, window: Self.window, guardBytes: Self.lastLiterals)
        var prospect = Prospect()
        var literal = 0
        while let match = finder.next(&table) {
            guard match.position <= end - Self.lastMatch else { break }
            guard
                self.sequence(
                    source, literals: literal..<match.position, distance: match.distance, length: match.length, &output)
            else { return false }
            literal = match.position + match.length
            if prospect.isPoor(read: literal, written: output.count) { return false }
        }
        return self.sequence(source, literals: literal..<end, distance: 0, length: Self.shortest, &output)
    }

    /// - Parameter distance: zero in the last sequence.
    @inline(__always)
    private static func sequence(
        _ source: UnsafeRawBufferPointer, literals: Range<Int>, distance: Int, length: Int, _ output: inout ByteTarget
    ) -> Bool {
        let rest = length - Self.shortest
        guard output.room >= 1 + literals.count / 255 + 1 + literals.count + 2 + rest / 255 + 1 else { return false }
        output.put(UInt8(min(literals.count, 15) << 4 | min(rest, 15)))
        self.put(length: literals.count, &output)
        output.put(source, from: literals.lowerBound, count: literals.count)
        guard distance != 0 else { return true }
        output.put(UInt16(distance))
        self.put(length: rest, &output)
        return true
    }

    @inline(__always)
    private static func put(length: Int, _ output: inout ByteTarget) {
        guard length >= 15 else { return }
        var rest = length - 15
        while rest >= 255 {
            output.put(UInt8(255))
            rest -= 255
        }
        output.put(UInt8(rest))
    }
}
