import SMB2Wire
import SMBAuth
import StateRecords
import Testing

@testable import SMBClient
@testable import SMBServer

#if canImport(Glibc)
    import Glibc
#endif

/// Two connections of one session, over TCP, each on a loop of its own, with keys and files.
@Suite struct ChannelTests {
    struct Protection: Sendable, CustomTestStringConvertible {
        var dialect: Dialect
        var signing: SMB2Wire.SigningAlgorithm
        var cipher: Cipher?

        var testDescription: String { "\(self.dialect) \(self.signing) \(String(describing: self.cipher))" }
    }

    @Test(arguments: [
        Protection(dialect: .smb302, signing: .aesCMAC),
        Protection(dialect: .smb302, signing: .aesCMAC, cipher: .aes128CCM),
        Protection(dialect: .smb311, signing: .hmacSHA256), Protection(dialect: .smb311, signing: .aesCMAC),
        Protection(dialect: .smb311, signing: .aesGMAC),
        Protection(dialect: .smb311, signing: .aesGMAC, cipher: .aes128GCM),
        Protection(dialect: .smb311, signing: .aesGMAC, cipher: .aes256CCM),
    ])
    func aSessionGoesOnOverTheChannelThatIsLeft(_ protection: Protection) throws {
        let server = try TemporaryServer()
        defer { server.stop() }
        var configuration = try server.configuration()
        configuration.dialects = [protection.dialect]
        configuration.signingAlgorithms = [protection.signing]
        configuration.ciphers = [protection.cipher ?? .aes128GCM]
        configuration.encrypts = protection.cipher != nil
        configuration.capabilities.insert(.multiChannel)
        let first = try SMBConnection.open(configuration, share: "test")
        #expect(first.capabilities.contains(.multiChannel))
        let second = try SMBConnection(configuration)
        try second.negotiate()
        try second.bind(to: first)
        #expect(second.isEncrypting == (protection.cipher != nil))

        let parameters = OpenParameters("a", access: [.readData, .writeData], disposition: .openIf, oplock: .batch)
        let file = try first.create(parameters).fileID
        try first.write(file, at: 0, [1, 2, 3])
        #expect(try second.read(file, at: 0, count: 3) == [1, 2, 3])
        try second.write(file, at: 3, [4])
        #expect(try first.read(file, at: 0, count: 4) == [1, 2, 3, 4])

        first.stream.abort()
        #expect(try second.read(file, at: 0, count: 4) == [1, 2, 3, 4])
        // Another client wants the file: the session hears of it where it still can.
        let other = try SMBConnection.open(try server.configuration(), share: "test")
        let create = CreateRequest(desiredAccess: [.readData], shareAccess: .all, disposition: .open)
        let waiting = try other.post(.create) { create.encode(into: &$0, name: "a") }
        try other.waitUntilPending(waiting)
        let notice = try second.nextNotification()
        #expect(try OplockBreak(parsing: notice.span) == OplockBreak(level: .levelII, fileID: file))
        let acknowledgement = try second.post(.oplockBreak) {
            OplockBreak(level: .levelII, fileID: file).encode(into: &$0)
        }
        _ = try second.gather(acknowledgement, .oplockBreak)
        _ = try other.gather(waiting, .create)
        try second.close(file)
        try second.logoff()
    }

    /// One session over two connections.
    private static func channels(to server: TemporaryServer) throws -> (SMBConnection, SMBConnection) {
        var configuration = try server.configuration()
        configuration.capabilities.insert(.multiChannel)
        let first = try SMBConnection.open(configuration, share: "test")
        let second = try SMBConnection(configuration)
        try second.negotiate()
        try second.bind(to: first)
        return (first, second)
    }

