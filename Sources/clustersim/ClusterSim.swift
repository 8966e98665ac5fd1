import ArgumentParser
import ClusterSimulation

@main
struct ClusterSim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clustersim",
        abstract: "Runs the cluster's decisions under simulated faults; one seed is one run, to the last bit.",
        discussion: """
            Exit status: 0 all invariants held, 1 one was violated (the command that replays it is printed, and one with the \
            fewest kinds of fault that were found to do).
            """)

    @Option(help: "Replay one seed.")
    var seed: UInt64?

    @Option(help: "Run a range of seeds, as 0..<2000.")
    var seeds: String?

    @Option(help: "Founding voters; by default 3, with a quorum disk 2.")
    var nodes: Int?

    @Option(help: "Simulated seconds with faults.")
    var seconds: UInt64 = 600

    @Flag(help: "The takeover of two data nodes, a witness or a quorum disk, and a target, instead of Raft alone.")
    var takeover = false

    @Flag(help: "Raft with a quorum disk as one more voter; --nodes 2 unless said otherwise.")
    var quorumDisk = false

    @Flag(help: "Switch safeguards off one by one: each must be noticed.")
    var mutations = false

    @Option(help: "Switch off this safeguard alone (see --mutations for the names): it must be noticed.")
    var defect: String?

    @Option(help: "Kinds of fault that stay away, with commas (a wrong one lists them).")
    var without: String?

    @Flag(help: "Print what happens, step by step.")
    var trace = false

    func validate() throws {
        guard [self.seed != nil, self.seeds != nil, self.mutations, self.defect != nil].count(where: { $0 }) == 1 else {
            throw ValidationError("Give one of --seed, --seeds, --mutations and --defect.")
        }
        guard (1...7).contains(self.nodes ?? 3) else { throw ValidationError("--nodes takes 1 to 7.") }
        if let seeds, Self.range(seeds) == nil { throw ValidationError("--seeds takes a range such as 0..<2000.") }
        let kinds = self.takeover ? TakeoverFaults.switches.map(\.name) : Faults.switches.map(\.name)
        if let wrong = self.withoutFaults.first(where: { !kinds.contains($0) }) {
            throw ValidationError("There is no kind of fault \(wrong); there are \(kinds.joined(separator: ", ")).")
        }
    }

    static func range(_ text: String) -> Range<UInt64>? {
        guard let dots = text.firstRange(of: "..<"), let lower = UInt64(text[..<dots.lowerBound]),
            let upper = UInt64(text[dots.upperBound...]), lower < upper
        else { return nil }
        return lower..<upper
    }

    func run() async throws {
        let isGood: Bool
        let seeds = self.seeds.flatMap(Self.range) ?? self.seed.map { $0..<($0 + 1) } ?? 0..<1
        let isSingle = self.seeds == nil
        if let defect = self.defect {
            isGood = try Self.hunt(defect)
        } else if self.mutations {
            isGood =
                self.takeover
                ? TakeoverRuns.run(TakeoverMutation.all) : RaftRuns.run(self.quorumDisk ? Mutation.disk : Mutation.all)
        } else if self.takeover {
            let runs = TakeoverRuns(seconds: self.seconds, without: self.withoutFaults, isVerbose: self.trace)
            isGood = await runs.run(seeds, isSingle: isSingle)
        } else {
            let runs = RaftRuns(
                nodes: self.nodes ?? (self.quorumDisk ? 2 : 3), seconds: self.seconds, hasQuorumDisk: self.quorumDisk,
                without: self.withoutFaults, isVerbose: self.trace)
            isGood = await runs.run(seeds, isSingle: isSingle)
        }
        guard isGood else { throw ExitCode(1) }
    }

    private var withoutFaults: Set<String> {
        Set((self.without ?? "").split(separator: ",").map(String.init))
    }

    private static func hunt(_ defect: String) throws -> Bool {
        let mutations = (Mutation.all + Mutation.disk).filter { $0.name == defect }
        if !mutations.isEmpty { return RaftRuns.run(mutations) }
        let takeovers = TakeoverMutation.all.filter { $0.name == defect }
        guard !takeovers.isEmpty else { throw ValidationError("There is no defect \(defect).") }
        return TakeoverRuns.run(takeovers)
    }
}
