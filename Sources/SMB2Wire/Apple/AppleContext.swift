// Apple's create context "AAPL", as macOS sends it with the first open on a share and Samba's vfs_fruit answers it; the layout:
// Apple, "Time Machine over SMB Specification".

/// The context of a request.
package enum AppleRequest: Equatable, Sendable {
    /// kAAPL_SERVER_QUERY: what the server and the volume can do.
    case serverQuery(AppleQuery, clientCapabilities: AppleCapabilities)
    /// A command that means nothing here; it is skipped.
    case unknown(UInt32)

    private static let serverQueryCommand: UInt32 = 1
    private static let serverQueryByteCount = 24

    init(data: RawSpan) throws(WireError) {
        try data.require(8, "AAPL create context")
        let command = data.load(UInt32.self, at: 0)
        guard command == Self.serverQueryCommand else {
            self = .unknown(command)
            return
        }
        guard data.byteCount == Self.serverQueryByteCount else { throw .invalidValue("AAPL create context length") }
        self = .serverQuery(
            AppleQuery(rawValue: data.load(UInt64.self, at: 8)),
            clientCapabilities: AppleCapabilities(rawValue: data.load(UInt64.self, at: 16)))
    }

    func encode(into writer: inout WireWriter) {
        switch self {
        case .serverQuery(let query, let capabilities):
            writer.append(Self.serverQueryCommand)
            writer.append(UInt32(0))
            writer.append(query.rawValue)
            writer.append(capabilities.rawValue)
        case .unknown(let command):
            writer.append(command)
            writer.append(UInt32(0))
        }
    }
}

/// Which parts are asked for, and answered.
package struct AppleQuery: OptionSet, Hashable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static let serverCapabilities = AppleQuery(rawValue: 1)
    package static let volumeCapabilities = AppleQuery(rawValue: 2)
    package static let model = AppleQuery(rawValue: 4)
}

package struct AppleCapabilities: OptionSet, Hashable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// FileIdBothDirectoryInformation carries a Mac's attributes in place of the EA size and the short name.
    package static let readDirectoryAttributes = AppleCapabilities(rawValue: 1)
    /// FSCTL_SRV_COPYCHUNK without chunks copies the whole file.
    package static let copyFile = AppleCapabilities(rawValue: 2)
    package static let unixBased = AppleCapabilities(rawValue: 4)
    /// Mode and owner as S-1-5-88 entries of the DACL.
    package static let nfsEntries = AppleCapabilities(rawValue: 8)
}

package struct AppleVolumeCapabilities: OptionSet, Hashable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static let resolveID = AppleVolumeCapabilities(rawValue: 1)
    package static let caseSensitive = AppleVolumeCapabilities(rawValue: 2)
    /// FLUSH puts the file on stable storage (F_FULLFSYNC): a volume that Time Machine takes.
    package static let fullSync = AppleVolumeCapabilities(rawValue: 4)
}

