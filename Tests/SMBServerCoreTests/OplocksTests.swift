import SMB2Wire
import SMBServerCore
import Testing

/// The value that decides. [MS-FSA] 2.1.4.12, 2.1.5.17, 2.1.5.18.
@Suite struct OplocksTests {
    static let alice = LeaseID(clientGUID: GUID(low: 1, high: 1), key: GUID(low: 0xA, high: 0))
    static let bob = LeaseID(clientGUID: GUID(low: 2, high: 2), key: GUID(low: 0xB, high: 0))
    static let writing: AccessMask = [.readData, .writeData]

    /// "RWH" in any order.
    static func state(_ letters: String) -> LeaseState {
        letters.reduce(into: []) { state, letter in
            switch letter {
            case "R": state.insert(.readCaching)
            case "W": state.insert(.writeCaching)
            case "H": state.insert(.handleCaching)
            default: Issue.record("\(letter)")
            }
        }
    }

    private static func lease(_ id: LeaseID, epoch: UInt16 = 0) -> Lease {
        Lease(id: id, version: 2, epoch: epoch, parentKey: nil)
    }

    private func granting(_ state: String, epoch: UInt16 = 10) -> Oplocks {
        var oplocks = Oplocks()
        oplocks.grant(
            Oplocks.Request(
                owner: .lease(Self.alice), open: 1, state: Self.state(state),
                lease: Self.lease(Self.alice, epoch: epoch)))
        return oplocks
    }

    @Test(arguments: [
        ("", ""), ("R", "R"), ("H", ""), ("W", ""), ("RH", "RH"), ("RW", "RW"), ("HW", ""), ("RHW", "RHW"),
    ])
    func nothingIsCachedWithoutReading(wanted: String, granted: String) {
        #expect(self.granting(wanted).holder(.lease(Self.alice))?.state == Self.state(granted))
    }

    /// Held, wanted by another, left to the holder, granted to the other.
    @Test(arguments: [
        ("R", "RHW", "R", "RH"), ("RH", "RW", "RH", "R"), ("RH", "RHW", "RH", "RH"), ("RW", "R", "R", "R"),
        ("RW", "RHW", "R", "RH"), ("RHW", "RHW", "RH", "RH"), ("RHW", "RW", "RH", "R"),
    ])
    func aSecondLease(held: String, wanted: String, left: String, granted: String) {
        var oplocks = self.granting(held)
        let check = oplocks.check(.open(Self.writing, overwrites: false), by: .lease(Self.bob), now: 0)
        #expect(check.mustWait == held.contains("W"))
        #expect(check.notices.count == (held == left ? 0 : 1))
        if held != left {
            #expect(oplocks.acknowledge(.lease(Self.alice), Self.state(left), now: 0) == .accepted([], isOver: true))
        }
        oplocks.grant(
            Oplocks.Request(
                owner: .lease(Self.bob), open: 2, state: Self.state(wanted), lease: Self.lease(Self.bob),
                hasOtherOpens: true))
        #expect(oplocks.holder(of: 1)?.state == Self.state(left))
        #expect(oplocks.holder(of: 2)?.state == Self.state(granted))
        // What one holds is not taken up while the other has the file.
        oplocks.grant(
            Oplocks.Request(
                owner: .lease(Self.alice), open: 3, state: .all, lease: Self.lease(Self.alice), hasOtherOpens: true))
        #expect(oplocks.holder(of: 3)?.state == Self.state(left))
    }

    /// A lease held, an oplock wanted: what the oplock is.
    @Test(arguments: [
        ("R", OplockLevel.batch, OplockLevel.levelII), ("RH", .levelII, .none), ("RH", .batch, .none),
        ("R", .exclusive, .levelII),
    ])
    func anOplockBesideALease(held: String, wanted: OplockLevel, granted: OplockLevel) {
        var oplocks = self.granting(held)
        oplocks.grant(
            Oplocks.Request(owner: .open(2), open: 2, state: wanted.caching, lease: nil, hasOtherOpens: true))
        #expect(OplockLevel(caching: oplocks.holder(of: 2)?.state ?? []) == granted)
    }

    @Test func aLeaseBesideAnOplockCachesNoHandle() {
        var oplocks = Oplocks()
        oplocks.grant(Oplocks.Request(owner: .open(1), open: 1, state: OplockLevel.levelII.caching, lease: nil))
        oplocks.grant(
            Oplocks.Request(
                owner: .lease(Self.bob), open: 2, state: .all, lease: Self.lease(Self.bob), hasOtherOpens: true))
        #expect(oplocks.holder(of: 2)?.state == .readCaching)
    }

