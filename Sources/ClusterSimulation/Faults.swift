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
    /// Entries kept behind the applied index when a node compacts; nil: it never does.
    package var compactionLag: UInt64?

    // The quorum disk's, where there is one.
    /// Requests that are reported as failed; what they wrote may land later.
    package var diskFailurePerMillion: UInt64 = 0
    /// Requests that take up to `maximumDiskDelay`.
    package var diskDelayPerMillion: UInt64 = 0
    package var maximumDiskDelay: UInt64 = 3_000_000
    /// Of the writes under way when a node dies or starts anew, some land in part.
    package var tearsDiskWrites = false
    package var diskOutagesPerMinute: UInt64 = 0
    /// The nodes lose each other and keep the disk.
    package var nodePartitionsPerMinute: UInt64 = 0
    /// One node loses the disk, or all do.
    package var maximumDiskOutage: UInt64 = 8_000_000
    package var diskWipesPerMinute: UInt64 = 0
    package var diskRollbacksPerMinute: UInt64 = 0
    /// The disk is taken out, another one added and made a voter, step by step.
    package var diskChangesPerMinute: UInt64 = 0

    package init() {}

    /// For a cluster with a quorum disk, on top of `swarm`.
    package mutating func addDiskSwarm(_ random: inout Random) {
        func some(_ values: [UInt64], _ random: inout Random) -> UInt64 { values[random.below(values.count)] }
        self.diskFailurePerMillion = some([0, 0, 2000, 20_000], &random)
        self.diskDelayPerMillion = some([0, 10_000, 50_000], &random)
        self.tearsDiskWrites = random.below(2) == 0
        self.diskOutagesPerMinute = some([0, 0, 4, 12], &random)
        self.nodePartitionsPerMinute = some([0, 4, 20], &random)
        self.diskWipesPerMinute = some([0, 0, 0, 2], &random)
        self.diskRollbacksPerMinute = some([0, 0, 2, 6], &random)
        self.diskChangesPerMinute = some([0, 20, 60], &random)
    }

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
    package static let switches: [FaultSwitch<Faults>] = [
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
        FaultSwitch("compaction") { $0.compactionLag = nil },
        FaultSwitch("failed-disk-requests") { $0.diskFailurePerMillion = 0 },
        FaultSwitch("slow-disk-requests") { $0.diskDelayPerMillion = 0 },
        FaultSwitch("torn-disk-writes") { $0.tearsDiskWrites = false },
        FaultSwitch("disk-outages") { $0.diskOutagesPerMinute = 0 },
        FaultSwitch("node-partitions") { $0.nodePartitionsPerMinute = 0 },
        FaultSwitch("disk-wipes") { $0.diskWipesPerMinute = 0 },
        FaultSwitch("disk-rollbacks") { $0.diskRollbacksPerMinute = 0 },
        FaultSwitch("disk-changes") { $0.diskChangesPerMinute = 0 },
    ]
}
