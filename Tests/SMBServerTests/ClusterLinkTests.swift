import CLinux
import Foundation
import Glibc
import SMB2Wire
import SMBAuth
import SMBClient
import StateRecords
import Synchronization
import Testing

@testable import SMBServer

/// The server beneath a `clusterd` that the test plays: what it says and what it must never say.
@Suite(.serialized) struct ClusterLinkTests {
    private let guid = GUID(low: 11, high: 12)

    private var persistent: CreateContexts {
        var contexts = CreateContexts()
        contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 0, flags: DurableRequestV2.persistentFlag, createGUID: self.guid)
        return contexts
    }

    private func open(_ client: SMBConnection) throws -> UInt64 {
        let create = try client.postCreate(
            OpenParameters(
                "a", access: [.readData, .writeData], disposition: .openIf, contexts: self.persistent))
        try client.flush()
        return create
    }

    /// No answer, and a connection that nobody touched.
    private func expectSilence(of client: SMBConnection, to request: UInt64) {
        do throws(ClientError) {
            _ = try client.gather(request, deadline: Instant.now.adding(milliseconds: 300))
            Issue.record("it answered")
        } catch {
            guard case .timedOut = error else {
                Issue.record("the connection was touched: \(error)")
                return
            }
        }
    }

    @Test(arguments: [true, false])
    func aPersistentHandleIsAnsweredOnlyWhenTheClusterHasIt(answersApart: Bool) throws {
        let cluster = try FakeCluster(answersApart: answersApart)
        try cluster.serve()
        let client = try cluster.client()
        let create = try self.open(client)
        let sequence = try cluster.nextOpen()
        #expect(throws: ClientError.self, "no answer before the majority has it") {
            _ = try client.gather(create, deadline: Instant.now.adding(milliseconds: 300))
        }
        cluster.say(.appended(sequence: sequence))
        #expect(try client.gather(create).header.status == .success)
    }

    /// Whichever loop hears the answer, each connection gets its own.
    @Test func oneAnswerFreesTheClientsOfAllLoops() throws {
        let cluster = try FakeCluster()
        try cluster.serve()
        let clients = try (0..<6).map { _ in try cluster.client() }
        for round in 0..<20 {
            let waiting = try clients.enumerated().map { number, client in
                var contexts = self.persistent
                contexts.durableRequestV2?.createGUID = GUID(low: UInt64(round + 1), high: UInt64(number + 1))
                let create = try client.postCreate(
                    OpenParameters(
                        "\(round)-\(number)", access: [.readData], disposition: .openIf, contexts: contexts))
                try client.flush()
                return (client, create)
            }
            var sequence: UInt64 = 0
            for _ in clients { sequence = try cluster.nextOpen() }
            cluster.say(.appended(sequence: sequence))
            for (client, create) in waiting { #expect(try client.gather(create).header.status == .success) }
        }
    }

    /// A `clusterd` that ends is seen at the other socket; this one must not keep a loop busy then.
    @Test func theEndOfTheAnswersIsTheirEnd() throws {
        final class Observer: JournalObserver {
            let seen = Atomic<UInt64>(0)
            let hasFailed = Atomic<Bool>(false)
            func journaled(upTo ticket: UInt64) { self.seen.store(ticket, ordering: .relaxed) }
            func journalFailed(_ reason: String) { self.hasFailed.store(true, ordering: .relaxed) }
        }
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { close(ends[1]) }
        let (link, observer) = (ClusterLink(descriptor: -1, answers: ends[1], listeners: []), Observer())
        let goesOn = link.takeAnswers(for: observer)
        #expect(goesOn, "nothing was said yet")
        let bytes =
            FrameReader.frame(ClusterToServer.appended(sequence: 7))
            + FrameReader.frame(ClusterToServer.appended(sequence: 9))
        // In the middle of a frame.
        for part in [bytes[..<10], bytes[10...]] {
            let count = part.withUnsafeBytes { write(ends[0], $0.baseAddress, $0.count) }
            #expect(count == part.count)
            let goesOn = link.takeAnswers(for: observer)
            #expect(goesOn)
        }
        let seen = observer.seen.load(ordering: .relaxed)
        #expect(seen == 9)
        close(ends[0])
        let isOver = !link.takeAnswers(for: observer)
        let hasFailed = observer.hasFailed.load(ordering: .relaxed)
        #expect(isOver && !hasFailed)
    }

    @Test(arguments: [true, false]) func whatTheClusterRefusedIsNeverAnswered(answersApart: Bool) throws {
        let cluster = try FakeCluster(answersApart: answersApart)
        try cluster.serve()
        let client = try cluster.client()
        let create = try self.open(client)
        cluster.say(.refused(sequence: try cluster.nextOpen()))
        try cluster.waitUntilHeard()
        let echo = try client.post(.echo) { EchoRequest().encode(into: &$0) }
        for request in [create, echo] {
            #expect(throws: ClientError.self) {
                _ = try client.gather(request, deadline: Instant.now.adding(milliseconds: 300))
            }
        }
    }

    @Test func aFrozenServerIsSilentAndClosesNothing() throws {
        let cluster = try FakeCluster()
        try cluster.serve()
        let client = try cluster.client()
        try client.echo()
        cluster.say(.freeze)
        try cluster.expect { if case .frozen = $0 { true } else { false } }
        let echo = try client.post(.echo) { EchoRequest().encode(into: &$0) }
        try client.flush()
        self.expectSilence(of: client, to: echo)
        // The move is called off: the server goes on where it stopped.
        cluster.say(.serve(epoch: 2, nextPersistentID: 1))
        #expect(try client.gather(echo).header.status == .success)
    }

    /// Clients that record faster than the cluster can take it once ended the server.
    @Test func aSlowClusterSlowsItsClientsAndNothingElse() throws {
        let cluster = try FakeCluster(queueLimit: 16 << 10)
        try cluster.serve()
        let client = try cluster.client()
        let create = try self.open(client)
        cluster.say(.appended(sequence: try cluster.nextOpen()))
        let reply = try client.gather(create)
        let file = try CreateResponse(parsing: reply.span).fileID
        // Every one records the handle with all its locks: some 100 KB, and the cluster reads none of it.
        let locks = try (0..<100).map { index in
            try client.post(.lock) {
                LockRequest(
                    fileID: file,
                    locks: [LockElement(offset: UInt64(index), length: 1, flags: [.exclusive, .failImmediately])]
                ).encode(into: &$0)
            }
        }
        try client.flush()
        usleep(300_000)
        for _ in locks { cluster.say(.appended(sequence: try cluster.nextOpen())) }
        #expect(cluster.lastOpen?.locks.count == locks.count)
        for lock in locks { #expect(try client.gather(lock).header.status == .success) }
    }

    /// `clusterd` hangs: nobody says stop, and another node serves by now.
    @Test func withoutALeaseNothingIsAnswered() throws {
        let cluster = try FakeCluster()
        try cluster.serve()
        let client = try cluster.client()
        try client.echo()
        cluster.say(.lease(until: Clock.bootMicroseconds))
        try cluster.waitUntilHeard()
        let first = try client.post(.echo) { EchoRequest().encode(into: &$0) }
        let second = try client.post(.echo) { EchoRequest().encode(into: &$0) }
        try client.flush()
        self.expectSilence(of: client, to: first)
        cluster.say(.lease(until: .max))
        #expect(try client.gather(first).header.status == .success)
        #expect(try client.gather(second).header.status == .success)
        try client.echo()
    }

    @Test func noAnswerBeforeTheFirstLease() throws {
        let cluster = try FakeCluster()
        try cluster.serve(lease: nil)
        #expect(throws: ClientError.self) { _ = try cluster.client(patienceMilliseconds: 300) }
        cluster.say(.lease(until: .max))
        try cluster.client().echo()
    }

    /// Found by smbtorture: the watcher's events were taken for those of a listening socket.
    @Test func changesInADirectoryAreToldWhileTheServerListens() throws {
        let cluster = try FakeCluster()
        try cluster.serve()
        let client = try cluster.client()
        let directory = try client.create(
            OpenParameters("", access: [.readData], options: .directoryFile))
        let notify = try client.post(.changeNotify) {
            ChangeNotifyRequest(
                fileID: directory.fileID, filter: .fileName, watchesTree: false, outputBufferLength: 4096
            ).encode(into: &$0)
        }
        try client.waitUntilPending(notify)
        try client.close(try client.create(OpenParameters("new", access: [.writeData], disposition: .create)).fileID)
        #expect(try client.gather(notify).header.status == .success)
        _ = try cluster.client()
    }

    @Test func theAddressThatWasReachedIsTheInterface() throws {
        let cluster = try FakeCluster()
        try cluster.serve()
        let answer = try cluster.client().ioctl(.queryNetworkInterfaceInfo)
        #expect(try NetworkInterfaceInfo.parseList(answer.span.bytes).map(\.address) == [[127, 0, 0, 1]])
    }

    @Test func handlesOfTheNodeBeforeAreGivenBack() throws {
        let first = try FakeCluster()
        try first.serve()
        let client = try first.client()
        let create = try client.postCreate(
            OpenParameters(
                "a", access: [.readData, .writeData], share: [], disposition: .openIf, contexts: self.persistent))
        try client.flush()
        first.say(.appended(sequence: try first.nextOpen()))
        let reply = try client.gather(create)
        let file = try CreateResponse(parsing: reply.span).fileID
        let record = try #require(first.lastOpen)

        let second = try FakeCluster(folder: first.folder)
        try second.serve(records: [record])
        let rival = try second.client()
        #expect(throws: ClientError.self, "the handle protects its file") {
            _ = try rival.create(OpenParameters("a", access: [.readData]))
        }
        var reconnect = CreateContexts()
        reconnect.durableReconnectV2 = DurableReconnectV2(
            fileID: file, createGUID: self.guid, flags: DurableRequestV2.persistentFlag)
        let again = try rival.create(OpenParameters("a", access: [.readData, .writeData], contexts: reconnect))
        #expect(try rival.write(again.fileID, at: 0, [1, 2, 3]) == 3)
        #expect(try rival.read(again.fileID, at: 0, count: 10) == [1, 2, 3])
    }
}

