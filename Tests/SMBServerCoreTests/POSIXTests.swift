import SMB2Wire
import SMBServerCore
import Testing

@Suite struct POSIXTests {
    static func ready(_ server: TestServer, share: String = "test", guid: UInt64 = 1) throws -> TestClient {
        let client = try TestClient(server, guid: GUID(low: guid, high: guid))
        client.wantsPOSIX = true
        let reply = try client.negotiate([.smb311])
        #expect(try NegotiateResponse(parsing: reply.bytes.span.bytes).contexts?.posix == POSIXExtensions.negotiateData)
        try #require(try client.logOn().status == .success)
        try #require(try client.connect(share).status == .success)
        return client
    }

    static var contexts: CreateContexts {
        var contexts = CreateContexts()
        contexts.posix = POSIXCreateRequest(mode: 0o640)
        return contexts
    }

    @Test func namesAreWhatTheyAreSpelled() throws {
        let server = TestServer()
        let client = try Self.ready(server)
        let lower = try #require(try client.create("a", contexts: Self.contexts).create)
        #expect(lower.contexts.posix?.mode == 0o100640)
        #expect(lower.contexts.posix?.owner == .administrators, "nobody's: the client's mount decides")
        let upper = try #require(try client.create("A", contexts: Self.contexts).create)
        #expect(upper.action == .created)
        let colon = try #require(try client.create("x:y", contexts: Self.contexts).create)
        #expect(colon.action == .created)
        #expect(server.files.names == ["A", "a", "x\u{F022}y"])
    }

