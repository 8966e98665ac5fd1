/// LZ77+Huffman. [MS-XCA] 2.1, 2.2: blocks of 64 KiB, each with the code lengths of 512 symbols before it; bits in words of
/// 16, the most significant first, between which the bytes of long lengths stand.
enum LZ77Huffman {
    static let symbolCount = 512
    static let tableByteCount = 256
    static let blockByteCount = 65536
    static let window = 65535
    static let longestCode = 15
    static let shortest = 3
    /// Match of length 3 at distance 1, or the end.
    static let end = 256

    // MARK: Decompressing

    private struct BitReader {
        /// The next bit is the most significant; at least 16 are valid.
        private(set) var bits: UInt32
        /// Valid bits beyond 16.
        private var extra = 16

        init(_ input: inout ByteSource) throws(CompressionError) {
            self.bits = UInt32(try input.read(UInt16.self)) << 16
            self.bits |= UInt32(try input.read(UInt16.self))
        }

        /// - Parameter count: at most 15.
        @inline(__always)
        mutating func drop(_ count: Int, _ input: inout ByteSource) throws(CompressionError) {
            self.bits <<= UInt32(count)
            self.extra -= count
            guard self.extra < 0 else { return }
            self.bits |= UInt32(try input.read(UInt16.self)) << UInt32(-self.extra)
            self.extra += 16
        }
    }

    /// Codes of up to 11 bits are looked up, longer ones found by their length's range.
    private struct Decoder {
        private static let lookupBits = 11
        /// Symbol and length in 12 and 4 bits; zero: the code is longer.
        private var lookup = [UInt16](repeating: 0, count: 1 << Decoder.lookupBits)
        private var symbols = [UInt16](repeating: 0, count: LZ77Huffman.symbolCount)
        /// By length: the first code, left-aligned in 15 bits, behind the last of this length; and where the symbol of
        /// code c stands, which is `base[length] + c` with c right-aligned.
        private var limit = [UInt32](repeating: 0, count: LZ77Huffman.longestCode + 2)
        private var base = [Int](repeating: 0, count: LZ77Huffman.longestCode + 2)

        mutating func read(_ table: UnsafeRawBufferPointer) throws(CompressionError) {
            var counts = [Int](repeating: 0, count: 16)
            for byte in table {
                counts[Int(byte & 15)] += 1
                counts[Int(byte >> 4)] += 1
            }
            // Neither too many codes nor too few: every sequence of bits then means something.
            var code = 0
            var at = 0
            var starts = [Int](repeating: 0, count: 16)
            for length in 1...LZ77Huffman.longestCode {
                starts[length] = at
                self.base[length] = at - code >> (LZ77Huffman.longestCode - length)
                at += counts[length]
                code += counts[length] << (LZ77Huffman.longestCode - length)
                self.limit[length] = UInt32(code)
                guard code <= 1 << LZ77Huffman.longestCode else { throw .malformed("Huffman code lengths") }
            }
            guard code == 1 << LZ77Huffman.longestCode else { throw .malformed("Huffman code lengths") }
            for symbol in 0..<LZ77Huffman.symbolCount {
                let length = Int(table[symbol >> 1] >> UInt8(symbol & 1 * 4) & 15)
                guard length > 0 else { continue }
                self.symbols[starts[length]] = UInt16(symbol)
                starts[length] += 1
            }
            var entry = 0
            at = 0
            for length in 1...Self.lookupBits {
                for _ in 0..<counts[length] {
                    let value = self.symbols[at] << 4 | UInt16(length)
                    at += 1
                    for _ in 0..<1 << (Self.lookupBits - length) {
                        self.lookup[entry] = value
                        entry += 1
                    }
                }
            }
            while entry < self.lookup.count {
                self.lookup[entry] = 0
                entry += 1
            }
        }

        @inline(__always)
        func next(_ reader: inout BitReader, _ input: inout ByteSource) throws(CompressionError) -> Int {
            let found = self.lookup[Int(reader.bits >> UInt32(32 - Self.lookupBits))]
            if found != 0 {
                try reader.drop(Int(found & 15), &input)
                return Int(found >> 4)
            }
            let code = reader.bits >> UInt32(32 - LZ77Huffman.longestCode)
            var length = Self.lookupBits + 1
            while length < LZ77Huffman.longestCode, code >= self.limit[length] { length += 1 }
            let at = self.base[length] + Int(code >> UInt32(LZ77Huffman.longestCode - length))
            guard at >= 0, at < self.symbols.count else { throw .malformed("Huffman code") }
            try reader.drop(length, &input)
            return Int(self.symbols[at])
        }
    }

    static func decompress(_ input: inout ByteSource, into output: inout ByteTarget) throws(CompressionError) {
        var decoder = Decoder()
        while !output.isFull {
            try decoder.read(try input.read(byteCount: Self.tableByteCount))
            var reader = try BitReader(&input)
            let blockEnd = output.count + Self.blockByteCount
            while output.count < blockEnd, !output.isFull {
                var symbol = try decoder.next(&reader, &input)
                if symbol < 256 {
                    try output.append(UInt8(symbol))
                    continue
                }
                symbol -= 256
                var length = symbol & 15
                if length == 15 {
                    length = Int(try input.read(UInt8.self))
                    if length == 255 {
                        length = Int(try input.read(UInt16.self))
                        if length == 0 { length = Int(try input.read(UInt32.self)) }
                        guard length >= 15 else { throw .malformed("LZ77+Huffman length") }
                        length -= 15
                    }
                    length += 15
                }
                let bits = symbol >> 4
                let distance = Int(reader.bits >> UInt32(32 - bits)) + 1 << bits
                try reader.drop(bits, &input)
                try output.copy(distance: distance, length: length + Self.shortest)
            }
        }
    }
}
