import SMB2Wire
@testable import SMBServerCore
import Testing

/// Names that are given and taken away: rename and delete.
@Suite struct NamingTests {
    /// smbd and ksmbd take a slash for a separator, and Samba's tests name files by it.
    @Test func slashesSeparateNames() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        #expect(try client.create("a", options: .directoryFile).status == .success)
        #expect(try client.create("a/b").status == .success)
        #expect(server.files.names.contains("a\\b"))
    }

    /// By the names alone, and never out of the share.
    @Test func upwards() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        for (name, meant) in [
            ("a\\b\\..\\c", "a\\c"), ("x\\..\\y", "y"), ("..z", "..z"), ("w..", "w.."), ("q\\...", "q\\..."),
        ] {
            #expect(try client.create(name).status == .success)
            #expect(server.files.names.contains(meant), "\(name)")
        }
        for name in ["..", "..\\a", "a\\..\\..", "a\\..\\..\\a"] {
            #expect(try client.create(name).status == .objectPathSyntaxBad, "\(name)")
        }
    }

    private func rename(_ client: TestClient, _ file: FileID, to name: String) throws -> NTStatus? {
        let reply = try client.send(
            client.message(.setInfo) {
                var data = WireWriter()
                RenameInformation(replaceIfExists: false).encode(into: &data, name: name)
                SetInfoRequest(
                    infoType: .file, informationClass: FileInformationClass.rename.rawValue, fileID: file
                ).encode(into: &$0, buffer: data.span)
            })
        return reply.status
    }

    static let directories: [(AccessMask, ShareAccess, NTStatus)] = [
        (.readData, .all, .success),
        (.readData, [.read, .delete], .sharingViolation),
        ([.readData, .delete], .all, .sharingViolation),
        ([.readData, .delete], [], .sharingViolation),
        (.readAttributes, [], .success),
    ]

    /// [MS-FSA] 2.1.5.15.11: the new name's directory is opened to add an entry, and shared for reading and writing only.
    @Test(arguments: Self.directories)
    func aDirectoryThatIsOpenForDeletionGetsNoNewNames(
        access: AccessMask, share: ShareAccess, status: NTStatus
    ) throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        _ = try client.close(try client.open("dir", access: .readAttributes, options: .directoryFile))
        _ = try client.open("dir", access: access, share: share, options: .directoryFile)
        let file = try client.open("a", access: [.readData, .delete])
        #expect(try self.rename(client, file, to: "dir\\b") == status)
        #expect(server.files.names == (status == .success ? ["dir", "dir\\b"] : ["a", "dir"]))
    }

    /// What a client saw deleted must not come back with a failover: the answer waits for the directory.
    @Test(arguments: [("ca", true), ("test", false)])
    func aDeletionIsStableBeforeItsAnswer(share: String, waits: Bool) throws {
        let server = TestServer()
        let client = try TestClient.ready(server, share: share)
        let file = try client.open("a", access: .delete, options: .deleteOnClose)
        let reply = try client.send(client.message(.close) { CloseRequest(fileID: file).encode(into: &$0) })
        #expect(reply.status == .success)
        #expect(server.files.names == [])
        var isSynced = false
        if case .sync(_, includingName: true) = try #require(reply.reply).work { isSynced = true }
        #expect(isSynced == waits)
    }

    @Test func aCloseThatDeletesNothingWaitsForNothing() throws {
        let server = TestServer()
        let client = try TestClient.ready(server, share: "ca")
        let file = try client.open("a")
        let reply = try client.send(client.message(.close) { CloseRequest(fileID: file).encode(into: &$0) })
        if case .none = try #require(reply.reply).work {} else { Issue.record("waits for a disk") }
    }
}
