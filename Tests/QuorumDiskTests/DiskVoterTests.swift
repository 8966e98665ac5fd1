import Raft
import StateRecords
import Testing

@testable import QuorumDisk

/// The start of a node before the disk.
@Suite struct DiskStartTests {
    @Test func aBarrierComesFirstAndTheNewLifeIsReadBack() {
        var bench = Bench(ready: [])
        bench.start(1, incarnation: 7)
        #expect(bench.underWay(1) == "barrier")
        #expect(bench[1].status == .unavailable(.starting))
        bench.carryOut(1)
        #expect(bench.underWay(1) == "read")
        bench.carryOut(1)
        bench.carryOut(1)
        #expect(bench.underWay(1) == "write")
        bench.carryOut(1)
        #expect(bench.header(1)?.incarnation == 7)
        #expect(bench.header(1)?.node == 1)
        #expect(bench[1].status == .unavailable(.starting), "not before it was read back")
        bench.carryOut(1)
        #expect(bench[1].status == .ready)
    }

    /// Two machines with one identity: whoever finds the other's number gives up.
    @Test func aLifeThatIsNotNewerIsRefused() {
        var bench = Bench(ready: [1])
        bench.start(1, incarnation: 1)
        bench.run(1)
        #expect(bench[1].status == .disabled(.areaTaken))

        bench = Bench(ready: [])
        bench.start(1, incarnation: 5)
        while bench.underWay(1) != "write" { bench.carryOut(1) }
        bench.carryOut(1)
        // Before the read-back the other life announces itself.
        var header = bench.header(1)!
        header.incarnation = 6
        header.sequence += 1
        bench.disk.write(testLayout.slotOffset(0, 0), header.block)
        bench.run(1)
        #expect(bench[1].status == .disabled(.areaTaken))
    }

    @Test func anAreaOfAnotherNodeIsNotTaken() {
        var bench = Bench(ready: [2])
        let header = bench.header(2)!
        bench.disk.write(testLayout.slotOffset(0, 0), header.block)
        bench.start(1)
        bench.run(1)
        #expect(bench[1].status == .disabled(.areaTaken))
    }

    @Test func theOwnBallotIsRemembered() {
        var bench = Bench()
        _ = bench.vote(1, term: 8)
        bench.start(1)
        bench.run(1)
        #expect(bench.events[1] == [.diskBallot(8)])
    }

    @Test func aDiskThatWentBackIsGivenUp() {
        var bench = Bench()
        let old = bench.disk
        _ = bench.vote(1, term: 3)
        bench.disk = old
        bench.start(1)
        bench.run(1)
        #expect(bench[1].status == .disabled(.wentBack(area: 0)))
        // The other node, in the middle of its life, has not seen that area newer; its own is as it was.
        bench = Bench()
        _ = bench.vote(1, term: 3)
        let seen = bench.disk
        _ = bench.vote(2, term: 4)
        bench.disk = seen
        #expect(bench.vote(2, term: 5) == nil)
        #expect(bench[2].status == .disabled(.wentBack(area: 1)))
        // It had seen the other's header.
        bench = Bench()
        let fresh = bench.disk
        _ = bench.vote(1, term: 3)
        bench.now += 1000
        bench.step(2, .tick)
        bench.run(2)
        bench.disk.blocks.merge(fresh.blocks.filter { $0.key < testLayout.areaOffset(1) / 4096 }) { $1 }
        bench.now += 1000
        bench.step(2, .tick)
        bench.run(2)
        #expect(bench[2].status == .disabled(.wentBack(area: 0)))
    }

