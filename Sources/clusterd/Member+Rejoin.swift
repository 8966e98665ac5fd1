import ClusterCore
import ClusterStore
import ClusterTransport
import QuorumDisk
import Raft
import StateRecords

/// Nodes whose stored state is lost or damaged: this one, and those that ask to be taken back.
///
/// A voter that forgot its vote and its log may not vote again: it could give a second vote in a term, or elect somebody who
/// lacks what it once acknowledged. So it is taken out and comes back under an id that Raft never heard of. The removal is
/// committed by a majority of the others before the new id exists, which leaves every committed entry with a majority of
/// those; a late message of the old id counts for nothing, because nobody of that id is a member.
extension Member {
    /// For people, in the order of their weight.
    var problem: String? {
        if let failure = self.takeover.lastFailure { return failure }
        if let damage = self.stateDamage {
            return
                "state.db of \(self.identity.name) is damaged (\(damage)); it goes on from memory, because no other node "
                + "could take over. 'clusterctl backup FILE' now; it heals as soon as another data node is connected"
        }
        if let room = self.quorumRoom, room.grade == .exceeded { return room.problem }
        guard let (node, reason) = self.rejoining.min(by: { $0.key < $1.key }) else { return self.quorumRoom?.problem }
        return "\(self.name(of: node)) lost its state (\(reason)) and is being taken back"
    }

    // MARK: This node

    func stateIsDamaged(_ what: String) {
        self.logger.critical("state.db is damaged: \(what)")
        self.stateDamage = what
    }

    /// What is in memory is whole. So the share is handed over in order first, and where there is nobody to hand it to, the
    /// node goes on.
    func giveUpDamagedState() {
        guard let damage = self.stateDamage, !self.isStopping else { return }
        let isAlone = !self.identity.peers.contains { $0.id != self.identity.id }
        let isNeeded = self.raft.isLeader && self.heirs.isEmpty
        guard !isAlone, !isNeeded, self.raft.leader != nil else { return }
        self.logger.critical("stops, to take its state anew from the other nodes")
        self.store.submit(.lost(damage))
        self.stop()
    }

    // MARK: Others

    /// `requester`: the id in the certificate of the node that asks. `program`: nil where the node says nothing of it, as those before version 2.
    func rejoin(_ requester: NodeID, _ program: NodeProgram?, reason: String, _ answer: @escaping AdminAnswer) {
        guard self.raft.isEstablishedLeader, let state = self.state else {
            return answer(.failed(self.isLeftAlone(by: requester) ? self.noMajorityLeft(requester) : self.noLeader))
        }
        let versions = program?.versions ?? .unstated
        if let refusal = versions.refusal(ofJoining: self.name(of: requester), to: state.version) {
            return answer(.failed(refusal))
        }
        // An answer that was lost on its way leaves the node with the id before.
        guard
            let node = state.configuration.nodes.first(where: {
                $0.id == requester || $0.former.contains(requester)
            })
        else { return answer(.failed(AdminFailure(.refused, Self.takenOut))) }
        guard node.id != self.identity.id else {
            return answer(
                .failed(AdminFailure(.refused, "this machine runs as the same node: one of the two is a copy")))
        }
        guard self.rejoining[node.id] == nil, self.leaving.insert(node.id).inserted else {
            return answer(.failed(AdminFailure(.unavailable, "\(node.name) is being taken out or back already")))
        }
        // It goes into the log and to people.
        let reason = oneLine(reason)
        self.logger.warning("\(node.name) lost its state (\(reason)): it is taken out, and back under another id")
        self.rejoining[node.id] = reason
        guard self.raft.configuration.contains(node.id) else { return self.replace(node, reason, answer) }
        self.change(.remove(node.id)) { [weak self] outcome in
            guard let self else { return }
            switch outcome {
            case .applied: self.replace(node, reason, answer)
            case .dropped(let dropped):
                self.endRejoin(node.id)
                answer(.failed(Self.failure(dropped)))
            }
        }
    }

    /// Two nodes voted, without a third or a disk, and the other one forgot everything: nothing can be decided any more.
    private func isLeftAlone(by requester: NodeID) -> Bool {
        self.raft.leader == nil && self.raft.configuration.voters == [self.identity.id, requester].sorted()
    }

    private func noMajorityLeft(_ requester: NodeID) -> AdminFailure {
        guard let configuration = self.state?.configuration, let own = configuration.node(self.identity.id),
            let other = configuration.node(requester)
        else { return self.noLeader }
        return AdminFailure(.refused, LeftAlone(own: own, other: other).description)
    }

    private func endRejoin(_ node: NodeID) {
        self.rejoining[node] = nil
        self.leaving.remove(node)
    }

    private func replace(_ node: NodeRecord, _ reason: String, _ answer: @escaping AdminAnswer) {
        self.propose(.replaceNode(node.id)) { [weak self] outcome in
            guard let self else { return }
            self.endRejoin(node.id)
            switch outcome {
            case .applied(.added(let new)):
                self.accept(
                    new,
                    as: EventRecord(
                        kind: .stateLost, node: new.id, term: self.raft.term, unixMilliseconds: unixMilliseconds(),
                        detail: "\(reason); \(new.name) is taken back as node \(new.id), which was node \(node.id)")
                ) { answer(.joined($0)) }
            case .applied(.refused(let refusal)): answer(.failed(AdminFailure(.refused, "\(refusal)")))
            case .applied(.done): answer(.failed(AdminFailure(.unavailable, "try again")))
            case .dropped(let dropped): answer(.failed(Self.failure(dropped)))
            }
        }
    }
}
