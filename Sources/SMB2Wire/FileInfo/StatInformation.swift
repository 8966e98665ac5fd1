/// FileStatInformation and FileStatLxInformation, [MS-FSCC] 2.4.46, 2.4.47.
package struct StatInformation: Equatable, Sendable {
    package static let byteCount = 72
    package static let lxByteCount = 96
    /// LX_FILE_METADATA_HAS_UID with _HAS_GID, and LX_FILE_METADATA_HAS_MODE.
    private static let hasOwner: UInt32 = 0x03
    private static let hasMode: UInt32 = 0x04

    package var fileID: UInt64
    package var information: NetworkOpenInformation
    package var reparseTag: UInt32
    package var numberOfLinks: UInt32
    package var effectiveAccess: AccessMask

    package init(
        fileID: UInt64, information: NetworkOpenInformation, reparseTag: UInt32, numberOfLinks: UInt32,
        effectiveAccess: AccessMask
    ) {
        self.fileID = fileID
        self.information = information
        self.reparseTag = reparseTag
        self.numberOfLinks = numberOfLinks
        self.effectiveAccess = effectiveAccess
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.fileID)
        let information = self.information
        for time in [
            information.creationTime, information.lastAccessTime, information.lastWriteTime, information.changeTime,
        ] {
            writer.append(time.ticks)
        }
        writer.append(information.allocationSize)
        writer.append(information.endOfFile)
        writer.append(information.attributes.rawValue)
        writer.append(self.reparseTag)
        writer.append(self.numberOfLinks)
        writer.append(self.effectiveAccess.rawValue)
    }

    /// With what WSL keeps of a file. `owner`: nil where it has none that a client could know.
    package func encodeLx(into writer: inout WireWriter, owner: (user: UInt32, group: UInt32)?, mode: UInt32) {
        self.encode(into: &writer)
        writer.append(Self.hasMode | (owner == nil ? 0 : Self.hasOwner))
        writer.append(owner?.user ?? 0)
        writer.append(owner?.group ?? 0)
        writer.append(mode)
        writer.append(UInt64(0))
    }
}
