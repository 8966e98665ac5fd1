import Raft
import StateRecords

/// What `clusterctl status` shows. `Codable` for `--json`: its names are documented in docs/CLUSTERCTL.md and stay.
package struct ClusterStatus: Codable, Equatable, Sendable {
    package struct Node: Codable, Equatable, Sendable {
        package var id: UInt64
        package var name: String
        package var address: String
        /// `data` or `witness`.
        package var kind: String
        /// `leader`, `follower` or `learner`; `unknown` where this node cannot tell.
        package var role: String
        package var connected: Bool
        /// This node serves.
        package var active: Bool
        package var incarnation: UInt64
        /// Entries that it lacks, as far as the leader knows.
        package var lag: UInt64?
        /// Whether it reaches the LUN, as far as the reporter heard lately; the leader hears of all data nodes.
        package var lunReachable: Bool?
        /// What it runs; nil where the reporter is too old to know.
        package var program: Program?

        package init(
            id: UInt64, name: String, address: String, kind: String, role: String, connected: Bool, active: Bool,
            incarnation: UInt64, lag: UInt64?, lunReachable: Bool?, program: Program? = nil
        ) {
            self.id = id
            self.name = name
            self.address = address
            self.kind = kind
            self.role = role
            self.connected = connected
            self.active = active
            self.incarnation = incarnation
            self.lag = lag
            self.lunReachable = lunReachable
            self.program = program
        }
    }

    package struct Program: Codable, Equatable, Sendable {
        /// nil: it says nothing of itself.
        package var name: String?
        /// The versions of the cluster that it can run.
        package var oldest: Int
        package var newest: Int

        package init(_ program: NodeProgram) {
            self.name = program.name
            self.oldest = Int(program.versions.oldest.rawValue)
            self.newest = Int(program.versions.newest.rawValue)
        }

        private init() {
            self.oldest = Int(ClusterVersionRange.unstated.oldest.rawValue)
            self.newest = Int(ClusterVersionRange.unstated.newest.rawValue)
        }

        /// One that says nothing.
        package static let older = Program()
    }

    package struct Path: Codable, Equatable, Sendable {
        package var portal: String
        /// Nil: not tried yet.
        package var reached: Bool?
        /// The reporter uses the LUN over it.
        package var used: Bool

        package init(portal: String, reached: Bool?, used: Bool) {
            self.portal = portal
            self.reached = reached
            self.used = used
        }
    }

    package struct Step: Codable, Equatable, Sendable {
        package var name: String
        package var milliseconds: Double
    }

    package struct Event: Codable, Equatable, Sendable {
        package var kind: String
        package var node: String
        package var term: UInt64
        /// By that node's wall clock.
        package var unixMilliseconds: UInt64
        package var milliseconds: Double
        package var steps: [Step]
        package var detail: String

        package init(_ record: EventRecord, node: String) {
            self.kind = record.kind.name
            self.node = node
            self.term = record.term
            self.unixMilliseconds = record.unixMilliseconds
            self.milliseconds = Double(record.totalMicroseconds) / 1000
            self.steps = record.steps.map { Step(name: $0.name, milliseconds: Double($0.microseconds) / 1000) }
            self.detail = record.detail
        }
    }

    package struct QuorumDisk: Codable, Equatable, Sendable {
        /// Without the password.
        package var lun: String
        /// `voter`, `learner`, `joining` or `leaving`.
        package var role: String
        /// For people.
        package var state: String
        /// The reporter can use it.
        package var ready: Bool
    }

    package struct Share: Codable, Equatable, Sendable {
        package var name: String
        package var path: String
        package var comment: String
        package var continuouslyAvailable: Bool
        package var readOnly: Bool
        package var encrypted: Bool
        package var accessBased: Bool
        package var shortNames = false
        package var streams = true
        package var notify = true
        package var keepInherited = false
        /// Patterns; empty: none are hidden by their names.
        package var hiddenFiles: [String] = []
        /// `alice:change`; empty: everyone has full access.
        package var permissions: [String]

        package init(_ record: ShareRecord) {
            self.name = record.name
            self.path = record.path
            self.comment = record.comment
            self.continuouslyAvailable = record.isContinuouslyAvailable
            self.readOnly = record.isReadOnly
            self.encrypted = record.requiresEncryption
            self.accessBased = record.isAccessBased
            self.shortNames = record.traits.contains(.shortNames)
            self.streams = !record.traits.contains(.withoutStreams)
            self.notify = !record.traits.contains(.withoutNotify)
            self.keepInherited = record.traits.contains(.keepsInheritedFlag)
            self.hiddenFiles = record.hiddenFiles
            self.permissions = record.permissions.map(\.description)
        }
    }

    package struct Limit: Codable, Equatable, Sendable {
        /// As `clusterctl limit set` takes it.
        package var name: String
        /// By the serving server; nil where none serves here.
        package var used: UInt64?
        package var limit: UInt64
    }

    package struct Security: Codable, Equatable, Sendable {
        /// As `clusterctl security set` takes both.
        package var name: String
        package var value: String
    }

    package struct Handles: Codable, Equatable, Sendable {
        package var persistent = 0
        package var durable = 0
        package var locks = 0
        package var leases = 0
        /// From the server itself; nil where none serves here.
        package var open: UInt32?
        package var disconnected: UInt32?

        package init() {}
    }

    /// The node that made this report. Only the active one knows the server's own counts.
    package var reporter: String
    package var cluster: String
    package var clusterID: String
    package var term: UInt64
    package var commitIndex: UInt64
    package var appliedIndex: UInt64
    package var leader: String?
    package var active: String?
    package var activeSinceUnixMilliseconds: UInt64?
    package var hasQuorum: Bool
    /// What the reporter itself is doing: `standby`, `taking fence`, `serving`, …
    package var phase: String
    /// Why the share is not served, when a takeover failed.
    package var problem: String?
    /// What the cluster runs.
    package var version: Int?
    /// What is to be done where the nodes' programs differ, or could run a newer version.
    package var mixed: String?
    package var nodes: [Node]
    package var virtualIPs: [String]
    /// Without the password.
    package var lun: String
    package var fileSystem: String
    package var fence: String
    /// The reporter's ways to the LUN.
    package var paths: [Path]?
    /// nil where the cluster has none.
    package var quorumDisk: QuorumDisk?
    package var shares: [Share]
    package var users: Int
    package var clients: [String]
    package var handles: Handles
    package var limits: [Limit]
    package var security: [Security]
    package var lastTakeover: Event?
    package var events: [Event]
    package var bytesRead: UInt64?
    package var bytesWritten: UInt64?
    package var requests: UInt64?

    package init(
        reporter: String, state: ClusterState, term: UInt64, commitIndex: UInt64, leader: String?, hasQuorum: Bool,
        phase: String, problem: String?, nodes: [Node], lun: String, fileSystem: String, fence: String,
        server: ServerStatus?, handles: HandleCounts
    ) {
        let configuration = state.configuration
        func name(_ id: NodeID) -> String { configuration.node(id)?.name ?? "node \(id)" }
        self.reporter = reporter
        self.cluster = configuration.name
        self.clusterID = Self.text(configuration.guid)
        self.term = term
        self.commitIndex = commitIndex
        self.appliedIndex = state.appliedIndex
        self.leader = leader
        self.active = state.active.map { name($0.node) }
        self.activeSinceUnixMilliseconds = state.active?.sinceUnixMilliseconds
        self.hasQuorum = hasQuorum
        self.phase = phase
        self.problem = problem
        self.nodes = nodes
        self.virtualIPs = configuration.virtualIPs
        self.lun = lun
        self.fileSystem = fileSystem
        self.fence = fence
        self.shares = configuration.shares.map { Share($0) }
        self.users = configuration.users.count
        self.clients = state.handles.orderedClients.map { "\(Self.text($0.clientAddress)):\($0.clientPort)" }
        self.handles = Handles()
        self.handles.persistent = Int(handles.persistent)
        self.handles.durable = Int(handles.durable)
        self.handles.locks = Int(handles.locks)
        self.handles.leases = Int(handles.leases)
        self.handles.open = server?.opens
        self.handles.disconnected = server?.disconnectedOpens
        self.limits = ServerLimit.allCases.map {
            Limit(name: $0.rawValue, used: server?.used($0), limit: configuration.settings.limits[$0])
        }
        self.security = SecuritySetting.allCases.map {
            Security(name: $0.rawValue, value: configuration.settings.security[$0])
        }
        self.bytesRead = server?.bytesRead
        self.bytesWritten = server?.bytesWritten
        self.requests = server?.requests
        self.lastTakeover = state.events.last { $0.kind == .takeover || $0.kind == .move }.map {
            Event($0, node: name($0.node))
        }
        self.events = state.events.map { Event($0, node: name($0.node)) }
    }

    /// An IP address from its bytes.
    package static func text(_ address: [UInt8]) -> String {
        address.map { "\($0)" }.joined(separator: address.count == 4 ? "." : ",")
    }

    package static func text(_ guid: GUID16) -> String {
        [guid.high, guid.low].map {
            let digits = String($0, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }.joined()
    }
}
