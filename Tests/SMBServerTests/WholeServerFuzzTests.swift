import GoldenMessages
import SMB2Wire
import SMBAuth
import SMBCrypto
import StateRecords
import Testing

@testable import SMBClient
@testable import SMBServer

#if canImport(Glibc)
    import Glibc
#endif

/// Whatever a client that is let in sends, the server lives, nobody else is harmed and nothing outside of the share is
/// touched. The whole server takes part: sockets, transform headers, signatures, compounds, files, journal.
///
/// HOLDFAST_FUZZ_ITERATIONS: frames a seed. A trap ends the test's process: the frames since the last connection then lie in
/// `FuzzTrace.path`, and what is learned from them is kept in `findings`.
@Suite(.serialized) struct WholeServerFuzzTests {
    static let defaultIterations = 400
    static let seeds: Range<UInt64> = 0..<6

    static var iterations: Int {
        guard let text = getenv("HOLDFAST_FUZZ_ITERATIONS") else { return Self.defaultIterations }
        return Int(String(cString: text)).map { max(1, $0 / self.seeds.count) } ?? Self.defaultIterations
    }

    @Test(.enabled(if: FuzzShare.isPossible, "mounts a file system of its own"), arguments: Self.seeds)
    func mutatedFramesHarmNobodyElse(seed: UInt64) throws {
        let share = try FuzzShare()
        let server = try share.serve(continuouslyAvailable: seed % 2 == 1)
        defer { server.server.stop() }
        let bystander = try Bystander(port: server.port)
        let trace = try FuzzTrace()
        var attacker = Attacker(port: server.port, seed: seed, trace: trace)
        for frame in 0..<Self.iterations {
            try attacker.sendFrame()
            if frame % 50 == 49 { try bystander.check() }
        }
        attacker.disconnect()
        try bystander.check()
        // Mutations that break every frame would exercise nothing behind the first check.
        #expect(attacker.batches > Self.iterations / Attacker.framesPerBatch / 4)
        #expect(server.server.status().requests > UInt64(Self.iterations / 2))
        // Connections that ended have left nothing behind; what is durable waits for its clients.
        var status = server.server.status()
        for _ in 0..<500 where status.connections > 1 {
            sleep(milliseconds: 10)
            status = server.server.status()
        }
        #expect(status.connections == 1)
        #expect(status.sessions == 1)
        #expect(status.treeConnects == 1)
        #expect(status.opens == 1 + status.disconnectedOpens)
        try bystander.leave()
        #expect(share.outside() == FuzzShare.canary)
        trace.remove()
    }

    /// Frames that once broke something, each sent to a fresh server after NEGOTIATE, SESSION_SETUP and TREE_CONNECT.
    static let findings: [(name: String, frame: [UInt8])] = [
        ("an empty frame", []),
        ("a transform header and nothing behind it", [0xFD, 0x53, 0x4D, 0x42] + [UInt8](repeating: 0, count: 48)),
        ("a transform header that is cut", [0xFD, 0x53, 0x4D, 0x42, 1]),
        ("a compound whose next message would begin behind its end", Attacker.compound(next: 0xFFFF_FFF8)),
        ("a compound whose next message begins within its header", Attacker.compound(next: 8)),
        ("a compound that goes on for ever", Attacker.compound(next: 0)),
    ]

    @Test(.enabled(if: FuzzShare.isPossible, "mounts a file system of its own"))
    func findingsStayHarmless() throws {
        let share = try FuzzShare()
        let server = try share.serve(continuouslyAvailable: false)
        defer { server.server.stop() }
        let bystander = try Bystander(port: server.port)
        for finding in Self.findings {
            let connection = try SMBConnection.open(
                try Attacker.configuration(port: server.port, user: "alice"), share: "test")
            try connection.sendRaw(finding.frame)
            try? connection.echo()
            try bystander.check()
        }
    }

    /// Three READs of 8 MiB are a small compound; their replies are more than the transport's three bytes of length can say.
    @Test(.enabled(if: FuzzShare.isPossible, "mounts a file system of its own"))
    func aCompoundWhoseRepliesFitNoFrameHarmsNobodyElse() throws {
        let share = try FuzzShare()
        let server = try share.serve(continuouslyAvailable: false)
        defer { server.server.stop() }
        let bystander = try Bystander(port: server.port)
        var configuration = try Attacker.configuration(port: server.port, user: "alice")
        configuration.targetCredits = 1024
        let connection = try SMBConnection.open(configuration, share: "test")
        let file = try connection.create(OpenParameters("a", access: .fileAll, disposition: .openIf)).fileID
        let length = 8 << 20
        _ = try connection.write(file, at: UInt64(length - 1), [1])
        for _ in 0..<100 where connection.credits < 400 { try connection.echo() }
        let charge = length >> 16
        let first = try connection.reserveMessageIDs(3 * charge)
        var writer = WireWriter()
        for index in 0..<3 {
            let start = writer.count
            var header = SMB2Header(
                command: .read, creditCharge: UInt16(charge), credits: 1,
                messageID: first + UInt64(index * charge), treeID: connection.treeID, sessionID: connection.sessionID)
            header.nextCommand = index < 2 ? 120 : 0
            header.encode(into: &writer)
            ReadRequest(fileID: file, offset: 0, length: UInt32(length)).encode(into: &writer)
            writer.claim(120 - (writer.count - start))
        }
        try connection.sendRaw(writer.bytes)
        #expect(throws: ClientError.self) { try connection.echo() }
        try bystander.check()
    }

