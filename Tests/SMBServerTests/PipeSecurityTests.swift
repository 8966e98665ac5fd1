import SMB2Wire
import SMBAuth
import SMBCrypto
import SMBServerCore
import StateRecords
import Testing

@testable import SMBServer

/// RPC's own authentication, [MS-RPCE] 3.3.1.5.2: our client's NTLM against a pipe's endpoint.
@Suite struct PipeSecurityTests {
    static let password = "Correct-Horse 7"

    /// A server whose pipes know NTLM.
    final class Server {
        var state: ServerState

        init() throws {
            let hash = try NTHash(password: PipeSecurityTests.password).bytes
            let configuration = ServerConfiguration(
                serverGUID: GUID16(low: 7, high: 8), serverName: "TEST", domain: (1, 2, 3),
                users: [
                    UserRecord(name: "alice", ntHash: hash, relativeID: 1000),
                    UserRecord(name: "root", ntHash: hash, relativeID: 500, isAdministrator: true),
                ], requiresSigning: false)
            self.state = ServerState(
                configuration: configuration, negotiateToken: [], seed: 9,
                makeSalt: { [UInt8](repeating: 5, count: 32) })
            self.state.pipeSecurity = NTLMPipes(names: ServerNames(host: "TEST"))
        }
    }

    /// The client's end: an exchange by NTLM, bare or inside SPNEGO, then protected calls.
    struct Client {
        let server: Server
        var endpoint = PipeEndpoint(.srvsvc)
        var authentication: ClientAuthentication
        let verifier: RPCVerifier
        let isSPNEGO: Bool

        init(
            _ level: RPCVerifier.Level, isSPNEGO: Bool = false, user: String = "alice",
            password: String = PipeSecurityTests.password, server: Server? = nil
        ) throws {
            self.server = try server ?? Server()
            self.isSPNEGO = isSPNEGO
            self.verifier = RPCVerifier(
                mechanism: isSPNEGO ? RPCVerifier.Mechanism.spnego : RPCVerifier.Mechanism.ntlm,
                level: level.rawValue, contextID: 4711)
            self.authentication = ClientAuthentication(
                try .init(user: user, password: password), isBare: !isSPNEGO)
        }

        mutating func send(_ packet: [UInt8]) throws(WireError) -> [[UInt8]] {
            let owner = User(name: "somebody", sid: "S-1-5-21-1-2-3-1009")
            return try self.endpoint.receive(packet.span.bytes, from: owner, at: self.server.state)
        }

        func packet(_ kind: UInt8, token: [UInt8]) -> [UInt8] {
            var writer = WireWriter()
            RPCBind(
                maximumTransmitFragment: 4280, maximumReceiveFragment: 4280, associationGroup: 0,
                contexts: [.init(id: 3, interface: .srvsvc, transferSyntaxes: [.ndr])]
            ).encode(into: &writer, kind: kind, callID: 1)
            var packet = writer.bytes
            if kind == RPCPacketKind.auth3 { packet.replaceSubrange(16..., with: [0, 0, 0, 0]) }
            let placed = self.verifier.append(to: &packet, valueByteCount: token.count, alignment: 4, bodyStart: 0)
            packet.replaceSubrange(placed.value, with: token)
            return packet
        }

        static func token(of packet: [UInt8]) throws -> [UInt8] {
            let header = try RPCHeader(parsing: packet.span.bytes)
            guard header.authenticationLength > 0 else { return [] }
            let verifier = try RPCVerifier(
                parsing: packet.span.bytes, authenticationLength: header.authenticationLength,
                bodyStart: RPCHeader.byteCount)
            return Array(packet[verifier.value])
        }

        /// The whole exchange; nil: a refusal, whose packet's kind is returned.
        mutating func bind() throws -> UInt8? {
            let acks = try self.send(self.packet(RPCPacketKind.bind, token: self.authentication.initialToken()))
            let challenge = try Self.token(of: try #require(acks.first))
            let response = try self.authentication.respond(to: challenge, with: .fresh())
            guard self.isSPNEGO else {
                #expect(try self.send(self.packet(RPCPacketKind.auth3, token: response)).isEmpty)
                return nil
            }
            let answers = try self.send(self.packet(RPCPacketKind.alterContext, token: response))
            let answer = try #require(answers.first)
            let kind = try RPCHeader(parsing: answer.span.bytes).kind
            guard kind == RPCPacketKind.alterContextResponse else { return kind }
            try self.authentication.finish(try Self.token(of: answer))
            return nil
        }
    }

