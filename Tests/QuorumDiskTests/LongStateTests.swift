import Raft
import StateRecords
import Testing

@testable import QuorumDisk

/// A state that is longer than what is written or read at once.
@Suite struct LongStateTests {
    private static let layout = Layout(areaCount: 3, ringByteCount: 8 * 4096, checkpointByteCount: 16 * 4096)
    private static let stepByteCount = 2 * 4096
    private static let state = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }

    /// Node 1 leads term 1, and three of its entries are on the disk.
    private static func bench() -> Bench {
        var limits = DiskVoterLimits()
        limits.checkpointStepByteCount = self.stepByteCount
        var bench = Bench(layout: self.layout, limits: limits)
        _ = bench.vote(1, term: 1)
        bench.append(1, term: 1, after: (0, 0), [1, 1, 1])
        bench.run(1)
        _ = bench.takeMessages(1)
        return bench
    }

    private static func written(_ bench: Bench) -> Int {
        guard case .requests(let requests) = bench.batches[1]?.work else { return 0 }
        return requests.reduce(0) { if case .write(_, let bytes) = $1 { $0 + bytes.count } else { $0 } }
    }

    /// A disk on which everything takes 100 ms: whoever looks at it sees the leader's heartbeat move, and the leader is
    /// answered within its lease.
    @Test func theHeartbeatMovesWhileALongStateIsWritten() {
        var bench = Self.bench()
        var (heartbeat, moved) = (bench.header(1)!.heartbeat, bench.now)
        var answered = bench.now
        bench.checkpoint(1, term: 1, at: (1, 2), Self.state)
        for round in 1...UInt64(100) where bench.header(1)?.checkpoint == nil {
            #expect(Self.written(bench) <= Self.stepByteCount)
            bench.now += 100
            bench.say(1, .heartbeat(round: round, commitIndex: 0), term: 1)
            bench.carryOut(1)
            if bench.header(1)!.heartbeat != heartbeat { (heartbeat, moved) = (bench.header(1)!.heartbeat, bench.now) }
            if bench.takeMessages(1).contains(where: { if case .heartbeatResponse = $0.body { true } else { false } }) {
                answered = bench.now
            }
            #expect(bench.now - moved < 900 && bench.now - answered < 900)
        }
        bench.run(1)
        #expect(bench.header(1)?.checkpoint?.byteCount == Self.state.count)
        #expect(bench.header(1)?.ring.baseIndex == 2)
        #expect(bench.takeMessages(1).contains { $0.body == .appendAccepted(matchIndex: 2) })
        #expect(!bench[1].isTakingCheckpoint)
        #expect(bench.vote(2, term: 2)?.log?.base.index == 2)
        #expect(bench.states[2] == Self.state)
    }

    @Test func entriesAreAcknowledgedWhileALongStateIsWritten() {
        var bench = Self.bench()
        bench.checkpoint(1, term: 1, at: (1, 2), Self.state)
        bench.append(1, term: 1, after: (1, 3), [1])
        var said: [Message.Body] = []
        while said.isEmpty, bench.carryOut(1) { said += bench.takeMessages(1).map(\.body) }
        #expect(said == [.appendAccepted(matchIndex: 4)])
        #expect(bench.header(1)?.checkpoint == nil, "and the state is not whole yet")
        bench.run(1)
        #expect(bench.header(1)?.checkpoint?.snapshot.index == 2)
        #expect(bench.header(1)?.ring.lastIndex == 4)
    }

    /// The next one waits: it would take the extent that the first is being written to.
    @Test func oneLongStateAtATime() {
        var bench = Self.bench()
        bench.checkpoint(1, term: 1, at: (1, 2), Self.state)
        bench.carryOut(1)
        bench.checkpoint(1, term: 1, at: (1, 3), Self.state.reversed())
        while bench.header(1)?.checkpoint == nil, bench.carryOut(1) {}
        #expect(bench.header(1)?.checkpoint?.snapshot.index == 2)
        #expect(bench[1].isTakingCheckpoint)
        bench.run(1)
        #expect(bench.header(1)?.checkpoint?.snapshot.index == 3)
        #expect(bench.vote(2, term: 2)?.log?.base.index == 3)
        #expect(bench.states[2] == Self.state.reversed())
    }

    @Test func whatWasBegunInATermThatIsOverIsNotFinished() {
        var bench = Self.bench()
        bench.checkpoint(1, term: 1, at: (1, 2), Self.state)
        bench.carryOut(1)
        #expect(bench.vote(1, term: 5, last: (1, 3)) != nil)
        #expect(!bench[1].isTakingCheckpoint)
        #expect(bench.header(1)?.checkpoint == nil)
        bench.checkpoint(1, term: 5, at: (1, 3), Self.state)
        bench.run(1)
        #expect(bench.header(1)?.checkpoint?.snapshot.index == 3)
    }

    @Test func aStepThatFailsMeansABarrierAndAFreshBeginning() {
        var bench = Self.bench()
        bench.checkpoint(1, term: 1, at: (1, 2), Self.state)
        bench.carryOut(1)
        bench.fail(1)
        #expect(bench[1].status == .unavailable(.noAnswer))
        #expect(!bench[1].isTakingCheckpoint)
        bench.now += 1000
        bench.step(1, .tick)
        #expect(bench.underWay(1) == "barrier")
        bench.run(1)
        bench.checkpoint(1, term: 1, at: (1, 3), Self.state)
        bench.run(1)
        #expect(bench.vote(2, term: 2)?.log?.base.index == 3)
        #expect(bench.states[2] == Self.state)
    }

    /// Node 2 stands. Returns how many bytes of node 1's checkpoint it read for that.
    private static func stand(_ bench: inout Bench, term: Term) -> Int {
        bench.events[2] = []
        bench.states[2] = nil
        bench.say(2, .voteRequest(lastIndex: 0, lastTerm: 0, force: true), term: term)
        let extents = Self.layout.checkpointOffset(0, 0)..<Self.layout.areaOffset(1)
        var read = 0
        while let batch = bench.batches[2] {
            if case .requests(let requests) = batch.work {
                let bytes = requests.reduce(0) {
                    if case .read(let offset, let count) = $1, extents.contains(offset) { $0 + count } else { $0 }
                }
                #expect(bytes <= Self.stepByteCount)
                read += bytes
            }
            bench.carryOut(2)
        }
        return read
    }

    /// To read it may take longer than an election: whoever stands again finds what was read.
    @Test func aLongStateIsReadOnceForAllElections() {
        var bench = Self.bench()
        bench.checkpoint(1, term: 1, at: (1, 2), Self.state)
        bench.run(1)
        #expect(Self.stand(&bench, term: 2) == Layout.blocks(Self.state.count) * Layout.blockSize)
        #expect(bench.takeVote(2)?.term == 2)
        #expect(bench.states[2] == Self.state)
        #expect(Self.stand(&bench, term: 3) == 0)
        #expect(bench.takeVote(2)?.term == 3)
        #expect(bench.states[2] == Self.state)
        // Not for ever.
        bench.now += DiskVoterLimits().foundStateTicks
        bench.step(2, .tick)
        bench.run(2)
        #expect(Self.stand(&bench, term: 4) > 0)
        // And not beside the state itself, once it leads.
        bench.say(2, .heartbeat(round: 1, commitIndex: 0), term: 4)
        bench.run(2)
        #expect(bench[2].found == nil)
    }

    @Test func aStateOfWhichTheDiskDiedInTheMiddleIsReadOn() {
        var bench = Self.bench()
        bench.checkpoint(1, term: 1, at: (1, 2), Self.state)
        bench.run(1)
        bench.say(2, .voteRequest(lastIndex: 0, lastTerm: 0, force: true), term: 2)
        while bench[2].found?.bytes.count ?? 0 < 2 * Self.stepByteCount, bench.carryOut(2) {}
        bench.fail(2)
        bench.now += 1000
        bench.step(2, .tick)
        bench.run(2)
        #expect(bench[2].status == .ready)
        let whole = Layout.blocks(Self.state.count) * Layout.blockSize
        #expect(Self.stand(&bench, term: 3) == whole - 2 * Self.stepByteCount)
        #expect(bench.states[2] == Self.state)
    }

    @Test func aLongStateThatIsDamagedIsNotAdopted() {
        var bench = Self.bench()
        bench.checkpoint(1, term: 1, at: (1, 2), Self.state)
        bench.run(1)
        let extent = bench.header(1)!.checkpoint!.extent
        bench.disk.blocks[Self.layout.checkpointOffset(0, extent) / 4096 + 9]![7] ^= 1
        #expect(bench.vote(2, term: 2) == nil)
        #expect(bench[2].status == .unavailable(.logUnreadable(0)))
        #expect(bench[2].found == nil, "it is read anew")
    }
}

