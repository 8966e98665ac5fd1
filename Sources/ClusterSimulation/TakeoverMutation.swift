import ClusterCore
import QuorumDisk
import Raft

/// One safeguard of the takeover switched off, under the faults it guards against, as `Mutation` has Raft's.
package struct TakeoverMutation: Sendable {
    package var name: String
    package var defects: TakeoverDefects
    package var faults: TakeoverFaults
    package var isPersistent: Bool?
    /// A quorum disk in the witness's place.
    package var quorumDisk = false
    package var diskDefects: DiskDefects = []
    package var raftDefects: RaftDefects = []
    package var sizes = StateSizes.whole
    package var transferDefects: TransferDefects = []
    package var seconds: UInt64 = 60
    /// Where the hunt begins: a seed that noticed it when this was written, so that tests stay quick.
    package var firstSeed: UInt64 = 0
    package var maximumSeeds: UInt64 = 200

    package func options(seed: UInt64) -> TakeoverSimulation.Options {
        var options = TakeoverSimulation.Options(seed: seed)
        options.seconds = self.seconds
        options.faults = self.faults
        options.isPersistent = self.isPersistent
        options.defects = self.defects
        options.quorumDisk = self.quorumDisk
        options.diskDefects = self.diskDefects
        options.raftDefects = self.raftDefects
        options.sizes = self.sizes
        options.transferDefects = self.transferDefects
        return options
    }

    /// The first seed that notices, and what it says.
    package func hunt() -> (seed: UInt64, violation: String)? {
        for seed in self.firstSeed..<(self.firstSeed + self.maximumSeeds) {
            var simulation = TakeoverSimulation(self.options(seed: seed))
            if let violation = simulation.run().violation { return (seed, violation) }
        }
        return nil
    }

    package static let all: [TakeoverMutation] = [
        TakeoverMutation(name: "releaseAtDetach", defects: .releaseAtDetach, faults: .lateWrites, firstSeed: 6),
        TakeoverMutation(name: "skipPreempt", defects: .skipPreempt, faults: .pausedNodes),
        TakeoverMutation(name: "skipDrain", defects: .skipDrain, faults: .lateWrites, isPersistent: false),
        TakeoverMutation(
            name: "skipOwnDrain", defects: .skipOwnDrain, faults: .lateOwnWrites, isPersistent: true, firstSeed: 88),
        TakeoverMutation(
            name: "serveBeforeFence", defects: [.serveBeforeFence, .blindRegistration], faults: .pausedNodes),
        TakeoverMutation(name: "blindRegistration", defects: .blindRegistration, faults: .pausedNodes),
        TakeoverMutation(
            name: "retakeUnasked", defects: .retakeUnasked, faults: .restartedTargets, isPersistent: false),
        TakeoverMutation(
            name: "forgetGeneration", defects: .forgetGeneration, faults: .restartedTargets, isPersistent: true,
            firstSeed: 23),
        TakeoverMutation(
            name: "acknowledgeUncommitted", defects: .acknowledgeUncommitted, faults: .pausedNodes),
        TakeoverMutation(name: "endServerFirst", defects: .endServerFirst, faults: .pausedNodes),
        TakeoverMutation(name: "hurriedFlush", defects: .hurriedFlush, faults: .slowLUN),
        TakeoverMutation(name: "stayUnreachable", defects: .stayUnreachable, faults: .cutPaths, seconds: 60),
        TakeoverMutation(name: "ignoreServingLease", defects: .ignoreServingLease, faults: .pausedNodes),
        TakeoverMutation(name: "keepIDAfterLoss", defects: .keepIDAfterLoss, faults: .lostStates),
        TakeoverMutation(name: "repeatProposal", defects: .repeatProposal, faults: .pausedNodes),
        TakeoverMutation(
            name: "takeoverMixesStates", defects: [], faults: .brokenStates, sizes: .small,
            transferDefects: .mixStates),
        .besideDisk("takeoverIgnoresHeartbeat", .ignoreHeartbeat, faults: .lostLink),
        .besideDisk("takeoverSkipsBarrier", .skipBarrier, firstSeed: 150),
        .besideDisk("takeoverIgnoresLogs", .ignoreLogs),
        .besideDisk("takeoverVotesWithoutBallot", .voteWithoutBallot, firstSeed: 5),
        .besideDisk("takeoverAllowsEqualBallot", .equalBallotAllowed, firstSeed: 112),
        .besideDisk("takeoverIgnoresRollback", .ignoreRollback, faults: .forgetfulDisk, firstSeed: 27),
        .besideDisk("takeoverTrustsCache", .trustCache, faults: .lostPower),
        .besideDisk("takeoverWithoutAdopting", raft: .voteWithoutAdopting, firstSeed: 2),
    ]

    private static func besideDisk(
        _ name: String, _ diskDefects: DiskDefects = [], raft: RaftDefects = [], faults: TakeoverFaults = .besideDisk,
        firstSeed: UInt64 = 0
    ) -> TakeoverMutation {
        var mutation = TakeoverMutation(name: name, defects: [], faults: faults, firstSeed: firstSeed)
        mutation.quorumDisk = true
        mutation.diskDefects = diskDefects
        mutation.raftDefects = raft
        return mutation
    }
}

