import SMB2Wire
import StateRecords
import Testing

@testable import SMBServerCore

/// What a share lets whom do, where its files let everybody do everything. [MS-SMB2] 3.3.5.9, 3.3.1.9
/// TreeConnect.MaximalAccess.
@Suite struct ShareAccessTests {
    private let server = TestServer()
    private static let made = ["dir", "dir\\f"]

    /// Bob has `level`, alice and root have all, or as it is said.
    private func configure(bob level: SharePermission.Level, root: SharePermission.Level = .full) {
        let permissions = [
            SharePermission(name: "alice", level: .full), SharePermission(name: "bob", level: level),
            SharePermission(name: "root", level: root),
        ]
        self.server.state.configure(
            TestServer.configuration,
            shares: [
                Share(
                    record: ShareRecord(name: "test", path: "/", permissions: permissions),
                    fileSystem: self.server.files)
            ])
    }

    /// "dir" and "dir\f".
    private func prepare() throws {
        let alice = try TestClient.ready(self.server)
        _ = try alice.close(try alice.open("dir", access: .readAttributes, options: .directoryFile))
        _ = try alice.close(try alice.open("dir\\f"))
        let everything = [
            ACE(kind: .accessAllowed, flags: [.objectInherit, .containerInherit], mask: .fileAll, sid: .everyone)
        ]
        for path in Self.made { self.server.files.protect(path, everything) }
        try #require(self.server.files.names == Self.made)
    }

    struct Case: Sendable {
        var path: String
        var access: AccessMask = .readAttributes
        var disposition: CreateDisposition
        var options: CreateOptions = []
        /// Under a share that lets bob read, and under one that lets him change.
        var read: NTStatus
        var change: NTStatus
    }

    static let cases: [Case] = [
        // What is there.
        Case(path: "dir\\f", disposition: .open, read: .success, change: .success),
        Case(path: "dir\\f", disposition: .openIf, read: .success, change: .success),
        Case(path: "dir\\f", access: .genericRead, disposition: .open, read: .success, change: .success),
        Case(path: "dir\\f", disposition: .overwrite, read: .accessDenied, change: .success),
        Case(path: "dir\\f", disposition: .overwriteIf, read: .accessDenied, change: .success),
        Case(path: "dir\\f", disposition: .supersede, read: .accessDenied, change: .success),
        Case(
            path: "dir\\f", access: .maximumAllowed, disposition: .overwrite, read: .accessDenied, change: .success),
        Case(path: "dir\\f", access: .maximumAllowed, disposition: .open, read: .success, change: .success),
        Case(path: "dir\\f", access: .writeData, disposition: .open, read: .accessDenied, change: .success),
        Case(path: "dir\\f", access: .writeDAC, disposition: .open, read: .accessDenied, change: .accessDenied),
        Case(path: "dir\\f", access: .genericAll, disposition: .open, read: .accessDenied, change: .accessDenied),
        Case(path: "dir\\f", disposition: .create, read: .objectNameCollision, change: .objectNameCollision),
        // What is not.
        Case(path: "dir\\new", disposition: .open, read: .objectNameNotFound, change: .objectNameNotFound),
        Case(path: "dir\\new", disposition: .create, read: .accessDenied, change: .success),
        Case(path: "dir\\new", access: .readData, disposition: .openIf, read: .accessDenied, change: .success),
        Case(path: "dir\\new", disposition: .overwriteIf, read: .accessDenied, change: .success),
        Case(path: "dir\\new", disposition: .supersede, read: .accessDenied, change: .success),
        Case(
            path: "dir\\new", disposition: .create, options: .directoryFile, read: .accessDenied, change: .success),
        Case(
            path: "dir\\new", disposition: .openIf, options: .directoryFile, read: .accessDenied, change: .success),
        Case(
            path: "dir\\new", access: .writeDAC, disposition: .create, read: .accessDenied, change: .accessDenied),
        // What goes when it is closed.
        Case(
            path: "dir\\f", access: .maximumAllowed, disposition: .open, options: .deleteOnClose, read: .accessDenied,
            change: .success),
        Case(
            path: "dir\\f", access: .delete, disposition: .open, options: .deleteOnClose, read: .accessDenied,
            change: .success),
        Case(
            path: "dir", access: .maximumAllowed, disposition: .open, options: [.deleteOnClose, .directoryFile],
            read: .accessDenied, change: .success),
        Case(
            path: "dir\\new", access: .maximumAllowed, disposition: .create, options: .deleteOnClose,
            read: .accessDenied, change: .success),
    ]

