/// VALIDATE_NEGOTIATE_INFO Request, [MS-SMB2] 2.2.31.4.
package struct ValidateNegotiateInfoRequest: Equatable, Sendable {
    package var capabilities: Capabilities
    package var clientGUID: GUID
    package var securityMode: SecurityMode
    package var dialects: [Dialect]

    package init(capabilities: Capabilities, clientGUID: GUID, securityMode: SecurityMode, dialects: [Dialect]) {
        self.capabilities = capabilities
        self.clientGUID = clientGUID
        self.securityMode = securityMode
        self.dialects = dialects
    }

    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(24, "VALIDATE_NEGOTIATE_INFO")
        self.capabilities = Capabilities(rawValue: input.load(UInt32.self, at: 0))
        self.clientGUID = GUID(loading: input, at: 4)
        self.securityMode = SecurityMode(rawValue: input.load(UInt16.self, at: 20))
        let count = Int(input.load(UInt16.self, at: 22))
        guard count <= NegotiateRequest.maximumDialects else { throw .limitExceeded("dialects") }
        guard 2 * count <= input.byteCount - 24 else { throw .truncated("dialects") }
        self.dialects = (0..<count).map { Dialect(rawValue: input.load(UInt16.self, at: 24 + 2 * $0)) }
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.capabilities.rawValue)
        writer.append(self.clientGUID)
        writer.append(self.securityMode.rawValue)
        writer.append(UInt16(self.dialects.count))
        for dialect in self.dialects { writer.append(dialect.rawValue) }
    }
}

/// VALIDATE_NEGOTIATE_INFO Response, [MS-SMB2] 2.2.32.6.
package struct ValidateNegotiateInfoResponse: Equatable, Sendable {
    package static let byteCount = 24

    package var capabilities: Capabilities
    package var serverGUID: GUID
    package var securityMode: SecurityMode
    package var dialect: Dialect

    package init(capabilities: Capabilities, serverGUID: GUID, securityMode: SecurityMode, dialect: Dialect) {
        self.capabilities = capabilities
        self.serverGUID = serverGUID
        self.securityMode = securityMode
        self.dialect = dialect
    }

    package init(parsing output: RawSpan) throws(WireError) {
        try output.require(24, "VALIDATE_NEGOTIATE_INFO response")
        self.capabilities = Capabilities(rawValue: output.load(UInt32.self, at: 0))
        self.serverGUID = GUID(loading: output, at: 4)
        self.securityMode = SecurityMode(rawValue: output.load(UInt16.self, at: 20))
        self.dialect = Dialect(rawValue: output.load(UInt16.self, at: 22))
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.capabilities.rawValue)
        writer.append(self.serverGUID)
        writer.append(self.securityMode.rawValue)
        writer.append(self.dialect.rawValue)
    }
}

/// NETWORK_INTERFACE_INFO, [MS-SMB2] 2.2.32.5.
package struct NetworkInterfaceInfo: Equatable, Sendable {
    package static let byteCount = 152
    /// Entries read from one answer.
    package static let maximumEntries = 256
    /// RSS_CAPABLE and RDMA_CAPABLE.
    package static let rssCapable: UInt32 = 0x0000_0001
    package static let rdmaCapable: UInt32 = 0x0000_0002
    static let familyInternetwork: UInt16 = 0x0002
    static let familyInternetworkV6: UInt16 = 0x0017

    package var interfaceIndex: UInt32
    package var capability: UInt32
    package var linkSpeedBitsPerSecond: UInt64
    /// Four or sixteen bytes, most significant first.
    package var address: [UInt8]

    package init(interfaceIndex: UInt32, capability: UInt32, linkSpeedBitsPerSecond: UInt64, address: [UInt8]) {
        precondition(address.count == 4 || address.count == 16)
        self.interfaceIndex = interfaceIndex
        self.capability = capability
        self.linkSpeedBitsPerSecond = linkSpeedBitsPerSecond
        self.address = address
    }

    package static func encode(_ interfaces: [NetworkInterfaceInfo], into writer: inout WireWriter) {
        for (index, interface) in interfaces.enumerated() {
            let at = writer.claim(Self.byteCount)
            if index < interfaces.count - 1 { writer.store(UInt32(Self.byteCount), at: at) }
            writer.store(interface.interfaceIndex, at: at + 4)
            writer.store(interface.capability, at: at + 8)
            writer.store(interface.linkSpeedBitsPerSecond, at: at + 16)
            let isV6 = interface.address.count == 16
            writer.store(isV6 ? Self.familyInternetworkV6 : Self.familyInternetwork, at: at + 24)
            // 2.2.32.5.1: port, then for IPv6 the flow, both zero.
            let start = isV6 ? at + 32 : at + 28
            for (offset, byte) in interface.address.enumerated() { writer.store(byte, at: start + offset) }
        }
    }

    package static func parseList(_ output: RawSpan) throws(WireError) -> [NetworkInterfaceInfo] {
        var interfaces: [NetworkInterfaceInfo] = []
        var at = 0
        while true {
            guard interfaces.count < Self.maximumEntries else { throw .limitExceeded("network interfaces") }
            guard output.byteCount - at >= Self.byteCount else { throw .truncated("NETWORK_INTERFACE_INFO") }
            let next = Int(output.load(UInt32.self, at: at))
            let address: Range<Int>
            switch output.load(UInt16.self, at: at + 24) {
            case Self.familyInternetwork: address = at + 28..<at + 32
            case Self.familyInternetworkV6: address = at + 32..<at + 48
            default: throw .invalidValue("address family")
            }
            interfaces.append(
                NetworkInterfaceInfo(
                    interfaceIndex: output.load(UInt32.self, at: at + 4),
                    capability: output.load(UInt32.self, at: at + 8),
                    linkSpeedBitsPerSecond: output.load(UInt64.self, at: at + 16), address: output.bytes(in: address)))
            guard next != 0 else { return interfaces }
            guard next >= Self.byteCount, next <= output.byteCount - at else { throw .outOfBounds("Next") }
            at += next
        }
    }
}

