import SMB2Wire

/// SMB2 QUERY_INFO. [MS-SMB2] 2.2.37, 3.3.5.20.
extension ServerState {
    mutating func queryInfo(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        throw SMBError(.notSupported)
    }
}
