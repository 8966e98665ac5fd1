import Raft
import StateRecords
import Testing

@testable import ClusterCore

@Suite struct InspectionTests {
    private static func open(_ id: UInt64, locks: [LockRecord] = [], lease: LeaseRecord? = nil) -> OpenRecord {
        var open = OpenRecord(
            persistentID: id, createGUID: GUID16(low: 1, high: id), clientGUID: GUID16(low: 3, high: 4),
            ownerSID: "S-1-5-21-1", userName: "alice", share: "test", path: "a.txt",
            file: FileIdentity(fileSystem: .zero, handleType: 1, handle: [1]), grantedAccess: 1, shareAccess: 1,
            createOptions: 0, createDisposition: 1, createAction: 1, fileAttributes: 0, timeoutMilliseconds: 60_000,
            isPersistent: true)
        open.locks = locks
        open.lease = lease
        return open
    }

    private static let state: ClusterState = {
        var configuration = ClusterConfiguration(
            name: "tshare", guid: GUID16(low: 1, high: 2), domain: [1, 2, 3], certificateAuthority: "THE KEY",
            nodes: [NodeRecord(id: 1, name: "node-a", address: "10.0.0.1:7420", role: .data, interface: "eth0")],
            virtualIPs: ["10.0.0.10/24"], lun: "iscsi://user%password@h/iqn/1", fileSystem: Array(0..<16))
        configuration.users = [UserRecord(name: "alice", ntHash: Array(100..<116), relativeID: 1001)]
        var state = ClusterState(founding: configuration, membership: Configuration(voters: [1]))
        let lease = LeaseRecord(
            key: GUID16(low: 5, high: 6), parentKey: .zero, state: 7, flags: 0, epoch: 1, version: 2)
        let mutations: [Mutation] = [
            .putOpen(Self.open(1)),
            .putOpen(Self.open(2, locks: [LockRecord(offset: 0, length: 9, isExclusive: true)])),
            .putOpen(Self.open(3, lease: lease)),
            .putClient(
                ClientRecord(
                    clientAddress: [10, 0, 0, 9], clientPort: 50_000, serverAddress: [10, 0, 0, 10], serverPort: 445)),
        ]
        _ = try? state.apply(Entry(index: 2, term: 5, payload: .command(Command.mutate(epoch: 5, mutations).encoded)))
        return state
    }()

    @Test(
        arguments: [
            (InspectedPart.opens, [1, 2, 3] as [UInt64]), (.leases, [3]), (.locks, [2]), (.clients, []),
            (.configuration, []),
        ]) func eachPartShowsWhatItIsOf(part: InspectedPart, opens: [UInt64]) throws
    {
        let found = Inspection(part, of: Self.state, lun: "iscsi://***@h/iqn/1")
        #expect(try Inspection(decoding: found.encoded) == found)
        #expect((found.index, found.term) == (2, 5))
        #expect(found.opens.map(\.persistentID) == opens)
        #expect(found.clients.count == (part == .clients ? 1 : 0))
        #expect((found.configuration != nil) == (part == .configuration))
    }

    /// Not only not printed: it never leaves the daemon.
    @Test func noSecretLeaves() {
        for part in InspectedPart.allCases {
            let bytes = Inspection(part, of: Self.state, lun: "iscsi://***@h/iqn/1").encoded
            for secret in [Array("THE KEY".utf8), Array("password".utf8), Array(100..<116)] as [[UInt8]] {
                #expect(bytes.firstRange(of: secret) == nil)
            }
        }
        let act = AdminRequest.audited(
            .putUser(name: "alice", ntHash: Array(100..<116), replaces: true), by: "uid 0 on node-a")
        #expect(act.audit == "user password alice")
        #expect(
            AdminRequest.replaceQuorumDisk(lun: "iscsi://user%password@h/iqn/2", forces: true).audit == "quorum replace"
        )
    }

    @Test func nobodyWritesLinesIntoTheLog() {
        #expect(oneLine("move a\nnotice: all is well\r\u{1B}[2J") == "move a?notice: all is well??[2J")
        #expect(oneLine("größer: 日本") == "größer: 日本")
        #expect(oneLine(String(repeating: "x", count: 9999)).count == 400)
    }

    @Test func whatWasSeenIsNotShownAgain() {
        let events = (1...5).map { EventRecord(kind: .takeover, node: 1, term: $0) }
        let history = EventHistory(events: events, nodes: [])
        #expect(history.since(nil) == events)
        #expect(history.since(events[2]) == Array(events[3...]))
        #expect(history.since(events[4]) == [])
        #expect(history.since(EventRecord(kind: .move, node: 1, term: 0)) == events)
    }

    /// A drill that takes away the last node that could serve would be an outage.
    @Test func aDrillWantsAWholeCluster() throws {
        func status(_ change: (inout ClusterStatus) -> Void) -> String? {
            let nodes = [
                (1, "node-a", "data", "leader"), (2, "node-b", "data", "follower"), (3, "w", "witness", "follower"),
            ]
            .map { id, name, kind, role in
                ClusterStatus.Node(
                    id: UInt64(id), name: name, address: "h:1", kind: kind, role: role, connected: true,
                    active: id == 1, incarnation: 1, lag: 0, lunReachable: kind == "data" ? true : nil)
            }
            var status = ClusterStatus(
                reporter: "node-a", state: Self.state, term: 5, commitIndex: 2, leader: "node-a", hasQuorum: true,
                phase: "serving", problem: nil, nodes: nodes, lun: "", fileSystem: "", fence: "", server: nil,
                handles: HandleCounts(HandleState()))
            status.active = "node-a"
            change(&status)
            return status.drillProblem
        }
        #expect(status { _ in } == nil)
        #expect(status { $0.active = nil } != nil)
        #expect(status { $0.hasQuorum = false } != nil)
        #expect(status { $0.problem = "x" } == "x")
        #expect(status { $0.nodes[1].connected = false } == "node-b is not connected")
        #expect(status { $0.nodes[2].role = "learner" } == "w does not vote yet")
        #expect(status { $0.nodes[1].lunReachable = nil } == "node-b does not reach the LUN")
        #expect(status { $0.nodes.remove(at: 1) } == "no other data node could take over")
        #expect(status { $0.nodes.remove(at: 2) } != nil)
        #expect(
            status {
                $0.nodes.remove(at: 2)
                $0.quorumDisk = .init(lun: "", role: "voter", state: "ready", ready: true)
            } == nil)
        let report = DrillReport(kind: .kill, detail: String(repeating: "x", count: 9999), stallMilliseconds: .max)
        #expect(try DrillReport(decoding: report.encoded) == report)
        #expect(report.event(on: 1, term: 2, unixMilliseconds: 3).detail.count < 600)
        #expect(try AdminRequest(decoding: AdminRequest.drilled(report).encoded) == .drilled(report))
        for kind in DrillKind.allCases {
            #expect(try AdminRequest(decoding: AdminRequest.drill(kind).encoded) == .drill(kind))
            #expect(DrillKind(name: kind.name) == kind)
        }
    }

    @Test func anAuditedRequestIsOneLevelDeep() throws {
        let request = AdminRequest.audited(.move(node: "node-b"), by: "uid 0 on node-a")
        #expect(try AdminRequest(decoding: request.encoded) == request)
        #expect(throws: RecordError.self) {
            try AdminRequest(decoding: AdminRequest.audited(request, by: "x").encoded)
        }
    }
}