    static func call(_ operation: UInt16, _ stub: (inout NDRWriter) -> Void) -> [UInt8] {
        var ndr = NDRWriter()
        stub(&ndr)
        let bytes = ndr.bytes
        var writer = WireWriter()
        RPCRequest(contextID: 3, operation: operation).encode(into: &writer, stub: bytes.span.bytes, callID: 2)
        return writer.bytes
    }

    static let listing = call(SrvsvcOperation.netrShareEnum) {
        NetrShareEnum(level: 1).encode(into: &$0, server: "server")
    }

    /// A request as the client protects it. [MS-RPCE] 3.3.1.5.2.2.
    static func protect(
        _ packet: [UInt8], _ verifier: RPCVerifier, _ security: inout NTLMMessageSecurity
    ) throws -> [UInt8] {
        var packet = packet
        let body = RPCRequest.stubStart(.whole)
        let placed = verifier.append(
            to: &packet, valueByteCount: NTLMMessageSecurity.signatureByteCount, alignment: RPCVerifier.alignment,
            bodyStart: body)
        packet.removeSubrange(placed.value)
        let isSealed = verifier.level == RPCVerifier.Level.privacy.rawValue
        packet += try security.protect(&packet, sealing: isSealed ? body..<placed.start : nil)
        return packet
    }

    /// The stub of an answer over all its fragments, each opened.
    static func open(
        _ answers: [[UInt8]], _ verifier: RPCVerifier, _ security: inout NTLMMessageSecurity
    ) throws -> [UInt8] {
        var stub: [UInt8] = []
        for answer in answers {
            let header = try RPCHeader(parsing: answer.span.bytes)
            #expect(header.kind == RPCPacketKind.response && header.fragmentLength == answer.count)
            #expect(answer.count <= 4280)
            let found = try RPCVerifier(
                parsing: answer.span.bytes, authenticationLength: header.authenticationLength,
                bodyStart: RPCResponse.fixedByteCount)
            #expect(found.contextID == verifier.contextID && found.level == verifier.level)
            #expect((found.start - RPCResponse.fixedByteCount) % RPCVerifier.alignment == 0)
            var message = Array(answer[..<found.value.lowerBound])
            let isSealed = verifier.level == RPCVerifier.Level.privacy.rawValue
            let fits = try security.open(
                &message, sealed: isSealed ? RPCResponse.fixedByteCount..<found.start : nil,
                signature: Array(answer[found.value]))
            #expect(fits)
            stub += message[RPCResponse.fixedByteCount..<found.bodyEnd]
        }
        return stub
    }

    static func kind(_ answers: [[UInt8]]) throws -> UInt8 {
        let answer = try #require(answers.first)
        return try RPCHeader(parsing: answer.span.bytes).kind
    }

    static func fault(_ answers: [[UInt8]]) throws -> UInt32 {
        let answer = try #require(answers.first)
        #expect(try Self.kind(answers) == RPCPacketKind.fault)
        return try RPCFault(parsing: answer.span.bytes).status
    }

