import Raft
import StateRecords
import Testing

@testable import ClusterCore

/// Plays a node's shell: remembers what it was told, and answers.
private struct Shell {
    var takeover: Takeover
    var now: Moment = 1_000_000
    var told: [Takeover.Directive] = []

    init(role: NodeRole = .data, limits: TakeoverLimits = TakeoverLimits()) {
        self.takeover = Takeover(node: 1, role: role, limits: limits)
    }

    @discardableResult
    mutating func step(_ event: Takeover.Event, after delay: Moment = 1000) -> [Takeover.Directive] {
        self.now += delay
        self.told = self.takeover.step(event, at: self.now)
        return self.told
    }

    /// The operations in what was told last.
    var operations: [Takeover.Operation] {
        self.told.compactMap {
            switch $0 {
            case .takeFence(let operation, _), .attach(let operation, _), .restartBridge(let operation),
                .detach(let operation, _), .tearDown(let operation), .serve(let operation, _), .freeze(let operation),
                .endServer(let operation), .flush(let operation), .raiseAddress(let operation), .tickle(let operation),
                .dropAddress(let operation), .confirmLeadership(let operation):
                operation
            default: nil
            }
        }
    }

    /// Answers everything that was told last, and returns what that led to.
    @discardableResult
    mutating func finish(_ details: [StepRecord] = [], after delay: Moment = 1000) -> [Takeover.Directive] {
        var all: [Takeover.Directive] = []
        for operation in self.operations { all += self.step(.finished(operation, details), after: delay) }
        self.told = all
        return all
    }

    /// Answers until nothing is left to be answered.
    @discardableResult
    mutating func finishAll() -> [Takeover.Directive] {
        var all: [Takeover.Directive] = []
        while !self.operations.isEmpty { all += self.finish() }
        return all
    }

    @discardableResult
    mutating func fail(_ kind: Takeover.Failure.Kind) -> [Takeover.Directive] {
        self.step(.failed(self.operations[0], Takeover.Failure(kind, "broken")))
    }

    mutating func elect(term: Term = 7) {
        self.step(.leadership(isLeader: true, term: term))
        self.step(.lease(true))
        self.step(.ownTermApplied(term))
    }

    mutating func serve(term: Term = 7) {
        self.step(.heirs([2]))
        self.elect(term: term)
        for _ in 0..<5 { self.finish() }
    }

    /// From the flush while the clients are served to the detach, with all of it answered.
    mutating func moveAway() { for _ in 0..<6 { self.finish() } }
}

extension [Takeover.Directive] {
    fileprivate var answer: String? {
        for case .answerMove(let problem) in self { return problem }
        return nil
    }
    fileprivate var names: [String] { self.map { String("\($0)".prefix { $0 != "(" }) } }
    fileprivate var recorded: EventRecord? {
        for case .record(let event) in self { return event }
        return nil
    }
}

@Suite struct TakeoverTests {
    @Test func nothingIsTouchedBeforeTheOwnTermIsCommitted() {
        var shell = Shell()
        #expect(shell.step(.leadership(isLeader: true, term: 7)).isEmpty)
        #expect(shell.step(.lease(true)).isEmpty)
        #expect(shell.step(.ownTermApplied(6)).isEmpty)
        #expect(shell.step(.ownTermApplied(7)).names == ["takeFence"])
    }