extension TakeoverFaults {
    /// Streams stall, and the share moves meanwhile.
    package static var lateWrites: TakeoverFaults {
        var faults = TakeoverFaults()
        faults.latePerMillion = 5000
        faults.slowWritePerMillion = 200_000
        faults.maximumSlowWrite = 600_000
        faults.pausesPerMinute = 10
        faults.crashesPerMinute = 10
        faults.movesPerMinute = 30
        faults.cutPathsPerMinute = 4
        faults.maximumCut = 6_000_000
        return faults
    }

    /// Writes take longer to land than an election takes, and a node is often its own successor.
    package static var lateOwnWrites: TakeoverFaults {
        var faults = TakeoverFaults()
        faults.slowWritePerMillion = 100_000
        faults.maximumSlowWrite = 4_000_000
        faults.pausesPerMinute = 10
        faults.partitionsPerMinute = 10
        faults.maximumPartition = 3_000_000
        faults.serverExitsPerMinute = 6
        return faults
    }

    /// Processes stop for longer than an election takes, and go on.
    package static var pausedNodes: TakeoverFaults {
        var faults = TakeoverFaults()
        faults.lossPerMillion = 10_000
        faults.pausesPerMinute = 20
        faults.pauseAtStepPerMillion = 100_000
        faults.crashesPerMinute = 6
        faults.partitionsPerMinute = 6
        faults.muteLinksPerMinute = 6
        faults.slowSyncPerMillion = 100_000
        faults.latePerMillion = 2000
        faults.movesPerMinute = 6
        return faults
    }

    /// The target's power goes while nodes change places.
    package static var restartedTargets: TakeoverFaults {
        var faults = TakeoverFaults()
        faults.targetRestartsPerMinute = 20
        faults.maximumTargetDowntime = 2_000_000
        faults.pausesPerMinute = 15
        faults.partitionsPerMinute = 6
        faults.slowWritePerMillion = 20_000
        faults.bridgeExitsPerMinute = 4
        faults.movesPerMinute = 4
        return faults
    }

    /// The nodes die and lose each other, so that the disk decides; requests to it fail, tear and come late, and its target
    /// loses its power.
    package static var besideDisk: TakeoverFaults {
        var faults = TakeoverFaults()
        faults.crashesPerMinute = 25
        faults.maximumDowntime = 3_000_000
        faults.slowSyncPerMillion = 100_000
        faults.pausesPerMinute = 6
        faults.targetRestartsPerMinute = 6
        faults.maximumTargetDowntime = 1_000_000
        faults.disk.nodePartitionsPerMinute = 20
        faults.maximumPartition = 4_000_000
        faults.disk.failurePerMillion = 10_000
        faults.disk.delayPerMillion = 50_000
        faults.disk.maximumDelay = 1_800_000
        faults.disk.tearsWrites = true
        faults.disk.outagesPerMinute = 6
        faults.disk.maximumOutage = 1_000_000
        return faults
    }

    /// Nodes come back without what they knew.
    package static var lostStates: TakeoverFaults {
        var faults = TakeoverFaults()
        faults.stateLossesPerMinute = 30
        faults.maximumDowntime = 1_000_000
        faults.partitionsPerMinute = 10
        faults.maximumPartition = 3_000_000
        faults.crashesPerMinute = 10
        faults.slowSyncPerMillion = 100_000
        return faults
    }

    /// Nodes come back without what they knew, and the links break that the states go on which they are sent.
    package static var brokenStates: TakeoverFaults {
        var faults = TakeoverFaults.lostStates
        faults.brokenStateLinksPerMillion = 100_000
        return faults
    }

    /// The disk's target loses its power, and flushes slowly.
    package static var lostPower: TakeoverFaults {
        var faults = TakeoverFaults()
        faults.targetRestartsPerMinute = 20
        faults.maximumTargetDowntime = 500_000
        faults.disk.outagesPerMinute = 20
        faults.disk.maximumOutage = 500_000
        faults.disk.slowFlushPerMillion = 200_000
        faults.disk.maximumSlowFlush = 800_000
        return faults
    }

    /// The disk loses everything, or goes back.
    package static var forgetfulDisk: TakeoverFaults {
        var faults = TakeoverFaults.besideDisk
        faults.disk.wipesPerMinute = 6
        faults.disk.rollbacksPerMinute = 20
        faults.disk.changesPerMinute = 20
        return faults
    }

    /// The nodes lose each other, and nothing else goes wrong: whoever serves goes on.
    package static var lostLink: TakeoverFaults {
        var faults = TakeoverFaults()
        faults.disk.nodePartitionsPerMinute = 10
        faults.maximumPartition = 8_000_000
        return faults
    }

    /// Nothing goes wrong, but the LUN takes its time, the nodes' memories hold what it does not have yet, and the share moves.
    package static var slowLUN: TakeoverFaults {
        var faults = TakeoverFaults()
        faults.cachedWritesPerMinute = 1200
        faults.slowWritePerMillion = 500_000
        faults.maximumSlowWrite = 5_000_000
        faults.movesPerMinute = 20
        return faults
    }

    /// Paths to the target break, for longer than anybody wants to wait.
    package static var cutPaths: TakeoverFaults {
        var faults = TakeoverFaults()
        faults.cutPathsPerMinute = 2
        faults.maximumCut = 50_000_000
        return faults
    }
}
