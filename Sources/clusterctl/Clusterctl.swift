import ArgumentParser
import ClusterCore
import StateRecords

@main
struct Clusterctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clusterctl",
        abstract: "Administers a Holdfast cluster from any of its nodes.",
        discussion: """
            Exit status: 0 done; 1 refused (the message says why); 2 clusterd cannot be reached on this machine; 3 not possible \
            at the moment (no leader, no majority, a move under way): try again; 4 this node is in no cluster, or already in \
            one; 5 the LUN: unreachable, not ours or reserved by another; 64 the command line is wrong.
            """,
        version: "\(NodeProgram.ownName), cluster versions \(ClusterVersionRange.program)",
        subcommands: [
            Initialize.self, Token.self, Join.self, Status.self, Shares.self, Users.self, Snapshots.self, Limits.self,
            Security.self,
            Credentials.self, CertificateCommand.self,
            Move.self,
            Leave.self, Nodes.self, Quorum.self, Backup.self, Restore.self,
            Drill.self, Events.self, Inspect.self, Storage.self, Upgrade.self,
        ])
}

struct Connection: ParsableArguments {
    @Option(help: "clusterd's socket on this machine.")
    var socket = "/var/lib/holdfast/admin.sock"

    @Option(help: "HOST:PORT of a node, from any machine. HOLDFAST_REMOTE in the environment does the same.")
    var remote: String?

    @Option(help: "With --remote: the file that 'clusterctl credentials issue' made, or HOLDFAST_CREDENTIALS.")
    var credentials: String?

    /// Asks, and prints what was done or why not.
    func perform(_ request: AdminRequest) throws {
        switch try AdminClient.ask(request, over: self) {
        case .done(let text): print(text)
        case .failed(let failure): throw Failed(failure)
        default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
        }
    }
}

/// Printed by ArgumentParser as `Error: …`; the status is in the code.
struct Failed: Error, CustomStringConvertible {
    let failure: AdminFailure
    init(_ failure: AdminFailure) { self.failure = failure }
    var description: String { self.failure.message }
}

extension Clusterctl {
    private static let places = ["--socket", "--remote", "--credentials"]

    /// `--socket PATH`, `--remote HOST:PORT` and `--credentials FILE` may stand before the subcommand too, where scripts put
    /// them.
    private static func placesLast(_ arguments: ArraySlice<String>) -> [String] {
        var (first, last) = (arguments, [String]())
        while let word = first.first {
            if self.places.contains(word), first.count >= 2 {
                last += first.prefix(2)
                first = first.dropFirst(2)
            } else if self.places.contains(where: { word.hasPrefix($0 + "=") }) {
                last.append(word)
                first = first.dropFirst()
            } else {
                break
            }
        }
        return Array(first) + last
    }

    static func main() {
        do {
            var command = try Self.parseAsRoot(Self.placesLast(CommandLine.arguments.dropFirst()))
            try command.run()
        } catch let failed as Failed {
            printError(failed.description)
            Self.exit(withError: ExitCode(Int32(failed.failure.code.rawValue)))
        } catch let unreachable as Unreachable {
            printError(unreachable.message)
            Self.exit(withError: ExitCode(2))
        } catch {
            Self.exit(withError: error)
        }
    }
}

