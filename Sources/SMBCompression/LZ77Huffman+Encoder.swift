extension LZ77Huffman {
    /// [MS-XCA] 2.1.4: finds the matches of a block, counts its symbols, then writes them. No match crosses the end of a
    /// block.
    struct Encoder {
        /// A literal is its byte; a match is its length with the top bit set, then its distance.
        private var tokens: [UInt32] = []
        private var counts = [Int](repeating: 0, count: LZ77Huffman.symbolCount)
        private static let matchFlag: UInt32 = 1 << 31

        mutating func compress(
            _ source: UnsafeRawBufferPointer, _ table: inout MatchTable, into output: inout ByteTarget
        ) -> Bool {
            table.reset(for: source.count)
            var prospect = Prospect()
            var start = 0
            while start < source.count {
                let end = min(start + LZ77Huffman.blockByteCount, source.count)
                self.tokenize(source, start..<end, &table)
                guard self.write(isLast: end == source.count, &output) else { return false }
                start = end
                if prospect.isPoor(read: start, written: output.count) { return false }
            }
            return true
        }

        private static func symbol(length: Int, distance: Int) -> Int {
            256 + min(length - LZ77Huffman.shortest, 15) + 16 * Self.highBit(distance)
        }

        @inline(__always)
        private static func highBit(_ distance: Int) -> Int { Int.bitWidth - 1 - distance.leadingZeroBitCount }

        private mutating func tokenize(
            _ source: UnsafeRawBufferPointer, _ block: Range<Int>, _ table: inout MatchTable
        ) {
            self.tokens.removeAll(keepingCapacity: true)
            self.counts.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
            var finder = MatchFinder(source, in: block, window: LZ77Huffman.window)
            var literal = block.lowerBound
            while true {
                let match = finder.next(&table)
                let literalEnd = match?.position ?? block.upperBound
                while literal < literalEnd {
                    self.tokens.append(UInt32(source[literal]))
                    self.counts[Int(source[literal])] += 1
                    literal += 1
                }
                guard let match else { return }
                self.tokens.append(UInt32(match.length) | Self.matchFlag)
                self.tokens.append(UInt32(match.distance))
                self.counts[Self.symbol(length: match.length, distance: match.distance)] += 1
                literal += match.length
            }
        }

        private mutating func write(isLast: Bool, _ output: inout ByteTarget) -> Bool {
            if isLast { self.counts[LZ77Huffman.end] += 1 }
            let lengths = HuffmanCode.lengths(self.counts)
            let codes = HuffmanCode.codes(lengths)
            guard output.room >= LZ77Huffman.tableByteCount + 4 else { return false }
            for pair in 0..<LZ77Huffman.tableByteCount { output.put(lengths[2 * pair] | lengths[2 * pair + 1] << 4) }
            var writer = BitWriter(&output)
            var at = 0
            while at < self.tokens.count {
                // Two words of bits and the longest length.
                guard output.room >= 4 + 7 else { return false }
                let token = self.tokens[at]
                at += 1
                guard token & Self.matchFlag != 0 else {
                    writer.put(codes[Int(token)], count: Int(lengths[Int(token)]), &output)
                    continue
                }
                let length = Int(token & ~Self.matchFlag)
                let distance = Int(self.tokens[at])
                at += 1
                let symbol = Self.symbol(length: length, distance: distance)
                writer.put(codes[symbol], count: Int(lengths[symbol]), &output)
                var rest = length - LZ77Huffman.shortest - 15
                if rest >= 0 {
                    if rest < 255 {
                        output.put(UInt8(rest))
                    } else {
                        output.put(UInt8(255))
                        rest += 15
                        if rest < 1 << 16 {
                            output.put(UInt16(rest))
                        } else {
                            output.put(UInt16(0))
                            output.put(UInt32(rest))
                        }
                    }
                }
                let bits = Self.highBit(distance)
                writer.put(UInt32(distance - 1 << bits), count: bits, &output)
            }
            guard output.room >= 2 else { return false }
            if isLast {
                writer.put(codes[LZ77Huffman.end], count: Int(lengths[LZ77Huffman.end]), &output)
            }
            writer.flush(&output)
            return true
        }
    }

    /// The reader holds two words in advance, so the bytes between the words stand behind both.
    private struct BitWriter {
        private var free = 16
        private var word: UInt32 = 0
        private var first: Int
        private var second: Int

        init(_ output: inout ByteTarget) {
            self.first = output.claim(2)
            self.second = output.claim(2)
        }

        /// - Parameter count: at most 15.
        @inline(__always)
        mutating func put(_ bits: UInt32, count: Int, _ output: inout ByteTarget) {
            guard self.free < count else {
                self.free -= count
                self.word = self.word << UInt32(count) | bits
                return
            }
            let left = count - self.free
            output.store(
                UInt16(truncatingIfNeeded: self.word << UInt32(self.free) | bits >> UInt32(left)), at: self.first)
            self.first = self.second
            self.second = output.claim(2)
            self.free = 16 - left
            self.word = bits
        }

        mutating func flush(_ output: inout ByteTarget) {
            output.store(UInt16(truncatingIfNeeded: self.word << UInt32(self.free)), at: self.first)
            output.store(UInt16(0), at: self.second)
        }
    }
}

