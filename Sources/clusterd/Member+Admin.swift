import ClusterCore
import ClusterPlatform
import ClusterStore
import ClusterTransport
import Raft
import StateRecords

/// What this node passed on to the leader, for somebody who waits.
struct ForwardedRequest {
    /// How long after its leadership ended the leader's own answer is waited for.
    static let patience = Duration.seconds(3)

    var leader: NodeID
    /// A move: its answer comes after the leadership has changed.
    var endsLeadership: Bool
    var answer: AdminAnswer
    /// Since when that node does not lead any more.
    var lost: ContinuousClock.Instant?
}

extension AdminRequest {
    fileprivate var endsLeadership: Bool {
        switch self {
        case .move, .drill: true
        case .audited(let request, _): request.endsLeadership
        default: false
        }
    }
}

/// What the administrator asks. Whatever changes the state is done by the leader; the others pass it on.
extension Member {
    func administer(_ request: AdminRequest, _ answer: @escaping AdminAnswer) {
        switch request {
        case .backup(isLocal: true): self.backup(isConfirmed: false, answer)
        case .initialize, .join, .rejoin, .rejoinStating, .restore:
            answer(
                .failed(
                    AdminFailure(
                        .wrongState,
                        "this node is already node \(self.identity.name) of cluster \(self.identity.clusterName): "
                            + "'clusterctl leave' takes it out")))
        case .checkStorage(let lun):
            guard let state = self.state else { return answer(.failed(self.noLeader)) }
            guard lun.isEmpty else { return StorageCheck.run(lun, answer) }
            let disks = state.configuration.quorumDisks
            let quorum = disks.record(disks.wanted).map {
                StorageCheck.QuorumDisk(lun: $0.lun, superblock: $0.superblock(of: state.configuration.guid))
            }
            StorageCheck.run(state.configuration.lun, quorum: quorum, answer)
        case .certificate(let renews):
            if renews { self.renewCertificate(answer) } else { answer(self.describeCertificate()) }
        case .leave(let node) where node.isEmpty || node == self.identity.name: self.leave(answer)
        case .inspect(let part, let index) where index != 0: self.inspect(part, at: index, answer)
        case .events where !self.raft.isLeader:
            let local = self.state.map { AdminReply.events(EventHistory($0)) } ?? .failed(self.noLeader)
            self.forward(request, timeoutSeconds: 2) { reply in
                if case .failed = reply { answer(local) } else { answer(reply) }
            }
        case .status where !self.raft.isLeader:
            let local = self.statusReply()
            guard self.raft.leader != nil else { return answer(local) }
            // The leader knows more; what this node knows is better than nothing.
            self.forward(request, timeoutSeconds: 2) { reply in
                switch (reply, local) {
                case (.failed, _): answer(local)
                case (.status(var report), .status(let own)):
                    report.complete(from: own)
                    answer(.status(report))
                default: answer(reply)
                }
            }
        case _ where self.raft.isLeader: self.administerAsLeader(request, answer)
        default: self.forward(request, timeoutSeconds: 90, answer)
        }
    }

    func forward(_ request: AdminRequest, timeoutSeconds: Int64, _ answer: @escaping AdminAnswer) {
        guard let leader = self.raft.leader, leader != self.identity.id,
            let address = (self.state?.configuration.nodes ?? self.identity.peers).first(where: { $0.id == leader })?
                .address, let endpoint = Endpoint(address)
        else { return answer(.failed(self.noLeader)) }
        let transport = self.transport
        let name = self.name(of: leader)
        guard request.since <= self.versions(of: leader).newest else {
            return answer(
                .failed(
                    AdminFailure(
                        .refused,
                        "\(name) leads and runs an older program, which does not know this: 'clusterctl upgrade status' shows who "
                            + "is to be upgraded; 'clusterctl move' gives the leadership to another node")))
        }
        let number = self.nextForward
        self.nextForward += 1
        self.forwarded[number] = ForwardedRequest(
            leader: leader, endsLeadership: request.endsLeadership, answer: answer)
        let mailbox = self.mailbox
        startThread("forward") {
            let reply: AdminReply
            do throws(TransportError) {
                let bytes = try transport.request(
                    request.encoded, to: endpoint, node: leader, timeout: .seconds(timeoutSeconds))
                reply =
                    (try? AdminReply(decoding: bytes))
                    ?? .failed(AdminFailure(.refused, "\(name) runs another version: use the same on all nodes"))
            } catch {
                reply = .failed(AdminFailure(.unavailable, "the leader \(name) cannot be asked (\(error)): try again"))
            }
            mailbox.post(.forwardAnswered(number, reply))
        }
    }

