import Raft
import StateRecords
import Testing

@testable import ClusterCore

private let nodeA = NodeRecord(id: 1, name: "node-a", address: "10.0.0.1:7420", role: .data, interface: "eth0")
private let nodeB = NodeRecord(id: 0, name: "node-b", address: "10.0.0.2:7420", role: .data, interface: "eth0")
private let open = OpenRecord(
    persistentID: 40, createGUID: GUID16(low: 1, high: 2), clientGUID: GUID16(low: 3, high: 4), ownerSID: "S-1-5-21-1",
    userName: "alice", share: "test", path: "a.txt", file: FileIdentity(fileSystem: .zero, handleType: 1, handle: [1]),
    grantedAccess: 1, shareAccess: 1, createOptions: 0, createDisposition: 1, createAction: 1, fileAttributes: 0,
    timeoutMilliseconds: 60_000, isPersistent: true)
private let client = ClientRecord(
    clientAddress: [10, 0, 0, 9], clientPort: 50_000, serverAddress: [10, 0, 0, 10], serverPort: 445)

private struct Cluster {
    var state = ClusterState(
        founding: ClusterConfiguration(
            name: "tshare", guid: GUID16(low: 1, high: 2), domain: [1, 2, 3], certificateAuthority: "THE KEY",
            nodes: [nodeA], virtualIPs: ["10.0.0.10/24"], lun: "iscsi://user%password@h/iqn/1",
            fileSystem: Array(0..<16)),
        membership: Configuration(voters: [1]))

    @discardableResult
    mutating func apply(_ command: Command, term: Term = 5) -> CommandResult {
        let entry = Entry(index: self.state.appliedIndex + 1, term: term, payload: .command(command.encoded))
        do throws(VersionProblem) { return try self.state.apply(entry) } catch {
            Issue.record("\(error)")
            return .done
        }
    }
}

@Suite struct ClusterStateTests {
    private let token = TokenRecord(hash: Array(0..<32), validMilliseconds: 600_000)

    @Test func aNodeJoinsWithATokenOnce() {
        var cluster = Cluster()
        cluster.apply(.putToken(self.token))
        let added = cluster.apply(.addNode(nodeB, tokenHash: self.token.hash))
        guard case .added(let record) = added else {
            Issue.record("\(added)")
            return
        }
        #expect(record.id == 2)
        #expect(cluster.state.configuration.node(named: "node-b") == record)
        var third = nodeB
        third.name = "node-c"
        third.address = "10.0.0.3:7420"
        #expect(cluster.apply(.addNode(third, tokenHash: self.token.hash)) == .refused(.tokenUnknown))
    }

    @Test func aNodeThatWasTakenOutHasNoSayAndOneThatIsNotKnownYetHas() {
        var cluster = Cluster()
        cluster.apply(.putToken(self.token))
        #expect(!cluster.state.isRemoved(1))
        #expect(!cluster.state.isRemoved(2), "it may have joined while this node was away")
        cluster.apply(.addNode(nodeB, tokenHash: self.token.hash))
        #expect(!cluster.state.isRemoved(2))
        cluster.apply(.removeNode(2))
        #expect(cluster.state.isRemoved(2))
        #expect(!cluster.state.isRemoved(3))
    }

