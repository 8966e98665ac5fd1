/// SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, [MS-SMB2] 2.2.13.2.11.
package struct DurableRequestV2: Equatable, Sendable {
    package static let byteCount = 32
    package static let persistentFlag: UInt32 = 0x0000_0002

    package var timeoutMilliseconds: UInt32
    package var flags: UInt32
    package var createGUID: GUID

    package var isPersistent: Bool { self.flags & Self.persistentFlag != 0 }

    package init(timeoutMilliseconds: UInt32, flags: UInt32, createGUID: GUID) {
        self.timeoutMilliseconds = timeoutMilliseconds
        self.flags = flags
        self.createGUID = createGUID
    }
}

/// SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, [MS-SMB2] 2.2.13.2.12.
package struct DurableReconnectV2: Equatable, Sendable {
    package static let byteCount = 36

    package var fileID: FileID
    package var createGUID: GUID
    package var flags: UInt32

    package var isPersistent: Bool { self.flags & DurableRequestV2.persistentFlag != 0 }

    package init(fileID: FileID, createGUID: GUID, flags: UInt32) {
        self.fileID = fileID
        self.createGUID = createGUID
        self.flags = flags
    }
}

/// SMB2_CREATE_DURABLE_HANDLE_RESPONSE_V2, [MS-SMB2] 2.2.14.2.12.
package struct DurableResponseV2: Equatable, Sendable {
    package static let byteCount = 8

    package var timeoutMilliseconds: UInt32
    package var flags: UInt32

    package var isPersistent: Bool { self.flags & DurableRequestV2.persistentFlag != 0 }

    package init(timeoutMilliseconds: UInt32, flags: UInt32) {
        self.timeoutMilliseconds = timeoutMilliseconds
        self.flags = flags
    }
}

/// The lease contexts of request and response, [MS-SMB2] 2.2.13.2.8, 2.2.13.2.10, 2.2.14.2.10, 2.2.14.2.11.
package struct LeaseContext: Equatable, Sendable {
    package static let byteCountV1 = 32
    package static let byteCountV2 = 52
    /// SMB2_LEASE_FLAG_BREAK_IN_PROGRESS, in a response.
    package static let breakInProgressFlag: UInt32 = 0x0000_0002
    /// SMB2_LEASE_FLAG_PARENT_LEASE_KEY_SET, version 2.
    package static let parentLeaseKeySetFlag: UInt32 = 0x0000_0004

    package var key: GUID
    package var state: LeaseState
    package var flags: UInt32
    /// What version 2 adds.
    package var version2: Version2?

    package struct Version2: Equatable, Sendable {
        package var parentKey: GUID
        package var epoch: UInt16

        package init(parentKey: GUID, epoch: UInt16) {
            self.parentKey = parentKey
            self.epoch = epoch
        }
    }

    package init(key: GUID, state: LeaseState, flags: UInt32 = 0, version2: Version2? = nil) {
        self.key = key
        self.state = state
        self.flags = flags
        self.version2 = version2
    }

    init(data: RawSpan) throws(WireError) {
        guard data.byteCount == Self.byteCountV1 || data.byteCount == Self.byteCountV2 else {
            throw .invalidValue("lease context length")
        }
        self.key = GUID(loading: data, at: 0)
        self.state = LeaseState(rawValue: data.load(UInt32.self, at: 16))
        self.flags = data.load(UInt32.self, at: 20)
        self.version2 = nil
        if data.byteCount == Self.byteCountV2 {
            self.version2 = Version2(parentKey: GUID(loading: data, at: 32), epoch: data.load(UInt16.self, at: 48))
        }
    }

    func encode(into writer: inout WireWriter) {
        let at = writer.claim(self.version2 == nil ? Self.byteCountV1 : Self.byteCountV2)
        writer.store(self.key, at: at)
        writer.store(self.state.rawValue, at: at + 16)
        writer.store(self.flags, at: at + 20)
        if let version2 = self.version2 {
            writer.store(version2.parentKey, at: at + 32)
            writer.store(version2.epoch, at: at + 48)
        }
    }
}

/// SMB2_CREATE_APP_INSTANCE_VERSION, [MS-SMB2] 2.2.13.2.15.
package struct AppInstanceVersion: Hashable, Sendable, Comparable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func < (a: AppInstanceVersion, b: AppInstanceVersion) -> Bool { (a.high, a.low) < (b.high, b.low) }
}

/// One context of a chain as it lies in the message, [MS-SMB2] 2.2.13.2.
struct RawCreateContext {
    /// Contexts in one message; Windows sends at most a dozen.
    static let maximumContexts = 32
    static let fixedByteCount = 16

    var name: Range<Int>
    var data: Range<Int>

