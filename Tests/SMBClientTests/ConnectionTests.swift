import SMB2Wire
import SMBAuth
import SMBCrypto
import Synchronization
import Testing

@testable import SMBClient

@Suite struct ConnectionTests {
    static let dialects: [Dialect] = [.smb202, .smb21, .smb30, .smb302, .smb311]

    @Test(arguments: dialects, [false, true])
    func everyDialect(dialect: Dialect, encrypts: Bool) throws {
        var settings = FakeServer.Settings()
        settings.dialect = dialect
        let server = FakeServer(settings) { _, header, _, _ in [FakeServer.Answer(to: header)] }
        defer { server.stop() }
        var configuration = try server.configuration()
        configuration.encrypts = encrypts
        guard !encrypts || dialect >= .smb30 else {
            #expect(throws: ClientError.self) { _ = try SMBConnection.open(configuration, share: "test") }
            return
        }
        let connection = try SMBConnection.open(configuration, share: "test")
        #expect(connection.dialect == dialect && connection.treeID == 7)
        for _ in 0..<3 { try connection.echo() }
        #expect(server.problems.withLock { $0 } == [])
    }

    @Test(arguments: [.hmacSHA256, .aesCMAC, .aesGMAC] as [SMB2Wire.SigningAlgorithm])
    func everyNegotiatedSignature(algorithm: SMB2Wire.SigningAlgorithm) throws {
        var settings = FakeServer.Settings()
        settings.signing = algorithm
        let server = FakeServer(settings) { _, header, _, _ in [FakeServer.Answer(to: header)] }
        defer { server.stop() }
        let connection = try SMBConnection.open(server.configuration(), share: "test")
        try connection.echo()
        #expect(connection.signingAlgorithm == algorithm && server.problems.withLock { $0 } == [])
    }

    @Test(arguments: [.aes128CCM, .aes128GCM, .aes256CCM, .aes256GCM] as [Cipher])
    func everyNegotiatedCipher(cipher: Cipher) throws {
        var settings = FakeServer.Settings()
        settings.cipher = cipher
        let server = FakeServer(settings) { _, header, _, _ in [FakeServer.Answer(to: header)] }
        defer { server.stop() }
        var configuration = try server.configuration()
        configuration.encrypts = true
        let connection = try SMBConnection.open(configuration, share: "test")
        try connection.echo()
        #expect(connection.isEncrypting && server.problems.withLock { $0 } == [])
    }

    @Test func aWrongPassword() throws {
        var settings = FakeServer.Settings()
        settings.password = "another"
        let server = FakeServer(settings) { _, _, _, _ in nil }
        defer { server.stop() }
        let connection = try SMBConnection(server.configuration())
        try connection.negotiate()
        let error = #expect(throws: ClientError.self) { try connection.sessionSetup() }
        #expect(error?.status == .logonFailure)
    }

