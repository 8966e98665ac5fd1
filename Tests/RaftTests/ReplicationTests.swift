import Testing

@testable import Raft

/// Progress, windows, snapshots and storage; scenarios of etcd-io/raft's `testdata`, as states.
@Suite struct ReplicationTests {
    /// etcd `async_storage_writes_append_aba_race`: a write of entries that were replaced meanwhile completes late and
    /// proves nothing about the entries of the same index and another term, nor of the same term written anew.
    @Test func asyncStorageWritesAppendABARace() {
        var node = Lockstep.node(7, of: [1, 2, 3, 4, 5, 6, 7], terms: [1])
        let first = node.receive(append(1, 1, [2, 2]), from: 1, term: 2)
        #expect(first.messages.isEmpty)
        // Another leader replaces them, then a third, which has the first one's entries.
        let second = node.receive(append(1, 1, [3]), from: 2, term: 3)
        let third = node.receive(append(1, 1, [2, 2]), from: 3, term: 4)
        #expect(third.messages.isEmpty)
        let afterFirst = node.step(.persisted(sequence: first.write!.sequence), at: later)
        #expect(node.stableIndex == 1)
        #expect(afterFirst.messages.isEmpty)
        let afterSecond = node.step(.persisted(sequence: second.write!.sequence), at: later)
        #expect(node.stableIndex == 1)
        #expect(afterSecond.messages.isEmpty)
        let afterThird = node.step(.persisted(sequence: third.write!.sequence), at: later)
        #expect(node.stableIndex == 3)
        #expect(afterThird.messages.map(\.body) == [.appendAccepted(matchIndex: 3)])
    }

    @Test func anEntryIsAppliedOnlyOnceItIsStableHere() {
        var node = Lockstep.node()
        let effects = node.receive(append(0, 0, [1], commit: 1), from: 2, term: 1)
        #expect(node.commitIndex == 1)
        #expect(effects.committed.isEmpty)
        let done = node.step(.persisted(sequence: effects.write!.sequence), at: later)
        #expect(done.committed.map(\.index) == [1])
    }

