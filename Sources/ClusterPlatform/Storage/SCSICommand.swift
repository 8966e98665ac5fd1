import Fencing

/// Command descriptor blocks, SPC-4 and SBC-3; numbers are big-endian.
struct SCSICommand: Equatable, Sendable {
    enum Direction: Equatable, Sendable {
        case none
        case fromTarget
        case toTarget
    }

    var block: [UInt8]
    var direction: Direction
    /// What is transferred at most, in bytes.
    var byteCount: Int

    private init(_ block: [UInt8], _ direction: Direction, _ byteCount: Int) {
        self.block = block
        self.direction = direction
        self.byteCount = byteCount
    }

    static let testUnitReady = SCSICommand([0, 0, 0, 0, 0, 0], .none, 0)

    /// `page`: nil for the standard data, else a vital product data page.
    static func inquiry(page: UInt8?, byteCount: UInt16) -> SCSICommand {
        SCSICommand(
            [0x12, page == nil ? 0 : 1, page ?? 0] + bigEndian(byteCount) + [0], .fromTarget, Int(byteCount))
    }

    static let readCapacity16 = SCSICommand(
        [0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0] + bigEndian(UInt32(32)) + [0, 0], .fromTarget, 32)

    static func read16(block: UInt64, count: UInt32, blockSize: UInt32) -> SCSICommand {
        SCSICommand(
            [0x88, 0] + bigEndian(block) + bigEndian(count) + [0, 0], .fromTarget, Int(count) * Int(blockSize))
    }

    static func write16(block: UInt64, count: UInt32, blockSize: UInt32) -> SCSICommand {
        SCSICommand([0x8A, 0] + bigEndian(block) + bigEndian(count) + [0, 0], .toTarget, Int(count) * Int(blockSize))
    }

    /// SYNCHRONIZE CACHE (16) of the whole unit.
    static let synchronizeCache16 = SCSICommand(
        [0x91, 0] + bigEndian(UInt64(0)) + bigEndian(UInt32(0)) + [0, 0], .none, 0)

    /// WRITE SAME (16): one block of data, repeated. With `unmap` the target may deallocate, the blocks read as zeros either way.
    static func writeSame16(block: UInt64, count: UInt32, blockSize: UInt32, unmap: Bool) -> SCSICommand {
        SCSICommand(
            [0x93, unmap ? 0x08 : 0] + bigEndian(block) + bigEndian(count) + [0, 0], .toTarget, Int(blockSize))
    }

    // Not used on data: `TargetCheck` looks whether a reservation holds them up.

    static func writeAndVerify16(block: UInt64, count: UInt32, blockSize: UInt32) -> SCSICommand {
        SCSICommand([0x8E, 0] + bigEndian(block) + bigEndian(count) + [0, 0], .toTarget, Int(count) * Int(blockSize))
    }

    /// What is there, or the data: zeros change nothing.
    static func orWrite16(block: UInt64, count: UInt32, blockSize: UInt32) -> SCSICommand {
        SCSICommand([0x8B, 0] + bigEndian(block) + bigEndian(count) + [0, 0], .toTarget, Int(count) * Int(blockSize))
    }

    /// One block: what must be there, then what is to be there.
    static func compareAndWrite(block: UInt64, blockSize: UInt32) -> SCSICommand {
        SCSICommand([0x89, 0] + bigEndian(block) + [0, 0, 0, 1, 0, 0], .toTarget, 2 * Int(blockSize))
    }

    /// UNMAP without a block descriptor.
    static let unmapNothing = SCSICommand(
        [0x42, 0, 0, 0, 0, 0, 0] + bigEndian(UInt16(Self.unmapNothingParameters.count)) + [0], .toTarget,
        Self.unmapNothingParameters.count)
    static let unmapNothingParameters: [UInt8] = [0, 6, 0, 0, 0, 0, 0, 0]

    enum ReservationRead: UInt8 {
        case keys = 0
        case reservation = 1
        case capabilities = 2
        case fullStatus = 3
    }

    static func persistentReserveIn(_ action: ReservationRead, byteCount: UInt16) -> SCSICommand {
        SCSICommand(
            [0x5E, action.rawValue, 0, 0, 0, 0, 0] + bigEndian(byteCount) + [0], .fromTarget, Int(byteCount))
    }

    enum ReservationAction: UInt8 {
        case register = 0
        case reserve = 1
        case release = 2
        case clear = 3
        case preempt = 4
        case preemptAndAbort = 5
        case registerAndIgnoreExistingKey = 6
    }

    static let reservationParameterCount = 24

    static func persistentReserveOut(_ action: ReservationAction) -> SCSICommand {
        SCSICommand(
            [0x5F, action.rawValue, Reservation.exclusive, 0, 0] + bigEndian(UInt32(Self.reservationParameterCount)) + [
                0
            ],
            .toTarget, Self.reservationParameterCount)
    }

    /// SPC-4 6.16.3: the key this nexus is registered with, and the key the action is about. `persists`: APTPL, which the
    /// registering actions alone know: everything outlives a power loss of the target.
    static func reservationParameters(key: UInt64, serviceActionKey: UInt64, persists: Bool = false) -> [UInt8] {
        bigEndian(key) + bigEndian(serviceActionKey) + [0, 0, 0, 0, persists ? 1 : 0, 0, 0, 0]
    }
}

func bigEndian<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
}

/// Nil when the bytes end before the number does.
func loadBigEndian<Integer: FixedWidthInteger>(_ type: Integer.Type, _ bytes: [UInt8], at offset: Int) -> Integer? {
    let size = MemoryLayout<Integer>.size
    guard offset >= 0, bytes.count >= size, offset <= bytes.count - size else { return nil }
    return bytes[offset..<(offset + size)].reduce(Integer(0)) { $0 << 8 | Integer($1) }
}
