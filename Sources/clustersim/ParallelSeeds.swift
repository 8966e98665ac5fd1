#if canImport(Glibc)
    import Glibc
#endif

/// Runs seeds side by side, one a core, and hands over what each gave in the seeds' order: the same lines come out however many
/// cores there are.
func runSeeds<Outcome: Sendable>(
    _ seeds: Range<UInt64>, _ run: @escaping @Sendable (UInt64) -> Outcome, take: (UInt64, Outcome) -> Void
) async {
    let cores = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    await withTaskGroup(of: (UInt64, Outcome).self) { group in
        var next = seeds.lowerBound
        func addTask() {
            guard next < seeds.upperBound else { return }
            let seed = next
            next += 1
            group.addTask { (seed, run(seed)) }
        }
        for _ in 0..<cores { addTask() }
        var early: [UInt64: Outcome] = [:]
        var due = seeds.lowerBound
        for await (seed, outcome) in group {
            addTask()
            early[seed] = outcome
            while let outcome = early.removeValue(forKey: due) {
                take(due, outcome)
                due += 1
            }
        }
    }
}
