import ClusterCore
import Raft
import StateRecords

/// A move that an administrator asked for.
struct PendingMove {
    enum Phase {
        /// Nobody is interrupted before the other node, asked anew, has said that it can take over: it may have died just now.
        case preparing(until: ContinuousClock.Instant)
        /// Ended by the takeover's word alone. Whoever asked is answered by then.
        case moving(answerBy: ContinuousClock.Instant)
        /// The same, and nobody waits for the answer any more.
        case movingOn
        /// The other node leads.
        case starting(until: ContinuousClock.Instant)
    }

    var target: NodeID
    var asked: Tick
    var phase: Phase
    var answer: AdminAnswer
}

/// `clusterctl move`: from the question to the answer. The move itself is `Takeover`'s.
extension Member {
    func move(to name: String, _ state: ClusterState, _ answer: @escaping AdminAnswer) {
        func refuse(_ code: AdminFailure.Code, _ why: String) { answer(.failed(AdminFailure(code, why))) }
        guard self.pendingMove == nil else {
            return refuse(.unavailable, "another move is under way: 'clusterctl status' shows it")
        }
        let others = state.configuration.nodes.filter { $0.role == .data && $0.id != self.identity.id }
        let target: NodeID
        if name.isEmpty {
            guard let node = self.heirs.first ?? others.first?.id else {
                return refuse(.unavailable, "there is no other data node: see 'clusterctl status'")
            }
            target = node
        } else {
            guard let node = state.configuration.node(named: name) else {
                return refuse(.refused, "there is no node \(name): 'clusterctl status' shows them")
            }
            guard node.role == .data else { return refuse(.refused, "\(name) is a witness: it never serves") }
            guard node.id != self.identity.id else { return answer(.done("\(name) serves already")) }
            target = node.id
        }
        self.pendingMove = PendingMove(
            target: target, asked: self.tick, phase: .preparing(until: .now + Limits.readyTime), answer: answer)
    }

    /// The takeover's word: the other node was elected, or why not.
    func moveAnswered(_ problem: String?) {
        if case .movingOn = self.pendingMove?.phase {
            self.logger.notice("the move that goes on: \(problem ?? "the other node was elected")")
            self.pendingMove = nil
        } else if let problem {
            self.endMove(.failed(AdminFailure(.unavailable, problem)))
        } else {
            self.pendingMove?.phase = .starting(until: .now + Limits.moveServingTime)
        }
    }

    func lookAtMove(_ now: ContinuousClock.Instant) {
        guard let move = self.pendingMove else { return }
        let target = self.name(of: move.target)
        switch move.phase {
        case .preparing(let deadline):
            guard self.raft.isLeader, let state = self.state else {
                return self.endMove(
                    .failed(AdminFailure(.unavailable, "this node leads no more: see 'clusterctl status'")))
            }
            if let hindrance = self.hindrance(of: move.target, state, after: move.asked) {
                guard now > deadline else { return }
                self.endMove(.failed(AdminFailure(.unavailable, "\(target) \(hindrance.rawValue): nothing was moved")))
            } else {
                self.updateHeirs()
                self.pendingMove?.phase = .moving(answerBy: now + Limits.moveAnswerTime)
                self.decide(.move(to: move.target))
            }
        case .moving(let deadline):
            guard now > deadline else { return }
            self.pendingMove?.phase = .movingOn
            move.answer(
                .failed(
                    AdminFailure(
                        .unavailable,
                        "the move to \(target) goes on: what was written goes to the LUN first, which takes more than "
                            + "\(Limits.moveAnswerTime). 'clusterctl status' shows who serves")))
        case .movingOn: break
        case .starting(let deadline):
            if let active = self.state?.active, active.node == move.target {
                self.endMove(.done("\(target) serves now"))
            } else if now > deadline {
                self.endMove(
                    .failed(
                        AdminFailure(.unavailable, "\(target) leads but does not serve yet: see 'clusterctl status'")))
            }
        }
    }

    private func endMove(_ answer: AdminReply) {
        let move = self.pendingMove
        self.pendingMove = nil
        move?.answer(answer)
    }
}