/// The opaque key that names an open as the source of a copy, [MS-SMB2] 2.2.32.3.
package struct ResumeKey: Hashable, Sendable {
    package static let byteCount = 24

    package var first: UInt64
    package var second: UInt64
    package var third: UInt64

    package init(_ first: UInt64, _ second: UInt64, _ third: UInt64) {
        self.first = first
        self.second = second
        self.third = third
    }

    package init(loading span: RawSpan, at offset: Int) {
        self.first = span.load(UInt64.self, at: offset)
        self.second = span.load(UInt64.self, at: offset + 8)
        self.third = span.load(UInt64.self, at: offset + 16)
    }

    /// The answer to FSCTL_SRV_REQUEST_RESUME_KEY.
    package init(parsing output: RawSpan) throws(WireError) {
        try output.require(Self.byteCount + 4, "SRV_REQUEST_RESUME_KEY response")
        self.init(loading: output, at: 0)
    }

    /// Appends the answer to FSCTL_SRV_REQUEST_RESUME_KEY: the key, no context, and the four bytes that Windows pads with.
    package func encodeResponse(into writer: inout WireWriter) {
        self.append(to: &writer)
        writer.claim(8)
    }

    package func append(to writer: inout WireWriter) {
        writer.append(self.first)
        writer.append(self.second)
        writer.append(self.third)
    }
}

/// SRV_COPYCHUNK_COPY, [MS-SMB2] 2.2.31.1.
package struct CopyChunkRequest: Equatable, Sendable {
    /// [MS-SMB2] 3.3.3: what Windows allows, and what is answered where a request exceeds it (3.3.5.15.6).
    package static let maximumChunks = 256
    package static let maximumChunkByteCount: UInt32 = 1 << 20
    package static let maximumTotalByteCount: UInt32 = 16 << 20

    package struct Chunk: Equatable, Sendable {
        package static let byteCount = 24

        package var sourceOffset: UInt64
        package var targetOffset: UInt64
        package var length: UInt32

        package init(sourceOffset: UInt64, targetOffset: UInt64, length: UInt32) {
            self.sourceOffset = sourceOffset
            self.targetOffset = targetOffset
            self.length = length
        }
    }

    package var sourceKey: ResumeKey
    package var chunks: [Chunk]

    package init(sourceKey: ResumeKey, chunks: [Chunk]) {
        self.sourceKey = sourceKey
        self.chunks = chunks
    }

    /// Throws `.limitExceeded` for more than `maximumChunks`: answer with `CopyChunkResponse.limits`.
    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(32, "SRV_COPYCHUNK_COPY")
        self.sourceKey = ResumeKey(loading: input, at: 0)
        let count = Int(input.load(UInt32.self, at: 24))
        guard count <= Self.maximumChunks else { throw .limitExceeded("copy chunks") }
        guard count * Chunk.byteCount <= input.byteCount - 32 else { throw .truncated("copy chunks") }
        self.chunks = (0..<count).map {
            let at = 32 + $0 * Chunk.byteCount
            return Chunk(
                sourceOffset: input.load(UInt64.self, at: at), targetOffset: input.load(UInt64.self, at: at + 8),
                length: input.load(UInt32.self, at: at + 16))
        }
    }

    package func encode(into writer: inout WireWriter) {
        self.sourceKey.append(to: &writer)
        writer.append(UInt32(self.chunks.count))
        writer.append(UInt32(0))
        for chunk in self.chunks {
            writer.append(chunk.sourceOffset)
            writer.append(chunk.targetOffset)
            writer.append(chunk.length)
            writer.append(UInt32(0))
        }
    }
}