/// What a disk has room for, and what of it is used.
@Suite struct CheckpointRoomTests {
    private static let layout = Layout(areaCount: 4, ringByteCount: 20 << 20, checkpointByteCount: 16 << 20)

    private static func room(_ mebibytes: Int, plus bytes: Int = 0) -> CheckpointRoom {
        CheckpointRoom(stateByteCount: mebibytes << 20 + bytes, in: self.layout)
    }

    @Test func peopleAreToldBeforeItMatters() {
        #expect(Self.room(12).grade == .enough)
        #expect(Self.room(12).problem == nil)
        #expect(Self.room(12, plus: 1).grade == .scarce)
        #expect(Self.room(12, plus: 1).problem?.contains("(13 MiB) takes more than 3/4") == true)
        #expect(Self.room(16).grade == .scarce)
        #expect(Self.room(16, plus: 1).grade == .exceeded)
        #expect(Self.room(16, plus: 1).problem?.contains("does not fit the quorum disk (16 MiB)") == true)
    }

    @Test func theVoterRemembersThatAStateWasTooLong() {
        var bench = Bench()
        _ = bench.vote(1, term: 1)
        bench.append(1, term: 1, after: (0, 0), [1, 1])
        bench.run(1)
        let limit = testLayout.checkpointByteCount
        bench.checkpoint(1, term: 1, at: (1, 1), [UInt8](repeating: 7, count: limit + 1))
        #expect(bench[1].refusedState == limit + 1)
        #expect(bench[1].status == .ready, "it votes and acknowledges as before")
        bench.checkpoint(1, term: 1, at: (1, 2), [UInt8](repeating: 7, count: limit))
        bench.run(1)
        #expect(bench[1].refusedState == nil)
        #expect(bench.header(1)?.checkpoint?.byteCount == limit)
    }
}
