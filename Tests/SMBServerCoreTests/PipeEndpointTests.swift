import SMB2Wire
import StateRecords
import Testing

@testable import SMBServerCore

/// An open end of a pipe of a server that the test made.
struct TestPipe {
    let server: TestServer
    var endpoint: PipeEndpoint
    var caller = User(name: "alice", sid: "S-1-5-21-1-2-3-1000")

    init(_ service: PipeService = .srvsvc, server: TestServer = TestServer()) {
        self.server = server
        self.endpoint = PipeEndpoint(service)
    }

    mutating func receive(_ bytes: RawSpan) throws(WireError) -> [[UInt8]] {
        try self.endpoint.receive(bytes, from: self.caller, at: self.server.state)
    }
}

@Suite struct PipeEndpointTests {
    static func endpoint() -> TestPipe { TestPipe() }

    static func bind(_ interface: RPCSyntax = .srvsvc, receive: UInt16 = 4280) -> [UInt8] {
        var writer = WireWriter()
        RPCBind(
            maximumTransmitFragment: 4280, maximumReceiveFragment: receive, associationGroup: 0,
            contexts: [.init(id: 3, interface: interface, transferSyntaxes: [.ndr])]
        ).encode(into: &writer, callID: 1)
        return writer.bytes
    }

    static func request(_ operation: UInt16, contextID: UInt16 = 3, _ stub: (inout NDRWriter) -> Void) -> [UInt8] {
        var ndr = NDRWriter()
        stub(&ndr)
        let bytes = ndr.bytes
        var writer = WireWriter()
        RPCRequest(contextID: contextID, operation: operation).encode(into: &writer, stub: bytes.span.bytes, callID: 2)
        return writer.bytes
    }

    static let listing = request(SrvsvcOperation.netrShareEnum) {
        NetrShareEnum(level: 1).encode(into: &$0, server: "server")
    }

    private func send(_ bytes: [UInt8], to endpoint: inout TestPipe) throws -> [[UInt8]] {
        try endpoint.receive(bytes.span.bytes)
    }

    /// The stub of an answer over all its fragments.
    private func stub(_ answers: [[UInt8]]) throws -> [UInt8] {
        var stub: [UInt8] = []
        for answer in answers {
            #expect(try RPCHeader(parsing: answer.span.bytes).kind == RPCPacketKind.response)
            let response = try RPCResponse(parsing: answer.span.bytes)
            stub += answer[response.stub]
        }
        return stub
    }

    private func faultStatus(_ answers: [[UInt8]]) throws -> UInt32 {
        let answer = try #require(answers.first)
        #expect(try RPCHeader(parsing: answer.span.bytes).kind == RPCPacketKind.fault)
        return try RPCFault(parsing: answer.span.bytes).status
    }

    @Test func aBoundClientListsTheShares() throws {
        var endpoint = Self.endpoint()
        let acks = try self.send(Self.bind(), to: &endpoint)
        #expect(acks.count == 1)
        let first = acks[0]
        let ack = try RPCBindAck(parsing: first.span.bytes)
        #expect(ack.outcomes == [.accepted])
        #expect(ack.secondaryAddress == #"\PIPE\srvsvc"#)
        let stub = try self.stub(try self.send(Self.listing, to: &endpoint))
        let shares = try NetrShareEnum.parseAnswerLevel1(stub.span.bytes)
        #expect(shares.map(\.name) == ["backups", "ca", "IPC$", "plain", "test"])
        #expect(shares.map(\.comment) == ["", "", "Remote IPC", "", ""])
    }

    /// A pipe is written in whatever pieces the client likes.
    @Test func pdusComeInPieces() throws {
        var endpoint = Self.endpoint()
        var answers: [[UInt8]] = []
        for byte in Self.bind() + Self.listing { answers += try self.send([byte], to: &endpoint) }
        #expect(answers.count == 2)
    }

    @Test func manySharesComeInFragmentsThatTheClientCanTake() throws {
        var endpoint = Self.endpoint()
        let files = endpoint.server.files
        let many = (100..<300).map { ShareRecord(name: "share\($0)", path: "/", comment: "number \($0)") }
        endpoint.server.state.configure(
            TestServer.configuration, shares: many.map { Share(record: $0, fileSystem: files) })
        _ = try self.send(Self.bind(receive: 2000), to: &endpoint)
        let answers = try self.send(Self.listing, to: &endpoint)
        #expect(answers.count > 1)
        #expect(answers.allSatisfy { $0.count <= 2000 })
        let stub = try self.stub(answers)
        #expect(try NetrShareEnum.parseAnswerLevel1(stub.span.bytes).map(\.name) == ["IPC$"] + many.map(\.name))
    }

    /// A call in two fragments is one call.
    @Test func requestsMayBeFragmented() throws {
        var endpoint = Self.endpoint()
        _ = try self.send(Self.bind(), to: &endpoint)
        var ndr = NDRWriter()
        NetrShareEnum(level: 1).encode(into: &ndr, server: "server")
        let stub = ndr.bytes
        for (part, flags) in [(stub[..<16], UInt8(1)), (stub[16...], UInt8(2))] {
            var writer = WireWriter()
            RPCRequest(contextID: 3, operation: SrvsvcOperation.netrShareEnum).encode(
                into: &writer, stub: Array(part).span.bytes, callID: 2)
            writer.store(flags, at: 3)
            let answers = try self.send(writer.bytes, to: &endpoint)
            if flags == 1 {
                #expect(answers.isEmpty)
            } else {
                let joined = try self.stub(answers)
                #expect(try NetrShareEnum.parseAnswerLevel1(joined.span.bytes).count == 5)
            }
        }
    }

