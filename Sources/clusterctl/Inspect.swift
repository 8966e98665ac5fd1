import ArgumentParser
import ClusterCore
import Foundation
import StateRecords

struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the replicated state, now or as of an entry of the log.",
        subcommands: [Opens.self, Leases.self, Locks.self, Clients.self, Configuration.self])

    struct At: ParsableArguments {
        @Option(
            help: """
                As of this entry, from what this node keeps: its last stored state and the log behind it. Without: as the leader has \
                it now.
                """)
        var index: UInt64?

        func validate() throws {
            if self.index == 0 { throw ValidationError("the first entry is 1") }
        }
    }

    struct Opens: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Every open that survives a failover.")
        @OptionGroup var connection: Connection
        @OptionGroup var at: At

        func run() throws {
            let found = try Inspect.ask(.opens, self.at, self.connection)
            for open in found.opens { print(Render.open(open)) }
            if found.opens.isEmpty { print("no durable or persistent opens") }
        }
    }

    struct Leases: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "What clients may cache of those opens.")
        @OptionGroup var connection: Connection
        @OptionGroup var at: At

        func run() throws {
            let found = try Inspect.ask(.leases, self.at, self.connection)
            for open in found.opens { print(Render.lease(open)) }
            if found.opens.isEmpty { print("no leases or oplocks") }
        }
    }

    struct Locks: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The byte ranges that those opens have locked.")
        @OptionGroup var connection: Connection
        @OptionGroup var at: At

        func run() throws {
            let found = try Inspect.ask(.locks, self.at, self.connection)
            for open in found.opens { for lock in open.locks { print(Render.lock(lock, of: open)) } }
            if found.opens.isEmpty { print("no locks") }
        }
    }

    struct Clients: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The TCP connections that a takeover would send a tickle ACK.")
        @OptionGroup var connection: Connection
        @OptionGroup var at: At

        func run() throws {
            let found = try Inspect.ask(.clients, self.at, self.connection)
            for client in found.clients { print(Render.client(client)) }
            if found.clients.isEmpty { print("no clients") }
        }
    }

    struct Configuration: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What the administrator decided, without passwords, hashes and keys.")
        @OptionGroup var connection: Connection
        @OptionGroup var at: At

        func run() throws {
            guard let found = try Inspect.ask(.configuration, self.at, self.connection).configuration else { return }
            print(Render.configuration(found))
        }
    }

    /// Says first as of when.
    private static func ask(_ part: InspectedPart, _ at: At, _ connection: Connection) throws -> Inspection {
        switch try AdminClient.ask(.inspect(part, index: at.index ?? 0), over: connection) {
        case .inspection(let inspection):
            print("as of entry \(inspection.index), term \(inspection.term)")
            return inspection
        case .failed(let failure): throw Failed(failure)
        default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
        }
    }
}

extension Render {
    private static func place(_ open: OpenRecord) -> String {
        "\(open.share)/\(open.path)\(open.stream.isEmpty ? "" : ":\(open.stream)")"
    }

    static func lease(_ open: OpenRecord) -> String {
        guard let lease = open.lease else {
            return "\(open.persistentID) \(open.userName) \(self.place(open)) oplock level \(open.oplockLevel)"
        }
        let rights = [(1, "R"), (2, "H"), (4, "W")].map { lease.state & $0.0 == 0 ? "-" : $0.1 }.joined()
        return "\(open.persistentID) \(open.userName) \(self.place(open)) lease \(rights) version \(lease.version) "
            + "epoch \(lease.epoch) key \(ClusterStatus.text(lease.key))"
    }

    static func lock(_ lock: LockRecord, of open: OpenRecord) -> String {
        "\(open.persistentID) \(open.userName) \(self.place(open)) \(lock.isExclusive ? "exclusive" : "shared") from "
            + "\(lock.offset), \(lock.length) bytes"
    }

    static func client(_ client: ClientRecord) -> String {
        "\(ClusterStatus.text(client.clientAddress)):\(client.clientPort) at "
            + "\(ClusterStatus.text(client.serverAddress)):\(client.serverPort)"
    }

    static func configuration(_ configuration: ClusterConfiguration) -> String {
        var lines = [
            "cluster \(configuration.name), id \(ClusterStatus.text(configuration.guid)), domain S-1-5-21-"
                + configuration.domain.map { "\($0)" }.joined(separator: "-"),
            "virtual IPs \(configuration.virtualIPs.joined(separator: ", "))", "LUN \(configuration.lun)",
        ]
        for node in configuration.nodes {
            let former =
                node.former.isEmpty ? "" : ", was \(node.former.map { "\($0)" }.joined(separator: ", ")) before"
            lines.append(
                "node \(node.id) \(node.name) \(node.role.name) \(node.address) on \(node.interface), "
                    + "start \(node.incarnation)\(former)")
        }
        lines.append("next node \(configuration.nextNodeID), next user \(configuration.nextRelativeID)")
        for share in configuration.shares { lines.append("share \(self.share(ClusterStatus.Share(share)))") }
        for schedule in configuration.snapshotSchedules {
            lines.append("snapshots of \(schedule.share) every \(schedule.everySeconds) s, \(schedule.keep) stay")
        }
        for user in configuration.users {
            lines.append("user \(user.relativeID) \(user.name)\(user.isAdministrator ? " (administrator)" : "")")
        }
        let settings = configuration.settings
        lines.append(
            "heartbeat \(settings.heartbeatMilliseconds) ms, election \(settings.electionMinimumMilliseconds) to "
                + "\(settings.electionMaximumMilliseconds) ms, lease \(settings.leaseMilliseconds) ms")
        for limit in ServerLimit.allCases { lines.append("limit \(limit.rawValue) \(settings.limits[limit])") }
        for setting in SecuritySetting.allCases {
            lines.append("security \(setting.rawValue) \(settings.security[setting])")
        }
        return lines.joined(separator: "\n")
    }
}
