import Raft
import StateRecords

/// Where an upgrade stands: from the active version and what each node said of its program. Decides what holds it back, what to
/// do next, and which version the cluster can be raised to.
package struct UpgradePlan: Equatable, Sendable {
    package struct Member: Equatable, Sendable {
        package var node: NodeID
        package var name: String
        package var isConnected: Bool
        /// nil: it never said, which the programs before version 2 do not.
        package var program: NodeProgram?
        /// It said so over the link that is up now: a program may have been replaced by an older one meanwhile.
        package var isCurrent: Bool

        package init(node: NodeID, name: String, isConnected: Bool, program: NodeProgram?, isCurrent: Bool) {
            self.node = node
            self.name = name
            self.isConnected = isConnected
            self.program = program
            self.isCurrent = isCurrent
        }

        package var versions: ClusterVersionRange { self.program?.versions ?? .unstated }
    }

    package enum Stage: Equatable, Sendable {
        /// Every node can run what is active, and none could run more.
        case complete
        /// These nodes' programs cannot run what another's can.
        case replacing([String])
        /// These nodes' programs are not known for certain at the moment.
        case unknown([String])
        /// Every node can run it: `clusterctl upgrade finish`.
        case ready(ClusterVersion)
    }

    package var active: ClusterVersion
    package var members: [Member]

    package init(active: ClusterVersion, members: [Member]) {
        self.active = active
        self.members = members
    }

    /// The newest that some node's program can run.
    package var target: ClusterVersion { max(self.active, self.members.map(\.versions.newest).max() ?? self.active) }

    /// What all nodes can run.
    package var common: ClusterVersion { self.members.map(\.versions.newest).min() ?? self.active }

    /// Whose programs cannot run the version, or are not known to.
    package func holders(of version: ClusterVersion) -> [Member] {
        self.members.filter { !$0.versions.contains(version) }
    }

    package var stage: Stage {
        let behind = self.holders(of: self.target)
        // One that is gone is no reason to replace its program.
        let replaced = behind.filter { $0.isCurrent || ($0.isConnected && $0.program == nil) }
        if self.common <= self.active, !replaced.isEmpty { return .replacing(replaced.map(\.name)) }
        let unknown = self.members.filter { !$0.isConnected || !($0.isCurrent || $0.program == nil) }
        if self.target > self.active, !unknown.isEmpty { return .unknown(unknown.map(\.name)) }
        return self.common > self.active ? .ready(self.common) : .complete
    }

    /// The version to raise the cluster to now, or why not.
    package func finish() -> Result<ClusterVersion, AdminFailure> {
        switch self.stage {
        case .complete:
            return .failure(
                AdminFailure(
                    .refused,
                    "there is nothing to finish: the cluster runs version \(self.active), the newest that its programs "
                        + "can run"))
        case .replacing(let names):
            return .failure(
                AdminFailure(
                    .refused,
                    "the upgrade cannot be finished: \(self.told(names)). Replace "
                        + "\(names.count == 1 ? "that program" : "those programs") first; until the upgrade is finished the "
                        + "old programs can be put back everywhere"))
        case .unknown(let names):
            return .failure(
                AdminFailure(
                    .unavailable,
                    "the upgrade cannot be finished: what \(names.joined(separator: ", ")) can run is not known for "
                        + "certain, because there is no link at the moment. Start it, or take it out with "
                        + "'clusterctl leave NODE'"))
        case .ready(let version): return .success(version)
        }
    }

    private func told(_ names: [String]) -> String {
        self.members.filter { names.contains($0.name) }.map { member in
            let program = member.program.map { "program \($0.name)" } ?? "an older program"
            return "\(member.name) runs \(program) and can run version \(member.versions) only"
        }.joined(separator: ", ")
    }

    /// What each newer version brings that some node could do already.
    package var heldBack: [(version: ClusterVersion, what: String, by: [String])] {
        ClusterVersion.brought.filter { $0.version > self.active && $0.version <= self.target }.map { row in
            (row.version, row.what, self.holders(of: row.version).map(\.name))
        }
    }

    /// For people.
    package var next: String {
        switch self.stage {
        case .complete:
            "nothing: every node runs a program that can do all that the cluster does, and none could do more"
        case .replacing(let names):
            "replace the program of \(names.joined(separator: ", ")): one node at a time, the active one last, after "
                + "'clusterctl move'. Until 'clusterctl upgrade finish' the old programs can be put back"
        case .unknown(let names):
            "start \(names.joined(separator: ", ")), or take it out with 'clusterctl leave NODE': what it can run is not known "
                + "for certain"
        case .ready(let version):
            "'clusterctl upgrade finish' raises the cluster to version \(version); from then on programs that cannot run it "
                + "are refused, until then the old ones can be put back"
        }
    }

    /// Of `clusterctl upgrade status`: 0 complete, 6 programs are to be replaced or started, 7 ready to be finished.
    package var exitStatus: Int32 {
        switch self.stage {
        case .complete: 0
        case .replacing, .unknown: 6
        case .ready: 7
        }
    }
}
