import SMB2Wire

/// SMB2 CLOSE. [MS-SMB2] 2.2.15, 2.2.16, 3.3.5.10.
extension ServerState {
    mutating func close(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let close = try parsing { () throws(WireError) in try CloseRequest(parsing: message) }
        let key = try self.findOpen(&request, close.fileID)
        var attributes: NetworkOpenInformation?
        if close.wantsAttributes, let handle = self.opens[key]?.handle {
            // A client that asked and cannot be told is still entitled to its close.
            attributes = try? handle.facts().networkOpen
        }
        let deleted = self.closeForClient(key)
        CloseResponse(attributes: attributes).encode(into: &writer)
        let work: Work = deleted.map { .sync($0, includingName: true) } ?? .none
        return self.reply(request, work: work, into: &writer)
    }

    /// Closes an open whose client is answered for it: CLOSE, TREE_DISCONNECT, LOGOFF.
    /// - Returns: the file that was deleted with it and must be gone from the disk before the answer leaves: what a client
    ///   saw deleted must not come back with a failover.
    mutating func closeForClient(_ key: UInt64) -> (any FileHandle)? {
        guard let open = self.opens[key] else { return nil }
        let isAvailable = open.share.isContinuouslyAvailable
        let deleted = self.closeOpen(key)
        // Nor must the handle: its client is done with it, and nobody would close it on the next node before its time is
        // over. Nor may a file stay that is to go with others' handles: their records say so. The record of an open whose
        // file is deleted goes later.
        if deleted?.fileKey != open.handle?.fileKey, open.isPersistent || open.deleteOnClose && isAvailable {
            self.mutationsAwaited = true
        }
        return isAvailable ? deleted : nil
    }
}

extension FileFacts {
    package var networkOpen: NetworkOpenInformation {
        NetworkOpenInformation(
            creationTime: self.creationTime, lastAccessTime: self.lastAccessTime, lastWriteTime: self.lastWriteTime,
            changeTime: self.changeTime, allocationSize: self.allocationSize, endOfFile: self.endOfFile,
            attributes: self.attributes)
    }
}
