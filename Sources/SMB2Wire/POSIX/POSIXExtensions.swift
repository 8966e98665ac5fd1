// The POSIX extensions of SMB 3.1.1, as the Linux client and Samba speak them: "SMB3 POSIX Extensions" (Samba's wiki and
// https://gitlab.com/samba-team/smb3-posix-spec), section numbers beside the structures.

package enum POSIXExtensions {
    /// Names the extensions in the negotiate context (2.2.3.1) and the create context (2.2.13.2.16):
    /// 93AD2550 9CB411E7 B42383DE 968BCD7C, in this order on the wire.
    package static let identifier = GUID(low: 0xE711_B49C_5025_AD93, high: 0x7CCD_8B96_DE83_23B4)

    /// The negotiate context's data.
    package static let negotiateData: [UInt8] = {
        var writer = WireWriter(capacity: GUID.byteCount)
        writer.append(Self.identifier)
        return writer.bytes
    }()

    /// FilePosixInformation, SMB2_FIND_POSIX_INFORMATION and FileFsPosixInformation are all number 100.
    package static let informationClass: UInt8 = 100
}

/// SMB2_CREATE_POSIX_CONTEXT of a request: what makes an open a POSIX open.
package struct POSIXCreateRequest: Equatable, Sendable {
    package static let byteCount = 4

    /// Permission bits for what the request creates (07777).
    package var mode: UInt32

    package init(mode: UInt32) { self.mode = mode }

    init(data: RawSpan) throws(WireError) {
        guard data.byteCount == Self.byteCount else { throw .invalidValue("POSIX create context length") }
        self.mode = data.load(UInt32.self, at: 0)
    }
}

/// What a POSIX client learns of a file beyond what every client does. The create context's response is this alone.
package struct POSIXAttributes: Equatable, Sendable {
    /// Before the two SIDs.
    package static let fixedByteCount = 12

    package var linkCount: UInt32
    package var reparseTag: UInt32
    /// As stat(2) has it, the type included; on the wire the type is another number.
    package var mode: UInt32
    package var owner: SID
    package var group: SID

    package init(linkCount: UInt32, reparseTag: UInt32, mode: UInt32, owner: SID, group: SID) {
        self.linkCount = linkCount
        self.reparseTag = reparseTag
        self.mode = mode
        self.owner = owner
        self.group = group
    }

    /// At the beginning of `data`; more may follow.
    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.fixedByteCount, "POSIX attributes")
        self.linkCount = data.load(UInt32.self, at: 0)
        self.reparseTag = data.load(UInt32.self, at: 4)
        self.mode = Self.mode(wire: data.load(UInt32.self, at: 8))
        self.owner = try SID(parsing: data.extracting(Self.fixedByteCount..<data.byteCount))
        let groupAt = Self.fixedByteCount + self.owner.byteCount
        self.group = try SID(parsing: data.extracting(groupAt..<data.byteCount))
    }

    package var byteCount: Int { Self.fixedByteCount + self.owner.byteCount + self.group.byteCount }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.linkCount)
        writer.append(self.reparseTag)
        writer.append(Self.wire(mode: self.mode))
        self.owner.encode(into: &writer)
        self.group.encode(into: &writer)
    }

    // MARK: The mode on the wire

    private static let permissions: UInt32 = 0o7777
    private static let typeMask: UInt32 = 0o170000
    private static let typeShift: UInt32 = 12
    /// By their number on the wire: file, directory, symbolic link, character device, block device, FIFO, socket.
    private static let types: [UInt32] = [0o100000, 0o040000, 0o120000, 0o020000, 0o060000, 0o010000, 0o140000]

    static func wire(mode: UInt32) -> UInt32 {
        let type = Self.types.firstIndex(of: mode & Self.typeMask) ?? 0
        return mode & Self.permissions | UInt32(type) << Self.typeShift
    }

    /// A type that nobody has defined is a file's.
    static func mode(wire: UInt32) -> UInt32 {
        let type = Int(wire >> Self.typeShift & 0xF)
        return wire & Self.permissions | (type < Self.types.count ? Self.types[type] : Self.types[0])
    }
}