    @Test func theStepsComeInTheDesignsOrderAndAreTimed() throws {
        var shell = Shell()
        shell.elect()
        #expect(shell.told == [.takeFence(1, term: 7)])
        #expect(shell.finish(after: 10_000) == [.attach(2, term: 7)])
        let mount = StepRecord(name: "mount", microseconds: 60_000)
        #expect(shell.finish([mount], after: 70_000) == [.serve(3, epoch: 7)])
        #expect(shell.finish() == [.raiseAddress(4)])
        #expect(shell.finish() == [.tickle(5)])
        let last = shell.finish()
        #expect(shell.takeover.isServing)
        guard case .activate(7, let event)? = last.first else {
            Issue.record("not recorded: \(last)")
            return
        }
        #expect(event.kind == .takeover)
        #expect(
            event.steps.map(\.name) == ["commit", "fence", "mount", "attach, the rest", "load", "address", "tickle"])
        #expect(event.steps.first { $0.name == "fence" }?.microseconds == 10_000)
        #expect(event.steps.first { $0.name == "mount" }?.microseconds == 60_000)
        #expect(event.steps.first { $0.name == "attach, the rest" }?.microseconds == 10_000)
        // 2 ms from the election to its commit, then the steps: no time is lost and none is invented.
        #expect(event.totalMicroseconds == 2_000 + 10_000 + 70_000 + 3_000)
    }

    @Test func losingTheLeadershipEndsServingAtOnce() {
        var shell = Shell()
        shell.serve()
        let told = shell.step(.leadership(isLeader: false, term: 8))
        #expect(told.names == ["log", "silenceServer", "dropAddress", "tearDown"])
        #expect(shell.takeover.phase == .clearing)
        shell.finishAll()
        #expect(shell.takeover.phase == .standby)
    }

    @Test func losingTheLeaseEndsServingAlthoughStillLeading() {
        var shell = Shell()
        shell.serve()
        let told = shell.step(.lease(false))
        #expect(told.names.contains("silenceServer") && told.names.contains("dropAddress"))
        #expect(told.recorded?.kind == .fenced)
        shell.finishAll()
        #expect(shell.takeover.phase == .waiting)
    }

    /// A takeover that lost its majority half way must not raise the address.
    @Test(arguments: 0..<5) func losingTheLeaseDuringAnyStepBreaksOff(steps: Int) {
        var shell = Shell()
        shell.elect()
        for _ in 0..<steps { shell.finish() }
        #expect(shell.step(.lease(false)).names.contains("tearDown"))
        shell.finishAll()
        #expect(!shell.takeover.isServing)
    }

    /// The fence of an older term is no fence of this one.
    @Test func aNewTermBeginsAnew() {
        var shell = Shell()
        shell.serve(term: 7)
        #expect(shell.step(.leadership(isLeader: true, term: 9)).names.contains("tearDown"))
        shell.step(.ownTermApplied(9))
        for operation in shell.takeoverClearing { shell.step(.finished(operation, [])) }
        shell.step(.lease(true))
        let told = shell.step(.tick, after: 1_000_000)
        #expect(told == [.takeFence(told.fenceOperation, term: 9)])
    }

    @Test func aLateAnswerOfAnOlderStepIsVoid() {
        var shell = Shell()
        shell.elect()
        shell.finish()
        #expect(shell.takeover.phase == .taking(.attach))
        #expect(shell.step(.finished(1, [])).isEmpty)
        #expect(shell.takeover.phase == .taking(.attach))
    }

    @Test func aTransientFailureIsRetriedHereFirst() {
        var shell = Shell()
        shell.step(.heirs([2]))
        shell.elect()
        shell.fail(.transient)
        shell.finishAll()
        #expect(shell.takeover.phase == .waiting)
        #expect(shell.step(.tick, after: 10).isEmpty)
        #expect(shell.step(.tick, after: 400_000).names == ["takeFence"])
    }

    @Test func afterThreeFailuresTheOtherNodeIsAskedToLead() {
        var shell = Shell()
        shell.step(.heirs([2]))
        shell.elect()
        for attempt in 1...3 {
            let told = shell.fail(.transient)
            #expect((told.recorded?.kind == .failure) == (attempt == 3))
            let after = shell.finishAll()
            if attempt < 3 {
                shell.step(.tick, after: 400_000)
            } else {
                #expect(after.contains(.transferLeadership(to: 2)))
            }
        }
        shell.step(.leadership(isLeader: false, term: 8))
        #expect(shell.takeover.phase == .standby)
    }

    @Test func withoutAnHeirItTriesOnForEver() {
        var shell = Shell()
        shell.elect()
        shell.fail(.permanent)
        shell.finishAll()
        for _ in 0..<20 {
            #expect(shell.step(.tick, after: 2_100_000).names == ["takeFence"])
            shell.fail(.permanent)
            shell.finishAll()
        }
        #expect(shell.takeover.lastFailure == "fence: broken")
    }

    @Test func aWitnessNeverServes() {
        var shell = Shell(role: .witness)
        shell.step(.heirs([2, 3]))
        shell.elect()
        #expect(shell.told == [.transferLeadership(to: 2)])
        #expect(shell.step(.tick, after: 10).isEmpty)
        #expect(shell.step(.tick, after: 600_000) == [.transferLeadership(to: 2)])
        shell.step(.leadership(isLeader: false, term: 8))
        #expect(shell.takeover.phase == .standby)
    }

    @Test func aDeadServerIsReplacedInPlace() {
        var shell = Shell()
        shell.serve()
        let told = shell.step(.serverExited("signal 9"))
        #expect(told.names == ["log", "serve"])
        #expect(shell.takeover.isServing)
        let event = shell.finish(after: 400_000).recorded
        #expect(event?.kind == .serverRestart)
        #expect(event?.totalMicroseconds == 400_000)
    }

    @Test func aServerThatKeepsDyingIsNotRestartedForEver() {
        var shell = Shell()
        shell.serve()
        for _ in 0..<3 {
            shell.step(.serverExited("signal 11"))
            shell.finish()
        }
        let told = shell.step(.serverExited("signal 11"))
        #expect(told.recorded?.kind == .failure)
        #expect(shell.finishAll().contains(.transferLeadership(to: 2)))
    }

    @Test func aDeadBridgeIsReplacedInPlace() {
        var shell = Shell()
        shell.serve()
        #expect(shell.step(.bridgeExited("signal 9")).names == ["log", "restartBridge"])
        #expect(shell.takeover.isServing)
        #expect(shell.finish().recorded?.kind == .bridgeRestart)
    }

    @Test func aFencedNodeGivesUpAtOnce() {
        var shell = Shell()
        shell.serve()
        let told = shell.step(.bridgeFenced("node 2, term 8"))
        #expect(Set(told.names).isSuperset(of: ["silenceServer", "dropAddress", "tearDown"]))
    }

    @Test func aTargetThatForgotIsRetakenOnlyWithTheQuorumsWord() {
        var shell = Shell()
        shell.serve()
        #expect(shell.step(.bridgeAsksToRetake("unit attention 29/00")).names == ["log", "confirmLeadership"])
        #expect(shell.finish() == [.allowRetake])
        #expect(shell.step(.bridgeAsksToRetake("again")).names == ["log", "confirmLeadership"])
        #expect(shell.fail(.transient) == [.refuseRetake])
    }

    @Test func aMoveHoldsBackEveryFinAndHandsOver() {
        var shell = Shell()
        shell.serve()
        #expect(shell.step(.move(to: 2)).names == ["flush"])
        #expect(shell.takeover.isServing)
        #expect(shell.finish().names == ["freeze"])
        #expect(shell.finish().names == ["flush"])
        #expect(shell.finish().names == ["dropAddress"])
        #expect(shell.finish().names == ["endServer"])
        #expect(shell.finish().names == ["detach"])
        let told = shell.finish()
        #expect(told.names == ["deactivate", "transferLeadership"])
        guard case .deactivate(7, let steps)? = told.first else { return }
        #expect(steps.map(\.name) == ["freeze", "flush", "address", "server", "detach"])
        // Nobody waited for the flush before.
        #expect(steps.reduce(0) { $0 + $1.microseconds } == 5000)
        #expect(shell.step(.leadership(isLeader: false, term: 8)) == [.answerMove(nil)])
        #expect(shell.takeover.phase == .standby)
    }

    @Test func theNewNodesRecordBeginsWithTheOldOnesSteps() {
        var shell = Shell()
        shell.step(.predecessor(handedOver: true, steps: [StepRecord(name: "freeze", microseconds: 5)]))
        shell.elect()
        for _ in 0..<4 { shell.finish() }
        guard case .activate(_, let event)? = shell.finish().first else { return }
        #expect(event.kind == .move)
        #expect(event.steps.first?.name == "freeze")
    }

    @Test func aServerThatDoesNotFreezeDelaysAMoveOnlySoLong() {
        var shell = Shell()
        shell.serve()
        shell.step(.move(to: 2))
        #expect(shell.finish().names == ["freeze"])
        #expect(shell.step(.tick, after: 1_000_000).isEmpty)
        #expect(shell.step(.tick, after: 3_000_000).names == ["log", "flush"])
    }

    @Test func aMoveThatNobodyTakesUpIsTakenBack() {
        var shell = Shell()
        shell.serve()
        shell.step(.move(to: 2))
        shell.moveAway()
        let told = shell.step(.tick, after: 3_100_000)
        #expect(told.names == ["answerMove", "takeFence"])
    }

    @Test func aMoveToANodeThatCannotIsRefused() {
        var shell = Shell()
        shell.serve()
        #expect(shell.step(.move(to: 3)).names == ["answerMove"])
        #expect(shell.takeover.isServing)
    }

    /// The FIN or reset of the dying server must find no way out: it is silent at once, and ends when the address is gone.
    @Test func theServerEndsWhenTheAddressIsGone() {
        var shell = Shell()
        shell.serve()
        shell.step(.bridgeFenced("node 2, term 8"))
        let operations = shell.operations
        #expect(operations.count == 2)
        // Neither waits for the other.
        #expect(shell.step(.finished(operations[1], [])).isEmpty)
        let told = shell.step(.finished(operations[0], []))
        #expect(told.names == ["endServer"])
        #expect(shell.takeover.phase == .clearing)
        shell.finish()
        #expect(shell.takeover.phase == .waiting)
    }

    @Test func aLeaderWithoutAPathHandsOverToAnHeirThatHasOne() {
        var shell = Shell()
        shell.serve()
        shell.step(.heirs([2], reaching: [2]))
        shell.step(.bridgeUnreachable("no answer for 4 s"))
        #expect(shell.step(.tick, after: 4_900_000).isEmpty)
        let told = shell.step(.tick, after: 200_000)
        #expect(told.recorded?.kind == .failure)
        #expect(told.names.contains("silenceServer"))
        #expect(shell.finishAll().contains(.transferLeadership(to: 2)))
    }

    @Test func aTargetThatIsAwayForAllMovesNothing() {
        var shell = Shell()
        shell.serve()
        shell.step(.heirs([2], reaching: []))
        shell.step(.bridgeUnreachable("no answer for 4 s"))
        for _ in 0..<100 { #expect(shell.step(.tick, after: 1_000_000).isEmpty) }
        #expect(shell.takeover.isServing)
        // It came back for both: nothing is owed.
        shell.step(.bridgeReachable)
        shell.step(.heirs([2], reaching: [2]))
        #expect(shell.step(.tick, after: 10_000_000).isEmpty)
        // The next time is counted from its own beginning.
        shell.step(.bridgeUnreachable("no answer for 4 s"))
        #expect(shell.step(.tick, after: 1_000_000).isEmpty)
    }

    @Test func stoppingHandsOverFirst() {
        var shell = Shell()
        shell.serve()
        shell.step(.stop)
        shell.moveAway()
        #expect(shell.told.names.contains("transferLeadership"))
        #expect(shell.step(.leadership(isLeader: false, term: 8)) == [.mayExit])
    }

    @Test func stoppingAloneStillDetachesCleanly() {
        var shell = Shell()
        shell.elect()
        for _ in 0..<5 { shell.finish() }
        shell.step(.stop)
        for _ in 0..<5 { shell.finish() }
        #expect(shell.told.names == ["detach"])
        #expect(shell.finish().names == ["deactivate", "mayExit"])
    }
}

