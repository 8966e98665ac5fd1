import ArgumentParser
import Glibc
import SMB2Wire
import SMBClient

/// What one request of the load is.
enum Work: String, CaseIterable, ExpressibleByArgument {
    case read, write, open
    case openData = "open-data"
    case persistent, stat
}

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Loads a server and measures it.",
        discussion: """
            Every connection works on a file of its own below PATH and keeps --queue requests under way. "open" is one CREATE \
            of the attributes and one CLOSE, "open-data" the same of the data, "persistent" that with a persistent handle, on a \
            continuously available share, "stat" a compound of CREATE, QUERY_INFO and CLOSE.
            """)

    @Argument(help: "//HOST[:PORT]/SHARE[/DIRECTORY]")
    var target: Target
    @OptionGroup var login: Login
    @Option(help: "read, write, open, open-data, persistent or stat; may be given several times.")
    var work: [Work] = [.read, .write, .open, .stat]
    @Option(help: "Bytes a request, with K or M; may be given several times.")
    var size: [ByteCount] = [ByteCount(1 << 20), ByteCount(64 << 10), ByteCount(4 << 10)]
    @Option(help: "Requests under way on each connection.")
    var queue = 16
    @Option(help: "Connections, each on a thread of its own.")
    var connections = 1
    @Option(help: "Seconds for each measurement.")
    var seconds = 5.0
    @Option(help: "Bytes of each connection's file, with K, M or G.")
    var fileSize = ByteCount(256 << 20)
    @Option(help: "2.0.2, 2.1, 3.0, 3.0.2 or 3.1.1.")
    var dialect: DialectName = DialectName(.smb311)
    @Option(help: "none, hmac, cmac or gmac.")
    var signing: Signing = .gmac
    @Option(help: "none, gcm or ccm.")
    var encryption: Encryption = .none
    @Option(help: "The server's process: its CPU time, with that of its children, is read from /proc.")
    var pid: Int32?
    @Flag(help: "One JSON line a measurement.")
    var json = false

    enum Signing: String, ExpressibleByArgument, CaseIterable { case none, hmac, cmac, gmac }
    enum Encryption: String, ExpressibleByArgument, CaseIterable { case none, gcm, ccm }

    func validate() throws {
        guard self.queue > 0, self.connections > 0, self.seconds > 0 else {
            throw ValidationError("--queue, --connections and --seconds must be above zero")
        }
    }

    mutating func run() throws {
        Allocator.keepLargeBlocks()
        var configuration = try ClientConfiguration(
            host: self.target.host, port: self.target.port, credentials: try self.login.credentials())
        configuration.dialects = [self.dialect.value]
        configuration.signs = self.signing != .none
        configuration.signingAlgorithms =
            switch self.signing {
            case .none, .gmac: [.aesGMAC, .aesCMAC]
            case .cmac: [.aesCMAC]
            case .hmac: [.hmacSHA256]
            }
        configuration.encrypts = self.encryption != .none
        configuration.ciphers = self.encryption == .ccm ? [.aes128CCM] : [.aes128GCM]

        let loads = (0..<self.connections).map { index in
            Load(configuration, self.target, file: "bench-\(index).dat", fileByteCount: self.fileSize.value)
        }
        if !self.json {
            writeLine("work       size     MB/s      op/s    p50 us    p99 us   CPU s/GB  CPU us/op")
        }
        for work in self.work {
            let sizes = work == .read || work == .write ? self.size.map(\.value) : [0]
            for size in sizes {
                let before = self.pid.flatMap(ProcessTree.cpuSeconds)
                let result = try Measurement.run(loads, work, size, queue: self.queue, seconds: self.seconds)
                let after = self.pid.flatMap(ProcessTree.cpuSeconds)
                var cpu: Double?
                if let before, let after { cpu = after - before }
                result.print(work, size, cpuSeconds: cpu, json: self.json)
            }
        }
        finish(0)
    }
}

struct ByteCount: ExpressibleByArgument {
    var value: Int

    init(_ value: Int) { self.value = value }

    init?(argument: String) {
        var digits = argument
        var shift = 0
        switch digits.last {
        case "K", "k": shift = 10
        case "M", "m": shift = 20
        case "G", "g": shift = 30
        default: break
        }
        if shift > 0 { digits.removeLast() }
        guard let number = Int(digits), number > 0, number <= 1 << 20 else { return nil }
        self.value = number << shift
    }

    var defaultValueDescription: String { self.description }
    var description: String {
        if self.value >= 1 << 20, self.value % (1 << 20) == 0 { return "\(self.value >> 20)M" }
        if self.value >= 1 << 10, self.value % (1 << 10) == 0 { return "\(self.value >> 10)K" }
        return String(self.value)
    }
}

struct DialectName: ExpressibleByArgument {
    private static let names: [(String, Dialect)] = [
        ("2.0.2", .smb202), ("2.1", .smb21), ("3.0", .smb30), ("3.0.2", .smb302), ("3.1.1", .smb311),
    ]
    var value: Dialect

    init(_ value: Dialect) { self.value = value }

    init?(argument: String) {
        guard let entry = Self.names.first(where: { $0.0 == argument }) else { return nil }
        self.value = entry.1
    }

    var defaultValueDescription: String { Self.names.first { $0.1 == self.value }?.0 ?? "" }
}
