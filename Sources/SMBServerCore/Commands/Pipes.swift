import SMB2Wire

/// Named pipes on IPC$. [MS-SMB2] 3.3.5.9 (open), 3.3.5.13 (write), 3.3.5.15.10 (transceive).
extension ServerState {
    /// Opens the pipe `name` (lower case). Which services exist is decided here.
    func openPipe(_ name: String) throws(SMBError) -> NamedPipe {
        throw SMBError(.objectNameNotFound, "no pipe \(name)")
    }

    /// One message for the pipe's service; its answer waits to be read.
    mutating func writePipe(_ key: UInt64, _ message: RawSpan) throws(SMBError) {
        throw SMBError(.notSupported)
    }
}
