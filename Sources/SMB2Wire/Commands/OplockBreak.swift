/// The three oplock break messages, which look alike: notification ([MS-SMB2] 2.2.23.1), acknowledgement (2.2.24.1) and
/// response (2.2.25.1).
package struct OplockBreak: Equatable, Sendable {
    package static let structureSize: UInt16 = 24

    package var level: OplockLevel
    package var fileID: FileID

    package init(level: OplockLevel, fileID: FileID) {
        self.level = level
        self.fileID = fileID
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 24, "OPLOCK_BREAK")
        let body = SMB2Header.byteCount
        self.level = OplockLevel(rawValue: message.load(UInt8.self, at: body + 2))
        self.fileID = FileID(loading: message, at: body + 8)
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(24)
        writer.store(Self.structureSize, at: body)
        writer.store(self.level.rawValue, at: body + 2)
        writer.store(self.fileID, at: body + 8)
    }
}

/// Lease Break Notification, [MS-SMB2] 2.2.23.2.
package struct LeaseBreakNotification: Equatable, Sendable {
    package static let structureSize: UInt16 = 44
    package static let acknowledgeRequired: UInt32 = 0x0000_0001

    /// Zero for a lease of version 1.
    package var newEpoch: UInt16
    package var flags: UInt32
    package var leaseKey: GUID
    package var currentState: LeaseState
    package var newState: LeaseState

    package init(newEpoch: UInt16, flags: UInt32, leaseKey: GUID, currentState: LeaseState, newState: LeaseState) {
        self.newEpoch = newEpoch
        self.flags = flags
        self.leaseKey = leaseKey
        self.currentState = currentState
        self.newState = newState
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 44, "lease break notification")
        let body = SMB2Header.byteCount
        self.newEpoch = message.load(UInt16.self, at: body + 2)
        self.flags = message.load(UInt32.self, at: body + 4)
        self.leaseKey = GUID(loading: message, at: body + 8)
        self.currentState = LeaseState(rawValue: message.load(UInt32.self, at: body + 24))
        self.newState = LeaseState(rawValue: message.load(UInt32.self, at: body + 28))
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(44)
        writer.store(Self.structureSize, at: body)
        writer.store(self.newEpoch, at: body + 2)
        writer.store(self.flags, at: body + 4)
        writer.store(self.leaseKey, at: body + 8)
        writer.store(self.currentState.rawValue, at: body + 24)
        writer.store(self.newState.rawValue, at: body + 28)
    }
}

/// Lease Break Acknowledgement and Response, [MS-SMB2] 2.2.24.2 and 2.2.25.2: the same fields.
package struct LeaseBreakAcknowledgement: Equatable, Sendable {
    package static let structureSize: UInt16 = 36

    package var leaseKey: GUID
    package var state: LeaseState

    package init(leaseKey: GUID, state: LeaseState) {
        self.leaseKey = leaseKey
        self.state = state
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 36, "lease break acknowledgement")
        let body = SMB2Header.byteCount
        self.leaseKey = GUID(loading: message, at: body + 8)
        self.state = LeaseState(rawValue: message.load(UInt32.self, at: body + 24))
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(36)
        writer.store(Self.structureSize, at: body)
        writer.store(self.leaseKey, at: body + 8)
        writer.store(self.state.rawValue, at: body + 24)
    }
}

/// What a client sends under the command OPLOCK_BREAK: the two forms differ only in StructureSize.
package enum BreakAcknowledgement: Equatable, Sendable {
    case oplock(OplockBreak)
    case lease(LeaseBreakAcknowledgement)

    package init(parsing message: RawSpan) throws(WireError) {
        try message.require(SMB2Header.byteCount + 2, "OPLOCK_BREAK")
        if message.load(UInt16.self, at: SMB2Header.byteCount) == LeaseBreakAcknowledgement.structureSize {
            self = .lease(try LeaseBreakAcknowledgement(parsing: message))
        } else {
            self = .oplock(try OplockBreak(parsing: message))
        }
    }
}
