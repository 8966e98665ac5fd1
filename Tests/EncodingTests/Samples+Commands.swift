import ClusterCore
import Raft
import StateRecords

extension Sample {
    static var commands: [Sample] {
        func command(_ name: String, _ command: Command) -> Sample {
            Sample("command.\(name)", command, since: command.since)
        }
        return [
            command("mutate", .mutate(epoch: 5, Example.mutations)),
            command("addNode", .addNode(Example.node, tokenHash: [1, 2])), command("removeNode", .removeNode(3)),
            command("updateNode", .updateNode(Example.node)), command("addShare", .addShare(Example.share)),
            command("removeShare", .removeShare(name: "test")),
            command("putUser", .putUser(name: "alice", ntHash: [1, 2])),
            command("removeUser", .removeUser(name: "alice")), command("putToken", .putToken(Example.token)),
            command("removeToken", .removeToken(hash: [3])), command("setSettings", .setSettings(Example.settings)),
            command("activate", .activate(node: 1, term: 5, Example.event)),
            command("deactivate", .deactivate(node: 1, term: 5, steps: [Example.step])),
            command("record", .record(Example.event)), command("setLimit", .setLimit(name: "opens", value: 9)),
            command("changeShare", .changeShare(Example.change)),
            command("setAdministrator", .setAdministrator(name: "alice", true)),
            command("setSnapshotSchedule", .setSnapshotSchedule(Example.schedule)),
            command("removeSnapshotSchedule", .removeSnapshotSchedule(share: "test")),
            command("putCredential", .putCredential(Example.credential)),
            command("removeCredential", .removeCredential(name: "anna")),
            command("setSecurity", .setSecurity(name: "signing", value: "optional")),
            command("setStorageAddress", .setStorageAddress("iscsi://h/iqn/1")),
            command("setQuorumDisk", .setQuorumDisk(Example.disk)), command("setQuorumDisk.none", .setQuorumDisk(nil)),
            command("replaceNode", .replaceNode(4)),
            command(
                "raiseVersion", .raiseVersion(2, stated: [StatedProgram(node: 2, program: Example.program)])),
            command("record.upgraded", .record(EventRecord(kind: .upgraded, node: 1, term: 2))),
        ]
    }
}
