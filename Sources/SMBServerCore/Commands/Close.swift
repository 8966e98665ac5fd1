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
        let open = self.opens[key]
        var work = Work.none
        if self.closeOpen(key), let open, open.share.isContinuouslyAvailable, let handle = open.handle {
            // What a client saw deleted must not come back with a failover.
            work = .sync(handle, includingName: true)
        } else if open?.isPersistent == true {
            // Nor must the handle: its client is done with it, and nobody would close it on the next node before its time is over.
            self.mutationsAwaited = true
        }
        CloseResponse(attributes: attributes).encode(into: &writer)
        return self.reply(request, work: work, into: &writer)
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
