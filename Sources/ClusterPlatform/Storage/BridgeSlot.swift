import CISCSI
import CLinux
import Glibc

/// One request on its way: the buffer it was read into, and what the target is asked. Slots live as long as the
/// bridge; a buffer is not used again before the request that it belongs to has its reply.
final class BridgeSlot {
    /// The kernel's header and fuse_write_in end where a page begins, so that the data is page-aligned.
    static let dataOffset = FUSEMount.pageSize
    static let headerOffset = dataOffset - MemoryLayout<fuse_in_header>.size - MemoryLayout<fuse_write_in>.size

    unowned let bridge: Bridge
    /// Which of the bridge's slots this is, from 0.
    let number: Int
    let buffer: UnsafeMutableRawBufferPointer
    /// libiscsi reads or writes the data through this; it stays in place as long as the slot.
    let vector = UnsafeMutablePointer<scsi_iovec>.allocate(capacity: 1)
    /// The kernel's name for the request; of a resent one with the resend bit, which the reply repeats.
    var unique: UInt64 = 0
    var opcode: UInt32 = 0
    var command = SCSICommand.testUnitReady
    var byteCount = 0
    /// For a flush: how many writes had been answered when it was issued.
    var flushes: UInt64 = 0

    init(bridge: Bridge, number: Int, transfer: Int) {
        self.bridge = bridge
        self.number = number
        self.buffer = .allocate(byteCount: Self.dataOffset + transfer, alignment: FUSEMount.pageSize)
        // Touched once, so that mlockall has it in memory.
        if let base = self.buffer.baseAddress { memset(base, 0, self.buffer.count) }
        self.vector.initialize(to: scsi_iovec())
    }

    deinit {
        self.buffer.deallocate()
        self.vector.deallocate()
    }

    /// Where a request is read to: header first, WRITE's data page-aligned.
    var incoming: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: self.buffer[Self.headerOffset...])
    }

    func data(_ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: self.buffer[Self.dataOffset..<(Self.dataOffset + count)])
    }

    /// The structure behind the header, copied out; nil when the request is too short for it.
    func argument<Argument: BitwiseCopyable>(_ type: Argument.Type, count: Int) -> Argument? {
        let offset = MemoryLayout<fuse_in_header>.size
        guard count >= offset + MemoryLayout<Argument>.size else { return nil }
        return self.incoming.loadUnaligned(fromByteOffset: offset, as: type)
    }
}

/// What a SCSI status means for the request that got it.
enum CommandOutcome: Equatable {
    case success
    /// Issue it again at once: a unit attention was reported in place of the answer.
    case again
    /// Issue it again a little later: the target is busy.
    case later
    /// Look at the reservation first, then issue it again.
    case verify
    /// The connection ended: issue it again on the next session.
    case lost
    case failure(errno: Int32)

    /// CAPACITY DATA HAS CHANGED, SPC-4 annex D; with sense key 6.
    static let capacityChanged: UInt16 = 0x2A09

    static func of(status: Int32, senseKey: UInt8, code: UInt16) -> CommandOutcome {
        switch status {
        case 0: return .success
        case 0x18: return .verify
        case 0x08, 0x28: return .later  // BUSY, TASK SET FULL
        case 0x40: return .verify  // TASK ABORTED: somebody reset the unit, perhaps to fence us
        case 2: break
        default: return .lost
        }
        switch (senseKey, code) {
        case (0x06, Self.capacityChanged): return .again
        case (0x06, 0x2A00...0x2AFF), (0x06, 0x2900...0x29FF): return .verify
        case (0x06, _), (0x0B, _): return .again
        case (0x02, 0x0400...0x0407): return .later  // becoming ready
        case (0x01, _), (0x00, _): return .success  // recovered
        case (0x05, 0x2000), (0x05, 0x2400), (0x05, 0x2600): return .failure(errno: EOPNOTSUPP)
        case (0x07, 0x2707): return .failure(errno: ENOSPC)  // thin pool is full
        case (0x07, _): return .failure(errno: EROFS)
        default: return .failure(errno: EIO)
        }
    }
}
