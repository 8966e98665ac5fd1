/// What two ends of a connection agreed on. [MS-SMB2] 3.3.1.7 Connection.CompressionIds, Connection.SupportsChainedCompression.
package struct CompressionAgreement: Equatable, Sendable {
    /// The one to compress with first. Never empty.
    package var algorithms: [CompressionAlgorithm]
    package var isChained: Bool

    package init(algorithms: [CompressionAlgorithm], isChained: Bool) {
        self.algorithms = algorithms
        self.isChained = isChained
    }

    /// What whole data are compressed with.
    package var preferred: CompressionAlgorithm? { self.algorithms.first { $0 != .pattern } }
}

/// A message behind an SMB2 COMPRESSION_TRANSFORM_HEADER. [MS-SMB2] 2.2.42.
///
/// Unchained (2.2.42.1): protocol id, size of what was compressed, algorithm, flags, offset (4 + 4 + 2 + 2 + 4 bytes); as
/// many bytes as the offset says that are not compressed; the rest. Chained (2.2.42.2): protocol id and size, then payloads,
/// each with algorithm, flags, length (2 + 2 + 4 bytes), and what an LZ algorithm made with its plain size (4) before it.
package enum CompressedMessage {
    /// 0xFC 'S' 'M' 'B'.
    package static let protocolID: UInt32 = 0x424D_53FC
    package static let headerByteCount = 16
    static let chainHeaderByteCount = 8
    static let payloadHeaderByteCount = 8
    static let patternByteCount = 8
    static let chained: UInt16 = 0x0001
    /// Payloads of one chain; a sender makes a handful.
    package static let maximumPayloads = 1024
    /// What 3.3.5.2.1.2 adds to the largest transfer to get the largest message: 256, and this header.
    package static let allowance = 256 + Self.headerByteCount

    private struct Header {
        var segment: Int
        var algorithm: UInt16
        var isChained: Bool
        /// Only where it is not chained.
        var offset: Int

        init(_ input: inout ByteSource) throws(CompressionError) {
            guard input.remaining >= CompressedMessage.headerByteCount else { throw .truncated }
            guard try input.read(UInt32.self) == CompressedMessage.protocolID else { throw .malformed("protocol id") }
            self.segment = Int(try input.read(UInt32.self))
            var rest = input
            self.algorithm = try rest.read(UInt16.self)
            let flags = try rest.read(UInt16.self)
            guard flags <= CompressedMessage.chained else { throw .malformed("compression flags") }
            self.isChained = flags == CompressedMessage.chained
            self.offset = Int(try rest.read(UInt32.self))
            if !self.isChained { input = rest }
        }
    }

    /// How long the message is that a packet holds: what must be lent to `decompress`.
    ///
    /// - Parameters:
    ///   - segmentLimit: OriginalCompressedSegmentSize is at most this, 3.3.5.2.1.2.
    ///   - limit: no message is longer than this.
    package static func plainByteCount(
        _ packet: UnsafeRawBufferPointer, segmentLimit: Int, limit: Int
    ) throws(CompressionError) -> Int {
        var input = ByteSource(packet)
        let header = try Header(&input)
        guard header.segment <= segmentLimit else { throw .tooLarge(header.segment) }
        guard !header.isChained else {
            guard header.segment <= limit else { throw .tooLarge(header.segment) }
            return header.segment
        }
        guard header.offset <= input.remaining else { throw .truncated }
        guard header.offset + header.segment <= limit else { throw .tooLarge(header.offset + header.segment) }
        return header.offset + header.segment
    }

    /// Fills `target`, which has the length that `plainByteCount` gave.
    package static func decompress(
        _ packet: UnsafeRawBufferPointer, agreed: CompressionAgreement, into target: UnsafeMutableRawBufferPointer
    ) throws(CompressionError) {
        var input = ByteSource(packet)
        let header = try Header(&input)
        var output = ByteTarget(target)
        if header.isChained {
            guard agreed.isChained else { throw .malformed("a chain that was not agreed on") }
            try self.decompressChain(&input, agreed, target, &output)
        } else {
            let algorithm = try self.algorithm(header.algorithm, agreed)
            try output.append(try input.read(byteCount: header.offset))
            guard output.room == header.segment else { throw .outputExceeded }
            try self.decompress(try input.read(byteCount: input.remaining), algorithm, target, &output, header.segment)
        }
        guard output.isFull else { throw .outputShort }
    }

    private static func algorithm(
        _ value: UInt16, _ agreed: CompressionAgreement
    ) throws(CompressionError) -> CompressionAlgorithm {
        guard let algorithm = CompressionAlgorithm(rawValue: value), agreed.algorithms.contains(algorithm) else {
            throw .algorithm(value)
        }
        return algorithm
    }

    private static func decompress(
        _ data: UnsafeRawBufferPointer, _ algorithm: CompressionAlgorithm, _ target: UnsafeMutableRawBufferPointer,
        _ output: inout ByteTarget, _ byteCount: Int
    ) throws(CompressionError) {
        guard byteCount <= output.room else { throw .outputExceeded }
        try algorithm.decompress(
            data,
            into: UnsafeMutableRawBufferPointer(rebasing: target[output.count..<output.count + byteCount]))
        output.advance(byteCount)
    }

    /// 3.1.5.3.
    private static func decompressChain(
        _ input: inout ByteSource, _ agreed: CompressionAgreement, _ target: UnsafeMutableRawBufferPointer,
        _ output: inout ByteTarget
    ) throws(CompressionError) {
        var payloads = 0
        while !input.isAtEnd {
            payloads += 1
            guard payloads <= Self.maximumPayloads else { throw .malformed("too many payloads") }
            let value = try input.read(UInt16.self)
            // 2.2.42.2.1: only the first one says that a chain begins. Nobody relies on it.
            _ = try input.read(UInt16.self)
            let length = Int(try input.read(UInt32.self))
            var payload = ByteSource(try input.read(byteCount: length))
            guard value != CompressionAlgorithm.none else {
                try output.append(try payload.read(byteCount: length))
                continue
            }
            let algorithm = try self.algorithm(value, agreed)
            if algorithm == .pattern {
                let byte = try payload.read(UInt32.self)
                let repetitions = try payload.read(UInt32.self)
                guard payload.isAtEnd else { throw .malformed("pattern payload") }
                try output.append(repeating: UInt8(truncatingIfNeeded: byte), count: Int(repetitions))
            } else {
                let byteCount = Int(try payload.read(UInt32.self))
                try self.decompress(
                    try payload.read(byteCount: payload.remaining), algorithm, target, &output, byteCount)
            }
        }
    }
}
