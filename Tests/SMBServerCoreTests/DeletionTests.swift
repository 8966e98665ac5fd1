import SMB2Wire
import SMBServerCore
import StateRecords
import Testing

@Suite struct DeletionTests {
    private func name(_ name: String) -> [UInt8] {
        var data = WireWriter(capacity: 64)
        RenameInformation(replaceIfExists: false).encode(into: &data, name: name)
        return data.bytes
    }

    // MARK: Files that wait for the opens of their streams

    /// Whoever closes the stream is the one who sees the file go.
    @Test func aDeletionThatWaitedForAStreamIsToldAndBroughtToTheDisk() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server, share: "ca")
        let bob = try TestClient.ready(server, share: "ca", user: "bob", guid: CachingTests.bobGUID)
        _ = try alice.close(try alice.open("d", access: .listDirectory, options: .directoryFile))
        _ = try alice.close(try alice.open("d\\a"))
        let stream = try bob.open("d\\a:s")
        let directory = try #require(
            try alice.create(
                "d", access: .listDirectory, options: .directoryFile, contexts: CachingTests.lease("RH")
            ).create)
        #expect(directory.contexts.lease?.state == [.readCaching, .handleCaching])
        var contexts = CreateContexts()
        contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 0, flags: DurableRequestV2.persistentFlag, createGUID: GUID(low: 1, high: 9))
        let file = try bob.open("d\\a", access: .delete, options: .deleteOnClose, contexts: contexts)
        #expect(try bob.close(file) == .success)
        #expect(server.files.names == ["d", "d\\a"])
        #expect(alice.received().isEmpty)
        #expect(server.unsettled.isEmpty)

        let reply = try bob.send(bob.message(.close) { CloseRequest(fileID: stream).encode(into: &$0) })
        #expect(server.files.names == ["d"])
        guard case .leaseBreak(let notice)? = alice.received().first else {
            Issue.record("who lists the directory from memory is not told")
            return
        }
        #expect(notice.newState == [])
        guard case .sync(let handle, includingName: true)? = reply.reply?.work else {
            Issue.record("answered before the deletion is on the disk")
            return
        }
        #expect(handle.fileKey.stream.isEmpty, "the file's, not the stream's")
        #expect(!server.journal.contains(.removeOpen(persistentID: file.persistent)))
        server.state.settleDeletion(try #require(server.unsettled.first))
        server.takeEffects()
        #expect(server.journal.last == .removeOpen(persistentID: file.persistent))
    }

    // MARK: Files that are to go

    /// [MS-FSA] 2.1.5.15.6.
    @Test func aFileThatIsToBeDeletedGetsNoFurtherName() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        let keeping = try client.open("a", access: [.readData, .delete])
        let stream = try client.open("a:s")
        let marking = try client.open("a", access: [.readData, .delete])
        _ = try client.close(try client.open("b"))
        var replacing = WireWriter(capacity: 64)
        RenameInformation(replaceIfExists: true).encode(into: &replacing, name: "b")
        let target = server.files.contents.withLock { $0.nodes["b"]?.number }
        try #require(try client.setFile(marking, .disposition, [1]).status == .success)
        for file in [keeping, marking] {
            #expect(try client.setFile(file, .link, self.name("c")).status == .accessDenied)
            #expect(try client.setFile(file, .link, replacing.bytes).status == .accessDenied)
        }
        #expect(try client.setFile(stream, .link, self.name("c")).status == .invalidParameter)
        #expect(server.files.names == ["a", "b"])
        #expect(server.files.contents.withLock { $0.nodes["b"]?.number } == target)
        #expect(try client.setFile(marking, .disposition, [0]).status == .success)
        #expect(try client.setFile(keeping, .link, self.name("c")).status == .success)
        #expect(server.files.names == ["a", "b", "c"])
    }

    // MARK: Directories that are to go

    /// The directory "d" of which one open has said that it is to be deleted, and another one keeps it.
    private func doomed() throws -> (server: TestServer, client: TestClient, marking: FileID, keeping: FileID) {
        let server = TestServer()
        let client = try TestClient.ready(server, share: "ca")
        let keeping = try client.open("d", access: .listDirectory, options: .directoryFile)
        let marking = try client.open("d", access: [.delete, .readAttributes], options: .directoryFile)
        try #require(try client.setFile(marking, .disposition, [1]).status == .success)
        return (server, client, marking, keeping)
    }

    @Test(arguments: [CreateDisposition.create, .openIf, .overwriteIf, .supersede])
    func nothingIsMadeInADirectoryThatIsToBeDeleted(_ disposition: CreateDisposition) throws {
        let (server, client, marking, keeping) = try self.doomed()
        for path in ["d\\x", "D\\x", "d\\x:s"] {
            #expect(try client.create(path, disposition: disposition).status == .deletePending)
        }
        if disposition == .create || disposition == .openIf {
            #expect(
                try client.create("d\\x", disposition: disposition, options: .directoryFile).status == .deletePending)
        }
        #expect(server.files.names == ["d"])
        #expect(try client.create("d\\x", disposition: .open).status == .objectNameNotFound)
        #expect(try client.create("x", disposition: disposition).status == .success, "elsewhere all is as ever")
        for file in [marking, keeping] { #expect(try client.close(file) == .success) }
        #expect(server.files.names == ["x"], "it goes, as was promised")
    }

    @Test(arguments: [FileInformationClass.rename, .link])
    func nothingComesIntoADirectoryThatIsToBeDeleted(_ level: FileInformationClass) throws {
        let (server, client, _, _) = try self.doomed()
        let file = try client.open("x", access: [.readData, .delete])
        #expect(try client.setFile(file, level, self.name("d\\x")).status == .deletePending)
        #expect(server.files.names == ["d", "x"])
        #expect(try client.setFile(file, level, self.name("y")).status == .success)
    }

    @Test func aDirectoryThatIsToStayAfterAllTakesFilesAgain() throws {
        let (server, client, marking, keeping) = try self.doomed()
        #expect(try client.setFile(marking, .disposition, [0]).status == .success)
        #expect(try client.create("d\\x").status == .success)
        for file in [marking, keeping] { #expect(try client.close(file) == .success) }
        #expect(server.files.names == ["d", "d\\x"])
    }

    /// Also on the node that takes over.
    @Test func theNextNodeMakesNothingInItEither() throws {
        let server = TestServer()
        let client = try TestClient.ready(server, share: "ca")
        var contexts = CreateContexts()
        contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 0, flags: DurableRequestV2.persistentFlag, createGUID: GUID(low: 1, high: 9))
        let directory = try client.open(
            "d", access: [.delete, .readAttributes], options: .directoryFile, contexts: contexts)
        #expect(try client.setFile(directory, .disposition, [1]).status == .success)
        var kept = HandleState()
        for mutation in server.journal { kept.apply(mutation) }
        let next = TestServer(files: server.files)
        _ = next.state.load(kept.orderedOpens)
        let other = try TestClient.ready(next, share: "ca")
        #expect(try other.create("d\\x").status == .deletePending)
        #expect(next.files.names == ["d"])
    }
}
