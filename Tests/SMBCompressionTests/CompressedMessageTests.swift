import GoldenMessages
import Testing

@testable import SMBCompression

/// [MS-SMB2] 2.2.42, 3.1.4.4, 3.1.5.3.
@Suite struct CompressedMessageTests {
    static let all = CompressionAgreement(algorithms: [.lz4, .lz77, .pattern, .lz77Huffman, .lznt1], isChained: true)
    static let agreements =
        wholeAlgorithms.flatMap {
            [
                CompressionAgreement(algorithms: [$0], isChained: false),
                CompressionAgreement(algorithms: [$0], isChained: true),
                CompressionAgreement(algorithms: [.pattern, $0], isChained: true),
            ]
        } + [CompressionAgreement(algorithms: [.pattern], isChained: true)]

    static func pack(_ message: [UInt8], lead: Int, _ agreed: CompressionAgreement) -> [UInt8]? {
        var compressor = Compressor()
        var target = [UInt8](repeating: 0, count: message.count)
        let count = message.withUnsafeBytes { message in
            target.withUnsafeMutableBytes {
                compressor.compress(message: message, lead: lead, agreed: agreed, into: $0)
            }
        }
        return count.map { Array(target[..<$0]) }
    }

    static func unpack(
        _ packet: [UInt8], _ agreed: CompressionAgreement, segmentLimit: Int = 1 << 20, limit: Int = 1 << 20
    ) throws(CompressionError) -> [UInt8] {
        var failure: CompressionError?
        let plain = packet.withUnsafeBytes { packet in
            do throws(CompressionError) {
                let count = try CompressedMessage.plainByteCount(packet, segmentLimit: segmentLimit, limit: limit)
                precondition(count <= limit)
                var target = [UInt8](repeating: 0xEE, count: count + 32)
                let result: Result<Void, CompressionError> = target.withUnsafeMutableBytes { target in
                    do throws(CompressionError) {
                        return .success(
                            try CompressedMessage.decompress(
                                packet, agreed: agreed,
                                into: UnsafeMutableRawBufferPointer(rebasing: target[..<count])))
                    } catch { return .failure(error) }
                }
                precondition(target[count...].allSatisfy { $0 == 0xEE })
                try result.get()
                return Array(target[..<count])
            } catch {
                failure = error
                return []
            }
        }
        if let failure { throw failure }
        return plain
    }

    /// A message like the reply to a READ: a header of 80 bytes, then data.
    static func message(_ kind: Samples.Kind, _ count: Int) -> [UInt8] {
        Samples.make(.noise, 80, seed: 99) + Samples.make(kind, count)
    }

    @Test(arguments: agreements)
    func roundTrip(agreed: CompressionAgreement) throws {
        for kind in Samples.Kind.allCases {
            for count in [1, 50, 64, 200, 1100, 4096, 70_000] {
                for lead in [0, 80] {
                    let message = Self.message(kind, count)
                    guard let packet = Self.pack(message, lead: lead, agreed) else { continue }
                    #expect(packet.count < message.count)
                    #expect(try Self.unpack(packet, agreed) == message, "\(kind) \(count) \(lead)")
                }
            }
        }
    }

    @Test func whatDoesNotPayIsLeft() {
        for agreed in Self.agreements {
            #expect(Self.pack(Self.message(.noise, 100_000), lead: 80, agreed) == nil)
            #expect(Self.pack(Self.message(.zeros, 10), lead: 80, agreed) == nil)
        }
    }

    @Test func unchainedBytes() throws {
        let lead = hex("FE534D42")
        let packet = hex("FC534D42 2C010000 0200 0000 04000000 FE534D42") + ExampleTests.abcLZ77
        let agreed = CompressionAgreement(algorithms: [.lz77], isChained: false)
        #expect(try Self.unpack(packet, agreed) == lead + ExampleTests.abc)
        #expect(Self.pack(lead + ExampleTests.abc, lead: 4, agreed) == packet)
    }

    @Test func chainedBytes() throws {
        // Plain, a pattern, LZ77, a pattern: every kind of payload.
        let plain =
            hex("FE534D42") + [UInt8](repeating: 0, count: 100) + ExampleTests.abc + [UInt8](repeating: 9, count: 70)
        let packet =
            hex("FC534D42 DA010000") + hex("0000 0100 04000000 FE534D42") + hex("0400 0000 08000000 00000000 64000000")
            + hex("0200 0000 11000000 2C010000") + ExampleTests.abcLZ77
            + hex("0400 0000 08000000 09000000 46000000")
        #expect(try Self.unpack(packet, Self.all) == plain)
    }

