/// The file system information classes of [MS-FSCC] 2.5.
package enum FileSystemInformationClass: UInt8, Sendable, CaseIterable {
    case volume = 1
    case label = 2
    case size = 3
    case device = 4
    case attribute = 5
    case control = 6
    case fullSize = 7
    case objectID = 8
    case driverPath = 9
    case volumeFlags = 10
    case sectorSize = 11
    /// FileFsPosixInformation of the POSIX extensions.
    case posix = 100

    /// As `FileInformationClass.fixedByteCount`.
    package var fixedByteCount: Int {
        switch self {
        case .volume: 24
        case .label: 8
        case .size: VolumeSizeInformation.byteCount
        case .device: 8
        case .attribute: 16
        case .control: VolumeControlInformation.byteCount
        case .fullSize: VolumeFullSizeInformation.byteCount
        case .objectID: VolumeObjectIDInformation.byteCount
        case .driverPath: 12
        case .volumeFlags: 4
        case .sectorSize: SectorSizeInformation.byteCount
        case .posix: POSIXVolumeInformation.byteCount
        }
    }
}

/// FileFsVolumeInformation, [MS-FSCC] 2.5.9.
package struct VolumeInformation: Equatable, Sendable {
    package var creationTime: FileTime
    package var serialNumber: UInt32
    package var supportsObjects: Bool
    package var label: String

    package init(creationTime: FileTime, serialNumber: UInt32, supportsObjects: Bool = false, label: String) {
        self.creationTime = creationTime
        self.serialNumber = serialNumber
        self.supportsObjects = supportsObjects
        self.label = label
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(18, "FileFsVolumeInformation")
        self.creationTime = FileTime(ticks: data.load(UInt64.self, at: 0))
        self.serialNumber = data.load(UInt32.self, at: 8)
        self.supportsObjects = data.load(UInt8.self, at: 16) != 0
        let label = try data.range(
            offset: 18, length: Int(data.load(UInt32.self, at: 12)), notBefore: 18, "volume label")
        self.label = try UTF16LE.decode(data.extracting(label))
    }

    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(18)
        writer.store(self.creationTime.ticks, at: at)
        writer.store(self.serialNumber, at: at + 8)
        writer.store(UInt8(self.supportsObjects ? 1 : 0), at: at + 16)
        writer.store(UInt32(writer.append(utf16: self.label)), at: at + 12)
    }
}

/// FileFsLabelInformation, [MS-FSCC] 2.5.5, is a length and a name.
package typealias VolumeLabelInformation = NameInformation

/// FileFsSizeInformation, [MS-FSCC] 2.5.8.
package struct VolumeSizeInformation: Equatable, Sendable {
    package static let byteCount = 24

    package var totalAllocationUnits: UInt64
    package var availableAllocationUnits: UInt64
    package var sectorsPerAllocationUnit: UInt32
    package var bytesPerSector: UInt32

    package init(
        totalAllocationUnits: UInt64, availableAllocationUnits: UInt64, sectorsPerAllocationUnit: UInt32,
        bytesPerSector: UInt32
    ) {
        self.totalAllocationUnits = totalAllocationUnits
        self.availableAllocationUnits = availableAllocationUnits
        self.sectorsPerAllocationUnit = sectorsPerAllocationUnit
        self.bytesPerSector = bytesPerSector
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FileFsSizeInformation")
        self.totalAllocationUnits = data.load(UInt64.self, at: 0)
        self.availableAllocationUnits = data.load(UInt64.self, at: 8)
        self.sectorsPerAllocationUnit = data.load(UInt32.self, at: 16)
        self.bytesPerSector = data.load(UInt32.self, at: 20)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.totalAllocationUnits)
        writer.append(self.availableAllocationUnits)
        writer.append(self.sectorsPerAllocationUnit)
        writer.append(self.bytesPerSector)
    }
}

