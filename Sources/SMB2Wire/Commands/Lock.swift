/// One range of a LOCK, SMB2_LOCK_ELEMENT, [MS-SMB2] 2.2.26.1.
package struct LockElement: Equatable, Sendable {
    package static let byteCount = 24

    package struct Flags: OptionSet, Hashable, Sendable {
        package var rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let shared = Flags(rawValue: 0x01)
        package static let exclusive = Flags(rawValue: 0x02)
        package static let unlock = Flags(rawValue: 0x04)
        package static let failImmediately = Flags(rawValue: 0x10)
    }

    package var offset: UInt64
    package var length: UInt64
    package var flags: Flags

    package init(offset: UInt64, length: UInt64, flags: Flags) {
        self.offset = offset
        self.length = length
        self.flags = flags
    }

    /// 3.3.5.14.2 knows only these combinations; anything else is INVALID_PARAMETER.
    package var hasValidFlags: Bool {
        switch self.flags {
        case .shared, .exclusive, [.shared, .failImmediately], [.exclusive, .failImmediately], .unlock: true
        default: false
        }
    }
}

/// SMB2 LOCK Request, [MS-SMB2] 2.2.26.
package struct LockRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 48
    /// Ranges in one request; more is INVALID_PARAMETER.
    package static let maximumLocks = 1024

    /// The low four bits: compared with the open's array, [MS-SMB2] 3.3.5.14.
    package var sequenceNumber: UInt8
    /// The other 28 bits: the place in that array, from 1; 0 means no sequence.
    package var sequenceIndex: UInt32
    package var fileID: FileID
    package var locks: [LockElement]

    package init(fileID: FileID, locks: [LockElement], sequenceNumber: UInt8 = 0, sequenceIndex: UInt32 = 0) {
        self.sequenceNumber = sequenceNumber
        self.sequenceIndex = sequenceIndex
        self.fileID = fileID
        self.locks = locks
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 48, "LOCK")
        let body = SMB2Header.byteCount
        let count = Int(message.load(UInt16.self, at: body + 2))
        guard count > 0 else { throw .invalidValue("no locks") }
        guard count <= Self.maximumLocks else { throw .limitExceeded("locks") }
        guard count * LockElement.byteCount <= message.byteCount - body - 24 else { throw .truncated("locks") }
        let sequence = message.load(UInt32.self, at: body + 4)
        self.sequenceNumber = UInt8(sequence & 0xF)
        self.sequenceIndex = sequence >> 4
        self.fileID = FileID(loading: message, at: body + 8)
        self.locks = (0..<count).map {
            let at = body + 24 + $0 * LockElement.byteCount
            return LockElement(
                offset: message.load(UInt64.self, at: at), length: message.load(UInt64.self, at: at + 8),
                flags: LockElement.Flags(rawValue: message.load(UInt32.self, at: at + 16)))
        }
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(24)
        writer.store(Self.structureSize, at: body)
        writer.store(UInt16(self.locks.count), at: body + 2)
        writer.store(self.sequenceIndex << 4 | UInt32(self.sequenceNumber & 0xF), at: body + 4)
        writer.store(self.fileID, at: body + 8)
        for lock in self.locks {
            writer.append(lock.offset)
            writer.append(lock.length)
            writer.append(UInt64(lock.flags.rawValue))
        }
    }
}
