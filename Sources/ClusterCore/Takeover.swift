import Raft
import StateRecords

/// What a node holds and does about the share, for its whole life: decides, does nothing.
///
/// The rule: the term is the fence key is the journal's epoch. A node serves only between its own election and the loss of
/// that leadership or of the serving lease, and only after each step of the takeover was done for that term.
package struct Takeover: Sendable {
    package enum Step: String, Equatable, Sendable {
        case fence, attach, load, address, tickle
    }

    /// What the node is doing, as `clusterctl status` shows it.
    package enum Phase: Equatable, Sendable {
        /// Holds nothing, warm.
        case standby
        /// Leads; its own term's first entry is not applied yet.
        case elected
        case taking(Step)
        case serving
        case moving(MoveStep)
        /// Giving up whatever it holds, unclean.
        case clearing
        /// Leads and cannot serve; tries again.
        case waiting
        case handingOver
        /// A witness that leads hands on.
        case witnessLeading
    }

    package enum MoveStep: String, Equatable, Sendable {
        case freeze, flush, address, server, detach, transfer
    }

    package internal(set) var phase = Phase.standby
    package internal(set) var term: Term = 0
    package internal(set) var isLeader = false
    /// Why the last takeover failed, until one succeeds.
    package internal(set) var lastFailure: String?

    let node: NodeID
    let role: NodeRole
    let limits: TakeoverLimits

    var lease = false
    var heirs: [NodeID] = []
    var reaching: [NodeID] = []
    /// Since when, and why, as the bridge says.
    var unreachable: (since: Moment, reason: String)?
    var appliedTerm: Term = 0
    var handedOver = false
    var predecessorSteps: [StepRecord] = []

    var nextOperation: Operation = 1
    /// The step under way.
    var operation: Operation = 0
    var stepStart: Moment = 0
    var steps: [StepRecord] = []
    var attempts = 0
    var deadline: Moment = 0

    /// What has to be over before the node holds nothing.
    var clearing: Set<Operation> = []
    /// The address has to be gone before the server ends.
    var clearingAddress: Operation = 0
    var clearingServer: Operation = 0
    var clearingReason = ""
    var givesAway = false

    /// Before a move or an orderly stop: what was written goes to the LUN while the clients are still served, so that those
    /// who are not have little to wait for.
    struct Preparation {
        /// nil: whoever can, when it is time.
        var target: NodeID?
        /// The flush that runs; 0: none does, because the next server is being loaded.
        var operation: Operation = 0
        var start: Moment
        var flushes = 0
        /// What the flush before took.
        var earlier: Moment?
    }

    var preparation: Preparation?
    var moveTarget: NodeID?
    var moveWasAsked = false
    /// When the log last said that the move waits.
    var waitNoted: Moment = 0
    var stops = false

    var serverRestart: (operation: Operation, start: Moment)?
    var serverRestarts: [Moment] = []
    /// Since when the next server is held back by the one that was killed. In a move, too: nobody serves, and what was
    /// acknowledged was acknowledged before.
    var heldBack: Moment?
    var bridgeRestart: (operation: Operation, start: Moment)?
    var bridgeRestarts: [Moment] = []
    var confirmation: Operation?

    var directives: [Directive] = []

    package init(node: NodeID, role: NodeRole, limits: TakeoverLimits = TakeoverLimits()) {
        self.node = node
        self.role = role
        self.limits = limits
    }

    package var isServing: Bool { self.phase == .serving }
    /// The bridge does not say otherwise.
    package var isLUNReachable: Bool { self.unreachable == nil }
    /// Nobody serves: the server that was killed sits in a call of the kernel.
    package var isServerHeldBack: Bool { self.heldBack != nil }
    /// Serving still, and about to hand over.
    package var isPreparingMove: Bool { self.preparation != nil }

    /// What was acknowledged is on its way to the LUN, which takes it: who cuts a stop short now loses it.
    package var isWritingBack: Bool {
        guard self.unreachable == nil else { return false }
        switch self.phase {
        case .serving: return self.preparation != nil
        case .moving(.flush), .moving(.server), .moving(.detach): return true
        case .standby, .elected, .taking, .moving, .clearing, .waiting, .handingOver, .witnessLeading: return false
        }
    }

    package mutating func step(_ event: Event, at now: Moment) -> [Directive] {
        self.directives = []
        switch event {
        case .leadership(let isLeader, let term): self.leadership(isLeader, term, now)
        case .ownTermApplied(let term):
            self.appliedTerm = max(self.appliedTerm, term)
            if self.phase == .elected, self.appliedTerm == self.term { self.begin(now) }
        case .lease(let held): self.lease(held, now)
        case .heirs(let heirs, let reaching):
            self.heirs = heirs
            self.reaching = reaching
        case .predecessor(let handedOver, let steps):
            self.handedOver = handedOver
            self.predecessorSteps = steps
        case .finished(let operation, let details): self.finished(operation, details, now)
        case .failed(let operation, let failure): self.failed(operation, failure, now)
        case .serverExited(let how): self.serverExited(how, now)
        case .serverHeldBack: self.serverHeldBack(now)
        case .serverReleased: self.heldBack = nil
        case .serverStorageFailed(let what):
            if self.holdsStorage { self.giveUp("the server reports that the storage failed: \(what)", now) }
        case .bridgeExited(let how): self.bridgeExited(how, now)
        case .bridgeFenced(let who):
            if self.holdsStorage { self.giveUp("fenced: \(who)", now) }
        case .bridgeAsksToRetake(let why): self.bridgeAsksToRetake(why)
        case .bridgeUnreachable(let why):
            if self.holdsStorage, self.unreachable == nil { self.unreachable = (now, why) }
        case .bridgeReachable:
            // The call had nothing to end with until now.
            if self.unreachable != nil, self.heldBack != nil { self.heldBack = now }
            self.unreachable = nil
        case .move(let target): self.move(to: target, now)
        case .stop: self.stop(now)
        case .tick: self.tick(now)
        }
        defer { self.directives = [] }
        return self.directives
    }

    // MARK: Leadership

    mutating func leadership(_ isLeader: Bool, _ term: Term, _ now: Moment) {
        let wasLeader = self.isLeader && self.term == term
        self.isLeader = isLeader
        self.term = term
        guard isLeader else {
            self.lease = false
            switch self.phase {
            case .standby, .clearing: break
            case .elected, .waiting, .witnessLeading, .handingOver: self.enterStandby()
            case .moving(.transfer):
                self.answerMove(nil)
                self.enterStandby()
            case .taking, .serving, .moving: self.giveUp("lost the leadership", now)
            }
            return
        }
        guard !wasLeader else { return }
        self.attempts = 0
        switch self.phase {
        case .clearing: break
        case .taking, .serving, .moving: self.giveUp("elected anew: the fence must carry the new term", now)
        case .standby, .elected, .waiting, .handingOver, .witnessLeading: self.elected(now)
        }
    }

    mutating func enterStandby() {
        self.phase = .standby
        if self.stops { self.directives.append(.mayExit) }
    }

    mutating func elected(_ now: Moment) {
        self.steps = []
        self.stepStart = now
        guard !self.stops else {
            self.phase = .waiting
            self.deadline = .max
            self.directives.append(.mayExit)
            return
        }
        self.phase = .elected
        if self.appliedTerm == self.term { self.begin(now) }
    }

    mutating func lease(_ held: Bool, _ now: Moment) {
        guard held != self.lease else { return }
        self.lease = held
        guard !held else { return }
        switch self.phase {
        case .taking, .serving: self.giveUp("lost the quorum: no majority has answered within the lease", now)
        // A frozen server answers nothing, and the reservation still guards the LUN: the move may finish.
        case .standby, .elected, .moving, .clearing, .waiting, .handingOver, .witnessLeading: break
        }
    }

    // MARK: Taking over

    mutating func begin(_ now: Moment) {
        guard self.role == .data else {
            self.phase = .witnessLeading
            self.deadline = now
            self.witnessHandsOn(now)
            return
        }
        self.endStep("commit", [], now)
        self.start(.fence, now)
    }

    /// A witness cannot serve. It leads only when it alone held the newest log (a data node lacked what the dead one and the
    /// witness had committed); a data node has it as soon as it is caught up.
    mutating func witnessHandsOn(_ now: Moment) {
        guard now >= self.deadline else { return }
        self.deadline = now + self.limits.witnessTransferInterval
        guard let heir = self.heirs.first else { return }
        self.directives.append(.transferLeadership(to: heir))
    }

    mutating func start(_ step: Step, _ now: Moment) {
        // The first step may come before the first heartbeat was answered; the majority that committed the no-op is
        // fresh enough for a step that the target itself arbitrates.
        if step != .fence, !self.lease {
            self.giveUp("lost the quorum during the takeover", now)
            return
        }
        self.phase = .taking(step)
        self.stepStart = now
        let operation = self.newOperation()
        self.operation = operation
        switch step {
        case .fence:
            self.unreachable = nil
            self.directives.append(.takeFence(operation, term: self.term))
        case .attach: self.directives.append(.attach(operation, term: self.term))
        case .load: self.directives.append(.serve(operation, epoch: self.term))
        case .address: self.directives.append(.raiseAddress(operation))
        case .tickle: self.directives.append(.tickle(operation))
        }
    }

    mutating func newOperation() -> Operation {
        defer { self.nextOperation += 1 }
        return self.nextOperation
    }

    mutating func endStep(_ name: String, _ details: [StepRecord], _ now: Moment) {
        let whole = now - self.stepStart
        let known = details.reduce(0) { $0 &+ $1.microseconds }
        self.steps += details
        // What the parts do not account for is the step's own: the sum of all stays the time that really passed.
        if details.isEmpty {
            self.steps.append(StepRecord(name: name, microseconds: whole))
        } else if known < whole {
            self.steps.append(StepRecord(name: "\(name), the rest", microseconds: whole - known))
        }
        self.stepStart = now
    }

    mutating func finished(_ operation: Operation, _ details: [StepRecord], _ now: Moment) {
        if self.clearing.remove(operation) != nil {
            self.wentOn(clearing: operation, now)
            return
        }
        if let restart = self.serverRestart, restart.operation == operation {
            self.serverRestart = nil
            self.heldBack = nil
            self.recordRestart(.serverRestart, since: restart.start, details, now)
            if self.preparation?.operation == 0 { self.flushWhileServing(now) }
            return
        }
        if let restart = self.bridgeRestart, restart.operation == operation {
            self.bridgeRestart = nil
            self.recordRestart(.bridgeRestart, since: restart.start, details, now)
            return
        }
        if self.confirmation == operation {
            self.confirmation = nil
            self.directives.append(self.holdsStorage ? .allowRetake : .refuseRetake)
            return
        }
        if self.preparation?.operation == operation { return self.flushedWhileServing(now) }
        guard operation == self.operation else { return }
        switch self.phase {
        case .taking(let step):
            self.endStep(step.rawValue, details, now)
            switch step {
            case .fence: self.start(.attach, now)
            case .attach: self.start(.load, now)
            case .load: self.start(.address, now)
            case .address: self.start(.tickle, now)
            case .tickle: self.serving(now)
            }
        case .moving(let step): self.moved(step, details, now)
        case .standby, .elected, .serving, .clearing, .waiting, .handingOver, .witnessLeading: break
        }
    }

    mutating func serving(_ now: Moment) {
        self.phase = .serving
        self.attempts = 0
        self.lastFailure = nil
        self.serverRestarts = []
        self.bridgeRestarts = []
        let event = EventRecord(
            kind: self.handedOver ? .move : .takeover, node: self.node, term: self.term,
            steps: (self.handedOver ? self.predecessorSteps : []) + self.steps)
        self.directives.append(.activate(term: self.term, event))
        if self.stops { self.prepareMove(to: nil, now) }
    }

    mutating func failed(_ operation: Operation, _ failure: Failure, _ now: Moment) {
        if self.clearing.remove(operation) != nil {
            self.directives.append(.log("while giving up: \(failure.message)"))
            self.wentOn(clearing: operation, now)
            return
        }
        if self.confirmation == operation {
            self.confirmation = nil
            self.directives.append(.refuseRetake)
            return
        }
        if self.serverRestart?.operation == operation || self.bridgeRestart?.operation == operation {
            self.fail("restart in place", failure, now)
            return
        }
        if self.preparation?.operation == operation {
            self.giveUp("what was written cannot be brought to the LUN: \(failure.message)", now)
            return
        }
        guard operation == self.operation else { return }
        switch self.phase {
        case .taking(let step): self.fail(step.rawValue, failure, now)
        case .moving(.freeze):
            self.directives.append(.log("the server did not freeze: \(failure.message)"))
            self.moved(.freeze, [], now)
        case .moving:
            self.answerMove("the move failed, the share is taken up anew: \(failure.message)")
            self.giveUp(failure.message, now)
        case .standby, .elected, .serving, .clearing, .waiting, .handingOver, .witnessLeading: break
        }
    }

    mutating func fail(_ step: String, _ failure: Failure, _ now: Moment) {
        self.attempts += 1
        self.lastFailure = "\(step): \(failure.message)"
        self.givesAway = failure.kind == .permanent || self.attempts >= self.limits.attempts
        if self.givesAway {
            self.directives.append(
                .record(
                    EventRecord(
                        kind: .failure, node: self.node, term: self.term, steps: self.steps,
                        detail: "\(step): \(failure.message)")))
        }
        self.clear("\(step) failed: \(failure.message)")
    }

    // MARK: Giving up

    var holdsStorage: Bool {
        switch self.phase {
        case .taking, .serving, .moving: true
        case .standby, .elected, .clearing, .waiting, .handingOver, .witnessLeading: false
        }
    }

    /// The self-fence: answers nothing more, lets nothing more reach the LUN, leaves the address. The order between the
    /// three does not matter for safety, the reservation decides; each is told at once so that none waits for another. Only the
    /// silent server's end waits for the address: the FIN or reset of a dying process must find no way out.
    mutating func giveUp(_ reason: String, _ now: Moment) {
        if self.phase == .serving, self.isLeader {
            self.directives.append(
                .record(EventRecord(kind: .fenced, node: self.node, term: self.term, detail: reason)))
        }
        self.clear(reason)
    }

    mutating func clear(_ reason: String) {
        self.directives.append(.log("gives up the share: \(reason)"))
        self.answerMove("the move was broken off: \(reason)")
        self.preparation = nil
        self.serverRestart = nil
        self.heldBack = nil
        self.bridgeRestart = nil
        if self.confirmation != nil {
            self.confirmation = nil
            self.directives.append(.refuseRetake)
        }
        self.operation = 0
        self.unreachable = nil
        self.phase = .clearing
        self.clearingReason = reason
        let server = self.newOperation()
        let address = self.newOperation()
        let storage = self.newOperation()
        self.clearing = [server, address, storage]
        self.clearingAddress = address
        self.clearingServer = server
        self.directives += [.silenceServer, .dropAddress(address), .tearDown(storage)]
    }

    mutating func wentOn(clearing operation: Operation, _ now: Moment) {
        if operation == self.clearingAddress { self.directives.append(.endServer(self.clearingServer)) }
        if self.clearing.isEmpty { self.cleared(now) }
    }

    mutating func cleared(_ now: Moment) {
        guard self.isLeader else {
            self.givesAway = false
            self.enterStandby()
            return
        }
        if self.givesAway {
            self.givesAway = false
            self.handOver(now)
        } else {
            self.wait(self.limits.retryDelay, now)
        }
    }

    mutating func handOver(_ now: Moment) {
        guard let heir = (self.reaching + self.heirs).first(where: { $0 != self.node }) else {
            self.wait(self.limits.patientDelay, now)
            return
        }
        self.phase = .handingOver
        self.deadline = now + self.limits.transferTime
        self.directives.append(.log("cannot serve and hands the leadership to node \(heir)"))
        self.directives.append(.transferLeadership(to: heir))
    }

    mutating func wait(_ delay: Moment, _ now: Moment) {
        self.phase = .waiting
        self.deadline = now + delay
        if self.stops { self.directives.append(.mayExit) }
    }

    // MARK: In-place restarts

    mutating func recordRestart(
        _ kind: EventRecord.Kind, since start: Moment, _ details: [StepRecord], _ now: Moment
    ) {
        let whole = now - start
        let known = details.reduce(0) { $0 &+ $1.microseconds }
        var steps = details
        if known < whole { steps.append(StepRecord(name: "restart", microseconds: whole - known)) }
        self.directives.append(
            .record(EventRecord(kind: kind, node: self.node, term: self.term, steps: steps)))
    }

    mutating func mayRestart(_ earlier: inout [Moment], _ now: Moment) -> Bool {
        let window = self.limits.restartWindow
        earlier.removeAll { now - $0 > window }
        guard earlier.count < self.limits.restarts else { return false }
        earlier.append(now)
        return true
    }

    mutating func serverExited(_ how: String, _ now: Moment) {
        switch self.phase {
        case .serving:
            self.directives.append(.log("smbserverd ended (\(how)); a new one takes its place"))
            var earlier = self.serverRestarts
            let may = self.mayRestart(&earlier, now)
            self.serverRestarts = earlier
            guard may else {
                self.fail(
                    "server",
                    Failure(.permanent, "smbserverd ended \(self.limits.restarts + 1) times in a minute, last: \(how)"),
                    now)
                return
            }
            let operation = self.newOperation()
            self.serverRestart = (operation, now)
            self.directives.append(.serve(operation, epoch: self.term))
        case .taking(.load): self.fail("load", Failure(.transient, "smbserverd ended: \(how)"), now)
        // Its handles are in the state and its sockets are clusterd's: as good as loaded anew, from the fence on.
        case .taking(.address), .taking(.tickle):
            self.fail("load", Failure(.transient, "smbserverd ended: \(how)"), now)
        case .moving(.freeze): self.moved(.freeze, [], now)
        // What it acknowledged is in this machine's memory, and goes to the LUN all the same.
        case .moving(.flush): break
        // Not in use yet, or no more: whoever runs it warms up another.
        case .taking, .moving, .standby, .elected, .clearing, .waiting, .handingOver, .witnessLeading: break
        }
    }

    mutating func bridgeExited(_ how: String, _ now: Moment) {
        guard self.holdsStorage else { return }
        if case .taking(.attach) = self.phase { return }  // attach itself reports it
        self.directives.append(.log("lunbridge ended (\(how)); a new one takes its place"))
        var earlier = self.bridgeRestarts
        let may = self.mayRestart(&earlier, now)
        self.bridgeRestarts = earlier
        guard may else {
            self.fail(
                "bridge",
                Failure(.permanent, "lunbridge ended \(self.limits.restarts + 1) times in a minute, last: \(how)"), now)
            return
        }
        let operation = self.newOperation()
        self.bridgeRestart = (operation, now)
        self.directives.append(.restartBridge(operation))
    }

    mutating func bridgeAsksToRetake(_ why: String) {
        guard self.holdsStorage, self.confirmation == nil else {
            if !self.holdsStorage { self.directives.append(.refuseRetake) }
            return
        }
        let operation = self.newOperation()
        self.confirmation = operation
        self.directives.append(.log("the target forgot the reservation (\(why)): asking the quorum"))
        self.directives.append(.confirmLeadership(operation))
    }

    mutating func tick(_ now: Moment) {
        switch self.phase {
        case .waiting:
            guard now >= self.deadline, self.isLeader else { return }
            self.elected(now)
        case .handingOver:
            guard now >= self.deadline else { return }
            self.attempts = 0
            self.wait(self.limits.patientDelay, now)
        case .witnessLeading: self.witnessHandsOn(now)
        case .moving(.freeze):
            guard now >= self.deadline else { return }
            self.directives.append(.log("the server did not freeze in time; the move goes on without"))
            self.moved(.freeze, [], now)
        case .moving(.transfer):
            guard now >= self.deadline else { return }
            self.answerMove("the other node did not take over in time; this node takes the share up again")
            guard !self.stops else {
                self.directives.append(.mayExit)
                return
            }
            self.attempts = 0
            self.elected(now)
        case .serving, .taking(.load), .taking(.address), .taking(.tickle), .moving(.flush), .moving(.server):
            self.noteWait(now)
            self.leaveTheUnreachable(now)
            self.leaveTheHeldBack(now)
        case .moving(.detach): self.noteWait(now)
        case .standby, .elected, .taking, .moving, .clearing: break
        }
    }

    /// Where no heir reaches the LUN either the target itself is away: its clients wait here, and a move would gain nothing.
    mutating func leaveTheUnreachable(_ now: Moment) {
        guard let unreachable = self.unreachable, now - unreachable.since >= self.limits.unreachableTime,
            let heir = self.reaching.first(where: { $0 != self.node })
        else { return }
        let what = "storage: node \(heir) reaches the LUN and this one does not: \(unreachable.reason)"
        self.lastFailure = what
        self.givesAway = true
        self.directives.append(
            .record(EventRecord(kind: .failure, node: self.node, term: self.term, detail: what)))
        self.clear(what)
    }
}
