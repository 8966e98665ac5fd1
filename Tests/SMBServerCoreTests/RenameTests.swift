import SMB2Wire
import SMBServerCore
import StateRecords
import Testing

@Suite struct RenameTests {
    private func persistent(_ number: UInt64) -> CreateContexts {
        var contexts = CreateContexts()
        contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 0, flags: DurableRequestV2.persistentFlag, createGUID: GUID(low: number, high: 9))
        return contexts
    }

    private func name(_ name: String) -> [UInt8] {
        var data = WireWriter(capacity: 64)
        RenameInformation(replaceIfExists: false).encode(into: &data, name: name)
        return data.bytes
    }

    /// A file with the names "a" and "b".
    private func linked(_ client: TestClient) throws -> FileID {
        let file = try client.open("a", access: [.readData, .delete])
        try #require(try client.setFile(file, .link, self.name("b")).status == .success)
        return file
    }

    private func path(_ file: FileID, _ server: TestServer) -> String? { server.state.opens[file.volatile]?.path }

    /// The names of a file are each for itself: an open goes with the one that it was opened by.
    @Test func aRenameLeavesTheFilesOtherNames() throws {
        let server = TestServer()
        let client = try TestClient.ready(server, share: "ca")
        let file = try self.linked(client)
        let other = try client.open("b", access: [.readData, .delete], contexts: self.persistent(1))
        let same = try client.open("a", contexts: self.persistent(2))
        server.journal = []
        #expect(try client.setFile(file, .rename, self.name("t")).status == .success)
        #expect(server.files.names == ["b", "t"])
        #expect(self.path(other, server) == "b")
        #expect(self.path(file, server) == "t")
        #expect(self.path(same, server) == "t")
        let records = server.journal.compactMap { if case .putOpen(let record) = $0 { record } else { nil } }
        #expect(records.map(\.persistentID) == [same.persistent])
        #expect(records.map(\.formerPath) == ["a"])

        #expect(try client.setFile(other, .disposition, [1]).status == .success)
        for file in [file, same, other] { #expect(try client.close(file) == .success) }
        #expect(server.files.names == ["t"], "the name that was to be deleted went")
    }

    /// Whatever each of them called it: case, and a share of its own.
    @Test func aRenameMovesAllOpensOfTheName() throws {
        let server = TestServer()
        let client = try TestClient.ready(server)
        let file = try client.open("a", access: [.readData, .delete])
        let loud = try client.open("A")
        let elsewhere = try TestClient.ready(server, share: "ca").open("a", contexts: self.persistent(1))
        #expect(try client.setFile(file, .rename, self.name("t")).status == .success)
        #expect([file, loud, elsewhere].map { self.path($0, server) } == ["t", "t", "t"])
        #expect(server.awaited, "a record says so")
    }

    /// A stream is in its file, wherever that is.
    @Test func aRenameMovesTheOpensOfTheFilesStreams() throws {
        let server = TestServer()
        let client = try TestClient.ready(server, share: "ca")
        let file = try self.linked(client)
        let stream = try client.open("a:s", contexts: self.persistent(1))
        let other = try client.open("b:s", contexts: self.persistent(2))
        #expect(try client.setFile(file, .rename, self.name("t")).status == .success)
        #expect(self.path(stream, server) == "t:s")
        #expect(self.path(other, server) == "b:s")
        #expect(server.awaited)
    }
}
