import SMB2Wire

/// SMB2 TREE_DISCONNECT. [MS-SMB2] 2.2.11, 2.2.12, 3.3.5.8.
extension ServerState {
    mutating func treeDisconnect(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        _ = try parsing { () throws(WireError) in try TreeDisconnectRequest(parsing: message) }
        let (session, tree) = (request.session, request.treeID)
        var deleted: [any FileHandle] = []
        for key in self.opens.keys where self.opens[key]?.session == session && self.opens[key]?.treeID == tree {
            if let file = self.closeForClient(key) { deleted.append(file) }
        }
        self.cancelPending(status: .networkNameDeleted) { $0.session == session && $0.treeID == tree && $0.open == 0 }
        if self.sessions[session]?.trees.remove(UInt64(tree)) != nil { self.usage.treeConnects -= 1 }
        TreeDisconnectResponse().encode(into: &writer)
        return self.reply(request, work: .settling(deleted), into: &writer)
    }
}