    /// The LUN is laid out anew, and what a node had sent to the disk that was there lands behind that: of both areas,
    /// one header.
    @Test func aLateHeaderOfTheDiskBeforeTakesNoArea() {
        var bench = Bench(ready: [])
        var late = AreaHeader(identity: DiskIdentity(cluster: testIdentity.cluster, disk: GUID16(low: 5, high: 6)))
        (late.node, late.incarnation, late.sequence, late.ballot) = (1, 40, 500, 12)
        bench.disk.write(testLayout.slotOffset(0, 1), late.block)
        late.node = 2
        bench.disk.write(testLayout.slotOffset(1, 0), late.block)
        for node in [NodeID(1), 2] {
            bench.start(node)
            bench.run(node)
            #expect(bench[node].status == .ready)
        }
        #expect(bench.vote(1, term: 1) == DiskVote(disk: disk1, term: 1))
        #expect(bench[2].memory.sequences[1] < 500)
    }

    @Test func aWipedDiskIsNoEmptyDisk() {
        var bench = Bench()
        bench.disk.blocks = [:]
        #expect(bench.vote(1, term: 2) == nil)
        #expect(bench.takeMessages(1).isEmpty)
        bench.start(2)
        bench.run(2)
        #expect(bench[2].status == .unavailable(.areaUnreadable(1)))
        // Laid out anew it is another disk.
        let other = DiskIdentity(cluster: testIdentity.cluster, disk: GUID16(low: 5, high: 6))
        bench.disk = MemoryDisk(Superblock(identity: other, layout: testLayout))
        bench.now += 2000
        bench.step(2, .tick)
        bench.run(2)
        #expect(bench[2].status == .disabled(.otherDisk))
    }
}

@Suite struct DiskVoteTests {
    @Test func theBallotIsWrittenBeforeTheOthersAreRead() {
        var bench = Bench()
        bench.say(1, .voteRequest(lastIndex: 0, lastTerm: 0, force: true), term: 1)
        #expect(bench.underWay(1) == "write")
        bench.carryOut(1)
        #expect(bench.header(1)?.ballot == 1)
        #expect(bench.header(1)?.ring == AreaHeader.Ring())
        #expect(bench.underWay(1) == "read")
        #expect(bench.takeVote(1) == nil)
        bench.run(1)
        #expect(bench.takeVote(1) == DiskVote(disk: disk1, term: 1))
    }