    @Test func anotherInterfaceIsRejected() throws {
        var endpoint = Self.endpoint()
        let other = RPCSyntax(GUID(low: 1, high: 2), version: 1)
        let acks = try self.send(Self.bind(other), to: &endpoint)
        let first = acks[0]
        let ack = try RPCBindAck(parsing: first.span.bytes)
        #expect(ack.outcomes == [.rejected(RPCBindAck.Outcome.abstractSyntaxNotSupported)])
        #expect(try self.faultStatus(self.send(Self.listing, to: &endpoint)) == RPCFault.unknownInterface)
    }

    @Test func whatIsNotServedFaults() throws {
        var endpoint = Self.endpoint()
        _ = try self.send(Self.bind(), to: &endpoint)
        #expect(
            try self.faultStatus(self.send(Self.request(99) { _ in }, to: &endpoint)) == RPCFault.operationOutOfRange)
        let short = Self.request(SrvsvcOperation.netrShareEnum) { $0.append(UInt32(1)) }
        #expect(try self.faultStatus(self.send(short, to: &endpoint)) == RPCFault.badStubData)
        // A middle fragment of no call.
        var middle = Self.listing
        middle[3] = 0
        #expect(try self.faultStatus(self.send(middle, to: &endpoint)) == RPCFault.protocolError)
        // The endpoint goes on serving.
        #expect(try self.send(Self.listing, to: &endpoint).count == 1)
    }

    @Test func namesAreFoundWithoutRegardToCase() throws {
        var endpoint = Self.endpoint()
        _ = try self.send(Self.bind(), to: &endpoint)
        func status(_ name: String) throws -> UInt32 {
            let call = Self.request(SrvsvcOperation.netrShareGetInfo) {
                NetrShareGetInfo(name: name, level: 1).encode(into: &$0, server: "s")
            }
            let stub = try self.stub(try self.send(call, to: &endpoint))
            return stub.suffix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
        }
        #expect(try status("TEST") == Win32Error.success)
        #expect(try status("none") == Win32Error.netNameNotFound)
    }

    @Test func tooLargeAFragmentOrACallBreaksThePipe() throws {
        var endpoint = Self.endpoint()
        _ = try self.send(Self.bind(), to: &endpoint)
        var large = Self.listing
        large.replaceSubrange(8..<10, with: [0xFF, 0xFF])
        #expect(throws: WireError.limitExceeded("RPC fragment")) { try self.send(large, to: &endpoint) }

        var other = Self.endpoint()
        _ = try self.send(Self.bind(), to: &other)
        let part = [UInt8](repeating: 0, count: 4000)
        #expect(throws: WireError.limitExceeded("RPC stub")) {
            for index in 0..<20 {
                var writer = WireWriter()
                RPCRequest(contextID: 3, operation: 15).encode(into: &writer, stub: part.span.bytes, callID: 2)
                writer.store(UInt8(index == 0 ? 1 : 0), at: 3)
                _ = try self.send(writer.bytes, to: &other)
            }
        }
    }

    /// Shares are the administrator's to change, and not through a pipe: refused, and not unknown.
    @Test func whatWouldChangeSomethingIsRefused() throws {
        var endpoint = Self.endpoint()
        endpoint.caller = User(name: "root", sid: "S-1-5-21-1-2-3-500")
        _ = try self.send(Self.bind(), to: &endpoint)
        for (operation, length) in [
            (SrvsvcOperation.netrShareAdd, 8), (SrvsvcOperation.netrShareDel, 4), (SrvsvcOperation.netrShareSetInfo, 8),
            (SrvsvcOperation.netrSessionDel, 4), (SrvsvcOperation.netrFileClose, 4),
        ] {
            let stub = try self.stub(try self.send(Self.request(operation) { _ in }, to: &endpoint))
            #expect(stub == [UInt8](repeating: 0, count: length - 4) + [5, 0, 0, 0])
        }
        #expect(endpoint.server.state.shares["test"] != nil)
    }

    @Test func aFolderIsFoundAmongTheShares() throws {
        var endpoint = Self.endpoint()
        _ = try self.send(Self.bind(), to: &endpoint)
        let cases: [(device: String, expected: [UInt8])] = [
            ("c:\\TEST", [0, 0, 0, 0]), ("C:\\none", [0x07, 0x09, 0, 0]),
        ]
        for (device, expected) in cases {
            let call = Self.request(SrvsvcOperation.netrShareCheck) {
                NetrShareCheck(device: device).encode(into: &$0, server: "s")
            }
            let stub = try self.stub(try self.send(call, to: &endpoint))
            #expect(stub == [0, 0, 0, 0] + expected)
        }
    }

    /// A server without mechanisms: the tests with NTLM are PipeSecurityTests.
    @Test func anAuthenticatedBindIsRefusedByThoseWithoutMechanisms() throws {
        var endpoint = Self.endpoint()
        var bind = Self.bind()
        _ = RPCVerifier(mechanism: RPCVerifier.Mechanism.ntlm, level: 5, contextID: 1).append(
            to: &bind, valueByteCount: 8, alignment: 4, bodyStart: 0)
        let answer = try #require(try self.send(bind, to: &endpoint).first)
        #expect(try RPCHeader(parsing: answer.span.bytes).kind == RPCPacketKind.bindNak)
    }

    /// One write may bring as many PDUs as fit: what they are answered with is bounded before it is made.
    @Test func callsWithoutEndBreakThePipe() throws {
        var endpoint = Self.endpoint()
        let call = Self.request(99, contextID: 77) { _ in }
        let most = [[UInt8]](repeating: call, count: NamedPipe.unreadLimit).flatMap { $0 }
        #expect(try self.send(most, to: &endpoint).count == NamedPipe.unreadLimit)
        #expect(throws: WireError.limitExceeded("RPC answers")) { try self.send(most + call, to: &endpoint) }
    }
}
