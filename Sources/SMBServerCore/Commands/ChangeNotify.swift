import SMB2Wire

/// SMB2 CHANGE_NOTIFY. [MS-SMB2] 2.2.35, 3.3.5.19.
extension ServerState {
    mutating func changeNotify(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        throw SMBError(.notSupported)
    }
}