    /// Two at once: whoever reads last sees the other. Never both.
    @Test(arguments: [[1, 2, 1, 2], [1, 2, 2, 1], [1, 1, 2, 2], [2, 1, 1, 2]] as [[NodeID]])
    func atMostOneIsElectedInATerm(order: [NodeID]) {
        var bench = Bench()
        for node in [NodeID(1), 2] { bench.say(node, .voteRequest(lastIndex: 0, lastTerm: 0, force: true), term: 4) }
        for node in order { bench.carryOut(node) }
        for node in [NodeID(1), 2] { bench.run(node) }
        let granted = [NodeID(1), 2].filter { bench.takeVote($0) != nil }
        #expect(granted.count <= 1)
        if order == [1, 1, 2, 2] { #expect(granted == [1]) }
    }

    @Test func aTermIsStoodInOnce() {
        var bench = Bench()
        #expect(bench.vote(1, term: 3) != nil)
        #expect(bench.vote(1, term: 3) == nil)
        #expect(bench.vote(1, term: 2) == nil)
        // Nor in another life.
        bench.start(1)
        bench.run(1)
        #expect(bench.vote(1, term: 3) == nil)
        #expect(bench.takeMessages(1).map(\.body) == [.voteResponse(granted: false)])
        #expect(bench.vote(1, term: 4) != nil)
    }

    @Test func aLaterBallotIsTold() {
        var bench = Bench()
        _ = bench.vote(2, term: 9)
        #expect(bench.vote(1, term: 4) == nil)
        #expect(bench.takeMessages(1).map(\.term) == [9])
    }

    /// Two slots that cannot be read say nothing about what is in the area: no vote, no acknowledgement.
    @Test func anUnreadableAreaIsNotAnEmptyOne() {
        var bench = Bench()
        bench.disk.write(testLayout.slotOffset(1, 0), [UInt8](repeating: 0, count: 2 * 4096))
        #expect(bench.vote(1, term: 2) == nil)
        #expect(bench[1].status == .unavailable(.areaUnreadable(1)))
        bench.append(1, term: 2, after: (0, 0), [2])
        bench.run(1)
        #expect(bench.takeMessages(1).isEmpty)
    }

    @Test func oneUnreadableSlotLeavesTheOther() {
        var bench = Bench()
        _ = bench.vote(2, term: 5)
        let latest = bench.slots(1)[0]?.sequence ?? 0 > bench.slots(1)[1]?.sequence ?? 0 ? 0 : 1
        bench.disk.write(testLayout.slotOffset(1, latest), [UInt8](repeating: 0xEE, count: 4096))
        // Its older header stands: as if that ballot had not been written yet.
        #expect(bench.vote(1, term: 5) != nil)
    }

    /// The target loses its power, and with it what was in its cache alone: the disk has not gone back by that.
    @Test func whatAnotherNodeWroteCountsOnceItIsOnStableStorage() {
        var bench = Bench()
        bench.now += 5000
        bench.step(1, .tick)
        bench.run(1)
        let flushed = bench.disk.blocks
        _ = bench.vote(2, term: 5)
        bench.now += 5000
        bench.step(1, .tick)
        #expect(bench.underWay(1) == "read")
        bench.carryOut(1)
        #expect(bench.underWay(1) == "flush")
        bench.disk.blocks = flushed
        bench.fail(1)
        bench.now += 5000
        bench.step(1, .tick)
        bench.run(1)
        #expect(bench[1].status == .ready)
        #expect(bench.vote(1, term: 6) != nil)
    }

    /// A leader that reads back its append asks for no second flush while the other node is silent.
    @Test func whereNobodyElseWroteNothingIsFlushed() {
        var bench = Bench()
        bench.now += 5000
        bench.step(1, .tick)
        bench.run(1)
        bench.now += 5000
        bench.step(1, .tick)
        #expect(bench.underWay(1) == "read")
        bench.carryOut(1)
        #expect(bench.underWay(1) == nil)
    }

    @Test func anotherNodesHeartbeatForbidsAnElection() {
        var bench = Bench()
        _ = bench.vote(2, term: 1)
        bench.now += 5000
        bench.step(1, .tick)
        bench.run(1)
        bench.say(2, .heartbeat(round: 1, commitIndex: 0), term: 1)
        bench.run(2)
        bench.say(1, .preVoteRequest(lastIndex: 0, lastTerm: 0), term: 2)
        bench.run(1)
        #expect(bench.takeMessages(1).map(\.body) == [.preVoteResponse(granted: false)])
        #expect(bench.vote(1, term: 2, force: false) == nil, "nor the vote itself")
        _ = bench.takeMessages(1)
        // The leader's own wish is another matter.
        #expect(bench.vote(1, term: 3, force: true) != nil)
        // It falls silent; an election time-out later others may stand.
        bench.now += 1199
        bench.say(1, .preVoteRequest(lastIndex: 0, lastTerm: 0), term: 4)
        bench.run(1)
        #expect(bench.takeMessages(1).map(\.body) == [.preVoteResponse(granted: false)])
        bench.now += 1
        bench.say(1, .preVoteRequest(lastIndex: 0, lastTerm: 0), term: 4)
        bench.run(1)
        #expect(bench.takeMessages(1).map(\.body) == [.preVoteResponse(granted: true)])
        #expect(bench.vote(1, term: 4, force: false) != nil)
    }

    /// A node that just began to look does not know since when the others are silent.
    @Test func aNewcomerWaitsBeforeItStands() {
        var bench = Bench(ready: [1])
        #expect(bench.vote(1, term: 1, force: false) == nil)
        bench.now += 1200
        bench.step(1, .tick)
        #expect(bench.vote(1, term: 2, force: false) != nil)
    }

    @Test func aPreVoteWritesNothing() {
        var bench = Bench()
        bench.now += 5000
        let before = bench.disk.blocks
        for node in [NodeID(1), 2] {
            bench.say(node, .preVoteRequest(lastIndex: 0, lastTerm: 0), term: 1)
            bench.run(node)
            #expect(bench.takeMessages(node).map(\.body) == [.preVoteResponse(granted: true)])
        }
        #expect(bench.disk.blocks == before)
    }

    @Test func aPreVoteTellsALaterBallot() {
        var bench = Bench()
        _ = bench.vote(2, term: 7)
        bench.now += 5000
        bench.say(1, .preVoteRequest(lastIndex: 0, lastTerm: 0), term: 7)
        bench.run(1)
        #expect(bench.takeMessages(1) == [bench[1].message(.preVoteResponse(granted: false), in: 7)])
    }

    @Test func whatTheDiskAcknowledgedComesWithItsVote() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        bench.append(1, term: 1, after: (0, 0), [1, 1, 1])
        bench.run(1)
        #expect(bench.takeMessages(1).map(\.body) == [.appendAccepted(matchIndex: 3)])
        let vote = bench.vote(2, term: 2, last: (1, 2))
        #expect(vote?.log?.entries.map(\.index) == [1, 2, 3])
        #expect(vote?.log?.base == Snapshot())
        // Whoever has it all needs nothing.
        #expect(bench.vote(1, term: 3, last: (1, 3)) == DiskVote(disk: disk1, term: 3))
        // One's own area counts, too.
        #expect(bench.vote(1, term: 4, last: (1, 2))?.log?.lastIndex == 3)
    }