/// What clients were told is written, and is not on the LUN yet: on a share that is not continuously available, gigabytes.
@Suite struct WriteBackTests {
    private func serving() -> Shell {
        var shell = Shell()
        shell.serve()
        return shell
    }

    @Test func whatWasWrittenGoesToTheLUNWhileTheClientsAreServed() {
        var shell = self.serving()
        #expect(shell.step(.move(to: 2)).names == ["flush"])
        #expect(shell.takeover.isServing && shell.takeover.isWritingBack)
        // What came in these 20 s is not there yet.
        #expect(shell.finish(after: 20_000_000).names == ["flush"])
        #expect(shell.takeover.isServing)
        #expect(shell.finish(after: 90_000).names == ["freeze"])
        #expect(!shell.takeover.isServing)
    }

    @Test func clientsThatWriteAsFastAsTheLUNTakesItCannotPutAMoveOff() {
        var shell = self.serving()
        shell.step(.move(to: 2))
        #expect(shell.finish(after: 10_000_000).names == ["flush"])
        #expect(shell.finish(after: 6_000_000).names == ["freeze"], "it gets no shorter")

        shell = self.serving()
        shell.step(.move(to: 2))
        for time in [80, 30, 12] as [Moment] { #expect(shell.finish(after: time * 1_000_000).names == ["flush"]) }
        #expect(shell.finish(after: 5_000_000).names == ["freeze"], "however much shorter it gets")
    }

    /// After 3 s the move went on without: the server was killed in the middle of its syncfs, the unmount found the file system
    /// in use, and giving up discards what is dirty.
    @Test func noDeadlineDiscardsWhatWasAcknowledged() {
        var shell = self.serving()
        shell.step(.move(to: 2))
        for step in [Takeover.MoveStep.flush, .server, .detach] {
            while shell.takeover.phase != .moving(step) { shell.finish() }
            let operations = shell.operations
            var told: [Takeover.Directive] = []
            for _ in 0..<600 { told += shell.step(.tick, after: 1_000_000) }
            #expect(shell.takeover.phase == .moving(step))
            #expect(shell.takeover.isWritingBack)
            #expect(told.names == Array(repeating: "log", count: 60), "it says what it waits for")
            for operation in operations { shell.step(.finished(operation, [])) }
        }
        #expect(shell.told.names == ["deactivate", "transferLeadership"])
    }

    @Test func aLongFlushWhileTheClientsAreServedIsSpokenOf() {
        var shell = self.serving()
        shell.step(.move(to: 2))
        #expect(shell.step(.tick, after: 9_000_000).isEmpty)
        #expect(shell.step(.tick, after: 2_000_000).names == ["log"])
        #expect(shell.step(.tick, after: 1_000_000).isEmpty)
    }

    /// Its data is in this machine's memory and needs no server.
    @Test func aServerThatDiesInTheMiddleOfItsLastFlushLosesNothing() {
        var shell = self.serving()
        shell.step(.move(to: 2))
        for _ in 0..<2 { shell.finish() }
        #expect(shell.takeover.phase == .moving(.flush))
        let operation = shell.operations[0]
        #expect(shell.step(.serverExited("signal 9")).isEmpty)
        #expect(shell.step(.finished(operation, [])).names == ["dropAddress"])
    }

    @Test func aFlushThatFailsGivesUp() {
        for finished in [0, 2] {
            var shell = self.serving()
            shell.step(.move(to: 2))
            for _ in 0..<finished { shell.finish() }
            let told = shell.fail(.transient)
            #expect(told.answer?.contains("broken") == true)
            #expect(told.names.contains("tearDown"))
        }
    }

    /// A flush may take minutes: nobody is interrupted for a node that has gone meanwhile.
    @Test func anHeirThatIsGoneAfterTheFlushInterruptsNobody() {
        var shell = self.serving()
        let flush = shell.step(.move(to: 2))
        shell.step(.heirs([]))
        shell.told = flush
        #expect(shell.finish(after: 50_000).names == ["answerMove"])
        #expect(shell.takeover.isServing && !shell.takeover.isWritingBack)
        shell.step(.heirs([2]))
        #expect(shell.step(.move(to: 2)).names == ["flush"])
    }

    @Test func aNodeThatStopsTakesWhoeverIsThereAfterTheFlush() {
        var shell = self.serving()
        let flush = shell.step(.stop)
        shell.step(.heirs([3]))
        shell.told = flush
        shell.moveAway()
        #expect(shell.told.names == ["deactivate", "transferLeadership"])
        #expect(shell.told.contains(.transferLeadership(to: 3)))
    }

    @Test func anotherMoveMeanwhileIsRefused() {
        var shell = self.serving()
        shell.step(.stop)
        #expect(shell.step(.move(to: 2)).names == ["answerMove"])
        #expect(shell.step(.stop).isEmpty)
    }

    /// It gave up, and with that what the dead server had acknowledged.
    @Test func aStopWaitsForAServerThatIsBeingReplaced() {
        var shell = self.serving()
        let serve = shell.step(.serverExited("signal 9"))
        #expect(shell.step(.stop).isEmpty)
        shell.told = serve
        let told = shell.finish()
        #expect(told.names == ["record", "flush"])
        shell.told = told
        #expect(shell.finish().names == ["freeze"])
    }

    @Test func aServerThatDiesWhileItIsServedIsReplacedBeforeItIsFrozen() {
        var shell = self.serving()
        let flush = shell.step(.move(to: 2))
        let serve = shell.step(.serverExited("signal 9"))
        #expect(serve.names == ["log", "serve"])
        shell.told = flush
        #expect(shell.finish().isEmpty)
        shell.told = serve
        shell.told = shell.finish()
        #expect(shell.told.names == ["record", "flush"])
        #expect(shell.finish().names == ["freeze"])
    }

    /// Clients are answered from the address on.
    @Test(arguments: [3, 4]) func aStopAtTheEndOfATakeoverDiscardsNothing(finished: Int) {
        var shell = Shell()
        shell.step(.heirs([2]))
        shell.elect()
        for _ in 0..<finished { shell.finish() }
        let directives = shell.told
        #expect(shell.step(.stop).isEmpty)
        shell.told = directives
        while !shell.takeover.isServing { shell.finish() }
        #expect(shell.told.names == ["activate", "flush"])
    }

    /// A stop waits for a target that takes what was written, and for no other.
    @Test func aTargetThatIsAwayIsNotWaitedForByAStop() {
        var shell = self.serving()
        shell.step(.stop)
        #expect(shell.takeover.isWritingBack)
        shell.step(.bridgeUnreachable("no answer for 4 s"))
        #expect(!shell.takeover.isWritingBack)
        shell.step(.bridgeReachable)
        #expect(shell.takeover.isWritingBack)
    }

    /// The frozen clients would wait for ever, and the other node could serve them.
    @Test func aFrozenNodeWithoutAPathHandsOverToAnHeirThatHasOne() {
        var shell = self.serving()
        shell.step(.heirs([2], reaching: [2]))
        shell.step(.move(to: 2))
        for _ in 0..<2 { shell.finish() }
        #expect(shell.takeover.phase == .moving(.flush))
        shell.step(.bridgeUnreachable("no answer for 4 s"))
        let told = shell.step(.tick, after: 5_100_000)
        #expect(told.recorded?.kind == .failure)
        #expect(told.answer != nil)
        #expect(shell.finishAll().contains(.transferLeadership(to: 2)))
    }
}

/// A server that was killed in a call of the kernel that does not end: the next one is not loaded before that.
@Suite struct HeldBackServerTests {
    private func heldBack(reaching: [NodeID] = []) -> Shell {
        var shell = Shell()
        shell.serve()
        shell.step(.heirs([2], reaching: reaching))
        #expect(shell.step(.serverExited("signal 9")).names == ["log", "serve"])
        #expect(shell.step(.serverHeldBack).names == ["log"])
        #expect(shell.takeover.isServerHeldBack)
        return shell
    }