    /// Whoever was asked leads no more, and may be gone, or hang: it had its time to say so.
    func giveUpForwarded(_ now: ContinuousClock.Instant) {
        for (number, waiting) in self.forwarded.sorted(by: { $0.key < $1.key }) where !waiting.endsLeadership {
            if waiting.leader == self.raft.leader {
                self.forwarded[number]?.lost = nil
            } else if now - (waiting.lost ?? now) > ForwardedRequest.patience {
                self.forwarded[number] = nil
                waiting.answer(.failed(Self.failure(.unknown)))
            } else if waiting.lost == nil {
                self.forwarded[number]?.lost = now
            }
        }
    }

    /// A node that was taken out still has its certificate: it may not even ask.
    func forwarded(_ request: AdminRequest, by node: NodeID, _ answer: @escaping AdminAnswer) {
        switch request {
        case .rejoin(let reason): return self.rejoin(node, nil, reason: reason, answer)
        case .rejoinStating(let reason, let program): return self.rejoin(node, program, reason: reason, answer)
        default: break
        }
        if let state = self.state, state.isRemoved(node) {
            self.logger.warning("refused a request of node \(node), which was taken out of the cluster")
            return answer(
                .failed(
                    AdminFailure(
                        .refused,
                        Self.takenOut)))
        }
        if case .reissueCertificate = request { return self.reissueCertificate(for: node, answer) }
        self.administerAsLeader(request, answer)
    }

    static let takenOut =
        "this node was taken out of the cluster: stop its clusterd, delete its state directory, and join it again with a "
        + "new token"

    var noLeader: AdminFailure {
        AdminFailure(
            .unavailable,
            "the cluster has no leader at the moment: wait a few seconds; if it stays so, 'clusterctl status' on each node "
                + "shows which nodes are missing for a majority. A node that another one took out ('clusterctl leave NODE') "
                + "finds no leader any more: stop its clusterd and delete its state directory")
    }