    /// Entries that are not what the header's chain says cannot be had: no vote.
    @Test func aDamagedLogIsNotAdopted() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        bench.append(1, term: 1, after: (0, 0), [1, 1, 1])
        bench.run(1)
        let block = (testLayout.areaOffset(0) + Layout.slotsByteCount) / Layout.blockSize
        bench.disk.blocks[block]![60] ^= 1
        #expect(bench.vote(2, term: 2) == nil)
        #expect(bench[2].status == .unavailable(.logUnreadable(0)))
        bench.start(1)
        bench.run(1)
        #expect(bench[1].status == .disabled(.ownAreaDamaged))
    }

    @Test func aNodeOfWhichTheAreaWasNeverUsedIsNoHindrance() {
        var bench = Bench(ready: [1])
        #expect(bench.vote(1, term: 1) != nil)
    }
}

@Suite struct DiskAppendTests {
    @Test func entriesThenHeaderThenALookAtTheOthers() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        let before = bench.header(1)
        bench.append(1, term: 1, after: (0, 0), [1, 1])
        #expect(bench.underWay(1) == "write")
        bench.carryOut(1)
        #expect(bench.header(1) == before, "the entries are there and nothing reaches them")
        #expect(bench.underWay(1) == "write")
        bench.carryOut(1)
        #expect(bench.header(1)?.ring.lastIndex == 2)
        #expect(bench.header(1)?.sequence == before!.sequence + 1)
        #expect(bench.underWay(1) == "read")
        #expect(bench.takeMessages(1).isEmpty)
        bench.carryOut(1)
        #expect(bench.takeMessages(1) == [bench[1].message(.appendAccepted(matchIndex: 2), in: 1)])
    }

    /// The re-read: another node stood meanwhile.
    @Test func aLaterBallotDeposesTheLeader() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        bench.append(1, term: 1, after: (0, 0), [1])
        bench.carryOut(1)
        bench.carryOut(1)
        #expect(bench.vote(2, term: 2)?.log?.lastIndex == 1, "written, not acknowledged, found")
        bench.run(1)
        let said = bench.takeMessages(1)
        #expect(said.map(\.term) == [2])
        #expect(!said.contains { if case .appendAccepted = $0.body { true } else { false } })
    }

    @Test func aLogThatDoesNotFitIsRejectedWithAHint() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        bench.append(1, term: 1, after: (0, 0), [1, 1])
        bench.run(1)
        _ = bench.takeMessages(1)
        _ = bench.vote(1, term: 3, last: (2, 5))
        bench.append(1, term: 3, after: (2, 5), [3])
        #expect(
            bench.takeMessages(1).map(\.body) == [.appendRejected(previousIndex: 5, hintIndex: 2, hintTerm: 1)])
        bench.append(1, term: 3, after: (1, 1), [2, 3, 3])
        bench.run(1)
        #expect(bench.takeMessages(1).map(\.body) == [.appendAccepted(matchIndex: 4)])
        #expect(bench.vote(2, term: 4)?.log?.entries.map(\.term) == [1, 2, 3, 3])
    }

    /// What arrives while an operation is under way goes into the next, all at once.
    @Test func appendsAreGathered() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        let sequence = bench.header(1)!.sequence
        for index in LogIndex(0)..<20 { bench.append(1, term: 1, after: (index == 0 ? 0 : 1, index), [1]) }
        bench.run(1)
        #expect(bench.header(1)?.sequence == sequence + 2)
        #expect(
            bench.takeMessages(1).map(\.body) == [.appendAccepted(matchIndex: 1), .appendAccepted(matchIndex: 20)])
    }

    @Test func anAppendThatBringsNothingNewAsksTheDiskNothing() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        bench.append(1, term: 1, after: (0, 0), [1])
        bench.run(1)
        _ = bench.takeMessages(1)
        bench.append(1, term: 1, after: (1, 1), [])
        #expect(bench.batches[1] == nil)
        // In a new term it is asked: the ballot is renewed and the others are looked at.
        bench.append(1, term: 2, after: (1, 1), [])
        #expect(bench.underWay(1) == "write")
        bench.run(1)
        #expect(bench.header(1)?.ballot == 2)
        #expect(bench.takeMessages(1).map(\.body) == [.appendAccepted(matchIndex: 1)])
    }

    @Test func heartbeatsMoveAtTheirPace() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        bench.say(1, .heartbeat(round: 1, commitIndex: 0), term: 1)
        bench.run(1)
        #expect(bench.takeMessages(1).map(\.body) == [.heartbeatResponse(round: 1)])
        let first = bench.header(1)!.heartbeat
        bench.now += 100
        bench.say(1, .heartbeat(round: 2, commitIndex: 0), term: 1)
        #expect(bench.batches[1] == nil)
        bench.now += 150
        bench.say(1, .heartbeat(round: 3, commitIndex: 0), term: 1)
        bench.run(1)
        #expect(bench.takeMessages(1).map(\.body) == [.heartbeatResponse(round: 3)])
        #expect(bench.header(1)!.heartbeat == first + 1)
        // An append carries the answer along.
        bench.say(1, .heartbeat(round: 4, commitIndex: 0), term: 1)
        bench.append(1, term: 1, after: (0, 0), [1])
        bench.run(1)
        #expect(
            bench.takeMessages(1).map(\.body) == [.heartbeatResponse(round: 4), .appendAccepted(matchIndex: 1)])
    }
}