    /// A megabyte of zeros is a few bytes.
    @Test func patternsAreMade() throws {
        let agreed = CompressionAgreement(algorithms: [.lz77, .pattern], isChained: true)
        let message = Self.message(.zeros, 1 << 19)
        let packet = try #require(Self.pack(message, lead: 80, agreed))
        #expect(packet.count == 8 + 8 + 80 + 16)
        #expect(try Self.unpack(packet, agreed) == message)
    }

    @Test func limits() throws {
        let agreed = CompressionAgreement(algorithms: [.lz77], isChained: false)
        let packet = hex("FC534D42 2C010000 0200 0000 04000000 FE534D42") + ExampleTests.abcLZ77
        _ = try Self.unpack(packet, agreed, segmentLimit: 300, limit: 304)
        #expect(throws: CompressionError.tooLarge(300)) { try Self.unpack(packet, agreed, segmentLimit: 299) }
        #expect(throws: CompressionError.tooLarge(304)) { try Self.unpack(packet, agreed, limit: 303) }
        // An offset behind the end, and one that would overflow 32 bits with the size.
        #expect(throws: CompressionError.truncated) {
            try Self.unpack(hex("FC534D42 2C010000 0200 0000 05000000 FE534D42"), agreed)
        }
        #expect(throws: CompressionError.truncated) {
            try Self.unpack(
                hex("FC534D42 FFFFFFFF 0200 0000 FFFFFFFF FE534D42"), agreed, segmentLimit: .max, limit: .max)
        }
        // A pattern that repeats itself more often than the message is long.
        let bomb = hex("FC534D42 00010000 0400 0100 08000000 00000000 FFFFFFFF")
        #expect(throws: CompressionError.outputExceeded) { try Self.unpack(bomb, Self.all) }
        // Payloads that give less, or more, than the message.
        #expect(throws: CompressionError.outputShort) {
            try Self.unpack(hex("FC534D42 00010000 0400 0100 08000000 00000000 FF000000"), Self.all)
        }
        let empty = hex("FC534D42 00000000") + Array(repeating: hex("0000 0000 00000000"), count: 1025).flatMap { $0 }
        #expect(throws: CompressionError.malformed("compression flags")) {
            try Self.unpack(hex("FC534D42 00000000 0000 0200 00000000"), Self.all)
        }
        var chain = empty
        chain[10] = 1
        #expect(throws: CompressionError.malformed("too many payloads")) { try Self.unpack(chain, Self.all) }
    }

    @Test func onlyWhatWasAgreed() throws {
        let lz77 = hex("FC534D42 2C010000 0200 0000 00000000") + ExampleTests.abcLZ77
        #expect(throws: CompressionError.algorithm(2)) {
            try Self.unpack(lz77, CompressionAgreement(algorithms: [.lz77Huffman], isChained: false))
        }
        let none = hex("FC534D42 04000000 0000 0000 00000000 00000000")
        #expect(throws: CompressionError.algorithm(0)) { try Self.unpack(none, Self.all) }
        let pattern = hex("FC534D42 00010000 0400 0000 00000000 00000000 00010000")
        #expect(throws: CompressionError.algorithm(4)) { try Self.unpack(pattern, Self.all) }
        let chain = hex("FC534D42 00010000 0400 0100 08000000 00000000 00010000")
        #expect(try Self.unpack(chain, Self.all) == [UInt8](repeating: 0, count: 256))
        #expect(throws: CompressionError.self) {
            try Self.unpack(chain, CompressionAgreement(algorithms: [.lz77, .pattern], isChained: false))
        }
        #expect(throws: CompressionError.algorithm(4)) {
            try Self.unpack(chain, CompressionAgreement(algorithms: [.lz77], isChained: true))
        }
    }

    static let corpus: [([UInt8], CompressionAgreement)] = agreements.flatMap { agreed in
        [Samples.Kind.text, .sparse, .longRuns].compactMap { kind in
            Self.pack(Self.message(kind, 2500), lead: 80, agreed).map { ($0, agreed) }
        }
    }

    @Test func everyTruncation() throws {
        for (packet, agreed) in Self.corpus {
            let whole = try Self.unpack(packet, agreed)
            for length in 0..<packet.count {
                if let plain = try? Self.unpack(Array(packet[..<length]), agreed) { #expect(plain == whole) }
            }
        }
    }

    @Test(arguments: 0..<64 as Range<UInt64>)
    func mutations(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<300 {
            let (packet, agreed) = Self.corpus[Int.random(in: 0..<Self.corpus.count, using: &random)]
            _ = try? Self.unpack(Mutation.mutate(packet, with: &random), agreed)
        }
    }
}
