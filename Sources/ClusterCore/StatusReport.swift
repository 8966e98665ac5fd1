import Raft
import StateRecords

/// The raw material of a ``ClusterStatus``: the reporter's replicated state without its secrets, and what it alone knows.
package struct StatusReport: Equatable, BinaryRecord {
    package struct NodeReport: Equatable, BinaryRecord {
        package var id: NodeID
        package var isConnected: Bool
        /// 0 unknown, 1 follower, 2 learner, 3 leader.
        package var role: UInt8
        package var lag: UInt64
        package var knowsLag: Bool
        /// Whether it reaches the LUN. In the report's section 2: an older version does not know it.
        package var reach: Reach
        /// What it runs, as it said last; nil: it said nothing. In the report's section 5, as what follows.
        package var program: NodeProgram?
        /// It said so over the link that is up.
        package var isCurrent = false

        package init(id: NodeID, isConnected: Bool, role: UInt8, lag: UInt64?, reach: Reach = .unknown) {
            self.id = id
            self.isConnected = isConnected
            self.role = role
            self.lag = lag ?? 0
            self.knowsLag = lag != nil
            self.reach = reach
        }

        package func encode(into writer: inout BinaryWriter) {
            writer.write(self.id)
            writer.write(self.isConnected)
            writer.write(self.role)
            writer.write(self.lag)
            writer.write(self.knowsLag)
        }

        package init(from reader: inout BinaryReader) throws(RecordError) {
            self.id = try reader.read()
            self.isConnected = try reader.read()
            self.role = try reader.read()
            self.lag = try reader.read()
            self.knowsLag = try reader.read()
            self.reach = .unknown
        }
    }

    package var reporter: String
    /// Secrets blanked.
    package var state: ClusterState
    package var term: Term
    package var commitIndex: LogIndex
    package var leader: String
    package var hasQuorum: Bool
    package var phase: String
    package var problem: String
    package var nodes: [NodeReport]
    package var lun: String
    package var fileSystem: String
    package var fence: String
    package var server: ServerStatus?
    package var handles: HandleCounts
    /// nil: the cluster has none, and is to have none. In section 3.
    package var quorumDisk: QuorumDiskStatus?
    /// The reporter's ways to the LUN. In section 4.
    package var paths: [PathReport] = []
    /// The reporter knows what the nodes run: an older one, whose report ends before section 5, does not.
    package var knowsPrograms = false

    package init(
        reporter: String, state: ClusterState, active: ActiveNode?, term: Term, commitIndex: LogIndex, leader: String,
        hasQuorum: Bool, phase: String, problem: String, nodes: [NodeReport], lun: String, fileSystem: String,
        fence: String, server: ServerStatus?
    ) {
        self.reporter = reporter
        self.handles = HandleCounts(state.handles)
        self.state = state.forPeople(active: active)
        self.term = term
        self.commitIndex = commitIndex
        self.leader = leader
        self.hasQuorum = hasQuorum
        self.phase = phase
        self.problem = problem
        self.nodes = nodes
        self.lun = lun
        self.fileSystem = fileSystem
        self.fence = fence
        self.server = server
    }

    package func encode(into writer: inout BinaryWriter) {
        let knowsPrograms = self.knowsPrograms && writer.version >= 2
        writer.section(version: knowsPrograms ? 5 : 4) { writer in
            writer.write(self.reporter)
            writer.write(self.state)
            writer.write(self.term)
            writer.write(self.commitIndex)
            writer.write(self.leader)
            writer.write(self.hasQuorum)
            writer.write(self.phase)
            writer.write(self.problem)
            writer.write(self.nodes)
            writer.write(self.lun)
            writer.write(self.fileSystem)
            writer.write(self.fence)
            writer.write(self.server)
            writer.write(self.handles)
            for node in self.nodes { writer.write(node.reach.rawValue) }
            writer.write(self.quorumDisk)
            writer.write(self.paths)
            guard knowsPrograms else { return }
            for node in self.nodes {
                writer.write(node.program)
                writer.write(node.isCurrent)
            }
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            let reporter = try reader.read(String.self)
            let state = try reader.read(ClusterState.self)
            var report = StatusReport(
                reporter: reporter, state: state, active: state.active, term: try reader.read(),
                commitIndex: try reader.read(), leader: try reader.read(), hasQuorum: try reader.read(),
                phase: try reader.read(), problem: try reader.read(), nodes: try reader.readArray(),
                lun: try reader.read(), fileSystem: try reader.read(), fence: try reader.read(),
                server: try reader.readOptional())
            report.handles = try reader.read()
            guard version >= 2 else { return report }
            for index in report.nodes.indices {
                report.nodes[index].reach = Reach(rawValue: try reader.read(UInt8.self)) ?? .unknown
            }
            if version >= 3 { report.quorumDisk = try reader.readOptional() }
            if version >= 4 { report.paths = try reader.readArray() }
            guard version >= 5 else { return report }
            report.knowsPrograms = true
            for index in report.nodes.indices {
                report.nodes[index].program = try reader.readOptional()
                report.nodes[index].isCurrent = try reader.read()
            }
            return report
        }
    }

    package var status: ClusterStatus {
        let configuration = self.state.configuration
        let roles = ["unknown", "follower", "learner", "leader"]
        let nodes = configuration.nodes.map { record in
            let report = self.nodes.first { $0.id == record.id }
            return ClusterStatus.Node(
                id: record.id, name: record.name, address: record.address, kind: record.role.name,
                role: roles[min(Int(report?.role ?? 0), roles.count - 1)], connected: report?.isConnected ?? false,
                active: self.state.active?.node == record.id, incarnation: record.incarnation,
                lag: report.flatMap { $0.knowsLag ? $0.lag : nil },
                lunReachable: record.role == .data ? report?.reach.isYes : nil,
                program: self.knowsPrograms
                    ? report?.program.map { ClusterStatus.Program($0) } ?? ClusterStatus.Program.older : nil)
        }
        var status = ClusterStatus(
            reporter: self.reporter, state: self.state, term: self.term, commitIndex: self.commitIndex,
            leader: self.leader.isEmpty ? nil : self.leader, hasQuorum: self.hasQuorum, phase: self.phase,
            problem: self.problem.isEmpty ? nil : self.problem, nodes: nodes, lun: self.lun,
            fileSystem: self.fileSystem, fence: self.fence, server: self.server, handles: self.handles)
        status.version = Int(self.state.version.rawValue)
        status.mixed = self.upgrade.flatMap { $0.stage == .complete ? nil : $0.next }
        status.quorumDisk = self.quorumDisk.map {
            ClusterStatus.QuorumDisk(lun: $0.lun, role: $0.role, state: $0.state, ready: $0.isReady)
        }
        status.paths = self.paths.map {
            ClusterStatus.Path(portal: $0.portal, reached: $0.reach.isYes, used: $0.isUsed)
        }
        return status
    }
}

