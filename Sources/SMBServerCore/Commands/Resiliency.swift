import SMB2Wire

/// FSCTL_LMR_REQUEST_RESILIENCY: an open is to be kept when its connection goes, for a time that the client chooses, whatever it
/// may cache. [MS-SMB2] 2.2.31.3, 3.3.5.15.9. It is kept in memory only: what must outlive the server is a persistent handle.
extension ServerState {
    mutating func requestResiliency(_ input: RawSpan, _ key: UInt64, _ request: Request) throws(SMBError) {
        guard request.dialect != .smb202 else { throw SMBError(.invalidDeviceRequest, "resiliency in 2.0.2") }
        let wanted = try parsing { () throws(WireError) in try ResiliencyRequest(parsing: input) }
        guard wanted.timeoutMilliseconds <= Limits.maximumResiliencyMilliseconds else {
            throw SMBError(.invalidParameter, "resiliency for \(wanted.timeoutMilliseconds) ms")
        }
        guard let open = self.opens[key] else { throw SMBError(.fileClosed) }
        self.opens[key]?.resiliencyMilliseconds =
            wanted.timeoutMilliseconds == 0 ? Limits.defaultResiliencyMilliseconds : wanted.timeoutMilliseconds
        // A persistent handle stays one.
        if !open.isPersistent { self.opens[key]?.isDurable = false }
        self.durableOpens[open.persistentID] = key
    }
}
