import Raft
import StateRecords

/// Planned moves and the orderly stop: what was acknowledged is on the LUN before the clients wait, and before this node lets go.
extension Takeover {
    mutating func move(to target: NodeID, _ now: Moment) {
        guard self.phase == .serving, self.serverRestart == nil || self.heldBack != nil else {
            self.directives.append(
                .answerMove(
                    "this node does not serve at the moment: try again when 'clusterctl status' shows it active"))
            return
        }
        guard self.preparation == nil else {
            self.directives.append(.answerMove("the share is about to move already: see 'clusterctl status'"))
            return
        }
        guard self.heirs.contains(target) else {
            self.directives.append(.answerMove(Self.noHeir))
            return
        }
        self.moveWasAsked = true
        self.prepareMove(to: target, now)
    }

    static let noHeir = "the other node cannot take over at the moment: see 'clusterctl status'"

    mutating func prepareMove(to target: NodeID?, _ now: Moment) {
        let preparation = Preparation(target: target, start: now)
        self.preparation = preparation
        if self.heldBack != nil {
            self.endPreparation(preparation, now)
        } else if self.serverRestart == nil {
            self.flushWhileServing(now)
        }
    }

    mutating func flushWhileServing(_ now: Moment) {
        let operation = self.newOperation()
        self.preparation?.operation = operation
        self.preparation?.start = now
        self.directives.append(.flush(operation))
    }

    mutating func flushedWhileServing(_ now: Moment) {
        guard var preparation = self.preparation else { return }
        let time = now - preparation.start
        let isShorter = preparation.earlier.map { time < $0 / 2 } ?? true
        preparation.operation = 0
        preparation.flushes += 1
        preparation.earlier = time
        self.preparation = preparation
        guard self.heldBack == nil else { return self.endPreparation(preparation, now) }
        guard self.serverRestart == nil else { return }
        if time > self.limits.shortFlush, isShorter, preparation.flushes < self.limits.flushes {
            self.flushWhileServing(now)
            return
        }
        self.endPreparation(preparation, now)
    }

    mutating func endPreparation(_ preparation: Preparation, _ now: Moment) {
        self.preparation = nil
        var heir = preparation.target ?? self.heirs.first { $0 != self.node }
        if let target = preparation.target, !self.heirs.contains(target) {
            self.answerMove(Self.noHeir)
            // Nobody was interrupted yet.
            guard self.stops else { return }
            heir = self.heirs.first { $0 != self.node }
        }
        self.beginMove(to: heir, now)
    }

    mutating func beginMove(to target: NodeID?, _ now: Moment) {
        self.moveTarget = target
        // One that is held back: the freeze withdraws it.
        self.serverRestart = nil
        self.steps = []
        self.phase = .moving(.freeze)
        self.stepStart = now
        self.deadline = now + self.limits.freezeTime
        self.operation = self.newOperation()
        self.directives.append(.freeze(self.operation))
    }

    mutating func answerMove(_ problem: String?) {
        guard self.moveWasAsked else { return }
        self.moveWasAsked = false
        self.directives.append(.answerMove(problem))
    }

    mutating func moved(_ step: MoveStep, _ details: [StepRecord], _ now: Moment) {
        self.endStep(step.rawValue, details, now)
        self.operation = self.newOperation()
        switch step {
        case .freeze:
            self.phase = .moving(.flush)
            self.directives.append(.flush(self.operation))
        case .flush:
            // The address goes before the process: what its end sends (FIN, reset) must find no way out.
            self.phase = .moving(.address)
            self.directives.append(.dropAddress(self.operation))
        case .address:
            self.phase = .moving(.server)
            self.directives.append(.endServer(self.operation))
        case .server:
            self.heldBack = nil
            self.phase = .moving(.detach)
            self.directives.append(.detach(self.operation, term: self.term))
        case .detach:
            self.phase = .moving(.transfer)
            self.deadline = now + self.limits.transferTime
            self.directives.append(.deactivate(term: self.term, self.steps))
            if let target = self.moveTarget {
                self.directives.append(.transferLeadership(to: target))
            } else {
                self.directives.append(.mayExit)
            }
        case .transfer: break
        }
    }

    mutating func stop(_ now: Moment) {
        guard !self.stops else { return }
        self.stops = true
        switch self.phase {
        case .standby, .elected, .waiting, .handingOver, .witnessLeading: self.directives.append(.mayExit)
        case .serving: if self.preparation == nil { self.prepareMove(to: nil, now) }
        // Clients may have been answered already, and what they wrote must not be lost: it goes on from `serving`.
        case .taking(.address), .taking(.tickle): break
        case .taking: self.giveUp("stopping", now)
        case .moving, .clearing: break
        }
    }

    /// A move has no deadline where what was acknowledged would be lost: as long as this node leads it waits for the LUN, and
    /// says so.
    mutating func noteWait(_ now: Moment) {
        let start: Moment
        let what: String
        switch self.phase {
        case .serving:
            guard self.heldBack == nil, let preparation = self.preparation, preparation.operation != 0 else { return }
            start = preparation.start
            what = "what was written goes to the LUN, while the clients are served"
        case .moving(.flush):
            start = self.stepStart
            what = "what was written goes to the LUN, and the clients wait"
        case .moving(.server):
            start = self.stepStart
            what = "smbserverd sits in a call of the kernel and has not ended yet"
        case .moving(.detach):
            start = self.stepStart
            what = "the file system is being unmounted"
        case .standby, .elected, .taking, .moving, .clearing, .waiting, .handingOver, .witnessLeading: return
        }
        guard now - max(start, self.waitNoted) >= self.limits.waitNote else { return }
        self.waitNoted = now
        self.directives.append(.log("the move has waited for \((now - start) / 1_000_000) s: \(what)"))
    }
}
