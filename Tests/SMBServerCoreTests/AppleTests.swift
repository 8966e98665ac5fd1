import SMB2Wire
import SMBServerCore
import StateRecords
import Testing

@Suite struct AppleTests {
    static func contexts(
        _ query: AppleQuery = [.serverCapabilities, .volumeCapabilities, .model],
        _ capabilities: AppleCapabilities = [.readDirectoryAttributes, .copyFile]
    ) -> CreateContexts {
        var contexts = CreateContexts()
        contexts.apple = .serverQuery(query, clientCapabilities: capabilities)
        return contexts
    }

    private func copy(_ client: TestClient, from source: FileID, to target: FileID) throws -> NTStatus? {
        var input = WireWriter()
        CopyChunkRequest(sourceKey: ResumeKey(source.persistent, source.volatile, 0), chunks: []).encode(into: &input)
        let bytes = input.bytes
        let request = IoctlRequest(code: .srvCopyChunkWrite, fileID: target, maximumOutputResponse: 12)
        return try client.send(client.message(.ioctl) { request.encode(into: &$0, input: bytes.span.bytes) }).status
    }

    @Test func theServerSaysWhatItCan() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        let answer = try #require(try client.create("a", contexts: Self.contexts()).create?.contexts.apple)
        #expect(answer.serverCapabilities == [.readDirectoryAttributes, .copyFile, .unixBased])
        #expect(answer.volumeCapabilities == [], "not case-sensitive; Time Machine only where the share says so")
        #expect(answer.model == "RackMac")
        var onDisk = CreateContexts()
        onDisk.queryOnDiskID = true
        #expect(try client.create("a", contexts: onDisk).create?.contexts.onDiskID?.fileID == 0)
        let part = try #require(try client.create("a", contexts: Self.contexts(.model)).create?.contexts.apple)
        #expect(part.serverCapabilities == nil)
        #expect(part.volumeCapabilities == nil)
        let backups = try TestClient.ready(server, share: "backups")
        #expect(
            try backups.create("a", contexts: Self.contexts()).create?.contexts.apple?.volumeCapabilities == .fullSync)
    }

    /// Without the context nobody is answered with it, and an unknown command is no reason to refuse an open.
    @Test func othersAreNotTroubled() throws {
        let client = try TestClient.ready(TestServer())
        #expect(try client.create("a").create?.contexts.apple == nil)
        var contexts = CreateContexts()
        contexts.apple = .unknown(7)
        let reply = try client.create("a", contexts: contexts)
        #expect(reply.status == .success)
        #expect(reply.create?.contexts.apple == nil)
    }

    /// This file system has no sizes to change: what is refused is looked at here, what is copied in FileStoreTests.
    @Test func aCopyWithoutChunksIsTheWholeFile() throws {
        let client = try TestClient.ready(TestServer())
        let source = try client.open("a", contexts: Self.contexts())
        let target = try client.open("b")
        #expect(try self.copy(client, from: source, to: target) == .notSupported)
        #expect(try self.copy(client, from: source, to: source) == .invalidDeviceRequest)
        let readOnly = try client.open("b", access: .readData)
        #expect(try self.copy(client, from: source, to: readOnly) == .accessDenied)
    }

    /// A Mac shows by it what its user may do: what others may on the share is nothing to it.
    @Test func aListingSaysWhatTheUserMayDo() throws {
        let server = TestServer()
        let permissions = [SharePermission(name: "alice", level: .full), SharePermission(name: "bob", level: .read)]
        server.state.configure(
            TestServer.configuration,
            shares: [
                Share(
                    record: ShareRecord(name: "test", path: "/", permissions: permissions), fileSystem: server.files)
            ])
        for (user, rights) in [("alice", AccessMask.fileAll), ("bob", AccessMask(rawValue: 0x0012_00A9))] {
            let client = try TestClient.ready(server, user: user)
            let root = try #require(
                try client.create(
                    "", access: .listDirectory, disposition: .open, options: .directoryFile,
                    contexts: Self.contexts()
                ).create)
            let query = QueryDirectoryRequest(
                informationClass: .idBothDirectory, fileID: root.fileID, outputBufferLength: 4096)
            let reply = try client.send(client.message(.queryDirectory) { query.encode(into: &$0, pattern: "*") })
            #expect(reply.status == .success)
            let entry = try OutputBufferResponse(parsing: reply.bytes.span.bytes).buffer
            // [MS-FSCC] 2.4.17: where EaSize is to others.
            let told = reply.bytes.span.bytes.extracting(entry).load(UInt32.self, at: 64)
            #expect(AccessMask(rawValue: told) == rights)
        }
    }

    @Test func foldersMoveWithWhatIsOpenBeneath() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        var rename = WireWriter()
        RenameInformation(replaceIfExists: false).encode(into: &rename, name: "e")
        let directory = try client.open("d", access: .delete, options: .directoryFile)
        let inside = try client.open("D\\f")
        #expect(try client.setFile(directory, .rename, rename.bytes).status == .accessDenied, "nobody is a Mac yet")
        _ = try client.open("x", contexts: Self.contexts())
        #expect(try client.setFile(directory, .rename, rename.bytes).status == .success)
        #expect(server.state.opens[inside.volatile]?.path == "e\\f")
    }

    /// [MS-SMB2] 3.3.5.15.6: to everybody else it is a copy of nothing.
    @Test func onlyToAMac() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        // Who did not ask for the server's capabilities was not told.
        let source = try client.open("a", contexts: Self.contexts(.model))
        let target = try client.open("b")
        #expect(try self.copy(client, from: source, to: target) == .success)
        let handle = try #require(server.state.opens[target.volatile]?.handle as? MemoryFileSystem.Handle)
        #expect(handle.posixChanges.withLock { $0 } == [])
    }
}
