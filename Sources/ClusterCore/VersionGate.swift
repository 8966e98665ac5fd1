import Raft
import StateRecords

// Versions of the cluster, docs/UPGRADE.md: what may be proposed while a version is active, and what a program must not go on
// with. The replicated state has the active version; it rises by a command, and never falls.

extension ClusterVersion {
    /// What each version brought, for people.
    package static let brought: [(version: ClusterVersion, what: String)] = [
        (1, "all that there was before versions were counted"),
        (
            2,
            "versions themselves: the nodes' programs in the replicated state, the event 'upgraded'; nodes that are "
                + "renamed; the limit 'pipe-bytes'"
        ),
    ]
}

extension Command {
    /// The version with which the command came, or whatever of it cannot be left out of its encoding. Proposed only while the
    /// cluster runs that version; `raiseVersion` is what makes it run one.
    package var since: ClusterVersion {
        switch self {
        case .raiseVersion: 2
        case .record(let event): event.kind.since
        case .setLimit(let name, _): ServerLimit(rawValue: name)?.since ?? 1
        default: 1
        }
    }

    /// The version that bytes of the log raise the cluster to, without looking at the rest of them. nil: they raise none.
    package static func raised(by payload: [UInt8]) -> ClusterVersion? {
        guard payload.first == Self.raiseVersionTag,
            case .raiseVersion(let version, _) = try? Command(decoding: payload)
        else { return nil }
        return version
    }
}

extension EventRecord.Kind {
    /// The version with which the kind came: an older program would keep another one in its place.
    package var since: ClusterVersion { self == .upgraded ? 2 : 1 }
}

extension AdminRequest {
    /// The version with which the request came: asked of a node only where its program knows it.
    package var since: ClusterVersion {
        switch self {
        case .finishUpgrade, .rejoinStating, .changeNode: 2
        case .setLimit(let name, _): ServerLimit(rawValue: name)?.since ?? 1
        case .audited(let request, _): request.since
        default: 1
        }
    }
}

/// Why a program must not go on: what it would skip the other nodes have applied.
package enum VersionProblem: Error, Equatable, Sendable, CustomStringConvertible {
    /// The cluster runs, from that entry on, a version that the program cannot run.
    case tooNew(ClusterVersion, from: LogIndex, program: ClusterVersionRange)
    /// The cluster runs a version that the program can no longer run.
    case tooOld(ClusterVersion, program: ClusterVersionRange)
    /// An entry that the program should be able to read.
    case unreadable(LogIndex, String, program: ClusterVersionRange)

    package var description: String {
        switch self {
        case .tooNew(let version, let index, let program):
            "the cluster runs version \(version) (from entry \(index) on), and this program can run \(program): install on "
                + "this node the program that the others run, and start it. Nothing of the state was changed"
        case .tooOld(let version, let program):
            "the cluster runs version \(version), and this program can run \(program): install a program in between first, on "
                + "all nodes, and 'clusterctl upgrade finish' there. Nothing of the state was changed"
        case .unreadable(let index, let what, let program):
            "entry \(index) of the log cannot be read (\(what)) by this program, which can run \(program): it is not skipped, "
                + "because the other nodes may have applied it. Install on this node the program that the others run"
        }
    }
}

extension ClusterVersionRange {
    /// nil: a node with this program may keep the entry. Before it is stored, so that an entry which raises the version is
    /// acknowledged by nobody who could not apply it.
    package func problem(with entry: Entry) -> VersionProblem? {
        guard case .command(let payload) = entry.payload else { return nil }
        if let raised = Command.raised(by: payload) {
            return raised > self.newest ? .tooNew(raised, from: entry.index, program: self) : nil
        }
        guard let tag = payload.first, Command.isKnown(tag: tag) else {
            let tag = payload.first.map { "\($0)" } ?? "without a tag"
            return .unreadable(entry.index, "command \(tag)", program: self)
        }
        return nil
    }

    /// nil: a node with this program may go on from the state.
    package func problem(with state: ClusterState) -> VersionProblem? {
        if state.version > self.newest { return .tooNew(state.version, from: state.appliedIndex, program: self) }
        return state.version < self.oldest ? .tooOld(state.version, program: self) : nil
    }

    /// nil: a machine with this program may join a cluster that runs `active`. For whoever wants it to.
    package func refusal(ofJoining name: String, to active: ClusterVersion) -> AdminFailure? {
        if active > self.newest {
            return AdminFailure(
                .refused,
                "the cluster runs version \(active), and the program of \(name) can run \(self): install there the program "
                    + "that the other nodes run")
        }
        guard active < self.oldest else { return nil }
        return AdminFailure(
            .refused,
            "the cluster runs version \(active), and the program of \(name) can run \(self): upgrade the nodes of the cluster "
                + "first ('clusterctl upgrade status'), or install there the program that they run")
    }
}

/// Why a command is not proposed: the cluster runs an older version than the one with which it came.
package struct VersionHold: Equatable, Sendable, CustomStringConvertible {
    package var needed: ClusterVersion
    package var active: ClusterVersion
    /// Whose programs cannot run `needed`, for all that is known; empty: everybody's can.
    package var holders: [String]

    package init(needed: ClusterVersion, active: ClusterVersion, holders: [String]) {
        self.needed = needed
        self.active = active
        self.holders = holders
    }

    package var description: String {
        "this came with version \(self.needed) of the cluster, which runs version \(self.active): "
            + (self.holders.isEmpty
                ? "every node can run it, 'clusterctl upgrade finish' makes it"
                : "\(self.holders.joined(separator: ", ")) must be upgraded first, then 'clusterctl upgrade finish'; "
                    + "'clusterctl upgrade status' shows who stands where")
    }
}