    /// [MS-SMB2] 3.2.7.1, 3.3.5.9.10: the CREATE is sent again over the channel that is left, until it is done.
    @Test func aCreateThatWaitsIsFoundOverAnotherChannel() throws {
        let server = try TemporaryServer()
        defer { server.stop() }
        let (first, second) = try Self.channels(to: server)
        let holder = try SMBConnection.open(try server.configuration(), share: "test")
        let held = try holder.create(
            OpenParameters("a", access: [.readData, .writeData], disposition: .openIf, oplock: .batch)
        ).fileID
        var contexts = CreateContexts()
        contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 0, flags: 0, createGUID: GUID(low: 1, high: 2))
        let create = CreateRequest(
            desiredAccess: [.readData, .writeData], shareAccess: .all, disposition: .open, oplockLevel: .batch,
            contexts: contexts)
        let waiting = try first.post(.create) { create.encode(into: &$0, name: "a") }
        try first.waitUntilPending(waiting)
        first.stream.abort()
        func repeatIt() throws(ClientError) -> Reply {
            let again = try second.post(.create, .init(isReplay: true)) { create.encode(into: &$0, name: "a") }
            return try second.gather(again, .create)
        }
        do throws(ClientError) {
            _ = try repeatIt()
            Issue.record("it waits for the holder's cache")
        } catch { #expect(error.status == .fileNotAvailable) }
        try holder.close(held)
        let reply = try repeatIt()
        let opened = try CreateResponse(parsing: reply.span)
        #expect(opened.oplockLevel == .batch)
        try second.write(opened.fileID, at: 0, [1, 2, 3])
        try second.close(opened.fileID)
        #expect(server.server.server.status().opens == 0)
    }

    /// Its system acknowledges what arrives, though it takes its time to answer.
    @Test func aSlowClientKeepsItsChannel() throws {
        let server = try TemporaryServer()
        defer { server.stop() }
        let (first, second) = try Self.channels(to: server)
        let file = try first.create(
            OpenParameters("a", access: [.readData, .writeData], disposition: .openIf, oplock: .batch)
        ).fileID
        let other = try SMBConnection.open(try server.configuration(), share: "test")
        let create = CreateRequest(desiredAccess: [.readData], shareAccess: .all, disposition: .open)
        let waiting = try other.post(.create) { create.encode(into: &$0, name: "a") }
        try other.waitUntilPending(waiting)
        usleep(3_000_000)
        let notice = try first.nextNotification()
        #expect(try OplockBreak(parsing: notice.span) == OplockBreak(level: .levelII, fileID: file))
        try first.echo()
        try first.close(file)
        _ = try other.gather(waiting, .create)
        #expect(second.notifications.isEmpty, "it was told once")
    }

    @Test func whoKnowsNoKeyIsNotBound() throws {
        let server = try TemporaryServer()
        defer { server.stop() }
        var configuration = try server.configuration()
        configuration.capabilities.insert(.multiChannel)
        let first = try SMBConnection.open(configuration, share: "test")
        let keys = try #require(first.sessionKeys)
        first.sessionKeys?.signing = keys.application
        let second = try SMBConnection(configuration)
        try second.negotiate()
        #expect(throws: ClientError.self) { try second.bind(to: first) }
        try first.echo()
    }
}

/// A standalone server with one share on a folder that goes with it.
final class TemporaryServer {
    let directory: String
    let server: StandaloneServer

    init(_ change: (inout StandaloneServer.Configuration) -> Void = { _ in }) throws {
        var template = Array("/tmp/holdfast-server-XXXXXX".utf8CString)
        _ = try #require(mkdtemp(&template))
        self.directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        mkdir("\(self.directory)/share", 0o755)
        var configuration = StandaloneServer.Configuration(
            stateDirectory: "\(self.directory)/state", serverName: "CHANNELS")
        configuration.shares = [ShareRecord(name: "test", path: "\(self.directory)/share")]
        configuration.users = [("alice", "secret")]
        configuration.address = "127.0.0.1"
        configuration.port = 0
        configuration.loopCount = 2
        change(&configuration)
        self.server = try StandaloneServer(configuration)
    }

    func configuration() throws -> ClientConfiguration {
        var configuration = try ClientConfiguration(
            host: "127.0.0.1", port: self.server.port, credentials: .init(user: "alice", password: "secret"))
        configuration.requestTimeoutMilliseconds = 10_000
        return configuration
    }

    func stop() {
        self.server.server.stop()
        for name in [
            "share/a", "state/server-guid", "state/journal.db", "state/journal.db-wal", "state/journal.db-shm",
        ] {
            unlink("\(self.directory)/\(name)")
        }
        for name in ["/share", "/state", ""] { rmdir("\(self.directory)\(name)") }
    }
}
