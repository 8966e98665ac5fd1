import Testing

@testable import Fencing

@Suite struct FenceKeyTests {
    @Test func packing() {
        let key = FenceKey(node: 0x0102, term: 0xA1B2_C3D4)
        #expect(key.raw == 0x4846_0102_A1B2_C3D4)
        #expect(FenceKey(raw: key.raw) == key)
        #expect(FenceKey(raw: 0x4847_0102_A1B2_C3D4) == nil)
        #expect(FenceKey(raw: 0) == nil)
        #expect(keyText(0xABCDEF) == "0x0000000000abcdef")
        #expect(keyText(key.raw) == "0x48460102a1b2c3d4 (node 258, term 2712847316)")
    }
}

@Suite struct FenceStateTests {
    private let own = FenceKey(node: 1, term: 5)

    private func verdict(_ keys: [UInt64], _ reservation: Reservation?) -> FenceState.Verdict {
        FenceState(generation: 3, keys: keys, reservation: reservation).verdict(for: self.own)
    }

    @Test func ourKeyHoldsIt() {
        #expect(self.verdict([self.own.raw], Reservation(key: self.own.raw, type: 5)) == .ours)
        // tgt forgets registrations at login, but the ghost keeps the reservation.
        #expect(self.verdict([], Reservation(key: self.own.raw, type: 5)) == .ours)
    }

    @Test func anotherHolderMeansFenced() {
        let other = FenceKey(node: 2, term: 6).raw
        #expect(self.verdict([other], Reservation(key: other, type: 5)) == .fenced(by: other))
        #expect(self.verdict([self.own.raw], Reservation(key: 0xABC, type: 5)) == .fenced(by: 0xABC))
        // A reservation of another type is not the one we made, even under our key.
        #expect(self.verdict([self.own.raw], Reservation(key: self.own.raw, type: 1)) == .fenced(by: self.own.raw))
    }

    @Test func aNewerTermInTheMiddleOfItsTakeoverMeansFenced() {
        let newer = FenceKey(node: 2, term: 6).raw
        #expect(self.verdict([self.own.raw, newer], nil) == .fenced(by: newer))
        let rival = FenceKey(node: 2, term: 5).raw
        #expect(self.verdict([rival], nil) == .fenced(by: rival))
    }

    @Test func nothingThereMustBeAsked() {
        #expect(self.verdict([], nil) == .forgotten)
        #expect(self.verdict([self.own.raw], nil) == .forgotten)
        #expect(self.verdict([FenceKey(node: 2, term: 4).raw], nil) == .forgotten)
    }

    @Test func foreignAndNewestKeys() {
        let state = FenceState(
            generation: 1, keys: [self.own.raw, 7, FenceKey(node: 2, term: 9).raw],
            reservation: Reservation(key: 8, type: 5))
        #expect(state.foreignKeys == [7, 8])
        #expect(state.newest == FenceKey(node: 2, term: 9))
        #expect(state.holder == nil)
    }

    /// What an earlier term of the same node had in flight: registered, or only holding (a ghost), and never of another node.
    @Test func onlyAnOlderKeyOfTheSameNodeIsItsOwnPast() {
        let next = FenceKey(node: self.own.node, term: self.own.term + 1)
        func isPast(_ keys: [UInt64], _ holder: UInt64? = nil) -> Bool {
            FenceState(generation: 1, keys: keys, reservation: holder.map { Reservation(key: $0, type: 5) })
                .hasOlderKey(than: next)
        }
        #expect(isPast([self.own.raw]))
        #expect(isPast([], self.own.raw))
        #expect(!isPast([next.raw], next.raw))
        #expect(!isPast([FenceKey(node: 2, term: 1).raw, 7]))
        #expect(!isPast([]))
    }
}

@Suite struct GenerationWatchTests {
    private func restarts(_ generations: [UInt32], after last: UInt32 = 0) -> [Bool] {
        var watch = GenerationWatch(last: last)
        return generations.map { watch.sees($0) }
    }

    /// The first look may be at a target that has seen much; a restart is said once, and from there it counts anew.
    @Test func onlyARestartGoesBack() {
        #expect(self.restarts([17, 17, 19, 0, 0, 1]) == [false, false, false, true, false, false])
    }

    /// Registrations after the restart do not hide it, nor does a bridge that began in between.
    @Test func whatTheBridgeBeforeSawCounts() {
        #expect(self.restarts([2, 3], after: 19) == [true, false])
    }
}
