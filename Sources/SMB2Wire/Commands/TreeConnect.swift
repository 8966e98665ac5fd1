/// SMB2 TREE_CONNECT Request, [MS-SMB2] 2.2.9.
package struct TreeConnectRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 9
    /// A path longer than this is no \\server\share.
    package static let maximumPathByteCount = 2048

    package struct Flags: OptionSet, Hashable, Sendable {
        package var rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }
        package static let clusterReconnect = Flags(rawValue: 0x0001)
        package static let redirectToOwner = Flags(rawValue: 0x0002)
        /// The buffer starts with the extension of 2.2.9.1. Its contexts are for servers in a scale-out cluster;
        /// the path is where PathOffset says, and is all that is read.
        package static let extensionPresent = Flags(rawValue: 0x0004)
    }

    /// Reserved before 3.1.1.
    package var flags: Flags
    /// The path in UTF-16, relative to the SMB2 header.
    package var path: Range<Int>

    package init(flags: Flags = []) {
        self.flags = flags
        self.path = 0..<0
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 8, "TREE_CONNECT")
        let body = SMB2Header.byteCount
        self.flags = Flags(rawValue: message.load(UInt16.self, at: body + 2))
        let length = Int(message.load(UInt16.self, at: body + 6))
        guard length <= Self.maximumPathByteCount else { throw .limitExceeded("TREE_CONNECT path") }
        self.path = try message.range(
            offset: Int(message.load(UInt16.self, at: body + 4)), length: length, notBefore: body + 8,
            "TREE_CONNECT path")
    }

    package func encode(into writer: inout WireWriter, path: String) {
        let body = writer.claim(8)
        writer.store(Self.structureSize, at: body)
        writer.store(self.flags.rawValue, at: body + 2)
        writer.store(UInt16(writer.offsetInMessage), at: body + 4)
        let length = writer.append(utf16: path)
        writer.store(UInt16(length), at: body + 6)
    }
}

/// SMB2 TREE_CONNECT Response, [MS-SMB2] 2.2.10.
package struct TreeConnectResponse: Equatable, Sendable {
    package static let structureSize: UInt16 = 16

    package struct ShareType: RawRepresentable, Hashable, Sendable {
        package var rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let disk = ShareType(rawValue: 1)
        package static let pipe = ShareType(rawValue: 2)
        package static let print = ShareType(rawValue: 3)
    }

    package struct ShareFlags: OptionSet, Hashable, Sendable {
        package var rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let manualCaching = ShareFlags([])
        package static let autoCaching = ShareFlags(rawValue: 0x0000_0010)
        package static let vdoCaching = ShareFlags(rawValue: 0x0000_0020)
        package static let noCaching = ShareFlags(rawValue: 0x0000_0030)
        package static let dfs = ShareFlags(rawValue: 0x0000_0001)
        package static let dfsRoot = ShareFlags(rawValue: 0x0000_0002)
        package static let restrictExclusiveOpens = ShareFlags(rawValue: 0x0000_0100)
        package static let forceSharedDelete = ShareFlags(rawValue: 0x0000_0200)
        package static let allowNamespaceCaching = ShareFlags(rawValue: 0x0000_0400)
        package static let accessBasedEnumeration = ShareFlags(rawValue: 0x0000_0800)
        package static let forceLevelIIOplock = ShareFlags(rawValue: 0x0000_1000)
        package static let encryptData = ShareFlags(rawValue: 0x0000_8000)
        package static let identityRemoting = ShareFlags(rawValue: 0x0004_0000)
        package static let compressData = ShareFlags(rawValue: 0x0010_0000)
    }

    package struct ShareCapabilities: OptionSet, Hashable, Sendable {
        package var rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let dfs = ShareCapabilities(rawValue: 0x08)
        package static let continuousAvailability = ShareCapabilities(rawValue: 0x10)
        package static let scaleOut = ShareCapabilities(rawValue: 0x20)
        package static let cluster = ShareCapabilities(rawValue: 0x40)
        package static let asymmetric = ShareCapabilities(rawValue: 0x80)
        package static let redirectToOwner = ShareCapabilities(rawValue: 0x100)
    }

    package var shareType: ShareType
    package var shareFlags: ShareFlags
    package var capabilities: ShareCapabilities
    package var maximalAccess: AccessMask

    package init(
        shareType: ShareType, shareFlags: ShareFlags, capabilities: ShareCapabilities, maximalAccess: AccessMask
    ) {
        self.shareType = shareType
        self.shareFlags = shareFlags
        self.capabilities = capabilities
        self.maximalAccess = maximalAccess
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 16, "TREE_CONNECT response")
        let body = SMB2Header.byteCount
        self.shareType = ShareType(rawValue: message.load(UInt8.self, at: body + 2))
        self.shareFlags = ShareFlags(rawValue: message.load(UInt32.self, at: body + 4))
        self.capabilities = ShareCapabilities(rawValue: message.load(UInt32.self, at: body + 8))
        self.maximalAccess = AccessMask(rawValue: message.load(UInt32.self, at: body + 12))
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(16)
        writer.store(Self.structureSize, at: body)
        writer.store(self.shareType.rawValue, at: body + 2)
        writer.store(self.shareFlags.rawValue, at: body + 4)
        writer.store(self.capabilities.rawValue, at: body + 8)
        writer.store(self.maximalAccess.rawValue, at: body + 12)
    }
}
