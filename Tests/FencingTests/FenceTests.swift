import Testing

@testable import ClusterPlatform

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

@Suite struct SCSICommandTests {
    @Test func goldenBlocks() {
        #expect(
            SCSICommand.read16(block: 0x0102_0304_0506_0708, count: 0x11, blockSize: 512).block
                == [0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0x11, 0, 0])
        #expect(SCSICommand.write16(block: 1, count: 2, blockSize: 4096).byteCount == 8192)
        #expect(SCSICommand.writeSame16(block: 1, count: 2, blockSize: 512, unmap: true).block[1] == 0x08)
        #expect(SCSICommand.writeSame16(block: 1, count: 2, blockSize: 512, unmap: false).block[1] == 0)
        #expect(
            SCSICommand.persistentReserveIn(.reservation, byteCount: 24).block == [0x5E, 1, 0, 0, 0, 0, 0, 0, 24, 0])
        #expect(SCSICommand.persistentReserveOut(.preemptAndAbort).block == [0x5F, 5, 5, 0, 0, 0, 0, 0, 24, 0])
        #expect(
            SCSICommand.reservationParameters(key: 1, serviceActionKey: 2)
                == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func keysAndEveryTruncation() throws {
        let bytes: [UInt8] = [0, 0, 0, 9, 0, 0, 0, 16] + bigEndian(UInt64(5)) + bigEndian(UInt64(6))
        let parsed = try #require(ISCSISession.parseKeys(bytes))
        #expect(parsed.generation == 9)
        #expect(parsed.keys == [5, 6])
        for count in 0..<bytes.count { #expect(ISCSISession.parseKeys(Array(bytes[..<count])) == nil) }
        #expect(ISCSISession.parseKeys([0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]) == nil)
        #expect(ISCSISession.parseKeys([0, 0, 0, 9, 0xFF, 0xFF, 0xFF, 0xF8]) == nil)
    }

    /// APTPL is bit 0 of byte 20, SPC-4 table 205.
    @Test func registrationsThatAreToPersist() {
        #expect(SCSICommand.reservationParameters(key: 0, serviceActionKey: 2, persists: true)[20] == 1)
    }

    @Test func fullStatusAndEveryTruncation() throws {
        let transport: [UInt8] = [5, 0, 0, 4, 0x69, 0x71, 0x6E, 0]
        func registration(_ key: UInt64, _ flags: UInt8, port: UInt16) -> [UInt8] {
            bigEndian(key) + [0, 0, 0, 0, flags, 5, 0, 0, 0, 0] + bigEndian(port) + bigEndian(UInt32(transport.count))
                + transport
        }
        let list = registration(5, 1, port: 1) + registration(5, 0, port: 2)
        let bytes = bigEndian(UInt32(9)) + bigEndian(UInt32(list.count)) + list
        #expect(
            ISCSISession.parseFullStatus(bytes) == [
                Registration(key: 5, isHolder: true, targetPort: 1),
                Registration(key: 5, isHolder: false, targetPort: 2),
            ])
        #expect(ISCSISession.parseFullStatus([0, 0, 0, 9, 0, 0, 0, 0]) == [])
        for count in 0..<bytes.count { #expect(ISCSISession.parseFullStatus(Array(bytes[..<count])) == nil) }
        // A transport identifier that would reach past the end.
        var overlong = bytes
        overlong[8 + 23] = 200
        #expect(ISCSISession.parseFullStatus(overlong) == nil)
    }

    @Test func reservationAndEveryTruncation() {
        let bytes: [UInt8] = [0, 0, 0, 9, 0, 0, 0, 16] + bigEndian(UInt64(5)) + [0, 0, 0, 0, 0, 0x05, 0, 0]
        #expect(ISCSISession.parseReservation(bytes) == .some(Reservation(key: 5, type: 5)))
        #expect(ISCSISession.parseReservation([0, 0, 0, 9, 0, 0, 0, 0]) == .some(nil))
        for count in 0..<bytes.count { #expect(ISCSISession.parseReservation(Array(bytes[..<count])) == .none) }
    }

    @Test(
        arguments: [
            (0, 0, 0, CommandOutcome.success), (0x18, 0, 0, .verify), (2, 6, 0x2A03, .verify), (2, 6, 0x2A05, .verify),
            (2, 6, 0x2A09, .again),
            (2, 6, 0x2900, .verify), (2, 6, 0x3F0E, .again), (8, 0, 0, .later), (0x28, 0, 0, .later),
            (0x40, 0, 0, .verify),
            (2, 3, 0x1100, .failure(errno: 5)), (2, 7, 0x2707, .failure(errno: 28)),
            (2, 5, 0x2000, .failure(errno: 95)),
            (0x0f00_0000, 0, 0, .lost), (0x0f00_0001, 0, 0, .lost), (2, 1, 0, .success),
        ] as [(Int32, UInt8, UInt16, CommandOutcome)])
    func outcomes(status: Int32, senseKey: UInt8, code: UInt16, outcome: CommandOutcome) {
        #expect(CommandOutcome.of(status: status, senseKey: senseKey, code: code) == outcome)
    }
}
