import ClusterCore
import Raft
import StateRecords

/// No field has the value that it would have by default.
enum Example {
    static let open = OpenRecord(
        persistentID: 0x0102_0304_0506_0708, createGUID: GUID16(low: 1, high: 2), clientGUID: GUID16(low: 3, high: 4),
        ownerSID: "S-1-5-21-1-2-3-1001", userName: "alice", share: "test", path: "b/a.txt", stream: "s", file: file,
        grantedAccess: 0x0012_019F, shareAccess: 1, createOptions: 0x40, createDisposition: 3, createAction: 2,
        fileAttributes: 0x20, timeoutMilliseconds: 60_000, isPersistent: true, oplockLevel: 0xFF, lease: lease,
        appInstanceID: GUID16(low: 9, high: 10), appInstanceVersionHigh: 11, appInstanceVersionLow: 12,
        deleteOnClose: true, replayConsumed: true, channelSequence: 9,
        locks: [LockRecord(offset: 5, length: .max, isExclusive: true)], lockSequences: [0xFF, 1], extra: [1, 2, 3])
    static let renamed: OpenRecord = {
        var renamed = open
        renamed.lease = nil
        renamed.formerPath = "b/c.txt"
        return renamed
    }()
    static let file = FileIdentity(fileSystem: GUID16(low: 5, high: 6), handleType: 0x81, handle: Array(0..<12))
    static let lease = LeaseRecord(
        key: GUID16(low: 7, high: 8), parentKey: GUID16(low: 1, high: 9), state: 7, flags: 4, epoch: 3, version: 2)
    static let client = ClientRecord(
        clientAddress: [10, 77, 0, 1], clientPort: 50_000, serverAddress: [10, 77, 0, 10], serverPort: 445)
    static let permission = SharePermission(name: "bob", level: .change)
    static let share: ShareRecord = {
        var share = ShareRecord(
            name: "test", path: "a/test", comment: "c", isContinuouslyAvailable: true, isReadOnly: true,
            requiresEncryption: true, offersPOSIX: false, isTimeMachine: true, permissions: [permission],
            isAccessBased: true, compressesData: true)
        share.traits = [.shortNames, .keepsInheritedFlag]
        share.hiddenFiles = [".*"]
        return share
    }()
    static let user = UserRecord(name: "alice", ntHash: Array(0..<16), relativeID: 1001, isAdministrator: true)
    static let schedule = SnapshotSchedule(share: "test", everySeconds: 3600, keep: 24)
    static let limits: ServerLimits = {
        var limits = ServerLimits()
        for (number, limit) in ServerLimit.allCases.enumerated() {
            guard (try? limits.set(limit, to: limit.range.lowerBound + UInt64(number) + 1)) != nil else { continue }
        }
        return limits
    }()
    static let security: SecuritySettings = {
        var settings = SecuritySettings()
        let values = [
            ("signing", "optional"), ("encryption", "required"), ("ciphers", "aes-256-gcm,aes-128-ccm"),
            ("signing-algorithms", "aes-cmac"), ("session-lifetime", "77"), ("anonymous", "on"),
        ]
        for (name, value) in values { guard (try? settings.set(name, to: value)) != nil else { continue } }
        return settings
    }()
    static let server: ServerConfiguration = {
        var server = ServerConfiguration(
            serverGUID: GUID16(low: 9, high: 10), serverName: "TSHARE", domain: (1, 2, 3), mountPoint: "/mnt",
            shares: [share], users: [user], limits: limits, offersCompression: false, security: security)
        server.snapshotSchedules = [schedule]
        return server
    }()
    static let serverStatus = ServerStatus(
        connections: 1, sessions: 2, treeConnects: 3, opens: 4, durableOpens: 5, persistentOpens: 6,
        disconnectedOpens: 7, locks: 8, bytesRead: 9, bytesWritten: 10, requests: 11, notifies: 12, pending: 13,
        heldBytes: 14, pipeBytes: 15)
    static let snapshot = SnapshotRecord(share: "test", token: "@GMT-2026.11.24-19.30.00", isScheduled: true)
    static let mutations: [Mutation] = [.putOpen(open), .removeOpen(persistentID: 9)]

