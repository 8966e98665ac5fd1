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
        guard let handle = open.handle else {
            switch ioctl.code {
            case .pipeTransceive:
                status = try self.transceive(key, input, limit: Int(ioctl.maximumOutputResponse), into: &answer)
            case .pipePeek: throw SMBError(.notSupported, "peek")
            default: throw SMBError(.invalidDeviceRequest)
            }
            IoctlResponse(code: ioctl.code, fileID: ioctl.fileID).encode(into: &writer, output: answer.span)
            return self.reply(request, status: status, into: &writer)
        }
        switch ioctl.code {
        case .srvRequestResumeKey:
            ResumeKey(open.persistentID, key, 0).encodeResponse(into: &answer)
        case .srvCopyChunk, .srvCopyChunkWrite:
            status = try self.copyChunks(ioctl, input, open, handle, into: &answer)
            work = open.isWriteThrough && status == .success ? .sync(handle, includingName: false) : .none
        case .duplicateExtentsToFile:
            try self.duplicateExtents(input, open, handle, request)
            work = open.isWriteThrough ? .sync(handle, includingName: false) : .none
        case .setSparse:
            guard !open.grantedAccess.isDisjoint(with: [.writeData, .writeAttributes, .appendData]) else {
                throw SMBError(.accessDenied)
            }
            guard !open.isDirectory else { throw SMBError(.invalidParameter) }
            try handle.markSparse(SetSparse(parsing: input).isSparse)
        case .setZeroData:
            try self.zeroData(input, open, handle, key)
            work = open.isWriteThrough ? .sync(handle, includingName: false) : .none
        case .queryAllocatedRanges:
            status = try self.queryRanges(ioctl, input, open, handle, into: &answer)
        case .getCompression:
            // COMPRESSION_FORMAT_NONE.
            answer.append(UInt16(0))
        case .setCompression:
            guard input.byteCount >= 2 else { throw SMBError(.invalidParameter) }
            guard input.load(UInt16.self, at: 0) == 0 else { throw SMBError(.notSupported, "compression") }
        case .createOrGetObjectID, .getObjectID:
            Self.objectID(of: handle, into: &answer)
        case .getReparsePoint: throw SMBError(.notAReparsePoint)
        case .isPathnameValid: break
        case .srvEnumerateSnapshots: try self.enumerateSnapshots(ioctl, open, into: &answer)
        default: throw SMBError(.invalidDeviceRequest)
        }
        guard answer.count <= Int(ioctl.maximumOutputResponse) else { throw SMBError(.bufferTooSmall) }
        IoctlResponse(code: ioctl.code, fileID: ioctl.fileID).encode(into: &writer, output: answer.span)
        return self.reply(request, status: status, work: work, into: &writer)
    }

    // MARK: Copies on the server, 3.3.5.15.6

    private mutating func copyChunks(
        _ ioctl: IoctlRequest, _ input: RawSpan, _ target: Open, _ handle: any FileHandle, into answer: inout WireWriter
    ) throws(SMBError) -> NTStatus {
        guard Int(ioctl.maximumOutputResponse) >= 12 else { throw SMBError(.invalidParameter) }
        let copy = try parsing { () throws(WireError) in try CopyChunkRequest(parsing: input) }
        guard let source = self.opens[copy.sourceKey.second], source.persistentID == copy.sourceKey.first,
            source.session == target.session, let sourceHandle = source.handle
        else { throw SMBError(.objectNameNotFound, "resume key") }
        var total: UInt64 = 0
        var isTooMuch = copy.chunks.count > CopyChunkRequest.maximumChunks
        for chunk in copy.chunks {
            total += UInt64(chunk.length)
            isTooMuch = isTooMuch || chunk.length == 0 || chunk.length > CopyChunkRequest.maximumChunkByteCount
        }
        guard !isTooMuch, total <= UInt64(CopyChunkRequest.maximumTotalByteCount) else {
            // The answer names the limits. 3.3.5.15.6.2.
            CopyChunkResponse.limits.encode(into: &answer)
            return .invalidParameter
        }
        guard !source.isDirectory, !target.isDirectory else { throw SMBError(.invalidDeviceRequest) }
        guard source.grantedAccess.contains(.readData) else { throw SMBError(.accessDenied, "source") }
        guard !target.grantedAccess.isDisjoint(with: [.writeData, .appendData]),
            ioctl.code == .srvCopyChunkWrite || target.grantedAccess.contains(.readData)
        else { throw SMBError(.accessDenied, "target") }
        let targetKey = target.key
        var copied: UInt64 = 0
        var chunks: UInt32 = 0
        // 3.3.5.15.6: a chunk that fails ends the copy, and the answer says how far it came.
        func stopped(_ status: NTStatus) -> NTStatus {
            CopyChunkResponse(
                chunksWritten: chunks, chunkBytesWritten: 0, totalBytesWritten: UInt32(clamping: copied)
            ).encode(into: &answer)
            return status
        }
        self.breakReadCaching(by: target)
        for chunk in copy.chunks {
            guard let sourceEnd = Self.end(chunk.sourceOffset, UInt64(chunk.length)),
                let targetEnd = Self.end(chunk.targetOffset, UInt64(chunk.length))
            else { throw SMBError(.invalidParameter) }
            guard try sourceEnd <= sourceHandle.facts().endOfFile else { return stopped(.invalidViewSize) }
            if let file = self.files[source.file], !file.locks.isEmpty,
                file.locks.refusesRead(
                    offset: chunk.sourceOffset, length: sourceEnd - chunk.sourceOffset, by: source.key)
            {
                return stopped(.fileLockConflict)
            }
            if let file = self.files[target.file], !file.locks.isEmpty,
                file.locks.refusesWrite(
                    offset: chunk.targetOffset, length: targetEnd - chunk.targetOffset, by: targetKey)
            {
                return stopped(.fileLockConflict)
            }
            copied += try handle.copy(
                from: sourceHandle, at: chunk.sourceOffset, to: chunk.targetOffset, count: UInt64(chunk.length))
            chunks += 1
        }
        CopyChunkResponse(chunksWritten: chunks, chunkBytesWritten: 0, totalBytesWritten: UInt32(clamping: copied))
            .encode(into: &answer)
        return .success
    }

    /// FSCTL_DUPLICATE_EXTENTS_TO_FILE, [MS-FSCC] 2.3.7.
    private mutating func duplicateExtents(
        _ input: RawSpan, _ target: Open, _ handle: any FileHandle, _ request: Request
    ) throws(SMBError) {
        let extents = try parsing { () throws(WireError) in try DuplicateExtents(parsing: input) }
        guard let source = self.opens[extents.sourceFileID.volatile],
            source.persistentID == extents.sourceFileID.persistent, source.session == request.session,
            let sourceHandle = source.handle
        else { throw SMBError(.invalidHandle) }
        guard source.grantedAccess.contains(.readData), target.grantedAccess.contains(.writeData) else {
            throw SMBError(.accessDenied)
        }
        guard !source.isDirectory, !target.isDirectory,
            let end = Self.end(extents.targetOffset, extents.byteCount),
            Self.end(extents.sourceOffset, extents.byteCount) != nil
        else { throw SMBError(.invalidParameter) }
        if let file = self.files[target.file], !file.locks.isEmpty,
            file.locks.refusesWrite(
                offset: extents.targetOffset, length: end - extents.targetOffset, by: target.key)
        {
            throw SMBError(.fileLockConflict)
        }
        self.breakReadCaching(by: target)
        try handle.clone(
            from: sourceHandle, at: extents.sourceOffset, to: extents.targetOffset, count: extents.byteCount)
    }

    private static func end(_ offset: UInt64, _ length: UInt64) -> UInt64? {
        let (end, overflow) = offset.addingReportingOverflow(length)
        return overflow || end > UInt64(Int64.max) ? nil : end
    }

    // MARK: Holes, [MS-FSCC] 2.3.65, 2.3.52

    private mutating func zeroData(
        _ input: RawSpan, _ open: Open, _ handle: any FileHandle, _ key: UInt64
    ) throws(SMBError) {
        guard open.grantedAccess.contains(.writeData) else { throw SMBError(.accessDenied) }
        guard !open.isDirectory else { throw SMBError(.invalidParameter) }
        let zero = try parsing { () throws(WireError) in try ZeroDataInformation(parsing: input) }
        guard zero.offset <= zero.beyondFinalZero, zero.beyondFinalZero <= UInt64(Int64.max) else {
            throw SMBError(.invalidParameter)
        }
        if let file = self.files[open.file], !file.locks.isEmpty,
            file.locks.refusesWrite(offset: zero.offset, length: zero.beyondFinalZero - zero.offset, by: key)
        {
            throw SMBError(.fileLockConflict)
        }
        guard zero.offset < zero.beyondFinalZero else { return }
        self.breakReadCaching(by: open)
        try handle.zeroRange(zero.offset..<zero.beyondFinalZero)
    }

    private func queryRanges(
        _ ioctl: IoctlRequest, _ input: RawSpan, _ open: Open, _ handle: any FileHandle, into answer: inout WireWriter
    ) throws(SMBError) -> NTStatus {
        guard open.grantedAccess.contains(.readData) else { throw SMBError(.accessDenied) }
        guard !open.isDirectory else { throw SMBError(.invalidParameter) }
        let range = try parsing { () throws(WireError) in try FileRange(parsing: input) }
        guard let end = Self.end(range.offset, range.length) else { throw SMBError(.invalidParameter) }
        guard range.length > 0 else { return .success }
        let room = Int(ioctl.maximumOutputResponse) / FileRange.byteCount
        let (ranges, isComplete) = try handle.queryAllocatedRanges(in: range.offset..<end, limit: room)
        guard isComplete || room > 0 else { throw SMBError(.bufferTooSmall) }
        for range in ranges { range.encode(into: &answer) }
        return isComplete ? .success : .bufferOverflow
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