    func administerAsLeader(_ request: AdminRequest, _ answer: @escaping AdminAnswer) {
        guard self.raft.isEstablishedLeader, let state = self.state else { return answer(.failed(self.noLeader)) }
        switch request {
        case .audited(let request, let who): self.administerAsLeader(request, by: who, answer)
        case .status: answer(self.statusReply())
        case .events: answer(.events(EventHistory(state)))
        case .drill(let kind): self.drill(kind, answer)
        case .drilled(let report):
            var report = report
            report.detail = oneLine(report.detail)
            self.perform(
                .record(
                    report.event(on: self.identity.id, term: self.raft.term, unixMilliseconds: unixMilliseconds())),
                "recorded", answer)
        case .inspect(let part, let index): self.inspect(part, at: index, answer)
        case .replaceQuorumDisk(let lun, let forces): self.replaceQuorumDisk(lun, forces: forces, state, answer)
        case .token(let valid): self.makeToken(validMilliseconds: valid, state, answer)
        case .addShare(let share):
            if let problem = Names.problem(shareName: share.name) ?? Names.problem(sharePath: share.path) {
                return answer(.failed(AdminFailure(.refused, problem)))
            }
            self.addShare(share, state, answer)
        case .removeShare(let name):
            self.perform(.removeShare(name: name), "share \(name) is removed; its files stay on the LUN", answer)
        case .putUser(let name, let hash, let replaces):
            if let problem = Names.problem(userName: name) {
                return answer(.failed(AdminFailure(.refused, problem)))
            }
            guard hash.count == 16 else {
                return answer(.failed(AdminFailure(.refused, "the NT hash must have 16 bytes")))
            }
            let exists = state.configuration.users.contains { $0.name.lowercased() == name.lowercased() }
            guard exists == replaces else {
                let problem =
                    exists
                    ? "user \(name) exists already: 'clusterctl user password \(name)' changes the password"
                    : "there is no user \(name): 'clusterctl user list' shows them"
                return answer(.failed(AdminFailure(.refused, problem)))
            }
            self.perform(
                .putUser(name: name, ntHash: hash),
                replaces ? "the password of \(name) is changed" : "user \(name) is added", answer)
        case .removeUser(let name): self.perform(.removeUser(name: name), "user \(name) is removed", answer)
        case .changeShare(let change): self.perform(.changeShare(change), "share \(change.name) is changed", answer)
        case .setAdministrator(let name, let isAdministrator):
            self.perform(
                .setAdministrator(name: name, isAdministrator),
                isAdministrator ? "user \(name) is an administrator" : "user \(name) is no administrator", answer)
        case .listUsers:
            let marked = state.configuration.users.map { $0.isAdministrator ? "\($0.name) (administrator)" : $0.name }
            answer(.users(marked))
        case .move(let node): self.move(to: node, state, answer)
        case .leave(let name): self.remove(name, state, answer)
        case .issueCredentials(let name, let days): self.issueCredentials(name, days: days, state, answer)
        case .revokeCredentials(let name):
            self.perform(.removeCredential(name: name), "the credentials \(name) count no more", answer)
        case .listCredentials: answer(.credentialList(state.configuration.credentials))
        case .snapshot(let order): self.snapshot(order, answer)
        case .setSnapshotSchedule(let schedule):
            if let problem = schedule.problem { return answer(.failed(AdminFailure(.refused, problem))) }
            self.perform(
                .setSnapshotSchedule(schedule),
                "share \(schedule.share): a snapshot every \(schedule.everySeconds) s, \(schedule.keep) of which stay",
                answer)
        case .removeSnapshotSchedule(let share):
            self.perform(
                .removeSnapshotSchedule(share: share), "share \(share) has no schedule any more; its snapshots stay",
                answer)
        case .listSnapshotSchedules: answer(.snapshotSchedules(state.configuration.snapshotSchedules))
        case .inspectOpens: answer(.opens(state.handles.orderedOpens))
        case .nodeStarted(let record): self.nodeStarted(record, state, answer)
        case .changeNode(let change): self.changeNode(change, state, answer)
        case .setSecurity(let name, let value):
            var security = state.configuration.settings.security
            do throws(SecuritySettingError) { try security.set(name, to: value) } catch {
                return answer(.failed(AdminFailure(.refused, "\(error)")))
            }
            self.perform(.setSecurity(name: name, value: value), "\(name) is \(value)", answer)
        case .setLimit(let name, let value):
            var limits = state.configuration.settings.limits
            do throws(LimitError) { try limits.set(name, to: "\(value)") } catch {
                return answer(.failed(AdminFailure(.refused, "\(error)")))
            }
            self.perform(.setLimit(name: name, value: value), "the limit of \(name) is \(value)", answer)
        case .growStorage: self.storage.tell(.grow(answer))
        case .setStorageAddress(let lun):
            StorageCheck.comparePortals(
                lun, with: state.configuration.lun,
                initiator: .ofNode(
                    UInt16(truncatingIfNeeded: self.identity.id), named: self.identity.name, role: .preparation)
            ) { [mailbox = self.mailbox] result in mailbox.post(.storageAddressChecked(result, answer)) }
        case .backup:
            self.confirmLeadership { [weak self] confirmed in
                guard let self else { return }
                if confirmed { self.backup(isConfirmed: true, answer) } else { answer(.failed(self.noLeader)) }
            }
        case .finishUpgrade: self.finishUpgrade(answer)
        case .initialize, .join, .checkStorage, .rejoin, .rejoinStating, .restore, .certificate, .reissueCertificate:
            answer(.failed(AdminFailure(.wrongState, "this can only be asked of the node itself")))
        }
    }

    func setStorageAddress(_ lun: String, _ answer: @escaping AdminAnswer) {
        self.perform(
            .setStorageAddress(lun),
            "the LUN has this address from now on; the node that uses it now goes on over the portals that it knows, until "
                + "'clusterctl move' or the next takeover", answer)
    }

