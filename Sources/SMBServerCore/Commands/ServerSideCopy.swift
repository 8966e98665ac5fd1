import SMB2Wire

/// Copies on the server. FSCTL_SRV_COPYCHUNK: [MS-SMB2] 2.2.31.1, 2.2.32.1, 3.3.5.15.6.
/// FSCTL_DUPLICATE_EXTENTS_TO_FILE(_EX): [MS-SMB2] 3.3.5.15.17, 3.3.5.15.18; [MS-FSA] 2.1.5.10.4.
/// FSCTL_OFFLOAD_READ and FSCTL_OFFLOAD_WRITE: Offload.swift. Here it is judged; the bytes move in the shell (`CopyJob`).
extension ServerState {
    mutating func copyChunks(
        _ ioctl: IoctlRequest, _ input: RawSpan, _ target: Open, _ handle: any FileHandle, copiesFiles: Bool,
        into answer: inout WireWriter
    ) throws(SMBError) -> (NTStatus, Work) {
        guard Int(ioctl.maximumOutputResponse) >= 12 else { throw SMBError(.invalidParameter) }
        let copy: CopyChunkRequest
        do throws(WireError) { copy = try CopyChunkRequest(parsing: input) } catch {
            guard error.reason == .limitExceeded else { throw SMBError(error.status, "\(error)") }
            CopyChunkResponse.limits.encode(into: &answer)
            return (.invalidParameter, .none)
        }
        guard let source = self.opens[copy.sourceKey.second], source.persistentID == copy.sourceKey.first,
            copy.sourceKey.third == 0, source.session == target.session, let sourceHandle = source.handle
        else { throw SMBError(.objectNameNotFound, "resume key") }
        if copiesFiles, copy.chunks.isEmpty {
            return (.success, try self.copyWholeFile(from: source, to: target, into: &answer))
        }
        var total: UInt64 = 0
        var isTooMuch = false
        for chunk in copy.chunks {
            total += UInt64(chunk.length)
            isTooMuch = isTooMuch || chunk.length == 0 || chunk.length > CopyChunkRequest.maximumChunkByteCount
        }
        guard !isTooMuch, total <= UInt64(CopyChunkRequest.maximumTotalByteCount) else {
            // The answer names the limits. 3.3.5.15.6.2.
            CopyChunkResponse.limits.encode(into: &answer)
            return (.invalidParameter, .none)
        }
        guard !source.isDirectory, !target.isDirectory else { throw SMBError(.invalidDeviceRequest) }
        guard !source.grantedAccess.isDisjoint(with: .reading) else { throw SMBError(.accessDenied, "source") }
        guard !target.grantedAccess.isDisjoint(with: [.writeData, .appendData]),
            ioctl.code == .srvCopyChunkWrite || target.grantedAccess.contains(.readData)
        else { throw SMBError(.accessDenied, "target") }
        var job = CopyJob(
            method: .copy, source: sourceHandle, target: handle, pieces: [], isDurable: target.isWriteThrough,
            answer: .chunks)
        for chunk in copy.chunks {
            let piece = CopyJob.Piece(
                sourceOffset: chunk.sourceOffset, targetOffset: chunk.targetOffset, byteCount: UInt64(chunk.length))
            guard Self.isFileRange(piece.sourceOffset, piece.byteCount),
                Self.isFileRange(piece.targetOffset, piece.byteCount)
            else { throw SMBError(.invalidParameter, "a chunk beyond the largest file") }
            // A chunk that may not be copied ends the copy, and the answer says how far it came.
            guard !self.isLocked(source, reading: piece.sourceOffset, piece.byteCount),
                !self.isLocked(target, writing: piece.targetOffset, piece.byteCount)
            else {
                job.ending = .fileLockConflict
                break
            }
            job.pieces.append(piece)
        }
        self.willWrite(target)
        CopyChunkResponse(
            chunksWritten: UInt32(clamping: job.pieces.count), chunkBytesWritten: 0,
            totalBytesWritten: UInt32(clamping: job.pieces.reduce(0) { $0 + $1.byteCount })
        ).encode(into: &answer)
        return (.success, .copy(job))
    }

    mutating func duplicateExtents(
        _ extents: DuplicateExtents, _ target: Open, _ handle: any FileHandle, _ request: Request
    ) throws(SMBError) -> Work {
        guard let source = self.opens[extents.sourceFileID.volatile],
            source.persistentID == extents.sourceFileID.persistent, source.session == request.session,
            let sourceHandle = source.handle
        else { throw SMBError(.invalidHandle) }
        guard !source.grantedAccess.isDisjoint(with: .reading), target.grantedAccess.contains(.writeData) else {
            throw SMBError(.accessDenied)
        }
        var piece = CopyJob.Piece(
            sourceOffset: extents.sourceOffset, targetOffset: extents.targetOffset, byteCount: extents.byteCount)
        guard !source.isDirectory, !target.isDirectory, Self.isFileRange(piece.sourceOffset, piece.byteCount),
            Self.isFileRange(piece.targetOffset, piece.byteCount)
        else { throw SMBError(.invalidParameter) }
        guard piece.byteCount > 0 else { return .none }
        let (from, to) = (try sourceHandle.facts(), try handle.facts())
        guard source.share.fileSystem?.volumeID == target.share.fileSystem?.volumeID else {
            throw SMBError(.invalidParameter, "another file system")
        }
        // [MS-FSCC] 2.3.8.
        guard piece.sourceOffset + piece.byteCount <= from.endOfFile else {
            throw SMBError(.notSupported, "beyond the source's end")
        }
        guard !from.attributes.contains(.sparseFile) || to.attributes.contains(.sparseFile) else {
            throw SMBError(.notSupported, "a sparse source, and a target that is not")
        }
        if source.file == target.file {
            let distance =
                piece.sourceOffset > piece.targetOffset
                ? piece.sourceOffset - piece.targetOffset : piece.targetOffset - piece.sourceOffset
            guard distance >= piece.byteCount else { throw SMBError(.notSupported, "overlapping ranges") }
        }
        // As Windows does: the target's size stays, and what would lie behind its end is not kept.
        guard piece.targetOffset < to.endOfFile else { return .none }
        piece.byteCount = min(piece.byteCount, to.endOfFile - piece.targetOffset)
        self.willWrite(target)
        return .copy(
            CopyJob(
                method: .clone, source: sourceHandle, target: handle, pieces: [piece],
                isDurable: target.isWriteThrough, answer: .status))
    }

    // MARK: What all that write through an FSCTL have in common

    /// Files are at most 2^63 - 1 bytes.
    static func isFileRange(_ offset: UInt64, _ length: UInt64) -> Bool {
        let (end, overflow) = offset.addingReportingOverflow(length)
        return !overflow && end <= UInt64(Int64.max)
    }

    func isLocked(_ open: Open, reading offset: UInt64, _ length: UInt64) -> Bool {
        self.files[open.file]?.locks.refusesRead(offset: offset, length: length, by: open.key) ?? false
    }

    func isLocked(_ open: Open, writing offset: UInt64, _ length: UInt64) -> Bool {
        self.files[open.file]?.locks.refusesWrite(offset: offset, length: length, by: open.key) ?? false
    }

    /// Others' caches of the file go; its directory shows the change when it is closed.
    mutating func willWrite(_ open: Open) {
        self.breakReadCaching(by: open)
        self.opens[open.key]?.hasWritten = true
    }
}

extension AccessMask {
    /// [MS-SMB2] 3.3.5.12: who may execute a file may read it.
    static let reading: AccessMask = [.readData, .execute]
}