    @Test(arguments: [RPCVerifier.Level.packet, .integrity, .privacy], [false, true])
    func protectedCallsAreAnswered(level: RPCVerifier.Level, isSPNEGO: Bool) throws {
        var client = try Client(level, isSPNEGO: isSPNEGO)
        #expect(try client.bind() == nil)
        var security = try NTLMMessageSecurity(try #require(client.authentication.securityContext), isServer: false)
        // The key streams and the numbers go on from call to call.
        for _ in 0..<3 {
            let answers = try client.send(try Self.protect(Self.listing, client.verifier, &security))
            if level == .privacy {
                let name = Array("IPC$".utf16).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
                #expect(!answers.contains { $0.indices.contains { i in answers[0][i...].starts(with: name) } })
            }
            let stub = try Self.open(answers, client.verifier, &security)
            #expect(try NetrShareEnum.parseAnswerLevel1(stub.span.bytes).map(\.name) == ["IPC$"])
        }
    }

    @Test func manyFragmentsAreProtectedEach() throws {
        let server = try Server()
        for index in 0..<300 { server.state.shares["share\(index)"] = .ipc }
        var client = try Client(.privacy, server: server)
        #expect(try client.bind() == nil)
        var security = try NTLMMessageSecurity(try #require(client.authentication.securityContext), isServer: false)
        let answers = try client.send(try Self.protect(Self.listing, client.verifier, &security))
        #expect(answers.count > 3)
        let stub = try Self.open(answers, client.verifier, &security)
        #expect(try NetrShareEnum.parseAnswerLevel1(stub.span.bytes).count == 301)
    }

    /// What the pipe's session may not see, whom RPC let in may.
    @Test func theCallerIsWhomRPCAuthenticated() throws {
        let files = Self.call(SrvsvcOperation.netrFileEnum) {
            SrvsvcEnumeration(operation: SrvsvcOperation.netrFileEnum, filters: [nil, nil], level: 3)
                .encode(into: &$0, server: "s")
        }
        func status(_ user: String) throws -> [UInt8] {
            var client = try Client(.integrity, user: user)
            #expect(try client.bind() == nil)
            var security = try NTLMMessageSecurity(
                try #require(client.authentication.securityContext), isServer: false)
            let answers = try client.send(try Self.protect(files, client.verifier, &security))
            return Array(try Self.open(answers, client.verifier, &security).suffix(4))
        }
        #expect(try status("alice") == [5, 0, 0, 0])
        #expect(try status("root") == [0, 0, 0, 0])
    }

    @Test func atTheLevelOfTheConnectionNothingIsSigned() throws {
        var client = try Client(.connect)
        #expect(try client.bind() == nil)
        #expect(try Self.kind(client.send(Self.listing)) == RPCPacketKind.response)
    }

    @Test(arguments: [("alice", "wrong"), ("nobody", password)])
    func whoIsNotLetInCallsInVain(user: String, password: String) throws {
        var bare = try Client(.connect, user: user, password: password)
        #expect(try bare.bind() == nil)
        #expect(try Self.fault(bare.send(Self.listing)) == RPCFault.accessDenied)
        var spnego = try Client(.integrity, isSPNEGO: true, user: user, password: password)
        #expect(try spnego.bind() == RPCPacketKind.fault)
        #expect(try Self.fault(spnego.send(Self.listing)) == RPCFault.accessDenied)
    }

    /// A call before the exchange has ended is nobody's.
    @Test func callsBeforeTheEndOfTheExchangeAreRefused() throws {
        var client = try Client(.connect)
        _ = try client.send(client.packet(RPCPacketKind.bind, token: client.authentication.initialToken()))
        #expect(try Self.fault(client.send(Self.listing)) == RPCFault.accessDenied)
    }

    /// A changed byte, a missing verifier, a repeated call: the pipe ends with it.
    @Test func whatDoesNotFitEndsThePipe() throws {
        for tamper in 0..<4 {
            var client = try Client(.integrity)
            #expect(try client.bind() == nil)
            var security = try NTLMMessageSecurity(
                try #require(client.authentication.securityContext), isServer: false)
            var packet = try Self.protect(Self.listing, client.verifier, &security)
            switch tamper {
            case 0: packet[30] ^= 1
            case 1: packet = Self.listing
            case 2: packet[packet.count - 1] ^= 1
            default: _ = try client.send(packet)
            }
            #expect(try Self.fault(client.send(packet)) == RPCFault.securityPackageError)
            #expect(throws: WireError.self) { try client.send(Self.listing) }
        }
    }

    @Test func otherMechanismsAndLevelsAreRefused() throws {
        for (mechanism, level) in [(UInt8(0x10), UInt8(5)), (RPCVerifier.Mechanism.ntlm, 1), (0x44, 6)] {
            let client = try Client(.integrity)
            var endpoint = client.endpoint
            var packet = client.packet(RPCPacketKind.bind, token: [1, 2, 3, 4])
            packet[packet.count - 12] = mechanism
            packet[packet.count - 11] = level
            let owner = User(name: "somebody", sid: "S-1-5-21-1-2-3-1009")
            let answers = try endpoint.receive(packet.span.bytes, from: owner, at: client.server.state)
            #expect(try Self.kind(answers) == RPCPacketKind.bindNak)
        }
    }
}
