import ClusterCore
import Raft
import StateRecords

extension Example {
    static let initialize: InitializeParameters = {
        var parameters = InitializeParameters(
            clusterName: "a", nodeName: "b", address: "c", virtualIP: "d", interface: "e", lun: "f", formats: true,
            adopts: true, forces: true, acceptsUnsafe: true)
        parameters.quorumLUN = "g"
        return parameters
    }()
    static let join = JoinParameters(
        member: "a", token: "b", nodeName: "c", address: "d", interface: "e", role: .witness)
    static let restore = RestoreParameters(
        backup: [1], nodeName: "a", address: "b", interface: "c", virtualIP: "d", lun: "e", formats: true, forces: true,
        acceptsUnsafe: true)
    static let drill = DrillReport(kind: .partition, detail: "d", stallMilliseconds: 1234)
    static let report: StatusReport = {
        var report = StatusReport(
            reporter: "node-a", state: state, active: state.active, term: 5, commitIndex: 9, leader: "node-a",
            hasQuorum: true, phase: "serving", problem: "p",
            nodes: [.init(id: 1, isConnected: true, role: 3, lag: 4, reach: .yes)], lun: "l", fileSystem: "f",
            fence: "x", server: serverStatus)
        report.quorumDisk = QuorumDiskStatus(lun: "q", role: "voter", state: "ready", isReady: true)
        report.paths = [PathReport(portal: "10.0.0.20:3260", reach: .no, isUsed: true)]
        report.knowsPrograms = true
        report.nodes[0].program = program
        report.nodes[0].isCurrent = true
        return report
    }()
    static let storage: StorageReport = {
        var report = StorageReport(
            lun: "l", product: "p", byteCount: 1 << 30, blockSize: 512, isThin: true,
            findings: [StorageReport.Finding(.note, "n")])
        report.others = [
            StorageReport(lun: "m", product: "q", byteCount: 1, blockSize: 2, isThin: false, findings: [])
        ]
        return report
    }()
    static let certificate = CredentialsReply(certificatePEM: "c", keyPEM: "k", authorityPEM: "a")
    static let accepted = JoinReply.accepted(
        node: node, clusterName: "tshare", certificatePEM: "c", keyPEM: "k", authorityPEM: "a", peers: [node])
}

extension Sample {
    static var requests: [Sample] {
        func request(_ name: String, _ request: AdminRequest) -> Sample {
            Sample("request.\(name)", request, since: request.since)
        }
        return [
            request("initialize", .initialize(Example.initialize)), request("join", .join(Example.join)),
            request("token", .token(validMilliseconds: 7)), request("status", .status),
            request("addShare", .addShare(Example.share)), request("removeShare", .removeShare(name: "a")),
            request("putUser", .putUser(name: "a", ntHash: [1], replaces: true)),
            request("removeUser", .removeUser(name: "a")), request("listUsers", .listUsers),
            request("move", .move(node: "a")), request("leave", .leave(node: "a")),
            request("inspectOpens", .inspectOpens), request("nodeStarted", .nodeStarted(Example.node)),
            request("changeNode", .changeNode(NodeChange(node: "a", name: "b", address: "c:1"))),
            request("setLimit", .setLimit(name: "opens", value: 9)),
            request("changeShare", .changeShare(Example.change)),
            request("setAdministrator", .setAdministrator(name: "a", true)),
            request("snapshot.create", .snapshot(.create(share: "a"))),
            request("snapshot.delete", .snapshot(.delete(share: "a", token: "t"))),
            request("snapshot.list", .snapshot(.list(share: "a"))),
            request("snapshot.cancel", .snapshot(.cancel(share: "a"))),
            request("setSnapshotSchedule", .setSnapshotSchedule(Example.schedule)),
            request("removeSnapshotSchedule", .removeSnapshotSchedule(share: "a")),
            request("listSnapshotSchedules", .listSnapshotSchedules),
            request("issueCredentials", .issueCredentials(name: "a", days: 30)),
            request("revokeCredentials", .revokeCredentials(name: "a")), request("listCredentials", .listCredentials),
            request("certificate", .certificate(renews: true)), request("reissueCertificate", .reissueCertificate),
            request("checkStorage", .checkStorage(lun: "l")), request("growStorage", .growStorage),
            request("setStorageAddress", .setStorageAddress(lun: "l")),
            request("setSecurity", .setSecurity(name: "a", value: "b")),
            request("replaceQuorumDisk", .replaceQuorumDisk(lun: "l", forces: true)),
            request("rejoin", .rejoin(reason: "r")), request("backup", .backup(isLocal: true)),
            request("restore", .restore(Example.restore)), request("events", .events),
            request("inspect", .inspect(.locks, index: 9)), request("drill", .drill(.kill)),
            request("drilled", .drilled(Example.drill)),
            request("audited", .audited(.removeUser(name: "a"), by: "uid 0")),
            request("finishUpgrade", .finishUpgrade),
            request("rejoinStating", .rejoinStating(reason: "r", Example.program)),
        ]
    }

    static var replies: [Sample] {
        func reply(_ name: String, _ reply: AdminReply) -> Sample { Sample("reply.\(name)", reply) }
        return [
            reply("done", .done("a")), reply("failed", .failed(AdminFailure(.storage, "b"))),
            reply("token", .token("c")), reply("status", .status(Example.report)), reply("users", .users(["a"])),
            reply("opens", .opens([Example.open])), reply("snapshots", .snapshots([Example.snapshot])),
            reply("snapshotSchedules", .snapshotSchedules([Example.schedule])),
            reply("credentials", .credentials(Example.certificate)),
            reply("credentialList", .credentialList([Example.credential])), reply("storage", .storage(Example.storage)),
            reply("joined", .joined(Example.accepted)), reply("backup", .backup([1, 2])),
            reply("events", .events(EventHistory(events: [Example.event], nodes: [Example.node]))),
            reply("inspection", .inspection(Inspection(.opens, of: Example.state, lun: "l"))),
            reply("inspection.configuration", .inspection(Inspection(.configuration, of: Example.state, lun: "l"))),
        ]
    }
}
