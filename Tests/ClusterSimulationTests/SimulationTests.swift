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

    /// Seeds that found something once, with states in one piece as then, each with a test of its own, too. 48999: a proposal was reported as overwritten, where the
    /// overwriting entry was lost again (ReplicationTests).
    @Test(arguments: [UInt64(48_999)])
    func whatWasFoundStaysAway(seed: UInt64) {
        var options = Simulation.Options(seed: seed)
        options.seconds = 60
        options.sizes = .whole
        var simulation = Simulation(options)
        #expect(simulation.run().violation == nil)
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
        #expect(leaders > 20)
        #expect(changes > 10)
        #expect(snapshots > 10)
        #expect(reads > 50)
        #expect(leases > 1000)
    }

    /// States in several windows, on links that break in the middle.
    @Test func aStateOfSeveralWindowsArrivesOrBeginsAgain() {
        var counts = StateCounts()
        for seed in UInt64(0)..<12 {
            var options = Simulation.Options(seed: seed)
            options.seconds = 12
            options.faults = .brokenStates
            options.sizes = .small
            var simulation = Simulation(options)
            let outcome = simulation.run()
            #expect(outcome.violation == nil, "seed \(seed)")
            counts += outcome.states
        }
        #expect(counts.begun > 20)
        #expect(counts.inSeveralWindows > 5)
        #expect(counts.begunAgain > 5)
    }

    /// The other half is what the seeds were before states had parts.
    @Test func aboutHalfOfTheSeedsHaveStatesInParts() {
        let whole = (UInt64(0)..<100).count { seed in
            Simulation(Simulation.Options(seed: seed)).states.sizes == .whole
        }
        #expect((30...70).contains(whole))
    }

    /// Of all that a read without a quorum breaks the clients' answers alone show it.
    @Test func aStaleReadIsInTheHistory() throws {
        let mutation = try #require(Mutation.all.first { $0.name == "readWithoutQuorum" })
        let found = (0..<mutation.maximumSeeds).contains { seed in
            var simulation = Simulation(mutation.options(seed: seed))
            _ = simulation.run()
            var locks = simulation.checker.locks
            return locks.violation() != nil
        }
        #expect(found)
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

/// A debug build takes minutes for these hunts: the step `defects` of `cluster/lab test` has the release program do them
/// (`clustersim --mutations`).
#if DEBUG
    let huntsDefects = false
#else
    let huntsDefects = true
#endif

@Suite struct MutationTests {
    /// Each safeguard, switched off, is noticed within a bounded number of seeds.
    @Test(.enabled(if: huntsDefects), arguments: Mutation.all)
    func aMissingSafeguardIsNoticed(mutation: Mutation) {
        #expect(mutation.hunt() != nil, "\(mutation.name) went unnoticed for \(mutation.maximumSeeds) seeds")
    }

    /// The same faults with every safeguard in place: the noise is not the signal.
    @Test(arguments: Mutation.all)
    func withItNothingIsNoticed(mutation: Mutation) {
        var mutation = mutation
        mutation.defects = []
        mutation.transferDefects = []
        mutation.maximumSeeds = 2
        mutation.seconds = 10
        #expect(mutation.hunt()?.violation == nil)
    }
}

@Suite struct MinimizationTests {
    /// A seed that fails under some of everything fails, in the same way, under less; and that smaller run is one run, too.
    @Test func aFailingSeedIsMadeSmaller() throws {
        func run(_ seed: UInt64, _ without: Set<String>) -> Simulation.Outcome {
            var options = Simulation.Options(seed: seed)
            options.seconds = 10
            options.defects = .skipLogUpToDateCheck
            options.without = without
            var simulation = Simulation(options)
            return simulation.run()
        }
        let seed = try #require((0..<50).first { run($0, []).violation != nil })
        let names = Faults.switches.map(\.name)
        let smaller = try #require(minimized(names) { run(seed, $0).violation })
        #expect(smaller.without.count > names.count / 2)
        #expect(smaller.without.count < names.count, "what is left must be what the missing safeguard guards against")
        let first = run(seed, smaller.without)
        #expect(first.violation == smaller.violation)
        #expect(first.violation?.prefix { $0 != ":" } == run(seed, []).violation?.prefix { $0 != ":" })
        #expect(first == run(seed, smaller.without))
    }

    @Test func whatDoesNotFailHasNothingToMakeSmaller() {
        #expect(minimized(["a", "b"]) { _ in nil } == nil)
    }

    /// Only the kinds that the failure needs are left, and a failure of another kind is none.
    @Test func whatIsNotNeededGoes() throws {
        let smaller = try #require(
            minimized(["a", "b", "c", "d"]) { without in
                if without.contains("b") { return "another: without b" }
                return without.contains("d") ? nil : "safety: \(without.count)"
            })
        #expect(smaller.without == ["a", "c"])
        #expect(smaller.violation == "safety: 2")
    }

    @Test func everyKindOfFaultHasASwitch() {
        var random = Random(seed: 3)
        for _ in 0..<200 {
            var faults = Faults.swarm(&random)
            faults.disk = .swarm(&random)
            faults.switchOff(Set(Faults.switches.map(\.name)))
            #expect(faults == Faults())
            var takeover = TakeoverFaults.swarm(&random)
            takeover.switchOff(Set(TakeoverFaults.switches.map(\.name)))
            #expect(takeover == TakeoverFaults())
        }
    }
}
