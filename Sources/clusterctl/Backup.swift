import ArgumentParser
import ClusterCore
import Glibc
import StateRecords

struct Backup: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes the configuration, the shares and the users of the cluster into a file.",
        discussion: """
            For the day on which no node is left to take them from: the files lie on the LUN, the cluster in this. Keep it secret \
            and elsewhere: it holds the users' NT hashes and the LUN's password.
            """)

    @OptionGroup var connection: Connection

    @Argument(help: "The file; it must not exist. Made with mode 0600.")
    var file: String

    @Flag(help: "As this node has it, also without a majority: what was decided lately may be missing.")
    var local = false

    func run() throws {
        switch try AdminClient.ask(.backup(isLocal: self.local), over: self.connection) {
        case .backup(let bytes):
            let backup = try ClusterBackup(parsing: bytes)
            try Self.write(bytes, to: self.file)
            let state = backup.state
            print(
                "cluster \(state.configuration.name) as of entry \(state.appliedIndex), term \(backup.term), written to "
                    + "\(self.file): \(bytes.count) bytes, \(state.configuration.shares.count) shares, "
                    + "\(state.configuration.users.count) users"
                    + (backup.isConfirmed ? "" : "; NOT CONFIRMED by a majority: something newer may have been decided")
            )
        case .failed(let failure): throw Failed(failure)
        default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
        }
    }

    /// On stable storage under its name, or not there.
    private static func write(_ bytes: [UInt8], to path: String) throws {
        func failed(_ what: String) -> Failed {
            Failed(AdminFailure(.refused, "\(path) \(what): \(String(cString: strerror(errno)))"))
        }
        let descriptor = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failed("cannot be made") }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
            let error = failed("cannot be written")
            unlink(path)
            throw error
        }
    }

    static func read(_ path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failed(AdminFailure(.refused, "\(path) cannot be read: \(String(cString: strerror(errno)))"))
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while bytes.count <= ClusterBackup.longest {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return bytes
    }
}

struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Brings a cluster back from a backup, with this machine as its first node.",
        discussion: """
            For a machine that is in no cluster, and when no node of the old cluster is left: whatever of it still runs is fenced \
            and can never come back. What clients had open is gone, they open it anew. The other nodes join as new ones \
            ('clusterctl token'); a quorum disk is laid out anew ('clusterctl quorum replace').
            """)

    @OptionGroup var connection: Connection

    @Argument(help: "What 'clusterctl backup' wrote.")
    var file: String

    @Option(help: "This node's name, as clusterd was started with.")
    var nodeName: String

    @Option(help: "HOST:PORT where the other nodes reach this one.")
    var address: String

    @Option(name: .customLong("virtual-ip"), help: "Another address for clients than the one in the backup.")
    var virtualIP: String?

    @Option(help: "The interface that carries the virtual IP.")
    var interface = "eth0"

    @Option(help: "Another LUN than the one in the backup, with the same file system. HOLDFAST_LUN hides it from 'ps'.")
    var lun: String?

    @Flag(help: "The files are gone, too: make a file system on a LUN that is proved empty.")
    var format = false

    @Flag(help: "Throw out whoever holds a reservation on the LUN: the nodes of the old cluster left theirs.")
    var force = false

    @Flag(help: "Take a target that 'clusterctl storage check' calls unsafe.")
    var acceptUnsafe = false

    func run() throws {
        let bytes = try Backup.read(self.file)
        do throws(ClusterBackup.Unreadable) {
            _ = try ClusterBackup(parsing: bytes)
        } catch {
            throw Failed(AdminFailure(.refused, "\(self.file): \(error)"))
        }
        try self.connection.perform(
            .restore(
                RestoreParameters(
                    backup: bytes, nodeName: self.nodeName, address: self.address, interface: self.interface,
                    virtualIP: self.virtualIP ?? "", lun: self.lun ?? environment("HOLDFAST_LUN") ?? "",
                    formats: self.format, forces: self.force, acceptsUnsafe: self.acceptUnsafe)))
    }
}
