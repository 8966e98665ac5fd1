import SMB2Wire

/// SMB2 FLUSH. [MS-SMB2] 2.2.17, 2.2.18, 3.3.5.11. The shell answers only after the file's data reached stable storage: a
/// client that saw success must find its bytes after a failover.
extension ServerState {
    mutating func flush(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let flush = try parsing { () throws(WireError) in try FlushRequest(parsing: message) }
        let key = try self.findOpen(&request, flush.fileID)
        guard let open = self.opens[key] else { throw SMBError(.fileClosed) }
        FlushResponse().encode(into: &writer)
        guard let handle = open.handle else { return self.reply(request, into: &writer) }
        // On a directory the same bits are the rights to add files and directories.
        guard !open.grantedAccess.isDisjoint(with: [.writeData, .appendData]) else { throw SMBError(.accessDenied) }
        return self.reply(request, work: .sync(handle, includingName: false), into: &writer)
    }
}