/// FilePosixInformation, and what a directory's entry of that class holds between its link and its name.
package struct POSIXInformation: Equatable, Sendable {
    /// Before the two SIDs.
    package static let fixedByteCount = 68 + POSIXAttributes.fixedByteCount

    package var information: NetworkOpenInformation
    /// The inode's number.
    package var fileID: UInt64
    /// The file system that has the inode.
    package var deviceID: UInt32
    package var attributes: POSIXAttributes

    package init(
        information: NetworkOpenInformation, fileID: UInt64, deviceID: UInt32, attributes: POSIXAttributes
    ) {
        self.information = information
        self.fileID = fileID
        self.deviceID = deviceID
        self.attributes = attributes
    }

    /// At the beginning of `data`; more may follow.
    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.fixedByteCount, "FilePosixInformation")
        self.information = NetworkOpenInformation(
            creationTime: FileTime(ticks: data.load(UInt64.self, at: 0)),
            lastAccessTime: FileTime(ticks: data.load(UInt64.self, at: 8)),
            lastWriteTime: FileTime(ticks: data.load(UInt64.self, at: 16)),
            changeTime: FileTime(ticks: data.load(UInt64.self, at: 24)),
            allocationSize: data.load(UInt64.self, at: 40), endOfFile: data.load(UInt64.self, at: 32),
            attributes: FileAttributes(rawValue: data.load(UInt32.self, at: 48)))
        self.fileID = data.load(UInt64.self, at: 52)
        self.deviceID = data.load(UInt32.self, at: 60)
        self.attributes = try POSIXAttributes(parsing: data.extracting(68..<data.byteCount))
    }

    package var byteCount: Int { 68 + self.attributes.byteCount }

    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(68)
        writer.store(self.information.creationTime.ticks, at: at)
        writer.store(self.information.lastAccessTime.ticks, at: at + 8)
        writer.store(self.information.lastWriteTime.ticks, at: at + 16)
        writer.store(self.information.changeTime.ticks, at: at + 24)
        writer.store(self.information.endOfFile, at: at + 32)
        writer.store(self.information.allocationSize, at: at + 40)
        writer.store(self.information.attributes.rawValue, at: at + 48)
        writer.store(self.fileID, at: at + 52)
        writer.store(self.deviceID, at: at + 60)
        self.attributes.encode(into: &writer)
    }
}

/// FileFsPosixInformation: what statvfs(2) says.
package struct POSIXVolumeInformation: Equatable, Sendable {
    package static let byteCount = 56

    package var optimalTransferSize: UInt32
    package var blockSize: UInt32
    package var totalBlocks: UInt64
    package var freeBlocks: UInt64
    /// Of these, what others than the superuser may use.
    package var availableBlocks: UInt64
    package var totalNodes: UInt64
    package var freeNodes: UInt64
    package var fileSystemID: UInt64

    package init(
        optimalTransferSize: UInt32, blockSize: UInt32, totalBlocks: UInt64, freeBlocks: UInt64,
        availableBlocks: UInt64, totalNodes: UInt64, freeNodes: UInt64, fileSystemID: UInt64
    ) {
        self.optimalTransferSize = optimalTransferSize
        self.blockSize = blockSize
        self.totalBlocks = totalBlocks
        self.freeBlocks = freeBlocks
        self.availableBlocks = availableBlocks
        self.totalNodes = totalNodes
        self.freeNodes = freeNodes
        self.fileSystemID = fileSystemID
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FileFsPosixInformation")
        self.optimalTransferSize = data.load(UInt32.self, at: 0)
        self.blockSize = data.load(UInt32.self, at: 4)
        self.totalBlocks = data.load(UInt64.self, at: 8)
        self.freeBlocks = data.load(UInt64.self, at: 16)
        self.availableBlocks = data.load(UInt64.self, at: 24)
        self.totalNodes = data.load(UInt64.self, at: 32)
        self.freeNodes = data.load(UInt64.self, at: 40)
        self.fileSystemID = data.load(UInt64.self, at: 48)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.optimalTransferSize)
        writer.append(self.blockSize)
        for value in [
            self.totalBlocks, self.freeBlocks, self.availableBlocks, self.totalNodes, self.freeNodes,
            self.fileSystemID,
        ] { writer.append(value) }
    }
}