    /// Both nodes know it: it is configuration. One a share, and it goes with the share.
    @Test func aScheduleOfSnapshots() throws {
        var cluster = Cluster()
        let hourly = SnapshotSchedule(share: "TEST", everySeconds: 3600, keep: 24)
        #expect(cluster.apply(.setSnapshotSchedule(hourly)) == .refused(.unknown("share TEST")))
        cluster.apply(.addShare(ShareRecord(name: "test", path: "test")))
        #expect(cluster.apply(.setSnapshotSchedule(hourly)) == .done)
        let daily = SnapshotSchedule(share: "test", everySeconds: 86_400, keep: 7)
        #expect(cluster.apply(.setSnapshotSchedule(daily)) == .done)
        #expect(cluster.state.configuration.snapshotSchedules == [daily])
        #expect(cluster.state.configuration.server(mountPoint: "/mnt").snapshotSchedules == [daily])
        let copy = try ClusterState(decoding: cluster.state.encoded)
        #expect(copy == cluster.state)
        #expect(
            cluster.apply(.removeSnapshotSchedule(share: "other")) == .refused(.unknown("schedule for share other")))
        #expect(cluster.apply(.removeSnapshotSchedule(share: "Test")) == .done)
        #expect(cluster.state.configuration.snapshotSchedules.isEmpty)
        cluster.apply(.setSnapshotSchedule(daily))
        cluster.apply(.removeShare(name: "test"))
        #expect(cluster.state.configuration.snapshotSchedules.isEmpty)
    }

    @Test func theServersOwnFolderIsNoShares() {
        #expect(Names.problem(sharePath: ".holdfast")?.contains("Holdfast's own") == true)
        #expect(Names.problem(sharePath: ".HoldFast/snapshots") != nil)
        #expect(Names.problem(sharePath: "data/.holdfast") == nil)
    }

    /// A refusal leaves the token for the next try.
    @Test func aSecondNodeOfTheSameNameOrAddressIsRefused() {
        var cluster = Cluster()
        cluster.apply(.putToken(self.token))
        var twin = nodeB
        twin.name = "node-a"
        #expect(
            cluster.apply(.addNode(twin, tokenHash: self.token.hash))
                == .refused(.exists("a node with the name node-a")))
        twin = nodeB
        twin.address = nodeA.address
        guard case .refused(.exists) = cluster.apply(.addNode(twin, tokenHash: self.token.hash)) else {
            Issue.record("the same address twice")
            return
        }
        guard case .added = cluster.apply(.addNode(nodeB, tokenHash: self.token.hash)) else {
            Issue.record("the token was lost")
            return
        }
    }

    @Test func idsAreNeverUsedTwice() {
        var cluster = Cluster()
        cluster.apply(.putToken(self.token))
        cluster.apply(.addNode(nodeB, tokenHash: self.token.hash))
        #expect(cluster.apply(.removeNode(2)) == .done)
        cluster.apply(.putToken(self.token))
        guard case .added(let record) = cluster.apply(.addNode(nodeB, tokenHash: self.token.hash)) else { return }
        #expect(record.id == 3)
    }

    /// One rule: what a server of another term journals is void.
    /// A node that lost its state never speaks under its old id again.
    @Test func aNodeThatLostItsStateIsAnotherToRaft() throws {
        var cluster = Cluster()
        cluster.apply(.putToken(self.token))
        cluster.apply(.addNode(nodeB, tokenHash: self.token.hash))
        try cluster.state.apply(
            Entry(
                index: cluster.state.appliedIndex + 1, term: 5, payload: .configuration(Configuration(voters: [1, 2]))))
        guard case .refused(.inUse) = cluster.apply(.replaceNode(2)) else {
            Issue.record("a member was replaced")
            return
        }
        try cluster.state.apply(
            Entry(index: cluster.state.appliedIndex + 1, term: 5, payload: .configuration(Configuration(voters: [1]))))
        guard case .added(let new) = cluster.apply(.replaceNode(2)) else {
            Issue.record("not replaced")
            return
        }
        #expect(new.id == 3)
        #expect(new.former == [2])
        #expect((new.name, new.address, new.incarnation) == (nodeB.name, nodeB.address, 0))
        #expect(cluster.state.configuration.nodes.map(\.id) == [1, 3])
        #expect(cluster.state.isRemoved(2))
        #expect(!cluster.state.isRemoved(3))
        guard case .refused(.unknown) = cluster.apply(.replaceNode(2)) else {
            Issue.record("replaced twice")
            return
        }
        // However often, only so many of its ids are kept.
        for id in UInt64(3)...20 { cluster.apply(.replaceNode(id)) }
        #expect(cluster.state.configuration.node(21)?.former == Array(UInt64(13)...20))
    }

    /// A reader that knows the first section only takes a newer kind of event for an older one.
    @Test func aNewerKindOfEventIsReadByAnOlderVersion() throws {
        let event = EventRecord(kind: .stateLost, node: 2, term: 7, unixMilliseconds: 8, detail: "checksum")
        #expect(try EventRecord(decoding: event.encoded) == event)
        var reader = BinaryReader(event.encoded)
        let kind = try reader.section { (_, reader) throws(RecordError) in try reader.read(UInt8.self) }
        #expect(kind == EventRecord.Kind.nodeLeft.rawValue)
    }

    @Test func aJournalOfAnotherTermIsVoid() {
        var cluster = Cluster()
        #expect(cluster.apply(.mutate(epoch: 4, [.putOpen(open)]), term: 5) == .refused(.staleEpoch(4, now: 5)))
        #expect(cluster.state.handles.opens.isEmpty)
        #expect(cluster.apply(.mutate(epoch: 5, [.putOpen(open)]), term: 5) == .done)
        #expect(cluster.state.handles.opens[40] == open)
    }

    @Test func sharesAndUsersHaveOneNameWhateverItsCase() {
        var cluster = Cluster()
        let share = ShareRecord(name: "Test", path: "test")
        #expect(cluster.apply(.addShare(share)) == .done)
        #expect(cluster.apply(.addShare(ShareRecord(name: "tEST", path: "x"))) == .refused(.exists("share tEST")))
        #expect(cluster.apply(.removeShare(name: "TEST")) == .done)
        #expect(cluster.apply(.removeShare(name: "TEST")) == .refused(.unknown("share TEST")))
        cluster.apply(.putUser(name: "alice", ntHash: [1]))
        cluster.apply(.putUser(name: "Alice", ntHash: [2]))
        cluster.apply(.putUser(name: "bob", ntHash: [3]))
        #expect(cluster.state.configuration.users.map(\.relativeID) == [1001, 1002])
        #expect(cluster.state.configuration.users[0].ntHash == [2])
        cluster.apply(.removeUser(name: "bob"))
        cluster.apply(.putUser(name: "carol", ntHash: [4]))
        #expect(cluster.state.configuration.users.last?.relativeID == 1003)
    }

    @Test func onlyTheTermThatServesIsActive() {
        var cluster = Cluster()
        let event = EventRecord(kind: .takeover, node: 1, term: 5, unixMilliseconds: 99)
        #expect(cluster.apply(.activate(node: 1, term: 4, event), term: 5) == .refused(.staleEpoch(4, now: 5)))
        cluster.apply(.record(EventRecord(kind: .failure, node: 2, term: 5)))
        #expect(cluster.state.failedNodes == [2])
        cluster.apply(.activate(node: 1, term: 5, event))
        #expect(cluster.state.active == ActiveNode(node: 1, term: 5, sinceUnixMilliseconds: 99))
        #expect(cluster.state.failedNodes.isEmpty)
        cluster.apply(.deactivate(node: 1, term: 4, steps: []))
        #expect(cluster.state.active != nil)
        cluster.apply(.deactivate(node: 1, term: 5, steps: [StepRecord(name: "freeze", microseconds: 1)]))
        #expect(cluster.state.active == nil)
        #expect(cluster.state.handover?.count == 1)
    }

    @Test func eventsAreBounded() {
        var cluster = Cluster()
        for term in 1...1000 { cluster.apply(.record(EventRecord(kind: .fenced, node: 1, term: Term(term)))) }
        #expect(cluster.state.events.count == ClusterLimits.events)
        #expect(cluster.state.events.last?.term == 1000)
    }

    @Test func aSnapshotIsTheWholeState() throws {
        var cluster = Cluster()
        cluster.apply(.putToken(self.token))
        cluster.apply(.addShare(ShareRecord(name: "test", path: "test", isContinuouslyAvailable: true)))
        cluster.apply(.putUser(name: "alice", ntHash: Array(0..<16)))
        cluster.apply(.mutate(epoch: 5, [.putOpen(open), .putClient(client), .reserveIDs(below: 4096)]))
        cluster.apply(.record(EventRecord(kind: .failure, node: 1, term: 5, detail: "x")))
        cluster.apply(.activate(node: 1, term: 5, EventRecord(kind: .takeover, node: 1, term: 5)))
        cluster.apply(.deactivate(node: 1, term: 5, steps: []))
        let bytes = cluster.state.encoded
        #expect(try ClusterState(decoding: bytes) == cluster.state)
        #expect(try ClusterState(decoding: bytes).handles.nextPersistentID == 4096)
        for count in stride(from: 0, to: bytes.count, by: 7) {
            #expect(throws: RecordError.self) { try ClusterState(decoding: Array(bytes[..<count])) }
        }
    }

    @Test func secretsAreNotPrinted() {
        let text = "\(Cluster().state.configuration)"
        #expect(!text.contains("password") && !text.contains("KEY"))
    }
}

