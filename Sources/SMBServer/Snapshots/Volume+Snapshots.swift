import FileStore
import SMB2Wire
import SMBServerCore

extension Volume {
    /// Where a path of the core leads: into this volume, or into one of its snapshots.
    func place(of path: String) throws(SMBError) -> (volume: Volume, path: NTPath) {
        guard let (token, rest) = SnapshotPath.split(path) else {
            return (self, try files { () throws(FileError) in try NTPath(path) })
        }
        return try files { () throws(FileError) in (try self.snapshot(token), try NTPath(rest)) }
    }

    package func snapshotTokens() throws(SMBError) -> [SnapshotToken] {
        try files { () throws(FileError) in try self.newestSnapshots() }
    }

    /// A file of this volume, and of none of its snapshots.
    func own(_ handle: any FileHandle, otherwise status: NTStatus) throws(SMBError) -> OpenFile {
        let file = OpenFile.of(handle)
        guard file.volume === self else { throw SMBError(status, "a change in a snapshot") }
        return file
    }
}
