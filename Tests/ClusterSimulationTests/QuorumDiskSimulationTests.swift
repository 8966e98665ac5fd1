import Testing

@testable import ClusterSimulation

/// Two nodes and a quorum disk. Replay: `clustersim --quorum-disk --seed N --seconds S --trace`.
@Suite struct QuorumDiskSimulationTests {
    #if DEBUG
        static let seconds: UInt64 = 4
    #else
        static let seconds: UInt64 = 30
    #endif

    private static func run(
        _ seed: UInt64, _ seconds: UInt64 = Self.seconds, sizes: StateSizes? = nil, faults: Faults? = nil
    ) -> Simulation.Outcome {
        var options = Simulation.Options(seed: seed)
        options.nodes = 2
        options.spares = 1
        options.quorumDisk = true
        options.seconds = seconds
        options.sizes = sizes
        options.faults = faults
        var simulation = Simulation(options)
        return simulation.run()
    }

    /// 117: nobody could be elected, because the one with the longest log had been left out by an entry that was not committed.
    @Test(arguments: [UInt64(117)])
    func whatFailedOnceHolds(seed: UInt64) {
        #expect(Self.run(seed, 60, sizes: .whole).violation == nil)
    }

    @Test(arguments: UInt64(0)..<40)
    func theInvariantsHoldUnderFaults(seed: UInt64) {
        let outcome = Self.run(seed)
        #expect(outcome.violation == nil, "clustersim --quorum-disk --seed \(seed) --seconds \(Self.seconds) --trace")
        #expect(outcome.acknowledgedCount > 0)
    }

    @Test func aSeedReplaysToTheLastBit() {
        let outcome = Self.run(7)
        #expect(outcome == Self.run(7))
        #expect(outcome.eventCount > 100)
        #expect(Self.run(8).traceHash != outcome.traceHash)
    }

    /// A run that never sees a fault's consequence proves nothing: all of them happen.
    @Test func everythingThatCanHappenDoes() {
        var sum = DiskCounts()
        for seed in UInt64(0)..<16 { sum += Self.run(seed, 12).disk }
        #expect(sum.grants > 15)
        #expect(sum.grantsWithLog > 2)
        #expect(sum.acknowledgements > 300)
        #expect(sum.checkpoints > 10)
        #expect(sum.barriers > 50)
        #expect(sum.replacements > 3)
        #expect(sum.refusedForHeartbeat > 20)
        #expect(sum.checkpointsInSteps > 5)
    }

    /// Checkpoints that heartbeats and votes go between, that crashes and failed requests end in the middle, and that
    /// a candidate reads a step at a time.
    @Test func aCheckpointOfSeveralStepsIsWrittenBrokenOffAndRead() {
        var sum = DiskCounts()
        for seed in UInt64(0)..<16 {
            let outcome = Self.run(seed, 12, sizes: .small, faults: .disk)
            #expect(outcome.violation == nil, "seed \(seed)")
            sum += outcome.disk
        }
        #expect(sum.checkpointsInSteps > 10)
        #expect(sum.checkpointsBrokenOff > 0)
        #expect(sum.statesReadInSteps > 0)
    }

    /// One of the two dies for good: the disk is the other one's majority.
    @Test func oneNodeAndTheDiskGoOn() {
        var options = Simulation.Options(seed: 1)
        options.nodes = 2
        options.spares = 0
        options.quorumDisk = true
        options.faults = Faults()
        var simulation = Simulation(options)
        simulation.runUntil(5_000_000) { _ in false }
        guard let dead = simulation.someLeader() else { return #expect(Bool(false)) }
        simulation.crash(dead, isAnnounced: false)
        let before = simulation.checker.lastCommitted
        simulation.runUntil(10_000_000) { _ in false }
        #expect(simulation.someLeader() == 1 - dead)
        #expect(simulation.checker.lastCommitted > before + 40)
        #expect(simulation.checker.violation == nil)
    }

    /// The nodes lose each other and both reach the disk: whoever leads goes on, in the same term.
    @Test func aPartitionBetweenTheNodesChangesNothing() {
        var options = Simulation.Options(seed: 1)
        options.nodes = 2
        options.spares = 0
        options.quorumDisk = true
        options.faults = Faults()
        var simulation = Simulation(options)
        simulation.runUntil(5_000_000) { _ in false }
        let leader = simulation.someLeader()
        let leaders = simulation.checker.leaderCount
        let before = simulation.checker.lastCommitted
        _ = simulation.network.separate([1], from: [1, 2])
        simulation.runUntil(25_000_000) { _ in false }
        #expect(simulation.someLeader() == leader)
        #expect(simulation.checker.leaderCount == leaders)
        #expect(simulation.checker.lastCommitted > before + 150)
        #expect(simulation.checker.violation == nil)
    }
}

@Suite struct QuorumDiskMutationTests {
    /// Each safeguard, switched off, is noticed; `clustersim --quorum-disk --mutations` hunts without these first seeds.
    @Test(.enabled(if: huntsDefects), arguments: Mutation.disk)
    func aMissingSafeguardIsNoticed(mutation: Mutation) {
        #expect(mutation.hunt() != nil, "\(mutation.name) went unnoticed for \(mutation.maximumSeeds) seeds")
    }

    /// The same faults with every safeguard in place: the noise is not the signal.
    @Test(arguments: Mutation.disk)
    func withItNothingIsNoticed(mutation: Mutation) {
        var mutation = mutation
        mutation.defects = []
        mutation.diskDefects = []
        mutation.appliesOutsideTransaction = false
        mutation.maximumSeeds = 1
        mutation.seconds = 5
        #expect(mutation.hunt()?.violation == nil)
    }
}
