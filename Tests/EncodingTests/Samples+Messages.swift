import ClusterCore
import Raft
import StateRecords

extension Sample {
    /// Between nodes, and between the processes of one.
    static var messages: [Sample] {
        let entries = [Entry(index: 5, term: 2, payload: .empty), Entry(index: 6, term: 2, payload: .command([1, 2]))]
        let bodies: [(String, Message.Body)] = [
            ("preVoteRequest", .preVoteRequest(lastIndex: 1, lastTerm: 2)),
            ("preVoteResponse", .preVoteResponse(granted: true)),
            ("voteRequest", .voteRequest(lastIndex: 1, lastTerm: 2, force: true)),
            ("voteResponse", .voteResponse(granted: true)),
            ("append", .append(.init(previousIndex: 4, previousTerm: 1, entries: entries, commitIndex: 3))),
            ("appendAccepted", .appendAccepted(matchIndex: 9)),
            ("appendRejected", .appendRejected(previousIndex: 1, hintIndex: 2, hintTerm: 3)),
            ("heartbeat", .heartbeat(round: 4, commitIndex: 5)), ("heartbeatResponse", .heartbeatResponse(round: 4)),
            ("snapshot", .snapshot(Snapshot(index: 9, term: 3, configuration: Example.membership))),
            ("timeoutNow", .timeoutNow(round: 8)),
        ]
        let raft = bodies.map { Sample("raft.\($0.0)", Message(from: 1, to: 2, term: 3, body: $0.1)) }
        let snapshot = Message(
            from: 1, to: 2, term: 3,
            body: .snapshot(Snapshot(index: 9, term: 3, configuration: Example.membership)))
        let peers = [
            Sample("peer.raft", PeerMessage.raft(snapshot)),
            Sample("peer.snapshot", PeerMessage.snapshot(snapshot, SnapshotPart(number: 1, count: 2, bytes: [7]))),
            Sample("peer.reach", PeerMessage.reach(.no)),
            Sample("peer.introduction", PeerMessage.introduction(Example.node)),
            Sample("joinRequest", JoinRequest(secret: [1, 2], node: Example.node)),
            Sample("joinReply.accepted", Example.accepted),
            Sample("joinReply.redirect", JoinReply.redirect(address: "a")),
            Sample("joinReply.refused", JoinReply.refused(AdminFailure(.refused, "f"))),
        ]
        let toServer: [(String, ClusterToServer)] = [
            ("configure", .configure(Example.server)), ("load", .load(opens: [Example.open])),
            ("serve", .serve(epoch: 4, nextPersistentID: 4096)), ("appended", .appended(sequence: 1)),
            ("refused", .refused(sequence: 2)), ("freeze", .freeze), ("stop", .stop),
            ("statusRequest", .statusRequest), ("lease", .lease(until: 1 << 40)),
            ("snapshot", .snapshot(id: 1, .create(share: "a"))), ("ping", .ping),
        ]
        let toCluster: [(String, ServerToCluster)] = [
            ("ready", .ready(processID: 99)),
            ("append", .append(sequence: 3, isAwaited: true, mutations: Example.mutations)),
            ("serving", .serving(epoch: 4, reopened: 5, lost: 6)), ("frozen", .frozen),
            ("status", .status(Example.serverStatus)), ("storageFailed", .storageFailed(detail: "EIO")),
            ("snapshotDone", .snapshotDone(id: 1, .done("a"))),
            ("snapshotDone.failed", .snapshotDone(id: 1, .failed("a"))),
            ("snapshotDone.list", .snapshotDone(id: 1, .list([Example.snapshot]))), ("pong", .pong),
        ]
        let shares = [
            Sample("toServer.unservedRequest", ClusterToServer.unservedRequest, since: 2),
            Sample("toCluster.unserved", ServerToCluster.unserved([UnservedShare(name: "a", reason: "r")]), since: 2),
        ]
        return raft + peers + toServer.map { Sample("toServer.\($0.0)", $0.1) }
            + toCluster.map { Sample("toCluster.\($0.0)", $0.1) } + shares
    }
}