/// A canonical code whose longest word has 15 bits.
enum HuffmanCode {
    /// - Returns: the length of each symbol's code; zero where its count is. At least two symbols get one: a code of one
    ///   word leaves half of all sequences of bits without meaning, and decoders refuse it.
    static func lengths(_ counts: [Int]) -> [UInt8] {
        var weights = counts
        if weights.count(where: { $0 > 0 }) < 2 {
            for symbol in 0..<2 where weights[symbol] == 0 { weights[symbol] = 1 }
        }
        while true {
            if let lengths = self.tree(weights) { return lengths }
            // Too deep: flatter weights give a flatter tree, and all ones give the flattest.
            for symbol in weights.indices where weights[symbol] > 0 { weights[symbol] = (weights[symbol] + 1) / 2 }
        }
    }

    /// Huffman's algorithm with two queues; nil when a code would be longer than 15 bits.
    private static func tree(_ weights: [Int]) -> [UInt8]? {
        let leaves = weights.indices.filter { weights[$0] > 0 }
            .sorted { (weights[$0], $0) < (weights[$1], $1) }
        var nodes = leaves.map { weights[$0] }
        var parents = [Int](repeating: 0, count: 2 * leaves.count - 1)
        var leaf = 0
        var inner = leaves.count
        func smallest() -> Int {
            if leaf < leaves.count, inner >= nodes.count || nodes[leaf] <= nodes[inner] {
                leaf += 1
                return leaf - 1
            }
            inner += 1
            return inner - 1
        }
        while nodes.count < parents.count {
            let left = smallest()
            let right = smallest()
            parents[left] = nodes.count
            parents[right] = nodes.count
            nodes.append(nodes[left] + nodes[right])
        }
        var depths = [Int](repeating: 0, count: nodes.count)
        var lengths = [UInt8](repeating: 0, count: weights.count)
        for node in stride(from: nodes.count - 2, through: 0, by: -1) {
            depths[node] = depths[parents[node]] + 1
            guard node < leaves.count else { continue }
            guard depths[node] <= LZ77Huffman.longestCode else { return nil }
            lengths[leaves[node]] = UInt8(depths[node])
        }
        return lengths
    }

    /// Shorter codes come first, and those of one length in the order of their symbols.
    static func codes(_ lengths: [UInt8]) -> [UInt32] {
        var codes = [UInt32](repeating: 0, count: lengths.count)
        var next: UInt32 = 0
        for length in 1...LZ77Huffman.longestCode {
            for symbol in lengths.indices where Int(lengths[symbol]) == length {
                codes[symbol] = next
                next += 1
            }
            next <<= 1
        }
        return codes
    }
}