    /// Where it was not negotiated, or the share does not offer it, the context is one that the server does not know.
    @Test func elsewhereTheContextIsIgnored() throws {
        for (share, dialect) in [("plain", Dialect.smb311), ("test", .smb302)] {
            let client = try TestClient(TestServer())
            client.wantsPOSIX = dialect == .smb311
            try client.negotiate([dialect])
            try client.logOn()
            try client.connect(share)
            let first = try #require(try client.create("a", contexts: Self.contexts).create)
            #expect(first.contexts.posix == nil)
            #expect(try client.create("A", contexts: Self.contexts).create?.action == .opened)
            let query = QueryInfoRequest(
                infoType: .file, informationClass: 100, fileID: first.fileID, outputBufferLength: 4096)
            #expect(
                try client.send(client.message(.queryInfo) { query.encode(into: &$0, input: [UInt8]().span.bytes) })
                    .status == .invalidInfoClass)
        }
    }

    @Test func aNegotiateContextOfAnotherNameIsIgnored() throws {
        let client = try TestClient(TestServer())
        var contexts = NegotiateContexts()
        contexts.preauthIntegrity = PreauthIntegrityCapabilities(hashAlgorithms: [.sha512], salt: [1])
        contexts.posix = [UInt8](repeating: 7, count: 16)
        let request = NegotiateRequest(
            securityMode: .signingEnabled, capabilities: [], clientGUID: client.guid, dialects: [.smb311],
            contexts: contexts)
        let reply = try client.send(client.message(.negotiate) { request.encode(into: &$0) })
        #expect(try NegotiateResponse(parsing: reply.bytes.span.bytes).contexts?.posix == nil)
    }

    @Test func informationOfAFile() throws {
        let client = try Self.ready(TestServer())
        let file = try client.open("a", contexts: Self.contexts)
        let query = QueryInfoRequest(infoType: .file, informationClass: 100, fileID: file, outputBufferLength: 4096)
        let reply = try client.send(client.message(.queryInfo) { query.encode(into: &$0, input: [UInt8]().span.bytes) })
        let body = try OutputBufferResponse(parsing: reply.bytes.span.bytes)
        let information = try POSIXInformation(parsing: reply.bytes.span.bytes.extracting(body.buffer))
        #expect(information.attributes.mode == 0o100640)
        #expect(information.fileID == 100)
    }

    private func set(
        _ client: TestClient, _ file: FileID, _ descriptor: SecurityDescriptor, _ parts: SecurityInformation
    ) throws -> NTStatus? {
        let request = SetInfoRequest(
            infoType: .security, informationClass: 0, fileID: file, additionalInformation: parts.rawValue)
        var writer = WireWriter()
        descriptor.encode(into: &writer)
        let bytes = writer.bytes
        return try client.send(client.message(.setInfo) { request.encode(into: &$0, buffer: bytes.span.bytes) }).status
    }

    /// As the Linux client says chmod and chown.
    @Test func modeAndOwnerComeAsSIDs() throws {
        let server = TestServer()
        let client = try Self.ready(server)
        let file = try client.open(
            "a", access: [.readData, .writeDAC, .writeOwner], contexts: Self.contexts)
        let dacl = ACL(entries: [
            ACE(kind: .accessDenied, mask: [], sid: SID(5, [88, 3, 0o4711])),
            ACE(kind: .accessAllowed, mask: .fileAll, sid: .authenticatedUsers),
        ])
        #expect(try self.set(client, file, SecurityDescriptor(owner: nil, group: nil, dacl: dacl), .dacl) == .success)
        let owner = SecurityDescriptor(owner: SID(5, [88, 1, 1000]), group: .unixGroup(100), dacl: nil)
        #expect(try self.set(client, file, owner, [.owner, .group]) == .success)
        let handle = try #require(server.state.opens[file.volatile]?.handle as? MemoryFileSystem.Handle)
        #expect(handle.posixChanges.withLock { $0 } == ["mode 4711", "owner 1000 100"])
        // What means anything else is a security descriptor as any other: this file system keeps none.
        let other = SecurityDescriptor(owner: .administrators, group: nil, dacl: nil)
        #expect(
            try self.set(client, file, other, .owner) == .invalidOwner,
            "no more than anybody else may it give a file away")
    }

    /// The Linux client with `idsfromsid` says whose a new file is, and a mode that says "none" (07777): the context's counts.
    @Test func aNewFileIsItsMakers() throws {
        let server = TestServer()
        let client = try Self.ready(server)
        let dacl = ACL(entries: [ACE(kind: .accessDenied, mask: [], sid: SID(5, [88, 3, 0o7777]))])
        let descriptor = SecurityDescriptor(owner: SID(5, [88, 1, 7]), group: SID(5, [88, 2, 8]), dacl: dacl)
        let request = CreateRequest(
            desiredAccess: [.readData], shareAccess: .all, disposition: .create, contexts: Self.contexts)
        let bytes = written { descriptor.encode(into: &$0) }
        let reply = try client.send(
            client.message(.create) { request.encode(into: &$0, name: "a", securityDescriptor: bytes) })
        let file = try #require(reply.create)
        let handle = try #require(server.state.opens[file.fileID.volatile]?.handle as? MemoryFileSystem.Handle)
        #expect(handle.posixChanges.withLock { $0 } == ["owner 7 8"])
        #expect(file.contexts.posix?.mode == 0o100640)
    }

    private func written(_ body: (inout WireWriter) -> Void) -> [UInt8] {
        var writer = WireWriter()
        body(&writer)
        return writer.bytes
    }

    /// Without the POSIX context the same SIDs are kept as they come (`modefromsid`).
    @Test func anOrdinaryOpenStoresThem() throws {
        let client = try Self.ready(TestServer())
        let file = try client.open("a", access: [.readData, .writeDAC])
        let dacl = ACL(entries: [ACE(kind: .accessDenied, mask: [], sid: SID(5, [88, 3, 0o4711]))])
        #expect(
            try self.set(client, file, SecurityDescriptor(owner: nil, group: nil, dacl: dacl), .dacl) == .notSupported)
    }

    @Test func anOpenFileIsDeletedAtOnce() throws {
        let server = TestServer()
        let client = try Self.ready(server)
        let kept = try client.open("a", contexts: Self.contexts)
        let doomed = try client.open(
            "a", access: .delete, options: .deleteOnClose, contexts: Self.contexts)
        #expect(try client.close(doomed) == .success)
        #expect(server.files.names == [])
        #expect(try client.create("a", contexts: Self.contexts).create?.action == .created)
        #expect(try client.write(kept).status == .success)
        #expect(try client.close(kept) == .success)
        #expect(server.files.names == ["a"], "the new file of that name is another one")
    }

    /// Windows' rule protects those who did not ask for POSIX's.
    @Test func notWhileAnOrdinaryOpenHasIt() throws {
        let server = TestServer()
        let client = try Self.ready(server)
        let windows = try TestClient.ready(server, guid: GUID(low: 2, high: 2))
        _ = try client.open("a", contexts: Self.contexts)
        let kept = try windows.open("a")
        let doomed = try client.open(
            "a", access: .delete, options: .deleteOnClose, contexts: Self.contexts)
        #expect(try client.close(doomed) == .success)
        #expect(server.files.names == ["a"])
        #expect(try windows.close(kept) == .success)
        #expect(try windows.create("a").status == .deletePending)
    }

    private func rename(_ client: TestClient, _ file: FileID, _ name: String) throws -> NTStatus? {
        var writer = WireWriter()
        RenameInformation(replaceIfExists: true).encode(into: &writer, name: name)
        return try client.setFile(file, .rename, writer.bytes).status
    }

    @Test func whatIsOpenIsReplaced() throws {
        let server = TestServer()
        let client = try Self.ready(server)
        let kept = try client.open("old", contexts: Self.contexts)
        let new = try client.open("new", access: [.delete, .writeData], contexts: Self.contexts)
        #expect(try self.rename(client, new, "old") == .success)
        #expect(try client.write(kept).status == .success)
        // An ordinary open still may not.
        let ordinary = try client.open("third", access: [.delete])
        #expect(try self.rename(client, ordinary, "old") == .accessDenied)
    }

    @Test func aDirectoryMovesWithWhatIsOpenBeneath() throws {
        let server = TestServer()
        let client = try Self.ready(server)
        let directory = try client.open("d", access: .delete, options: .directoryFile, contexts: Self.contexts)
        let inside = try client.open("d/f", contexts: Self.contexts)
        #expect(try self.rename(client, directory, "e:") == .success)
        #expect(server.state.opens[inside.volatile]?.path == "e\u{F022}\\f")
    }

    @Test func aPersistentHandleStaysProtected() throws {
        let server = TestServer()
        let client = try Self.ready(server, share: "ca")
        var persistent = Self.contexts
        persistent.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 0, flags: DurableRequestV2.persistentFlag, createGUID: GUID(low: 5, high: 5))
        let kept = try client.open("old", contexts: persistent)
        let new = try client.open("new", access: [.delete, .writeData], contexts: Self.contexts)
        #expect(try self.rename(client, new, "old") == .accessDenied)
        let doomed = try client.open(
            "old", access: .delete, options: .deleteOnClose, contexts: Self.contexts)
        #expect(try client.close(doomed) == .success)
        #expect(server.files.names == ["new", "old"])
        #expect(try client.close(kept) == .success)
        #expect(server.files.names == ["new"])
    }
}
