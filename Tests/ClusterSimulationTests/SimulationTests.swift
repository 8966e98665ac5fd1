import Testing

@testable import ClusterSimulation

/// A seed is a whole run. Replay: `clustersim --seed N --seconds S --trace`.
@Suite struct SimulationTests {
    #if DEBUG
        static let seconds: UInt64 = 5
    #else
        static let seconds: UInt64 = 30
    #endif

    /// Safety at every step while faults last, progress within 30 simulated seconds afterwards.
    @Test(arguments: UInt64(0)..<200)
    func theInvariantsHoldUnderFaults(seed: UInt64) {
        var options = Simulation.Options(seed: seed)
        options.seconds = Self.seconds
        // Most run as the product does, some with the majorities of larger clusters.
        options.nodes = seed % 5 == 0 ? 5 : 3
        var simulation = Simulation(options)
        let outcome = simulation.run()
        #expect(
            outcome.violation == nil,
            "clustersim --seed \(seed) --nodes \(options.nodes) --seconds \(Self.seconds) --trace")
        #expect(outcome.acknowledgedCount > 0)
    }

    @Test(arguments: [UInt64(7), 8, 9])
    func aSeedReplaysToTheLastBit(seed: UInt64) {
        var options = Simulation.Options(seed: seed)
        options.seconds = Self.seconds
        var first = Simulation(options)
        var second = Simulation(options)
        let outcome = first.run()
        #expect(outcome == second.run())
        #expect(outcome.eventCount > 100)

        options.seed += 1
        var other = Simulation(options)
        #expect(other.run().traceHash != outcome.traceHash)
    }

    /// A run that never sees a fault's consequence proves nothing: all of them happen.
    @Test func everythingThatCanHappenDoes() {
        var leaders = 0
        var changes = 0
        var snapshots = 0
        var reads = 0
        var leases = 0
        for seed in UInt64(0)..<20 {
            var options = Simulation.Options(seed: seed)
            options.seconds = Self.seconds
            var simulation = Simulation(options)
            let outcome = simulation.run()
            leaders += outcome.leaderCount
            changes += outcome.configurationChanges
            snapshots += outcome.snapshotInstalls
            reads += outcome.readCount
            leases += outcome.leaseSamples
        }
        #expect(leaders > 40)
        #expect(changes > 10)
        #expect(snapshots > 10)
        #expect(reads > 50)
        #expect(leases > 1000)
    }

    @Test func withoutFaultsOneLeaderServesAllAlong() {
        var options = Simulation.Options(seed: 1)
        options.faults = Faults()
        options.seconds = 20
        var simulation = Simulation(options)
        let outcome = simulation.run()
        #expect(outcome.violation == nil)
        #expect(outcome.leaderCount == 1)
        #expect(outcome.acknowledgedCount > 200)
    }
}

@Suite struct MutationTests {
    /// Each safeguard, switched off, is noticed within a bounded number of seeds.
    @Test(arguments: Mutation.all)
    func aMissingSafeguardIsNoticed(mutation: Mutation) {
        #expect(mutation.hunt() != nil, "\(mutation.name) went unnoticed for \(mutation.maximumSeeds) seeds")
    }

    /// The same faults with every safeguard in place: the noise is not the signal.
    @Test(arguments: Mutation.all)
    func withItNothingIsNoticed(mutation: Mutation) {
        var mutation = mutation
        mutation.defects = []
        mutation.maximumSeeds = 2
        mutation.seconds = 10
        #expect(mutation.hunt()?.violation == nil)
    }
}
