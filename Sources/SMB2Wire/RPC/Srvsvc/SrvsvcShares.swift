/// The calls of the server service that are served, [MS-SRVS] 3.1.4.
package enum SrvsvcOperation {
    package static let netrConnectionEnum: UInt16 = 8
    package static let netrFileEnum: UInt16 = 9
    package static let netrSessionEnum: UInt16 = 12
    package static let netrFileClose: UInt16 = 11
    package static let netrSessionDel: UInt16 = 13
    package static let netrShareAdd: UInt16 = 14
    package static let netrShareEnum: UInt16 = 15
    package static let netrShareGetInfo: UInt16 = 16
    package static let netrShareSetInfo: UInt16 = 17
    package static let netrShareDel: UInt16 = 18
    package static let netrShareDelSticky: UInt16 = 19
    package static let netrShareCheck: UInt16 = 20
    package static let netrServerGetInfo: UInt16 = 21
    package static let netrServerSetInfo: UInt16 = 22
    package static let netrRemoteTOD: UInt16 = 28
    /// NetrShareEnumSticky: the shares that the next start will have; here the same.
    package static let netrShareEnumSticky: UInt16 = 36
}

/// What the calls of [MS-SRVS] and [MS-WKST] answer with, [MS-ERREF] 2.2.
package enum Win32Error {
    package static let success: UInt32 = 0
    package static let accessDenied: UInt32 = 5
    /// ERROR_INVALID_LEVEL.
    package static let invalidLevel: UInt32 = 124
    package static let moreData: UInt32 = 234
    /// NERR_NetNameNotFound.
    package static let netNameNotFound: UInt32 = 2310
    /// NERR_DeviceNotShared.
    package static let deviceNotShared: UInt32 = 2311
}

/// A share as the server service shows it, [MS-SRVS] 2.2.4.22 to 2.2.4.26.
package struct SrvsvcShare: Equatable, Sendable {
    /// STYPE_DISKTREE, STYPE_IPC, STYPE_SPECIAL: [MS-SRVS] 2.2.2.4.
    package static let diskTree: UInt32 = 0
    package static let ipc: UInt32 = 3
    package static let special: UInt32 = 0x8000_0000

    package var name: String
    package var type: UInt32
    package var comment: String
    /// As a Windows path; what the client shows an administrator, and nothing else.
    package var path: String
    package var currentUses: UInt32
    /// SHI1005_FLAGS, [MS-SRVS] 2.2.4.29.
    package var flags: UInt32
    /// Self-relative; nil: none to show.
    package var securityDescriptor: [UInt8]?

    package init(
        name: String, type: UInt32, comment: String, path: String, currentUses: UInt32 = 0, flags: UInt32 = 0,
        securityDescriptor: [UInt8]? = nil
    ) {
        self.name = name
        self.type = type
        self.comment = comment
        self.path = path
        self.currentUses = currentUses
        self.flags = flags
        self.securityDescriptor = securityDescriptor
    }
}

/// SERVER_INFO_100 to 102, [MS-SRVS] 2.2.4.40 to 2.2.4.42.
package struct SrvsvcServer: Equatable, Sendable {
    /// PLATFORM_ID_NT.
    package static let platformNT: UInt32 = 500
    /// SV_TYPE_WORKSTATION, SV_TYPE_SERVER, SV_TYPE_NT, SV_TYPE_SERVER_NT: [MS-SRVS] 2.2.2.7.
    package static let serverType: UInt32 = 0x0000_0001 | 0x0000_0002 | 0x0000_1000 | 0x0000_8000

    package var name: String
    package var comment: String
    package var versionMajor: UInt32
    package var versionMinor: UInt32
    package var maximumUsers: UInt32

    package init(
        name: String, comment: String, versionMajor: UInt32 = 10, versionMinor: UInt32 = 0,
        maximumUsers: UInt32 = 16_384
    ) {
        self.maximumUsers = maximumUsers
        self.name = name
        self.comment = comment
        self.versionMajor = versionMajor
        self.versionMinor = versionMinor
    }
}

extension NDRWriter {
    /// The fixed part of SHARE_INFO_<level>; false for a level that is not known here.
    fileprivate mutating func appendFixed(_ share: SrvsvcShare, level: UInt32) -> Bool {
        switch level {
        case 0:
            self.appendPointer(true)
        case 1, 501:
            self.appendPointer(true)
            self.append(share.type)
            self.appendPointer(true)
            if level == 501 { self.append(share.flags) }
        case 2, 502:
            self.appendPointer(true)
            self.append(share.type)
            self.appendPointer(true)
            self.append(UInt32(0))  // permissions: of share-level security only
            self.append(UInt32.max)  // max_uses: unlimited
            self.append(share.currentUses)
            self.appendPointer(true)
            self.appendPointer(false)  // passwd
            if level == 502 {
                self.append(UInt32(share.securityDescriptor?.count ?? 0))
                self.appendPointer(share.securityDescriptor != nil)
            }
        case 1004:
            self.appendPointer(true)
        case 1005:
            self.append(share.flags)
        case 1006:
            self.append(UInt32.max)
        default:
            return false
        }
        return true
    }