    /// etcd `lagging_commit`: a follower that missed the news of a commit gets it with the next heartbeat.
    @Test func laggingCommit() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.pass(100)
        cluster.propose("x", to: 1)
        cluster.settle()
        cluster.propose("y", to: 1)
        // What carries the commit index to 3 is lost.
        while !cluster.queue.isEmpty {
            let message = cluster.queue.removeFirst()
            if message.to == 3, case .append(let append) = message.body, append.commitIndex > 1 { continue }
            cluster.step(message.to, .receive(message))
        }
        #expect(cluster[1].commitIndex == 3)
        #expect(cluster[2].commitIndex == 2)
        #expect(cluster[3].commitIndex == 1)
        #expect(cluster[3].lastIndex == 2)
        // The heartbeat, and what its answer lets the leader send again.
        cluster.pass(100)
        #expect(cluster[3].commitIndex == 3)
    }

    /// A commit of commands alone is no message: the next append says it, or the next heartbeat.
    @Test func aCommitIsToldWithWhatIsSaidNext() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.pass(100)
        cluster.propose("x", to: 1)
        var appends = 0
        while !cluster.queue.isEmpty {
            let message = cluster.queue.removeFirst()
            if case .append = message.body { appends += 1 }
            cluster.step(message.to, .receive(message))
        }
        #expect(appends == 2, "one to each peer")
        #expect(cluster.proposals[0] == .committed(2))
        #expect(cluster[2].commitIndex == 1)
        cluster.propose("y", to: 1)
        cluster.settle()
        #expect(cluster[2].commitIndex == 2)
        #expect(cluster.commands(2) == ["x"])
        cluster.pass(100)
        #expect(cluster.commands(2) == ["x", "y"])
        #expect(cluster.commands(3) == ["x", "y"])
    }

    /// A joining node, and its administrator, wait for these.
    @Test func noOpsAndConfigurationsAreToldAtOnce() {
        var cluster = Lockstep(voters: [1, 2, 3], outsiders: [4])
        cluster.elect(1)
        for id in [NodeID(1), 2, 3] { #expect(cluster[id].commitIndex == 1) }
        cluster.propose("x", to: 1)
        cluster.step(1, .changeConfiguration(token: 7, .addLearner(4)))
        cluster.settle()
        for id in [NodeID(1), 2, 3] { #expect(cluster[id].commitIndex == 3) }
    }

    /// What a peer's disk took in one go is acknowledged in one message, whatever it came in.
    @Test func appendsThatBecomeStableTogetherAreAcknowledgedOnce() {
        var node = Lockstep.node()
        var last: UInt64 = 0
        for index in LogIndex(0)..<5 {
            let effects = node.receive(append(index, index == 0 ? 0 : 1, [1]), from: 2, term: 1)
            #expect(effects.messages.isEmpty)
            last = effects.write!.sequence
        }
        // Its place in the log is behind what it repeats.
        let repeated = node.receive(append(0, 0, [1]), from: 2, term: 1)
        #expect(repeated.messages.isEmpty)
        let done = node.step(.persisted(sequence: last), at: later)
        #expect(done.messages.map(\.body) == [.appendAccepted(matchIndex: 5)])
    }

    /// etcd `heartbeat_resp_recovers_from_probing`: a lost probe is repeated when a heartbeat is answered.
    @Test func heartbeatRespRecoversFromProbing() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.isolated = [3]
        cluster.propose("a", to: 1)
        cluster.propose("b", to: 1)
        cluster.settle()
        // The rejected append makes it a probe, and the probe is lost.
        cluster.isolated = []
        cluster.propose("c", to: 1)
        while !cluster.queue.isEmpty {
            let message = cluster.queue.removeFirst()
            if message.to == 3, case .append(let append) = message.body, append.previousIndex < 3 { continue }
            cluster.step(message.to, .receive(message))
        }
        #expect(cluster[1].progress[3]?.state == .probe)
        #expect(cluster[1].progress[3]?.isProbing == true)
        #expect(cluster[3].lastIndex == 1)
        cluster.pass(125)
        #expect(cluster[1].progress[3]?.state == .replicate)
        #expect(cluster.commands(3) == ["a", "b", "c"])
    }

    /// etcd `slow_follower_after_compaction`: a follower whose next entry is compacted needs the state.
    @Test func slowFollowerAfterCompaction() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.pass(100)
        cluster.isolated = [3]
        for i in 0..<8 { cluster.propose("\(i)", to: 1) }
        cluster.settle()
        cluster.step(1, .compact(through: 6))
        #expect(cluster[1].firstIndex == 7)
        #expect(cluster.disks[1]!.base == Snapshot(index: 6, term: 1, configuration: Configuration(voters: [1, 2, 3])))
        #expect(cluster.snapshotsToSend.isEmpty, "nothing is sent to one that does not answer")
        cluster.isolated = []
        cluster.pass(250)
        #expect(cluster.snapshotsToSend == [3])
        #expect(cluster[1].peers[1].needsSnapshot)
        // Nothing is appended meanwhile, and no second one asked for.
        cluster.propose("more", to: 1)
        cluster.pass(500)
        #expect(cluster.snapshotsToSend == [3])
        #expect(cluster[3].lastIndex == 1)
    }

    /// etcd `snapshot_succeed_via_app_resp`: the receiver's answer ends the snapshot.
    @Test func snapshotSucceedViaAppResp() { self.snapshotSucceeds(at: 9) }

    /// etcd `snapshot_succeed_via_app_resp_behind`: also where what it took is behind the log's end.
    @Test func snapshotSucceedViaAppRespBehind() { self.snapshotSucceeds(at: 8) }

    private func snapshotSucceeds(at index: LogIndex) {
        var cluster = self.withSnapshotPending()
        let snapshot = cluster[1].snapshot(at: index)!
        cluster.step(3, .receive(cluster[1].snapshotMessage(snapshot, to: 3)))
        cluster.settle()
        #expect(cluster[1].progress[3]?.state == .replicate)
        #expect(cluster[3].lastIndex == 9)
        #expect(cluster[3].commitIndex == 9)
        #expect(cluster[3].appliedIndex == 9)
        #expect(cluster[3].configuration == Configuration(voters: [1, 2, 3]))
        cluster.propose("next", to: 1)
        cluster.pass(100)
        #expect(cluster.commands(3).last == "next")
    }

    @Test func aFailedSnapshotIsTriedAgain() {
        var cluster = self.withSnapshotPending()
        cluster.step(1, .snapshotFailed(3))
        #expect(cluster.snapshotsToSend == [3])
        cluster.pass(125)
        #expect(cluster.snapshotsToSend == [3, 3])
    }

    /// A snapshot of what the receiver has already only tells it that this is committed.
    @Test func aSnapshotOfKnownEntriesReplacesNothing() {
        var node = Lockstep.node(terms: [1, 1, 1])
        let snapshot = Snapshot(index: 2, term: 1, configuration: Configuration(voters: [1, 2, 3]))
        let effects = node.receiveAndSync(.snapshot(snapshot), from: 2, term: 1)
        #expect(effects.write?.snapshot == nil)
        #expect(node.lastIndex == 3)
        #expect(node.commitIndex == 2)
        #expect(effects.messages.map(\.body) == [.appendAccepted(matchIndex: 2)])
        let stale = node.receiveAndSync(
            .snapshot(Snapshot(index: 1, term: 1, configuration: Configuration(voters: [9]))), from: 2, term: 1)
        #expect(stale.messages.map(\.body) == [.appendAccepted(matchIndex: 2)])
        #expect(node.configuration.voters == [1, 2, 3])
    }

    private func withSnapshotPending() -> Lockstep {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.isolated = [3]
        for i in 0..<8 { cluster.propose("\(i)", to: 1) }
        cluster.settle()
        cluster.step(1, .compact(through: 8))
        cluster.isolated = []
        cluster.pass(250)
        precondition(cluster.snapshotsToSend == [3])
        return cluster
    }

    // MARK: Limits

    @Test func theWindowOfAppendsIsLimited() {
        var limits = RaftLimits()
        limits.maximumInFlightAppends = 3
        limits.maximumAppendEntries = 2
        var cluster = Lockstep(voters: [1, 2, 3], limits: limits)
        cluster.elect(1)
        cluster.cut = [[3, 1]]
        for i in 0..<20 { cluster.propose("\(i)", to: 1) }
        cluster.settle()
        #expect(cluster[1].progress[3]?.inFlight.count == 3)
        #expect(cluster[3].lastIndex < 10)
        #expect(cluster.commands(1).count == 20)
        cluster.cut = []
        cluster.pass(1000)
        #expect(cluster.commands(3).count == 20)
    }

    @Test func anAppendHoldsOneLongEntryOrManyShortOnes() {
        var limits = RaftLimits()
        limits.maximumAppendByteCount = 1000
        var node = Lockstep.node(limits: limits)
        _ = node.lead()
        for size in [100, 100, 5000, 100] {
            _ = node.stepAndSync(.propose(token: 0, payload: [UInt8](repeating: 0, count: size)))
        }
        // The first answer opens the window.
        let effects = node.receiveAndSync(.appendAccepted(matchIndex: 1), from: 2, term: 1)
        let counts = effects.messages.filter { $0.to == 2 }.compactMap { message -> Int? in
            if case .append(let append) = message.body { append.entries.count } else { nil }
        }
        #expect(counts == [2, 1, 1])
    }

    @Test func proposalsBeyondTheLimitAreDropped() {
        var limits = RaftLimits()
        limits.maximumUncommittedEntries = 3
        limits.maximumProposalByteCount = 10
        var cluster = Lockstep(voters: [1, 2, 3], limits: limits)
        cluster.elect(1)
        cluster.propose("12345678901", to: 1, token: 1)
        #expect(cluster.proposals[1] == .dropped(.tooLarge))
        cluster.isolated = [2, 3]
        for token in UInt64(10)..<14 { cluster.propose("x", to: 1, token: token) }
        #expect(cluster.proposals[12] == nil)
        #expect(cluster.proposals[13] == .dropped(.tooManyUncommitted))
        cluster.isolated = []
        cluster.pass(300)
        #expect(cluster.proposals[12] == .committed(4))
        cluster.propose("x", to: 1, token: 14)
        cluster.settle()
        #expect(cluster.proposals[14] == .committed(5))
    }

    @Test func applicationIsWaitedFor() {
        var limits = RaftLimits()
        limits.maximumUnappliedEntries = 2
        var node = Lockstep.node(limits: limits)
        var effects = node.receiveAndSync(append(0, 0, [1, 1, 1, 1, 1], commit: 5), from: 2, term: 1)
        #expect(effects.committed.map(\.index) == [1, 2])
        effects = node.step(.applied(2), at: later)
        #expect(effects.committed.map(\.index) == [3, 4])
        effects = node.step(.applied(3), at: later)
        #expect(effects.committed.map(\.index) == [5])
    }

    // MARK: Outcomes of proposals

    /// Here it is gone. But the entry that took its place need not be committed, and is lost with a power loss before it is
    /// synced; then this one may be committed yet (seed 48999).
    @Test func ofAnOverwrittenProposalNothingIsClaimed() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.pass(100)
        cluster.isolated = [1]
        cluster.propose("lost", to: 1, token: 3)
        cluster.pass(3000)
        #expect(cluster.proposals[3] == nil, "it may yet come to pass")
        cluster.isolated = []
        cluster.pass(500)
        #expect(cluster.proposals[3] == .dropped(.unknown))
    }

    @Test func aFollowerNamesTheLeader() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.propose("x", to: 2, token: 3)
        #expect(cluster.proposals[3] == .dropped(.notLeader(leader: 1)))
    }

    // MARK: Storage

    @Test func failedStorageStopsTheNodeForGood() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        cluster.slowDisks = [1]
        cluster.isolated = [2, 3]
        cluster.propose("x", to: 1, token: 1)
        cluster.step(1, .storageFailed)
        #expect(cluster.stopped[1] == .storageFailed)
        #expect(cluster[1].role == .stopped)
        #expect(cluster[1].leaseStart == nil)
        #expect(cluster.proposals[1] == .dropped(.unknown))
        // The next fsync may say it succeeded: it is not believed.
        let write = cluster.disks[1]!.pending.last!
        #expect(cluster.step(1, .persisted(sequence: write.sequence)) == Effects())
        #expect(cluster.step(1, .tick(random: 0)) == Effects())
        cluster.propose("y", to: 1, token: 2)
        #expect(cluster.proposals[2] == .dropped(.notLeader(leader: nil)))
    }

    @Test func restoredOldDataIsNoticed() {
        var cluster = Lockstep(voters: [1, 2, 3])
        cluster.elect(1)
        let old = cluster.disks[3]!
        cluster.propose("x", to: 1)
        cluster.pass(200)
        cluster.disks[3] = old
        cluster.restart(3)
        cluster.pass(200)
        #expect(cluster.stopped[3] == .acknowledgedLogLost)
    }

    @Test func aContradictedCommitIsNoticed() {
        var node = Lockstep.node(terms: [1, 1], commit: 2)
        let effects = node.receiveAndSync(append(1, 1, [2]), from: 2, term: 2)
        #expect(effects.stopped == .committedPrefixConflict)
    }

    /// Whatever a peer sends, the node neither traps nor takes it in.
    @Test(arguments: [
        Message(from: 2, to: 1, term: .max, body: append(0, 0, [1])),
        Message(from: 2, to: 1, term: 0, body: .heartbeat(round: 0, commitIndex: 0)),
        Message(from: 0, to: 1, term: 3, body: .voteResponse(granted: true)),
        Message(from: 2, to: 9, term: 3, body: .voteResponse(granted: true)),
        Message(from: 2, to: 1, term: 3, body: append(.max, 1, [1])),
        Message(from: 2, to: 1, term: 3, body: append(0, 4, [])),
        Message(from: 2, to: 1, term: 3, body: append(0, 0, [2, 1])),
        Message(from: 2, to: 1, term: 3, body: append(0, 0, [4])),
        Message(
            from: 2, to: 1, term: 3,
            body: .append(
                Message.Append(
                    previousIndex: 0, previousTerm: 0, entries: [Entry(index: 2, term: 1, payload: .empty)],
                    commitIndex: 0))),
        Message(
            from: 2, to: 1, term: 3,
            body: .append(
                Message.Append(
                    previousIndex: 0, previousTerm: 0,
                    entries: [Entry(index: 1, term: 1, payload: .configuration(Configuration()))], commitIndex: 0))),
        Message(from: 2, to: 1, term: 3, body: .snapshot(Snapshot(index: .max, term: 1))),
        Message(from: 2, to: 1, term: 3, body: .snapshot(Snapshot(index: 5, term: 1))),
    ])
    func nonsenseIsDropped(message: Message) {
        var node = Lockstep.node()
        let effects = node.step(.receive(message), at: later)
        #expect(effects == Effects())
        #expect(node.term == 0)
    }

    @Test(arguments: [
        Message.Body.appendAccepted(matchIndex: .max),
        .appendRejected(previousIndex: .max, hintIndex: .max, hintTerm: .max),
        .appendRejected(previousIndex: 0, hintIndex: 0, hintTerm: 0), .heartbeatResponse(round: .max),
        .heartbeat(round: .max, commitIndex: .max), append(0, 0, [1]), .timeoutNow(round: .max),
        .voteResponse(granted: true), .preVoteResponse(granted: true),
    ])
    func aLeaderSurvivesNonsenseOfItsOwnTerm(body: Message.Body) {
        var node = Lockstep.node()
        _ = node.lead()
        _ = node.receive(body, from: 2, term: 1)
        #expect(node.isLeader)
        #expect(node.commitIndex == 0)
    }
}
