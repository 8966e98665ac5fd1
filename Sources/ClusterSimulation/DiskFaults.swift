/// What goes wrong with a quorum disk and on the way to it, where a simulation has one. Rates are per minute of simulated time,
/// probabilities in parts per million, times in microseconds.
package struct DiskFaults: Equatable, Sendable {
    /// Requests that are reported as failed; what they wrote may land later.
    package var failurePerMillion: UInt64 = 0
    /// Requests that take up to `maximumDelay`.
    package var delayPerMillion: UInt64 = 0
    package var maximumDelay: UInt64 = 3_000_000
    /// Flushes that take up to `maximumSlowFlush`, where the target has a cache: until then what was written can be read, and be
    /// lost with the target's power.
    package var slowFlushPerMillion: UInt64 = 0
    package var maximumSlowFlush: UInt64 = 1_200_000
    /// Of the writes under way when a node dies or starts anew, some land in part.
    package var tearsWrites = false
    /// One node loses the disk, or all do.
    package var outagesPerMinute: UInt64 = 0
    package var maximumOutage: UInt64 = 8_000_000
    /// The nodes lose each other and keep the disk.
    package var nodePartitionsPerMinute: UInt64 = 0
    package var wipesPerMinute: UInt64 = 0
    package var rollbacksPerMinute: UInt64 = 0
    /// The disk is taken out, another one added and made a voter, step by step.
    package var changesPerMinute: UInt64 = 0

    package init() {}

    /// Some of everything, each seed with its own emphasis.
    package static func swarm(_ random: inout Random) -> DiskFaults {
        func some(_ values: [UInt64], _ random: inout Random) -> UInt64 { values[random.below(values.count)] }
        var faults = DiskFaults()
        faults.failurePerMillion = some([0, 0, 2000, 20_000], &random)
        faults.delayPerMillion = some([0, 10_000, 50_000], &random)
        faults.tearsWrites = random.below(2) == 0
        faults.outagesPerMinute = some([0, 0, 4, 12], &random)
        faults.nodePartitionsPerMinute = some([0, 4, 20], &random)
        faults.wipesPerMinute = some([0, 0, 0, 2], &random)
        faults.rollbacksPerMinute = some([0, 0, 2, 6], &random)
        faults.changesPerMinute = some([0, 20, 60], &random)
        faults.slowFlushPerMillion = some([0, 0, 20_000], &random)
        return faults
    }

    private static let all: [FaultSwitch<DiskFaults>] = [
        FaultSwitch("failed-disk-requests") { $0.failurePerMillion = 0 },
        FaultSwitch("slow-disk-requests") { $0.delayPerMillion = 0 },
        FaultSwitch("slow-disk-flushes") { $0.slowFlushPerMillion = 0 },
        FaultSwitch("torn-disk-writes") { $0.tearsWrites = false },
        FaultSwitch("disk-outages") { $0.outagesPerMinute = 0 },
        FaultSwitch("node-partitions") { $0.nodePartitionsPerMinute = 0 },
        FaultSwitch("disk-wipes") { $0.wipesPerMinute = 0 },
        FaultSwitch("disk-rollbacks") { $0.rollbacksPerMinute = 0 },
        FaultSwitch("disk-changes") { $0.changesPerMinute = 0 },
    ]

    /// The same switches, of the faults that hold these.
    static func switches<Whole>(
        of disk: @escaping @Sendable (inout Whole, (inout DiskFaults) -> Void) -> Void
    ) -> [FaultSwitch<Whole>] {
        self.all.map { part in FaultSwitch(part.name) { disk(&$0, part.off) } }
    }
}