    /// What the pointers of the fixed part point to, in their order.
    fileprivate mutating func appendDeferred(_ share: SrvsvcShare, level: UInt32) {
        switch level {
        case 0:
            self.append(string: share.name)
        case 1, 501:
            self.append(string: share.name)
            self.append(string: share.comment)
        case 2, 502:
            self.append(string: share.name)
            self.append(string: share.comment)
            self.append(string: share.path)
            if level == 502, let descriptor = share.securityDescriptor { self.append(conformantBytes: descriptor) }
        case 1004:
            self.append(string: share.comment)
        default:
            break
        }
    }
}

/// NetrShareEnum, [MS-SRVS] 3.1.4.8.
package struct NetrShareEnum: Equatable, Sendable {
    package var level: UInt32
    /// Nil where the client sent no handle.
    package var resumeHandle: UInt32?

    package init(level: UInt32, resumeHandle: UInt32? = 0) {
        self.level = level
        self.resumeHandle = resumeHandle
    }

    /// SHARE_ENUM_UNION has these arms; any other level cannot even be unmarshalled.
    package static func isKnown(level: UInt32) -> Bool { [0, 1, 2, 501, 502, 503].contains(level) }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        _ = try reader.uniqueString()
        self.level = try reader.uint32()
        guard try reader.uint32() == self.level, Self.isKnown(level: self.level) else {
            throw .invalidValue("SHARE_ENUM_UNION")
        }
        if try reader.pointer() {
            // A container: the count and a pointer, null on the way in. Entries sent all the same are refused.
            _ = try reader.uint32()
            guard try !reader.pointer() else { throw .invalidValue("SHARE_INFO_CONTAINER with entries") }
        }
        _ = try reader.uint32()
        self.resumeHandle = try reader.pointer() ? try reader.uint32() : nil
    }

    package func encode(into writer: inout NDRWriter, server: String) {
        writer.appendPointer(true)
        writer.append(string: server)
        writer.append(self.level)
        writer.append(self.level)
        writer.appendPointer(true)
        writer.append(UInt32(0))
        writer.appendPointer(false)
        writer.append(UInt32.max)
        writer.appendPointer(self.resumeHandle != nil)
        if let handle = self.resumeHandle { writer.append(handle) }
    }

    /// The answer: all shares at once, whatever the preferred length.
    package func answer(_ shares: [SrvsvcShare], into writer: inout NDRWriter) {
        let isSupported = self.level != 503
        writer.append(self.level)
        writer.append(self.level)
        writer.appendPointer(true)
        writer.append(UInt32(isSupported ? shares.count : 0))
        writer.appendPointer(isSupported && !shares.isEmpty)
        if isSupported, !shares.isEmpty {
            writer.append(UInt32(shares.count))
            for share in shares { _ = writer.appendFixed(share, level: self.level) }
            for share in shares { writer.appendDeferred(share, level: self.level) }
        }
        writer.append(UInt32(isSupported ? shares.count : 0))
        writer.appendPointer(self.resumeHandle != nil)
        if self.resumeHandle != nil { writer.append(UInt32(0)) }
        writer.append(isSupported ? Win32Error.success : Win32Error.invalidLevel)
    }

    /// The answer's shares of level 1, for a client.
    package static func parseAnswerLevel1(_ stub: RawSpan) throws(WireError) -> [SrvsvcShare] {
        var reader = NDRReader(stub)
        guard try reader.uint32() == 1, try reader.uint32() == 1 else { throw .invalidValue("SHARE_ENUM_UNION") }
        var shares: [SrvsvcShare] = []
        if try reader.pointer() {
            let count = try reader.uint32()
            if try reader.pointer() {
                guard try reader.uint32() == count, Int(count) <= NDRReader.maximumElements else {
                    throw .limitExceeded("shares")
                }
                var fixed: [(type: UInt32, hasName: Bool, hasComment: Bool)] = []
                for _ in 0..<count {
                    let hasName = try reader.pointer()
                    let type = try reader.uint32()
                    fixed.append((type, hasName, try reader.pointer()))
                }
                for (type, hasName, hasComment) in fixed {
                    let name = hasName ? try reader.string() : ""
                    let comment = hasComment ? try reader.string() : ""
                    shares.append(SrvsvcShare(name: name, type: type, comment: comment, path: ""))
                }
            }
        }
        _ = try reader.uint32()
        if try reader.pointer() { _ = try reader.uint32() }
        guard try reader.uint32() == Win32Error.success else { throw .invalidValue("NetrShareEnum status") }
        return shares
    }
}

