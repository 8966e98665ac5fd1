import ArgumentParser
import ClusterCore
import Foundation
import StateRecords

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the nodes, who serves, the LUN, the clients and the last takeover.")

    @OptionGroup var connection: Connection

    @Flag(help: "As JSON; docs/CLUSTERCTL.md describes it.")
    var json = false

    @Flag(help: "Again every second, until Ctrl-C.")
    var watch = false

    func run() throws {
        guard self.watch else { return try self.show() }
        while true {
            if !self.json { print("\u{1B}[2J\u{1B}[H", terminator: "") }
            do { try self.show() } catch let failed as Failed { print(failed.description) } catch let gone
                as Unreachable
            {
                print(gone.message)
            }
            fflush(nil)
            sleep(1)
        }
    }

    private func show() throws {
        let status = try AdminClient.status(self.connection)
        guard self.json else { return print(Render.status(status)) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = self.watch ? [.sortedKeys] : [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(status), as: UTF8.self))
    }
}

/// For people.
enum Render {
    static func status(_ status: ClusterStatus) -> String {
        var lines: [String] = []
        let served =
            if let active = status.active { "served by \(active)" } else { "not served" }
        lines.append("Cluster \(status.cluster): \(served) at \(status.virtualIPs.joined(separator: ", "))")
        if let problem = status.problem { lines.append("Problem: \(problem)") }
        if let version = status.version { lines.append("Version: \(version) of the cluster\(self.mixed(status))") }
        lines.append(
            "Quorum:  \(status.hasQuorum ? "yes" : "NO"), term \(status.term), leader \(status.leader ?? "nobody"), "
                + "entry \(status.commitIndex) committed, \(status.appliedIndex) applied (as \(status.reporter) sees it: \(status.phase))"
        )
        lines.append("")
        var rows = [["NODE", "KIND", "ROLE", "LINK", "LAG", "LUN", "ADDRESS", ""]]
        for node in status.nodes {
            rows.append([
                node.name, node.kind, node.role, node.connected ? "up" : "DOWN", node.lag.map { "\($0)" } ?? "-",
                node.lunReachable.map { $0 ? "reached" : "NOT REACHED" } ?? "-",
                node.address, node.active ? "active" : "",
            ])
        }
        lines += self.table(rows)
        lines.append("")
        lines.append("LUN:     \(status.lun)")
        lines.append("         file system \(status.fileSystem); fence \(status.fence)")
        let paths = (status.paths ?? []).map { path in
            let reached = path.reached.map { $0 ? "reached" : "NOT REACHED" } ?? "not tried yet"
            return "\(path.portal) \(reached)\(path.used ? ", in use" : "")"
        }
        if !paths.isEmpty { lines.append("         from \(status.reporter): \(paths.joined(separator: "; "))") }
        if let disk = status.quorumDisk { lines.append("Quorum disk: \(self.quorumDisk(disk))") }
        let handles = status.handles
        var handleText =
            "\(handles.persistent) persistent, \(handles.durable) durable, \(handles.locks) locks, \(handles.leases) leases"
        if let open = handles.open { handleText += "; \(open) open in all" }
        if let disconnected = handles.disconnected { handleText += ", \(disconnected) disconnected" }
        lines.append("Handles: \(handleText)")
        lines.append("Clients: \(status.clients.isEmpty ? "none" : status.clients.joined(separator: ", "))")
        lines.append("Shares:  \(status.shares.isEmpty ? "none: 'clusterctl share add NAME'" : "")")
        for share in status.shares { lines.append("  \(self.share(share))") }
        lines.append("Users:   \(status.users)")
        let limits = status.limits.map { self.limit($0) }
        for (index, start) in stride(from: 0, to: limits.count, by: 4).enumerated() {
            let row = limits[start..<min(start + 4, limits.count)].joined(separator: ", ")
            lines.append((index == 0 ? "Limits:  " : "         ") + row)
        }
        lines.append("Security: \(status.security.map { self.security($0) }.joined(separator: ", "))")
        if let last = status.lastTakeover {
            lines.append("")
            lines.append(
                "Last takeover: \(last.kind) to \(last.node) at \(self.time(last.unixMilliseconds)), "
                    + "\(self.milliseconds(last.milliseconds)) ms")
            for step in last.steps {
                let padded = step.name.padding(toLength: max(24, step.name.count), withPad: " ", startingAt: 0)
                lines.append("  \(padded) \(self.milliseconds(step.milliseconds)) ms")
            }
        }
        let others = status.events.suffix(6)
        if !others.isEmpty {
            lines.append("")
            lines.append("Events:")
            for event in others {
                lines.append("  \(self.event(event))")
            }
        }
        return lines.joined(separator: "\n")
    }

