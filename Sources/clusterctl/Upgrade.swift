import ArgumentParser
import ClusterCore
import StateRecords

struct Upgrade: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Where an upgrade of the nodes' programs stands, and its end.",
        discussion: """
            Programs are replaced node by node, while the share is served. What the new ones can do beyond the old ones stays off \
            until 'clusterctl upgrade finish'; until then the old programs can be put back.
            """,
        subcommands: [Show.self, Finish.self], defaultSubcommand: Show.self)

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status",
            abstract: "The programs of the nodes, what is held back, by whom, and what to do next.",
            discussion: """
                Exit status 0: nothing is to be done; 6: programs are to be replaced, or nodes to be started; 7: 'clusterctl upgrade \
                finish' is all that is left.
                """)

        @OptionGroup var connection: Connection

        func run() throws {
            let report: StatusReport
            switch try AdminClient.ask(.status, over: self.connection) {
            case .status(let found): report = found
            case .failed(let failure): throw Failed(failure)
            default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
            }
            guard let plan = report.upgrade else {
                throw Failed(
                    AdminFailure(
                        .refused,
                        "clusterd of \(report.reporter) is older than this: it knows no other version of the cluster than 1. Ask a "
                            + "node whose program is replaced already"))
            }
            print(Render.upgrade(plan, report.status))
            if plan.exitStatus != 0 { throw ExitCode(plan.exitStatus) }
        }
    }

    struct Finish: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Has the cluster do what its programs can, once every node runs one that can.",
            discussion: """
                Raises the cluster's version, for good: a program that cannot run it is refused from then on, by the other nodes and by \
                what is stored. Until then nothing stands in the way of putting the old programs back. Refused where a node's \
                program cannot run the newer version, or the node is not connected.
                """)

        @OptionGroup var connection: Connection

        func run() throws { try self.connection.perform(.finishUpgrade) }
    }
}

extension Render {
    static func upgrade(_ plan: UpgradePlan, _ status: ClusterStatus) -> String {
        var rows = [["NODE", "KIND", "PROGRAM", "CAN RUN", "LINK", ""]]
        for node in status.nodes {
            let member = plan.members.first { $0.node == node.id }
            let current = member?.isCurrent == true || member?.program == nil
            rows.append([
                node.name, node.kind, member?.program?.name ?? "older", "\(member?.versions ?? .unstated)",
                node.connected ? "up" : "DOWN", current ? (node.active ? "active" : "") : "as it said last",
            ])
        }
        var lines = ["Cluster \(status.cluster) runs version \(plan.active)", ""]
        lines += self.table(rows)
        lines.append("")
        for row in plan.heldBack {
            let holders = row.by.isEmpty ? "nobody" : row.by.joined(separator: ", ")
            lines.append("Held back: version \(row.version), \(row.what); by \(holders)")
        }
        lines.append("Next: \(plan.next)")
        return lines.joined(separator: "\n")
    }
}
