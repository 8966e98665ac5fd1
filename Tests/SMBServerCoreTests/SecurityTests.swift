import SMB2Wire
import SMBServerCore
import StateRecords
import Testing

private let alice = SID(5, [21, 1, 2, 3, 1000])
private let bob = SID(5, [21, 1, 2, 3, 1001])

private func allow(_ mask: AccessMask, _ sid: SID) -> ACE { ACE(kind: .accessAllowed, mask: mask, sid: sid) }

/// What the descriptors of files let whom do. [MS-FSA] 2.1.5.1.
@Suite struct SecurityTests {
    private let server = TestServer()

    private func client(_ user: String) throws -> TestClient { try TestClient.ready(self.server, user: user) }

    /// "dir" and "dir\f", both of alice, with these lists.
    private func prepare(directory: [ACE], file: [ACE]) throws {
        let client = try self.client("alice")
        _ = try client.close(try client.open("dir", access: .readAttributes, options: .directoryFile))
        _ = try client.close(try client.open("dir\\f"))
        self.server.files.protect("dir", directory)
        self.server.files.protect("dir\\f", file)
    }

    struct Case: Sendable {
        var user = "bob"
        var directory: [ACE] = [allow(.traverse, .everyone)]
        var file: [ACE]
        var access: AccessMask
        var disposition = CreateDisposition.open
        var options: CreateOptions = []
        var status: NTStatus
    }

    static let read: [ACE] = [allow(.fileGenericRead, .everyone)]
    static let cases: [Case] = [
        Case(file: Self.read, access: .readData, status: .success),
        Case(file: Self.read, access: .genericRead, status: .success),
        Case(file: Self.read, access: .writeData, status: .accessDenied),
        Case(file: Self.read, access: [.readData, .writeData], status: .accessDenied),
        Case(file: Self.read, access: .writeDAC, status: .accessDenied),
        Case(user: "alice", file: Self.read, access: .writeDAC, status: .success),
        Case(user: "alice", file: Self.read, access: .writeOwner, status: .accessDenied),
        Case(user: "root", file: Self.read, access: .writeOwner, status: .success),
        Case(file: [], access: .maximumAllowed, status: .success),
        Case(file: [], access: [.maximumAllowed, .readData], status: .accessDenied),
        // What the file does not grant and its directory does.
        Case(file: Self.read, access: .delete, status: .accessDenied),
        Case(directory: [allow(.deleteChild, bob)], file: Self.read, access: .delete, status: .success),
        Case(directory: [allow(.deleteChild, alice)], file: Self.read, access: .delete, status: .accessDenied),
        Case(file: [], access: .readAttributes, status: .accessDenied),
        Case(directory: [allow(.listDirectory, bob)], file: [], access: .readAttributes, status: .success),
        Case(
            file: [allow(.fileGenericRead, bob)], access: [.readData, .delete], options: .deleteOnClose,
            status: .accessDenied),
        // What overwriting takes, whatever was asked for.
        Case(file: Self.read, access: .readData, disposition: .overwrite, status: .accessDenied),
        Case(
            file: [allow(.fileGenericRead.union(.fileGenericWrite), bob)], access: .readData, disposition: .overwrite,
            status: .success),
        Case(
            file: [allow(.fileGenericRead.union(.fileGenericWrite), bob)], access: .readData, disposition: .supersede,
            status: .accessDenied),
        // Audit lists.
        Case(file: Self.read, access: [.accessSystemSecurity, .readData], status: .privilegeNotHeld),
        Case(user: "root", file: Self.read, access: [.accessSystemSecurity, .readData], status: .success),
        // Backup and restore.
        Case(user: "root", file: [], access: .readData, status: .accessDenied),
        Case(user: "root", file: [], access: .readData, options: .openForBackupIntent, status: .success),
        Case(user: "root", file: [], access: [.writeData, .delete], options: .openForBackupIntent, status: .success),
        Case(file: [], access: .readData, options: .openForBackupIntent, status: .accessDenied),
    ]

    @Test(arguments: Self.cases)
    func whoMayOpen(_ test: Case) throws {
        try self.prepare(directory: test.directory, file: test.file)
        let reply = try self.client(test.user).create(
            "dir\\f", access: test.access, disposition: test.disposition, options: test.options)
        #expect(reply.status == test.status)
    }

    static let creations: [(ACE, CreateOptions, NTStatus)] = [
        (allow(.addFile, bob), [], .success),
        (allow(.addFile, bob), .directoryFile, .accessDenied),
        (allow(.addSubdirectory, bob), .directoryFile, .success),
        (allow(.addSubdirectory, bob), [], .accessDenied),
        (allow(.fileGenericRead, bob), [], .accessDenied),
    ]

    @Test(arguments: Self.creations)
    func whoMayCreate(entry: ACE, options: CreateOptions, status: NTStatus) throws {
        try self.prepare(directory: [entry], file: [])
        let reply = try self.client("bob").create("dir\\new", access: .readData, options: options)
        #expect(reply.status == status)
        #expect(self.server.files.names.contains("dir\\new") == (status == .success))
    }

