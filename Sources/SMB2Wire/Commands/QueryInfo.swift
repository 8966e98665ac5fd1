/// InfoType, [MS-SMB2] 2.2.37.
package struct InfoType: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let file = InfoType(rawValue: 1)
    package static let fileSystem = InfoType(rawValue: 2)
    package static let security = InfoType(rawValue: 3)
    package static let quota = InfoType(rawValue: 4)
}

/// AdditionalInformation of a security query or set, [MS-SMB2] 2.2.37, 2.2.39.
package struct SecurityInformation: OptionSet, Hashable, Sendable {
    package var rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let owner = SecurityInformation(rawValue: 0x0000_0001)
    package static let group = SecurityInformation(rawValue: 0x0000_0002)
    package static let dacl = SecurityInformation(rawValue: 0x0000_0004)
    package static let sacl = SecurityInformation(rawValue: 0x0000_0008)
    package static let label = SecurityInformation(rawValue: 0x0000_0010)
    package static let attribute = SecurityInformation(rawValue: 0x0000_0020)
    package static let scope = SecurityInformation(rawValue: 0x0000_0040)
    package static let backup = SecurityInformation(rawValue: 0x0001_0000)
}

/// SMB2 QUERY_INFO Request, [MS-SMB2] 2.2.37.
package struct QueryInfoRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 41
    /// SL_RESTART_SCAN, SL_RETURN_SINGLE_ENTRY, SL_INDEX_SPECIFIED: for FileFullEaInformation.
    package static let restartScanFlag: UInt32 = 0x01
    package static let returnSingleEntryFlag: UInt32 = 0x02
    package static let indexSpecifiedFlag: UInt32 = 0x04

    package var infoType: InfoType
    /// FileInfoClass: a `FileInformationClass` or a `FileSystemInformationClass`, by the type.
    package var informationClassCode: UInt8
    package var outputBufferLength: UInt32
    /// SecurityInformation, or the EA index.
    package var additionalInformation: UInt32
    package var flags: UInt32
    package var fileID: FileID
    /// Quota or EA names asked for, relative to the SMB2 header.
    package var input: Range<Int>

    package init(
        infoType: InfoType, informationClass: UInt8, fileID: FileID, outputBufferLength: UInt32,
        additionalInformation: UInt32 = 0, flags: UInt32 = 0
    ) {
        self.infoType = infoType
        self.informationClassCode = informationClass
        self.outputBufferLength = outputBufferLength
        self.additionalInformation = additionalInformation
        self.flags = flags
        self.fileID = fileID
        self.input = 0..<0
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 40, "QUERY_INFO")
        let body = SMB2Header.byteCount
        self.infoType = InfoType(rawValue: message.load(UInt8.self, at: body + 2))
        self.informationClassCode = message.load(UInt8.self, at: body + 3)
        self.outputBufferLength = message.load(UInt32.self, at: body + 4)
        self.additionalInformation = message.load(UInt32.self, at: body + 16)
        self.flags = message.load(UInt32.self, at: body + 20)
        self.fileID = FileID(loading: message, at: body + 24)
        self.input = try message.range(
            offset: Int(message.load(UInt16.self, at: body + 8)), length: Int(message.load(UInt32.self, at: body + 12)),
            notBefore: body + 40, "QUERY_INFO input")
    }

    package func encode(into writer: inout WireWriter, input: RawSpan) {
        let body = writer.claim(40)
        writer.store(Self.structureSize, at: body)
        writer.store(self.infoType.rawValue, at: body + 2)
        writer.store(self.informationClassCode, at: body + 3)
        writer.store(self.outputBufferLength, at: body + 4)
        writer.store(UInt16(input.byteCount == 0 ? 0 : writer.offsetInMessage), at: body + 8)
        writer.store(UInt32(input.byteCount), at: body + 12)
        writer.store(self.additionalInformation, at: body + 16)
        writer.store(self.flags, at: body + 20)
        writer.store(self.fileID, at: body + 24)
        writer.append(input)
    }
}
