/// FSCTL codes, [MS-SMB2] 2.2.31 and [MS-FSCC] 2.3.
package struct ControlCode: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let dfsGetReferrals = ControlCode(rawValue: 0x0006_0194)
    package static let dfsGetReferralsEx = ControlCode(rawValue: 0x0006_01B0)
    package static let isPathnameValid = ControlCode(rawValue: 0x0009_002C)
    package static let getCompression = ControlCode(rawValue: 0x0009_003C)
    package static let setCompression = ControlCode(rawValue: 0x0009_C040)
    package static let fileSystemGetStatistics = ControlCode(rawValue: 0x0009_0060)
    package static let getNTFSVolumeData = ControlCode(rawValue: 0x0009_0064)
    package static let getObjectID = ControlCode(rawValue: 0x0009_009C)
    package static let setReparsePoint = ControlCode(rawValue: 0x0009_00A4)
    package static let getReparsePoint = ControlCode(rawValue: 0x0009_00A8)
    package static let deleteReparsePoint = ControlCode(rawValue: 0x0009_00AC)
    package static let createOrGetObjectID = ControlCode(rawValue: 0x0009_00C0)
    package static let setSparse = ControlCode(rawValue: 0x0009_00C4)
    package static let setZeroData = ControlCode(rawValue: 0x0009_80C8)
    package static let queryAllocatedRanges = ControlCode(rawValue: 0x0009_40CF)
    package static let fileLevelTrim = ControlCode(rawValue: 0x0009_8208)
    package static let offloadRead = ControlCode(rawValue: 0x0009_4264)
    package static let offloadWrite = ControlCode(rawValue: 0x0009_8268)
    package static let getIntegrityInformation = ControlCode(rawValue: 0x0009_027C)
    package static let setIntegrityInformation = ControlCode(rawValue: 0x0009_C280)
    package static let queryFileRegions = ControlCode(rawValue: 0x0009_0284)
    package static let duplicateExtentsToFile = ControlCode(rawValue: 0x0009_8344)
    package static let duplicateExtentsToFileEx = ControlCode(rawValue: 0x0009_83E8)
    package static let pipePeek = ControlCode(rawValue: 0x0011_400C)
    package static let pipeWait = ControlCode(rawValue: 0x0011_0018)
    package static let pipeTransceive = ControlCode(rawValue: 0x0011_C017)
    package static let srvRequestResumeKey = ControlCode(rawValue: 0x0014_0078)
    package static let srvEnumerateSnapshots = ControlCode(rawValue: 0x0014_4064)
    package static let srvCopyChunk = ControlCode(rawValue: 0x0014_40F2)
    package static let srvCopyChunkWrite = ControlCode(rawValue: 0x0014_80F2)
    package static let srvReadHash = ControlCode(rawValue: 0x0014_41BB)
    package static let lmrRequestResiliency = ControlCode(rawValue: 0x0014_01D4)
    package static let queryNetworkInterfaceInfo = ControlCode(rawValue: 0x0014_01FC)
    package static let validateNegotiateInfo = ControlCode(rawValue: 0x0014_0204)

    /// [MS-SMB2] 3.3.5.15: the FileId of these is all ones.
    package var concernsNoFile: Bool {
        switch self {
        case .dfsGetReferrals, .dfsGetReferralsEx, .pipeWait, .queryNetworkInterfaceInfo, .validateNegotiateInfo: true
        default: false
        }
    }
}