@Suite struct CodingTests {
    private func check<Value: BinaryRecord>(_ value: Value) throws {
        let bytes = value.encoded
        #expect(try Value(decoding: bytes) == value)
        for count in 0..<bytes.count {
            #expect(throws: RecordError.self) { try Value(decoding: Array(bytes[..<count])) }
        }
    }

    @Test func sharePermissionsAndAdministratorsAreReplicated() throws {
        var cluster = Cluster()
        cluster.apply(.addShare(ShareRecord(name: "Test", path: "test")))
        let alice = SharePermission(name: "alice", level: .change)
        let everyone = SharePermission(name: "Everyone", level: .read)
        func change(_ permissions: [SharePermission], _ removed: [String] = [], _ isAccessBased: Bool? = nil) -> Command
        {
            .changeShare(
                ShareChange(name: "tEST", permissions: permissions, removed: removed, isAccessBased: isAccessBased))
        }
        #expect(cluster.apply(change([alice, everyone], [], true)) == .done)
        #expect(cluster.state.configuration.shares[0].permissions == [alice, everyone])
        #expect(cluster.state.configuration.shares[0].isAccessBased)
        #expect(cluster.apply(change([], ["ALICE"])) == .done)
        #expect(cluster.state.configuration.shares[0].permissions == [everyone])
        #expect(cluster.state.configuration.shares[0].isAccessBased)
        #expect(cluster.apply(change([alice], ["*"], false)) == .done)
        #expect(cluster.state.configuration.shares[0].permissions == [alice])
        let many = (0...ClusterLimits.sharePermissions).map { SharePermission(name: "u\($0)", level: .read) }
        #expect(
            cluster.apply(change(many))
                == .refused(.tooMany("permissions of a share", limit: ClusterLimits.sharePermissions)))
        #expect(cluster.state.configuration.shares[0].permissions == [alice])
        #expect(
            cluster.apply(
                .changeShare(ShareChange(name: "x", permissions: [], removed: [], isAccessBased: true)))
                == .refused(.unknown("share x")))

        cluster.apply(.putUser(name: "alice", ntHash: [1]))
        #expect(cluster.apply(.setAdministrator(name: "Alice", true)) == .done)
        #expect(cluster.state.configuration.users[0].isAdministrator)
        // A new password changes nothing else.
        cluster.apply(.putUser(name: "alice", ntHash: [2]))
        #expect(cluster.state.configuration.users[0].isAdministrator)
        #expect(cluster.apply(.setAdministrator(name: "bob", true)) == .refused(.unknown("user bob")))
    }

    @Test func whatAShareHasIsReplicated() throws {
        var cluster = Cluster()
        cluster.apply(.addShare(ShareRecord(name: "Test", path: "test")))
        var change = ShareChange(name: "test", permissions: [], removed: [], isAccessBased: nil)
        change.addedTraits = [.shortNames, .withoutStreams]
        change.hiddenFiles = [".*"]
        #expect(try ShareChange(decoding: change.encoded) == change)
        #expect(cluster.apply(.changeShare(change)) == .done)
        #expect(cluster.state.configuration.shares[0].traits == [.shortNames, .withoutStreams])
        #expect(cluster.state.configuration.shares[0].hiddenFiles == [".*"])
        change.addedTraits = .withoutNotify
        change.removedTraits = .withoutStreams
        change.hiddenFiles = nil
        #expect(cluster.apply(.changeShare(change)) == .done)
        #expect(cluster.state.configuration.shares[0].traits == [.shortNames, .withoutNotify])
        #expect(cluster.state.configuration.shares[0].hiddenFiles == [".*"])
        change.hiddenFiles = (0...ClusterLimits.hiddenFilePatterns).map { "\($0)" }
        #expect(
            cluster.apply(.changeShare(change))
                == .refused(.tooMany("patterns of hidden files", limit: ClusterLimits.hiddenFilePatterns)))
        // What an earlier clusterctl sends.
        let first: [UInt8] = [1, 15, 0, 0, 0, 1, 0, 0, 0, 0x74, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]
        #expect(
            try ShareChange(decoding: first)
                == ShareChange(name: "t", permissions: [], removed: [], isAccessBased: true))
    }

    @Test func commands() throws {
        let event = EventRecord(
            kind: .move, node: 2, term: 3, unixMilliseconds: 4, steps: [StepRecord(name: "fence", microseconds: 5)],
            detail: "x")
        let commands: [Command] = [
            .mutate(epoch: 3, [.putOpen(open), .removeOpen(persistentID: 4), .putClient(client)]),
            .addNode(nodeB, tokenHash: [1, 2]), .removeNode(7), .updateNode(nodeA),
            .addShare(ShareRecord(name: "a", path: "b")), .removeShare(name: "a"),
            .putUser(name: "u", ntHash: [9]), .removeUser(name: "u"),
            .putToken(TokenRecord(hash: [1], validMilliseconds: 2)), .removeToken(hash: [1]),
            .setSettings(ClusterSettings()), .activate(node: 1, term: 2, event),
            .deactivate(node: 1, term: 2, steps: event.steps), .record(event), .setLimit(name: "opens", value: 9),
            .setStorageAddress("iscsi://10.0.0.20,10.0.1.20/iqn.x/1"),
            .changeShare(ShareChange(name: "a", permissions: [], removed: ["*"], isAccessBased: nil)),
            .setAdministrator(name: "u", true), .setSecurity(name: "anonymous", value: "on"), .replaceNode(4),
        ]
        for command in commands { try self.check(command) }
    }

    @Test func raftMessages() throws {
        let entries = [
            Entry(index: 5, term: 2, payload: .empty), Entry(index: 6, term: 2, payload: .command([1, 2, 3])),
            Entry(index: 7, term: 2, payload: .configuration(Configuration(voters: [1, 2], learners: [3]))),
        ]
        let bodies: [Message.Body] = [
            .preVoteRequest(lastIndex: 1, lastTerm: 2), .preVoteResponse(granted: true),
            .voteRequest(lastIndex: 1, lastTerm: 2, force: true), .voteResponse(granted: false),
            .append(.init(previousIndex: 4, previousTerm: 1, entries: entries, commitIndex: 3)),
            .appendAccepted(matchIndex: 9), .appendRejected(previousIndex: 1, hintIndex: 2, hintTerm: 3),
            .heartbeat(round: 4, commitIndex: 5), .heartbeatResponse(round: 4),
            .snapshot(Snapshot(index: 1, term: 2, configuration: Configuration(voters: [1]))),
            .timeoutNow(round: 8),
        ]
        for body in bodies { try self.check(Message(from: 1, to: 2, term: 3, body: body)) }
    }
}

