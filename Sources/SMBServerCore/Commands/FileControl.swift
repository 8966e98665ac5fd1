import SMB2Wire

/// FSCTLs of files and pipes. [MS-SMB2] 3.3.5.15, [MS-FSCC] 2.3.
extension ServerState {
    mutating func fileControl(
        _ ioctl: IoctlRequest, _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        throw SMBError(.notSupported)
    }
}