    /// Whatever is asked for: what an open does to its file or its folder takes rights, too.
    @Test(arguments: Self.cases)
    func whoMayReadAShareChangesNothingOnIt(_ test: Case) throws {
        try self.prepare()
        self.configure(bob: .read)
        let bob = try TestClient.ready(self.server, user: "bob")
        let reply = try bob.create(
            test.path, access: test.access, disposition: test.disposition, options: test.options)
        #expect(reply.status == test.read)
        if let created = reply.create {
            #expect(created.action == .opened)
            #expect(try bob.close(created.fileID) == .success)
        }
        #expect(self.server.files.names == Self.made)
    }

    @Test(arguments: Self.cases)
    func whoMayChangeAShareChangesItsFilesAndNotTheirRights(_ test: Case) throws {
        try self.prepare()
        self.configure(bob: .change)
        let reply = try TestClient.ready(self.server, user: "bob").create(
            test.path, access: test.access, disposition: test.disposition, options: test.options)
        #expect(reply.status == test.change)
    }

    /// MAXIMUM_ALLOWED is what file and share let one do: whoever set a list through it would take what he was not
    /// given.
    @Test func theMostThatAShareOfChangeGrantsIsNoRightToTheList() throws {
        try self.prepare()
        self.configure(bob: .change)
        let bob = try TestClient.ready(self.server, user: "bob")
        for path in ["dir\\f", "dir\\new"] {
            let file = try bob.open(path, access: .maximumAllowed)
            #expect(try self.set(.dacl, of: file, bob) == .accessDenied)
            // Memory keeps none, and is asked.
            let alice = try TestClient.ready(self.server)
            #expect(try self.set(.dacl, of: try alice.open(path, access: .writeDAC), alice) == .notSupported)
        }
    }

    private func set(_ part: SecurityInformation, of file: FileID, _ client: TestClient) throws -> NTStatus? {
        let list = ACL(entries: [])
        var writer = WireWriter()
        SecurityDescriptor(
            owner: nil, group: nil, sacl: part == .sacl ? list : nil, dacl: part == .dacl ? list : nil
        ).encode(into: &writer)
        let request = SetInfoRequest(
            infoType: .security, informationClass: 0, fileID: file, additionalInformation: part.rawValue)
        return try client.send(client.message(.setInfo) { request.encode(into: &$0, buffer: writer.span) }).status
    }

    /// A privilege opens an audit list, of which a share's rights say nothing; changing one is a change all the same.
    @Test func anAuditListIsNotChangedThroughAShareThatMayOnlyBeRead() throws {
        try self.prepare()
        for (level, status) in [
            (SharePermission.Level.read, NTStatus.accessDenied), (.change, .accessDenied), (.full, .notSupported),
        ] {
            self.configure(bob: .full, root: level)
            let root = try TestClient.ready(self.server, user: "root")
            let file = try root.open("dir\\f", access: [.accessSystemSecurity, .readData])
            #expect(try self.set(.sacl, of: file, root) == status)
        }
    }

    private func request(_ share: AccessMask, deletesOnClose: Bool = false) -> AccessRequest {
        AccessRequest(
            token: SecurityToken(user: SID(5, [21, 1, 2, 3, 1001]), domain: (1, 2, 3), isAdministrator: false),
            desired: .readAttributes, share: share, isForBackup: false, deletesOnClose: deletesOnClose)
    }

    /// Among them a new stream of a file that is there.
    @Test(arguments: CreateAction.allCases, [false, true])
    func whatAnActionTakesIsTheSharesToGive(action: CreateAction, isDirectory: Bool) throws {
        let found = AccessRequest.Found(
            security: SecurityDescriptor(owner: nil, group: nil, dacl: nil), isDirectory: isDirectory,
            isReadOnly: false, action: action)
        let read = AccessMask.fileGenericRead.union(.fileGenericExecute)
        func admit(_ share: AccessMask, deletesOnClose: Bool = false) throws {
            _ = try self.request(share, deletesOnClose: deletesOnClose).admit(found) { () throws(SMBError) in nil }
        }
        try admit(.fileAll)
        if action == .opened {
            try admit(read)
        } else {
            #expect(throws: SMBError(.accessDenied)) { try admit(read) }
        }
        #expect(throws: SMBError(.accessDenied)) {
            try admit(AccessMask.fileAll.subtracting(.delete), deletesOnClose: true)
        }
    }
}
