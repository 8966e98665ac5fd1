import Raft
import StateRecords
import Testing

@testable import ClusterCore

private let older = NodeProgram(name: "0.1", versions: ClusterVersionRange(oldest: 1, newest: 1))
private let newer = NodeProgram(name: "0.2", versions: ClusterVersionRange(oldest: 1, newest: 2))

private struct Cluster {
    var state: ClusterState

    init(nodes: NodeID = 2, version: ClusterVersion = 1) {
        let configuration = ClusterConfiguration(
            name: "tshare", guid: GUID16(low: 1, high: 2), domain: [1, 2, 3], certificateAuthority: "KEY",
            nodes: (1...nodes).map {
                NodeRecord(id: $0, name: "node-\($0)", address: "10.0.0.\($0):7420", role: .data, interface: "eth0")
            }, virtualIPs: ["10.0.0.10/24"], lun: "iscsi://h/iqn/1", fileSystem: Array(0..<16))
        self.state = ClusterState(
            founding: configuration, membership: Configuration(voters: Array(1...nodes)), version: version)
    }

    func entry(_ payload: [UInt8]) -> Entry {
        Entry(index: self.state.appliedIndex + 1, term: 5, payload: .command(payload))
    }

    mutating func apply(_ command: Command, program: ClusterVersionRange = .program) throws -> CommandResult {
        try self.state.apply(self.entry(command.encoded(for: self.state.version)), program: program)
    }

    static func stated(_ programs: [NodeProgram]) -> [StatedProgram] {
        programs.enumerated().map { StatedProgram(node: NodeID($0.offset) + 1, program: $0.element) }
    }
}

@Suite struct VersionTests {
    @Test func theVersionRisesOnceEveryNodeCanRunIt() throws {
        var cluster = Cluster()
        #expect(try cluster.apply(.raiseVersion(2, stated: Cluster.stated([newer, newer]))) == .done)
        #expect(cluster.state.version == 2)
        #expect(cluster.state.configuration.nodes.map(\.program) == [newer, newer])
        let read = try ClusterState(decoding: cluster.state.encoded)
        #expect(read == cluster.state)
    }

    @Test(
        arguments: [
            ([newer, older], ["node-2"]), ([newer], ["node-2"]), ([], ["node-1", "node-2"]),
            ([older, newer], ["node-1"]),
        ] as [([NodeProgram], [String])])
    func oneNodeThatCannotHoldsItBack(stated: [NodeProgram], holders: [String]) throws {
        var cluster = Cluster()
        let result = try cluster.apply(.raiseVersion(2, stated: Cluster.stated(stated)))
        #expect(result == .refused(.heldBack(VersionHold(needed: 2, active: 1, holders: holders))))
        #expect(cluster.state.version == 1)
        #expect(cluster.state.configuration.nodes.allSatisfy { $0.program == nil })
        #expect(cluster.state.appliedIndex == 2, "read, and of no effect")
    }