    static func share(_ share: ClusterStatus.Share) -> String {
        var marks: [String] = []
        if share.continuouslyAvailable { marks.append("continuously available") }
        if share.readOnly { marks.append("read-only") }
        if share.encrypted { marks.append("encrypted") }
        if share.accessBased { marks.append("access based") }
        if share.shortNames { marks.append("short names") }
        if !share.streams { marks.append("no streams") }
        if !share.notify { marks.append("no notify") }
        if share.keepInherited { marks.append("keeps inherited") }
        if !share.hiddenFiles.isEmpty { marks.append("hides \(share.hiddenFiles.joined(separator: "/"))") }
        if !share.permissions.isEmpty { marks.append(share.permissions.joined(separator: " ")) }
        let tail = marks.isEmpty ? "" : " (\(marks.joined(separator: ", ")))"
        return "\(share.name) -> /\(share.path)\(tail)\(share.comment.isEmpty ? "" : "  \(share.comment)")"
    }

    static func limit(_ limit: ClusterStatus.Limit) -> String {
        "\(limit.name) \(limit.used.map { "\($0)" } ?? "-")/\(limit.limit)"
    }

    static func security(_ setting: ClusterStatus.Security) -> String { "\(setting.name) \(setting.value)" }

    static func open(_ open: OpenRecord) -> String {
        let kind = open.isPersistent ? "persistent" : "durable"
        let lease = open.lease.map { " lease \($0.state)" } ?? ""
        let stream = open.stream.isEmpty ? "" : ":\(open.stream)"
        let path = open.path.isEmpty ? "/" : open.path
        return "\(open.persistentID) \(kind) \(open.userName) \(open.share)/\(path)\(stream) access "
            + "0x\(String(open.grantedAccess, radix: 16)) share \(open.shareAccess) locks \(open.locks.count)\(lease)"
    }

    static func milliseconds(_ value: Double) -> String { String(format: "%.1f", value) }

    static func time(_ unixMilliseconds: UInt64) -> String {
        let formatter = DateFormatter()
        formatter.dateFormat = "yyyy-MM-dd HH:mm:ss"
        return formatter.string(from: Date(timeIntervalSince1970: Double(unixMilliseconds) / 1000))
    }

    /// In a cluster whose nodes' programs differ, or could run more.
    private static func mixed(_ status: ClusterStatus) -> String {
        guard status.mixed != nil else { return "" }
        let programs = status.nodes.map { "\($0.name) \($0.program.map { self.program($0) } ?? "unknown")" }
        return ", MIXED: \(programs.joined(separator: ", ")); see 'clusterctl upgrade status'"
    }

    static func program(_ program: ClusterStatus.Program) -> String {
        let versions = program.oldest == program.newest ? "\(program.newest)" : "\(program.oldest) to \(program.newest)"
        return "\(program.name ?? "older") (can run \(versions))"
    }

    static func table(_ rows: [[String]]) -> [String] {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                if column == widths.count { widths.append(0) }
                widths[column] = max(widths[column], cell.count)
            }
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell + String(repeating: " ", count: widths[column] - cell.count + 2)
            }
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }
    }
}