    /// The share stood still as long as that call lasted.
    @Test func theShareMovesToAnHeirThatReachesTheLUN() {
        var shell = self.heldBack(reaching: [2])
        #expect(shell.step(.tick, after: 9_900_000).isEmpty)
        #expect(shell.step(.tick, after: 5_000_000).names == ["log"], "it says what it waits for")
        let told = shell.step(.tick, after: 200_000)
        #expect(told.names == ["record", "log", "freeze"])
        #expect(told.recorded?.kind == .failure)
        #expect(shell.finish().names == ["flush"])
        #expect(shell.finish().names == ["dropAddress"])
        #expect(shell.finish().names == ["endServer"])
        #expect(shell.finish().names == ["detach"], "its call is over")
        #expect(!shell.takeover.isServerHeldBack)
        #expect(shell.finish().contains(.transferLeadership(to: 2)))
    }

    @Test func aFileSystemThatHangsIsLeftWithoutTheFlush() {
        var shell = self.heldBack(reaching: [2])
        shell.step(.tick, after: 15_000_000)
        shell.finish()
        #expect(shell.takeover.phase == .moving(.flush))
        #expect(!shell.step(.tick, after: 44_900_000).names.contains("tearDown"))
        let told = shell.step(.tick, after: 200_000)
        #expect(told.names.contains("silenceServer") && told.names.contains("tearDown"))
        #expect(told.recorded?.kind == .failure)
        #expect(shell.takeover.lastFailure?.contains("call of the kernel") == true)
        #expect(shell.finishAll().contains(.transferLeadership(to: 2)))
    }

