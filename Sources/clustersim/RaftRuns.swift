import ClusterSimulation

/// `clustersim` and `clustersim --quorum-disk`: Raft alone, and beside a quorum disk.
struct RaftRuns: Sendable {
    var nodes: Int
    var seconds: UInt64
    var hasQuorumDisk: Bool
    var without: Set<String>
    var isVerbose: Bool

    private func options(_ seed: UInt64) -> Simulation.Options {
        var options = Simulation.Options(seed: seed)
        options.nodes = self.nodes
        options.seconds = self.seconds
        options.without = self.without
        options.isVerbose = self.isVerbose
        if self.hasQuorumDisk {
            options.quorumDisk = true
            options.spares = 1
        }
        return options
    }

    private struct Result: Sendable {
        var outcome: Simulation.Outcome
        var lines: [String]
    }

    /// True when every invariant held.
    func run(_ seeds: Range<UInt64>, isSingle: Bool) async -> Bool {
        var violations = Violations()
        var simulated: UInt64 = 0
        var disk = DiskCounts()
        var states = StateCounts()
        var undecided = 0
        await runSeeds(seeds) { seed in
            var simulation = Simulation(self.options(seed))
            return Result(outcome: simulation.run(), lines: simulation.trace.lines)
        } take: { seed, result in
            let outcome = result.outcome
            simulated += outcome.time
            disk += outcome.disk
            states += outcome.states
            undecided += outcome.undecidedLocks
            for line in result.lines { print(line) }
            if let violation = outcome.violation {
                self.report(violation, seed, &violations)
            } else if isSingle {
                Self.describe(outcome)
            }
        }
        if !isSingle {
            print("\(seeds.count) seeds, \(violations.count) violations, \(simulated / 3_600_000_000) simulated hours")
        }
        if undecided > 0 { print("  histories of locks that were too tangled to be decided: \(undecided)") }
        print(states)
        if self.hasQuorumDisk { print(disk) }
        return violations.count == 0
    }

    private func report(_ violation: String, _ seed: UInt64, _ violations: inout Violations) {
        let mode = self.hasQuorumDisk ? "--quorum-disk " : ""
        violations.report(
            violation, seed: seed,
            command: "clustersim \(mode)--seed \(seed) --nodes \(self.nodes) --seconds \(self.seconds)",
            kinds: Faults.switches.map(\.name), without: self.without
        ) { without in
            var options = self.options(seed)
            options.without = without
            options.isVerbose = false
            var simulation = Simulation(options)
            return simulation.run().violation
        }
    }

    private static func describe(_ outcome: Simulation.Outcome) {
        print(
            """
            seed \(outcome.seed): all invariants held
              trace        \(String(outcome.traceHash, radix: 16)) (\(outcome.eventCount) events)
              committed    \(outcome.committedCount), acknowledged \(outcome.acknowledgedCount)
              terms led    \(outcome.leaderCount)
              memberships  \(outcome.configurationChanges), snapshots \(outcome.snapshotInstalls)
              reads        \(outcome.readCount), lease held at \(outcome.leaseSamples) steps
            """)
    }

    /// Switches safeguards off one by one. True when each was noticed.
    static func run(_ mutations: [Mutation]) -> Bool {
        reportHunts(mutations.map { ($0.name, $0.maximumSeeds, $0.hunt) })
    }
}
