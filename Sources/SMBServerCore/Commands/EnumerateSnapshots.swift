import SMB2Wire

/// FSCTL_SRV_ENUMERATE_SNAPSHOTS: the previous versions of a share. [MS-SMB2] 2.2.32.2, 3.3.5.15.1. A client asks twice: with
/// room for the counts alone, and then with the room that these say.
extension ServerState {
    func enumerateSnapshots(
        _ ioctl: IoctlRequest, _ open: Open, into answer: inout WireWriter
    ) throws(SMBError) {
        guard let fileSystem = open.share.fileSystem else { throw SMBError(.invalidDeviceRequest) }
        let room = Int(ioctl.maximumOutputResponse)
        guard room >= SnapshotArray.smallestByteCount else { throw SMBError(.invalidParameter, "room for the counts") }
        SnapshotArray(tokens: try fileSystem.snapshotTokens()).encode(into: &answer, limit: room)
    }
}
