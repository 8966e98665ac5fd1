import SMB2Wire

/// Holes in files. FSCTL_SET_SPARSE, FSCTL_SET_ZERO_DATA, FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_FILE_LEVEL_TRIM and
/// FSCTL_QUERY_FILE_REGIONS: [MS-FSCC] 2.3.69, 2.3.71, 2.3.51, 2.3.85, 2.3.55; [MS-FSA] 2.1.5.10.
extension ServerState {
    mutating func sparseControl(
        _ ioctl: IoctlRequest, _ input: RawSpan, _ open: Open, _ handle: any FileHandle, into answer: inout WireWriter
    ) throws(SMBError) -> (NTStatus, Work) {
        let work: Work = open.isWriteThrough ? .sync(handle, includingName: false) : .none
        switch ioctl.code {
        case .setSparse:
            guard !open.grantedAccess.isDisjoint(with: [.writeData, .writeAttributes, .appendData]) else {
                throw SMBError(.accessDenied)
            }
            guard !open.isDirectory else { throw SMBError(.invalidParameter) }
            try handle.markSparse(SetSparse(parsing: input).isSparse)
            return (.success, work)
        case .setZeroData:
            try self.zeroData(input, open, handle)
            return (.success, work)
        case .fileLevelTrim:
            let count = try self.trim(input, open, handle)
            if Int(ioctl.maximumOutputResponse) >= FileLevelTrim.outputByteCount { answer.append(UInt32(count)) }
            return (.success, work)
        case .queryFileRegions:
            try self.queryRegions(ioctl, input, open, handle, into: &answer)
            return (.success, .none)
        default:
            return (try self.queryRanges(ioctl, input, open, handle, into: &answer), .none)
        }
    }

    private mutating func zeroData(_ input: RawSpan, _ open: Open, _ handle: any FileHandle) throws(SMBError) {
        guard open.grantedAccess.contains(.writeData) else { throw SMBError(.accessDenied) }
        guard !open.isDirectory else { throw SMBError(.invalidParameter) }
        let zero = try parsing { () throws(WireError) in try ZeroDataInformation(parsing: input) }
        let byteCount = zero.beyondFinalZero - zero.offset
        guard !self.isLocked(open, writing: zero.offset, byteCount) else { throw SMBError(.fileLockConflict) }
        guard byteCount > 0 else { return }
        self.willWrite(open)
        try handle.zeroRange(zero.offset..<zero.beyondFinalZero)
    }

    /// How many of the ranges were looked at. What lies past the end of the file is nobody's data.
    private mutating func trim(_ input: RawSpan, _ open: Open, _ handle: any FileHandle) throws(SMBError) -> Int {
        guard open.grantedAccess.contains(.writeData) else { throw SMBError(.accessDenied) }
        guard !open.isDirectory else { throw SMBError(.invalidParameter) }
        let trim = try parsing { () throws(WireError) in try FileLevelTrim(parsing: input) }
        for range in trim.ranges where self.isLocked(open, writing: range.offset, range.length) {
            throw SMBError(.fileLockConflict)
        }
        self.willWrite(open)
        for range in trim.ranges { try handle.trimRange(range.offset..<range.offset + range.length) }
        return trim.ranges.count
    }

    private func queryRanges(
        _ ioctl: IoctlRequest, _ input: RawSpan, _ open: Open, _ handle: any FileHandle, into answer: inout WireWriter
    ) throws(SMBError) -> NTStatus {
        guard open.grantedAccess.contains(.readData) else { throw SMBError(.accessDenied) }
        guard !open.isDirectory else { throw SMBError(.invalidParameter) }
        let range = try parsing { () throws(WireError) in try FileRange(parsing: input) }
        guard range.length > 0 else { return .success }
        let room = Int(ioctl.maximumOutputResponse) / FileRange.byteCount
        let (ranges, isComplete) = try handle.queryAllocatedRanges(
            in: range.offset..<range.offset + range.length, limit: room)
        guard isComplete || room > 0 else { throw SMBError(.bufferTooSmall) }
        for range in ranges { range.encode(into: &answer) }
        return isComplete ? .success : .bufferOverflow
    }

    /// [MS-FSA] 2.1.5.10.24. Holes read as zeros here, so the valid data reaches to the end of the file.
    private func queryRegions(
        _ ioctl: IoctlRequest, _ input: RawSpan, _ open: Open, _ handle: any FileHandle, into answer: inout WireWriter
    ) throws(SMBError) {
        guard open.grantedAccess.contains(.readData) else { throw SMBError(.accessDenied) }
        guard !open.isDirectory else { throw SMBError(.invalidParameter) }
        guard Int(ioctl.maximumOutputResponse) >= FileRegionQuery.outputHeaderByteCount else {
            throw SMBError(.bufferTooSmall)
        }
        let query = try parsing { () throws(WireError) in try FileRegionQuery(parsing: input) }
        let usage = query.usage & (FileRegionQuery.validCachedData | FileRegionQuery.validNoncachedData)
        guard usage != 0 else { throw SMBError(.invalidParameter, "region usage") }
        let end = min(query.range.offset + query.range.length, try handle.facts().endOfFile)
        guard query.range.offset < end else {
            return FileRegionQuery.encodeAnswer(nil, usage: usage, into: &answer)
        }
        let region = FileRange(offset: query.range.offset, length: end - query.range.offset)
        FileRegionQuery.encodeAnswer(region, usage: usage, into: &answer)
    }
}