    /// A client decides how deep its directories lie: a recursive CHANGE_NOTIFY walks them on a loop's small stack.
    @Test(.enabled(if: FuzzShare.isPossible, "mounts a file system of its own"))
    func aDeepTreeUnderWatchHarmsNobodyElse() throws {
        let share = try FuzzShare()
        var at = open("\(share.directory)/share/dir", O_RDONLY | O_DIRECTORY)
        for _ in 0..<2000 {
            try #require(mkdirat(at, "d", 0o755) == 0)
            let below = openat(at, "d", O_RDONLY | O_DIRECTORY)
            close(at)
            at = below
        }
        close(at)
        let server = try share.serve(continuouslyAvailable: false)
        defer { server.server.stop() }
        let bystander = try Bystander(port: server.port)
        let connection = try SMBConnection.open(
            try Attacker.configuration(port: server.port, user: "alice"), share: "test")
        let directory = try connection.create(
            OpenParameters("dir", access: .listDirectory, options: .directoryFile)
        ).fileID
        let waiting = try connection.post(.changeNotify) {
            ChangeNotifyRequest(fileID: directory, filter: .fileName, watchesTree: true, outputBufferLength: 4096)
                .encode(into: &$0)
        }
        try connection.waitUntilPending(waiting)
        try bystander.check()
    }

    /// Who has not logged on cannot make the server hold a large message for him.
    @Test(.enabled(if: FuzzShare.isPossible, "mounts a file system of its own"))
    func aLargeMessageBeforeTheLogonClosesTheConnection() throws {
        let share = try FuzzShare()
        let server = try share.serve(continuouslyAvailable: false)
        defer { server.server.stop() }
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(client >= 0)
        defer { close(client) }
        var timeout = timeval(tv_sec: 3, tv_usec: 0)
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = server.port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(connected == 0)
        try #require(Glibc.send(client, [0, 0x10, 0, 0] as [UInt8], 4, 0) == 4)
        var byte: UInt8 = 0
        #expect(recv(client, &byte, 1, 0) == 0)
    }
}

/// The share's own small file system: what mutated requests allocate must not fill anybody's disk.
final class FuzzShare {
    static let canary = "untouched"
    let directory: String

    static var isPossible: Bool {
        getuid() == 0
            && Self.run("sh", "-c", "command -v mkfs.xfs losetup >/dev/null && grep -qw xfs /proc/filesystems") == 0
    }

    init() throws {
        var template = Array("/tmp/holdfast-fuzz-XXXXXX".utf8CString)
        _ = try #require(mkdtemp(&template))
        self.directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let script = """
            set -e; cd \(self.directory); mkdir share
            truncate -s 320M image; mkfs.xfs -q -K image; mount -o loop,noatime image share
            mkdir share/dir; printf \(Self.canary) >outside
            """
        try #require(Self.run("sh", "-c", script) == 0)
    }

    deinit {
        Self.run("sh", "-c", "umount -l \(self.directory)/share; rm -rf \(self.directory)")
    }

    func serve(continuouslyAvailable: Bool) throws -> StandaloneServer {
        var configuration = StandaloneServer.Configuration(
            stateDirectory: "\(self.directory)/state", serverName: "FUZZ")
        configuration.shares = [
            ShareRecord(
                name: "test", path: "\(self.directory)/share", isContinuouslyAvailable: continuouslyAvailable)
        ]
        configuration.users = [("alice", "secret"), ("bob", "secret")]
        configuration.address = "127.0.0.1"
        configuration.port = 0
        configuration.requiresSigning = false
        configuration.loopCount = 2
        return try StandaloneServer(configuration)
    }

    /// What lies beside the share.
    func outside() -> String {
        var buffer = [UInt8](repeating: 0, count: 64)
        let file = open("\(self.directory)/outside", O_RDONLY)
        defer { close(file) }
        let count = read(file, &buffer, buffer.count)
        return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    }

    @discardableResult
    private static func run(_ words: String...) -> Int32 {
        var process = pid_t()
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        guard posix_spawnp(&process, words[0], nil, nil, &arguments, environ) == 0 else { return -1 }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? status >> 8 & 0xFF : -1
    }
}

/// Another user, with a file that nobody else may open.
struct Bystander {
    private let connection: SMBConnection
    private let file: FileID
    private let contents = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 7) }

    init(port: UInt16) throws {
        self.connection = try SMBConnection.open(
            try Attacker.configuration(port: port, user: "bob"), share: "test")
        self.file = try self.connection.create(
            OpenParameters("kept", access: [.readData, .writeData], share: [], disposition: .create)
        ).fileID
        _ = try self.connection.write(self.file, at: 0, self.contents)
    }

    func check() throws {
        #expect(try self.connection.read(self.file, at: 0, count: 8000) == self.contents)
    }

    func leave() throws {
        try self.connection.close(self.file)
        try self.connection.logoff()
    }
}

/// The frames since the last connection, for the one that a trap leaves behind.
final class FuzzTrace {
    static let path = "/tmp/holdfast-fuzz-trace.\(getpid())"
    private let descriptor: Int32

    init() throws {
        self.descriptor = open(Self.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        try #require(self.descriptor >= 0)
    }

    deinit { close(self.descriptor) }

    func restart() {
        _ = ftruncate(self.descriptor, 0)
        _ = lseek(self.descriptor, 0, SEEK_SET)
    }

    func note(_ frame: [UInt8]) {
        let length = UInt32(frame.count)
        let header = (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * UInt32($0))) }
        _ = write(self.descriptor, header + frame, frame.count + 4)
    }

    func remove() { unlink(Self.path) }
}