    /// The leader asked the nodes that there were; one joined before its proposal had its place in the log.
    @Test func aNodeThatJoinedMeanwhileHoldsItBack() throws {
        var cluster = Cluster()
        let command = Command.raiseVersion(2, stated: Cluster.stated([newer, newer]))
        _ = try cluster.apply(.putToken(TokenRecord(hash: [1], validMilliseconds: 1)))
        let third = NodeRecord(id: 0, name: "node-3", address: "10.0.0.3:7420", role: .witness, interface: "eth0")
        guard case .added = try cluster.apply(.addNode(third, tokenHash: [1])) else {
            Issue.record("not added")
            return
        }
        #expect(
            try cluster.apply(command) == .refused(.heldBack(VersionHold(needed: 2, active: 1, holders: ["node-3"]))))
    }

    /// An older node refuses a limit that it does not know, and would not have what the others have from there on.
    @Test func aLimitWaitsForItsVersion() {
        for limit in ServerLimit.allCases {
            let since: ClusterVersion = limit == .pipeBytes ? 2 : 1
            #expect(Command.setLimit(name: limit.rawValue, value: limit.standard).since == since)
            #expect(AdminRequest.setLimit(name: limit.rawValue, value: limit.standard).since == since)
        }
        #expect(Command.setLimit(name: "printers", value: 1).since == 1)
    }

    @Test func itNeverFalls() throws {
        var cluster = Cluster(version: 2)
        for version in [1, 2] as [ClusterVersion] {
            #expect(
                try cluster.apply(.raiseVersion(version, stated: Cluster.stated([newer, newer])))
                    == .refused(.exists("version \(version) of the cluster")))
        }
        #expect(cluster.state.version == 2)
    }

    /// The other nodes may have applied it: this one would differ from there on.
    @Test func whatCannotBeReadIsNotSkipped() throws {
        var cluster = Cluster()
        let before = cluster.state
        for payload in [[250, 1], [], [60, 1]] as [[UInt8]] {
            guard case .unreadable(2, _, _)? = Self.problem({ try cluster.state.apply(cluster.entry(payload)) }) else {
                Issue.record("\(payload) was applied")
                return
            }
        }
        let beyond = Command.raiseVersion(9, stated: [])
        #expect(
            Self.problem { try cluster.apply(beyond) } == .tooNew(9, from: 2, program: .program))
        #expect(
            Self.problem { try cluster.apply(.raiseVersion(2, stated: []), program: older.versions) }
                == .tooNew(2, from: 2, program: older.versions))
        #expect(cluster.state == before)
    }

    private static func problem(_ body: () throws -> CommandResult) -> VersionProblem? {
        do {
            _ = try body()
            return nil
        } catch { return error as? VersionProblem }
    }

    /// Before it is stored: what is acknowledged counts for a majority.
    @Test func whatCouldNotBeAppliedIsNotStored() {
        let cluster = Cluster()
        let raise = cluster.entry(Command.raiseVersion(2, stated: []).encoded)
        #expect(older.versions.problem(with: raise) == .tooNew(2, from: 2, program: older.versions))
        #expect(newer.versions.problem(with: raise) == nil)
        guard case .unreadable? = newer.versions.problem(with: cluster.entry([250, 1])) else {
            Issue.record("a command that nobody knows is stored")
            return
        }
        for payload in [Entry.Payload.empty, .configuration(Configuration(voters: [1]))] {
            #expect(newer.versions.problem(with: Entry(index: 2, term: 1, payload: payload)) == nil)
        }
        #expect(newer.versions.problem(with: cluster.entry(Command.removeNode(3).encoded)) == nil)
    }

    /// Which commands are known is said twice: by what reads them, and by the look at their first byte.
    @Test func theTagsAreThoseThatAreRead() {
        for tag in UInt8.min ... .max {
            var isRead = true
            do throws(RecordError) { _ = try Command(decoding: [tag]) } catch {
                if case .unknownTag(let kind, _) = error, "\(kind)" == "command" { isRead = false }
            }
            #expect(Command.isKnown(tag: tag) == isRead, "\(tag)")
        }
    }

    @Test func aStateOfAnotherVersionIsRefused() throws {
        let (first, second) = (Cluster(version: 1).state, Cluster(version: 2).state)
        #expect(older.versions.problem(with: first) == nil)
        #expect(older.versions.problem(with: second) == .tooNew(2, from: 1, program: older.versions))
        let later = ClusterVersionRange(oldest: 2, newest: 3)
        #expect(later.problem(with: first) == .tooOld(1, program: later))
        #expect(later.problem(with: second) == nil)
        // A later form: nothing of it is guessed at.
        var bytes = second.encoded
        bytes[1] = 77
        #expect(throws: RecordError.newer(77)) { try ClusterState(decoding: bytes) }
        var backup = ClusterBackup(of: first, node: "n", unixMilliseconds: 1, isConfirmed: true, term: 1).bytes
        #expect(backup[8] == 1, "programs of version 1 read it")
        backup = ClusterBackup(of: second, node: "n", unixMilliseconds: 1, isConfirmed: true, term: 1).bytes
        #expect(backup[8] == 2, "they say that it is newer")
        #expect(try ClusterBackup(parsing: backup).state.version == 2)
    }

    /// What an older program would drop of a record is not in the log, or in a snapshot, before it is gone.
    @Test func newFieldsAreNotReplicatedBeforeTheirVersion() throws {
        var node = NodeRecord(id: 1, name: "node-1", address: "10.0.0.1:7420", role: .data, interface: "eth9")
        let plain = node.encoded
        node.program = newer
        #expect(node.encoded(for: 1) == plain)
        #expect(node.encoded(for: 2) != plain)
        for (version, expected) in [(1, nil), (2, newer)] as [(ClusterVersion, NodeProgram?)] {
            var cluster = Cluster(version: version)
            #expect(try cluster.apply(.updateNode(node)) == .done)
            #expect(cluster.state.configuration.node(1)?.interface == "eth9")
            #expect(cluster.state.configuration.node(1)?.program == expected)
            #expect(try ClusterState(decoding: cluster.state.encoded) == cluster.state)
        }
    }

    @Test func aCommandThatCameLaterWaitsForItsVersion() throws {
        let command = Command.record(EventRecord(kind: .upgraded, node: 1, term: 1))
        #expect(command.since == 2)
        #expect(Command.record(EventRecord(kind: .drill, node: 1, term: 1)).since == 1)
        var cluster = Cluster(version: 1)
        guard case .refused(.heldBack) = try cluster.apply(command) else {
            Issue.record("taken before its version")
            return
        }
        #expect(cluster.state.events.isEmpty)
        var raised = Cluster(version: 2)
        #expect(try raised.apply(command) == .done)
        #expect(raised.state.events.map(\.kind) == [.upgraded])
        #expect(AdminRequest.audited(.finishUpgrade, by: "x").since == 2)
        #expect(AdminRequest.audited(.status, by: "x").since == 1)
    }

    @Test func whoMayJoin() {
        #expect(older.versions.refusal(ofJoining: "n", to: 1) == nil)
        #expect(newer.versions.refusal(ofJoining: "n", to: 1) == nil)
        #expect(newer.versions.refusal(ofJoining: "n", to: 2) == nil)
        #expect(older.versions.refusal(ofJoining: "n", to: 2)?.message.contains("program of n can run 1:") == true)
        let later = ClusterVersionRange(oldest: 3, newest: 4)
        let refusal = later.refusal(ofJoining: "n", to: 2)
        #expect(refusal?.message.contains("upgrade the nodes of the cluster first") == true)
    }

    @Test func everyVersionIsNamed() {
        #expect(ClusterVersion.brought.map(\.version) == ClusterVersion.all)
    }
}