struct Initialize: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Makes a new cluster with this machine as its first node.")

    @OptionGroup var connection: Connection

    @Option(help: "The cluster's name, which is the name that clients see: at most 15 letters, digits and hyphens.")
    var clusterName: String

    @Option(help: "This node's name, as clusterd was started with.")
    var nodeName: String

    @Option(help: "HOST:PORT where the other nodes reach this one.")
    var address: String

    @Option(name: .customLong("virtual-ip"), help: "The address that clients use, with its prefix: 192.0.2.10/24.")
    var virtualIP: String

    @Option(help: "The interface that carries the virtual IP.")
    var interface = "eth0"

    @Option(
        help: "iscsi://user%password@host[:port]/target-iqn/lun. HOLDFAST_LUN in the environment hides it from 'ps'.")
    var lun: String?

    @Flag(help: "Make the file system, on a LUN that is proved empty.")
    var format = false

    @Flag(help: "Use the XFS that the LUN already holds.")
    var adopt = false

    @Flag(help: "Throw out whoever holds a reservation on the LUN.")
    var force = false

    @Flag(help: "Take a target that 'clusterctl storage check' calls unsafe.")
    var acceptUnsafe = false
    @Option(
        name: .customLong("quorum-lun"),
        help:
            "A second LUN, empty and of at least 256 MiB, that votes beside two nodes. HOLDFAST_QUORUM_LUN hides it from 'ps'."
    )
    var quorumLUN: String?

    func run() throws {
        guard let lun = self.lun ?? environment("HOLDFAST_LUN") else {
            throw ValidationError("give the LUN with --lun or in HOLDFAST_LUN")
        }
        var parameters = InitializeParameters(
            clusterName: self.clusterName, nodeName: self.nodeName, address: self.address,
            virtualIP: self.virtualIP, interface: self.interface, lun: lun, formats: self.format,
            adopts: self.adopt, forces: self.force, acceptsUnsafe: self.acceptUnsafe)
        parameters.quorumLUN = self.quorumLUN ?? environment("HOLDFAST_QUORUM_LUN") ?? ""
        try self.connection.perform(.initialize(parameters))
    }
}

struct Token: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints a token that lets one machine join, once.")

    @OptionGroup var connection: Connection

    @Option(name: .customLong("valid-for"), help: "How long it may be used: 90s, 10m, 2h, 1d.")
    var validFor = "10m"

    func run() throws {
        guard let milliseconds = parseDuration(self.validFor) else {
            throw ValidationError("--valid-for \(self.validFor) must be a number with s, m, h or d, at most 30d")
        }
        switch try AdminClient.ask(.token(validMilliseconds: milliseconds), over: self.connection) {
        case .token(let text): print(text)
        case .failed(let failure): throw Failed(failure)
        default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
        }
    }
}

struct Join: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Makes this machine a node of a cluster.")

    @OptionGroup var connection: Connection

    @Argument(help: "HOST:PORT of a member.")
    var member: String

    @Option(help: "What 'clusterctl token' printed there. HOLDFAST_TOKEN in the environment hides it from 'ps'.")
    var token: String?

    @Option(help: "This node's name, as clusterd was started with.")
    var nodeName: String

    @Option(help: "HOST:PORT where the other nodes reach this one.")
    var address: String

    @Option(help: "The interface that carries the virtual IP on this node.")
    var interface = "eth0"

    @Option(help: "data, or witness: votes and never serves.")
    var role = "data"

    func run() throws {
        guard let role = NodeRole(name: self.role) else {
            throw ValidationError("the role \"\(self.role)\" must be data or witness")
        }
        guard let token = self.token ?? environment("HOLDFAST_TOKEN") else {
            throw ValidationError("give the token with --token or in HOLDFAST_TOKEN")
        }
        try self.connection.perform(
            .join(
                JoinParameters(
                    member: self.member, token: token, nodeName: self.nodeName, address: self.address,
                    interface: self.interface, role: role)))
    }
}

struct Move: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Moves the share to another node, without an error at any client.")

    @OptionGroup var connection: Connection

    @Argument(help: "The node; any that can, when none is given.")
    var node: String?

    func run() throws { try self.connection.perform(.move(node: self.node ?? "")) }
}

struct Leave: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes this node out of the cluster and deletes its state; or takes out another one that is gone.")

    @OptionGroup var connection: Connection

    @Argument(help: "Another node, which is gone for good; this one by default.")
    var node: String?

    func run() throws { try self.connection.perform(.leave(node: self.node ?? "")) }
}
