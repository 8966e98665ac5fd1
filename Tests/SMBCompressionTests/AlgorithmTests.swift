import GoldenMessages
import Testing

@testable import SMBCompression

/// [MS-XCA] section 3 and the LZ4 block format.
@Suite struct ExampleTests {
    static let alphabet = Array("abcdefghijklmnopqrstuvwxyz".utf8)
    static let abc = Array(String(repeating: "abc", count: 100).utf8)

    /// A table of [MS-XCA] 2.1.4.2 with these bytes and zeros.
    static func table(_ bytes: [Int: [UInt8]]) -> [UInt8] {
        var table = [UInt8](repeating: 0, count: 256)
        for (at, values) in bytes { table.replaceSubrange(at..<at + values.count, with: values) }
        return table
    }

    static let alphabetHuffman =
        table([0x30: hex("50555555 55555555 55555545 4404"), 0x80: [0x04]])
        + hex("d8523ed7 94115be9 195ff9d6 7cdf8d04 00000000")
    static let abcHuffman =
        table([0x30: [0x30, 0x23], 0x80: [0x02], 0x8F: [0x20]]) + hex("a8dc0000 ff2601")

    static let alphabetLZ77 = hex("3f000000") + alphabet
    static let abcLZ77 = hex("ffffff1f 616263 1700 0f ff 2601")

    /// 3.3.
    static let tune = Array(
        ("F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A "
            + "F# F# G A A G F# E D D E F# E D D\0").utf8)
    static let tuneLZNT1 = hex(
        """
        38b0 88 462320 0020 472041 0010 a2 47 01a0 4520 4400 08 450150 7900 c0 4520 0524 1388 05b4 024a 44 ef 0358 028c 0916
        0148 4500 be 009e 0004 0118 9000
        """)

    @Test func examplesAreDecompressed() throws {
        #expect(try decompress(Self.alphabetLZ77, .lz77, count: 26) == Self.alphabet)
        #expect(try decompress(Self.abcLZ77, .lz77, count: 300) == Self.abc)
        #expect(try decompress(Self.alphabetHuffman, .lz77Huffman, count: 26) == Self.alphabet)
        #expect(try decompress(Self.abcHuffman, .lz77Huffman, count: 300) == Self.abc)
        #expect(Self.tuneLZNT1.count == 59 && Self.tune.count == 142)
        #expect(try decompress(Self.tuneLZNT1, .lznt1, count: 142) == Self.tune)
    }

    /// The plain algorithm leaves little choice: what this compressor makes of the examples is what the document prints.
    @Test func plainExamplesAreMade() {
        #expect(compress(Self.alphabet, .lz77, capacity: 64) == Self.alphabetLZ77)
        #expect(compress(Self.abc, .lz77, capacity: 64) == Self.abcLZ77)
    }

    /// What liblz4 1.9.4 (LZ4_compress_default) makes of the same.
    @Test func blocksOfLZ4() throws {
        let compressed = hex("3f 616263 0300 ff 12 50 6263616263")
        #expect(try decompress(compressed, .lz4, count: 300) == Self.abc)
        #expect(compress(Self.abc, .lz4, capacity: 300) == compressed)
    }
}

@Suite struct RoundTripTests {
    @Test(arguments: wholeAlgorithms, Samples.Kind.allCases)
    func everySizeOfEveryKind(algorithm: CompressionAlgorithm, kind: Samples.Kind) throws {
        for size in Samples.sizes {
            let plain = Samples.make(kind, size)
            // Twice the room: also what grows must come back the same. Noise is given up.
            guard let packed = compress(plain, algorithm, capacity: 2 * size + 600) else {
                #expect(kind == .noise || kind == .periods, "\(algorithm) \(kind) \(size)")
                continue
            }
            #expect(try decompress(packed, algorithm, count: size) == plain, "\(algorithm) \(kind) \(size)")
            if size > 4096, kind == .zeros || kind == .text || kind == .sparse {
                #expect(packed.count < size / 2, "\(algorithm) \(kind) \(size): \(packed.count)")
            }
        }
    }

    /// No capacity makes a compressor write behind it or claim success with less.
    @Test(arguments: wholeAlgorithms)
    func everyCapacity(algorithm: CompressionAlgorithm) throws {
        let plain = Samples.make(.text, 3000)
        let whole = try #require(compress(plain, algorithm, capacity: 6000))
        for capacity in 0...whole.count + 20 {
            guard let packed = compress(plain, algorithm, capacity: capacity) else { continue }
            #expect(packed.count <= capacity)
            #expect(try decompress(packed, algorithm, count: plain.count) == plain)
        }
        #expect(compress(plain, algorithm, capacity: whole.count - 1) == nil)
    }