@Suite struct UpgradePlanTests {
    private static func member(
        _ node: NodeID, _ program: NodeProgram?, connected: Bool = true, current: Bool? = nil
    ) -> UpgradePlan.Member {
        UpgradePlan.Member(
            node: node, name: "n\(node)", isConnected: connected, program: program,
            isCurrent: current ?? (connected && program != nil))
    }

    private static func plan(_ active: ClusterVersion, _ members: [UpgradePlan.Member]) -> UpgradePlan {
        UpgradePlan(active: active, members: members)
    }

    @Test func programsAreReplacedNodeByNode() {
        let none = Self.plan(1, [Self.member(1, nil), Self.member(2, nil), Self.member(3, older)])
        #expect(none.stage == .complete)
        #expect(none.exitStatus == 0 && none.heldBack.isEmpty)

        let half = Self.plan(1, [Self.member(1, newer), Self.member(2, nil), Self.member(3, older)])
        #expect(half.stage == .replacing(["n2", "n3"]))
        #expect(half.exitStatus == 6)
        #expect(half.heldBack.map(\.by) == [["n2", "n3"]])
        guard case .failure(let failure) = half.finish() else {
            Issue.record("finished with an old program")
            return
        }
        #expect(failure.message.contains("n2 runs an older program and can run version 1 only"))
        #expect(failure.message.contains("n3 runs program 0.1"))

        let all = Self.plan(1, [Self.member(1, newer), Self.member(2, newer)])
        #expect(all.stage == .ready(2))
        #expect(all.exitStatus == 7)
        #expect(all.finish() == .success(2))
        #expect(all.heldBack.map(\.by) == [[]])
        #expect(Self.plan(2, all.members).stage == .complete)
    }

    /// Its program may be an older one by now.
    @Test(arguments: [(false, false), (true, false)])
    func whatIsNotKnownForCertainHoldsItBack(connected: Bool, current: Bool) {
        let plan = Self.plan(
            1, [Self.member(1, newer), Self.member(2, newer, connected: connected, current: current)])
        #expect(plan.stage == .unknown(["n2"]))
        guard case .failure(let failure) = plan.finish() else {
            Issue.record("finished without n2")
            return
        }
        #expect(failure.code == .unavailable && failure.message.contains("n2"))
    }

    @Test func aNodeThatIsOffAndNeverSaidAnythingHoldsItBack() {
        let plan = Self.plan(1, [Self.member(1, newer), Self.member(2, nil, connected: false)])
        #expect(plan.stage == .unknown(["n2"]))
    }

    /// Somebody put it back after the end.
    @Test func aProgramThatIsTooOldForTheClusterIsToBeReplaced() {
        let plan = Self.plan(2, [Self.member(1, newer), Self.member(2, nil)])
        #expect(plan.stage == .replacing(["n2"]))
        #expect(plan.exitStatus == 6)
    }

    @Test func aNodeThatIsOffChangesNothingWhereNothingIsHeldBack() {
        let plan = Self.plan(2, [Self.member(1, newer), Self.member(2, newer, connected: false)])
        #expect(plan.stage == .complete)
    }
}