    @Test(arguments: [
        ("", "RWH", "RWH"), ("R", "RH", "RH"), ("RH", "RW", "RH"), ("RW", "RH", "RW"), ("RWH", "R", "RWH"),
        ("RH", "RWH", "RWH"),
    ])
    func aLeaseIsOnlyTakenUp(held: String, wanted: String, expected: String) {
        var oplocks = self.granting(held)
        let epoch = oplocks.holder(of: 1)?.lease?.epoch ?? 0
        oplocks.grant(
            Oplocks.Request(
                owner: .lease(Self.alice), open: 2, state: Self.state(wanted), lease: Self.lease(Self.alice)))
        #expect(oplocks.holder(of: 2)?.state == Self.state(expected))
        #expect(oplocks.holder(of: 2)?.lease?.epoch == (held == expected ? epoch : epoch + 1))
        #expect(oplocks.holders.count == 1)
    }

    /// The first waits until all is given up that others asked for meanwhile, step by step.
    @Test func breaksFollowEachOther() {
        var oplocks = self.granting("RWH")
        let owner = Oplocks.Owner.lease(Self.alice)
        func epoch() -> UInt16 { oplocks.holder(owner)?.lease?.epoch ?? 0 }
        var check = oplocks.check(.open(Self.writing, overwrites: false), by: nil, now: 0)
        #expect(check.notices.map(\.to) == [Self.state("RH")])
        #expect(check.mustWait)
        #expect(epoch() == 12)
        check = oplocks.check(.open(Self.writing, overwrites: true), by: nil, now: 0)
        #expect(check.notices.isEmpty, "one break at a time")
        #expect(check.mustWait)
        #expect(oplocks.acknowledge(owner, .all, now: 0) == .refused)
        let handles = Oplocks.Notice(
            owner: owner, from: Self.state("RH"), to: Self.state("R"), needsAcknowledgement: true)
        #expect(oplocks.acknowledge(owner, Self.state("RH"), now: 0) == .accepted([handles], isOver: false))
        let reading = Oplocks.Notice(owner: owner, from: Self.state("R"), to: [], needsAcknowledgement: false)
        #expect(oplocks.acknowledge(owner, Self.state("R"), now: 0) == .accepted([reading], isOver: true))
        #expect(epoch() == 12, "one change of state for the client")
        #expect(oplocks.acknowledge(owner, [], now: 0) == .notBreaking)
    }

    @Test func overwritingWaitsForWritersOnly() {
        var oplocks = self.granting("RH")
        let check = oplocks.check(.open(Self.writing, overwrites: true), by: nil, now: 0)
        #expect(check.notices.first?.to == [])
        #expect(!check.mustWait)
        #expect(oplocks.holder(of: 1)?.state == Self.state("RH"), "until it says so")
    }

