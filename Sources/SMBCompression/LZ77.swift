/// Plain LZ77. [MS-XCA] 2.3, 2.4: flags in words of 32, a match in 13 bits of distance and 3 of length, longer lengths in a
/// nibble that two matches share, then a byte, then 16 bits, then 32.
enum LZ77 {
    static let window = 8192
    private static let shortest = 3

    static func decompress(_ input: inout ByteSource, into output: inout ByteTarget) throws(CompressionError) {
        var flags: UInt32 = 0
        var flagCount = 0
        var nibble: UInt8?
        while !output.isFull {
            if flagCount == 0 {
                flags = try input.read(UInt32.self)
                flagCount = 32
            }
            // The flags that are left stand at the top: literals up to the next one that is set.
            let literals = min(flags.leadingZeroBitCount, flagCount)
            if literals > 0 {
                try input.move(min(literals, output.room), to: &output)
                flags <<= UInt32(literals)
                flagCount -= literals
                continue
            }
            flags <<= 1
            flagCount -= 1
            let word = Int(try input.read(UInt16.self))
            var length = word & 7
            if length == 7 {
                if let high = nibble {
                    length = Int(high)
                    nibble = nil
                } else {
                    let byte = try input.read(UInt8.self)
                    length = Int(byte & 15)
                    nibble = byte >> 4
                }
                if length == 15 {
                    length = Int(try input.read(UInt8.self))
                    if length == 255 {
                        length = Int(try input.read(UInt16.self))
                        if length == 0 { length = Int(try input.read(UInt32.self)) }
                        guard length >= 15 + 7 else { throw .malformed("LZ77 length") }
                        length -= 15 + 7
                    }
                    length += 15
                }
                length += 7
            }
            try output.copy(distance: word >> 3 + 1, length: length + Self.shortest)
        }
    }

    static func compress(
        _ source: UnsafeRawBufferPointer, _ table: inout MatchTable, into output: inout ByteTarget
    ) -> Bool {
        table.reset(for: source.count)
        var finder = MatchFinder(source, in: 0..<source.count, window: Self.window)
        var writer = FlaggedWriter()
        guard writer.begin(&output) else { return false }
        var prospect = Prospect()
        var literal = 0
        while true {
            let match = finder.next(&table)
            let literalEnd = match?.position ?? source.count
            // Known before the first of them is written, which for noise is at once.
            guard literalEnd - literal <= output.room else { return false }
            guard writer.append(literals: source, literal..<literalEnd, to: &output) else { return false }
            guard let match else { break }
            guard writer.append(distance: match.distance, length: match.length, to: &output) else { return false }
            literal = match.position + match.length
            if prospect.isPoor(read: literal, written: output.count) { return false }
        }
        writer.finish(&output)
        return true
    }

    /// The output's side of 2.3.4.
    private struct FlaggedWriter {
        /// A match in its longest form (2 + 1 + 1 + 2 + 4), and the next word of flags.
        private static let longest = 10 + 4
        private var flags: UInt32 = 0
        private var flagCount = 0
        private var flagsAt = 0
        /// The byte whose upper half is still free.
        private var nibbleAt: Int?

        mutating func begin(_ output: inout ByteTarget) -> Bool {
            guard output.room >= 4 else { return false }
            self.flagsAt = output.claim(4)
            return true
        }

        /// One set flag, or several that are not.
        @inline(__always)
        private mutating func flag(_ bit: UInt32, count: Int = 1, _ output: inout ByteTarget) {
            self.flags = self.flags << UInt32(count) | bit
            self.flagCount += count
            guard self.flagCount == 32 else { return }
            output.store(self.flags, at: self.flagsAt)
            self.flagCount = 0
            self.flagsAt = output.claim(4)
        }

        @inline(__always)
        mutating func append(
            literals source: UnsafeRawBufferPointer, _ range: Range<Int>, to output: inout ByteTarget
        ) -> Bool {
            var at = range.lowerBound
            while at < range.upperBound {
                let count = min(32 - self.flagCount, range.upperBound - at)
                guard output.room >= count + 4 else { return false }
                output.put(source, from: at, count: count)
                self.flag(0, count: count, &output)
                at += count
            }
            return true
        }

        @inline(__always)
        mutating func append(distance: Int, length: Int, to output: inout ByteTarget) -> Bool {
            guard output.room >= Self.longest else { return false }
            var rest = length - LZ77.shortest
            output.put(UInt16(distance - 1) << 3 | UInt16(min(rest, 7)))
            if rest >= 7 {
                rest -= 7
                let low = UInt8(min(rest, 15))
                if let at = self.nibbleAt {
                    output.store(output.load(at: at) | low << 4, at: at)
                    self.nibbleAt = nil
                } else {
                    self.nibbleAt = output.count
                    output.put(low)
                }
                if rest >= 15 {
                    rest -= 15
                    if rest < 255 {
                        output.put(UInt8(rest))
                    } else {
                        output.put(UInt8(255))
                        rest += 7 + 15
                        if rest < 1 << 16 {
                            output.put(UInt16(rest))
                        } else {
                            output.put(UInt16(0))
                            output.put(UInt32(rest))
                        }
                    }
                }
            }
            self.flag(1, &output)
            return true
        }

        /// The flags that are left are ones: with nothing behind them, they mean the end.
        mutating func finish(_ output: inout ByteTarget) {
            let left = UInt32(32 - self.flagCount)
            // The shift by 32 that happens behind a full word gives zero.
            output.store(self.flags << left | UInt32(truncatingIfNeeded: UInt64(1) << left - 1), at: self.flagsAt)
        }
    }
}
