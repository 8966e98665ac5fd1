/// The create contexts of a request, [MS-SMB2] 2.2.13.2: one pass over the chain, nothing allocated.
/// A context that is repeated or has a length that its section does not allow is refused; unknown ones are skipped.
package struct CreateContexts: Equatable, Sendable {
    /// DHnQ, 2.2.13.2.3.
    package var durableRequest = false
    /// DHnC, 2.2.13.2.4.
    package var durableReconnect: FileID?
    /// DH2Q, 2.2.13.2.11.
    package var durableRequestV2: DurableRequestV2?
    /// DH2C, 2.2.13.2.12.
    package var durableReconnectV2: DurableReconnectV2?
    /// RqLs, 2.2.13.2.8 and 2.2.13.2.10.
    package var lease: LeaseContext?
    /// MxAc, 2.2.13.2.5. A time other than zero: answer only where the file changed since.
    package var maximalAccess: FileTime?
    /// QFid, 2.2.13.2.9.
    package var queryOnDiskID = false
    /// AlSi, 2.2.13.2.6.
    package var allocationSize: UInt64?
    /// TWrp, 2.2.13.2.7.
    package var timeWarp: FileTime?
    /// ExtA, 2.2.13.2.1: a chain of FILE_FULL_EA_INFORMATION, relative to the SMB2 header.
    package var extendedAttributes: Range<Int>?
    /// SecD, 2.2.13.2.2: a security descriptor, relative to the SMB2 header.
    package var securityDescriptor: Range<Int>?
    /// 2.2.13.2.13.
    package var appInstanceID: GUID?
    /// 2.2.13.2.15.
    package var appInstanceVersion: AppInstanceVersion?
    /// AAPL, Apple's extensions.
    package var apple: AppleRequest?
    /// The POSIX extensions: a POSIX open is asked for.
    package var posix: POSIXCreateRequest?
    /// 2.2.13.2.14, SVHDX_OPEN_DEVICE_CONTEXT: recognised, so that the open can be refused.
    package var sharedVirtualDisk = false

    package init() {}

    package init(parsing message: RawSpan, in range: Range<Int>) throws(WireError) {
        guard !range.isEmpty else { return }
        var next: Int? = range.lowerBound
        var count = 0
        while let at = next {
            count += 1
            guard count <= RawCreateContext.maximumContexts else { throw .limitExceeded("create contexts") }
            let (context, following) = try RawCreateContext.load(message, in: range, at: at)
            try self.add(context, of: message)
            next = following
        }
    }

    private mutating func add(_ context: RawCreateContext, of message: RawSpan) throws(WireError) {
        guard let name = CreateContextName(loading: message, in: context.name) else { return }
        let data = context.data
        let at = data.lowerBound
        switch name {
        case .dHnQ:
            try Self.check(data, 16, isRepeated: self.durableRequest)
            self.durableRequest = true
        case .dHnC:
            try Self.check(data, 16, isRepeated: self.durableReconnect != nil)
            self.durableReconnect = FileID(loading: message, at: at)
        case .dH2Q:
            try Self.check(data, DurableRequestV2.byteCount, isRepeated: self.durableRequestV2 != nil)
            self.durableRequestV2 = DurableRequestV2(
                timeoutMilliseconds: message.load(UInt32.self, at: at), flags: message.load(UInt32.self, at: at + 4),
                createGUID: GUID(loading: message, at: at + 16))
        case .dH2C:
            try Self.check(data, DurableReconnectV2.byteCount, isRepeated: self.durableReconnectV2 != nil)
            self.durableReconnectV2 = DurableReconnectV2(
                fileID: FileID(loading: message, at: at), createGUID: GUID(loading: message, at: at + 16),
                flags: message.load(UInt32.self, at: at + 32))
        case .rqLs:
            try Self.check(
                data, LeaseContext.byteCountV1, or: LeaseContext.byteCountV2, isRepeated: self.lease != nil)
            self.lease = try LeaseContext(data: message.extracting(data))
        case .mxAc:
            try Self.check(data, 0, or: 8, isRepeated: self.maximalAccess != nil)
            self.maximalAccess = FileTime(ticks: data.isEmpty ? 0 : message.load(UInt64.self, at: at))
        case .qFid:
            try Self.check(data, 0, isRepeated: self.queryOnDiskID)
            self.queryOnDiskID = true
        case .alSi:
            try Self.check(data, 8, isRepeated: self.allocationSize != nil)
            self.allocationSize = message.load(UInt64.self, at: at)
        case .tWrp:
            try Self.check(data, 8, isRepeated: self.timeWarp != nil)
            self.timeWarp = FileTime(ticks: message.load(UInt64.self, at: at))
        case .extA:
            guard self.extendedAttributes == nil else { throw .invalidValue("repeated create context") }
            self.extendedAttributes = data
        case .secD:
            guard self.securityDescriptor == nil else { throw .invalidValue("repeated create context") }
            self.securityDescriptor = data
        case .appInstanceID:
            try Self.check(data, 20, isRepeated: self.appInstanceID != nil)
            guard message.load(UInt16.self, at: at) == 20 else { throw .structureSize("AppInstanceId") }
            self.appInstanceID = GUID(loading: message, at: at + 4)
        case .appInstanceVersion:
            try Self.check(data, 24, isRepeated: self.appInstanceVersion != nil)
            guard message.load(UInt16.self, at: at) == 24 else { throw .structureSize("AppInstanceVersion") }
            self.appInstanceVersion = AppInstanceVersion(
                high: message.load(UInt64.self, at: at + 8), low: message.load(UInt64.self, at: at + 16))
        case .aapl:
            guard self.apple == nil else { throw .invalidValue("repeated create context") }
            self.apple = try AppleRequest(data: message.extracting(data))
        case .posix:
            guard self.posix == nil else { throw .invalidValue("repeated create context") }
            self.posix = try POSIXCreateRequest(data: message.extracting(data))
        case .sharedVirtualDisk:
            self.sharedVirtualDisk = true
        default:
            break
        }
    }

    private static func check(
        _ data: Range<Int>, _ length: Int, or other: Int? = nil, isRepeated: Bool
    ) throws(WireError) {
        guard !isRepeated else { throw .invalidValue("repeated create context") }
        guard data.count == length || data.count == other else { throw .invalidValue("create context length") }
    }

    /// Appends the chain. `sharedVirtualDisk` is not written.
    package func encode(into writer: inout WireWriter, extendedAttributes: [UInt8], securityDescriptor: [UInt8]) {
        var previous: Int?
        if !extendedAttributes.isEmpty {
            RawCreateContext.encode(.extA, into: &writer, previous: &previous) { $0.append(extendedAttributes) }
        }
        if !securityDescriptor.isEmpty {
            RawCreateContext.encode(.secD, into: &writer, previous: &previous) { $0.append(securityDescriptor) }
        }
        if self.durableRequest {
            RawCreateContext.encode(.dHnQ, into: &writer, previous: &previous) { $0.claim(16) }
        }
        if let id = self.durableReconnect {
            RawCreateContext.encode(.dHnC, into: &writer, previous: &previous) { $0.append(id) }
        }
        if let size = self.allocationSize {
            RawCreateContext.encode(.alSi, into: &writer, previous: &previous) { $0.append(size) }
        }
        if let time = self.maximalAccess {
            RawCreateContext.encode(.mxAc, into: &writer, previous: &previous) {
                if time != .zero { $0.append(time.ticks) }
            }
        }
        if let time = self.timeWarp {
            RawCreateContext.encode(.tWrp, into: &writer, previous: &previous) { $0.append(time.ticks) }
        }
        if self.queryOnDiskID {
            RawCreateContext.encode(.qFid, into: &writer, previous: &previous) { _ in }
        }
        if let lease = self.lease {
            RawCreateContext.encode(.rqLs, into: &writer, previous: &previous) { lease.encode(into: &$0) }
        }
        if let request = self.durableRequestV2 {
            RawCreateContext.encode(.dH2Q, into: &writer, previous: &previous) { writer in
                writer.append(request.timeoutMilliseconds)
                writer.append(request.flags)
                writer.append(UInt64(0))
                writer.append(request.createGUID)
            }
        }
        if let reconnect = self.durableReconnectV2 {
            RawCreateContext.encode(.dH2C, into: &writer, previous: &previous) { writer in
                writer.append(reconnect.fileID)
                writer.append(reconnect.createGUID)
                writer.append(reconnect.flags)
            }
        }
        if let id = self.appInstanceID {
            RawCreateContext.encode(.appInstanceID, into: &writer, previous: &previous) { writer in
                writer.append(UInt32(20))
                writer.append(id)
            }
        }
        if let version = self.appInstanceVersion {
            RawCreateContext.encode(.appInstanceVersion, into: &writer, previous: &previous) { writer in
                writer.append(UInt64(24))
                writer.append(version.high)
                writer.append(version.low)
            }
        }
        if let posix = self.posix {
            RawCreateContext.encode(.posix, into: &writer, previous: &previous) { $0.append(posix.mode) }
        }
        if let apple = self.apple {
            RawCreateContext.encode(.aapl, into: &writer, previous: &previous) { apple.encode(into: &$0) }
        }
    }
}

