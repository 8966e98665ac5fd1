import SMB2Wire
import StateRecords
import Testing

@testable import SMBServerCore

private final class NoWatch: DirectoryWatching, DirectoryWatch {
    func watch(
        _ handle: any FileHandle, key: UInt64, filter: ChangeNotifyRequest.Filter, isRecursive: Bool
    ) throws(SMBError) -> any DirectoryWatch { self }
}

/// Each limit that the administrator may choose is reached: one more is refused, with the status that is documented; when
/// one is gone there is room again; and what is used is counted.
@Suite struct LimitTests {
    private let server = TestServer()

    private func limit(_ limit: ServerLimit, to value: Int) throws {
        try self.server.state.configuration.limits.set(limit, to: UInt64(value))
    }

    private func used(_ limit: ServerLimit) -> UInt64 { self.server.state.status().used(limit) }

    private func client() throws -> TestClient {
        let client = try TestClient(self.server)
        try client.negotiate()
        return client
    }

    private func locks(_ range: Range<UInt64>) -> [LockElement] {
        range.map { LockElement(offset: $0, length: 1, flags: [.exclusive, .failImmediately]) }
    }

    @Test func connections() throws {
        try self.limit(.connections, to: 2)
        let first = try self.client()
        _ = try self.client()
        let record = ClientRecord(clientAddress: [1, 2, 3, 4], clientPort: 6, serverAddress: [], serverPort: 445)
        #expect(self.server.state.connected(record) == nil)
        #expect(self.used(.connections) == 2)
        first.disconnect()
        #expect(self.used(.connections) == 1)
        _ = try self.client()
    }

    @Test func sessions() throws {
        try self.limit(.sessions, to: 2)
        let first = try self.client()
        let second = try self.client()
        #expect(try first.logOn().status == .success)
        #expect(try second.logOn().status == .success)
        let third = try self.client()
        #expect(try third.logOn().status == .requestNotAccepted)
        #expect(self.used(.sessions) == 2)
        #expect(try second.send(second.message(.logoff) { LogoffRequest().encode(into: &$0) }).status == .success)
        #expect(try third.logOn().status == .success)
    }

