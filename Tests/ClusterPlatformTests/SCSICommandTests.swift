import Fencing
import Testing

@testable import ClusterPlatform

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
