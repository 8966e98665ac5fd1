import Raft
import StateRecords

extension AdminRequest {
    /// What was asked, as the audit says it: without any secret. nil: it changes nothing and shows nothing secret.
    package var audit: String? {
        switch self {
        case .initialize(let parameters): "init of cluster \(parameters.clusterName)"
        case .join(let parameters): "join at \(parameters.member)"
        case .restore(let parameters): "restore as \(parameters.nodeName)"
        case .backup(let isLocal): isLocal ? "backup of what this node has" : "backup"
        case .token(let valid): "token, valid for \(valid / 1000) s"
        case .addShare(let share): "share add \(share.name)"
        case .removeShare(let name): "share remove \(name)"
        case .changeShare(let change): "share set \(change.name)"
        case .putUser(let name, _, let replaces): replaces ? "user password \(name)" : "user add \(name)"
        case .removeUser(let name): "user remove \(name)"
        case .setAdministrator(let name, let isAdministrator):
            "user set \(name) --\(isAdministrator ? "" : "no-")administrator"
        case .move(let node): node.isEmpty ? "move" : "move \(node)"
        case .leave(let node): node.isEmpty ? "leave" : "leave \(node)"
        case .changeNode(let change): "node set \(change.description)"
        case .setLimit(let name, let value): "limit set \(name) \(value)"
        case .setSecurity(let name, let value): "security set \(name) \(value)"
        case .snapshot(.create(let share)): "snapshot create \(share)"
        case .snapshot(.delete(let share, let token)): "snapshot delete \(share) \(token)"
        case .snapshot(.cancel(let share)): "snapshot cancel \(share)"
        case .setSnapshotSchedule(let schedule):
            "snapshot schedule \(schedule.share) every \(schedule.everySeconds) s, keep \(schedule.keep)"
        case .removeSnapshotSchedule(let share): "snapshot schedule \(share) --remove"
        case .replaceQuorumDisk(let lun, _): lun.isEmpty ? "quorum remove" : "quorum replace"
        case .growStorage: "storage grow"
        case .setStorageAddress: "storage address"
        case .checkStorage(let lun): lun.isEmpty ? nil : "storage check"
        case .drill(let kind): "drill --kind \(kind.name)"
        case .issueCredentials(let name, let days): "credentials issue \(name) for \(days) days"
        case .revokeCredentials(let name): "credentials revoke \(name)"
        case .certificate(let renews): renews ? "certificate renew" : nil
        case .audited(let request, _): request.audit
        case .finishUpgrade: "upgrade finish"
        case .snapshot(.list), .status, .listUsers, .inspectOpens, .nodeStarted, .listSnapshotSchedules, .rejoin,
            .events, .inspect, .listCredentials, .reissueCertificate,
            .drilled, .rejoinStating:
            nil
        }
    }

    /// What nodes say to each other and no administrator does.
    package var isForNodes: Bool {
        switch self {
        case .nodeStarted, .rejoin, .rejoinStating, .audited, .reissueCertificate: true
        default: false
        }
    }

    /// Done by the node that is asked, whoever leads.
    package func isLocal(to node: String) -> Bool {
        switch self {
        case .initialize, .join, .restore, .checkStorage, .backup(isLocal: true), .certificate: true
        case .leave(let name): name.isEmpty || name == node
        default: false
        }
    }
}

extension AdminReply {
    /// How it went, for the audit.
    package var outcome: String {
        guard case .failed(let failure) = self else { return "done" }
        return "not done: \(failure.message.prefix(EventRecord.longestOutcome))"
    }
}

/// What somebody typed must not look like another line of the log, or fill it.
package func oneLine(_ text: String, longest: Int = 400) -> String {
    var line = ""
    for scalar in text.unicodeScalars.prefix(longest) {
        line.unicodeScalars.append(scalar.properties.generalCategory == .control ? "?" : scalar)
    }
    return line
}

extension EventRecord {
    /// Characters of a failure's message in an event.
    package static let longestOutcome = 200
}
