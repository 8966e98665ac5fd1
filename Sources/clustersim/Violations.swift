import ClusterSimulation

/// What every mode does with its seeds' violations: says each with the command that replays it, and with fewer kinds of fault
/// where it happens with fewer, too.
struct Violations {
    /// So many are made smaller: that takes dozens of runs each.
    static let minimizedLimit = 3
    private(set) var count = 0

    mutating func report(
        _ violation: String, seed: UInt64, command: String, kinds: [String], without: Set<String>,
        run: (Set<String>) -> String?
    ) {
        self.count += 1
        print("seed \(seed): VIOLATION \(violation)")
        print("  replay: \(command)\(Self.option(without)) --trace")
        guard self.count <= Self.minimizedLimit,
            let smaller = minimized(kinds, already: without, run: run), smaller.without != without
        else { return }
        let needed = kinds.filter { !smaller.without.contains($0) }
        print("  with \(needed.isEmpty ? "no fault" : needed.joined(separator: ", ")) alone: \(smaller.violation)")
        print("  replay: \(command)\(Self.option(smaller.without)) --trace")
    }

    private static func option(_ without: Set<String>) -> String {
        without.isEmpty ? "" : " --without " + without.sorted().joined(separator: ",")
    }
}

/// True when each hunt for a switched-off safeguard ended with a violation.
func reportHunts(_ hunts: [(name: String, maximumSeeds: UInt64, hunt: () -> (seed: UInt64, violation: String)?)])
    -> Bool
{
    var missed = 0
    for (name, maximumSeeds, hunt) in hunts {
        if let (seed, violation) = hunt() {
            print("\(name): seed \(seed): \(violation)")
        } else {
            missed += 1
            print("\(name): NOT NOTICED within \(maximumSeeds) seeds")
        }
    }
    return missed == 0
}
