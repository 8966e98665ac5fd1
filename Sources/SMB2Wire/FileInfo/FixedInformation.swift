/// FileBasicInformation, [MS-FSCC] 2.4.7. In a set, a zero time or no attributes leave the value as it is.
package struct BasicInformation: Equatable, Sendable {
    package static let byteCount = 40

    package var creationTime: FileTime
    package var lastAccessTime: FileTime
    package var lastWriteTime: FileTime
    package var changeTime: FileTime
    package var attributes: FileAttributes

    package init(
        creationTime: FileTime, lastAccessTime: FileTime, lastWriteTime: FileTime, changeTime: FileTime,
        attributes: FileAttributes
    ) {
        self.creationTime = creationTime
        self.lastAccessTime = lastAccessTime
        self.lastWriteTime = lastWriteTime
        self.changeTime = changeTime
        self.attributes = attributes
    }

    package init(_ information: NetworkOpenInformation) {
        self.init(
            creationTime: information.creationTime, lastAccessTime: information.lastAccessTime,
            lastWriteTime: information.lastWriteTime, changeTime: information.changeTime,
            attributes: information.attributes)
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FileBasicInformation")
        self.creationTime = FileTime(ticks: data.load(UInt64.self, at: 0))
        self.lastAccessTime = FileTime(ticks: data.load(UInt64.self, at: 8))
        self.lastWriteTime = FileTime(ticks: data.load(UInt64.self, at: 16))
        self.changeTime = FileTime(ticks: data.load(UInt64.self, at: 24))
        self.attributes = FileAttributes(rawValue: data.load(UInt32.self, at: 32))
    }

    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(Self.byteCount)
        writer.store(self.creationTime.ticks, at: at)
        writer.store(self.lastAccessTime.ticks, at: at + 8)
        writer.store(self.lastWriteTime.ticks, at: at + 16)
        writer.store(self.changeTime.ticks, at: at + 24)
        writer.store(self.attributes.rawValue, at: at + 32)
    }
}

/// FileStandardInformation, [MS-FSCC] 2.4.41.
package struct StandardInformation: Equatable, Sendable {
    package static let byteCount = 24

    package var allocationSize: UInt64
    package var endOfFile: UInt64
    package var numberOfLinks: UInt32
    package var deletePending: Bool
    package var isDirectory: Bool

    package init(
        allocationSize: UInt64, endOfFile: UInt64, numberOfLinks: UInt32, deletePending: Bool, isDirectory: Bool
    ) {
        self.allocationSize = allocationSize
        self.endOfFile = endOfFile
        self.numberOfLinks = numberOfLinks
        self.deletePending = deletePending
        self.isDirectory = isDirectory
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FileStandardInformation")
        self.allocationSize = data.load(UInt64.self, at: 0)
        self.endOfFile = data.load(UInt64.self, at: 8)
        self.numberOfLinks = data.load(UInt32.self, at: 16)
        self.deletePending = data.load(UInt8.self, at: 20) != 0
        self.isDirectory = data.load(UInt8.self, at: 21) != 0
    }

    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(Self.byteCount)
        writer.store(self.allocationSize, at: at)
        writer.store(self.endOfFile, at: at + 8)
        writer.store(self.numberOfLinks, at: at + 16)
        writer.store(UInt8(self.deletePending ? 1 : 0), at: at + 20)
        writer.store(UInt8(self.isDirectory ? 1 : 0), at: at + 21)
    }
}

/// The classes that are one 64-bit number: FileInternalInformation ([MS-FSCC] 2.4.27), FilePositionInformation (2.4.40),
/// FileEndOfFileInformation (2.4.13), FileAllocationInformation (2.4.4), FileValidDataLengthInformation (2.4.49).
package struct Information64: Equatable, Sendable {
    package static let byteCount = 8
    package var value: UInt64

    package init(_ value: UInt64) { self.value = value }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "information of 8 bytes")
        self.value = data.load(UInt64.self, at: 0)
    }

    package func encode(into writer: inout WireWriter) { writer.append(self.value) }
}

/// The classes that are one 32-bit number: FileEaInformation ([MS-FSCC] 2.4.12), FileAccessInformation (2.4.1),
/// FileModeInformation (2.4.26), FileAlignmentInformation (2.4.3).
package struct Information32: Equatable, Sendable {
    package static let byteCount = 4
    package var value: UInt32

    package init(_ value: UInt32) { self.value = value }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "information of 4 bytes")
        self.value = data.load(UInt32.self, at: 0)
    }

    package func encode(into writer: inout WireWriter) { writer.append(self.value) }
}

