/// LZNT1. [MS-XCA] 2.5, 2.6: chunks of 4096 bytes, each for itself; eight flags in a byte; a match's 16 bits divided between
/// distance and length by how far into the chunk it stands.
enum LZNT1 {
    private static let chunkByteCount = 4096
    private static let signature: UInt16 = 3 << 12
    private static let compressed: UInt16 = 1 << 15
    private static let shortest = 3

    /// Bits of the distance at an offset into the chunk, 2.5.1.4: the smallest from 4 to 12 with 2^bits >= offset.
    @inline(__always)
    private static func distanceBits(at offset: Int) -> Int {
        offset <= 16 ? 4 : min(Int.bitWidth - (offset - 1).leadingZeroBitCount, 12)
    }

    static func decompress(_ input: inout ByteSource, into output: inout ByteTarget) throws(CompressionError) {
        while !output.isFull {
            let header = try input.read(UInt16.self)
            // An end mark where more was announced.
            guard header != 0 else { throw .outputShort }
            guard header & (7 << 12) == Self.signature else { throw .malformed("LZNT1 chunk signature") }
            let data = try input.read(byteCount: Int(header & 0xFFF) + 1)
            guard header & Self.compressed != 0 else {
                try output.append(data)
                continue
            }
            var chunk = ByteSource(data)
            let origin = output.count
            while !chunk.isAtEnd {
                let flags = try chunk.read(UInt8.self)
                for bit in 0..<8 where !chunk.isAtEnd {
                    guard flags >> UInt8(bit) & 1 != 0 else {
                        try output.append(try chunk.read(UInt8.self))
                        continue
                    }
                    let word = Int(try chunk.read(UInt16.self))
                    let lengthBits = 16 - Self.distanceBits(at: output.count - origin)
                    try output.copy(
                        distance: word >> lengthBits + 1, length: word & (1 << lengthBits - 1) + Self.shortest,
                        notBefore: origin)
                }
                guard output.count - origin <= Self.chunkByteCount else { throw .malformed("LZNT1 chunk size") }
            }
        }
    }

    static func compress(
        _ source: UnsafeRawBufferPointer, _ table: inout MatchTable, into output: inout ByteTarget
    ) -> Bool {
        table.reset(for: source.count)
        var prospect = Prospect()
        var start = 0
        while start < source.count {
            let end = min(start + Self.chunkByteCount, source.count)
            guard self.compress(source, in: start..<end, &table, into: &output) else { return false }
            start = end
            if prospect.isPoor(read: start, written: output.count) { return false }
        }
        return true
    }

    private static func compress(
        _ source: UnsafeRawBufferPointer, in chunk: Range<Int>, _ table: inout MatchTable, into output: inout ByteTarget
    ) -> Bool {
        guard output.room >= 2 else { return false }
        let header = output.claim(2)
        // A chunk that does not shrink goes as it is.
        var pays = true
        var flags: UInt8 = 0
        var flagCount = 8
        var flagsAt = 0
        func item(_ isMatch: Bool) -> Bool {
            if flagCount == 8 {
                guard output.room >= 3 else { return false }
                flagsAt = output.claim(1)
                flags = 0
                flagCount = 0
            }
            guard output.room >= 2 else { return false }
            if isMatch { flags |= 1 << UInt8(flagCount) }
            flagCount += 1
            output.store(flags, at: flagsAt)
            return output.count - header <= chunk.count
        }
        var finder = MatchFinder(source, in: chunk, window: Self.chunkByteCount)
        var literal = chunk.lowerBound
        outer: while true {
            let match = finder.next(&table, notBefore: chunk.lowerBound)
            let literalEnd = match?.position ?? chunk.upperBound
            while literal < literalEnd {
                guard item(false) else {
                    pays = false
                    break outer
                }
                output.put(source[literal])
                literal += 1
            }
            guard var match else { break }
            while match.length > 0 {
                let offset = match.position - chunk.lowerBound
                let lengthBits = 16 - Self.distanceBits(at: offset)
                let length = min(match.length, 1 << lengthBits - 1 + Self.shortest)
                guard length >= Self.shortest else { break }
                guard item(true) else {
                    pays = false
                    break outer
                }
                output.put(UInt16((match.distance - 1) << lengthBits | (length - Self.shortest)))
                match.position += length
                match.length -= length
            }
            literal = match.position
        }
        let byteCount = output.count - header - 2
        if pays, byteCount < chunk.count {
            output.store(Self.compressed | Self.signature | UInt16(byteCount - 1), at: header)
            return true
        }
        output.truncate(to: header)
        guard output.room >= 2 + chunk.count else { return false }
        output.put(Self.signature | UInt16(chunk.count - 1))
        output.put(source, from: chunk.lowerBound, count: chunk.count)
        return true
    }
}