extension StatusReport {
    /// nil: the reporter is of before version 2, and knows nothing of this.
    package var upgrade: UpgradePlan? {
        guard self.knowsPrograms else { return nil }
        return UpgradePlan(
            active: self.state.version,
            members: self.state.configuration.nodes.map { record in
                let report = self.nodes.first { $0.id == record.id }
                return UpgradePlan.Member(
                    node: record.id, name: record.name, isConnected: report?.isConnected ?? false,
                    program: report?.program, isCurrent: report?.isCurrent ?? false)
            })
    }

    /// What this node knows of the others' programs, where the reporter, which leads, knows nothing of it.
    package mutating func complete(from own: StatusReport) {
        guard !self.knowsPrograms else { return }
        self.knowsPrograms = true
        for index in self.nodes.indices {
            guard let known = own.nodes.first(where: { $0.id == self.nodes[index].id }) else { continue }
            self.nodes[index].program = known.program
            self.nodes[index].isCurrent = known.isCurrent
        }
    }
}

/// One of a node's ways to the LUN.
package struct PathReport: Equatable, BinaryRecord {
    package var portal: String
    package var reach: Reach
    /// This node uses the LUN over it.
    package var isUsed: Bool

    package init(portal: String, reach: Reach, isUsed: Bool) {
        self.portal = portal
        self.reach = reach
        self.isUsed = isUsed
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.portal)
        writer.write(self.reach.rawValue)
        writer.write(self.isUsed)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.portal = try reader.read()
        self.reach = Reach(rawValue: try reader.read(UInt8.self)) ?? .unknown
        self.isUsed = try reader.read()
    }
}

/// The quorum disk as the reporter sees it.
package struct QuorumDiskStatus: Equatable, BinaryRecord {
    /// Without the password.
    package var lun: String
    /// `voter`, `learner`, `joining` or `leaving`.
    package var role: String
    /// For people.
    package var state: String
    package var isReady: Bool

    package init(lun: String, role: String, state: String, isReady: Bool) {
        self.lun = lun
        self.role = role
        self.state = state
        self.isReady = isReady
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.lun)
        writer.write(self.role)
        writer.write(self.state)
        writer.write(self.isReady)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.lun = try reader.read()
        self.role = try reader.read()
        self.state = try reader.read()
        self.isReady = try reader.read()
    }
}

/// The opens that survive a failover, counted by kind.
package struct HandleCounts: Equatable, BinaryRecord {
    package var persistent: UInt32 = 0
    package var durable: UInt32 = 0
    package var locks: UInt32 = 0
    package var leases: UInt32 = 0

    package init(_ state: HandleState) {
        for open in state.opens.values {
            if open.isPersistent { self.persistent += 1 } else { self.durable += 1 }
            self.locks += UInt32(clamping: open.locks.count)
            if let lease = open.lease, lease.state != 0 { self.leases += 1 }
        }
    }

    package func encode(into writer: inout BinaryWriter) {
        for count in [self.persistent, self.durable, self.locks, self.leases] { writer.write(count) }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.persistent = try reader.read()
        self.durable = try reader.read()
        self.locks = try reader.read()
        self.leases = try reader.read()
    }
}

// MARK: Between nodes
