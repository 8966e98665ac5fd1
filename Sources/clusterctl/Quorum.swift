import ArgumentParser
import ClusterCore

struct Quorum: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows and replaces the quorum disk, the vote that two nodes need beside their own.",
        subcommands: [Show.self, Replace.self, Remove.self])

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows the quorum disk as the leader sees it, or this node where there is none.")
        @OptionGroup var connection: Connection

        func run() throws {
            let status = try AdminClient.status(self.connection)
            print(status.quorumDisk.map(Render.quorumDisk) ?? "the cluster has no quorum disk")
        }
    }

    struct Replace: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lays out a LUN as the quorum disk, in the place of the present one where there is one.",
            discussion: "Both nodes must be connected. Waits until the disk votes, at most 30 s.")
        @OptionGroup var connection: Connection

        @Argument(
            help:
                "iscsi://user%password@host[:port]/target-iqn/lun, at least 256 MiB. HOLDFAST_QUORUM_LUN in the environment hides it from 'ps'."
        )
        var lun: String?

        @Flag(help: "Also a LUN that is a quorum disk already.")
        var force = false

        func run() throws {
            guard let lun = self.lun ?? environment("HOLDFAST_QUORUM_LUN"), !lun.isEmpty else {
                throw ValidationError("give the LUN as an argument or in HOLDFAST_QUORUM_LUN")
            }
            try self.connection.perform(.replaceQuorumDisk(lun: lun, forces: self.force))
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Takes the quorum disk out. Two nodes alone then need each other.")
        @OptionGroup var connection: Connection

        func run() throws {
            try self.connection.perform(.replaceQuorumDisk(lun: "", forces: false))
        }
    }
}

extension Render {
    static func quorumDisk(_ disk: ClusterStatus.QuorumDisk) -> String { "\(disk.lun): \(disk.role), \(disk.state)" }
}