@Suite struct DiskFailureTests {
    @Test func anUnknownOutcomeMeansABarrier() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        bench.append(1, term: 1, after: (0, 0), [1])
        bench.carryOut(1)
        // The header's write is under way; it is reported as failed and is carried out all the same.
        let batch = bench.batches[1]!
        bench.fail(1)
        #expect(bench[1].status == .unavailable(.noAnswer))
        guard case .requests(let requests) = batch.work, case .write(let offset, let bytes) = requests[0] else {
            return #expect(Bool(false))
        }
        bench.disk.write(offset, bytes)
        bench.step(1, .tick)
        #expect(bench.batches[1] == nil, "not at once")
        bench.now += 1000
        bench.step(1, .tick)
        #expect(bench.underWay(1) == "barrier")
        bench.run(1)
        #expect(bench[1].status == .ready)
        #expect(bench.takeMessages(1).isEmpty)
        // Indeterminate, not failed: it is there.
        bench.append(1, term: 1, after: (1, 1), [1])
        bench.run(1)
        #expect(bench.takeMessages(1).map(\.body) == [.appendAccepted(matchIndex: 2)])
    }

    @Test func whatTakesTooLongIsGivenUp() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        bench.append(1, term: 1, after: (0, 0), [1])
        let batch = bench.batches[1]!
        bench.now += 2000
        bench.step(1, .tick)
        #expect(bench[1].status == .unavailable(.noAnswer))
        bench.step(1, .completed(batch: batch.number, [[]]))
        bench.step(1, .failed(batch: batch.number))
        #expect(bench.takeMessages(1).isEmpty)
    }

    @Test func aTornHeaderLeavesTheOneBefore() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        bench.append(1, term: 1, after: (0, 0), [1])
        bench.run(1)
        bench.append(1, term: 1, after: (1, 1), [1])
        bench.carryOut(1)
        guard case .requests(let requests) = bench.batches[1]!.work, case .write(let offset, let bytes) = requests[0]
        else { return #expect(Bool(false)) }
        bench.disk.write(offset, Array(bytes.prefix(512)) + bench.disk.read(offset, 4096).dropFirst(512))
        bench.start(1)
        bench.run(1)
        #expect(bench[1].status == .ready)
        #expect(bench[1].log.lastIndex == 1)
    }
}