/// SRV_COPYCHUNK_RESPONSE, [MS-SMB2] 2.2.32.1.
package struct CopyChunkResponse: Equatable, Sendable {
    /// What is sent with INVALID_PARAMETER to a request beyond the limits.
    package static let limits = CopyChunkResponse(
        chunksWritten: UInt32(CopyChunkRequest.maximumChunks),
        chunkBytesWritten: CopyChunkRequest.maximumChunkByteCount,
        totalBytesWritten: CopyChunkRequest.maximumTotalByteCount)

    package var chunksWritten: UInt32
    /// Bytes of a chunk that was written only in part.
    package var chunkBytesWritten: UInt32
    package var totalBytesWritten: UInt32

    package init(chunksWritten: UInt32, chunkBytesWritten: UInt32, totalBytesWritten: UInt32) {
        self.chunksWritten = chunksWritten
        self.chunkBytesWritten = chunkBytesWritten
        self.totalBytesWritten = totalBytesWritten
    }

    package init(parsing output: RawSpan) throws(WireError) {
        try output.require(12, "SRV_COPYCHUNK_RESPONSE")
        self.chunksWritten = output.load(UInt32.self, at: 0)
        self.chunkBytesWritten = output.load(UInt32.self, at: 4)
        self.totalBytesWritten = output.load(UInt32.self, at: 8)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.chunksWritten)
        writer.append(self.chunkBytesWritten)
        writer.append(self.totalBytesWritten)
    }
}

/// A span of a file: FILE_ALLOCATED_RANGE_BUFFER, [MS-FSCC] 2.3.52, in request and answer.
package struct FileRange: Equatable, Sendable {
    package static let byteCount = 16

    package var offset: UInt64
    package var length: UInt64

    package init(offset: UInt64, length: UInt64) {
        self.offset = offset
        self.length = length
    }

    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(Self.byteCount, "FILE_ALLOCATED_RANGE_BUFFER")
        self.offset = input.load(UInt64.self, at: 0)
        self.length = input.load(UInt64.self, at: 8)
        // [MS-FSCC] 2.3.51: both are signed and not negative, and so is their sum.
        guard Int64(exactly: self.offset) != nil, let length = Int64(exactly: self.length),
            !Int64(self.offset).addingReportingOverflow(length).overflow
        else { throw .invalidValue("file range") }
    }

    package static func parseList(_ output: RawSpan) throws(WireError) -> [FileRange] {
        guard output.byteCount % Self.byteCount == 0 else { throw .truncated("allocated ranges") }
        var ranges: [FileRange] = []
        for at in stride(from: 0, to: output.byteCount, by: Self.byteCount) {
            ranges.append(try FileRange(parsing: output.extracting(at..<at + Self.byteCount)))
        }
        return ranges
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.offset)
        writer.append(self.length)
    }
}

/// FILE_ZERO_DATA_INFORMATION, [MS-FSCC] 2.3.71.
package struct ZeroDataInformation: Equatable, Sendable {
    package var offset: UInt64
    package var beyondFinalZero: UInt64

    package init(offset: UInt64, beyondFinalZero: UInt64) {
        self.offset = offset
        self.beyondFinalZero = beyondFinalZero
    }

    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(16, "FILE_ZERO_DATA_INFORMATION")
        self.offset = input.load(UInt64.self, at: 0)
        self.beyondFinalZero = input.load(UInt64.self, at: 8)
        guard Int64(exactly: self.offset) != nil, Int64(exactly: self.beyondFinalZero) != nil,
            self.offset <= self.beyondFinalZero
        else { throw .invalidValue("FILE_ZERO_DATA_INFORMATION") }
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.offset)
        writer.append(self.beyondFinalZero)
    }
}

/// FILE_SET_SPARSE_BUFFER, [MS-FSCC] 2.3.69: without a buffer the file becomes sparse.
package struct SetSparse: Equatable, Sendable {
    package var isSparse: Bool

    package init(isSparse: Bool) { self.isSparse = isSparse }

    package init(parsing input: RawSpan) {
        self.isSparse = input.byteCount == 0 || input.load(UInt8.self, at: 0) != 0
    }
}