/// The create contexts of a response, [MS-SMB2] 2.2.14.2.
package struct CreateResponseContexts: Equatable, Sendable {
    package struct MaximalAccess: Equatable, Sendable {
        package var status: NTStatus
        package var access: AccessMask

        package init(status: NTStatus, access: AccessMask) {
            self.status = status
            self.access = access
        }
    }

    package struct OnDiskID: Equatable, Sendable {
        package var fileID: UInt64
        package var volumeID: UInt64

        package init(fileID: UInt64, volumeID: UInt64) {
            self.fileID = fileID
            self.volumeID = volumeID
        }
    }

    /// DHnQ, 2.2.14.2.3.
    package var durable = false
    /// MxAc, 2.2.14.2.5.
    package var maximalAccess: MaximalAccess?
    /// QFid, 2.2.14.2.9.
    package var onDiskID: OnDiskID?
    /// RqLs, 2.2.14.2.10 and 2.2.14.2.11.
    package var lease: LeaseContext?
    /// DH2Q, 2.2.14.2.12.
    package var durableV2: DurableResponseV2?
    /// The POSIX extensions: it is a POSIX open.
    package var posix: POSIXAttributes?
    /// AAPL.
    package var apple: AppleResponse?

    package init() {}

    package init(parsing message: RawSpan, in range: Range<Int>) throws(WireError) {
        guard !range.isEmpty else { return }
        var next: Int? = range.lowerBound
        var count = 0
        while let at = next {
            count += 1
            guard count <= RawCreateContext.maximumContexts else { throw .limitExceeded("create contexts") }
            let (context, following) = try RawCreateContext.load(message, in: range, at: at)
            next = following
            let start = context.data.lowerBound
            switch CreateContextName(loading: message, in: context.name) {
            case .dHnQ:
                self.durable = true
            case .mxAc:
                guard context.data.count >= 8 else { throw .truncated("MxAc response") }
                self.maximalAccess = MaximalAccess(
                    status: NTStatus(rawValue: message.load(UInt32.self, at: start)),
                    access: AccessMask(rawValue: message.load(UInt32.self, at: start + 4)))
            case .qFid:
                guard context.data.count >= 16 else { throw .truncated("QFid response") }
                self.onDiskID = OnDiskID(
                    fileID: message.load(UInt64.self, at: start), volumeID: message.load(UInt64.self, at: start + 8))
            case .rqLs:
                self.lease = try LeaseContext(data: message.extracting(context.data))
            case .dH2Q:
                guard context.data.count >= DurableResponseV2.byteCount else { throw .truncated("DH2Q response") }
                self.durableV2 = DurableResponseV2(
                    timeoutMilliseconds: message.load(UInt32.self, at: start),
                    flags: message.load(UInt32.self, at: start + 4))
            case .posix:
                self.posix = try POSIXAttributes(parsing: message.extracting(context.data))
            case .aapl:
                self.apple = try AppleResponse(parsing: message.extracting(context.data))
            default:
                break
            }
        }
    }

    package func encode(into writer: inout WireWriter) {
        var previous: Int?
        if let maximal = self.maximalAccess {
            RawCreateContext.encode(.mxAc, into: &writer, previous: &previous) { writer in
                writer.append(maximal.status.rawValue)
                writer.append(maximal.access.rawValue)
            }
        }
        if let onDisk = self.onDiskID {
            RawCreateContext.encode(.qFid, into: &writer, previous: &previous) { writer in
                writer.append(onDisk.fileID)
                writer.append(onDisk.volumeID)
                writer.claim(16)
            }
        }
        if let lease = self.lease {
            RawCreateContext.encode(.rqLs, into: &writer, previous: &previous) { lease.encode(into: &$0) }
        }
        if self.durable {
            RawCreateContext.encode(.dHnQ, into: &writer, previous: &previous) { $0.claim(8) }
        }
        if let durable = self.durableV2 {
            RawCreateContext.encode(.dH2Q, into: &writer, previous: &previous) { writer in
                writer.append(durable.timeoutMilliseconds)
                writer.append(durable.flags)
            }
        }
        if let posix = self.posix {
            RawCreateContext.encode(.posix, into: &writer, previous: &previous) { posix.encode(into: &$0) }
        }
        if let apple = self.apple {
            RawCreateContext.encode(.aapl, into: &writer, previous: &previous) { apple.encode(into: &$0) }
        }
    }
}