    private func snapshot(_ order: SnapshotOrder, _ answer: @escaping AdminAnswer) {
        guard self.takeover.isServing, let server = self.server else {
            return answer(
                .failed(AdminFailure(.unavailable, "no node serves the share at the moment: see 'clusterctl status'")))
        }
        server.tell(
            .snapshot(order) { outcome in
                switch outcome {
                case .done(let text): answer(.done(text))
                case .failed(let text): answer(.failed(AdminFailure(.refused, text)))
                case .list(let snapshots): answer(.snapshots(snapshots))
                }
            })
    }

    private func perform(_ command: Command, _ done: String, _ answer: @escaping AdminAnswer) {
        self.propose(command) { outcome in
            switch outcome {
            case .applied(.refused(let refusal)):
                answer(.failed(AdminFailure(.refused, "\(refusal)")))
            case .applied: answer(.done(done))
            case .dropped(let reason): answer(.failed(Self.failure(reason)))
            }
        }
    }

    static func failure(_ reason: DropReason) -> AdminFailure {
        switch reason {
        case .unknown:
            AdminFailure(.unavailable, "the leadership changed in the middle: look whether it was done, then try again")
        case .majorityNotHeard:
            AdminFailure(
                .refused,
                "without it the nodes that are connected would be no majority of those that stay, and nothing would be "
                    + "served: bring the missing node back, or take that one out first ('clusterctl status' shows LINK DOWN)"
            )
        default: AdminFailure(.unavailable, "not possible at the moment (\(reason)): try again")
        }
    }

    // MARK: Status

    /// A majority is behind this node, or behind the leader that it heard just now: what it knows is what the cluster decided.
    var hasQuorum: Bool {
        if self.raft.isLeader { return self.lease }
        let silence = self.tick - min(self.tick, self.heardLeader)
        return self.raft.leader != nil && silence < UInt64(self.settings.electionMinimumMilliseconds)
    }

    func statusReply() -> AdminReply {
        guard let state = self.state else {
            return .failed(
                AdminFailure(
                    .unavailable,
                    "this node joined and has not received the cluster's state yet: can it reach the others?"))
        }
        let peers = Dictionary(uniqueKeysWithValues: self.raft.peers.map { ($0.node, $0) })
        let nodes = state.configuration.nodes.map { node in
            let isSelf = node.id == self.identity.id
            let connected = isSelf || self.transport.isConnected(to: node.id)
            let role: UInt8 =
                if node.id == self.raft.leader { 3 } else if self.raft.configuration.isLearner(node.id) {
                    2
                } else if !connected { 0 } else { 1 }
            let match = isSelf && self.raft.isLeader ? self.raft.lastIndex : peers[node.id]?.matchIndex
            var report = StatusReport.NodeReport(
                id: node.id, isConnected: connected, role: role,
                lag: match.map { self.raft.lastIndex - min(self.raft.lastIndex, $0) }, reach: self.reach(of: node.id))
            report.program = self.program(of: node.id)
            report.isCurrent = isSelf || self.isCurrent(node.id)
            return report
        }
        let leader = self.raft.leader.map { self.name(of: $0) } ?? ""
        let lun = (try? LUNAddress(state.configuration.lun)).map { "\($0)" } ?? "unreadable"
        var report =
            StatusReport(
                reporter: self.identity.name, state: state,
                active: state.active(
                    in: self.raft.term, reporter: self.identity.id, reporterServes: self.takeover.isServing),
                term: self.raft.term, commitIndex: self.raft.commitIndex,
                leader: leader, hasQuorum: self.hasQuorum, phase: self.phaseText,
                problem: self.problem ?? "", nodes: nodes, lun: lun,
                fileSystem: FilesystemID(bytes: state.configuration.fileSystem).map { "\($0)" } ?? "",
                fence: self.fenceText, server: self.takeover.isServing ? self.serverStatus : nil)
        report.knowsPrograms = true
        report.quorumDisk = self.quorumDiskStatus(state)
        report.paths = self.paths.map {
            PathReport(portal: $0.portal, reach: $0.reach, isUsed: $0.portal == self.usedPath)
        }
        return .status(report)
    }
}