/// DUPLICATE_EXTENTS_DATA, [MS-FSCC] 2.3.9: a block clone.
package struct DuplicateExtents: Equatable, Sendable {
    package var sourceFileID: FileID
    package var sourceOffset: UInt64
    package var targetOffset: UInt64
    package var byteCount: UInt64

    package init(sourceFileID: FileID, sourceOffset: UInt64, targetOffset: UInt64, byteCount: UInt64) {
        self.sourceFileID = sourceFileID
        self.sourceOffset = sourceOffset
        self.targetOffset = targetOffset
        self.byteCount = byteCount
    }

    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(40, "DUPLICATE_EXTENTS_DATA")
        self.sourceFileID = FileID(loading: input, at: 0)
        self.sourceOffset = input.load(UInt64.self, at: 16)
        self.targetOffset = input.load(UInt64.self, at: 24)
        self.byteCount = input.load(UInt64.self, at: 32)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.sourceFileID)
        writer.append(self.sourceOffset)
        writer.append(self.targetOffset)
        writer.append(self.byteCount)
    }
}

/// NETWORK_RESILIENCY_REQUEST, [MS-SMB2] 2.2.31.3.
package struct ResiliencyRequest: Equatable, Sendable {
    package var timeoutMilliseconds: UInt32

    package init(timeoutMilliseconds: UInt32) { self.timeoutMilliseconds = timeoutMilliseconds }

    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(8, "NETWORK_RESILIENCY_REQUEST")
        self.timeoutMilliseconds = input.load(UInt32.self, at: 0)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.timeoutMilliseconds)
        writer.append(UInt32(0))
    }
}

/// REQ_GET_DFS_REFERRAL, [MS-DFSC] 2.2.2.
package struct DFSReferralRequest: Equatable, Sendable {
    package var maximumReferralLevel: UInt16
    package var path: String

    package init(maximumReferralLevel: UInt16, path: String) {
        self.maximumReferralLevel = maximumReferralLevel
        self.path = path
    }

    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(4, "REQ_GET_DFS_REFERRAL")
        self.maximumReferralLevel = input.load(UInt16.self, at: 0)
        var end = 2
        while input.byteCount - end >= 2, input.load(UInt16.self, at: end) != 0 { end += 2 }
        guard input.byteCount - end >= 2 else { throw .truncated("REQ_GET_DFS_REFERRAL path") }
        self.path = try UTF16LE.decode(input.extracting(2..<end))
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.maximumReferralLevel)
        writer.append(utf16: self.path)
        writer.append(UInt16(0))
    }
}

/// FSCTL_PIPE_WAIT Request, [MS-FSCC] 2.3.49.
package struct PipeWaitRequest: Equatable, Sendable {
    /// In units of 100 ns; nil: the pipe's default.
    package var timeout: UInt64?
    package var name: String

    package init(timeout: UInt64?, name: String) {
        self.timeout = timeout
        self.name = name
    }

    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(14, "FSCTL_PIPE_WAIT")
        self.timeout = input.load(UInt8.self, at: 12) != 0 ? input.load(UInt64.self, at: 0) : nil
        let name = try input.range(
            offset: 14, length: Int(input.load(UInt32.self, at: 8)), notBefore: 14, "pipe name")
        self.name = try UTF16LE.decode(input.extracting(name))
    }

    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(14)
        writer.store(self.timeout ?? 0, at: at)
        writer.store(UInt8(self.timeout == nil ? 0 : 1), at: at + 12)
        writer.store(UInt32(writer.append(utf16: self.name)), at: at + 8)
    }
}

/// FSCTL_PIPE_PEEK Reply, [MS-FSCC] 2.3.46, without the data that follows.
package struct PipePeekResponse: Equatable, Sendable {
    package static let byteCount = 16

    /// FILE_PIPE_CONNECTED_STATE, else FILE_PIPE_CLOSING_STATE.
    package var isConnected: Bool
    /// In bytes, of all messages.
    package var available: UInt32
    package var messages: UInt32
    /// Of the first message, in bytes.
    package var messageLength: UInt32

    package init(isConnected: Bool, available: UInt32, messages: UInt32, messageLength: UInt32) {
        self.isConnected = isConnected
        self.available = available
        self.messages = messages
        self.messageLength = messageLength
    }

    package init(parsing output: RawSpan) throws(WireError) {
        try output.require(Self.byteCount, "FSCTL_PIPE_PEEK")
        self.isConnected = output.load(UInt32.self, at: 0) == PipeState.connected
        self.available = output.load(UInt32.self, at: 4)
        self.messages = output.load(UInt32.self, at: 8)
        self.messageLength = output.load(UInt32.self, at: 12)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(self.isConnected ? PipeState.connected : PipeState.closing)
        writer.append(self.available)
        writer.append(self.messages)
        writer.append(self.messageLength)
    }
}
