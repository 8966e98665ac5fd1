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
        // A process that another test is just starting may have it, too.
        shutdown(ends[0], Int32(SHUT_RDWR))
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

    /// An order for the server before it, which had just died: the next takeover served nobody.
    @Test func aServerThatWasFrozenWhileItWasWarmServesAllTheSame() throws {
        let cluster = try FakeCluster()
        try cluster.configure(FakeCluster.shares)
        cluster.say(.freeze)
        try cluster.expect { if case .frozen = $0 { true } else { false } }
        try cluster.serve()
        try cluster.client(patienceMilliseconds: 5000).echo()
    }

    /// One share whose folder is none kept the node from serving the others, and from every later change.
    @Test func aFileInTheWayOfAShareIsInTheWayOfNoOther() throws {
        let cluster = try FakeCluster()
        try #require(FileManager.default.createFile(atPath: "\(cluster.folder)/file", contents: nil))
        try #require(mkdir("\(cluster.folder)/later", 0o755) == 0)
        let broken = [ShareRecord(name: "broken", path: "file"), ShareRecord(name: "beneath", path: "file/x")]
        try cluster.configure(FakeCluster.shares + broken)
        try cluster.serve()
        #expect(try cluster.unserved() == ["broken", "beneath"])
        let client = try cluster.client(patienceMilliseconds: 5000)
        #expect(throws: ClientError.self) { _ = try client.treeConnect("broken") }

        try cluster.configure(FakeCluster.shares + broken + [ShareRecord(name: "later", path: "later")])
        #expect(try cluster.unserved() == ["broken", "beneath"])
        _ = try client.treeConnect("later")
        try cluster.configure(FakeCluster.shares)
        #expect(try cluster.unserved() == [])
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

    /// `clusterd` takes what the server says at once, and gives a server up of which too much waits for the disks.
    @Test(.timeLimit(.minutes(1))) func noMoreIsSaidThanTheClusterLetsWait() throws {
        let limit = 512 << 10
        let cluster = try FakeCluster(unansweredLimit: limit)
        try cluster.serve()
        let client = try cluster.client()
        let create = try self.open(client)
        cluster.say(.appended(sequence: try cluster.nextOpen()))
        let reply = try client.gather(create)
        let file = try CreateResponse(parsing: reply.span).fileID
        // Every one records the handle with all its locks: the last one 2000, and all together 1.8 MB.
        let (requests, locksEach) = (100, 20)
        let locks = try (0..<requests).map { request in
            try client.post(.lock) {
                let elements = (0..<locksEach).map {
                    LockElement(
                        offset: UInt64(request * locksEach + $0), length: 1, flags: [.exclusive, .failImmediately])
                }
                LockRequest(fileID: file, locks: elements).encode(into: &$0)
            }
        }
        try client.flush()
        var rounds = 0
        repeat {
            let heard = try cluster.hearAll(milliseconds: 300)
            guard heard.byteCount > 0 else { continue }
            #expect(heard.byteCount < limit + (64 << 10), "no more than one batch beyond the limit")
            cluster.say(.appended(sequence: heard.sequence))
            rounds += 1
        } while cluster.lastOpen?.locks.count != requests * locksEach
        #expect(rounds > 2)
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

    /// The node after this one starts above what is reserved; what a client had before that was committed it would give
    /// to another. [MS-SMB2] 3.3.5.9.7: a durable handle of the first version is found by nothing else.
    @Test(arguments: [true, false])
    func nobodyIsAcceptedBeforeTheClusterHasReservedTheIDs(answersApart: Bool) throws {
        let cluster = try FakeCluster(answersApart: answersApart)
        try cluster.serve(isReserved: false)
        let reservation = try #require(cluster.reservation)
        #expect(throws: ClientError.self) { _ = try cluster.client(patienceMilliseconds: 300) }
        cluster.say(.appended(sequence: reservation.sequence))
        let client = try cluster.client()
        let file = try client.create(OpenParameters("a", access: [.readData], disposition: .openIf)).fileID
        #expect((100..<reservation.end).contains(file.persistent))
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
    /// What the server reserved when it was told to serve: the batch, and where the ids end.
    private(set) var reservation: (sequence: UInt64, end: UInt64)?

    init(
        folder: String? = nil, queueLimit: Int = ClusterLink.queueLimit,
        unansweredLimit: Int = JournalLimits.unansweredByteCount, answersApart: Bool = true
    ) throws {
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
            queueLimit: queueLimit, unansweredLimit: unansweredLimit)
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

    /// All batches that come until the server has said nothing for so long: the last one's number, and the bytes of
    /// all.
    func hearAll(milliseconds: Int32) throws -> (sequence: UInt64, byteCount: Int) {
        var (sequence, byteCount): (UInt64, Int) = (0, 0)
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            while let frame = try self.reader.next() {
                guard case .append(let number, _, let mutations) = try ServerToCluster(decoding: frame) else {
                    continue
                }
                sequence = number
                byteCount += frame.count
                for case .putOpen(let record) in mutations { self.lastOpen = record }
            }
            var waiting = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, milliseconds) == 1 else { return (sequence, byteCount) }
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

    static let shares = [ShareRecord(name: "test", path: "share", isContinuouslyAvailable: true)]
    private var isConfigured = false

    func configure(_ shares: [ShareRecord]) throws {
        let hash = try NTHash(password: "secret")
        self.say(
            .configure(
                ServerConfiguration(
                    serverGUID: GUID16(low: 1, high: 2), serverName: "TEST", domain: (1, 2, 3),
                    mountPoint: self.folder, shares: shares,
                    users: [UserRecord(name: "alice", ntHash: hash.bytes, relativeID: 1000)])))
        try self.expect { if case .ready = $0 { true } else { false } }
        self.isConfigured = true
    }

    /// The names of the shares that it leaves out.
    func unserved() throws -> [String] {
        self.say(.unservedRequest)
        var names: [String] = []
        try self.expect { message in
            guard case .unserved(let shares) = message else { return false }
            names = shares.map(\.name)
            return true
        }
        return names
    }

    /// With one share, where it was told of no others.
    func serve(records: [OpenRecord] = [], lease: UInt64? = .max, isReserved: Bool = true) throws {
        if !self.isConfigured { try self.configure(Self.shares) }
        if let lease { self.say(.lease(until: lease)) }
        self.say(.load(opens: records))
        self.say(.serve(epoch: 1, nextPersistentID: 100))
        try self.expect { message in
            if case .append(let sequence, isAwaited: true, let mutations) = message,
                case .reserveIDs(let end)? = mutations.last
            {
                self.reservation = (sequence, end)
            }
            guard case .serving(_, let reopened, let lost) = message else { return false }
            #expect(Int(reopened) == records.count && lost == 0)
            return true
        }
        if isReserved { self.say(.appended(sequence: try #require(self.reservation).sequence)) }
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