    /// Who made a file has what it asked for, and owns it; the others have what was inherited.
    @Test func aNewFileIsItsCreators() throws {
        try self.prepare(directory: [allow(.fileAll, bob)], file: [])
        let reply = try self.client("bob").create("dir\\new", access: .fileAll)
        #expect(reply.status == .success)
        let made = try self.server.files.contents.withLock { try #require($0.nodes["dir\\new"]).security }
        #expect(made.owner == bob)
        #expect(made.dacl?.entries == [allow(.fileAll, bob), allow(.fileAll, .localSystem)])
        #expect(try self.client("alice").create("dir\\new", access: .readData).status == .accessDenied)
    }

    /// [MS-SMB2] 2.2.14.2.5: with what the directory adds, and without what the share takes away.
    @Test func maximalAccessIsTold() throws {
        try self.prepare(directory: [allow(.deleteChild, .everyone)], file: Self.read)
        var contexts = CreateContexts()
        contexts.maximalAccess = .zero
        let reply = try self.client("bob").create(
            "dir\\f", access: .readData, disposition: .open, contexts: contexts)
        #expect(reply.create?.contexts.maximalAccess?.access == AccessMask.fileGenericRead.union(.delete))
    }

    private func rename(_ client: TestClient, _ file: FileID, to name: String, replaces: Bool = false) throws
        -> NTStatus?
    {
        try client.send(
            client.message(.setInfo) {
                var data = WireWriter()
                RenameInformation(replaceIfExists: replaces).encode(into: &data, name: name)
                SetInfoRequest(
                    infoType: .file, informationClass: FileInformationClass.rename.rawValue, fileID: file
                ).encode(into: &$0, buffer: data.span)
            }
        ).status
    }

    /// [MS-FSA] 2.1.5.15.11.
    @Test func aNewNameTakesRightsToItsDirectory() throws {
        try self.prepare(directory: Self.read, file: Self.read)
        let client = try self.client("bob")
        let file = try client.open("mine", access: [.readData, .delete])
        #expect(try self.rename(client, file, to: "dir\\g") == .accessDenied)
        self.server.files.protect("dir", [allow(.addFile, bob)])
        // What has the name is deleted.
        #expect(try self.rename(client, file, to: "dir\\f", replaces: true) == .accessDenied)
        #expect(try self.rename(client, file, to: "dir\\g") == .success)
    }

    /// An administrator whose rights were taken away has none the next time he comes.
    @Test func aSessionsRightsAreItsUsers() throws {
        try self.prepare(directory: [], file: [])
        var configuration = TestServer.configuration
        configuration.users[2].isAdministrator = false
        let before = try self.client("root")
        self.server.state.configure(
            configuration, shares: [Share(record: ShareRecord(name: "test", path: "/"), fileSystem: self.server.files)])
        let after = try self.client("root")
        #expect(
            try before.create("dir\\f", access: .readData, disposition: .open, options: .openForBackupIntent).status
                == .success)
        #expect(
            try after.create("dir\\f", access: .readData, disposition: .open, options: .openForBackupIntent).status
                == .accessDenied)
    }

    static let permissions: [([SharePermission], String, NTStatus, AccessMask)] = [
        ([], "bob", .success, .fileAll),
        ([SharePermission(name: "Everyone", level: .read)], "bob", .success, AccessMask(rawValue: 0x0012_00A9)),
        ([SharePermission(name: "ALICE", level: .full)], "bob", .accessDenied, []),
        ([SharePermission(name: "alice", level: .full)], "alice", .success, .fileAll),
        (
            [SharePermission(name: "users", level: .read), SharePermission(name: "bob", level: .change)], "bob",
            .success, AccessMask(rawValue: 0x0013_01BF)
        ),
        (
            [SharePermission(name: "Everyone", level: .full), SharePermission(name: "bob", level: .none)], "bob",
            .accessDenied, []
        ),
        (
            [SharePermission(name: "administrators", level: .change)], "root", .success,
            AccessMask(rawValue: 0x0013_01BF)
        ),
        ([SharePermission(name: "administrators", level: .change)], "bob", .accessDenied, []),
        ([SharePermission(name: "nobody", level: .full)], "bob", .accessDenied, []),
    ]

    @Test(arguments: Self.permissions)
    func whoMayConnect(
        permissions: [SharePermission], user: String, status: NTStatus, access: AccessMask
    ) throws {
        self.server.state.configure(
            TestServer.configuration,
            shares: [
                Share(
                    record: ShareRecord(name: "test", path: "/", permissions: permissions, isAccessBased: true),
                    fileSystem: self.server.files)
            ])
        let client = try TestClient(self.server)
        try client.negotiate()
        try client.logOn(user)
        let reply = try client.connect()
        #expect(reply.status == status)
        guard status == .success else { return }
        let connected = try TreeConnectResponse(parsing: reply.bytes.span.bytes)
        #expect(connected.maximalAccess == access)
        #expect(connected.shareFlags.contains(.accessBasedEnumeration))
        let writes = try client.create("f", access: .writeDAC)
        #expect((writes.status == .success) == access.contains(.writeDAC))
    }
}