    /// A table that is used again knows nothing of the message before.
    @Test(arguments: wholeAlgorithms)
    func oneCompressorForMany(algorithm: CompressionAlgorithm) throws {
        var compressor = Compressor()
        var target = [UInt8](repeating: 0, count: 300_000)
        for (index, kind) in (Samples.Kind.allCases + Samples.Kind.allCases.reversed()).enumerated() {
            let plain = Samples.make(kind, 1000 + 7919 * index)
            let count = plain.withUnsafeBytes { source in
                target.withUnsafeMutableBytes { compressor.compress(source, with: algorithm, into: $0) }
            }
            guard let count else { continue }
            #expect(try decompress(Array(target[..<count]), algorithm, count: plain.count) == plain)
        }
    }

    /// The longest lengths have fields of their own.
    @Test(arguments: wholeAlgorithms)
    func longMatches(algorithm: CompressionAlgorithm) throws {
        for length in [3, 9, 10, 24, 25, 17 + 254, 279, 280, 281, 65_535, 65_538, 65_560, 300_000] {
            let plain = [UInt8](repeating: 7, count: length)
            let packed = try #require(compress(plain, algorithm, capacity: length + 600))
            #expect(try decompress(packed, algorithm, count: length) == plain, "\(length)")
        }
    }
}

@Suite struct HostileInputTests {
    static let corpus: [(CompressionAlgorithm, [UInt8], Int)] =
        [
            (.lz77, ExampleTests.alphabetLZ77, 26), (.lz77, ExampleTests.abcLZ77, 300),
            (.lz77Huffman, ExampleTests.alphabetHuffman, 26), (.lz77Huffman, ExampleTests.abcHuffman, 300),
            (.lznt1, ExampleTests.tuneLZNT1, 142),
        ]
        + wholeAlgorithms.flatMap { algorithm in
            [Samples.Kind.text, .periods, .longRuns, .sparse].compactMap { kind in
                let plain = Samples.make(kind, 6000)
                return compress(plain, algorithm, capacity: 12_000).map { (algorithm, $0, plain.count) }
            }
        }

    /// A part never gives the whole, and never traps.
    @Test func everyTruncation() {
        for (algorithm, packed, count) in Self.corpus {
            guard let whole = try? decompress(packed, algorithm, count: count) else {
                Issue.record("the corpus is broken")
                continue
            }
            for length in 0..<packed.count {
                if let result = try? decompress(Array(packed[..<length]), algorithm, count: count) {
                    // Only marks of the end may be missing.
                    #expect(result == whole && packed.count - length <= 8, "\(algorithm) \(length) of \(packed.count)")
                }
            }
        }
    }

    /// More or less than announced is refused, whatever the input.
    @Test func everyOtherCount() {
        for (algorithm, packed, count) in Self.corpus {
            #expect(throws: CompressionError.self) { try decompress(packed, algorithm, count: count + 1) }
            #expect(throws: CompressionError.self) { try decompress(packed, algorithm, count: count + 100_000) }
        }
    }

    /// A few bytes that announce gigabytes fill no more than what was lent.
    @Test func bombs() {
        // LZ77: a literal, then a match of 2^32 - 1.
        let lz77 = hex("ffffff7f 00 0700 0f ff 0000 ffffffff")
        #expect(throws: CompressionError.outputExceeded) { try decompress(lz77, .lz77, count: 1 << 20) }
        // LZ4: a length of many 255s.
        let lz4 = hex("1f 00 0100") + [UInt8](repeating: 255, count: 100_000) + [0]
        #expect(throws: CompressionError.outputExceeded) { try decompress(lz4, .lz4, count: 1 << 20) }
        // LZNT1: chunk upon chunk of long matches.
        let lznt1 = Array(repeating: hex("04b0 02 00 fc0f 00"), count: 1000).flatMap { $0 }
        #expect(throws: CompressionError.self) { try decompress(lznt1, .lznt1, count: 5000) }
    }

    @Test(arguments: 0..<64 as Range<UInt64>)
    func mutations(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<300 {
            let (algorithm, packed, count) = Self.corpus[Int.random(in: 0..<Self.corpus.count, using: &random)]
            let changed = Mutation.mutate(packed, with: &random)
            if let result = try? decompress(changed, algorithm, count: count) { #expect(result.count == count) }
        }
    }

    /// Not even a valid beginning.
    @Test(arguments: 0..<64 as Range<UInt64>)
    func noise(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for algorithm in wholeAlgorithms {
            for _ in 0..<100 {
                let bytes = (0..<Int.random(in: 0...600, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                let count = Int.random(in: 0...5000, using: &random)
                if let result = try? decompress(bytes, algorithm, count: count) { #expect(result.count == count) }
            }
        }
    }
}