    static let node: NodeRecord = {
        var node = NodeRecord(
            id: 2, name: "node-b", address: "10.0.0.2:7420", role: .witness, interface: "eth1", incarnation: 7)
        node.former = [1]
        node.program = program
        return node
    }()
    static let program = NodeProgram(name: "0.2", versions: ClusterVersionRange(oldest: 1, newest: 2))
    static let step = StepRecord(name: "fence", microseconds: 1500)
    static let event = EventRecord(
        kind: .takeover, node: 2, term: 5, unixMilliseconds: 1_700_000_000_123, steps: [step], detail: "d")
    static let token = TokenRecord(hash: Array(0..<32), validMilliseconds: 600_000)
    static let credential = RemoteCredential(
        name: "anna", fingerprint: Array(32..<64), untilUnixMilliseconds: 1_800_000_000_000)
    static let disk = QuorumDiskRecord(
        number: firstDiskID, lun: "iscsi://h/iqn/2", disk: GUID16(low: 11, high: 12), areas: [1, 2], areaCount: 16,
        ringByteCount: 1 << 20, checkpointByteCount: 2 << 20)
    static let change: ShareChange = {
        var change = ShareChange(name: "test", permissions: [permission], removed: ["eve"], isAccessBased: true)
        change.addedTraits = .withoutStreams
        change.removedTraits = .withoutNotify
        change.hiddenFiles = ["~*"]
        return change
    }()
    static let membership = Configuration(voters: [1, 2, firstDiskID], learners: [3])
    static let settings: ClusterSettings = {
        var settings = ClusterSettings()
        settings.heartbeatMilliseconds = 101
        settings.electionMinimumMilliseconds = 1201
        settings.electionMaximumMilliseconds = 1801
        settings.leaseMilliseconds = 901
        settings.limits = limits
        settings.security = security
        return settings
    }()
    static let configuration: ClusterConfiguration = {
        var configuration = ClusterConfiguration(
            name: "tshare", guid: GUID16(low: 1, high: 2), domain: [1, 2, 3], certificateAuthority: "KEY",
            nodes: [
                NodeRecord(
                    id: 1, name: "node-a", address: "10.0.0.1:7420", role: .data, interface: "eth0", incarnation: 3),
                node,
            ], virtualIPs: ["10.0.0.10/24"], lun: "iscsi://u%p@h/iqn/1", fileSystem: Array(0..<16), settings: settings)
        configuration.shares = [share]
        configuration.users = [user]
        configuration.nextRelativeID = 1002
        configuration.snapshotSchedules = [schedule]
        configuration.quorumDisks.want(disk, nodes: [1, 2])
        configuration.credentials = [credential]
        return configuration
    }()
    /// As the cluster runs the oldest version.
    static let state: ClusterState = {
        var plain = configuration
        for index in plain.nodes.indices { plain.nodes[index].program = nil }
        for limit in ServerLimit.allCases where limit.since > .oldest {
            guard (try? plain.settings.limits.set(limit, to: limit.standard)) != nil else { continue }
        }
        var state = ClusterState(founding: plain, membership: membership, version: .oldest)
        let commands: [Command] = [
            .putToken(token), .mutate(epoch: 5, [.putOpen(open), .putClient(client), .reserveIDs(below: 4096)]),
            .activate(node: 1, term: 5, event), .record(event), .deactivate(node: 1, term: 5, steps: [step]),
            .record(EventRecord(kind: .failure, node: 2, term: 5)), .activate(node: 2, term: 5, event),
            .record(EventRecord(kind: .failure, node: 1, term: 5)),
        ]
        for command in commands { state.append(command) }
        return state
    }()
    static let handedOver: ClusterState = {
        var copy = state
        copy.append(.deactivate(node: 2, term: 5, steps: [step]))
        return copy
    }()
}

extension ClusterState {
    mutating func append(_ command: Command) {
        let entry = Entry(
            index: self.appliedIndex + 1, term: 5, payload: .command(command.encoded(for: self.version)))
        guard (try? self.apply(entry)) == .done else { preconditionFailure("\(command) is taken") }
    }
}

extension Sample {
    /// What stands inside others.
    static var records: [Sample] {
        [
            Sample("open", Example.open), Sample("open.renamed", Example.renamed), Sample("lease", Example.lease),
            Sample("lock", LockRecord(offset: 5, length: 6, isExclusive: true)), Sample("file", Example.file),
            Sample("client", Example.client), Sample("share", Example.share), Sample("permission", Example.permission),
            Sample("user", Example.user), Sample("schedule", Example.schedule), Sample("limits", Example.limits),
            Sample("security", Example.security), Sample("server", Example.server),
            Sample("serverStatus", Example.serverStatus), Sample("snapshotRecord", Example.snapshot),
            Sample("mutation.putOpen", Mutation.putOpen(Example.open)),
            Sample("mutation.removeOpen", Mutation.removeOpen(persistentID: 7)),
            Sample("mutation.putClient", Mutation.putClient(Example.client)),
            Sample("mutation.removeClient", Mutation.removeClient(Example.client)),
            Sample("mutation.reserveIDs", Mutation.reserveIDs(below: 4096)),
            Sample("mutation.removeAllClients", Mutation.removeAllClients),
            Sample("node", Example.node), Sample("program", Example.program, since: 2),
            Sample("event", Example.event), Sample("token", Example.token),
            Sample("event.drill", EventRecord(kind: .drill, node: 1, term: 2)),
            Sample("credential", Example.credential), Sample("quorumDisk", Example.disk),
            Sample("shareChange", Example.change), Sample("membership", Example.membership),
            Sample("settings", Example.settings), Sample("configuration", Example.configuration),
            Sample("payload.empty", Entry.Payload.empty), Sample("payload.command", Entry.Payload.command([1, 2])),
            Sample("payload.configuration", Entry.Payload.configuration(Example.membership)),
            Sample("entry", Entry(index: 5, term: 2, payload: .command([7]))),
            Sample("active", ActiveNode(node: 2, term: 5, sinceUnixMilliseconds: 77)),
        ]
    }
}
