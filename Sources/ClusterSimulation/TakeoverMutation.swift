/// One safeguard of the takeover switched off, under the faults it guards against, as `Mutation` has Raft's.
package struct TakeoverMutation: Sendable {
    package var name: String
    package var defects: TakeoverDefects
    package var faults: TakeoverFaults
    package var isPersistent: Bool?
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
        TakeoverMutation(name: "stayUnreachable", defects: .stayUnreachable, faults: .cutPaths, seconds: 60),
    ]
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

    /// Paths to the target break, for longer than anybody wants to wait.
    package static var cutPaths: TakeoverFaults {
        var faults = TakeoverFaults()
        faults.cutPathsPerMinute = 2
        faults.maximumCut = 50_000_000
        return faults
    }
}
