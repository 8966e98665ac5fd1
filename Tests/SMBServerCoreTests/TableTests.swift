import SMB2Wire
import SMBServerCore
import Testing

@Suite struct SequenceWindowTests {
    @Test func anIDIsUsedOnce() {
        var window = SequenceWindow()
        #expect(window.consume(0, charge: 1))
        #expect(!window.consume(0, charge: 1))
        #expect(!window.consume(1, charge: 1), "not granted yet")
        #expect(window.grant(2) == 2)
        #expect(window.consume(2, charge: 1), "in any order")
        #expect(window.consume(1, charge: 1))
        #expect(!window.consume(1, charge: 1))
    }

    @Test func aChargeTakesConsecutiveIDs() {
        var window = SequenceWindow()
        _ = window.consume(0, charge: 1)
        _ = window.grant(8)
        #expect(window.consume(1, charge: 4))
        #expect(!window.consume(4, charge: 1), "the fourth of the charge")
        #expect(!window.consume(5, charge: 5), "reaches past the window")
        #expect(window.consume(5, charge: 4))
    }

    @Test func aSkippedIDKeepsTheWindowFromMovingOn() {
        var window = SequenceWindow()
        _ = window.consume(0, charge: 1)
        var granted = Int(window.grant(8192))
        #expect(granted == 8192)
        for id in UInt64(2)...8192 { #expect(window.consume(id, charge: 1)) }
        granted = Int(window.grant(100))
        #expect(granted == 0, "id 1 is still out")
        #expect(window.consume(1, charge: 1))
        #expect(window.grant(100) == 100)
    }

    @Test func hugeIDsAreOutside() {
        var window = SequenceWindow()
        #expect(!window.consume(.max, charge: 1))
        #expect(!window.consume(.max, charge: .max))
    }
}

@Suite struct ByteRangeLockTests {
    private func lock(_ offset: UInt64, _ length: UInt64, exclusive: Bool = true, owner: UInt64 = 1) -> ByteRangeLock {
        ByteRangeLock(offset: offset, length: length, isExclusive: exclusive, owner: owner)
    }

    @Test(
        arguments: [
            // held, wanted, refused
            (0, 10, true, 5, 10, true, true), (0, 10, true, 10, 10, true, false), (0, 10, false, 5, 1, false, false),
            (0, 10, false, 5, 1, true, true), (5, 0, true, 0, 10, true, true), (5, 0, true, 5, 10, true, false),
            (5, 0, true, 5, 0, true, false), (0, UInt64.max, true, .max - 1, 1, true, true),
            (.max, 1, true, .max, 1, true, true), (0, 10, true, 100, 0, true, false),
        ] as [(UInt64, UInt64, Bool, UInt64, UInt64, Bool, Bool)])
    func overlap(
        _ offset: UInt64, _ length: UInt64, _ exclusive: Bool, _ other: UInt64, _ otherLength: UInt64,
        _ otherExclusive: Bool, _ refused: Bool
    ) {
        var locks = ByteRangeLocks()
        #expect(locks.add(self.lock(offset, length, exclusive: exclusive)))
        #expect(locks.refuses(self.lock(other, otherLength, exclusive: otherExclusive, owner: 2)) == refused)
    }

    @Test func aSharedLockStacksOnOnesOwnExclusiveOne() {
        var locks = ByteRangeLocks()
        _ = locks.add(self.lock(0, 10))
        #expect(!locks.refuses(self.lock(0, 10, exclusive: false)))
        #expect(locks.refuses(self.lock(0, 10)), "an exclusive one does not")
        _ = locks.add(self.lock(0, 10, exclusive: false))
        #expect(locks.remove(offset: 0, length: 10, owner: 1), "the exclusive one goes first")
        #expect(!locks.refusesRead(offset: 0, length: 1, by: 2))
        #expect(locks.refusesWrite(offset: 0, length: 1, by: 1), "not even the owner writes under a shared lock")
    }

    @Test func onlyExactlyTheSameRangeIsUnlocked() {
        var locks = ByteRangeLocks()
        _ = locks.add(self.lock(0, 10))
        #expect(!locks.remove(offset: 0, length: 9, owner: 1))
        #expect(!locks.remove(offset: 0, length: 10, owner: 2))
        #expect(locks.remove(offset: 0, length: 10, owner: 1))
        #expect(locks.isEmpty)
    }

    @Test func ranges() {
        #expect(ByteRangeLocks.isValid(offset: .max, length: 1))
        #expect(!ByteRangeLocks.isValid(offset: .max, length: 2))
        #expect(ByteRangeLocks.isValid(offset: .max, length: 0))
        #expect(!ByteRangeLocks.isValid(offset: 1, length: .max))
    }
}

@Suite struct SlotTableTests {
    @Test func aStaleKeyFindsNothing() throws {
        var table = SlotTable<Int>(limit: 2)
        let first = try #require(table.insert(1))
        table.remove(first)
        let second = try #require(table.insert(2))
        #expect(first != second)
        #expect(table[first] == nil)
        table[first] = 5
        #expect(table[second] == 2, "writing through a stale key changes nothing")
        #expect(table.insert(3) != nil)
        #expect(table.insert(4) == nil, "the limit")
    }

    @Test func narrowKeysFitInto32BitsForever() throws {
        var table = SlotTable<Int>(limit: 4096, seed: .max, width: .narrow)
        for round in 0..<300_000 {
            let key = try #require(table.insert(round))
            #expect(key != 0 && key <= UInt64(UInt32.max))
            table.remove(key)
        }
    }

    @Test func keysThatMeanNothingFindNothing() {
        var table = SlotTable<Int>(limit: 2)
        _ = table.insert(1)
        for key in [0, .max, 1 << 32, UInt64(UInt32.max)] { #expect(table[key] == nil) }
    }
}

@Suite struct ShareModeTests {
    @Test(
        arguments: [
            (AccessMask.readData, ShareAccess.read, AccessMask.readData, ShareAccess.read, false),
            (.readData, .read, .writeData, .all, true), (.readData, .all, .writeData, .write, true),
            (.readAttributes, [], .fileAll, [], false), (.delete, .all, .readData, [.read, .write], true),
            (.execute, .all, .readData, .write, true), (.appendData, .all, .readData, .read, true),
        ] as [(AccessMask, ShareAccess, AccessMask, ShareAccess, Bool)])
    func conflicts(
        _ access: AccessMask, _ share: ShareAccess, _ other: AccessMask, _ otherShare: ShareAccess, _ refused: Bool
    ) {
        #expect(ShareMode.conflict(access, share, with: other, otherShare) == refused)
        #expect(ShareMode.conflict(other, otherShare, with: access, share) == refused)
    }
}
