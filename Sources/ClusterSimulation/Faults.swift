/// How often what goes wrong. Rates are per minute of simulated time, probabilities in parts per million, times in
/// microseconds.
package struct Faults: Equatable, SwitchableFaults {
    package var lossPerMillion: UInt64 = 0
    package var duplicationPerMillion: UInt64 = 0
    /// Messages that take up to `longDelay` instead of a millisecond, and so overtake each other.
    package var delayPerMillion: UInt64 = 0
    package var longDelay: UInt64 = 300_000
    package var symmetricPartitionsPerMinute: UInt64 = 0
    package var asymmetricPartitionsPerMinute: UInt64 = 0
    package var maximumPartition: UInt64 = 8_000_000
    package var crashesPerMinute: UInt64 = 0
    package var crashesOfAllPerMinute: UInt64 = 0
    package var maximumDowntime: UInt64 = 5_000_000
    package var pausesPerMinute: UInt64 = 0
    package var maximumPause: UInt64 = 4_000_000
    package var slowSyncPerMillion: UInt64 = 0
    package var maximumSlowSync: UInt64 = 800_000
    package var failedSyncPerMillion: UInt64 = 0
    package var tearsTails = false
    /// Each clock runs at a rate of its own within this.
    package var clockDriftPerMillion: UInt64 = 0
    package var membershipChangesPerMinute: UInt64 = 0
    package var transfersPerMinute: UInt64 = 0
    package var forgottenLeadersPerMinute: UInt64 = 0
    package var campaignsPerMinute: UInt64 = 0
    package var snapshotFailurePerMillion: UInt64 = 0
    /// Of the parts of a state, those at which the link breaks that they go on (`StateLinks`).
    package var brokenStateLinksPerMillion: UInt64 = 0
    /// Entries kept behind the applied index when a node compacts; nil: it never does.
    package var compactionLag: UInt64?

    /// The quorum disk's, where there is one.
    package var disk = DiskFaults()

    package init() {}

    /// Some of everything, each seed with its own emphasis: a fault that is always on hides what happens without it.
    package static func swarm(_ random: inout Random) -> Faults {
        var faults = Faults()
        func some(_ values: [UInt64], _ random: inout Random) -> UInt64 { values[random.below(values.count)] }
        faults.lossPerMillion = some([0, 0, 10_000, 50_000, 200_000], &random)
        faults.duplicationPerMillion = some([0, 10_000, 100_000], &random)
        faults.delayPerMillion = some([0, 10_000, 100_000, 300_000], &random)
        faults.symmetricPartitionsPerMinute = some([0, 0, 4, 10], &random)
        faults.asymmetricPartitionsPerMinute = some([0, 0, 4, 10], &random)
        faults.crashesPerMinute = some([0, 4, 12, 30], &random)
        faults.crashesOfAllPerMinute = some([0, 0, 2], &random)
        faults.pausesPerMinute = some([0, 0, 6, 15], &random)
        faults.slowSyncPerMillion = some([0, 10_000, 100_000], &random)
        faults.failedSyncPerMillion = some([0, 0, 500], &random)
        faults.tearsTails = random.below(2) == 0
        faults.clockDriftPerMillion = some([0, 1000, 50_000], &random)
        faults.membershipChangesPerMinute = some([0, 0, 20, 60], &random)
        faults.transfersPerMinute = some([0, 0, 6, 20], &random)
        faults.forgottenLeadersPerMinute = some([0, 0, 0, 4], &random)
        faults.campaignsPerMinute = some([0, 0, 4], &random)
        faults.snapshotFailurePerMillion = some([0, 200_000], &random)
        faults.compactionLag = random.below(3) == 0 ? nil : some([0, 5, 40], &random)
        return faults
    }
}

extension Faults {
    package static let switches: [FaultSwitch<Faults>] =
        [
            FaultSwitch("loss") { $0.lossPerMillion = 0 },
            FaultSwitch("duplication") { $0.duplicationPerMillion = 0 },
            FaultSwitch("delay") { $0.delayPerMillion = 0 },
            FaultSwitch("symmetric-partitions") { $0.symmetricPartitionsPerMinute = 0 },
            FaultSwitch("asymmetric-partitions") { $0.asymmetricPartitionsPerMinute = 0 },
            FaultSwitch("crashes") { $0.crashesPerMinute = 0 },
            FaultSwitch("crashes-of-all") { $0.crashesOfAllPerMinute = 0 },
            FaultSwitch("pauses") { $0.pausesPerMinute = 0 },
            FaultSwitch("slow-syncs") { $0.slowSyncPerMillion = 0 },
            FaultSwitch("failed-syncs") { $0.failedSyncPerMillion = 0 },
            FaultSwitch("torn-tails") { $0.tearsTails = false },
            FaultSwitch("clock-drift") { $0.clockDriftPerMillion = 0 },
            FaultSwitch("membership-changes") { $0.membershipChangesPerMinute = 0 },
            FaultSwitch("transfers") { $0.transfersPerMinute = 0 },
            FaultSwitch("forgotten-leaders") { $0.forgottenLeadersPerMinute = 0 },
            FaultSwitch("campaigns") { $0.campaignsPerMinute = 0 },
            FaultSwitch("failed-snapshots") { $0.snapshotFailurePerMillion = 0 },
            FaultSwitch("broken-state-links") { $0.brokenStateLinksPerMillion = 0 },
            FaultSwitch("compaction") { $0.compactionLag = nil },
        ] + DiskFaults.switches { $1(&$0.disk) }
}
