import ClusterCore
import ClusterTransport
import Raft
import StateRecords

/// An end of the upgrade that an administrator asked for.
struct PendingUpgrade {
    var until: ContinuousClock.Instant
    var answer: AdminAnswer
}

/// Versions of the cluster, docs/UPGRADE.md: what each node's program can run, who is too old to be heard, and what is not
/// proposed yet.
extension Member {
    /// How often this node says again who it is: a link that broke in one direction only has forgotten it.
    static let introductionTime = Duration.seconds(1)

    /// What the cluster runs, as far as this node knows.
    var version: ClusterVersion { self.state?.version ?? .oldest }

    /// As the node itself said last; nil: it said nothing, which the programs of before version 2 do not.
    func program(of node: NodeID) -> NodeProgram? {
        if node == self.identity.id { return self.options.program }
        if let said = self.said[node] { return said }
        return self.state?.configuration.node(node)?.program
    }

    func versions(of node: NodeID) -> ClusterVersionRange { self.program(of: node)?.versions ?? .unstated }

    // MARK: What the others say

    func introduced(_ record: NodeRecord, by node: NodeID) {
        if self.said[node] != .some(record.program) {
            let said = record.program.map { "program \($0.name), which can run version \($0.versions)" }
            self.logger.info("\(record.name) runs \(said ?? "a program that says nothing of versions")")
        }
        self.said[node] = .some(record.program)
        self.saidNow.insert(node)
    }

    func introduceAgain(_ now: ContinuousClock.Instant) {
        guard now - self.introducedLast >= Self.introductionTime else { return }
        self.introducedLast = now
        for peer in self.state?.configuration.nodes ?? self.identity.peers where peer.id != self.identity.id {
            self.introduce(to: peer.id)
        }
    }

    /// A node whose program cannot run what the cluster runs is neither heard nor told anything of the log: it would skip what it
    /// cannot read, acknowledge it, and might lead. There is none, unless somebody put an old program back after the upgrade
    /// was finished.
    func isShutOut(_ node: NodeID) -> Bool {
        let version = self.version
        guard version > ClusterVersionRange.unstated.newest, !isDisk(node) else { return false }
        guard !self.versions(of: node).contains(version) else {
            self.shutOut.remove(node)
            return false
        }
        if self.shutOut.insert(node).inserted {
            let can = self.versions(of: node)
            self.logger.error(
                "\(self.name(of: node)) is not heard: the cluster runs version \(version), its program can run \(can)")
        }
        return true
    }

    // MARK: What is held back

    func hold(on command: Command) -> VersionHold? {
        if case .raiseVersion = command { return nil }
        return self.hold(on: command.since)
    }

    func hold(on needed: ClusterVersion) -> VersionHold? {
        guard needed > self.version, let state = self.state else { return nil }
        return VersionHold(
            needed: needed, active: state.version, holders: self.upgradePlan(state).holders(of: needed).map(\.name))
    }

    func upgradePlan(_ state: ClusterState) -> UpgradePlan {
        UpgradePlan(
            active: state.version,
            members: state.configuration.nodes.map { node in
                let isSelf = node.id == self.identity.id
                return UpgradePlan.Member(
                    node: node.id, name: node.name, isConnected: isSelf || self.transport.isConnected(to: node.id),
                    program: self.program(of: node.id), isCurrent: isSelf || self.isCurrent(node.id))
            })
    }

    /// It said what it runs since the link to it came up.
    func isCurrent(_ node: NodeID) -> Bool { self.saidNow.contains(node) && self.said[node] != .some(nil) }

    /// A node that has just come back is waited for: it has not said yet what it runs.
    func finishUpgrade(_ answer: @escaping AdminAnswer) {
        guard self.pendingUpgrade == nil else {
            return answer(.failed(AdminFailure(.unavailable, "another 'upgrade finish' is under way: wait for it")))
        }
        self.pendingUpgrade = PendingUpgrade(until: .now + Limits.readyTime, answer: answer)
        self.lookAtUpgrade(.now)
    }

    func lookAtUpgrade(_ now: ContinuousClock.Instant) {
        guard let pending = self.pendingUpgrade else { return }
        guard self.raft.isLeader, let state = self.state else {
            self.pendingUpgrade = nil
            return pending.answer(.failed(self.noLeader))
        }
        let plan = self.upgradePlan(state)
        if case .unknown = plan.stage, now < pending.until { return }
        self.pendingUpgrade = nil
        self.finish(plan, state, pending.answer)
    }

    private func finish(_ plan: UpgradePlan, _ state: ClusterState, _ answer: @escaping AdminAnswer) {
        let version: ClusterVersion
        switch plan.finish() {
        case .failure(let failure): return answer(.failed(failure))
        case .success(let possible): version = possible
        }
        let stated = plan.members.compactMap { member in
            member.program.map { StatedProgram(node: member.node, program: $0) }
        }
        self.propose(.raiseVersion(version, stated: stated)) { [weak self] outcome in
            guard let self else { return }
            switch outcome {
            case .applied(.refused(let refusal)): answer(.failed(AdminFailure(.refused, "\(refusal)")))
            case .applied:
                self.logger.notice("the cluster runs version \(version)")
                self.propose(
                    .record(
                        EventRecord(
                            kind: .upgraded, node: self.identity.id, term: self.raft.term,
                            unixMilliseconds: unixMilliseconds(),
                            detail: "from version \(state.version) to \(version)")))
                answer(
                    .done(
                        "the cluster runs version \(version) from now on; programs that cannot run it are refused by the nodes "
                            + "and by what is stored"))
            case .dropped(let reason): answer(.failed(Self.failure(reason)))
            }
        }
    }

    // MARK: This node's own program

    /// The node ends: it must neither acknowledge nor apply what it cannot read, and a leader of it would wait for ever.
    func cannotGoOn(_ problem: VersionProblem) {
        self.isBlocked = true
        guard self.fatal == nil else { return }
        self.logger.critical("\(problem)")
        self.fatal = problem.description
        self.step(.storageFailed)
    }
}