    @Test func withoutAnHeirThatReachesTheLUNItWaits() {
        var shell = self.heldBack()
        var told: [Takeover.Directive] = []
        for _ in 0..<600 { told += shell.step(.tick, after: 1_000_000) }
        #expect(told.names == Array(repeating: "log", count: 60))
        #expect(shell.takeover.isServing)
        // The call ends: the new server is loaded, however long that takes.
        shell.step(.serverReleased)
        shell.step(.heirs([2], reaching: [2]))
        #expect(shell.step(.tick, after: 60_000_000).isEmpty)
        #expect(shell.takeover.isServing && !shell.takeover.isServerHeldBack)
    }

    /// What waits for a LUN that is away ends some time after it is back.
    @Test func theAbsenceOfTheLUNDoesNotCount() {
        var shell = self.heldBack()
        shell.step(.bridgeUnreachable("no answer for 4 s"))
        #expect(shell.step(.tick, after: 60_000_000).isEmpty)
        shell.step(.bridgeReachable)
        shell.step(.heirs([2], reaching: [2]))
        #expect(!shell.step(.tick, after: 14_900_000).names.contains("freeze"))
        #expect(shell.step(.tick, after: 200_000).names.contains("freeze"))
    }

    /// It was refused, and a stop waited for the server.
    @Test(arguments: [Takeover.Event.move(to: 2), .stop]) func nobodyHasToBeServedForAMove(_ event: Takeover.Event) {
        var shell = self.heldBack()
        #expect(shell.step(event).names == ["freeze"])
        #expect(shell.finish().names == ["flush"])
        #expect(shell.finish().names == ["dropAddress"])
        #expect(shell.finish().names == ["endServer"])
        #expect(shell.takeover.phase == .moving(.server))
        #expect(shell.step(.tick, after: 9_900_000).names == [])
        // All is on the LUN: whatever the call still does may fail.
        let told = shell.step(.tick, after: 200_000)
        #expect(told.names.contains("tearDown"))
        #expect((told.answer != nil) == (event != .stop))
        #expect(shell.finishAll().contains(.transferLeadership(to: 2)))
    }

