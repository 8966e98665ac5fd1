import SMB2Wire

/// SMB2 ECHO. [MS-SMB2] 2.2.28, 2.2.29, 3.3.5.17.
extension ServerState {
    mutating func echo(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        _ = try parsing { () throws(WireError) in try EchoRequest(parsing: message) }
        EchoResponse().encode(into: &writer)
        return self.reply(request, into: &writer)
    }
}
