import SMB2Wire
import SMBAuth
import StateRecords
import Testing

@testable import SMBClient
@testable import SMBServer

#if canImport(Glibc)
    import Glibc
#endif

/// The security settings over TCP, with real keys.
@Suite struct SecuritySettingsTests {
    private func server(_ settings: String...) throws -> RunningServer {
        try RunningServer { configuration in
            for setting in settings {
                do { try configuration.security.set(setting) } catch { Issue.record(error) }
            }
        }
    }

    private func configuration(_ server: RunningServer) throws -> ClientConfiguration {
        try ClientConfiguration(
            host: "127.0.0.1", port: server.standalone.port, credentials: .init(user: "alice", password: "secret"))
    }

    @Test(arguments: [Dialect.smb30, .smb311]) func everythingIsEncryptedThoughTheClientDidNotAskForIt(
        dialect: Dialect
    ) throws {
        let server = try self.server("encryption=required", "ciphers=aes-256-gcm,aes-128-ccm")
        var configuration = try self.configuration(server)
        configuration.dialects = [dialect]
        let connection = try SMBConnection.open(configuration, share: "test")
        #expect(connection.isEncrypting)
        #expect(connection.cipher == (dialect == .smb311 ? .aes256GCM : .aes128CCM))
        let file = try connection.create(
            OpenParameters("a", access: [.readData, .writeData], disposition: .openIf)
        ).fileID
        try connection.write(file, at: 0, [1, 2, 3])
        #expect(try connection.read(file, at: 0, count: 3) == [1, 2, 3])
        connection.isEncrypting = false
        #expect(throws: ClientError.self) { try connection.read(file, at: 0, count: 3) }
    }

    @Test func whoCannotEncryptIsRefused() throws {
        let server = try self.server("encryption=required")
        var old = try self.configuration(server)
        old.dialects = [.smb21]
        #expect(throws: ClientError.self) { try SMBConnection.open(old) }
        var plain = try self.configuration(server)
        plain.ciphers = []
        #expect(throws: ClientError.self) { try SMBConnection.open(plain) }
    }

    /// The session's keys stay: what was sealed before and after is opened with the same.
    @Test(arguments: [false, true]) func aSessionGoesOnWhenItHasAuthenticatedAnew(encrypts: Bool) throws {
        let server = try self.server("session-lifetime=1")
        var configuration = try self.configuration(server)
        configuration.encrypts = encrypts
        let connection = try SMBConnection.open(configuration, share: "test")
        let file = try connection.create(
            OpenParameters("a", access: [.readData, .writeData], disposition: .openIf)
        ).fileID
        var hasExpired = false
        for _ in 0..<100 where !hasExpired {
            do throws(ClientError) { try connection.write(file, at: 0, [1]) } catch {
                #expect(error.status == .networkSessionExpired)
                hasExpired = true
            }
            usleep(20_000)
        }
        #expect(hasExpired)
        try connection.authenticateAgain()
        try connection.write(file, at: 0, [1])
        try connection.close(file)
    }

    @Test func nobodyInParticularIsLetInWhereThatIsAllowed() throws {
        for (setting, isLetIn) in [("anonymous=off", false), ("anonymous=on", true)] {
            let server = try self.server(setting)
            var configuration = try self.configuration(server)
            configuration.credentials = .anonymous
            let connection = try SMBConnection(configuration)
            try connection.negotiate()
            guard isLetIn else {
                #expect(throws: ClientError.self) { try connection.sessionSetup() }
                continue
            }
            try connection.sessionSetup()
            #expect(connection.sessionFlags == .isNull)
            _ = try connection.treeConnect("IPC$")
            #expect(throws: ClientError.self) { try connection.treeConnect("test") }
        }
    }
}