/// NetrShareGetInfo, [MS-SRVS] 3.1.4.10.
package struct NetrShareGetInfo: Equatable, Sendable {
    package var name: String
    package var level: UInt32

    package init(name: String, level: UInt32) {
        self.name = name
        self.level = level
    }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        _ = try reader.uniqueString()
        self.name = try reader.string()
        self.level = try reader.uint32()
    }

    package func encode(into writer: inout NDRWriter, server: String) {
        writer.appendPointer(true)
        writer.append(string: server)
        writer.append(string: self.name)
        writer.append(self.level)
    }

    /// `share` is nil where no share has this name.
    package func answer(_ share: SrvsvcShare?, into writer: inout NDRWriter) {
        writer.append(self.level)
        var status = Win32Error.netNameNotFound
        if let share {
            if [0, 1, 2, 501, 502, 1004, 1005, 1006].contains(self.level) {
                writer.appendPointer(true)
                _ = writer.appendFixed(share, level: self.level)
                writer.appendDeferred(share, level: self.level)
                writer.append(Win32Error.success)
                return
            }
            status = Win32Error.invalidLevel
        }
        writer.appendPointer(false)
        writer.append(status)
    }
}

/// The calls that would change something, refused. [MS-SRVS] 3.1.4.4, .6, .7, .11 to .14, .18: those that set
/// information answer with the place of a parameter's error, too, which is none.
package enum SrvsvcRefusal {
    package static func answer(_ operation: UInt16, _ status: UInt32, into writer: inout NDRWriter) {
        switch operation {
        case SrvsvcOperation.netrShareAdd, SrvsvcOperation.netrShareSetInfo, SrvsvcOperation.netrServerSetInfo:
            writer.appendPointer(false)
        default: break
        }
        writer.append(status)
    }
}

/// NetrShareCheck, [MS-SRVS] 3.1.4.15: whether a folder of the server's is shared.
package struct NetrShareCheck: Equatable, Sendable {
    package var device: String

    package init(device: String) { self.device = device }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        _ = try reader.uniqueString()
        self.device = try reader.string()
    }

    package func encode(into writer: inout NDRWriter, server: String) {
        writer.append(uniqueString: server)
        writer.append(string: self.device)
    }

    /// `share` is nil where no share has this folder.
    package func answer(_ share: SrvsvcShare?, into writer: inout NDRWriter) {
        writer.append(share?.type ?? 0)
        writer.append(share == nil ? Win32Error.deviceNotShared : Win32Error.success)
    }
}

/// NetrServerGetInfo, [MS-SRVS] 3.1.4.17.
package struct NetrServerGetInfo: Equatable, Sendable {
    package var level: UInt32

    package init(level: UInt32) { self.level = level }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        _ = try reader.uniqueString()
        self.level = try reader.uint32()
    }

    package func encode(into writer: inout NDRWriter, server: String) {
        writer.appendPointer(true)
        writer.append(string: server)
        writer.append(self.level)
    }

    package func answer(_ server: SrvsvcServer, into writer: inout NDRWriter) {
        writer.append(self.level)
        guard (100...102).contains(self.level) else {
            writer.appendPointer(false)
            writer.append(Win32Error.invalidLevel)
            return
        }
        writer.appendPointer(true)
        writer.append(SrvsvcServer.platformNT)
        writer.appendPointer(true)
        if self.level >= 101 {
            writer.append(server.versionMajor)
            writer.append(server.versionMinor)
            writer.append(SrvsvcServer.serverType)
            writer.appendPointer(true)
        }
        if self.level == 102 {
            writer.append(server.maximumUsers)
            writer.append(UInt32(15))  // minutes until an idle session is disconnected
            writer.append(UInt32(0))  // hidden: no
            writer.append(UInt32(240))  // announce, anndelta: the defaults of browsing, which is not done here
            writer.append(UInt32(3000))
            writer.append(UInt32(0))  // licenses
            writer.appendPointer(true)
        }
        writer.append(string: server.name)
        if self.level >= 101 { writer.append(string: server.comment) }
        if self.level == 102 { writer.append(string: "C:\\") }
        writer.append(Win32Error.success)
    }
}