/// The answer to a server query: the parts that were asked for.
package struct AppleResponse: Equatable, Sendable {
    /// A model's name is some letters.
    package static let maximumModelByteCount = 512

    package var serverCapabilities: AppleCapabilities?
    package var volumeCapabilities: AppleVolumeCapabilities?
    /// What macOS picks the server's icon by.
    package var model: String?

    package init(
        serverCapabilities: AppleCapabilities? = nil, volumeCapabilities: AppleVolumeCapabilities? = nil,
        model: String? = nil
    ) {
        self.serverCapabilities = serverCapabilities
        self.volumeCapabilities = volumeCapabilities
        self.model = model
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(16, "AAPL response")
        guard data.load(UInt32.self, at: 0) == 1 else { throw .invalidValue("AAPL response") }
        let parts = AppleQuery(rawValue: data.load(UInt64.self, at: 8))
        var at = 16
        if parts.contains(.serverCapabilities) {
            guard data.byteCount - at >= 8 else { throw .truncated("AAPL server capabilities") }
            self.serverCapabilities = AppleCapabilities(rawValue: data.load(UInt64.self, at: at))
            at += 8
        }
        if parts.contains(.volumeCapabilities) {
            guard data.byteCount - at >= 8 else { throw .truncated("AAPL volume capabilities") }
            self.volumeCapabilities = AppleVolumeCapabilities(rawValue: data.load(UInt64.self, at: at))
            at += 8
        }
        guard parts.contains(.model) else { return }
        guard data.byteCount - at >= 8 else { throw .truncated("AAPL model") }
        let length = Int(data.load(UInt32.self, at: at + 4))
        guard length <= Self.maximumModelByteCount else { throw .limitExceeded("AAPL model") }
        let range = try data.range(offset: at + 8, length: length, notBefore: at + 8, "AAPL model")
        self.model = try UTF16LE.decode(data.extracting(range))
    }

    func encode(into writer: inout WireWriter) {
        var parts: AppleQuery = []
        if self.serverCapabilities != nil { parts.insert(.serverCapabilities) }
        if self.volumeCapabilities != nil { parts.insert(.volumeCapabilities) }
        if self.model != nil { parts.insert(.model) }
        writer.append(UInt64(1))
        writer.append(parts.rawValue)
        if let capabilities = self.serverCapabilities { writer.append(capabilities.rawValue) }
        if let capabilities = self.volumeCapabilities { writer.append(capabilities.rawValue) }
        if let model = self.model {
            writer.append(UInt32(0))
            let lengthAt = writer.claim(4)
            writer.store(UInt32(writer.append(utf16: model)), at: lengthAt)
        }
    }
}

/// What FileIdBothDirectoryInformation says of an entry to a client that negotiated the directory attributes.
package struct AppleDirectoryAttributes: Equatable, Sendable {
    package static let finderInfoByteCount = 16

    package var maximalAccess: AccessMask
    package var resourceForkSize: UInt64
    /// Compressed: type and creator of a file (8), Finder flags (2), extended flags (2), the day it was added (4).
    package var finderInfo: [UInt8]

    package init(maximalAccess: AccessMask, resourceForkSize: UInt64, finderInfo: [UInt8]) {
        precondition(finderInfo.count == Self.finderInfoByteCount)
        self.maximalAccess = maximalAccess
        self.resourceForkSize = resourceForkSize
        self.finderInfo = finderInfo
    }

    /// - Parameters:
    ///   - finderInfo: the 32 bytes of the AFP_AfpInfo stream; nil without one.
    ///   - created: stands for when the file was added to its folder, which nobody keeps.
    package static func compress(
        finderInfo: [UInt8]?, isDirectory: Bool, created: FileTime
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.finderInfoByteCount)
        if let finderInfo, finderInfo.count == 32 {
            if !isDirectory { bytes.replaceSubrange(0..<8, with: finderInfo[0..<8]) }
            bytes.replaceSubrange(8..<10, with: finderInfo[8..<10])
            bytes.replaceSubrange(10..<12, with: finderInfo[24..<26])
        }
        // Seconds since 2000, most significant byte first.
        let seconds = UInt32(truncatingIfNeeded: created.unix.seconds - 946_684_800)
        for index in 0..<4 { bytes[12 + index] = UInt8(truncatingIfNeeded: seconds >> UInt32(24 - 8 * index)) }
        return bytes
    }

    // Offsets within the entry, [MS-FSCC] 2.4.17: EaSize, ShortNameLength (a Mac's client sends 24), ShortName.
    func store(into writer: inout WireWriter, at entry: Int) {
        writer.store(self.maximalAccess.rawValue, at: entry + 64)
        writer.store(UInt8(24), at: entry + 68)
        writer.store(self.resourceForkSize, at: entry + 70)
        for (index, byte) in self.finderInfo.enumerated() { writer.store(byte, at: entry + 78 + index) }
    }

    /// From an entry of `FileIdBothDirectoryInformation` that begins at `entry`; the caller has checked its length.
    package init(loading data: RawSpan, at entry: Int) {
        self.maximalAccess = AccessMask(rawValue: data.load(UInt32.self, at: entry + 64))
        self.resourceForkSize = data.load(UInt64.self, at: entry + 70)
        self.finderInfo = data.bytes(in: entry + 78..<entry + 94)
    }
}