@Suite struct PeerMessageTests {
    private let message = Message(
        from: 1, to: 2, term: 3,
        body: .snapshot(Snapshot(index: 9, term: 3, configuration: Configuration(voters: [1]))))

    @Test func aSnapshotSurvivesItsParts() throws {
        let state = (0..<(5 * SnapshotPart.partBytes / 2)).map { UInt8(truncatingIfNeeded: $0) }
        let parts = SnapshotPart.parts(of: state)
        #expect(parts.count == 3)
        var collector = SnapshotCollector()
        #expect(collector.add(parts[0], of: self.message) == nil)
        #expect(collector.add(parts[1], of: self.message) == nil)
        #expect(collector.add(parts[2], of: self.message) == state)
        let peer = PeerMessage.snapshot(self.message, parts[2])
        #expect(try PeerMessage(decoding: peer.encoded) == peer)
        for reach in [Reach.unknown, .yes, .no] {
            #expect(try PeerMessage(decoding: PeerMessage.reach(reach).encoded) == .reach(reach))
        }
        let introduction = PeerMessage.introduction(nodeB)
        #expect(try PeerMessage(decoding: introduction.encoded) == introduction)
    }

    @Test func aLostPartOrAnotherSnapshotIsNeverPutTogether() {
        let parts = SnapshotPart.parts(of: Array(repeating: 7, count: 3 * SnapshotPart.partBytes))
        var collector = SnapshotCollector()
        _ = collector.add(parts[0], of: self.message)
        #expect(collector.add(parts[2], of: self.message) == nil)
        _ = collector.add(parts[0], of: self.message)
        var other = self.message
        other.term = 4
        #expect(collector.add(parts[1], of: other) == nil)
        #expect(collector.add(parts[2], of: other) == nil)
    }