/// FileFsFullSizeInformation, [MS-FSCC] 2.5.4.
package struct VolumeFullSizeInformation: Equatable, Sendable {
    package static let byteCount = 32

    package var totalAllocationUnits: UInt64
    package var callerAvailableAllocationUnits: UInt64
    package var actualAvailableAllocationUnits: UInt64
    package var sectorsPerAllocationUnit: UInt32
    package var bytesPerSector: UInt32

    package init(
        totalAllocationUnits: UInt64, callerAvailableAllocationUnits: UInt64, actualAvailableAllocationUnits: UInt64,
        sectorsPerAllocationUnit: UInt32, bytesPerSector: UInt32
    ) {
        self.totalAllocationUnits = totalAllocationUnits
        self.callerAvailableAllocationUnits = callerAvailableAllocationUnits
        self.actualAvailableAllocationUnits = actualAvailableAllocationUnits
        self.sectorsPerAllocationUnit = sectorsPerAllocationUnit
        self.bytesPerSector = bytesPerSector
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FileFsFullSizeInformation")
        self.totalAllocationUnits = data.load(UInt64.self, at: 0)
        self.callerAvailableAllocationUnits = data.load(UInt64.self, at: 8)
        self.actualAvailableAllocationUnits = data.load(UInt64.self, at: 16)
        self.sectorsPerAllocationUnit = data.load(UInt32.self, at: 24)
        self.bytesPerSector = data.load(UInt32.self, at: 28)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.totalAllocationUnits)
        writer.append(self.callerAvailableAllocationUnits)
        writer.append(self.actualAvailableAllocationUnits)
        writer.append(self.sectorsPerAllocationUnit)
        writer.append(self.bytesPerSector)
    }
}

/// FileFsDeviceInformation, [MS-FSCC] 2.5.10.
package struct DeviceInformation: Equatable, Sendable {
    /// FILE_DEVICE_DISK and FILE_DEVICE_NAMED_PIPE.
    package static let disk: UInt32 = 0x0000_0007
    package static let namedPipe: UInt32 = 0x0000_0011
    /// FILE_DEVICE_IS_MOUNTED.
    package static let isMounted: UInt32 = 0x0000_0020
    /// FILE_REMOTE_DEVICE.
    package static let isRemote: UInt32 = 0x0000_0010

    package var deviceType: UInt32
    package var characteristics: UInt32

    package init(deviceType: UInt32, characteristics: UInt32) {
        self.deviceType = deviceType
        self.characteristics = characteristics
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(8, "FileFsDeviceInformation")
        self.deviceType = data.load(UInt32.self, at: 0)
        self.characteristics = data.load(UInt32.self, at: 4)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.deviceType)
        writer.append(self.characteristics)
    }
}

/// FileFsAttributeInformation, [MS-FSCC] 2.5.1.
package struct VolumeAttributeInformation: Equatable, Sendable {
    package struct Attributes: OptionSet, Hashable, Sendable {
        package var rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let caseSensitiveSearch = Attributes(rawValue: 0x0000_0001)
        package static let casePreservedNames = Attributes(rawValue: 0x0000_0002)
        package static let unicodeOnDisk = Attributes(rawValue: 0x0000_0004)
        package static let persistentACLs = Attributes(rawValue: 0x0000_0008)
        package static let fileCompression = Attributes(rawValue: 0x0000_0010)
        package static let volumeQuotas = Attributes(rawValue: 0x0000_0020)
        package static let supportsSparseFiles = Attributes(rawValue: 0x0000_0040)
        package static let supportsReparsePoints = Attributes(rawValue: 0x0000_0080)
        package static let supportsObjectIDs = Attributes(rawValue: 0x0001_0000)
        package static let supportsEncryption = Attributes(rawValue: 0x0002_0000)
        package static let namedStreams = Attributes(rawValue: 0x0004_0000)
        package static let readOnlyVolume = Attributes(rawValue: 0x0008_0000)
        package static let supportsHardLinks = Attributes(rawValue: 0x0040_0000)
        package static let supportsExtendedAttributes = Attributes(rawValue: 0x0080_0000)
        package static let supportsOpenByFileID = Attributes(rawValue: 0x0100_0000)
        package static let supportsBlockRefcounting = Attributes(rawValue: 0x0800_0000)
    }

    package var attributes: Attributes
    package var maximumComponentNameLength: UInt32
    package var fileSystemName: String

    package init(attributes: Attributes, maximumComponentNameLength: UInt32, fileSystemName: String) {
        self.attributes = attributes
        self.maximumComponentNameLength = maximumComponentNameLength
        self.fileSystemName = fileSystemName
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(12, "FileFsAttributeInformation")
        self.attributes = Attributes(rawValue: data.load(UInt32.self, at: 0))
        self.maximumComponentNameLength = data.load(UInt32.self, at: 4)
        let name = try data.range(
            offset: 12, length: Int(data.load(UInt32.self, at: 8)), notBefore: 12, "file system name")
        self.fileSystemName = try UTF16LE.decode(data.extracting(name))
    }

    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(12)
        writer.store(self.attributes.rawValue, at: at)
        writer.store(self.maximumComponentNameLength, at: at + 4)
        writer.store(UInt32(writer.append(utf16: self.fileSystemName)), at: at + 8)
    }
}

