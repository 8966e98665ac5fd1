import Glibc

/// How many file descriptors this process may have (RLIMIT_NOFILE), and for what. The limits of the configuration are wishes beside
/// it: if what clients open could use it up, nobody would find a descriptor any more to list a folder, to look at a file's attributes,
/// or to bring a deletion to the disk.
struct DescriptorBudget {
    /// More than the widest limits ask for; what the kernel allows is mostly less.
    private static let wanted: rlim_t = 1 << 23

    let total: Int

    init(total: Int) { self.total = total }

    /// Most of it: one for each file that is open.
    var opens: Int { self.total / 8 * 6 }
    /// As many stay for what the server does itself.
    var connections: Int { self.total / 8 }

    /// Raises the process's own limit as far as it may: a shell, or a service manager, gives 1024, which is for programs that use
    /// select(2).
    static func raised() -> DescriptorBudget {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return DescriptorBudget(total: 1024)
        }
        // Whoever may raise the upper limit may do so up to fs.nr_open. That one is not asked: which number is taken, is it.
        for upper in Self.steps(from: limit.rlim_max) {
            var raised = rlimit(rlim_cur: upper, rlim_max: upper)
            guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 else { continue }
            limit = raised
            break
        }
        return DescriptorBudget(total: Int(clamping: limit.rlim_cur))
    }

    /// What to try, the most first, down to what every process may have.
    private static func steps(from upper: rlim_t) -> [rlim_t] {
        guard upper < Self.wanted else { return [Self.wanted] }
        var steps: [rlim_t] = []
        var step = Self.wanted
        while step > upper {
            steps.append(step)
            step /= 2
        }
        return steps + [upper]
    }
}
