import SMB2Wire

/// FSCTLs of files and pipes. [MS-SMB2] 3.3.5.15, [MS-FSCC] 2.3.
extension ServerState {
    mutating func fileControl(
        _ ioctl: IoctlRequest, _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let input = message.extracting(ioctl.input)
        if ioctl.code == .pipeWait { return try self.pipeWait(ioctl, input, request, into: &writer) }
        let key = try self.findOpen(&request, ioctl.fileID)
        guard let open = self.opens[key] else { throw SMBError(.fileClosed) }
        var answer = WireWriter(capacity: 64)
        var status = NTStatus.success
        var work = Work.none
        guard let handle = open.handle else { return try self.pipeControl(key, ioctl, input, request, into: &writer) }
        if ioctl.code.changesFile { try self.awaitMove(in: open.file) }
        switch ioctl.code {
        case .srvRequestResumeKey:
            ResumeKey(open.persistentID, key, 0).encodeResponse(into: &answer)
        case .srvCopyChunk, .srvCopyChunkWrite:
            let copiesFiles = self.appleExtensions(request).copiesFiles
            (status, work) = try self.copyChunks(ioctl, input, open, handle, copiesFiles: copiesFiles, into: &answer)
        case .duplicateExtentsToFile:
            let extents = try parsing { () throws(WireError) in try DuplicateExtents(parsing: input) }
            work = try self.duplicateExtents(extents, open, handle, request)
        case .duplicateExtentsToFileEx:
            // Cloning is atomic for whoever reads the source, with the flag and without.
            let extended = try parsing { () throws(WireError) in try DuplicateExtentsEx(parsing: input) }
            work = try self.duplicateExtents(extended.extents, open, handle, request)
        case .setSparse, .setZeroData, .queryAllocatedRanges, .fileLevelTrim, .queryFileRegions:
            (status, work) = try self.sparseControl(ioctl, input, open, handle, into: &answer)
        case .offloadRead: work = try self.offloadRead(ioctl, input, open, handle, into: &answer)
        case .offloadWrite: work = try self.offloadWrite(ioctl, input, open, handle, into: &answer)
        case .getCompression:
            // COMPRESSION_FORMAT_NONE.
            answer.append(UInt16(0))
        case .setCompression:
            guard input.byteCount >= 2 else { throw SMBError(.invalidParameter) }
            guard input.load(UInt16.self, at: 0) == 0 else { throw SMBError(.notSupported, "compression") }
        case .createOrGetObjectID, .getObjectID:
            Self.objectID(of: handle, into: &answer)
        case .getReparsePoint, .setReparsePoint, .deleteReparsePoint:
            (status, work) = try self.reparseControl(ioctl, input, open, handle, into: &answer)
        case .isPathnameValid: break
        case .lmrRequestResiliency: try self.requestResiliency(input, key, request)
        case .srvReadHash: throw SMBError(.hashNotSupported)
        case .srvEnumerateSnapshots: try self.enumerateSnapshots(ioctl, open, into: &answer)
        default: throw SMBError(.invalidDeviceRequest)
        }
        guard answer.count <= Int(ioctl.maximumOutputResponse) else { throw SMBError(.bufferTooSmall) }
        IoctlResponse(code: ioctl.code, fileID: ioctl.fileID).encode(into: &writer, output: answer.span)
        return self.reply(request, status: status, work: work, into: &writer)
    }

    /// FILE_OBJECTID_BUFFER, [MS-FSCC] 2.1.3: the file's identity within the file system, the same on every node.
    private static func objectID(of handle: any FileHandle, into answer: inout WireWriter) {
        let identity = handle.fileKey.identity
        let padded = identity.handle.prefix(16) + Array(repeating: 0, count: max(0, 16 - identity.handle.count))
        answer.append(Array(padded))
        answer.append(identity.fileSystem.low)
        answer.append(identity.fileSystem.high)
        answer.append(Array(padded))
        answer.claim(16)
    }
}

extension ControlCode {
    /// Whether it writes to the file whose handle it comes with.
    fileprivate var changesFile: Bool {
        switch self {
        case .srvCopyChunk, .srvCopyChunkWrite, .duplicateExtentsToFile, .duplicateExtentsToFileEx, .setSparse,
            .setZeroData, .fileLevelTrim, .offloadWrite, .setReparsePoint, .deleteReparsePoint:
            true
        default: false
        }
    }
}
