/// SMB2 QUERY_DIRECTORY Request, [MS-SMB2] 2.2.33.
package struct QueryDirectoryRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 33
    /// A pattern longer than this can match no name.
    package static let maximumPatternByteCount = 2048

    package struct Flags: OptionSet, Hashable, Sendable {
        package var rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let restartScans = Flags(rawValue: 0x01)
        package static let returnSingleEntry = Flags(rawValue: 0x02)
        package static let indexSpecified = Flags(rawValue: 0x04)
        package static let reopen = Flags(rawValue: 0x10)
    }

    /// Kept raw: a class that we do not know is STATUS_INVALID_INFO_CLASS, not a malformed packet.
    package var informationClassCode: UInt8
    package var flags: Flags
    package var fileIndex: UInt32
    package var fileID: FileID
    /// The search pattern in UTF-16, relative to the SMB2 header.
    package var pattern: Range<Int>
    package var outputBufferLength: UInt32

    package var informationClass: DirectoryInformationClass? {
        DirectoryInformationClass(rawValue: self.informationClassCode)
    }

    package init(
        informationClass: DirectoryInformationClass, flags: Flags = [], fileID: FileID, outputBufferLength: UInt32
    ) {
        self.informationClassCode = informationClass.rawValue
        self.flags = flags
        self.fileIndex = 0
        self.fileID = fileID
        self.pattern = 0..<0
        self.outputBufferLength = outputBufferLength
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 32, "QUERY_DIRECTORY")
        let body = SMB2Header.byteCount
        self.informationClassCode = message.load(UInt8.self, at: body + 2)
        self.flags = Flags(rawValue: message.load(UInt8.self, at: body + 3))
        self.fileIndex = message.load(UInt32.self, at: body + 4)
        self.fileID = FileID(loading: message, at: body + 8)
        let length = Int(message.load(UInt16.self, at: body + 26))
        guard length <= Self.maximumPatternByteCount else { throw .limitExceeded("search pattern") }
        self.pattern = try message.range(
            offset: Int(message.load(UInt16.self, at: body + 24)), length: length, notBefore: body + 32,
            "search pattern")
        self.outputBufferLength = message.load(UInt32.self, at: body + 28)
    }

    package func encode(into writer: inout WireWriter, pattern: String) {
        let body = writer.claim(32)
        writer.store(Self.structureSize, at: body)
        writer.store(self.informationClassCode, at: body + 2)
        writer.store(self.flags.rawValue, at: body + 3)
        writer.store(self.fileIndex, at: body + 4)
        writer.store(self.fileID, at: body + 8)
        writer.store(UInt16(writer.offsetInMessage), at: body + 24)
        let length = writer.append(utf16: pattern)
        writer.store(UInt16(length), at: body + 26)
        writer.store(self.outputBufferLength, at: body + 28)
    }
}