    /// The context at `at` and where the next one is (nil after the last). Both lie within `range`.
    static func load(
        _ message: RawSpan, in range: Range<Int>, at: Int
    ) throws(WireError) -> (context: RawCreateContext, next: Int?) {
        guard range.upperBound - at >= self.fixedByteCount else { throw .truncated("create context") }
        let next = Int(message.load(UInt32.self, at: at))
        guard next & 7 == 0, next == 0 || next >= self.fixedByteCount, next <= range.upperBound - at else {
            throw .outOfBounds("create context Next")
        }
        // A context ends where the next begins.
        let end = next == 0 ? range.upperBound : at + next
        let length = end - at
        let nameOffset = Int(message.load(UInt16.self, at: at + 4))
        let nameLength = Int(message.load(UInt16.self, at: at + 6))
        // 3.3.5.9: a name shorter than four bytes is INVALID_PARAMETER.
        guard nameLength >= 4, nameOffset >= self.fixedByteCount, nameOffset <= length,
            nameLength <= length - nameOffset
        else { throw .outOfBounds("create context name") }
        let dataOffset = Int(message.load(UInt16.self, at: at + 10))
        let dataLength = Int(message.load(UInt32.self, at: at + 12))
        let name = at + nameOffset..<at + nameOffset + nameLength
        guard dataLength > 0 else { return (RawCreateContext(name: name, data: end..<end), next == 0 ? nil : end) }
        guard dataOffset & 7 == 0, dataOffset >= nameOffset + nameLength, dataOffset <= length,
            dataLength <= length - dataOffset
        else { throw .outOfBounds("create context data") }
        let data = at + dataOffset..<at + dataOffset + dataLength
        return (RawCreateContext(name: name, data: data), next == 0 ? nil : end)
    }

    /// Appends one context with a four-byte name and links it to the one that starts at `previous`.
    static func encode(
        _ name: CreateContextName, into writer: inout WireWriter, previous: inout Int?,
        _ data: (inout WireWriter) -> Void
    ) {
        writer.align(to: 8)
        let at = writer.claim(Self.fixedByteCount)
        if let previous { writer.store(UInt32(at - previous), at: previous) }
        previous = at
        writer.store(UInt16(Self.fixedByteCount), at: at + 4)
        switch name {
        case .tag(let tag):
            writer.store(UInt16(4), at: at + 6)
            writer.append(tag)
            writer.append(UInt32(0))
        case .guid(let guid):
            writer.store(UInt16(GUID.byteCount), at: at + 6)
            writer.append(guid)
        }
        let start = writer.count
        data(&writer)
        let length = writer.count - start
        // 2.2.13.2: without data its offset is 0. The padding behind the name goes with the context.
        if length > 0 {
            writer.store(UInt16(start - at), at: at + 10)
            writer.store(UInt32(length), at: at + 12)
        }
    }
}

/// The names of [MS-SMB2] 2.2.13.2: four characters or a GUID.
enum CreateContextName: Equatable {
    /// Four ASCII characters as the little-endian integer they make.
    case tag(UInt32)
    case guid(GUID)

    static let extA = CreateContextName.tag(0x4174_7845)  // "ExtA"
    static let secD = CreateContextName.tag(0x4463_6553)  // "SecD"
    static let dHnQ = CreateContextName.tag(0x516E_4844)  // "DHnQ"
    static let dHnC = CreateContextName.tag(0x436E_4844)  // "DHnC"
    static let alSi = CreateContextName.tag(0x6953_6C41)  // "AlSi"
    static let mxAc = CreateContextName.tag(0x6341_784D)  // "MxAc"
    static let tWrp = CreateContextName.tag(0x7072_5754)  // "TWrp"
    static let qFid = CreateContextName.tag(0x6469_4651)  // "QFid"
    static let rqLs = CreateContextName.tag(0x734C_7152)  // "RqLs"
    static let dH2Q = CreateContextName.tag(0x5132_4844)  // "DH2Q"
    static let dH2C = CreateContextName.tag(0x4332_4844)  // "DH2C"
    static let aapl = CreateContextName.tag(0x4C50_4141)  // "AAPL"
    /// 45BCA66A EFA7F74A 9008FA46 2E144D74, in this order on the wire.
    static let appInstanceID = CreateContextName.guid(GUID(low: 0x4AF7_A7EF_6AA6_BC45, high: 0x744D_142E_46FA_0890))
    /// B982D0B7 3B56074F A07B524A 8116A010.
    static let appInstanceVersion = CreateContextName.guid(
        GUID(low: 0x4F07_563B_B7D0_82B9, high: 0x10A0_1681_4A52_7BA0))
    static let posix = CreateContextName.guid(POSIXExtensions.identifier)
    /// 9CCBCF9E 04C1E643 980E158D A1F6EC83.
    static let sharedVirtualDisk = CreateContextName.guid(
        GUID(low: 0x43E6_C104_9ECF_CB9C, high: 0x83EC_F6A1_8D15_0E98))

    /// nil for a name of another length, which nobody has defined.
    init?(loading message: RawSpan, in range: Range<Int>) {
        switch range.count {
        case 4: self = .tag(message.load(UInt32.self, at: range.lowerBound))
        case GUID.byteCount: self = .guid(GUID(loading: message, at: range.lowerBound))
        default: return nil
        }
    }
}