/// `clusterd`'s side of the socket, and a folder in place of the LUN.
private final class FakeCluster {
    let folder: String
    private let descriptor: Int32
    /// The end of the socket for answers; -1: they go with the orders.
    private var answers: Int32 = -1
    private let port: UInt16
    private var reader = FrameReader()
    private(set) var lastOpen: OpenRecord?

    init(folder: String? = nil, queueLimit: Int = ClusterLink.queueLimit, answersApart: Bool = true) throws {
        self.ownsFolder = folder == nil
        if let folder {
            self.folder = folder
        } else {
            var template = Array("/var/tmp/smb-link-XXXXXX".utf8CString)
            self.folder = try #require(mkdtemp(&template).map { String(cString: $0) })
            try #require(mkdir("\(self.folder)/share", 0o755) == 0)
        }
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        self.descriptor = ends[0]
        // The least there is: the kernel's buffers must not take what the queue has to hold.
        var least: Int32 = 1
        for end in ends { setsockopt(end, SOL_SOCKET, SO_SNDBUF, &least, socklen_t(MemoryLayout<Int32>.size)) }
        let listener = try SocketAddress.listen(port: 0, address: "127.0.0.1")
        self.port = SocketAddress.port(of: listener)
        var answers: [Int32] = [-1, -1]
        if answersApart { try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &answers) == 0) }
        self.answers = answers[0]
        let link = ClusterLink(
            descriptor: ends[1], answers: answersApart ? answers[1] : nil, listeners: [listener],
            queueLimit: queueLimit)
        Thread.start("test-link") { try? link.run() }
    }

    /// The folder belongs to the first that has it.
    private let ownsFolder: Bool

    deinit {
        close(self.descriptor)
        self.closeAnswers()
        if self.ownsFolder { try? FileManager.default.removeItem(atPath: self.folder) }
    }

    func say(_ message: ClusterToServer) {
        let bytes = FrameReader.frame(message)
        let isAnswer =
            switch message {
            case .appended, .refused: true
            default: false
            }
        let descriptor = isAnswer && self.answers >= 0 ? self.answers : self.descriptor
        _ = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    func closeAnswers() {
        if self.answers >= 0 { close(self.answers) }
        self.answers = -1
    }

    /// Bytes of answers that no loop has read yet.
    private var unreadAnswers: Int32 {
        guard self.answers >= 0 else { return 0 }
        var count: Int32 = 0
        _ = ioctl(self.answers, UInt(TIOCOUTQ), &count)
        return count
    }

    func next() throws -> ServerToCluster {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            if let frame = try self.reader.next() { return try ServerToCluster(decoding: frame) }
            var waiting = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
            try #require(poll(&waiting, 1, 10_000) == 1, "the server says nothing")
            let count = read(self.descriptor, &buffer, buffer.count)
            try #require(count > 0)
            self.reader.append(buffer[..<count])
        }
    }

    /// The server takes messages in order: when it has answered this one, it has done those before.
    func waitUntilHeard() throws {
        self.say(.statusRequest)
        try self.expect { if case .status = $0 { true } else { false } }
        while self.unreadAnswers > 0 { usleep(1000) }
        // The loop that read them reports them at once.
        usleep(50_000)
    }

    func expect(_ matches: (ServerToCluster) -> Bool) throws {
        while !matches(try self.next()) {}
    }

    /// The sequence number of the next batch that records an open and whose answer waits.
    func nextOpen() throws -> UInt64 {
        while true {
            guard case .append(let sequence, true, let mutations) = try self.next() else { continue }
            for case .putOpen(let record) in mutations {
                self.lastOpen = record
                return sequence
            }
        }
    }

    func serve(records: [OpenRecord] = [], lease: UInt64? = .max) throws {
        let share = ShareRecord(name: "test", path: "share", isContinuouslyAvailable: true)
        let hash = try NTHash(password: "secret")
        self.say(
            .configure(
                ServerConfiguration(
                    serverGUID: GUID16(low: 1, high: 2), serverName: "TEST", domain: (1, 2, 3),
                    mountPoint: self.folder, shares: [share],
                    users: [UserRecord(name: "alice", ntHash: hash.bytes, relativeID: 1000)])))
        try self.expect { if case .ready = $0 { true } else { false } }
        if let lease { self.say(.lease(until: lease)) }
        self.say(.load(opens: records))
        self.say(.serve(epoch: 1, nextPersistentID: 100))
        try self.expect { message in
            guard case .serving(_, let reopened, let lost) = message else { return false }
            #expect(Int(reopened) == records.count && lost == 0)
            return true
        }
    }

    func client(patienceMilliseconds: Int = 60_000) throws -> SMBConnection {
        var configuration = try ClientConfiguration(
            host: "127.0.0.1", port: self.port,
            credentials: ClientAuthentication.Credentials(user: "alice", password: "secret"))
        configuration.requestTimeoutMilliseconds = patienceMilliseconds
        let client = try SMBConnection(configuration)
        try client.negotiate()
        try client.sessionSetup()
        _ = try client.treeConnect("test")
        return client
    }
}
