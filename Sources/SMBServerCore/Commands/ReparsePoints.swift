import SMB2Wire

/// FSCTL_GET_REPARSE_POINT, FSCTL_SET_REPARSE_POINT and FSCTL_DELETE_REPARSE_POINT. [MS-FSCC] 2.3.30, 2.3.81, 2.3.5;
/// [MS-FSA] 2.1.5.10.14, 2.1.5.10.37, 2.1.5.10.5. How an open meets one: FileStore's ReparsePoints.swift.
extension ServerState {
    mutating func reparseControl(
        _ ioctl: IoctlRequest, _ input: RawSpan, _ open: Open, _ handle: any FileHandle, into answer: inout WireWriter
    ) throws(SMBError) -> (NTStatus, Work) {
        if ioctl.code == .getReparsePoint {
            let data = try handle.readReparseData().bytes
            let room = Int(ioctl.maximumOutputResponse)
            guard room >= Self.reparseHeaderByteCount else { throw SMBError(.bufferTooSmall) }
            answer.append(data.span.bytes.extracting(0..<min(room, data.count)))
            return (data.count > room ? .bufferOverflow : .success, .none)
        }
        guard !open.grantedAccess.isDisjoint(with: [.writeData, .writeAttributes]) else {
            throw SMBError(.accessDenied)
        }
        guard !open.share.isReadOnly else { throw SMBError(.mediaWriteProtected) }
        guard input.byteCount >= Self.reparseHeaderByteCount else { throw SMBError(.ioReparseDataInvalid) }
        if ioctl.code == .setReparsePoint {
            let data: ReparseData
            do throws(WireError) { data = try ReparseData(parsing: input) } catch {
                throw SMBError(.ioReparseDataInvalid, "\(error)")
            }
            guard !data.isReserved else { throw SMBError(.ioReparseTagInvalid) }
            try handle.writeReparseData(data)
        } else {
            guard input.load(UInt16.self, at: 4) == 0 else { throw SMBError(.ioReparseDataInvalid) }
            try handle.deleteReparseData(tag: input.load(UInt32.self, at: 0))
        }
        self.directoryChanged(at: open.path, by: open)
        return (.success, open.isWriteThrough ? .sync(handle, includingName: false) : .none)
    }

    /// Tag, length, reserved.
    private static let reparseHeaderByteCount = 8
}
