/// How often what goes wrong. Rates are per minute of simulated time, probabilities in parts per million, times in
/// microseconds.
package struct TakeoverFaults: Equatable, SwitchableFaults {
    package var lossPerMillion: UInt64 = 0
    package var delayPerMillion: UInt64 = 0
    package var longDelay: UInt64 = 500_000
    /// Of the parts of a state, those at which the link breaks that they go on (`StateLinks`).
    package var brokenStateLinksPerMillion: UInt64 = 0
    package var partitionsPerMinute: UInt64 = 0
    package var muteLinksPerMinute: UInt64 = 0
    package var maximumPartition: UInt64 = 8_000_000
    package var crashesPerMinute: UInt64 = 0
    package var crashesOfAllPerMinute: UInt64 = 0
    package var maximumDowntime: UInt64 = 5_000_000
    /// SIGSTOP: of clusterd alone, or of the machine.
    package var pausesPerMinute: UInt64 = 0
    package var maximumPause: UInt64 = 6_000_000
    /// At each thing that `Takeover` tells its shell.
    package var crashAtStepPerMillion: UInt64 = 0
    package var pauseAtStepPerMillion: UInt64 = 0
    package var slowSyncPerMillion: UInt64 = 0
    package var maximumSlowSync: UInt64 = 500_000
    package var clockDriftPerMillion: UInt64 = 0

    package var targetRestartsPerMinute: UInt64 = 0
    package var maximumTargetDowntime: UInt64 = 6_000_000
    /// One node's path to the target.
    package var cutPathsPerMinute: UInt64 = 0
    package var maximumCut: UInt64 = 15_000_000
    /// A session's stream stalls: what is in it arrives late.
    package var latePerMillion: UInt64 = 0
    package var maximumLateness: UInt64 = 7_000_000
    /// A write that the target took in and executes much later.
    package var slowWritePerMillion: UInt64 = 0
    package var maximumSlowWrite: UInt64 = 400_000

    package var serverExitsPerMinute: UInt64 = 0
    package var bridgeExitsPerMinute: UInt64 = 0
    /// SIGSTOP of smbserverd or lunbridge alone; and at each thing that `Takeover` tells its shell.
    package var hangsPerMinute: UInt64 = 0
    package var hangAtStepPerMillion: UInt64 = 0
    package var workerFailurePerMillion: UInt64 = 0
    package var movesPerMinute: UInt64 = 0
    package var stopsPerMinute: UInt64 = 0
    /// No fault: writes that are acknowledged from the node's memory, which an orderly move must not lose.
    package var cachedWritesPerMinute: UInt64 = 0
    /// A node comes back without its state, or with an older one.
    package var stateLossesPerMinute: UInt64 = 0
    /// A node is taken out of the cluster, and joins again.
    package var leavesPerMinute: UInt64 = 0

    /// The quorum disk's, where there is one.
    package var disk = DiskFaults()

    package init() {}

    var isOnlyCutPaths: Bool {
        var others = self
        others.cutPathsPerMinute = 0
        others.maximumCut = Self().maximumCut
        return self.cutPathsPerMinute > 0 && others == Self()
    }

    /// However slow the target is.
    var isOnlyMoves: Bool {
        var others = self
        others.movesPerMinute = 0
        others.cachedWritesPerMinute = 0
        others.slowWritePerMillion = 0
        others.maximumSlowWrite = Self().maximumSlowWrite
        return self.movesPerMinute > 0 && others == Self()
    }

    var isOnlyLostLink: Bool {
        var others = self
        others.disk.nodePartitionsPerMinute = 0
        others.maximumPartition = Self().maximumPartition
        return self.disk.nodePartitionsPerMinute > 0 && others == Self()
    }

    /// Some of everything, each seed with its own emphasis.
    package static func swarm(_ random: inout Random) -> TakeoverFaults {
        var faults = TakeoverFaults()
        func some(_ values: [UInt64], _ random: inout Random) -> UInt64 { values[random.below(values.count)] }
        faults.lossPerMillion = some([0, 0, 10_000, 50_000], &random)
        faults.delayPerMillion = some([0, 10_000, 100_000], &random)
        faults.partitionsPerMinute = some([0, 0, 3, 8], &random)
        faults.muteLinksPerMinute = some([0, 0, 3, 8], &random)
        faults.crashesPerMinute = some([0, 2, 6, 12], &random)
        faults.crashesOfAllPerMinute = some([0, 0, 1], &random)
        faults.pausesPerMinute = some([0, 2, 6, 12], &random)
        faults.crashAtStepPerMillion = some([0, 0, 20_000, 60_000], &random)
        faults.pauseAtStepPerMillion = some([0, 0, 40_000, 120_000], &random)
        faults.slowSyncPerMillion = some([0, 10_000, 100_000], &random)
        faults.clockDriftPerMillion = some([0, 200, 1000], &random)
        faults.targetRestartsPerMinute = some([0, 0, 1, 4], &random)
        faults.cutPathsPerMinute = some([0, 0, 2, 6], &random)
        faults.latePerMillion = some([0, 1000, 5000, 20_000], &random)
        faults.slowWritePerMillion = some([0, 20_000, 200_000], &random)
        faults.serverExitsPerMinute = some([0, 0, 3, 8], &random)
        faults.bridgeExitsPerMinute = some([0, 0, 3, 8], &random)
        faults.workerFailurePerMillion = some([0, 0, 20_000, 100_000], &random)
        faults.movesPerMinute = some([0, 3, 8, 15], &random)
        faults.stopsPerMinute = some([0, 0, 2], &random)
        faults.maximumPause = some([6_000_000, 6_000_000, 16_000_000], &random)
        faults.hangsPerMinute = some([0, 0, 3, 8], &random)
        faults.hangAtStepPerMillion = some([0, 0, 40_000, 120_000], &random)
        faults.stateLossesPerMinute = some([0, 0, 6, 20], &random)
        faults.leavesPerMinute = some([0, 0, 6, 20], &random)
        return faults
    }
}

