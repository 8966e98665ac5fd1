import SMB2Wire
import SMBServerCore
import StateRecords
import Testing

/// What the administrator's security settings do. [MS-SMB2] 3.3.5.4, 3.3.5.5, 3.3.5.5.3, 3.3.5.2.9.
@Suite struct SessionSecurityTests {
    private func server(_ settings: String...) throws -> TestServer {
        let server = TestServer()
        for setting in settings { try server.state.configuration.security.set(setting) }
        return server
    }

    // MARK: Encryption of the whole server

    @Test func everySessionIsEncrypted() throws {
        let client = try TestClient(self.server("encryption=required"))
        try client.negotiate()
        let reply = try client.logOn()
        #expect(try SessionSetupResponse(parsing: reply.bytes.span.bytes).flags == .encryptData)
        #expect(reply.reply?.protection == .sign(session: client.session), "the keys are not the client's yet")
        #expect(try client.connect().status == .accessDenied)
        client.isEncrypting = true
        #expect(try client.connect().status == .success)
        let file = try client.open("a")
        client.isEncrypting = false
        #expect(try client.write(file).status == .accessDenied)
        client.isEncrypting = true
        #expect(try client.write(file).reply?.protection == .encrypt(session: client.session))
    }

    @Test(arguments: [Dialect.smb202, .smb21, .smb311]) func whoCannotEncryptIsRefused(dialect: Dialect) throws {
        let client = try TestClient(self.server("encryption=required"))
        client.ciphers = [Cipher(rawValue: 77)]
        try client.negotiate([dialect])
        #expect(try client.logOn().status == .accessDenied)
        #expect(client.server.state.sessions.count == 0)
    }

    @Test func nobodyInParticularCannotEncrypt() throws {
        let client = try TestClient(self.server("encryption=required", "anonymous=on"))
        try client.negotiate()
        #expect(try client.logOn("-").status == .accessDenied)
        #expect(client.server.state.sessions.count == 0)
    }

    // MARK: Algorithms

    @Test func theServersOrderOfCiphersCounts() throws {
        let server = try self.server("ciphers=aes-256-gcm,aes-128-ccm")
        let client = try TestClient(server)
        client.ciphers = [.aes128GCM, .aes128CCM, .aes256GCM]
        let answer = try NegotiateResponse(parsing: client.negotiate([.smb311]).bytes.span.bytes)
        #expect(answer.contexts?.ciphers == [.aes256GCM])
        let other = try TestClient(server)
        other.ciphers = [.aes128GCM]
        let none = try NegotiateResponse(parsing: other.negotiate([.smb311]).bytes.span.bytes)
        #expect(none.contexts?.ciphers == [Cipher(rawValue: 0)])
    }

    @Test func thirdDialectsHaveOneCipher() throws {
        for (setting, offers) in [("ciphers=aes-128-gcm", false), ("ciphers=aes-128-ccm", true)] {
            let client = try TestClient(self.server(setting))
            let answer = try NegotiateResponse(parsing: client.negotiate([.smb302]).bytes.span.bytes)
            #expect(answer.capabilities.contains(.encryption) == offers)
        }
    }

    @Test func theServersOrderOfSigningAlgorithmsCounts() throws {
        let server = try self.server("signing-algorithms=aes-cmac,aes-gmac")
        let client = try TestClient(server)
        client.signingAlgorithms = [.aesGMAC, .aesCMAC]
        let answer = try NegotiateResponse(parsing: client.negotiate([.smb311]).bytes.span.bytes)
        #expect(answer.contexts?.signingAlgorithms == [.aesCMAC])
    }

    @Test(arguments: [
        ("signing-algorithms=aes-gmac", [Dialect.smb202, .smb21, .smb30, .smb302]),
        ("signing-algorithms=aes-cmac", [.smb202, .smb21]),
        ("signing-algorithms=hmac-sha256", [.smb30, .smb302]),
    ])
    func aDialectWithoutAnAllowedAlgorithmIsNotSpoken(setting: String, refused: [Dialect]) throws {
        let server = try self.server(setting)
        for dialect in [Dialect.smb202, .smb21, .smb30, .smb302] {
            let status = try TestClient(server).negotiate([dialect]).status
            #expect(status == (refused.contains(dialect) ? .notSupported : .success), "\(dialect)")
        }
    }

    @Test func withoutACommonSigningAlgorithmThereIsNoSession() throws {
        let client = try TestClient(self.server("signing-algorithms=aes-gmac"))
        client.signingAlgorithms = [.aesCMAC]
        #expect(try client.negotiate([.smb311]).status == .notSupported)
        let other = try TestClient(self.server("signing-algorithms=aes-gmac"))
        other.signingAlgorithms = [.aesCMAC, .aesGMAC]
        #expect(try other.negotiate([.smb311]).status == .success)
    }

