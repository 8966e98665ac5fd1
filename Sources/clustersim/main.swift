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

    @Option(help: "Founding voters; by default 3, with a quorum disk 2.")
    var nodes: Int?

    @Option(help: "Simulated seconds with faults.")
    var seconds: UInt64 = 600

    @Flag(help: "The takeover of two data nodes and a witness with a target, instead of Raft alone.")
    var takeover = false

    @Flag(help: "Raft with a quorum disk as one more voter; --nodes 2 unless said otherwise.")
    var quorumDisk = false

    @Flag(help: "Switch safeguards off one by one: each must be noticed.")
    var mutations = false

    @Option(help: "Switch off this safeguard alone (see --mutations for the names): it must be noticed.")
    var defect: String?

    @Flag(help: "Print what happens, step by step.")
    var trace = false

    func validate() throws {
        guard [self.seed != nil, self.seeds != nil, self.mutations, self.defect != nil].count(where: { $0 }) == 1 else {
            throw ValidationError("Give one of --seed, --seeds, --mutations and --defect.")
        }
        guard (1...7).contains(self.nodes ?? 3) else { throw ValidationError("--nodes takes 1 to 7.") }
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
        if let defect = self.defect { return try Self.hunt(defect) }
        if self.takeover {
            let runs = TakeoverRuns(seconds: self.seconds, isVerbose: self.trace)
            guard self.mutations ? TakeoverRuns.run(TakeoverMutation.all) : runs.run(seeds, isSingle: self.seed != nil)
            else {
                throw ExitCode(1)
            }
            return
        }
        if self.mutations { return try Self.run(self.quorumDisk ? Mutation.disk : Mutation.all) }
        var failures = 0
        var simulated: UInt64 = 0
        var disk = DiskCounts()
        let nodes = self.nodes ?? (self.quorumDisk ? 2 : 3)
        for seed in seeds {
            var options = Simulation.Options(seed: seed)
            options.nodes = nodes
            if self.quorumDisk {
                options.quorumDisk = true
                options.spares = 1
            }
            options.seconds = self.seconds
            options.isVerbose = self.trace
            var simulation = Simulation(options)
            let outcome = simulation.run()
            simulated += outcome.time
            disk += outcome.disk
            for line in simulation.trace.lines { print(line) }
            if let violation = outcome.violation {
                failures += 1
                let mode = self.quorumDisk ? "--quorum-disk " : ""
                print("seed \(seed): VIOLATION \(violation)")
                print("  replay: clustersim \(mode)--seed \(seed) --nodes \(nodes) --seconds \(self.seconds) --trace")
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
        if self.seeds != nil {
            print("\(seeds.count) seeds, \(failures) violations, \(simulated / 3_600_000_000) simulated hours")
        }
        if self.quorumDisk {
            print(
                """
                  disk votes \(disk.grants), with entries \(disk.grantsWithLog), with a checkpoint \(disk.grantsWithState)
                  acknowledgements \(disk.acknowledgements), checkpoints \(disk.checkpoints), barriers \(disk.barriers)
                  torn writes \(disk.tornWrites), wipes \(disk.wipes), gone back \(disk.rollbacks), \
                noticed by a node \(disk.disabled), disks added \(disk.replacements)
                """)
        }
        if failures > 0 { throw ExitCode(1) }
    }

    private static func hunt(_ defect: String) throws {
        let mutations = (Mutation.all + Mutation.disk).filter { $0.name == defect }
        if !mutations.isEmpty { return try self.run(mutations) }
        let takeovers = TakeoverMutation.all.filter { $0.name == defect }
        guard !takeovers.isEmpty else { throw ValidationError("There is no defect \(defect).") }
        guard TakeoverRuns.run(takeovers) else { throw ExitCode(1) }
    }

    private static func run(_ mutations: [Mutation]) throws {
        var missed = 0
        for mutation in mutations {
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
