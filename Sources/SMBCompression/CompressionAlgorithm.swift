/// The algorithms of [MS-SMB2] 2.2.3.1.3.
package enum CompressionAlgorithm: UInt16, Sendable, CaseIterable {
    case lznt1 = 0x0001
    case lz77 = 0x0002
    case lz77Huffman = 0x0003
    /// One byte repeated: only within a chain. 2.2.42.2.2.
    case pattern = 0x0004
    case lz4 = 0x0005

    /// Stands in a chain for data that is not compressed.
    package static let none: UInt16 = 0x0000
}

/// The compressed bytes are not what they claim to be. The connection ends: [MS-SMB2] 3.1.5.3, 3.3.5.2.1.2.
package enum CompressionError: Error, Equatable, Sendable {
    /// The input ends in the middle of something.
    case truncated
    /// More comes out than was announced.
    case outputExceeded
    /// Less comes out than was announced.
    case outputShort
    /// A match reaches back before the first byte.
    case distance
    /// Code lengths that are no code, a chunk without its signature, a header's field that may not have its value.
    case malformed(String)
    /// Not among what was negotiated.
    case algorithm(UInt16)
    /// Larger than anything that may be sent here.
    case tooLarge(Int)
}

extension CompressionAlgorithm {
    /// Fills `target` to its end from `source`. What stands in `source` behind the last byte needed is not looked at.
    ///
    /// - Throws: when `source` does not give exactly `target.count` bytes. The target then holds garbage.
    package func decompress(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(CompressionError) {
        var input = ByteSource(source)
        var output = ByteTarget(target)
        switch self {
        case .lznt1: try LZNT1.decompress(&input, into: &output)
        case .lz77: try LZ77.decompress(&input, into: &output)
        case .lz77Huffman: try LZ77Huffman.decompress(&input, into: &output)
        case .lz4: try LZ4.decompress(&input, into: &output)
        case .pattern: throw .algorithm(self.rawValue)
        }
        guard output.isFull else { throw .outputShort }
    }
}

/// Compresses one message after another; its tables are kept between them. Confined to whoever owns it.
package struct Compressor: ~Copyable {
    private var matches = MatchTable()
    private var huffman = LZ77Huffman.Encoder()

    package init() {}

    /// - Returns: how many bytes of `target` were written, or nil when they do not suffice, or when the beginning of
    ///   `source` says that they will not.
    package mutating func compress(
        _ source: UnsafeRawBufferPointer, with algorithm: CompressionAlgorithm,
        into target: UnsafeMutableRawBufferPointer
    ) -> Int? {
        // Positions are kept in 32 bits; no message comes near.
        guard source.count > 0, source.count <= 1 << 30 else { return nil }
        var output = ByteTarget(target)
        let fits =
            switch algorithm {
            case .lznt1: LZNT1.compress(source, &self.matches, into: &output)
            case .lz77: LZ77.compress(source, &self.matches, into: &output)
            case .lz77Huffman: self.huffman.compress(source, &self.matches, into: &output)
            case .lz4: LZ4.compress(source, &self.matches, into: &output)
            case .pattern: false
            }
        return fits ? output.count : nil
    }
}
