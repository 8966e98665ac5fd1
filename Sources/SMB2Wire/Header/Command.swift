/// The command codes of [MS-SMB2] 2.2.1.2.
package enum SMB2Command: UInt16, Sendable, CaseIterable {
    case negotiate = 0x00
    case sessionSetup = 0x01
    case logoff = 0x02
    case treeConnect = 0x03
    case treeDisconnect = 0x04
    case create = 0x05
    case close = 0x06
    case flush = 0x07
    case read = 0x08
    case write = 0x09
    case lock = 0x0A
    case ioctl = 0x0B
    case cancel = 0x0C
    case echo = 0x0D
    case queryDirectory = 0x0E
    case changeNotify = 0x0F
    case queryInfo = 0x10
    case setInfo = 0x11
    case oplockBreak = 0x12
}

/// The dialects of [MS-SMB2] 2.2.3.
package struct Dialect: RawRepresentable, Hashable, Sendable, Comparable {
    package var rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let smb202 = Dialect(rawValue: 0x0202)
    package static let smb21 = Dialect(rawValue: 0x0210)
    package static let smb30 = Dialect(rawValue: 0x0300)
    package static let smb302 = Dialect(rawValue: 0x0302)
    package static let smb311 = Dialect(rawValue: 0x0311)
    /// The answer to an SMB1 negotiate that offers "SMB 2.???": negotiate again, with SMB2.
    package static let wildcard = Dialect(rawValue: 0x02FF)

    package static func < (a: Dialect, b: Dialect) -> Bool { a.rawValue < b.rawValue }
}
