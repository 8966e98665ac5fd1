import ClusterCore
import Raft
import StateRecords

/// Machines that are no members for a while: a node whose state is lost is taken back under another id (`Member+Rejoin`,
/// `NodeLoop+Lost`), and one that left joins again (`Member+Membership`).
extension TakeoverSimulation {
    /// Why a machine is no member. It votes for nobody, acknowledges nothing, serves nothing, and asks to be taken in.
    enum Absence { case lost, left }

    /// Who asks, and under which number.
    struct Asker {
        let life: Life
        let question: UInt64
        /// The id that it had.
        let node: NodeID
        let absence: Absence

        init(life: Life, question: UInt64, node: NodeID, _ absence: Absence) {
            self.life = life
            self.question = question
            self.node = node
            self.absence = absence
        }
    }

    /// One question at a time: what is answered later than that is not taken.
    static let askInterval: UInt64 = 3_000_000

    // MARK: The machine

    mutating func ask(_ i: Int) {
        guard let absence = self.nodes[i].absence else { return }
        self.schedule(.ask(self.life(i)), after: Self.askInterval, 1000)
        self.nodes[i].question = self.newID()
        let asker = Asker(life: self.life(i), question: self.nodes[i].question, node: self.nodes[i].id, absence)
        let own = asker.node
        for j in self.nodes.indices where j != i && self.nodes[j].isUp {
            if self.links.isBlocked(from: own, to: self.nodes[j].id) { continue }
            if self.hasFaults, self.random.chance(perMillion: self.faults.lossPerMillion) { continue }
            self.schedule(.asked(self.life(j), asker), after: 100, 900)
        }
    }

    /// The machine begins as a new node that knows nothing.
    mutating func takenIn(_ i: Int, as node: NodeID, _ question: UInt64) {
        guard let absence = self.nodes[i].absence, question == self.nodes[i].question else { return }
        self.trace.note(self.time, "taken in", node, self.nodes[i].id)
        if absence == .lost { self.healed += 1 } else { self.joins += 1 }
        self.nodes[i].absence = nil
        self.nodes[i].id = node
        self.nodes[i].disk = SimulatedDisk(base: Snapshot())
        self.quorum.sides[i].memories = [:]
        self.start(i)
    }

    // MARK: The leader

    mutating func asked(_ i: Int, by asker: Asker) {
        guard let raft = self.nodes[i].raft, raft.isEstablishedLeader, let state = self.nodes[i].state else { return }
        switch asker.absence {
        case .lost:
            // An answer that was lost on its way leaves the node with the id before.
            let node = state.configuration.nodes.first { $0.id == asker.node || $0.former.contains(asker.node) }
            guard let node else { return self.fail("membership: node \(asker.node) is not taken back") }
            self.takeOut(i, node.id, for: asker)
        case .left:
            let name = "node-\(asker.life.node + 1)"
            // The same of a node that joined and never heard of it: `clusterctl leave NAME` on another one.
            if let known = state.configuration.node(named: name) { return self.takeOut(i, known.id, for: nil) }
            guard self.nodes[i].welcomed.insert(asker.life.node).inserted else { return }
            let hash = (0..<4).flatMap { _ in payload(token: self.random.next(), padding: 0) }
            self.propose(i, .putToken(TokenRecord(hash: hash, validMilliseconds: 60_000)))
            let record = NodeRecord(
                id: 0, name: name, address: "10.0.0.\(asker.life.node + 1):7420",
                role: self.nodes[asker.life.node].role,
                interface: "eth0")
            self.propose(i, .addNode(record, tokenHash: hash), .joining(asker))
        }
    }

    /// Out of Raft's membership first, by a majority of the others; then out of the configuration, or into it under another id.
    private mutating func takeOut(_ i: Int, _ node: NodeID, for asker: Asker?) {
        guard node != self.nodes[i].id, let raft = self.nodes[i].raft, self.nodes[i].leaving.insert(node).inserted
        else {
            return
        }
        guard raft.configuration.contains(node) else { return self.takenOut(i, node, for: asker) }
        self.change(i, .remove(node), .removal(node, asker))
    }

    private mutating func takenOut(_ i: Int, _ node: NodeID, for asker: Asker?) {
        self.propose(
            i, asker == nil ? .removeNode(node) : .replaceNode(node), .replacement(node, asker))
    }