    /// A data node that lacks what the dead leader and the witness committed must not wait for the witness's time-out.
    @Test func aWitnessCampaignsForTheDataNodeThatIsBehind() {
        func asks(_ role: NodeRole, silence: UInt64, _ asked: (Term, LogIndex), _ own: (Term, LogIndex)) -> Bool {
            WitnessPolicy.shouldCampaign(
                role: role, silence: silence, electionTicks: 1200, asked: (term: asked.0, index: asked.1),
                own: (term: own.0, index: own.1))
        }
        #expect(asks(.witness, silence: 1200, (2, 9), (2, 10)))
        #expect(asks(.witness, silence: 1200, (1, 99), (2, 10)))
        #expect(!asks(.witness, silence: 1200, (2, 10), (2, 10)))
        #expect(!asks(.witness, silence: 1199, (2, 9), (2, 10)))
        #expect(!asks(.data, silence: 1200, (2, 9), (2, 10)))
    }

    @Test func adminMessages() throws {
        let requests: [AdminRequest] = [
            .initialize(
                InitializeParameters(
                    clusterName: "a", nodeName: "b", address: "c", virtualIP: "d", interface: "e", lun: "f",
                    formats: true, adopts: false, forces: true)),
            .join(
                JoinParameters(
                    member: "a", token: "b", nodeName: "c", address: "d", interface: "e", role: .witness)),
            .token(validMilliseconds: 1), .status, .addShare(ShareRecord(name: "a", path: "b")),
            .removeShare(name: "a"), .putUser(name: "a", ntHash: [1], replaces: true), .removeUser(name: "a"),
            .listUsers, .move(node: "a"), .leave(node: ""), .inspectOpens, .nodeStarted(nodeA),
            .changeNode(NodeChange(node: "a", name: "b", address: "c:1")),
            .setLimit(name: "opens", value: 9), .growStorage, .setStorageAddress(lun: "l"),
            .changeShare(
                ShareChange(
                    name: "a", permissions: [SharePermission(name: "b", level: .read)], removed: ["c"],
                    isAccessBased: false)),
            .setAdministrator(name: "a", false), .setSecurity(name: "ciphers", value: "aes-128-gcm"),
            .rejoin(reason: "a"), .backup(isLocal: true),
            .restore(
                RestoreParameters(
                    backup: [1], nodeName: "a", address: "b", interface: "c", virtualIP: "d", lun: "e", formats: true,
                    forces: false, acceptsUnsafe: true)),
        ]
        for request in requests { #expect(try AdminRequest(decoding: request.encoded) == request) }
        var report = StatusReport(
            reporter: "node-a", state: Cluster().state, active: nil, term: 1, commitIndex: 2, leader: "node-a",
            hasQuorum: true,
            phase: "serving", problem: "", nodes: [.init(id: 1, isConnected: true, role: 3, lag: nil, reach: .no)],
            lun: "l",
            fileSystem: "f", fence: "x", server: nil)
        report.paths = [
            PathReport(portal: "10.0.0.20:3260", reach: .yes, isUsed: true),
            PathReport(portal: "10.0.1.20:3260", reach: .unknown, isUsed: false),
        ]
        let replies: [AdminReply] = [
            .done("a"), .failed(AdminFailure(.storage, "b")), .token("c"), .status(report), .users(["a"]),
            .opens([open]), .joined(.redirect(address: "a")), .backup([1, 2]),
        ]
        for reply in replies { #expect(try AdminReply(decoding: reply.encoded) == reply) }
        #expect(
            report.status.paths == [
                .init(portal: "10.0.0.20:3260", reached: true, used: true),
                .init(portal: "10.0.1.20:3260", reached: nil, used: false),
            ])
        let text = "\(report)"
        #expect(!text.contains("password") && !text.contains("THE KEY"))
    }

    /// Of few opens it is exact; of many some stand for all.
    @Test func aStatesLengthIsKnownWithoutEncodingIt() {
        var cluster = Cluster()
        #expect(cluster.state.estimatedByteCount() == cluster.state.encoded.count)
        func put(_ ids: Range<UInt64>) {
            cluster.apply(
                .mutate(
                    epoch: 5,
                    ids.map { id in
                        var record = open
                        record.persistentID = id
                        record.path = String(repeating: "a", count: Int(id % 40))
                        return .putOpen(record)
                    }))
        }
        cluster.apply(.mutate(epoch: 5, [.putClient(client)]))
        put(1..<101)
        #expect(cluster.state.estimatedByteCount(sampling: 100) == cluster.state.encoded.count)
        put(101..<3001)
        let (estimate, length) = (cluster.state.estimatedByteCount(), cluster.state.encoded.count)
        #expect(abs(estimate - length) < length / 10, "\(estimate) of \(length)")
        #expect(estimate > 3000 * 150)
    }

    /// After a thaw a node still finds itself in the log as the one that serves.
    @Test func nobodyIsActiveByAnOldTermOrAgainstItsOwnKnowledge() throws {
        var cluster = Cluster()
        cluster.apply(.activate(node: 1, term: 5, EventRecord(kind: .takeover, node: 1, term: 5)))
        let active = cluster.state.active
        #expect(active?.node == 1)
        #expect(cluster.state.active(in: 5, reporter: 1, reporterServes: true) == active)
        #expect(cluster.state.active(in: 5, reporter: 2, reporterServes: false) == active)
        #expect(cluster.state.active(in: 6, reporter: 2, reporterServes: false) == nil)
        #expect(cluster.state.active(in: 6, reporter: 1, reporterServes: false) == nil)
        // Before it heard of the new term: it has given up all the same.
        #expect(cluster.state.active(in: 5, reporter: 1, reporterServes: false) == nil)
        let report = StatusReport(
            reporter: "node-a", state: cluster.state, active: nil, term: 6, commitIndex: 2, leader: "", hasQuorum: true,
            phase: "standby", problem: "", nodes: [.init(id: 1, isConnected: true, role: 1, lag: nil, reach: .yes)],
            lun: "", fileSystem: "", fence: "", server: nil)
        let status = try StatusReport(decoding: report.encoded).status
        #expect(status.active == nil)
        #expect(status.nodes.map(\.active) == [false])
        #expect(status.nodes.map(\.lunReachable) == [true])
    }

    @Test func theLUNsAddressChanges() {
        var cluster = Cluster()
        #expect(cluster.apply(.setStorageAddress("iscsi://10.0.0.20,10.0.1.20/iqn.x/1")) == .done)
        #expect(cluster.state.configuration.lun == "iscsi://10.0.0.20,10.0.1.20/iqn.x/1")
    }

    @Test func limitsAreSetAndShown() throws {
        var cluster = Cluster()
        #expect(cluster.apply(.setLimit(name: "opens", value: 50)) == .done)
        guard case .refused(.invalid) = cluster.apply(.setLimit(name: "opens", value: 0)),
            case .refused(.invalid) = cluster.apply(.setLimit(name: "printers", value: 1))
        else {
            Issue.record("a limit that is none was taken")
            return
        }
        #expect(cluster.state.configuration.server(mountPoint: "/m").limits[.opens] == 50)
        let restored = try ClusterState(decoding: cluster.state.encoded)
        #expect(restored == cluster.state)
        func report(_ server: ServerStatus?) throws -> ClusterStatus.Limit? {
            let report = StatusReport(
                reporter: "node-a", state: cluster.state, active: nil, term: 1, commitIndex: 2, leader: "",
                hasQuorum: true, phase: "serving", problem: "", nodes: [], lun: "", fileSystem: "", fence: "",
                server: server)
            return try StatusReport(decoding: report.encoded).status.limits.first { $0.name == "opens" }
        }
        #expect(try report(ServerStatus(opens: 7)) == .init(name: "opens", used: 7, limit: 50))
        #expect(try report(nil) == .init(name: "opens", used: nil, limit: 50))
    }

    @Test func securityIsSetAndShown() throws {
        var cluster = Cluster()
        #expect(cluster.apply(.setSecurity(name: "encryption", value: "required")) == .done)
        #expect(cluster.apply(.setSecurity(name: "signing", value: "optional")) == .done)
        guard case .refused(.invalid) = cluster.apply(.setSecurity(name: "encryption", value: "perhaps")),
            case .refused(.invalid) = cluster.apply(.setSecurity(name: "guests", value: "on"))
        else {
            Issue.record("a setting that is none was taken")
            return
        }
        let server = cluster.state.configuration.server(mountPoint: "/m")
        #expect(server.security.requiresEncryption)
        #expect(!server.requiresSigning)
        #expect(try ClusterState(decoding: cluster.state.encoded) == cluster.state)
        let report = StatusReport(
            reporter: "node-a", state: cluster.state, active: nil, term: 1, commitIndex: 2, leader: "",
            hasQuorum: true, phase: "serving", problem: "", nodes: [], lun: "", fileSystem: "", fence: "", server: nil)
        let shown = try StatusReport(decoding: report.encoded).status.security
        #expect(shown.map(\.name) == SecuritySetting.allCases.map(\.rawValue))
        #expect(shown.prefix(2).map(\.value) == ["optional", "required"])
    }

    @Test func aReportCountsTheHandlesWithoutCarryingThem() throws {
        var cluster = Cluster()
        cluster.apply(.mutate(epoch: 5, [.putOpen(open), .putClient(client)]))
        let report = StatusReport(
            reporter: "node-a", state: cluster.state, active: nil, term: 1, commitIndex: 2, leader: "",
            hasQuorum: false,
            phase: "standby", problem: "", nodes: [], lun: "", fileSystem: "", fence: "", server: nil)
        let status = try StatusReport(decoding: report.encoded).status
        #expect(status.handles.persistent == 1)
        #expect(status.clients == ["10.0.0.9:50000"])
        #expect(report.state.handles.opens.isEmpty)
    }
}

@Suite struct NamesTests {
    @Test(arguments: ["", "-a", "a-", "a b", "a_b", "sixteen-chars-xx"]) func badClusterNames(name: String) {
        #expect(Names.problem(clusterName: name) != nil)
    }

    @Test(arguments: ["IPC$", "", "a/b", "a\\b", "x:", " a", "a\u{1}"]) func badShareNames(name: String) {
        #expect(Names.problem(shareName: name) != nil)
    }

    @Test(arguments: ["/abs", "../x", "a//b", "a/./b", "", "a/..", "a/"]) func badSharePaths(path: String) {
        #expect(Names.problem(sharePath: path) != nil)
    }

    @Test(arguments: ["a", ":1", "h:", "h:0", "h:65536", "::1:7420", "h h:1"]) func badAddresses(address: String) {
        #expect(Names.problem(nodeAddress: address) != nil)
    }

    @Test func goodNames() {
        #expect(Names.problem(clusterName: "tshare") == nil)
        #expect(Names.problem(shareName: "Daten & Bücher$") == nil)
        #expect(Names.problem(sharePath: "a/b c") == nil)
        #expect(Names.problem(userName: "Jörg Müller") == nil)
        #expect(Names.splitAddress("[fd00::1]:7420")?.host == "fd00::1")
    }
}
