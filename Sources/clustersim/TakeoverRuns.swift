import ClusterSimulation

/// `clustersim --takeover`.
struct TakeoverRuns: Sendable {
    var seconds: UInt64
    var without: Set<String>
    var isVerbose: Bool

    private func options(_ seed: UInt64) -> TakeoverSimulation.Options {
        var options = TakeoverSimulation.Options(seed: seed)
        options.seconds = self.seconds
        options.without = self.without
        options.isVerbose = self.isVerbose
        return options
    }

    private struct Result: Sendable {
        var outcome: TakeoverSimulation.Outcome
        var lines: [String]
    }

    /// True when every invariant held.
    func run(_ seeds: Range<UInt64>, isSingle: Bool) async -> Bool {
        var violations = Violations()
        var simulated: UInt64 = 0
        var disk = DiskCounts()
        var states = StateCounts()
        var besideDisk = 0
        var sum = (
            fences: 0, takeovers: 0, moves: 0, writes: 0, conflicts: 0, crashes: 0, restarts: 0, paths: 0, healed: 0,
            joins: 0
        )
        await runSeeds(seeds) { seed in
            var simulation = TakeoverSimulation(self.options(seed))
            return Result(outcome: simulation.run(), lines: simulation.trace.lines)
        } take: { seed, result in
            let outcome = result.outcome
            simulated += outcome.time
            sum.fences += outcome.fences
            sum.takeovers += outcome.takeovers
            sum.moves += outcome.moves
            sum.writes += outcome.acknowledgedWrites
            sum.conflicts += outcome.conflicts
            sum.crashes += outcome.crashes
            sum.restarts += outcome.targetRestarts
            sum.paths += outcome.pathFailovers
            sum.healed += outcome.healed
            sum.joins += outcome.joins
            states += outcome.states
            if let counts = outcome.disk {
                besideDisk += 1
                disk += counts
            }
            for line in result.lines { print(line) }
            if let violation = outcome.violation {
                self.report(violation, seed, &violations)
            } else if isSingle {
                print(
                    "seed \(seed): all invariants held; trace \(String(outcome.traceHash, radix: 16)) "
                        + "(\(outcome.eventCount) events)")
            }
        }
        print(
            """
            \(seeds.count) seeds, \(violations.count) violations, \(simulated / 3_600_000_000) simulated hours
              fences \(sum.fences), takeovers \(sum.takeovers), moves \(sum.moves), for want of a path \(sum.paths)
              crashes \(sum.crashes), target restarts \(sum.restarts)
              states lost and healed \(sum.healed), left and joined again \(sum.joins)
              writes acknowledged \(sum.writes), refused by the reservation \(sum.conflicts)
              with a quorum disk \(besideDisk)
            """)
        print(states)
        if besideDisk > 0 { print(disk) }
        return violations.count == 0
    }

    private func report(_ violation: String, _ seed: UInt64, _ violations: inout Violations) {
        violations.report(
            violation, seed: seed, command: "clustersim --takeover --seed \(seed) --seconds \(self.seconds)",
            kinds: TakeoverFaults.switches.map(\.name), without: self.without
        ) { without in
            var options = self.options(seed)
            options.without = without
            options.isVerbose = false
            var simulation = TakeoverSimulation(options)
            return simulation.run().violation
        }
    }

    /// Switches safeguards off one by one. True when each was noticed.
    static func run(_ mutations: [TakeoverMutation]) -> Bool {
        reportHunts(mutations.map { ($0.name, $0.maximumSeeds, $0.hunt) })
    }
}