    // MARK: The negotiation, 3.3.5.2.4, 3.3.5.7, 3.3.5.15.12

    @Test func aSignedNegotiateIsRefused() throws {
        let client = try TestClient(TestServer())
        var message = client.message(.negotiate) {
            NegotiateRequest(
                securityMode: .signingEnabled, capabilities: [], clientGUID: client.guid, dialects: [.smb302]
            ).encode(into: &$0)
        }
        message[16] |= 8
        #expect(try client.send(message, signature: .noKey).status == .invalidParameter)
        #expect(try client.negotiate().status == .success)
    }

    /// In 3.1.1 it is the TREE_CONNECT's signature that tells the server of a man in the middle.
    @Test func anUnprotectedTreeConnectEndsTheConnection() throws {
        func connect(_ dialect: Dialect, _ user: String, _ setting: String = "anonymous=off") throws -> TestReply {
            let client = try TestClient(self.server(setting))
            try client.negotiate([dialect])
            try client.logOn(user)
            return try client.send(
                client.message(.treeConnect) { TreeConnectRequest().encode(into: &$0, path: "\\\\s\\ipc$") })
        }
        #expect(try connect(.smb311, "alice").disconnect != nil)
        #expect(try connect(.smb302, "alice").status == .success)
        #expect(try connect(.smb311, "-", "anonymous=on").status == .success, "it has nothing to sign with")
    }

    @Test func whatChangedTheNegotiationEndsTheConnection() throws {
        func validate(
            _ dialect: Dialect = .smb302, room: UInt32 = 24,
            _ change: (inout ValidateNegotiateInfoRequest) -> Void = { _ in }
        ) throws -> TestReply {
            let client = try TestClient(TestServer())
            try client.negotiate([dialect])
            try client.logOn()
            try client.connect("ipc$")
            let connection = try #require(client.server.state.connections[client.connection])
            var seen = ValidateNegotiateInfoRequest(
                capabilities: connection.clientCapabilities, clientGUID: connection.clientGUID,
                securityMode: connection.clientSecurityMode, dialects: connection.clientDialects)
            change(&seen)
            var input = WireWriter()
            seen.encode(into: &input)
            let request = IoctlRequest(
                code: .validateNegotiateInfo, fileID: .related, maximumOutputResponse: room)
            return try client.send(
                client.message(.ioctl) { request.encode(into: &$0, input: input.bytes.span.bytes) })
        }
        #expect(try validate().status == .success)
        #expect(try validate(room: 23).disconnect != nil)
        #expect(try validate(.smb311).disconnect != nil)
        #expect(try validate { $0.capabilities.remove(.encryption) }.disconnect != nil)
        #expect(try validate { $0.clientGUID = GUID(low: 9, high: 9) }.disconnect != nil)
        #expect(try validate { $0.securityMode = [.signingEnabled, .signingRequired] }.disconnect != nil)
        #expect(try validate { $0.dialects = [.smb302, .smb311] }.disconnect != nil)
        #expect(try validate { $0.dialects = [.smb30] }.disconnect != nil)
    }

    // MARK: Life time

