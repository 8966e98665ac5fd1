import ArgumentParser
import ClusterCore
import ClusterPlatform
import ClusterStore
import Glibc
import Logging
import StateRecords

/// One node of a Holdfast cluster: consensus, takeover, and the parent of lunbridge and smbserverd.
@main
struct Clusterd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clusterd",
        abstract: "A node of a Holdfast cluster.",
        discussion: """
            A node without state waits for 'clusterctl init' or 'clusterctl join' on STATE-DIR/admin.sock. \
            Must run as root: it mounts, holds the virtual IP and speaks on raw sockets.
            """,
        version: "\(NodeProgram.ownName), cluster versions \(ClusterVersionRange.program)")

    @Option(help: "Where the node keeps its state; made with mode 0700. Never copy it to another node.")
    var stateDir: String

    @Option(help: "The node's name, one DNS label; by default the first one of this machine's host name.")
    var name = Clusterd.hostLabel()

    @Option(help: "HOST:PORT to listen on for the other nodes; by default all IPv4 addresses of this machine.")
    var listen = "0.0.0.0:7420"

    @Option(help: "Carries the virtual IP on this node, instead of the interface that it was made or joined with.")
    var interface: String?

    @Option(help: "data or witness: what 'clusterctl join' makes of it.")
    var role = "data"

    @Option(help: "The folder with smbserverd and lunbridge; clusterd's own by default.")
    var binaries: String?

    @Option(help: "Seconds from one look at all that is stored, and at its checksums, to the next.")
    var checkStateEvery: UInt32 = 600

    @Option(
        help: """
            The machine's watchdog, /dev/watchdog: it resets the machine when this node hangs, or cannot let go of the LUN. Not for \
            a device that systemd uses (RuntimeWatchdogSec).
            """)
    var watchdog: String?

    @Option(
        help: """
            Run as a program would that knows no newer version of the cluster than this one: to hold an upgrade back on purpose, and for \
            tests. A cluster that runs a newer version refuses this node.
            """)
    var holdVersion: UInt16?

    @Option(help: "trace, debug, info, notice, warning or error.")
    var logLevel = "info"

    func validate() throws {
        if let problem = Names.problem(nodeName: self.name) ?? Names.problem(nodeAddress: self.listen) {
            throw ValidationError(problem)
        }
        guard NodeRole(name: self.role) != nil else {
            throw ValidationError("the role \"\(self.role)\" must be data or witness")
        }
        if let held = self.holdVersion, !ClusterVersionRange.program.contains(ClusterVersion(rawValue: held)) {
            throw ValidationError(
                "--hold-version \(held): this program can run the versions \(ClusterVersionRange.program)")
        }
        guard self.checkStateEvery > 0 else { throw ValidationError("--check-state-every must be at least 1") }
        guard Logger.Level(rawValue: self.logLevel) != nil else {
            throw ValidationError(
                "the log level \"\(self.logLevel)\" is none of trace, debug, info, notice, warning, error")
        }
    }

    func run() throws {
        // Before there is a second thread: a thread keeps the namespace and the mask it was made with.
        do throws(PlatformError) {
            try enterPrivateMountNamespace()
        } catch {
            let line = "clusterd: \(error.message). Start it as root\n"
            _ = line.withCString { write(2, $0, strlen($0)) }
            throw ExitCode(1)
        }
        signal(SIGPIPE, SIG_IGN)
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        umask(0o077)
        setNiceness(-15)

        LoggingSystem.bootstrap(
            { label, provider in StreamLogHandler.standardError(label: label, metadataProvider: provider) },
            metadataProvider: LogContext.provider)
        var logger = Logger(label: "clusterd")
        logger.logLevel = Logger.Level(rawValue: self.logLevel) ?? .info
        do throws(PlatformError) {
            try lockTouchedMemory()
        } catch {
            logger.warning(
                "\(error.message): under memory pressure heartbeats may be late; the unit sets LimitMEMLOCK=infinity")
        }

        let folders: Folders
        do throws(StartError) {
            folders = try Folders(stateFolder: self.stateDir)
        } catch {
            logger.critical("\(error.message)")
            throw ExitCode(1)
        }
        let options = NodeOptions(
            name: self.name, listen: self.listen, interface: self.interface,
            role: NodeRole(name: self.role) ?? .data, binaries: self.binaries ?? Self.ownFolder(), folders: folders,
            checkStateSeconds: self.checkStateEvery, watchdog: self.watchdog,
            newestVersion: self.holdVersion.map { ClusterVersion(rawValue: $0) } ?? .newest)
        do throws(StartError) {
            let mailbox = LoopMailbox()
            startSignalThread(signals, mailbox)
            try NodeLoop.run(mailbox, options: options, logger: logger)
        } catch {
            logger.critical("\(error.message)")
            throw ExitCode(1)
        }
    }

    /// Empty where there is none, which `validate` refuses.
    private static func hostLabel() -> String {
        var buffer = [CChar](repeating: 0, count: Int(HOST_NAME_MAX) + 1)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "" }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return String(name.prefix { $0 != "." })
    }

    private static func ownFolder() -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { return "." }
        let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }
}

/// Why a node cannot start.
struct StartError: Error {
    var message: String
}

/// What the command line said.
struct NodeOptions: Sendable {
    var name: String
    var listen: String
    /// nil: the one in the configuration.
    var interface: String?
    var role: NodeRole
    var binaries: String
    var folders: Folders
    var checkStateSeconds: UInt32
    /// nil: none is used.
    var watchdog: String? = nil
    /// Of the cluster, that this node runs.
    var newestVersion = ClusterVersion.newest
}

extension NodeOptions {
    var versions: ClusterVersionRange { ClusterVersionRange(oldest: .oldest, newest: self.newestVersion) }
    /// What this node says of itself.
    var program: NodeProgram { NodeProgram(versions: self.versions) }
}

/// The state directory, which one clusterd at a time holds.
struct Folders: Sendable {
    let state: String
    var stateFolder: StateFolder { StateFolder(path: self.state) }
    var adminSocket: String { "\(self.state)/admin.sock" }
    var storage: String { "\(self.state)/storage" }
    var mount: String { "\(self.state)/mount" }

    init(stateFolder: String) throws(StartError) {
        self.state = stateFolder
        for folder in [stateFolder, "\(stateFolder)/storage", "\(stateFolder)/mount"] {
            guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
                throw StartError(message: "cannot make \(folder): \(String(cString: strerror(errno)))")
            }
        }
        let lock = open("\(stateFolder)/lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        // Held until the process ends: the descriptor is never closed.
        guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw StartError(message: "\(stateFolder) is in use by another clusterd: stop that one first")
        }
    }
}