    @Test func aStopOfTheOnlyNodeEnds() {
        var shell = self.heldBack()
        shell.step(.heirs([]))
        shell.step(.stop)
        for _ in 0..<3 { shell.finish() }
        #expect(shell.takeover.phase == .moving(.server))
        shell.step(.tick, after: 10_100_000)
        #expect(shell.finishAll().names.contains("mayExit"))
    }

    @Test func aStopThatWaitedForTheNewServerGoesOnWithout() {
        var shell = Shell()
        shell.serve()
        shell.step(.serverExited("signal 9"))
        #expect(shell.step(.stop).isEmpty)
        #expect(shell.step(.serverHeldBack).names == ["log", "freeze"])
    }

    @Test func aFlushThatRanWhenTheServerDiedIsFollowedByTheMove() {
        var shell = Shell()
        shell.serve()
        let flush = shell.step(.move(to: 2))
        shell.step(.serverExited("signal 9"))
        #expect(shell.step(.serverHeldBack).names == ["log"])
        shell.told = flush
        #expect(shell.finish(after: 20_000_000).names == ["freeze"])
    }

    /// The next server was loaded in the same moment: it may have answered clients after the flush.
    @Test func aServerThatIsHeldBackNoMoreIsWaitedForAtItsEnd() {
        var shell = self.heldBack()
        shell.step(.move(to: 2))
        shell.step(.serverReleased)
        shell.told = [.freeze(shell.takeover.operation)]
        for _ in 0..<3 { shell.finish() }
        #expect(shell.takeover.phase == .moving(.server))
        for _ in 0..<60 { shell.step(.tick, after: 1_000_000) }
        #expect(shell.takeover.phase == .moving(.server))
    }
}

/// `clusterctl move` waits for an answer, and as long as it has none every other move is refused.
@Suite struct MoveAnswerTests {
    @Test(arguments: 0...5) func aMoveWithoutABridgeIsAnswered(finished: Int) {
        var shell = Shell()
        shell.serve()
        shell.step(.move(to: 2))
        for _ in 0..<finished { shell.finish() }
        #expect(shell.step(.bridgeExited("signal 9")).names == ["log", "restartBridge"])
        let told = shell.fail(.transient)
        #expect(told.answer?.contains("restart in place failed: broken") == true)
        #expect(told.names.contains("tearDown"))
        #expect(shell.finishAll().answer == nil, "once")
    }

    @Test func aMoveWhoseBridgeKeepsDyingIsAnswered() {
        var shell = Shell()
        shell.serve()
        shell.step(.move(to: 2))
        for _ in 0..<3 {
            shell.step(.bridgeExited("signal 9"))
            shell.finish()
        }
        #expect(shell.step(.bridgeExited("signal 9")).answer?.contains("lunbridge ended 4 times") == true)
    }

    @Test func aMoveThatLosesItsMajorityIsAnswered() {
        for finished in 0...5 {
            var shell = Shell()
            shell.serve()
            shell.step(.move(to: 2))
            for _ in 0..<finished { shell.finish() }
            #expect(shell.step(.leadership(isLeader: false, term: 8)).answer != nil)
        }
        var shell = Shell()
        shell.serve()
        shell.step(.move(to: 2))
        #expect(shell.step(.lease(false)).answer != nil, "it serves still")
    }
}

extension Shell {
    /// The operations of the teardown that is under way: three, the last that were given out, the server's last.
    fileprivate var takeoverClearing: [Takeover.Operation] { [7, 8, 6] }
}

extension [Takeover.Directive] {
    fileprivate var fenceOperation: Takeover.Operation {
        for case .takeFence(let operation, _) in self { return operation }
        return 0
    }
}
