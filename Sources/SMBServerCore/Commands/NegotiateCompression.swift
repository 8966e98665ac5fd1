import SMB2Wire
import SMBCompression

/// SMB2_COMPRESSION_CAPABILITIES of NEGOTIATE. [MS-SMB2] 2.2.3.1.3, 2.2.4.1.3, 3.3.5.4.
extension ServerState {
    /// What this server compresses with, the best first. LZ4 and LZ77 cost about the same here, and the client decompresses
    /// LZ4 faster; Huffman's codes save another fifth for twice the time; LZNT1 is for clients that know nothing else.
    private static let compressionPreference: [CompressionAlgorithm] = [.lz4, .lz77, .lz77Huffman, .lznt1]

    /// - Returns: the context to answer with, nil where compression is switched off.
    func agree(
        onCompression offered: CompressionCapabilities, _ connection: inout Connection
    ) -> CompressionCapabilities? {
        guard self.configuration.offersCompression else { return nil }
        let isChained = offered.flags & CompressionCapabilities.chainedFlag != 0
        // All that both know, in the client's order; patterns have a place only in a chain.
        let common = offered.algorithms.compactMap { CompressionAlgorithm(rawValue: $0) }
            .filter { isChained || $0 != .pattern }
        guard common.contains(where: { $0 != .pattern }) else {
            return CompressionCapabilities(algorithms: [CompressionAlgorithm.none], flags: 0)
        }
        let preferred = Self.compressionPreference.filter { common.contains($0) }
        connection.compression = CompressionAgreement(
            algorithms: common.contains(.pattern) ? preferred + [.pattern] : preferred, isChained: isChained)
        return CompressionCapabilities(
            algorithms: common.map(\.rawValue), flags: isChained ? CompressionCapabilities.chainedFlag : 0)
    }
}

extension Outcome {
    /// The same reply, which may leave compressed.
    var compressible: Outcome {
        guard case .reply(var reply) = self else { return self }
        reply.isCompressible = true
        return .reply(reply)
    }
}
