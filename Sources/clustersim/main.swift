import ArgumentParser
import ClusterSimulation

struct ClusterSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clustersim",
        abstract: "Runs the cluster's decisions under simulated faults; one seed is one run, to the last bit.",
        discussion: "Exit status: 0 all invariants held, 1 one was violated (its replay command is printed).")

    @Option(help: "Replay one seed.")
    var seed: UInt64?

    @Option(help: "Run a range of seeds, as 0..<2000.")
    var seeds: String?

    @Option(help: "Founding voters.")
    var nodes = 3

    @Option(help: "Simulated seconds with faults.")
    var seconds: UInt64 = 600

    @Flag(help: "The takeover of two data nodes and a witness with a target, instead of Raft alone.")
    var takeover = false

    @Flag(help: "Switch safeguards off one by one: each must be noticed.")
    var mutations = false

    @Flag(help: "Print what happens, step by step.")
    var trace = false

    func validate() throws {
        guard [self.seed != nil, self.seeds != nil, self.mutations].count(where: { $0 }) == 1 else {
            throw ValidationError("Give one of --seed, --seeds and --mutations.")
        }
        guard (1...7).contains(self.nodes) else { throw ValidationError("--nodes takes 1 to 7.") }
        if let seeds, Self.range(seeds) == nil { throw ValidationError("--seeds takes a range such as 0..<2000.") }
    }

    static func range(_ text: String) -> Range<UInt64>? {
        guard let dots = text.firstRange(of: "..<"), let lower = UInt64(text[..<dots.lowerBound]),
            let upper = UInt64(text[dots.upperBound...]), lower < upper
        else { return nil }
        return lower..<upper
    }

    func run() throws {
        let seeds = self.seeds.flatMap(Self.range) ?? self.seed.map { $0..<($0 + 1) } ?? 0..<1
        if self.takeover {
            let runs = TakeoverRuns(seconds: self.seconds, isVerbose: self.trace)
            guard self.mutations ? TakeoverRuns.runMutations() : runs.run(seeds, isSingle: self.seed != nil) else {
                throw ExitCode(1)
            }
            return
        }
        if self.mutations { return try self.runMutations() }
        var failures = 0
        for seed in seeds {
            var options = Simulation.Options(seed: seed)
            options.nodes = self.nodes
            options.seconds = self.seconds
            options.isVerbose = self.trace
            var simulation = Simulation(options)
            let outcome = simulation.run()
            for line in simulation.trace.lines { print(line) }
            if let violation = outcome.violation {
                failures += 1
                print("seed \(seed): VIOLATION \(violation)")
                print("  replay: clustersim --seed \(seed) --nodes \(self.nodes) --seconds \(self.seconds) --trace")
            } else if self.seed != nil {
                print(
                    """
                    seed \(seed): all invariants held
                      trace        \(String(outcome.traceHash, radix: 16)) (\(outcome.eventCount) events)
                      committed    \(outcome.committedCount), acknowledged \(outcome.acknowledgedCount)
                      terms led    \(outcome.leaderCount)
                      memberships  \(outcome.configurationChanges), snapshots \(outcome.snapshotInstalls)
                      reads        \(outcome.readCount), lease held at \(outcome.leaseSamples) steps
                    """)
            }
        }
        if self.seeds != nil { print("\(seeds.count) seeds, \(failures) violations") }
        if failures > 0 { throw ExitCode(1) }
    }

    private func runMutations() throws {
        var missed = 0
        for mutation in Mutation.all {
            if let (seed, violation) = mutation.hunt() {
                print("\(mutation.name): seed \(seed): \(violation)")
            } else {
                missed += 1
                print("\(mutation.name): NOT NOTICED within \(mutation.maximumSeeds) seeds")
            }
        }
        if missed > 0 { throw ExitCode(1) }
    }
}

ClusterSim.main()
