import GoldenMessages
import SMB2Wire
import SMBAuth
import SMBCompression
import SMBCrypto
import SMBServerCore

/// What bytes from outside can reach. Each subject takes any input and lives: what it finds wrong in itself is a
/// `precondition`, and a trap is a finding. Run by libFuzzer, by the runner without it (both in `holdfastfuzz`) and, briefly,
/// by the unit tests.
package enum FuzzSubject: String, CaseIterable, Sendable {
    /// NEGOTIATE with its contexts, SMB1's offer, the transport's length.
    case negotiate
    /// SESSION_SETUP, and the server's and the client's side of SPNEGO and NTLM behind it.
    case session
    /// CREATE, its contexts, extended attributes.
    case create
    /// Every other request, and what it carries.
    case request
    /// Headers before a message: encryption, with the real cipher.
    case transform
    /// The compression header and every algorithm; what is compressed comes back the same.
    case compression
    /// DCE/RPC through a named pipe of the server's core.
    case rpc
    /// Security descriptors: what is read is written, and read again the same.
    case security
    /// Compounds to the server's core with a session, a tree and open files.
    case core
    /// The same to a whole server over a socket.
    case server

    package var seeds: [[UInt8]] {
        switch self {
        case .negotiate: [GoldenRequests.negotiate, GoldenRequests.negotiate21, Self.smb1]
        case .session: [GoldenRequests.sessionSetup] + Self.tokens
        case .create: [GoldenRequests.create, GoldenRequests.createWithContexts]
        case .request: GoldenRequests.all.map(\.bytes)
        case .transform: [GoldenRequests.read, GoldenRequests.createWithContexts].map { Self.sealed($0) }
        case .compression: Self.compressed
        case .rpc: PipeSeeds.all
        case .security: Self.descriptors
        case .core, .server: GoldenRequests.all.map(\.bytes) + Self.compounds
        }
    }

    /// What a mutation may put in one piece: what the code compares with and no chance would make.
    package var words: [[UInt8]] {
        func integer(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        let protocols: [[UInt8]] = [0xFD, 0xFE, 0xFC, 0xFF].map { [$0] + Array("SMB".utf8) }
        switch self {
        case .negotiate: return protocols + (1...8).map { [$0, 0] } + [[0x11, 0x03], [0xFF, 0x02]]
        case .session: return Self.tokenWords
        case .create: return Self.contextNames
        case .request, .core, .server: return protocols + Self.contextNames + Self.controlCodes.map(integer)
        case .transform, .compression: return protocols
        case .rpc: return PipeSeeds.syntaxes
        case .security: return [integer(0x0500_0000)]
        }
    }

    /// - Parameter input: anything. Whatever an earlier input left does not change what this one does, but for `server`.
    package func run(_ input: [UInt8]) {
        let bytes = input.span.bytes
        switch self {
        case .negotiate:
            _ = try? NegotiateRequest(parsing: bytes)
            _ = try? NegotiateResponse(parsing: bytes)
            _ = try? SMB1Negotiate(parsing: bytes)
            _ = try? ValidateNegotiateInfoRequest(parsing: bytes)
            _ = PacketKind(bytes)
            if input.count >= 4 { _ = try? DirectTCP.length(in: bytes) }
        case .session: Self.authenticate(input)
        case .create, .request: _ = try? parseRequest(bytes)
        case .transform: Self.open(input)
        case .compression: Self.inflate(input)
        case .rpc: CoreServer().call(input)
        case .security: Self.describe(bytes)
        case .core: CoreServer().receive(input)
        case .server: WholeServer.shared.receive(input)
        }
    }

    // MARK: Subjects that need more than a parser

    private static func authenticate(_ input: [UInt8]) {
        var token = input
        if let request = try? SessionSetupRequest(parsing: input.span.bytes) {
            token = input.span.bytes.bytes(in: request.securityBuffer)
        }
        let hash = Self.hash
        var first = ServerAuthentication(names: ServerNames(host: "fuzz"))
        _ = first.step(token, lookup: { _ in hash }, now: 1, challenge: 2)
        // The second step, behind a first one that a client would send.
        for bare in [true, false] {
            let credentials = ClientAuthentication.Credentials(user: "alice", hash: hash)
            var client = ClientAuthentication(credentials, isBare: bare)
            var server = ServerAuthentication(names: ServerNames(host: "fuzz"))
            let step = server.step(client.initialToken(), lookup: { _ in hash }, now: 1, challenge: 2)
            guard case .challenge = step else { preconditionFailure("our own client is refused") }
            _ = server.step(token, lookup: { _ in hash }, now: 1, challenge: 2)
            _ = try? client.respond(
                to: token,
                with: .init(
                    challenge: [UInt8](repeating: 1, count: 8), sessionKey: [UInt8](repeating: 2, count: 16)))
        }
    }

    private static func inflate(_ input: [UInt8]) {
        let limit = 1 << 17
        let everything = CompressionAgreement(
            algorithms: [.lz4, .lz77, .lz77Huffman, .lznt1, .pattern], isChained: true)
        input.withUnsafeBytes { input in
            if let count = try? CompressedMessage.plainByteCount(input, segmentLimit: limit, limit: limit) {
                precondition(count <= limit)
                var target = [UInt8](repeating: 0, count: count)
                target.withUnsafeMutableBytes {
                    _ = try? CompressedMessage.decompress(input, agreed: everything, into: $0)
                }
            }
            guard input.count >= 3 else { return }
            // As a stream of one algorithm, with a length of its own; and as data.
            let count = Int(input[1]) | Int(input[2]) << 8
            let algorithm = everything.algorithms[Int(input[0]) % 4]
            let data = UnsafeRawBufferPointer(rebasing: input[3...])
            var target = [UInt8](repeating: 0, count: count)
            target.withUnsafeMutableBytes { _ = try? algorithm.decompress(data, into: $0) }
            var compressor = Compressor()
            var packed = [UInt8](repeating: 0, count: 2 * data.count + 600)
            let length = packed.withUnsafeMutableBytes { compressor.compress(data, with: algorithm, into: $0) }
            guard let length else { return }
            var again = [UInt8](repeating: 0, count: data.count)
            packed.withUnsafeBytes { packed in
                again.withUnsafeMutableBytes { again in
                    do throws(CompressionError) {
                        try algorithm.decompress(UnsafeRawBufferPointer(rebasing: packed[..<length]), into: again)
                    } catch { preconditionFailure("\(algorithm): \(error)") }
                }
            }
            precondition(again.elementsEqual(data), "\(algorithm): other data than was compressed")
        }
    }

    private static func describe(_ bytes: RawSpan) {
        guard let descriptor = try? SecurityDescriptor(parsing: bytes) else { return }
        var writer = WireWriter()
        descriptor.encode(into: &writer)
        let again = try? SecurityDescriptor(parsing: writer.span)
        precondition(again == descriptor, "a security descriptor changes when it is written")
    }

    static let hash: NTHash = {
        guard let hash = NTHash(bytes: [UInt8](repeating: 3, count: 16)) else { preconditionFailure("16 bytes") }
        return hash
    }()

    private static let key = SecretKey([UInt8](repeating: 7, count: 16))

    private static func open(_ input: [UInt8]) {
        _ = try? TransformHeader(parsing: input.span.bytes)
        if !input.isEmpty { Self.sealAndOpen(input) }
        for algorithm in [SealingAlgorithm.aes128GCM, .aes128CCM] {
            guard var sealer = try? Sealer(algorithm, encryption: self.key, decryption: self.key) else {
                preconditionFailure("no cipher")
            }
            var packet = input
            packet.withUnsafeMutableBytes { packet in
                _ = TransformLayout.sessionID(of: UnsafeRawBufferPointer(packet))
                if let range = try? sealer.open(packet) {
                    precondition(range.lowerBound >= 0 && range.upperBound <= packet.count)
                }
            }
        }
    }

    /// A message that is sealed and opened is the same, and no longer opened once a bit of it is another.
    private static func sealAndOpen(_ message: [UInt8]) {
        let packet = Self.sealed(message)
        precondition(Self.opened(packet) == message, "sealed and opened it is another message")
        var damaged = packet
        damaged[packet.count * 2 / 3] ^= 1
        precondition(Self.opened(damaged) == nil, "a damaged message is opened")
    }

    /// What `sealed` made, as the peer opens it.
    private static func opened(_ packet: [UInt8]) -> [UInt8]? {
        var packet = packet
        guard var sealer = try? Sealer(.aes128GCM, encryption: self.key, decryption: self.key) else { return nil }
        let range = packet.withUnsafeMutableBytes { try? sealer.open($0) }
        return range.map { Array(packet[$0]) }
    }

    private static func sealed(_ message: [UInt8]) -> [UInt8] {
        var packet = [UInt8](repeating: 0, count: TransformHeader.byteCount) + message
        guard var sealer = try? Sealer(.aes128GCM, encryption: self.key, decryption: self.key) else { return packet }
        packet.withUnsafeMutableBytes { _ = try? sealer.seal($0, sessionID: 7) }
        return packet
    }
}
