/// ACCESS_MASK as a file server reads it, [MS-SMB2] 2.2.13.1, [MS-DTYP] 2.4.3.
package struct AccessMask: OptionSet, Hashable, Sendable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let readData = AccessMask(rawValue: 0x0000_0001)
    package static let writeData = AccessMask(rawValue: 0x0000_0002)
    package static let appendData = AccessMask(rawValue: 0x0000_0004)
    package static let readEA = AccessMask(rawValue: 0x0000_0008)
    package static let writeEA = AccessMask(rawValue: 0x0000_0010)
    package static let execute = AccessMask(rawValue: 0x0000_0020)
    package static let deleteChild = AccessMask(rawValue: 0x0000_0040)
    package static let readAttributes = AccessMask(rawValue: 0x0000_0080)
    package static let writeAttributes = AccessMask(rawValue: 0x0000_0100)
    package static let delete = AccessMask(rawValue: 0x0001_0000)
    package static let readControl = AccessMask(rawValue: 0x0002_0000)
    package static let writeDAC = AccessMask(rawValue: 0x0004_0000)
    package static let writeOwner = AccessMask(rawValue: 0x0008_0000)
    package static let synchronize = AccessMask(rawValue: 0x0010_0000)
    package static let accessSystemSecurity = AccessMask(rawValue: 0x0100_0000)
    package static let maximumAllowed = AccessMask(rawValue: 0x0200_0000)
    package static let genericAll = AccessMask(rawValue: 0x1000_0000)
    package static let genericExecute = AccessMask(rawValue: 0x2000_0000)
    package static let genericWrite = AccessMask(rawValue: 0x4000_0000)
    package static let genericRead = AccessMask(rawValue: 0x8000_0000)

    /// The same bits, as [MS-SMB2] 2.2.13.1.2 names them on a directory.
    package static let listDirectory = AccessMask.readData
    package static let addFile = AccessMask.writeData
    package static let addSubdirectory = AccessMask.appendData
    package static let traverse = AccessMask.execute

    /// What the generic rights mean on a file, [MS-FSA] 2.1.1.4 (FILE_GENERIC_READ and so on).
    package static let fileGenericRead = AccessMask(rawValue: 0x0012_0089)
    package static let fileGenericWrite = AccessMask(rawValue: 0x0012_0116)
    package static let fileGenericExecute = AccessMask(rawValue: 0x0012_00A0)
    package static let fileAll = AccessMask(rawValue: 0x001F_01FF)

    /// Every bit with a meaning; [MS-SMB2] 3.3.5.9 refuses a request with none of them or with others.
    package static let valid = AccessMask(rawValue: 0xF31F_01FF)

    /// The generic rights replaced by the specific ones they stand for. MAXIMUM_ALLOWED stays: only the file's
    /// security descriptor can resolve it.
    package var mappingGeneric: AccessMask {
        var mask = self.subtracting([.genericRead, .genericWrite, .genericExecute, .genericAll])
        if self.contains(.genericRead) { mask.formUnion(.fileGenericRead) }
        if self.contains(.genericWrite) { mask.formUnion(.fileGenericWrite) }
        if self.contains(.genericExecute) { mask.formUnion(.fileGenericExecute) }
        if self.contains(.genericAll) { mask.formUnion(.fileAll) }
        return mask
    }
}
