/// SecurityMode, [MS-SMB2] 2.2.3 and 2.2.5.
package struct SecurityMode: OptionSet, Hashable, Sendable {
    package var rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    package static let signingEnabled = SecurityMode(rawValue: 0x0001)
    package static let signingRequired = SecurityMode(rawValue: 0x0002)
}

/// Capabilities, [MS-SMB2] 2.2.3 and 2.2.4.
package struct Capabilities: OptionSet, Hashable, Sendable {
    package var rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let dfs = Capabilities(rawValue: 0x01)
    package static let leasing = Capabilities(rawValue: 0x02)
    package static let largeMTU = Capabilities(rawValue: 0x04)
    package static let multiChannel = Capabilities(rawValue: 0x08)
    package static let persistentHandles = Capabilities(rawValue: 0x10)
    package static let directoryLeasing = Capabilities(rawValue: 0x20)
    package static let encryption = Capabilities(rawValue: 0x40)
    package static let notifications = Capabilities(rawValue: 0x80)
}

/// SMB2 NEGOTIATE Request, [MS-SMB2] 2.2.3.
package struct NegotiateRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 36
    /// Dialects looked at; five exist.
    package static let maximumDialects = 64

    package var securityMode: SecurityMode
    package var capabilities: Capabilities
    package var clientGUID: GUID
    package var dialects: [Dialect]
    /// Present where 3.1.1 is among the dialects.
    package var contexts: NegotiateContexts?

    package init(
        securityMode: SecurityMode, capabilities: Capabilities, clientGUID: GUID, dialects: [Dialect],
        contexts: NegotiateContexts? = nil
    ) {
        self.securityMode = securityMode
        self.capabilities = capabilities
        self.clientGUID = clientGUID
        self.dialects = dialects
        self.contexts = contexts
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 36, "NEGOTIATE")
        let body = SMB2Header.byteCount
        let count = Int(message.load(UInt16.self, at: body + 2))
        // 3.3.5.4: no dialects is INVALID_PARAMETER.
        guard count > 0 else { throw .invalidValue("no dialects") }
        guard count <= Self.maximumDialects else { throw .limitExceeded("dialects") }
        guard 2 * count <= message.byteCount - body - 36 else { throw .truncated("dialects") }
        self.securityMode = SecurityMode(rawValue: message.load(UInt16.self, at: body + 4))
        self.capabilities = Capabilities(rawValue: message.load(UInt32.self, at: body + 8))
        self.clientGUID = GUID(loading: message, at: body + 12)
        self.dialects = (0..<count).map { Dialect(rawValue: message.load(UInt16.self, at: body + 36 + 2 * $0)) }
        self.contexts = nil
        if self.dialects.contains(.smb311) {
            self.contexts = try NegotiateContexts(
                parsing: message, offset: Int(message.load(UInt32.self, at: body + 28)),
                count: Int(message.load(UInt16.self, at: body + 32)), notBefore: body + 36 + 2 * count)
        }
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(36)
        writer.store(Self.structureSize, at: body)
        writer.store(UInt16(self.dialects.count), at: body + 2)
        writer.store(self.securityMode.rawValue, at: body + 4)
        writer.store(self.capabilities.rawValue, at: body + 8)
        writer.store(self.clientGUID, at: body + 12)
        for dialect in self.dialects { writer.append(dialect.rawValue) }
        guard let contexts = self.contexts else { return }
        writer.align(to: 8)
        writer.store(UInt32(writer.offsetInMessage), at: body + 28)
        writer.store(UInt16(contexts.count), at: body + 32)
        contexts.encode(into: &writer)
    }
}

/// SMB2 NEGOTIATE Response, [MS-SMB2] 2.2.4.
package struct NegotiateResponse: Equatable, Sendable {
    package static let structureSize: UInt16 = 65

    package var securityMode: SecurityMode
    package var dialect: Dialect
    package var serverGUID: GUID
    package var capabilities: Capabilities
    package var maximumTransactSize: UInt32
    package var maximumReadSize: UInt32
    package var maximumWriteSize: UInt32
    package var systemTime: FileTime
    package var serverStartTime: FileTime
    /// The SPNEGO hint (negTokenInit2), or nothing.
    package var securityBuffer: [UInt8]
    /// Present in 3.1.1.
    package var contexts: NegotiateContexts?

    package init(
        securityMode: SecurityMode, dialect: Dialect, serverGUID: GUID, capabilities: Capabilities,
        maximumTransactSize: UInt32, maximumReadSize: UInt32, maximumWriteSize: UInt32, systemTime: FileTime,
        serverStartTime: FileTime = .zero, securityBuffer: [UInt8], contexts: NegotiateContexts? = nil
    ) {
        self.securityMode = securityMode
        self.dialect = dialect
        self.serverGUID = serverGUID
        self.capabilities = capabilities
        self.maximumTransactSize = maximumTransactSize
        self.maximumReadSize = maximumReadSize
        self.maximumWriteSize = maximumWriteSize
        self.systemTime = systemTime
        self.serverStartTime = serverStartTime
        self.securityBuffer = securityBuffer
        self.contexts = contexts
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 64, "NEGOTIATE response")
        let body = SMB2Header.byteCount
        self.securityMode = SecurityMode(rawValue: message.load(UInt16.self, at: body + 2))
        self.dialect = Dialect(rawValue: message.load(UInt16.self, at: body + 4))
        self.serverGUID = GUID(loading: message, at: body + 8)
        self.capabilities = Capabilities(rawValue: message.load(UInt32.self, at: body + 24))
        self.maximumTransactSize = message.load(UInt32.self, at: body + 28)
        self.maximumReadSize = message.load(UInt32.self, at: body + 32)
        self.maximumWriteSize = message.load(UInt32.self, at: body + 36)
        self.systemTime = FileTime(ticks: message.load(UInt64.self, at: body + 40))
        self.serverStartTime = FileTime(ticks: message.load(UInt64.self, at: body + 48))
        let buffer = try message.range(
            offset: Int(message.load(UInt16.self, at: body + 56)),
            length: Int(message.load(UInt16.self, at: body + 58)),
            notBefore: body + 64, "security buffer")
        self.securityBuffer = message.bytes(in: buffer)
        self.contexts = nil
        if self.dialect == .smb311 {
            self.contexts = try NegotiateContexts(
                parsing: message, offset: Int(message.load(UInt32.self, at: body + 60)),
                count: Int(message.load(UInt16.self, at: body + 6)), notBefore: body + 64)
        }
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(64)
        writer.store(Self.structureSize, at: body)
        writer.store(self.securityMode.rawValue, at: body + 2)
        writer.store(self.dialect.rawValue, at: body + 4)
        writer.store(self.serverGUID, at: body + 8)
        writer.store(self.capabilities.rawValue, at: body + 24)
        writer.store(self.maximumTransactSize, at: body + 28)
        writer.store(self.maximumReadSize, at: body + 32)
        writer.store(self.maximumWriteSize, at: body + 36)
        writer.store(self.systemTime.ticks, at: body + 40)
        writer.store(self.serverStartTime.ticks, at: body + 48)
        writer.store(UInt16(writer.offsetInMessage), at: body + 56)
        writer.store(UInt16(self.securityBuffer.count), at: body + 58)
        writer.append(self.securityBuffer)
        guard let contexts = self.contexts else { return }
        writer.align(to: 8)
        writer.store(UInt16(contexts.count), at: body + 6)
        writer.store(UInt32(writer.offsetInMessage), at: body + 60)
        contexts.encode(into: &writer)
    }
}