/// FileFsControlInformation, [MS-FSCC] 2.5.2.
package struct VolumeControlInformation: Equatable, Sendable {
    package static let byteCount = 48
    /// No quota at all: both defaults are -1.
    package static let unlimited = VolumeControlInformation(
        defaultQuotaThreshold: UInt64.max, defaultQuotaLimit: UInt64.max, flags: 0)

    package var defaultQuotaThreshold: UInt64
    package var defaultQuotaLimit: UInt64
    package var flags: UInt32

    package init(defaultQuotaThreshold: UInt64, defaultQuotaLimit: UInt64, flags: UInt32) {
        self.defaultQuotaThreshold = defaultQuotaThreshold
        self.defaultQuotaLimit = defaultQuotaLimit
        self.flags = flags
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FileFsControlInformation")
        self.defaultQuotaThreshold = data.load(UInt64.self, at: 24)
        self.defaultQuotaLimit = data.load(UInt64.self, at: 32)
        self.flags = data.load(UInt32.self, at: 40)
    }

    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(Self.byteCount)
        writer.store(self.defaultQuotaThreshold, at: at + 24)
        writer.store(self.defaultQuotaLimit, at: at + 32)
        writer.store(self.flags, at: at + 40)
    }
}

/// FileFsObjectIdInformation, [MS-FSCC] 2.5.6.
package struct VolumeObjectIDInformation: Equatable, Sendable {
    package static let byteCount = 64

    package var objectID: GUID

    package init(objectID: GUID) { self.objectID = objectID }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FileFsObjectIdInformation")
        self.objectID = GUID(loading: data, at: 0)
    }

    /// The 48 bytes of extended information are zero.
    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(Self.byteCount)
        writer.store(self.objectID, at: at)
    }
}

/// FileFsSectorSizeInformation, [MS-FSCC] 2.5.7.
package struct SectorSizeInformation: Equatable, Sendable {
    package static let byteCount = 28
    /// SSINFO_FLAGS_ALIGNED_DEVICE and SSINFO_FLAGS_PARTITION_ALIGNED_ON_DEVICE.
    package static let alignedFlags: UInt32 = 0x0000_0003

    package var logicalBytesPerSector: UInt32
    package var physicalBytesPerSectorForAtomicity: UInt32
    package var physicalBytesPerSectorForPerformance: UInt32
    package var effectivePhysicalBytesPerSectorForAtomicity: UInt32
    package var flags: UInt32
    package var byteOffsetForSectorAlignment: UInt32
    package var byteOffsetForPartitionAlignment: UInt32

    package init(logicalBytesPerSector: UInt32, physicalBytesPerSector: UInt32) {
        self.logicalBytesPerSector = logicalBytesPerSector
        self.physicalBytesPerSectorForAtomicity = physicalBytesPerSector
        self.physicalBytesPerSectorForPerformance = physicalBytesPerSector
        self.effectivePhysicalBytesPerSectorForAtomicity = physicalBytesPerSector
        self.flags = Self.alignedFlags
        self.byteOffsetForSectorAlignment = 0
        self.byteOffsetForPartitionAlignment = 0
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FileFsSectorSizeInformation")
        self.logicalBytesPerSector = data.load(UInt32.self, at: 0)
        self.physicalBytesPerSectorForAtomicity = data.load(UInt32.self, at: 4)
        self.physicalBytesPerSectorForPerformance = data.load(UInt32.self, at: 8)
        self.effectivePhysicalBytesPerSectorForAtomicity = data.load(UInt32.self, at: 12)
        self.flags = data.load(UInt32.self, at: 16)
        self.byteOffsetForSectorAlignment = data.load(UInt32.self, at: 20)
        self.byteOffsetForPartitionAlignment = data.load(UInt32.self, at: 24)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.logicalBytesPerSector)
        writer.append(self.physicalBytesPerSectorForAtomicity)
        writer.append(self.physicalBytesPerSectorForPerformance)
        writer.append(self.effectivePhysicalBytesPerSectorForAtomicity)
        writer.append(self.flags)
        writer.append(self.byteOffsetForSectorAlignment)
        writer.append(self.byteOffsetForPartitionAlignment)
    }
}
