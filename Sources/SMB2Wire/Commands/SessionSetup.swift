/// SMB2 SESSION_SETUP Request, [MS-SMB2] 2.2.5.
package struct SessionSetupRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 25
    /// SMB2_SESSION_FLAG_BINDING.
    package static let bindingFlag: UInt8 = 0x01

    package var flags: UInt8
    package var securityMode: SecurityMode
    package var capabilities: Capabilities
    package var channel: UInt32
    package var previousSessionID: UInt64
    /// The GSS token, relative to the SMB2 header.
    package var securityBuffer: Range<Int>

    package var isBinding: Bool { self.flags & Self.bindingFlag != 0 }

    package init(
        flags: UInt8 = 0, securityMode: SecurityMode, capabilities: Capabilities = .dfs, previousSessionID: UInt64 = 0
    ) {
        self.flags = flags
        self.securityMode = securityMode
        self.capabilities = capabilities
        self.channel = 0
        self.previousSessionID = previousSessionID
        self.securityBuffer = 0..<0
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 24, "SESSION_SETUP")
        let body = SMB2Header.byteCount
        self.flags = message.load(UInt8.self, at: body + 2)
        self.securityMode = SecurityMode(rawValue: UInt16(message.load(UInt8.self, at: body + 3)))
        self.capabilities = Capabilities(rawValue: message.load(UInt32.self, at: body + 4))
        self.channel = message.load(UInt32.self, at: body + 8)
        self.previousSessionID = message.load(UInt64.self, at: body + 16)
        self.securityBuffer = try message.range(
            offset: Int(message.load(UInt16.self, at: body + 12)),
            length: Int(message.load(UInt16.self, at: body + 14)),
            notBefore: body + 24, "security buffer")
    }

    /// Appends the request with `token`; `securityBuffer` does not matter here.
    package func encode(into writer: inout WireWriter, token: RawSpan) {
        let body = writer.claim(24)
        writer.store(Self.structureSize, at: body)
        writer.store(self.flags, at: body + 2)
        writer.store(UInt8(truncatingIfNeeded: self.securityMode.rawValue), at: body + 3)
        writer.store(self.capabilities.rawValue, at: body + 4)
        writer.store(self.channel, at: body + 8)
        writer.store(UInt16(writer.offsetInMessage), at: body + 12)
        writer.store(UInt16(token.byteCount), at: body + 14)
        writer.store(self.previousSessionID, at: body + 16)
        writer.append(token)
    }
}

/// SMB2 SESSION_SETUP Response, [MS-SMB2] 2.2.6.
package struct SessionSetupResponse: Equatable, Sendable {
    package static let structureSize: UInt16 = 9

    package struct Flags: OptionSet, Hashable, Sendable {
        package var rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }
        package static let isGuest = Flags(rawValue: 0x0001)
        package static let isNull = Flags(rawValue: 0x0002)
        package static let encryptData = Flags(rawValue: 0x0004)
    }

    package var flags: Flags
    package var securityBuffer: Range<Int>

    package init(flags: Flags) {
        self.flags = flags
        self.securityBuffer = 0..<0
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 8, "SESSION_SETUP response")
        let body = SMB2Header.byteCount
        self.flags = Flags(rawValue: message.load(UInt16.self, at: body + 2))
        self.securityBuffer = try message.range(
            offset: Int(message.load(UInt16.self, at: body + 4)), length: Int(message.load(UInt16.self, at: body + 6)),
            notBefore: body + 8, "security buffer")
    }

    package func encode(into writer: inout WireWriter, token: RawSpan) {
        let body = writer.claim(8)
        writer.store(Self.structureSize, at: body)
        writer.store(self.flags.rawValue, at: body + 2)
        writer.store(UInt16(writer.offsetInMessage), at: body + 4)
        writer.store(UInt16(token.byteCount), at: body + 6)
        writer.append(token)
    }
}
