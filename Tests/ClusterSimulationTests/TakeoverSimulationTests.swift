import Testing

@testable import ClusterSimulation

/// A seed is a whole run. Replay: `clustersim --takeover --seed N --seconds S --trace`.
@Suite struct TakeoverSimulationTests {
    #if DEBUG
        static let seconds: UInt64 = 6
    #else
        static let seconds: UInt64 = 60
    #endif

    private static func run(
        _ seed: UInt64, _ seconds: UInt64 = Self.seconds, quorumDisk: Bool? = nil, sizes: StateSizes? = nil
    ) -> TakeoverSimulation.Outcome {
        var options = TakeoverSimulation.Options(seed: seed)
        options.quorumDisk = quorumDisk
        options.seconds = seconds
        options.sizes = sizes
        var simulation = TakeoverSimulation(options)
        return simulation.run()
    }

    /// Safety at every event while faults last, service within 30 simulated seconds afterwards.
    @Test(arguments: UInt64(0)..<60)
    func theInvariantsHoldUnderFaults(seed: UInt64) {
        let outcome = Self.run(seed)
        #expect(outcome.violation == nil, "clustersim --takeover --seed \(seed) --seconds \(Self.seconds) --trace")
        #expect(outcome.acknowledgedWrites > 0)
    }

    /// Seeds that found something once. Any change of the simulation gives a seed another meaning, so that each has a safeguard
    /// in `TakeoverMutation`, or a test of its own, too. 1874: a write of the node's own earlier term landed after it had taken the fence again. The others: a
    /// move to a node that lost its state left a leader without a lease, for ever (LeaseTests, too).
    @Test(arguments: [UInt64(1874), 33_061, 44_925, 64_705])
    func whatWasFoundStaysAway(seed: UInt64) { #expect(Self.run(seed, 60, sizes: .whole).violation == nil) }

    @Test func aSeedReplaysToTheLastBit() {
        let outcome = Self.run(7)
        #expect(outcome == Self.run(7))
        #expect(outcome.eventCount > 50)
        #expect(Self.run(8).traceHash != outcome.traceHash)
    }

    /// A run that never sees a fault's consequence proves nothing: all of them happen.
    @Test func everythingThatCanHappenDoes() {
        var sum = (takeovers: 0, moves: 0, records: 0, conflicts: 0, crashes: 0, restarts: 0, hangs: 0)
        for seed in UInt64(30)..<60 {
            let outcome = Self.run(seed, 20)
            sum.takeovers += outcome.takeovers
            sum.moves += outcome.moves
            sum.records += outcome.acknowledgedRecords
            sum.conflicts += outcome.conflicts
            sum.crashes += outcome.crashes
            sum.restarts += outcome.targetRestarts
            sum.hangs += outcome.hangs
        }
        #expect(sum.takeovers > 40)
        #expect(sum.moves > 5)
        #expect(sum.records > 200)
        #expect(sum.conflicts > 5)
        #expect(sum.crashes > 10)
        #expect(sum.restarts > 2)
        #expect(sum.hangs > 20)
    }

    /// The same beside a quorum disk.
    @Test func everythingThatCanHappenToAQuorumDiskDoes() {
        var sum = DiskCounts()
        var takeovers = 0
        for seed in UInt64(0)..<16 {
            let outcome = Self.run(seed, 12, quorumDisk: true)
            #expect(outcome.violation == nil)
            sum += outcome.disk ?? DiskCounts()
            takeovers += outcome.takeovers
        }
        #expect(takeovers > 20)
        #expect(sum.grants > 10)
        #expect(sum.grantsWithLog > 2)
        #expect(sum.acknowledgements > 300)
        #expect(sum.checkpoints > 10)
        #expect(sum.barriers > 50)
        #expect(sum.replacements > 3)
        #expect(sum.refusedForHeartbeat > 20)
        #expect(sum.checkpointsInSteps > 0)
    }

    /// The cluster's own state goes to nodes that begin anew, in several windows on links that break in the middle.
    @Test(arguments: [false, true])
    func aStateOfSeveralWindowsReachesANodeThatBeginsAnew(quorumDisk: Bool) {
        var counts = StateCounts()
        for seed in UInt64(0)..<10 {
            var options = TakeoverSimulation.Options(seed: seed)
            options.quorumDisk = quorumDisk
            options.seconds = 20
            options.faults = .brokenStates
            options.sizes = .small
            var simulation = TakeoverSimulation(options)
            let outcome = simulation.run()
            #expect(outcome.violation == nil, "seed \(seed)")
            counts += outcome.states
        }
        #expect(counts.inSeveralWindows > 2)
        #expect(counts.begunAgain > 0)
    }

    /// Nodes that lose their state, and that leave, come back as new ones while everything else goes wrong.
    @Test(arguments: [false, true])
    func lostAndAbsentNodesComeBack(quorumDisk: Bool) {
        var (healed, joins) = (0, 0)
        for seed in UInt64(0)..<10 {
            var options = TakeoverSimulation.Options(seed: seed)
            options.quorumDisk = quorumDisk
            options.seconds = 20
            options.faults = .lostStates
            options.faults?.leavesPerMinute = 20
            options.faults?.disk.changesPerMinute = 2
            var simulation = TakeoverSimulation(options)
            let outcome = simulation.run()
            #expect(outcome.violation == nil, "seed \(seed)")
            healed += outcome.healed
            joins += outcome.joins
        }
        #expect(healed > 2)
        #expect(healed + joins > 4)
    }

    @Test(arguments: [false, true])
    func withoutFaultsOneNodeServesAllAlong(quorumDisk: Bool) {
        var options = TakeoverSimulation.Options(seed: 1)
        options.faults = TakeoverFaults()
        options.quorumDisk = quorumDisk
        options.seconds = 20
        var simulation = TakeoverSimulation(options)
        let outcome = simulation.run()
        #expect(outcome.violation == nil)
        #expect(outcome.takeovers == 1)
        #expect(outcome.fences == 1)
        #expect(outcome.acknowledgedWrites > 400)
    }

    /// What is in a node's memory and was acknowledged is on the LUN before the other node serves, however long that takes.
    @Test func anOrderlyMoveWaitsForASlowLUN() {
        var moves = 0
        for seed in UInt64(0)..<8 {
            var options = TakeoverSimulation.Options(seed: seed)
            options.faults = .slowLUN
            var simulation = TakeoverSimulation(options)
            let outcome = simulation.run()
            #expect(outcome.violation == nil, "seed \(seed)")
            moves += outcome.moves
        }
        #expect(moves > 4)
    }

    /// Two machines and a target: one of the two loses its power for good, and the other one serves with the disk.
    @Test func eitherNodeOfTwoServesAloneWithTheDisk() {
        var options = TakeoverSimulation.Options(seed: 1)
        options.faults = TakeoverFaults()
        options.quorumDisk = true
        var simulation = TakeoverSimulation(options)
        let active = simulation.serving(after: 5)
        simulation.crash(active, isAnnounced: false)
        let writes = simulation.checker.acknowledgedWrites
        #expect(simulation.serving(after: 15) == 1 - active)
        #expect(simulation.checker.acknowledgedWrites > writes + 20)
    }

    /// The link between the two is cut: whoever serves goes on, because its heartbeat on the disk forbids the other to stand.
    @Test func aCutLinkBetweenTwoNodesMovesNothing() {
        var options = TakeoverSimulation.Options(seed: 1)
        options.faults = TakeoverFaults()
        options.quorumDisk = true
        var simulation = TakeoverSimulation(options)
        let active = simulation.serving(after: 5)
        _ = simulation.links.separate([1], from: [1, 2])
        #expect(simulation.serving(after: 30) == active)
        #expect(simulation.checker.takeovers == 1)
    }

    /// A path that breaks for good moves the share; a target that is away for all does not.
    @Test func onlyAPathThatTheOtherNodeHasMovesTheShare() {
        var options = TakeoverSimulation.Options(seed: 1)
        options.faults = TakeoverFaults()
        options.seconds = 30
        var simulation = TakeoverSimulation(options)
        let active = simulation.serving(after: 5)
        simulation.cutPath(of: active, until: 100_000_000)
        let heir = simulation.serving(after: 30)
        #expect(heir == 1 - active)

        simulation = TakeoverSimulation(options)
        let first = simulation.serving(after: 5)
        simulation.cutPath(of: 0, until: 25_000_000)
        simulation.cutPath(of: 1, until: 25_000_000)
        let meanwhile = simulation.serving(after: 24)
        #expect(meanwhile == first)
        let last = simulation.serving(after: 30)
        #expect(last == first)
    }
}

@Suite struct TakeoverMutationTests {
    /// Each safeguard, switched off, is noticed within a bounded number of seeds.
    @Test(.enabled(if: huntsDefects), arguments: TakeoverMutation.all)
    func aMissingSafeguardIsNoticed(mutation: TakeoverMutation) {
        #expect(mutation.hunt() != nil, "\(mutation.name) went unnoticed for \(mutation.maximumSeeds) seeds")
    }

    /// The same faults with every safeguard in place: the noise is not the signal.
    @Test(arguments: TakeoverMutation.all)
    func withItNothingIsNoticed(mutation: TakeoverMutation) {
        var mutation = mutation
        mutation.defects = []
        mutation.diskDefects = []
        mutation.raftDefects = []
        mutation.transferDefects = []
        mutation.maximumSeeds = 2
        mutation.seconds = 20
        #expect(mutation.hunt()?.violation == nil)
    }
}

extension TakeoverSimulation {
    /// The data node that serves when that many simulated seconds have passed; -1: none.
    fileprivate mutating func serving(after seconds: UInt64) -> Int {
        self.runUntil(seconds * 1_000_000) { _ in false }
        #expect(self.checker.violation == nil)
        return self.nodes.firstIndex { $0.isUp && $0.takeover.isServing } ?? -1
    }

    fileprivate mutating func cutPath(of node: Int, until time: UInt64) { self.cutUntil[node] = time }
}