extension TakeoverFaults {
    package static let switches: [FaultSwitch<TakeoverFaults>] =
        [
            FaultSwitch("loss") { $0.lossPerMillion = 0 },
            FaultSwitch("delay") { $0.delayPerMillion = 0 },
            FaultSwitch("broken-state-links") { $0.brokenStateLinksPerMillion = 0 },
            FaultSwitch("partitions") { $0.partitionsPerMinute = 0 },
            FaultSwitch("mute-links") { $0.muteLinksPerMinute = 0 },
            FaultSwitch("crashes") { $0.crashesPerMinute = 0 },
            FaultSwitch("crashes-of-all") { $0.crashesOfAllPerMinute = 0 },
            FaultSwitch("pauses") { $0.pausesPerMinute = 0 },
            FaultSwitch("long-pauses") { $0.maximumPause = Self().maximumPause },
            FaultSwitch("crashes-at-steps") { $0.crashAtStepPerMillion = 0 },
            FaultSwitch("pauses-at-steps") { $0.pauseAtStepPerMillion = 0 },
            FaultSwitch("slow-syncs") { $0.slowSyncPerMillion = 0 },
            FaultSwitch("clock-drift") { $0.clockDriftPerMillion = 0 },
            FaultSwitch("target-restarts") { $0.targetRestartsPerMinute = 0 },
            FaultSwitch("cut-paths") { $0.cutPathsPerMinute = 0 },
            FaultSwitch("stalled-streams") { $0.latePerMillion = 0 },
            FaultSwitch("slow-writes") { $0.slowWritePerMillion = 0 },
            FaultSwitch("server-exits") { $0.serverExitsPerMinute = 0 },
            FaultSwitch("bridge-exits") { $0.bridgeExitsPerMinute = 0 },
            FaultSwitch("hangs") { $0.hangsPerMinute = 0 },
            FaultSwitch("hangs-at-steps") { $0.hangAtStepPerMillion = 0 },
            FaultSwitch("worker-failures") { $0.workerFailurePerMillion = 0 },
            FaultSwitch("moves") { $0.movesPerMinute = 0 },
            FaultSwitch("stops") { $0.stopsPerMinute = 0 },
            FaultSwitch("cached-writes") { $0.cachedWritesPerMinute = 0 },
            FaultSwitch("lost-states") { $0.stateLossesPerMinute = 0 },
            FaultSwitch("leaves") { $0.leavesPerMinute = 0 },
        ] + DiskFaults.switches { $1(&$0.disk) }
}

/// A safeguard that is switched off.
package struct TakeoverDefects: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// A clean detach gives the reservation back.
    package static let releaseAtDetach = TakeoverDefects(rawValue: 1 << 0)
    /// The fence only registers: an older key keeps what it has.
    package static let skipPreempt = TakeoverDefects(rawValue: 1 << 1)
    /// Where a preempt drains nothing nobody does.
    package static let skipDrain = TakeoverDefects(rawValue: 1 << 2)
    /// The fence is said to be done, and is not.
    package static let serveBeforeFence = TakeoverDefects(rawValue: 1 << 3)
    /// The bridge registers at each login without looking who holds the LUN.
    package static let blindRegistration = TakeoverDefects(rawValue: 1 << 4)
    /// The bridge reserves a LUN that forgot its holder without asking the quorum.
    package static let retakeUnasked = TakeoverDefects(rawValue: 1 << 5)
    /// The bridge does not remember the reservations' generation.
    package static let forgetGeneration = TakeoverDefects(rawValue: 1 << 6)
    /// The journal answers before the entry is committed.
    package static let acknowledgeUncommitted = TakeoverDefects(rawValue: 1 << 7)
    /// The server ends without waiting for the address to be gone.
    package static let endServerFirst = TakeoverDefects(rawValue: 1 << 8)
    /// A leader without a path to the LUN stays.
    package static let stayUnreachable = TakeoverDefects(rawValue: 1 << 9)
    /// A node that lost its state goes on under its old id.
    package static let keepIDAfterLoss = TakeoverDefects(rawValue: 1 << 10)
    /// The journal's batches are proposed a second time.
    package static let repeatProposal = TakeoverDefects(rawValue: 1 << 11)
    /// A node that takes the fence after itself drains nothing.
    package static let skipOwnDrain = TakeoverDefects(rawValue: 1 << 12)
    /// smbserverd answers without looking whether its node's serving lease is over.
    package static let ignoreServingLease = TakeoverDefects(rawValue: 1 << 13)
    /// A flush before a move is said to be done after 3 s, and goes on.
    package static let hurriedFlush = TakeoverDefects(rawValue: 1 << 14)
}