    /// nil: it was dropped.
    mutating func membershipProposed(_ i: Int, _ pending: Pending, _ result: CommandResult?) {
        switch pending {
        case .removal(let node, let asker):
            if result == nil { self.nodes[i].leaving.remove(node) } else { self.takenOut(i, node, for: asker) }
        case .replacement(let node, let asker):
            self.nodes[i].leaving.remove(node)
            guard let asker else {
                if result == .done { self.left(node) }
                return
            }
            if case .added(let record) = result { self.answer(i, asker, record.id) }
        case .joining(let asker):
            self.nodes[i].welcomed.remove(asker.life.node)
            if case .added(let record) = result { self.answer(i, asker, record.id) }
        case .journal, .change, .other: break
        }
    }

    private mutating func answer(_ i: Int, _ asker: Asker, _ node: NodeID) {
        if self.links.isBlocked(from: self.nodes[i].id, to: self.nodes[asker.life.node].id) { return }
        if self.hasFaults, self.random.chance(perMillion: self.faults.lossPerMillion) { return }
        self.schedule(.takenIn(asker.life, as: node, asker.question), after: 100, 900)
    }

    private mutating func left(_ node: NodeID) {
        guard let machine = self.machine(of: node), self.nodes[machine].absence == nil else { return }
        self.trace.note(self.time, "left", node)
        self.crash(machine, isAnnounced: false)
        self.nodes[machine].absence = .left
        self.schedule(.restart(self.life(machine)), after: 100_000, self.faults.maximumDowntime)
    }

    // MARK: Faults

    /// What is asked for may take effect so much later: until then no second voter goes.
    static let lossInterval: UInt64 = 10_000_000

    /// All vote, agree on that and on their leader, and the disk lost nothing: one may forget everything, or leave, and what was
    /// acknowledged is with a majority of the others. Two at once are more than any three voters survive.
    private var canSpareOne: Bool {
        guard self.time >= self.nextLoss, let leader = self.someLeader(), let raft = self.nodes[leader].raft,
            raft.isEstablishedLeader, raft.configurationIsCommitted, raft.configuration.voters.count > 2,
            let configuration = self.nodes[leader].state?.configuration
        else { return false }
        let areMembers = self.nodes.allSatisfy { node in
            node.absence == nil && raft.configuration.isVoter(node.id) && node.raft?.leader == raft.id
                && node.raft?.configuration == raft.configuration
        }
        guard areMembers, self.hasQuorumDisk else { return areMembers }
        guard let number = raft.configuration.disk, number == configuration.quorumDisks.wanted,
            let record = configuration.quorumDisks.record(number),
            self.quorum.disks[record.disk.low]?.isWhole == true
        else { return false }
        return self.nodes.indices.allSatisfy { i in
            record.area(of: self.nodes[i].id) != nil && self.quorum.sides[i].voter?.status == .ready
        }
    }

    /// state.db is gone, damaged, or older than `node.identity` says it was: `StateFolder` tells, and nothing of it is used.
    mutating func loseState(_ i: Int) {
        guard self.canSpareOne else { return }
        self.trace.note(self.time, "state lost", self.nodes[i].id)
        self.nextLoss = self.time + Self.lossInterval
        self.crash(i, isAnnounced: self.random.below(2) == 0)
        self.quorum.sides[i].memories = [:]
        if self.options.defects.contains(.keepIDAfterLoss) {
            self.nodes[i].disk = SimulatedDisk(base: Snapshot())
        } else {
            self.nodes[i].absence = .lost
        }
        self.schedule(.restart(self.life(i)), after: 50_000, self.faults.maximumDowntime)
    }

    /// `clusterctl leave NAME` on the leader.
    mutating func letLeave(_ i: Int) {
        guard self.canSpareOne, let leader = self.someLeader(), self.nodes[leader].pause == nil else { return }
        self.trace.note(self.time, "leave", self.nodes[i].id)
        self.nextLoss = self.time + Self.lossInterval
        self.takeOut(leader, self.nodes[i].id, for: nil)
    }

    /// A disk that forgets while a node does would be the second loss at once.
    var mayDiskForget: Bool {
        guard let leader = self.someLeader(), let raft = self.nodes[leader].raft else { return false }
        return self.nodes.allSatisfy { $0.absence == nil && raft.configuration.isVoter($0.id) }
    }
}
