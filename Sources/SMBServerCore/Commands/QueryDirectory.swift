import SMB2Wire

/// SMB2 QUERY_DIRECTORY. [MS-SMB2] 2.2.33, 3.3.5.18.
extension ServerState {
    mutating func queryDirectory(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        throw SMBError(.notSupported)
    }
}
