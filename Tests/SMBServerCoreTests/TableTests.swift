import SMB2Wire
import SMBServerCore
import Testing

/// `#expect` for expressions that change what they look at, which the macro cannot take apart.
private func check(_ holds: Bool, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(holds, comment, sourceLocation: sourceLocation)
}

@Suite struct SequenceWindowTests {
    @Test func anIDIsUsedOnce() {
        var window = SequenceWindow()
        check(window.consume(0, charge: 1))
        check(!window.consume(0, charge: 1))
        check(!window.consume(1, charge: 1), "not granted yet")
        check(window.grant(2) == 2)
        check(window.consume(2, charge: 1), "in any order")
        check(window.consume(1, charge: 1))
        check(!window.consume(1, charge: 1))
    }

    @Test func aChargeTakesConsecutiveIDs() {
        var window = SequenceWindow()
        _ = window.consume(0, charge: 1)
        _ = window.grant(8)
        check(window.consume(1, charge: 4))
        check(!window.consume(4, charge: 1), "the fourth of the charge")
        check(!window.consume(5, charge: 5), "reaches past the window")
        check(window.consume(5, charge: 4))
    }

    @Test func aSkippedIDKeepsTheWindowFromMovingOn() {
        var window = SequenceWindow()
        _ = window.consume(0, charge: 1)
        var granted = Int(window.grant(8192))
        check(granted == 8192)
        for id in UInt64(2)...8192 { check(window.consume(id, charge: 1)) }
        granted = Int(window.grant(100))
        check(granted == 0, "id 1 is still out")
        check(window.consume(1, charge: 1))
        check(window.grant(100) == 100)
    }

    @Test func hugeIDsAreOutside() {
        var window = SequenceWindow()
        check(!window.consume(.max, charge: 1))
        check(!window.consume(.max, charge: .max))
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
        check(locks.add(self.lock(offset, length, exclusive: exclusive)))
        check(locks.refuses(self.lock(other, otherLength, exclusive: otherExclusive, owner: 2)) == refused)
    }

    @Test func aSharedLockStacksOnOnesOwnExclusiveOne() {
        var locks = ByteRangeLocks()
        _ = locks.add(self.lock(0, 10))
        check(!locks.refuses(self.lock(0, 10, exclusive: false)))
        check(locks.refuses(self.lock(0, 10)), "an exclusive one does not")
        _ = locks.add(self.lock(0, 10, exclusive: false))
        check(locks.remove(offset: 0, length: 10, owner: 1), "the exclusive one goes first")
        check(!locks.refusesRead(offset: 0, length: 1, by: 2))
        check(locks.refusesWrite(offset: 0, length: 1, by: 1), "not even the owner writes under a shared lock")
    }

    @Test func onlyExactlyTheSameRangeIsUnlocked() {
        var locks = ByteRangeLocks()
        _ = locks.add(self.lock(0, 10))
        check(!locks.remove(offset: 0, length: 9, owner: 1))
        check(!locks.remove(offset: 0, length: 10, owner: 2))
        check(locks.remove(offset: 0, length: 10, owner: 1))
        check(locks.isEmpty)
    }

    @Test func ranges() {
        check(ByteRangeLocks.isValid(offset: .max, length: 1))
        check(!ByteRangeLocks.isValid(offset: .max, length: 2))
        check(ByteRangeLocks.isValid(offset: .max, length: 0))
        check(ByteRangeLocks.isValid(offset: 1, length: .max))
        check(!ByteRangeLocks.isValid(offset: 2, length: .max))
    }
}

@Suite struct SlotTableTests {
    @Test func aStaleKeyFindsNothing() throws {
        var table = SlotTable<Int>(limit: 2)
        let inserted = table.insert(1)
        let first = try #require(inserted)
        table.remove(first)
        let reused = table.insert(2)
        let second = try #require(reused)
        check(first != second)
        check(table[first] == nil)
        table[first] = 5
        check(table[second] == 2, "writing through a stale key changes nothing")
        check(table.insert(3) != nil)
        check(table.insert(4) == nil, "the limit")
    }

    @Test func narrowKeysFitInto32BitsForever() throws {
        var table = SlotTable<Int>(limit: 4096, seed: .max, width: .narrow)
        for round in 0..<300_000 {
            let inserted = table.insert(round)
            let key = try #require(inserted)
            check(key != 0 && key <= UInt64(UInt32.max))
            table.remove(key)
        }
    }

    /// SessionIds: unique, found again, and not the next server's.
    @Test func scrambledKeysFitInto32BitsAndDifferFromSeedToSeed() throws {
        var seen: [Set<UInt64>] = []
        for seed in [UInt32(1), 2] {
            var table = SlotTable<Int>(limit: 65_536, seed: seed, width: .scrambled)
            var keys: Set<UInt64> = []
            for number in 0..<65_536 {
                let inserted = table.insert(number)
                let key = try #require(inserted)
                check(key != 0 && key <= UInt64(UInt32.max) && keys.insert(key).inserted)
                check(table[key] == number)
            }
            check(table[0] == nil && table[.max] == nil && table[keys.first.map { $0 | 1 << 32 } ?? 0] == nil)
            let key = try #require(keys.min())
            table.remove(key)
            let reused = table.insert(-1)
            check(try #require(reused) != key && table[key] == nil)
            seen.append(keys)
        }
        // Of 2^32 numbers both have drawn 2^16: about one in common is to be expected.
        check(seen[0].intersection(seen[1]).count < 16)
    }

    @Test func keysThatMeanNothingFindNothing() {
        var table = SlotTable<Int>(limit: 2)
        _ = table.insert(1)
        for key in [0, .max, 1 << 32, UInt64(UInt32.max)] { check(table[key] == nil) }
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
        check(ShareMode.conflict(access, share, with: other, otherShare) == refused)
        check(ShareMode.conflict(other, otherShare, with: access, share) == refused)
    }
}
