import SMB2Wire

/// SMB2 LOGOFF. [MS-SMB2] 2.2.7, 2.2.8, 3.3.5.6.
extension ServerState {
    mutating func logoff(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        _ = try parsing { () throws(WireError) in try LogoffRequest(parsing: message) }
        LogoffResponse().encode(into: &writer)
        // The reply is protected with the keys of the session that it ends.
        var outcome = self.reply(request, into: &writer)
        let deleted = self.endSession(request.session, keepsDurable: true)
        if case .reply(var reply) = outcome {
            reply.work = .settling(deleted)
            outcome = .reply(reply)
        }
        self.connections[request.connection]?.acceptedAt = self.now
        return outcome
    }
}
