/// SMB2 SET_INFO Request, [MS-SMB2] 2.2.39.
package struct SetInfoRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 33

    package var infoType: InfoType
    package var informationClassCode: UInt8
    /// SecurityInformation where the type is security.
    package var additionalInformation: UInt32
    package var fileID: FileID
    /// The information to set, relative to the SMB2 header.
    package var buffer: Range<Int>

    package init(infoType: InfoType, informationClass: UInt8, fileID: FileID, additionalInformation: UInt32 = 0) {
        self.infoType = infoType
        self.informationClassCode = informationClass
        self.additionalInformation = additionalInformation
        self.fileID = fileID
        self.buffer = 0..<0
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 32, "SET_INFO")
        let body = SMB2Header.byteCount
        self.infoType = InfoType(rawValue: message.load(UInt8.self, at: body + 2))
        self.informationClassCode = message.load(UInt8.self, at: body + 3)
        self.additionalInformation = message.load(UInt32.self, at: body + 12)
        self.fileID = FileID(loading: message, at: body + 16)
        self.buffer = try message.range(
            offset: Int(message.load(UInt16.self, at: body + 8)), length: Int(message.load(UInt32.self, at: body + 4)),
            notBefore: body + 32, "SET_INFO buffer")
    }

    package func encode(into writer: inout WireWriter, buffer: RawSpan) {
        let body = writer.claim(32)
        writer.store(Self.structureSize, at: body)
        writer.store(self.infoType.rawValue, at: body + 2)
        writer.store(self.informationClassCode, at: body + 3)
        writer.store(UInt32(buffer.byteCount), at: body + 4)
        writer.store(UInt16(writer.offsetInMessage), at: body + 8)
        writer.store(self.additionalInformation, at: body + 12)
        writer.store(self.fileID, at: body + 16)
        writer.append(buffer)
    }
}

/// SMB2 SET_INFO Response, [MS-SMB2] 2.2.40: StructureSize and nothing else.
package struct SetInfoResponse: Equatable, Sendable {
    package static let structureSize: UInt16 = 2

    package init() {}

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 2, "SET_INFO response")
    }

    package func encode(into writer: inout WireWriter) { writer.append(Self.structureSize) }
}
