import Raft
import StateRecords

/// How `clusterctl drill` takes the share from the node that serves it.
package enum DrillKind: UInt8, Sendable, CaseIterable {
    /// In order, as `clusterctl move`.
    case move = 0
    /// Its clusterd is killed, and with it all that it started.
    case kill = 1
    /// It hears and says nothing to the other nodes and the quorum disk, and goes on otherwise.
    case partition = 2

    package var name: String {
        switch self {
        case .move: "move"
        case .kill: "kill"
        case .partition: "partition"
        }
    }

    package init?(name: String) {
        guard let kind = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = kind
    }
}

extension ClusterStatus {
    /// Why no takeover may be tried now; nil where the cluster is whole. As the leader sees it.
    package var drillProblem: String? {
        guard self.hasQuorum, let active = self.active else { return "the share is not served at the moment" }
        if let problem = self.problem { return problem }
        for node in self.nodes {
            guard node.connected else { return "\(node.name) is not connected" }
            guard node.role == "leader" || node.role == "follower" else { return "\(node.name) does not vote yet" }
            guard node.kind != NodeRole.data.name || node.lunReachable == true else {
                return "\(node.name) does not reach the LUN"
            }
        }
        if let disk = self.quorumDisk, !disk.ready || disk.role != "voter" { return "the quorum disk does not vote" }
        let others = self.nodes.filter { $0.kind == NodeRole.data.name && $0.name != active }
        guard !others.isEmpty else { return "no other data node could take over" }
        let votes = self.nodes.count + (self.quorumDisk == nil ? 0 : 1)
        guard votes >= 3 else { return "two votes are no majority without one of them: add a witness or a quorum disk" }
        return nil
    }
}

/// What a drill found: an event of the cluster.
package struct DrillReport: Equatable, BinaryRecord {
    package var kind: DrillKind
    package var detail: String
    /// The stall, as the client of the drill saw it.
    package var stallMilliseconds: UInt64

    /// Characters of `detail` at most.
    package static let longestDetail = 500

    package init(kind: DrillKind, detail: String, stallMilliseconds: UInt64) {
        self.kind = kind
        self.detail = detail
        self.stallMilliseconds = stallMilliseconds
    }

    package func event(on node: NodeID, term: Term, unixMilliseconds: UInt64) -> EventRecord {
        EventRecord(
            kind: .drill, node: node, term: term, unixMilliseconds: unixMilliseconds,
            steps: [
                StepRecord(
                    name: "stall",
                    microseconds: self.stallMilliseconds.multipliedReportingOverflow(by: 1000).partialValue)
            ],
            detail: "\(self.kind.name): \(self.detail.prefix(Self.longestDetail))")
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.kind.rawValue)
            writer.write(self.detail)
            writer.write(self.stallMilliseconds)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            let tag = try reader.read(UInt8.self)
            guard let kind = DrillKind(rawValue: tag) else { throw .unknownTag(kind: "drill", value: tag) }
            return DrillReport(kind: kind, detail: try reader.read(), stallMilliseconds: try reader.read())
        }
    }
}
