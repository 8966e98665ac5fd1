import SMB2Wire

/// SMB2 READ. [MS-SMB2] 2.2.19, 2.2.20, 3.3.5.12. The core judges; the shell reads directly behind the reply's header.
extension ServerState {
    mutating func read(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let read = try parsing { () throws(WireError) in try ReadRequest(parsing: message) }
        let length = Int(read.length)
        try self.checkCharge(request, payload: length)
        guard read.channel == 0, length <= self.connections[request.connection]?.maximumTransfer ?? 0 else {
            throw SMBError(.invalidParameter, "READ of \(length) bytes")
        }
        let key = try self.findOpen(&request, read.fileID)
        guard let open = self.opens[key] else { throw SMBError(.fileClosed) }
        guard case .file(let handle) = open.object else {
            return try self.readPipe(key, limit: length, request, into: &writer)
        }
        guard !open.isDirectory else { throw SMBError(.invalidDeviceRequest) }
        guard !open.grantedAccess.isDisjoint(with: [.readData, .execute]) else { throw SMBError(.accessDenied) }
        // Offsets are signed in every file system.
        guard read.offset <= UInt64(Int64.max) - UInt64(length) else { throw SMBError(.invalidParameter) }
        if let file = self.files[open.file], !file.locks.isEmpty,
            file.locks.refusesRead(offset: read.offset, length: UInt64(length), by: key)
        {
            throw SMBError(.fileLockConflict)
        }
        self.opens[key]?.currentByteOffset = read.offset + UInt64(length)
        self.statistics.bytesRead &+= UInt64(length)
        ReadResponse(dataLength: length).encode(into: &writer)
        let outcome = self.reply(
            request,
            work: .read(handle, offset: read.offset, length: length, minimum: Int(read.minimumCount)),
            into: &writer)
        let wantsCompression = read.flags & ReadRequest.requestCompressedFlag != 0
        return wantsCompression ? outcome.compressible : outcome
    }
}
