import GoldenMessages
import SMBAuth
import SMBCompression

/// Well-formed inputs that no golden request is.
extension FuzzSubject {
    /// An offer of SMB2 among SMB1's dialects, [MS-SMB2] 3.3.5.3.1.
    static let smb1 =
        hex("FF534D42 72 00000000 18 53C8 0000 0000000000000000 0000 FFFF FFFE 0000 0000 00 1900")
        + hex("02") + Array("SMB 2.002\0".utf8) + hex("02") + Array("SMB 2.???\0".utf8)

    static let tokens: [[UInt8]] = {
        let hash = Self.hash
        return [true, false].flatMap { bare -> [[UInt8]] in
            var client = ClientAuthentication(.init(user: "alice", hash: hash), isBare: bare)
            var server = ServerAuthentication(names: ServerNames(host: "fuzz"))
            let first = client.initialToken()
            guard case .challenge(let challenge) = server.step(first, lookup: { _ in hash }, now: 1, challenge: 2),
                let answer = try? client.respond(
                    to: challenge,
                    with: .init(
                        challenge: [UInt8](repeating: 1, count: 8), sessionKey: [UInt8](repeating: 2, count: 16)))
            else { return [first] }
            return [first, challenge, answer]
        }
    }()

    static let compressed: [[UInt8]] = {
        let message = GoldenRequests.write + Array(String(repeating: "holdfast ", count: 300).utf8)
        let plain = [0, 1, 2, 3].map { [$0, 0x00, 0x04] + message }
        let agreements = [CompressionAlgorithm.lz4, .lz77, .lz77Huffman, .lznt1].flatMap {
            [
                CompressionAgreement(algorithms: [$0], isChained: false),
                CompressionAgreement(algorithms: [.pattern, $0], isChained: true),
            ]
        }
        return plain
            + agreements.compactMap { agreed in
                var compressor = Compressor()
                let message = message + [UInt8](repeating: 0, count: 200)
                var target = [UInt8](repeating: 0, count: message.count)
                let count = message.withUnsafeBytes { message in
                    target.withUnsafeMutableBytes {
                        compressor.compress(message: message, lead: 64, agreed: agreed, into: $0)
                    }
                }
                return count.map { Array(target[..<$0]) }
            }
    }()

    static let descriptors: [[UInt8]] = [
        hex(
            """
            01 00 0494 14000000 24000000 00000000 34000000
            01 02 000000000005 20000000 20020000
            01 02 000000000005 20000000 21020000
            02 00 3400 0200 0000
            01 00 1800 02000000 01 02 000000000005 20000000 22020000
            00 03 1400 FF011F00 01 01 000000000001 00000000
            """)
    ]

    /// Related CREATE and CLOSE; three requests that know nothing of each other.
    static let compounds: [[UInt8]] = {
        func joined(_ messages: [[UInt8]]) -> [UInt8] {
            var frame: [UInt8] = []
            for (index, message) in messages.enumerated() {
                var message = message
                if index < messages.count - 1 {
                    message += [UInt8](repeating: 0, count: (8 - message.count % 8) % 8)
                    message[20] = UInt8(truncatingIfNeeded: message.count)
                    message[21] = UInt8(truncatingIfNeeded: message.count >> 8)
                }
                frame += message
            }
            return frame
        }
        var related = GoldenRequests.close
        related[16] |= 4
        related.replaceSubrange(72..<88, with: [UInt8](repeating: 0xFF, count: 16))
        return [
            joined([GoldenRequests.create, related]),
            joined([GoldenRequests.read, GoldenRequests.write, GoldenRequests.queryInfo]),
        ]
    }()
}