    @Test func readCachingIsGivenUpWithoutAWord() {
        var oplocks = self.granting("R")
        let check = oplocks.check(.change, by: nil, now: 0)
        #expect(
            check.notices == [.init(owner: .lease(Self.alice), from: .readCaching, to: [], needsAcknowledgement: false)]
        )
        #expect(oplocks.holder(of: 1)?.state == [])
        #expect(oplocks.acknowledge(.lease(Self.alice), [], now: 0) == .notBreaking)
    }

    @Test func aConflictTakesTheHandleAlone() {
        var oplocks = self.granting("RWH")
        let check = oplocks.check(.conflictingOpen, by: nil, now: 0)
        #expect(check.notices.first?.to == Self.state("RW"))
        #expect(check.mustWait)
        var batch = Oplocks()
        batch.grant(Oplocks.Request(owner: .open(1), open: 1, state: OplockLevel.batch.caching, lease: nil))
        #expect(batch.check(.conflictingOpen, by: nil, now: 0).notices.first?.to == .readCaching, "level II")
        var exclusive = Oplocks()
        exclusive.grant(Oplocks.Request(owner: .open(1), open: 1, state: OplockLevel.exclusive.caching, lease: nil))
        #expect(exclusive.check(.conflictingOpen, by: nil, now: 0) == .init(), "it caches no handle")
    }

    @Test func whoeverLooksAtAttributesDisturbsNobody() {
        var oplocks = self.granting("RWH")
        #expect(
            oplocks.check(.open([.readAttributes, .synchronize, .readControl], overwrites: false), by: nil, now: 0)
                == .init())
        var batch = Oplocks()
        batch.grant(Oplocks.Request(owner: .open(1), open: 1, state: OplockLevel.batch.caching, lease: nil))
        #expect(batch.check(.open(.readAttributes, overwrites: false), by: nil, now: 0) == .init())
        #expect(batch.check(.open(.readControl, overwrites: false), by: nil, now: 0).mustWait)
    }

    @Test func ownWritingTakesLevelIIButNoLease() {
        var oplocks = Oplocks()
        oplocks.grant(Oplocks.Request(owner: .open(1), open: 1, state: OplockLevel.levelII.caching, lease: nil))
        #expect(oplocks.check(.change, by: .open(1), now: 0).notices.count == 1)
        var lease = self.granting("RH")
        #expect(lease.check(.change, by: .lease(Self.alice), now: 0) == .init())
        var exclusive = Oplocks()
        exclusive.grant(Oplocks.Request(owner: .open(1), open: 1, state: OplockLevel.exclusive.caching, lease: nil))
        #expect(exclusive.check(.change, by: .open(1), now: 0) == .init())
    }

    @Test func silenceIsConsent() {
        var oplocks = self.granting("RWH")
        _ = oplocks.check(.open(Self.writing, overwrites: false), by: nil, now: 100)
        #expect(oplocks.overdue(now: 100 + Limits.breakMilliseconds - 1).isEmpty)
        #expect(oplocks.overdue(now: 100 + Limits.breakMilliseconds).count == 1)
        let (isRevoked, again) = (oplocks.revoke(.lease(Self.alice)), oplocks.revoke(.lease(Self.alice)))
        #expect(isRevoked && !again)
        #expect(oplocks.holder(of: 1)?.state == [])
    }

    /// The client comes back too late to hear of a break: whoever waited for it was sent away, whoever did not has done
    /// what it wanted.
    @Test func whatWasDoneWithoutWaitingOutlivesItsBreak() {
        let owner = Oplocks.Owner.lease(Self.alice)
        var waitedFor = self.granting("RH")
        #expect(waitedFor.check(.conflictingOpen, by: nil, now: 0).mustWait)
        waitedFor.markUntold(owner)
        waitedFor.forgetBreak(owner)
        #expect(waitedFor.holder(owner)?.state == Self.state("RH"))
        #expect(waitedFor.holder(owner)?.lease?.epoch == 11)

        var changed = self.granting("RH")
        #expect(!changed.check(.change, by: nil, now: 0).mustWait)
        changed.markUntold(owner)
        #expect(changed.holder(owner)?.state == Self.state("RH"), "it may still be told")
        #expect(changed.holder(owner)?.lease?.epoch == 11)
        changed.forgetBreak(owner)
        #expect(changed.holder(owner)?.state == [])
        #expect(changed.holder(owner)?.lease?.epoch == 12)
        #expect(!changed.isBreaking)
    }

    /// A client was told of one break when others changed the file: what it has lost has an epoch that it cannot know.
    @Test func whatIsLostMeanwhileHasAnEpochOfItsOwn() {
        let owner = Oplocks.Owner.lease(Self.alice)
        var oplocks = self.granting("RH")
        #expect(oplocks.check(.conflictingOpen, by: nil, now: 0).losers.isEmpty)
        oplocks.markTold(owner, over: 7)
        #expect(oplocks.holder(owner)?.lease?.epoch == 12)
        #expect(oplocks.holder(owner)?.withoutBreak.state == Self.state("RH"))
        #expect(oplocks.check(.change, by: nil, now: 0).losers == [owner])
        #expect(oplocks.check(.change, by: nil, now: 0).losers.isEmpty, "it is said once")
        #expect(oplocks.holder(owner)?.withoutBreak.state == [])
        #expect(oplocks.holder(owner)?.withoutBreak.lease?.epoch == 13)
        oplocks.markUntold(owner)
        #expect(oplocks.holder(owner)?.withoutBreak.lease?.epoch == 13)
        #expect(oplocks.tell(owner, now: 0)?.to == .readCaching)
        #expect(oplocks.holder(owner)?.lease?.epoch == 12)
        #expect(oplocks.holder(owner)?.withoutBreak.state == [], "it has not acknowledged that")
        let reading = Oplocks.Notice(owner: owner, from: .readCaching, to: [], needsAcknowledgement: false)
        #expect(oplocks.acknowledge(owner, .readCaching, now: 0) == .accepted([reading], isOver: true))
    }

    @Test func thereIsALimit() {
        var oplocks = Oplocks()
        for open in 1...UInt64(Limits.cachingHoldersPerFile) + 1 {
            oplocks.grant(
                Oplocks.Request(
                    owner: .open(open), open: open, state: .readCaching, lease: nil, hasOtherOpens: open > 1))
        }
        #expect(oplocks.holders.count == Limits.cachingHoldersPerFile)
    }
}
