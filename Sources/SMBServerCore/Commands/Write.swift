import SMB2Wire

/// SMB2 WRITE. [MS-SMB2] 2.2.21, 2.2.22, 3.3.5.13. The core judges; the shell writes from where the bytes arrived.
extension ServerState {
    mutating func write(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let write = try parsing { () throws(WireError) in try WriteRequest(parsing: message) }
        let length = write.data.count
        try self.checkCharge(request, payload: length)
        guard write.channel == 0, length <= self.connections[request.connection]?.maximumTransfer ?? 0 else {
            throw SMBError(.invalidParameter, "WRITE of \(length) bytes")
        }
        let key = try self.findOpen(&request, write.fileID)
        guard let open = self.opens[key] else { throw SMBError(.fileClosed) }
        guard case .file(let handle) = open.object else {
            try self.writePipe(key, message.extracting(write.data))
            WriteResponse(count: UInt32(length)).encode(into: &writer)
            return self.reply(request, into: &writer)
        }
        guard !open.isDirectory else { throw SMBError(.invalidDeviceRequest) }
        guard !open.grantedAccess.isDisjoint(with: [.writeData, .appendData]) else { throw SMBError(.accessDenied) }
        guard write.offset <= UInt64(Int64.max) - UInt64(length) else { throw SMBError(.invalidParameter) }
        if let file = self.files[open.file], !file.locks.isEmpty,
            file.locks.refusesWrite(offset: write.offset, length: UInt64(length), by: key)
        {
            throw SMBError(.fileLockConflict)
        }
        try self.awaitMove(in: open.file)
        self.breakReadCaching(by: open)
        self.opens[key]?.currentByteOffset = write.offset + UInt64(length)
        self.opens[key]?.hasWritten = true
        self.statistics.bytesWritten &+= UInt64(length)
        WriteResponse(count: UInt32(length)).encode(into: &writer)
        guard length > 0 else { return self.reply(request, into: &writer) }
        return self.reply(
            request,
            work: .write(
                handle, offset: write.offset, data: write.data,
                isDurable: write.isWriteThrough || open.isWriteThrough),
            into: &writer)
    }
}
