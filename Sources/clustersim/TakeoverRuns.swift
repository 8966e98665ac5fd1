import ArgumentParser
import ClusterSimulation

/// `clustersim --takeover`.
struct TakeoverRuns {
    var seconds: UInt64
    var isVerbose: Bool

    /// True when every invariant held.
    func run(_ seeds: Range<UInt64>, isSingle: Bool) -> Bool {
        var failures = 0
        var simulated: UInt64 = 0
        var sum = (fences: 0, takeovers: 0, moves: 0, writes: 0, conflicts: 0, crashes: 0, restarts: 0, paths: 0)
        for seed in seeds {
            var options = TakeoverSimulation.Options(seed: seed)
            options.seconds = self.seconds
            options.isVerbose = self.isVerbose
            var simulation = TakeoverSimulation(options)
            let outcome = simulation.run()
            simulated += outcome.time
            sum.fences += outcome.fences
            sum.takeovers += outcome.takeovers
            sum.moves += outcome.moves
            sum.writes += outcome.acknowledgedWrites
            sum.conflicts += outcome.conflicts
            sum.crashes += outcome.crashes
            sum.restarts += outcome.targetRestarts
            sum.paths += outcome.pathFailovers
            for line in simulation.trace.lines { print(line) }
            if let violation = outcome.violation {
                failures += 1
                print("seed \(seed): VIOLATION \(violation)")
                print("  replay: clustersim --takeover --seed \(seed) --seconds \(self.seconds) --trace")
            } else if isSingle {
                print(
                    "seed \(seed): all invariants held; trace \(String(outcome.traceHash, radix: 16)) "
                        + "(\(outcome.eventCount) events)")
            }
        }
        print(
            """
            \(seeds.count) seeds, \(failures) violations, \(simulated / 3_600_000_000) simulated hours
              fences \(sum.fences), takeovers \(sum.takeovers), moves \(sum.moves), for want of a path \(sum.paths)
              crashes \(sum.crashes), target restarts \(sum.restarts)
              writes acknowledged \(sum.writes), refused by the reservation \(sum.conflicts)
            """)
        return failures == 0
    }

    /// Switches safeguards off one by one. True when each was noticed.
    static func run(_ mutations: [TakeoverMutation]) -> Bool {
        var missed = 0
        for mutation in mutations {
            if let (seed, violation) = mutation.hunt() {
                print("\(mutation.name): seed \(seed): \(violation)")
            } else {
                missed += 1
                print("\(mutation.name): NOT NOTICED within \(mutation.maximumSeeds) seeds")
            }
        }
        return missed == 0
    }
}