/// SMB2 IOCTL Request, [MS-SMB2] 2.2.31.
package struct IoctlRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 57
    /// SMB2_0_IOCTL_IS_FSCTL.
    package static let isFSCTLFlag: UInt32 = 0x0000_0001

    package var code: ControlCode
    package var fileID: FileID
    /// The input, relative to the SMB2 header.
    package var input: Range<Int>
    package var maximumInputResponse: UInt32
    package var maximumOutputResponse: UInt32
    package var flags: UInt32

    package var isFSCTL: Bool { self.flags & Self.isFSCTLFlag != 0 }

    package init(code: ControlCode, fileID: FileID, maximumOutputResponse: UInt32) {
        self.code = code
        self.fileID = fileID
        self.input = 0..<0
        self.maximumInputResponse = 0
        self.maximumOutputResponse = maximumOutputResponse
        self.flags = Self.isFSCTLFlag
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 56, "IOCTL")
        let body = SMB2Header.byteCount
        self.code = ControlCode(rawValue: message.load(UInt32.self, at: body + 4))
        self.fileID = FileID(loading: message, at: body + 8)
        self.input = try message.range(
            offset: Int(message.load(UInt32.self, at: body + 24)),
            length: Int(message.load(UInt32.self, at: body + 28)),
            notBefore: body + 56, "IOCTL input")
        self.maximumInputResponse = message.load(UInt32.self, at: body + 32)
        // A request has no output; one that says it has must at least say so truthfully.
        _ = try message.range(
            offset: Int(message.load(UInt32.self, at: body + 36)),
            length: Int(message.load(UInt32.self, at: body + 40)),
            notBefore: body + 56, "IOCTL output")
        self.maximumOutputResponse = message.load(UInt32.self, at: body + 44)
        self.flags = message.load(UInt32.self, at: body + 48)
    }

    package func encode(into writer: inout WireWriter, input: RawSpan) {
        let body = writer.claim(56)
        writer.store(Self.structureSize, at: body)
        writer.store(self.code.rawValue, at: body + 4)
        writer.store(self.fileID, at: body + 8)
        writer.store(UInt32(input.byteCount == 0 ? 0 : writer.offsetInMessage), at: body + 24)
        writer.store(UInt32(input.byteCount), at: body + 28)
        writer.store(self.maximumInputResponse, at: body + 32)
        writer.store(self.maximumOutputResponse, at: body + 44)
        writer.store(self.flags, at: body + 48)
        writer.append(input)
    }
}

/// SMB2 IOCTL Response, [MS-SMB2] 2.2.32.
package struct IoctlResponse: Equatable, Sendable {
    package static let structureSize: UInt16 = 49
    package static let fixedByteCount = 48

    package var code: ControlCode
    package var fileID: FileID
    /// The output, relative to the SMB2 header.
    package var output: Range<Int>

    package init(code: ControlCode, fileID: FileID) {
        self.code = code
        self.fileID = fileID
        self.output = 0..<0
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: Self.fixedByteCount, "IOCTL response")
        let body = SMB2Header.byteCount
        self.code = ControlCode(rawValue: message.load(UInt32.self, at: body + 4))
        self.fileID = FileID(loading: message, at: body + 8)
        self.output = try message.range(
            offset: Int(message.load(UInt32.self, at: body + 32)),
            length: Int(message.load(UInt32.self, at: body + 36)),
            notBefore: body + Self.fixedByteCount, "IOCTL output")
    }

    /// Appends the fixed part; append the output next, then call `end` with what this returned.
    package func begin(_ writer: inout WireWriter) -> Int {
        let body = writer.claim(Self.fixedByteCount)
        writer.store(Self.structureSize, at: body)
        writer.store(self.code.rawValue, at: body + 4)
        writer.store(self.fileID, at: body + 8)
        return body
    }

    package static func end(_ writer: inout WireWriter, begun body: Int) {
        let offset = UInt32(body + Self.fixedByteCount - writer.messageStart)
        // 3.3.5.15: without input in the response InputOffset points to where it would be.
        writer.store(offset, at: body + 24)
        writer.store(offset, at: body + 32)
        writer.store(UInt32(writer.count - body - Self.fixedByteCount), at: body + 36)
    }

    package func encode(into writer: inout WireWriter, output: RawSpan) {
        let body = self.begin(&writer)
        writer.append(output)
        Self.end(&writer, begun: body)
    }
}
