import GoldenMessages
@testable import SMBCompression

/// Data of many kinds, from a seed.
enum Samples {
    /// Around what the algorithms' fields and blocks hold.
    static let sizes =
        Array(1...40) + [
            63, 64, 65, 255, 256, 257, 300, 1023, 1024, 4095, 4096, 4097, 8191, 8192, 8193, 20_000, 65_535,
            65_536, 65_537, 70_000, 131_072, 200_001,
        ]

    enum Kind: String, CaseIterable {
        case zeros, text, noise, alternating, periods, sparse, longRuns, skewed
    }

    static func make(_ kind: Kind, _ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var random = SplitMix64(seed: seed &+ UInt64(count))
        switch kind {
        case .zeros: return [UInt8](repeating: 0, count: count)
        case .noise: return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        case .alternating: return (0..<count).map { UInt8($0 & 1) }
        case .text:
            let words = ["the ", "server ", "handles ", "a ", "request, ", "and ", "lease", "oplock ", ".\n", "file "]
            var bytes: [UInt8] = []
            while bytes.count < count { bytes += Array(words[Int.random(in: 0..<words.count, using: &random)].utf8) }
            return Array(bytes[..<count])
        case .periods:
            var bytes: [UInt8] = []
            while bytes.count < count {
                let period = Int.random(in: 1...9000, using: &random)
                let piece = (0..<min(period, 700)).map { _ in UInt8.random(in: 0...255, using: &random) }
                for _ in 0..<Int.random(in: 1...5, using: &random) { bytes += piece }
            }
            return Array(bytes[..<count])
        case .sparse:
            var bytes = [UInt8](repeating: 0, count: count)
            for _ in 0..<count / 100 { bytes[Int.random(in: 0..<count, using: &random)] = 1 }
            return bytes
        case .longRuns:
            var bytes: [UInt8] = []
            while bytes.count < count {
                bytes += [UInt8](
                    repeating: UInt8.random(in: 0...255, using: &random),
                    count: Int.random(in: 1...70_000, using: &random))
            }
            return Array(bytes[..<count])
        case .skewed:
            // Byte n with weight 2^-n: the longest codes a Huffman tree can be driven to.
            return (0..<count).map { _ in UInt8(UInt32.random(in: 0...UInt32.max, using: &random).leadingZeroBitCount) }
        }
    }
}

let wholeAlgorithms: [CompressionAlgorithm] = [.lznt1, .lz77, .lz77Huffman, .lz4]

func compress(_ bytes: [UInt8], _ algorithm: CompressionAlgorithm, capacity: Int) -> [UInt8]? {
    var compressor = Compressor()
    var target = [UInt8](repeating: 0xEE, count: capacity)
    let count = bytes.withUnsafeBytes { source in
        target.withUnsafeMutableBytes { compressor.compress(source, with: algorithm, into: $0) }
    }
    return count.map { Array(target[..<$0]) }
}

/// The bytes behind the target prove that nothing was written there.
func decompress(
    _ bytes: [UInt8], _ algorithm: CompressionAlgorithm, count: Int
) throws(CompressionError) -> [UInt8] {
    let guardBytes = 32
    var target = [UInt8](repeating: 0xEE, count: count + guardBytes)
    var failure: CompressionError?
    bytes.withUnsafeBytes { source in
        target.withUnsafeMutableBytes { target in
            do throws(CompressionError) {
                try algorithm.decompress(source, into: UnsafeMutableRawBufferPointer(rebasing: target[..<count]))
            } catch { failure = error }
        }
    }
    precondition(target[count...].allSatisfy { $0 == 0xEE })
    if let failure { throw failure }
    return Array(target[..<count])
}