@Suite struct DiskCheckpointTests {
    private let state = (0..<9000).map { UInt8(truncatingIfNeeded: $0) }

    @Test func aCheckpointMakesRoomAndIsFound() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        bench.append(1, term: 1, after: (0, 0), [1, 1, 1, 1])
        bench.run(1)
        bench.checkpoint(1, term: 1, at: (1, 3), self.state)
        bench.run(1)
        #expect(bench.header(1)?.ring.baseIndex == 3)
        #expect(bench.takeMessages(1).last?.body == .appendAccepted(matchIndex: 3))
        // Committed here already: no state is needed. Not so for a node that lacks it.
        let near = bench.vote(2, term: 2, last: (1, 3), commit: 3)
        #expect(near?.log?.entries.map(\.index) == [4])
        #expect(bench.states[2] == nil)
        let far = bench.vote(2, term: 3, last: (1, 2), commit: 2)
        #expect(far?.log?.base.index == 3)
        #expect(far?.log?.base.configuration.voters == [1, 2, disk1])
        #expect(bench.states[2] == self.state)
    }

    @Test func aDamagedCheckpointIsNotAdopted() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        bench.checkpoint(1, term: 1, at: (1, 3), self.state)
        bench.run(1)
        let extent = bench.header(1)!.checkpoint!.extent
        bench.disk.blocks[testLayout.checkpointOffset(0, extent) / 4096 + 1]![7] ^= 1
        #expect(bench.vote(2, term: 2) == nil)
        #expect(bench[2].status == .unavailable(.logUnreadable(0)))
    }

    /// A log that goes round the ring many times, with checkpoints; the bench watches that nothing reachable is written.
    @Test func theRingGoesRound() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        var last: LogIndex = 0
        for round in 0..<100 {
            bench.now += 300
            bench.append(1, term: 1, after: (last == 0 ? 0 : 1, last), [1], byteCount: round % 3 == 0 ? 5000 : 100)
            bench.run(1)
            if case .appendAccepted(let index) = bench.takeMessages(1).last?.body { last = max(last, index) }
            if bench.wishes > 0 {
                bench.wishes = 0
                bench.now += 1000
                bench.checkpoint(1, term: 1, at: (1, last), [UInt8](repeating: UInt8(round), count: 5000))
                bench.run(1)
            }
        }
        #expect(last > 60)
        #expect(bench.header(1)!.ring.end > 10 * testLayout.ringBlocks)
        let vote = bench.vote(2, term: 2)
        #expect(vote?.log?.lastIndex == last)
        bench.start(1)
        bench.run(1)
        #expect(bench[1].status == .ready)
        #expect(bench[1].log.lastIndex == last)
    }

    @Test func aStateThatIsTooLongIsSaid() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        let effects = bench.step(
            1, .checkpoint(Snapshot(index: 1, term: 1), state: [UInt8](repeating: 0, count: 3 * 4096 + 1), term: 1))
        #expect(effects.status == .unavailable(.stateTooLong(byteCount: 3 * 4096 + 1)))
        #expect(bench.batches[1] == nil)
    }
}
