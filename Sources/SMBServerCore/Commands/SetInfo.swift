import SMB2Wire

/// SMB2 SET_INFO. [MS-SMB2] 2.2.39, 3.3.5.21.
extension ServerState {
    mutating func setInfo(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        throw SMBError(.notSupported)
    }
}