    /// Somebody who changed the handshake cannot make this signature.
    @Test func aTamperedHandshake() throws {
        var settings = FakeServer.Settings()
        settings.breaksSessionSignature = true
        let server = FakeServer(settings) { _, _, _, _ in nil }
        defer { server.stop() }
        let connection = try SMBConnection(server.configuration())
        try connection.negotiate()
        let error = #expect(throws: ClientError.self) { try connection.sessionSetup() }
        guard case .crypto(.authentication) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test(arguments: [true, false])
    func answersThatAreNotSignedRight(isSigned: Bool) throws {
        let server = FakeServer { _, header, _, _ in
            var answer = FakeServer.Answer(to: header)
            answer.isSigned = isSigned
            answer.breaksSignature = isSigned
            return [answer]
        }
        defer { server.stop() }
        let connection = try SMBConnection.open(server.configuration(), share: "test")
        let error = #expect(throws: ClientError.self) { try connection.echo() }
        switch error {
        case .crypto(.authentication) where isSigned: break
        case .violation where !isSigned: break
        default: Issue.record("\(String(describing: error))")
        }
    }

    /// Three requests under way, answered last to first, the first of them pending meanwhile.
    @Test func answersOutOfOrder() throws {
        let waiting = Mutex<[SMB2Header]>([])
        let server = FakeServer { _, header, _, _ in
            let all = waiting.withLock { list in
                list.append(header)
                return list
            }
            if all.count == 1 {
                var interim = FakeServer.Answer(to: header, .pending)
                interim.asyncID = 99
                interim.isSigned = false
                return [interim]
            }
            guard all.count == 3 else { return [] }
            return all.reversed().map { header in
                var answer = FakeServer.Answer(to: header)
                if header.messageID == all[0].messageID { answer.asyncID = 99 }
                return answer
            }
        }
        defer { server.stop() }
        let connection = try SMBConnection.open(server.configuration(), share: "test")
        var messageIDs: [UInt64] = []
        for _ in 0..<3 { messageIDs.append(try connection.post(.echo) { EchoRequest().encode(into: &$0) }) }
        try connection.flush()
        try connection.waitUntilPending(messageIDs[0])
        #expect(connection.pending[messageIDs[0]] == 99)
        for messageID in messageIDs { #expect(try connection.gather(messageID).header.messageID == messageID) }
        #expect(connection.pending.isEmpty)
    }

    /// A server that lends one credit at a time gets one request at a time, each with the next message id.
    @Test func creditsAreRespected() throws {
        var settings = FakeServer.Settings()
        settings.credits = 1
        let seen = Mutex<[UInt64]>([])
        let server = FakeServer(settings) { _, header, _, _ in
            seen.withLock { $0.append(header.messageID) }
            return [FakeServer.Answer(to: header)]
        }
        defer { server.stop() }
        let connection = try SMBConnection.open(server.configuration(), share: "test")
        var messageIDs: [UInt64] = []
        for _ in 0..<10 {
            messageIDs.append(try connection.post(.echo) { EchoRequest().encode(into: &$0) })
            #expect(connection.credits == 0)
        }
        for messageID in messageIDs { _ = try connection.gather(messageID) }
        #expect(seen.withLock { $0 } == messageIDs && messageIDs == Array(messageIDs[0]..<(messageIDs[0] + 10)))
    }

    @Test func aLargeWriteCostsACreditEach64K() throws {
        let charges = Mutex<[UInt16]>([])
        let server = FakeServer { _, header, message, _ in
            charges.withLock { $0.append(header.creditCharge) }
            let count = (try? WriteRequest(parsing: message.span.bytes).data.count) ?? 0
            return [FakeServer.Answer(to: header) { WriteResponse(count: UInt32(count)).encode(into: &$0) }]
        }
        defer { server.stop() }
        let connection = try SMBConnection.open(server.configuration(), share: "test")
        for count in [1, 65_536, 65_537, 1 << 20] {
            let before = connection.nextMessageID
            #expect(try connection.write(.related, at: 0, [UInt8](repeating: 1, count: count)) == count)
            #expect(connection.nextMessageID - before == UInt64((count - 1) / 65_536 + 1))
        }
        #expect(charges.withLock { $0 } == [1, 1, 2, 16])
    }

    @Test func aCompoundIsOnePacketOfRelatedRequests() throws {
        let seen = Mutex<[SMB2Header]>([])
        let server = FakeServer { _, header, _, _ in
            seen.withLock { $0.append(header) }
            return [FakeServer.Answer(to: header)]
        }
        defer { server.stop() }
        let connection = try SMBConnection.open(server.configuration(), share: "test")
        let messageIDs = try connection.postCompound([
            .init(.flush) { FlushRequest(fileID: .related).encode(into: &$0) },
            .init(.close) { CloseRequest(fileID: .related).encode(into: &$0) },
        ])
        for messageID in messageIDs { #expect(try connection.gather(messageID).header.status == .success) }
        let headers = seen.withLock { $0 }
        #expect(headers.map(\.isRelated) == [false, true] && headers.map(\.isSigned) == [true, true])
        #expect(headers.map(\.nextCommand) == [88, 0])
    }

    /// Whatever a broken server sends ends in an error.
    @Test func brokenAnswers() throws {
        for body in [[], [1], [UInt8](repeating: 0xFF, count: 88), [UInt8](repeating: 0, count: 500)] as [[UInt8]] {
            let server = FakeServer { _, header, _, _ in [FakeServer.Answer(to: header) { $0.append(body) }] }
            defer { server.stop() }
            let connection = try SMBConnection.open(server.configuration(), share: "test")
            #expect(throws: ClientError.self) { _ = try connection.create(OpenParameters("x")) }
            #expect(throws: ClientError.self) { _ = try connection.read(.related, at: 0, count: 10) }
            #expect(throws: ClientError.self) { _ = try connection.queryDirectory(.related) }
        }
    }
}