    @Test func aSessionMustAuthenticateAnew() throws {
        let server = try self.server("session-lifetime=60")
        let client = try TestClient.ready(server)
        let file = try client.open("a")
        let other = try client.open("b")
        server.state.now += 59_999
        #expect(try client.write(file).status == .success)
        server.state.now += 1
        #expect(try client.write(file).status == .networkSessionExpired)
        #expect(try client.create("c").status == .networkSessionExpired)
        #expect(
            try client.send(client.message(.echo) { EchoRequest().encode(into: &$0) }).status == .networkSessionExpired)
        #expect(try client.connect().status == .networkSessionExpired)
        // What only gives something back goes on.
        #expect(
            try client.lock(file, [LockElement(offset: 0, length: 1, flags: [.exclusive, .failImmediately])]).status
                == .success)
        #expect(try client.close(other) == .success)
        let channel = try TestClient(server)
        try channel.negotiate()
        #expect(try channel.bind(to: client).status == .networkSessionExpired)

        #expect(try client.logOnAgain().status == .success)
        #expect(try client.write(file).status == .success)
        server.state.now += 59_999
        #expect(try client.write(file).status == .success)
        server.state.now += 1
        #expect(try client.write(file).status == .networkSessionExpired, "its time began anew, and is over again")
    }

    @Test func anExpiredSessionCanBeLeft() throws {
        let server = try self.server("session-lifetime=60")
        let client = try TestClient.ready(server)
        server.state.now += 60_000
        #expect(try client.send(client.message(.logoff) { LogoffRequest().encode(into: &$0) }).status == .success)
        #expect(server.state.sessions.count == 0)
    }

    @Test func withoutALifeTimeASessionStays() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        let file = try client.open("a")
        server.state.now += 400 * 86_400_000
        #expect(try client.write(file).status == .success)
    }

    @Test func whoFailsToAuthenticateAnewHasNoSession() throws {
        let client = try TestClient.ready(self.server("session-lifetime=60"))
        client.server.state.now += 60_000
        #expect(try client.logOnAgain("?").status == .logonFailure)
        #expect(client.server.state.sessions.count == 0)
    }

    // MARK: Nobody in particular

    @Test func anAnonymousLogonIsRefusedUnlessItIsAllowed() throws {
        let client = try TestClient(TestServer())
        try client.negotiate()
        #expect(try client.logOn("-").status == .logonFailure)
    }

    @Test func anAnonymousLogonGrantsNothing() throws {
        let client = try TestClient(self.server("anonymous=on"))
        try client.negotiate()
        let reply = try client.logOn("-")
        #expect(reply.status == .success)
        #expect(try SessionSetupResponse(parsing: reply.bytes.span.bytes).flags == .isNull)
        #expect(reply.reply?.protection == Protection.none, "there is no key")
        #expect(try client.connect("ipc$").status == .success)
        for share in ["test", "ca"] { #expect(try client.connect(share).status == .accessDenied) }
        let second = try TestClient(client.server)
        try second.negotiate()
        #expect(try second.bind(to: client, user: "-").status == .notSupported)
    }

    @Test(arguments: [
        (["Everyone:full"], NTStatus.accessDenied), (["ANONYMOUS LOGON:read"], .success),
        (["Anonymous Logon:read", "Everyone:full"], .success), (["Anonymous Logon:none"], .accessDenied),
    ])
    func onlyAShareThatNamesItAdmitsIt(permissions: [String], status: NTStatus) throws {
        let server = try self.server("anonymous=on")
        var record = ShareRecord(name: "open", path: "/")
        let levels: [Substring: SharePermission.Level] = ["none": .none, "read": .read, "full": .full]
        for permission in permissions {
            let parts = permission.split(separator: ":")
            record.permit(SharePermission(name: String(parts[0]), level: try #require(levels[parts[1]])))
        }
        server.state.configure(
            server.state.configuration, shares: [Share(record: record, fileSystem: server.files)])
        let client = try TestClient(server)
        try client.negotiate()
        try client.logOn("-")
        #expect(try client.connect("open").status == status)
        guard status == .success else { return }
        #expect(
            try client.create("a", access: .writeData).status == .accessDenied, "everyone's rights are not nobody's")
    }

    /// smb2.session.reauth2 to 5.
    @Test func aSessionMayBecomeNobodysForAWhile() throws {
        let client = try TestClient.ready(self.server("anonymous=on"))
        let file = try client.open("a", access: [.readData, .writeData, .delete])
        #expect(try client.logOnAgain("-").status == .success)
        #expect(try client.write(file).status == .success, "what was granted stays granted")
        #expect(try client.create("b").status == .accessDenied)
        var rename = WireWriter()
        RenameInformation(replaceIfExists: false).encode(into: &rename, name: "c")
        #expect(try client.setFile(file, .rename, rename.bytes).status == .accessDenied)
        #expect(try client.logOnAgain("bob").status == .accessDenied, "nor anybody else's")
        let again = try TestClient.ready(client.server)
        let other = try again.open("a")
        #expect(try again.logOnAgain("-").status == .success)
        #expect(try again.logOnAgain().status == .success)
        #expect(try again.write(other).status == .success)
        #expect(try again.create("b").status == .success)
    }

    @Test func anAnonymousSessionStaysAnonymous() throws {
        let client = try TestClient(self.server("anonymous=on"))
        try client.negotiate()
        try client.logOn("-")
        #expect(try client.logOnAgain("-").status == .success)
        #expect(try client.logOnAgain("alice").status == .accessDenied, "it has no keys")
    }

    @Test func anAnonymousReauthenticationIsRefusedUnlessItIsAllowed() throws {
        let client = try TestClient.ready(TestServer())
        #expect(try client.logOnAgain("-").status == .logonFailure)
        #expect(client.server.state.sessions.count == 0)
    }
}
