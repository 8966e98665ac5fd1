import SMB2Wire

/// SMB2 OPLOCK_BREAK acknowledgement. [MS-SMB2] 2.2.24, 3.3.5.22.
extension ServerState {
    /// Nothing was granted that could be broken: there is no break to acknowledge. 3.3.5.22.1, 3.3.5.22.2.
    mutating func oplockBreak(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        throw SMBError(.invalidOplockProtocol)
    }
}