    /// Of all sessions together.
    @Test func treeConnects() throws {
        try self.limit(.treeConnects, to: 3)
        let first = try self.client()
        let second = try self.client()
        for client in [first, second] { #expect(try client.logOn().status == .success) }
        for client in [first, first, second] { #expect(try client.connect().status == .success) }
        #expect(try second.connect().status == .requestNotAccepted)
        #expect(self.used(.treeConnects) == 3)
        let bye = first.message(.treeDisconnect) { TreeDisconnectRequest().encode(into: &$0) }
        #expect(try first.send(bye).status == .success)
        #expect(self.used(.treeConnects) == 2)
        #expect(try second.connect().status == .success)
        // A session takes its own along.
        first.disconnect()
        #expect(self.used(.treeConnects) == 2)
        second.disconnect()
        #expect(self.used(.treeConnects) == 0)
    }

    @Test func opens() throws {
        let client = try TestClient.ready(self.server)
        try self.limit(.opens, to: 2)
        let first = try client.open("a")
        _ = try client.open("b")
        #expect(try client.create("c").status == .tooManyOpenedFiles)
        #expect(self.server.files.names == ["a", "b"], "the file is not made either")
        #expect(self.used(.opens) == 2)
        #expect(try client.close(first) == .success)
        #expect(try client.create("c").status == .success)
        // Pipes are opens.
        try client.connect("IPC$")
        #expect(try client.create("srvsvc", disposition: .open).status == .tooManyOpenedFiles)
    }

    @Test func aLowerLimitEndsNothing() throws {
        let client = try TestClient.ready(self.server)
        let files = try ["a", "b", "c"].map { try client.open($0) }
        try self.limit(.opens, to: 1)
        #expect(try client.write(files[2]).status == .success)
        #expect(try client.create("d").status == .tooManyOpenedFiles)
        for file in files { #expect(try client.close(file) == .success) }
        #expect(try client.create("d").status == .success)
    }

    /// A process that may have few descriptors keeps some for its own work.
    @Test func noMoreIsOpenThanTheProcessHasRoomFor() throws {
        let server = TestServer(capacity: ServerCapacity(opens: 2, connections: 1))
        let client = try TestClient.ready(server)
        _ = try client.open("a")
        _ = try client.open("b")
        #expect(try client.create("c").status == .tooManyOpenedFiles)
        try server.state.configuration.limits.set(.opens, to: 100)
        #expect(try client.create("c").status == .tooManyOpenedFiles, "a higher limit makes no room")
        try server.state.configuration.limits.set(.connections, to: 100)
        let record = ClientRecord(clientAddress: [1, 2, 3, 4], clientPort: 6, serverAddress: [], serverPort: 445)
        #expect(server.state.connected(record) == nil)
        try server.state.configuration.limits.set(.opens, to: 1)
        client.disconnect()
        let next = try TestClient.ready(server)
        _ = try next.open("a")
        #expect(try next.create("c").status == .tooManyOpenedFiles, "a lower limit is in force")
    }

    /// Whoever was promised a handle gets it after a takeover, also where the limit has been lowered since.
    @Test func handlesThatComeBackAreTakenWhateverTheLimit() throws {
        let client = try TestClient.ready(self.server, share: "ca")
        for index in 0..<3 {
            var contexts = CreateContexts()
            contexts.durableRequestV2 = DurableRequestV2(
                timeoutMilliseconds: 0, flags: DurableRequestV2.persistentFlag,
                createGUID: GUID(low: UInt64(index) + 1, high: 9))
            let file = try client.open("file\(index)", contexts: contexts)
            #expect(try client.lock(file, self.locks(0..<2)).status == .success)
        }
        var handles = HandleState()
        for mutation in self.server.journal { handles.apply(mutation) }
        let next = TestServer(files: self.server.files)
        for limit in [ServerLimit.opens, .locks] { try next.state.configuration.limits.set(limit, to: 1) }
        let (reopened, lost) = next.state.load(handles.orderedOpens)
        #expect(reopened == 3 && lost.isEmpty)
        #expect(next.state.status().used(.opens) == 3)
        #expect(next.state.status().used(.locks) == 6)
    }

    @Test func locks() throws {
        let client = try TestClient.ready(self.server)
        try self.limit(.locks, to: 3)
        let first = try client.open("a")
        let second = try client.open("b")
        #expect(try client.lock(first, self.locks(0..<2)).status == .success)
        // All or none: the one that there was room for is given back.
        #expect(try client.lock(second, self.locks(0..<2)).status == .insufficientResources)
        #expect(self.used(.locks) == 2)
        #expect(try client.lock(second, self.locks(0..<1)).status == .success)
        #expect(try client.lock(second, self.locks(1..<2)).status == .insufficientResources)
        #expect(try client.lock(first, [LockElement(offset: 0, length: 1, flags: .unlock)]).status == .success)
        #expect(try client.lock(second, self.locks(1..<2)).status == .success)
        #expect(self.used(.locks) == 3)
        #expect(try client.close(second) == .success)
        #expect(self.used(.locks) == 1)
        client.disconnect()
        #expect(self.used(.locks) == 0)
    }

    private func notify(_ directory: FileID, _ client: TestClient) throws -> TestReply {
        try client.send(
            client.message(.changeNotify) {
                ChangeNotifyRequest(fileID: directory, filter: .fileName, watchesTree: false, outputBufferLength: 1000)
                    .encode(into: &$0)
            })
    }

    @Test func notifies() throws {
        self.server.state.watcher = NoWatch()
        let client = try TestClient.ready(self.server)
        try self.limit(.notifies, to: 2)
        let directory = try client.open("d", access: .readData, options: .directoryFile)
        let first = try self.notify(directory, client)
        #expect(first.status == .pending)
        #expect(try self.notify(directory, client).status == .pending)
        #expect(try self.notify(directory, client).status == .insufficientResources)
        #expect(self.used(.notifies) == 2)
        let id = try #require(first.header).messageID
        let cancel = client.message(.cancel, id: id) { CancelRequest().encode(into: &$0) }
        _ = self.server.exchange(client.connection, [cancel])
        #expect(self.used(.notifies) == 1)
        #expect(try self.notify(directory, client).status == .pending)
        client.disconnect()
        #expect(self.used(.notifies) == 0)
    }

    @Test func requests() throws {
        self.server.state.watcher = NoWatch()
        let client = try TestClient.ready(self.server)
        try self.limit(.requests, to: 2)
        let directory = try client.open("d", access: .readData, options: .directoryFile)
        let (file, other) = (try client.open("a"), try client.open("a"))
        #expect(try client.lock(file, self.locks(0..<1)).status == .success)
        #expect(try self.notify(directory, client).status == .pending)
        let waiting = [LockElement(offset: 0, length: 1, flags: .exclusive)]
        #expect(try client.lock(other, waiting).status == .pending)
        #expect(try client.lock(other, waiting).status == .insufficientResources)
        #expect(self.used(.requests) == 2)
        #expect(try client.close(file) == .success)
        #expect(self.used(.requests) == 1)
    }

    private func configure(shares: [ShareRecord], pipeBytes: Int) throws {
        self.server.state.configure(
            TestServer.configuration, shares: shares.map { Share(record: $0, fileSystem: self.server.files) })
        try self.limit(.pipeBytes, to: pipeBytes)
    }

    /// What nobody reads, of all pipes together, and what is not whole.
    @Test func pipeBytes() throws {
        let limit = 4 << 20
        try self.limit(.pipeBytes, to: limit)
        let client = try TestClient.ready(self.server, share: "IPC$")
        let pipes = try (0..<5).map { _ in
            let pipe = try #require(try client.create("srvsvc", disposition: .open).create).fileID
            #expect(try client.write(pipe, PipeEndpointTests.bind()).status == .success)
            #expect(try client.read(pipe, length: 4096).status == .success)
            return pipe
        }
        let listing = PipeEndpointTests.listing
        #expect(self.used(.pipeBytes) == 0)
        #expect(try client.write(pipes[0], Array(listing[..<20])).status == .success)
        #expect(self.used(.pipeBytes) == 20)
        #expect(try client.write(pipes[0], Array(listing[20...])).status == .success)
        #expect(try client.read(pipes[0], length: 100).status == .bufferOverflow)
        #expect(self.used(.pipeBytes) > 0)
        #expect(try client.read(pipes[0], length: 4096).status == .success)
        #expect(self.used(.pipeBytes) == 0)

        // Listings of half a megabyte: the eighth is too much.
        let comment = String(repeating: "c", count: 250)
        let many = (1000..<2000).map { ShareRecord(name: "share\($0)", path: "/", comment: comment) }
        try self.configure(shares: many, pipeBytes: limit)
        #expect(try client.write(pipes[0], listing).status == .success)
        let one = self.used(.pipeBytes)
        #expect(7 * one < limit && 8 * one > limit)
        for index in 1..<7 { #expect(try client.write(pipes[index / 2], listing).status == .success) }
        #expect(try client.write(pipes[3], listing).status == .insufficientResources)
        #expect(self.used(.pipeBytes) == 7 * one)

        // Smaller ones, until there is no room for any. Whoever reads at once what he asks for goes on.
        for shares in [Array(many[..<20]), []] {
            try self.configure(shares: shares, pipeBytes: limit)
            var status: NTStatus? = .success
            for _ in 0..<200 where status == .success { status = try client.write(pipes[3], listing).status }
            #expect(status == .insufficientResources)
        }
        let full = self.used(.pipeBytes)
        #expect(full <= UInt64(limit))
        // And whoever keeps little.
        #expect(try client.write(pipes[4], listing).status == .success)
        #expect(self.used(.pipeBytes) > full)
        #expect(try client.read(pipes[4], length: 4096).status == .success)
        #expect(try client.write(pipes[3], listing).status == .insufficientResources)
        #expect(try client.control(pipes[4], .pipeTransceive, listing).status == .success)
        #expect(try client.read(pipes[4], length: 4096).status == .pending)
        #expect(try client.write(pipes[4], listing).status == .success)
        #expect(self.used(.pipeBytes) == full)
        // There is room again behind who reads, who closes, who goes.
        #expect(try client.read(pipes[0], length: 4096).status == .bufferOverflow)
        #expect(self.used(.pipeBytes) == full - 4096)
        #expect(try client.write(pipes[4], listing).status == .success)
        #expect(try client.close(pipes[1]) == .success)
        #expect(self.used(.pipeBytes) < full - 2 * one)
        client.disconnect()
        #expect(self.used(.pipeBytes) == 0)
    }

    /// A CREATE that waits for a break keeps what follows it in its compound.
    @Test func heldBytes() throws {
        let limit = 32 << 20
        try self.limit(.heldBytes, to: limit)
        let alice = try TestClient.ready(self.server)
        let first = try #require(try alice.create("a", oplock: .batch).create).fileID
        var bobs: [TestClient] = []
        func hold(_ byteCount: Int) throws -> [TestReply] {
            let bob = try TestClient.ready(self.server, user: "bob", guid: GUID(low: 2, high: UInt64(bobs.count)))
            bobs.append(bob)
            let data = [UInt8](repeating: 7, count: byteCount)
            let write = bob.message(.write, related: true) {
                WriteRequest(fileID: .init(persistent: .max, volatile: .max), offset: 0)
                    .encode(into: &$0, data: data.span.bytes)
            }
            return self.server.exchange(bob.connection, [bob.createMessage("a"), write])
        }
        for _ in 0..<3 {
            let replies = try hold(8 << 20)
            #expect(replies.map(\.status) == [.pending])
        }
        // No room for as much again: a compound of which a part is lost cannot go on.
        #expect(try hold(8 << 20).last?.disconnect != nil)
        bobs.removeLast().disconnect()
        let held = Int(self.used(.heldBytes))
        #expect(held > 24 << 20)
        // Room for some requests, and then for no other.
        var last: NTStatus?
        try self.limit(.heldBytes, to: limit)
        let rest = try hold(limit - held - 1000)
        #expect(rest.map(\.status) == [.pending])
        let many = try TestClient.ready(self.server, user: "bob", guid: GUID(low: 3, high: 3))
        for _ in 0..<20 where last != .insufficientResources { last = try many.send(many.createMessage("a")).status }
        #expect(last == .insufficientResources)
        #expect(self.used(.heldBytes) <= UInt64(limit))
        // All of it is given back when they are carried out, or their clients leave.
        bobs[0].disconnect()
        #expect(try alice.acknowledge(first, .none).status == .success)
        #expect(self.used(.heldBytes) == 0)
        #expect(self.used(.requests) == 0)
    }
}
