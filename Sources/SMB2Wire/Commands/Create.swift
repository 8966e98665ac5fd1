/// SMB2 CREATE Request, [MS-SMB2] 2.2.13.
package struct CreateRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 57

    package var oplockLevel: OplockLevel
    /// Kept raw: an unknown level is STATUS_BAD_IMPERSONATION_LEVEL, not a malformed packet.
    package var impersonationLevelCode: UInt32
    package var desiredAccess: AccessMask
    package var fileAttributes: FileAttributes
    package var shareAccess: ShareAccess
    package var disposition: CreateDisposition
    package var options: CreateOptions
    /// The name in UTF-16, relative to the SMB2 header; empty for the share's root.
    package var name: Range<Int>
    package var contexts: CreateContexts

    package var impersonationLevel: ImpersonationLevel? { ImpersonationLevel(rawValue: self.impersonationLevelCode) }

    package init(
        desiredAccess: AccessMask, fileAttributes: FileAttributes = [], shareAccess: ShareAccess,
        disposition: CreateDisposition, options: CreateOptions = [], oplockLevel: OplockLevel = .none,
        contexts: CreateContexts = CreateContexts()
    ) {
        self.oplockLevel = oplockLevel
        self.impersonationLevelCode = ImpersonationLevel.impersonation.rawValue
        self.desiredAccess = desiredAccess
        self.fileAttributes = fileAttributes
        self.shareAccess = shareAccess
        self.disposition = disposition
        self.options = options
        self.name = 0..<0
        self.contexts = contexts
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 56, "CREATE")
        let body = SMB2Header.byteCount
        self.oplockLevel = OplockLevel(rawValue: message.load(UInt8.self, at: body + 3))
        self.impersonationLevelCode = message.load(UInt32.self, at: body + 4)
        self.desiredAccess = AccessMask(rawValue: message.load(UInt32.self, at: body + 24))
        self.fileAttributes = FileAttributes(rawValue: message.load(UInt32.self, at: body + 28))
        self.shareAccess = ShareAccess(rawValue: message.load(UInt32.self, at: body + 32))
        self.options = CreateOptions(rawValue: message.load(UInt32.self, at: body + 40))
        self.name = try message.range(
            offset: Int(message.load(UInt16.self, at: body + 44)),
            length: Int(message.load(UInt16.self, at: body + 46)),
            notBefore: body + 56, "CREATE name")
        let contexts = try message.range(
            offset: Int(message.load(UInt32.self, at: body + 48)),
            length: Int(message.load(UInt32.self, at: body + 52)),
            notBefore: body + 56, "create contexts")
        self.contexts = try CreateContexts(parsing: message, in: contexts)
        if let disposition = CreateDisposition(rawValue: message.load(UInt32.self, at: body + 36)) {
            self.disposition = disposition
        } else {
            // 3.3.5.9.7, 3.3.5.9.12: who comes back for a handle opens nothing, what else stands there is ignored.
            guard self.contexts.durableReconnect != nil || self.contexts.durableReconnectV2 != nil else {
                throw .invalidValue("CreateDisposition")
            }
            self.disposition = .open
        }
    }

    /// Appends the request. `extendedAttributes` and `securityDescriptor` are the data of those contexts, or empty for none.
    package func encode(
        into writer: inout WireWriter, name: String, extendedAttributes: [UInt8] = [], securityDescriptor: [UInt8] = []
    ) {
        let body = writer.claim(56)
        writer.store(Self.structureSize, at: body)
        writer.store(self.oplockLevel.rawValue, at: body + 3)
        writer.store(self.impersonationLevelCode, at: body + 4)
        writer.store(self.desiredAccess.rawValue, at: body + 24)
        writer.store(self.fileAttributes.rawValue, at: body + 28)
        writer.store(self.shareAccess.rawValue, at: body + 32)
        writer.store(self.disposition.rawValue, at: body + 36)
        writer.store(self.options.rawValue, at: body + 40)
        writer.store(UInt16(writer.offsetInMessage), at: body + 44)
        let length = writer.append(utf16: name)
        writer.store(UInt16(length), at: body + 46)
        // 2.2.13: the buffer holds at least one byte, even for the root.
        if length == 0 { writer.claim(1) }
        let end = writer.count
        writer.align(to: 8)
        let start = writer.count
        let offset = writer.offsetInMessage
        self.contexts.encode(
            into: &writer, extendedAttributes: extendedAttributes, securityDescriptor: securityDescriptor)
        if writer.count > start {
            writer.store(UInt32(offset), at: body + 48)
            writer.store(UInt32(writer.count - start), at: body + 52)
        } else {
            writer.truncate(to: end)
        }
    }
}

/// SMB2 CREATE Response, [MS-SMB2] 2.2.14.
package struct CreateResponse: Equatable, Sendable {
    package static let structureSize: UInt16 = 89
    package static let reparsePointFlag: UInt8 = 0x01

    package var oplockLevel: OplockLevel
    package var flags: UInt8
    package var action: CreateAction
    package var information: NetworkOpenInformation
    package var fileID: FileID
    package var contexts: CreateResponseContexts

    package init(
        oplockLevel: OplockLevel, flags: UInt8 = 0, action: CreateAction, information: NetworkOpenInformation,
        fileID: FileID, contexts: CreateResponseContexts = CreateResponseContexts()
    ) {
        self.oplockLevel = oplockLevel
        self.flags = flags
        self.action = action
        self.information = information
        self.fileID = fileID
        self.contexts = contexts
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 88, "CREATE response")
        let body = SMB2Header.byteCount
        self.oplockLevel = OplockLevel(rawValue: message.load(UInt8.self, at: body + 2))
        self.flags = message.load(UInt8.self, at: body + 3)
        guard let action = CreateAction(rawValue: message.load(UInt32.self, at: body + 4)) else {
            throw .invalidValue("CreateAction")
        }
        self.action = action
        self.information = NetworkOpenInformation(loading: message, at: body + 8)
        self.fileID = FileID(loading: message, at: body + 64)
        let contexts = try message.range(
            offset: Int(message.load(UInt32.self, at: body + 80)),
            length: Int(message.load(UInt32.self, at: body + 84)),
            notBefore: body + 88, "create contexts")
        self.contexts = try CreateResponseContexts(parsing: message, in: contexts)
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(88)
        writer.store(Self.structureSize, at: body)
        writer.store(self.oplockLevel.rawValue, at: body + 2)
        writer.store(self.flags, at: body + 3)
        writer.store(self.action.rawValue, at: body + 4)
        self.information.store(into: &writer, at: body + 8)
        writer.store(self.fileID, at: body + 64)
        let start = writer.count
        let offset = writer.offsetInMessage
        self.contexts.encode(into: &writer)
        if writer.count > start {
            writer.store(UInt32(offset), at: body + 80)
            writer.store(UInt32(writer.count - start), at: body + 84)
        }
    }
}