/// FileDispositionInformation, [MS-FSCC] 2.4.11, one byte, and FileDispositionInformationEx (2.4.11.1), four.
package struct DispositionInformation: Equatable, Sendable {
    package struct Flags: OptionSet, Hashable, Sendable {
        package var rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let delete = Flags(rawValue: 0x01)
        package static let posixSemantics = Flags(rawValue: 0x02)
        package static let forceImageSectionCheck = Flags(rawValue: 0x04)
        package static let onClose = Flags(rawValue: 0x08)
        package static let ignoreReadOnly = Flags(rawValue: 0x10)
    }

    package var flags: Flags

    package var deletes: Bool { self.flags.contains(.delete) }

    package init(flags: Flags) { self.flags = flags }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(1, "FileDispositionInformation")
        self.flags = data.load(UInt8.self, at: 0) != 0 ? .delete : []
    }

    package init(parsingEx data: RawSpan) throws(WireError) {
        try data.require(4, "FileDispositionInformationEx")
        self.flags = Flags(rawValue: data.load(UInt32.self, at: 0))
    }

    package func encode(into writer: inout WireWriter) { writer.append(UInt8(self.deletes ? 1 : 0)) }
    package func encodeEx(into writer: inout WireWriter) { writer.append(self.flags.rawValue) }
}

/// FileCompressionInformation, [MS-FSCC] 2.4.9.
package struct CompressionInformation: Equatable, Sendable {
    package static let byteCount = 16

    package var compressedFileSize: UInt64
    /// COMPRESSION_FORMAT_NONE is 0.
    package var format: UInt16
    package var unitShift: UInt8
    package var chunkShift: UInt8
    package var clusterShift: UInt8

    package init(
        compressedFileSize: UInt64, format: UInt16 = 0, unitShift: UInt8 = 0, chunkShift: UInt8 = 0,
        clusterShift: UInt8 = 0
    ) {
        self.compressedFileSize = compressedFileSize
        self.format = format
        self.unitShift = unitShift
        self.chunkShift = chunkShift
        self.clusterShift = clusterShift
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FileCompressionInformation")
        self.compressedFileSize = data.load(UInt64.self, at: 0)
        self.format = data.load(UInt16.self, at: 8)
        self.unitShift = data.load(UInt8.self, at: 10)
        self.chunkShift = data.load(UInt8.self, at: 11)
        self.clusterShift = data.load(UInt8.self, at: 12)
    }

    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(Self.byteCount)
        writer.store(self.compressedFileSize, at: at)
        writer.store(self.format, at: at + 8)
        writer.store(self.unitShift, at: at + 10)
        writer.store(self.chunkShift, at: at + 11)
        writer.store(self.clusterShift, at: at + 12)
    }
}

/// FileAttributeTagInformation, [MS-FSCC] 2.4.6.
package struct AttributeTagInformation: Equatable, Sendable {
    package static let byteCount = 8

    package var attributes: FileAttributes
    package var reparseTag: UInt32

    package init(attributes: FileAttributes, reparseTag: UInt32 = 0) {
        self.attributes = attributes
        self.reparseTag = reparseTag
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FileAttributeTagInformation")
        self.attributes = FileAttributes(rawValue: data.load(UInt32.self, at: 0))
        self.reparseTag = data.load(UInt32.self, at: 4)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.attributes.rawValue)
        writer.append(self.reparseTag)
    }
}

/// FileIdInformation, [MS-FSCC] 2.4.22.
package struct IDInformation: Equatable, Sendable {
    package static let byteCount = 24

    package var volumeSerialNumber: UInt64
    /// 128 bits, of which `low` is what the 64-bit levels show.
    package var fileIDLow: UInt64
    package var fileIDHigh: UInt64

    package init(volumeSerialNumber: UInt64, fileIDLow: UInt64, fileIDHigh: UInt64 = 0) {
        self.volumeSerialNumber = volumeSerialNumber
        self.fileIDLow = fileIDLow
        self.fileIDHigh = fileIDHigh
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FileIdInformation")
        self.volumeSerialNumber = data.load(UInt64.self, at: 0)
        self.fileIDLow = data.load(UInt64.self, at: 8)
        self.fileIDHigh = data.load(UInt64.self, at: 16)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.volumeSerialNumber)
        writer.append(self.fileIDLow)
        writer.append(self.fileIDHigh)
    }
}
