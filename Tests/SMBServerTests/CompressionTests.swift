import GoldenMessages
import SMB2Wire
import SMBCompression
import StateRecords
import Testing

@testable import SMBClient
@testable import SMBServer

#if canImport(Glibc)
    import Glibc
#endif

/// Compressed READs and WRITEs against the real server. [MS-SMB2] 3.1.4.4, 3.3.5.2.1.2, 3.3.5.4, 3.3.5.12.
@Suite struct CompressionTests {
    /// Compresses, but not to a pattern.
    private static let text = Array(String(repeating: "four score and seven years ago; ", count: 8192).utf8)
    private static let noise: [UInt8] = {
        var random = SplitMix64(seed: 7)
        return (0..<262_144).map { _ in UInt8.random(in: 0...255, using: &random) }
    }()

    private func connect(
        _ server: RunningServer, _ algorithms: [CompressionAlgorithm], chained: Bool = true,
        _ change: (inout ClientConfiguration) -> Void = { _ in }
    ) throws -> SMBConnection {
        var configuration = try ClientConfiguration(
            host: "127.0.0.1", port: server.standalone.port, credentials: .init(user: "alice", password: "secret"))
        configuration.compression = algorithms
        configuration.chainsCompression = chained
        change(&configuration)
        let connection = try SMBConnection.open(configuration, share: "test")
        connection.isCompressing = true
        return connection
    }

    @Test func whatIsAgreedOn() throws {
        let server = try RunningServer()
        // All that both know, in the client's order.
        let all = try self.connect(server, [.pattern, .lz77, .lz77Huffman, .lznt1, .lz4])
        #expect(
            all.compression
                == CompressionAgreement(algorithms: [.pattern, .lz77, .lz77Huffman, .lznt1, .lz4], isChained: true))
        // Without chains, no patterns.
        let unchained = try self.connect(server, [.lz77, .pattern], chained: false)
        #expect(unchained.compression == CompressionAgreement(algorithms: [.lz77], isChained: false))
        #expect(try self.connect(server, [.pattern], chained: false).compression == nil)
        #expect(try self.connect(server, []).compression == nil)
        #expect(try self.connect(server, [.lz77]) { $0.dialects = [.smb302] }.compression == nil)
    }

    @Test func switchedOff() throws {
        let server = try RunningServer {
            $0.offersCompression = false
            $0.shares[0].compressesData = true
        }
        let connection = try self.connect(server, [.lz77])
        #expect(connection.compression == nil)
        #expect(try !connection.treeConnect("test").shareFlags.contains(.compressData))
    }

    @Test func theShareAsksForIt() throws {
        let server = try RunningServer { $0.shares[0].compressesData = true }
        #expect(try self.connect(server, [.lz77]).treeConnect("test").shareFlags.contains(.compressData))
        #expect(try !self.connect(server, []).treeConnect("test").shareFlags.contains(.compressData))
        let silent = try RunningServer()
        #expect(try !self.connect(silent, [.lz77]).treeConnect("test").shareFlags.contains(.compressData))
    }

    static let offers: [([CompressionAlgorithm], Bool)] = [
        ([.lz77], true), ([.lz77], false), ([.lz77Huffman], true), ([.lz77Huffman], false), ([.lznt1], true),
        ([.lznt1], false), ([.lz4], true), ([.lz4], false), ([.pattern, .lz77, .lz77Huffman, .lznt1, .lz4], true),
    ]

    /// Both directions, signed and encrypted: the file holds what was written, and the client reads what it holds.
    @Test(arguments: offers, [false, true])
    func readsAndWrites(offer: ([CompressionAlgorithm], Bool), isEncrypted: Bool) throws {
        let server = try RunningServer()
        let connection = try self.connect(server, offer.0, chained: offer.1) { $0.encrypts = isEncrypted }
        let file = try connection.create(
            OpenParameters("data", access: [.readData, .writeData], disposition: .openIf)
        ).fileID
        let zeros = [UInt8](repeating: 0, count: 100_000)
        var at: UInt64 = 0
        for (index, data) in [Self.text, zeros, zeros + Self.text + zeros].enumerated() {
            #expect(try connection.write(file, at: at, data) == data.count)
            #expect(connection.compressedPackets.sent == index + 1)
            #expect(try connection.read(file, at: at, count: data.count) == data)
            #expect(connection.compressedPackets.received == index + 1)
            at += UInt64(data.count)
        }
        // What does not shrink goes as it is.
        #expect(try connection.write(file, at: at, Self.noise) == Self.noise.count)
        #expect(try connection.read(file, at: at, count: Self.noise.count) == Self.noise)
        #expect(try connection.read(file, at: 0, count: 1000) == Array(Self.text[..<1000]))
        #expect(connection.compressedPackets.sent == 3 && connection.compressedPackets.received == 3)
        try connection.close(file)
        // Who does not ask gets plain data.
        let plain = try server.connect()
        let again = try plain.create(OpenParameters("data", access: .readData)).fileID
        #expect(try plain.read(again, at: 0, count: Self.text.count) == Self.text)
        #expect(plain.compressedPackets.received == 0)
    }

    /// A client that may have compressed data and does not ask for it.
    @Test func onlyOnRequest() throws {
        let server = try RunningServer()
        let connection = try self.connect(server, [.lz77])
        let file = try connection.create(
            OpenParameters("data", access: [.readData, .writeData], disposition: .openIf)
        ).fileID
        #expect(try connection.write(file, at: 0, Self.text) == Self.text.count)
        connection.isCompressing = false
        #expect(try connection.read(file, at: 0, count: Self.text.count) == Self.text)
        #expect(connection.compressedPackets.received == 0)
    }

    // MARK: Hostile

    private static let chainOfZeros = hex("FC534D42 00001000 0400 0100 08000000 00000000 00001000")

    @Test(arguments: [
        // No SMB2 message comes out.
        hex("FC534D42 00010000 0400 0100 08000000 00000000 00010000"),
        // More than the largest message.
        hex("FC534D42 FFFFFFFF 0400 0100 08000000 00000000 FFFFFFFF"),
        hex("FC534D42 FFFFFFFF 0200 0000 00000000 00000000"),
        // A compressed message within, and one that is encrypted.
        hex("FC534D42 10000000 0000 0100 10000000 FC534D42 00000000 0000 0100 00000000"),
        hex("FC534D42 10000000 0000 0100 10000000 FD534D42 00000000 0000 0100 00000000"),
        // Too short for anything.
        hex("FC534D42"), hex("FC534D42 00000000 0400 0100 000000"),
    ])
    func theConnectionEnds(packet: [UInt8]) throws {
        let server = try RunningServer()
        let connection = try self.connect(server, [.lz77, .pattern])
        try connection.sendRaw(packet)
        #expect(throws: ClientError.self) { try connection.echo() }
        try self.connect(server, [.lz77]).echo()
    }

    @Test func withoutAgreement() throws {
        let server = try RunningServer()
        let connection = try server.connect()
        try connection.sendRaw(Self.chainOfZeros)
        #expect(throws: ClientError.self) { try connection.echo() }
    }

    /// Who has not logged on gets no megabyte of the server's memory for thirty bytes of his own.
    @Test func beforeLogon() throws {
        let server = try RunningServer()
        var configuration = try ClientConfiguration(
            host: "127.0.0.1", port: server.standalone.port, credentials: .init(user: "alice", password: "secret"))
        configuration.compression = [.pattern, .lz77]
        let connection = try SMBConnection(configuration)
        try connection.negotiate()
        try connection.sendRaw(Self.chainOfZeros)
        #expect(throws: ClientError.self) { try connection.sessionSetup() }
    }
}
