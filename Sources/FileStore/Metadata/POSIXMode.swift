import CLinux
import Glibc
import SMB2Wire

extension FileInformation {
    /// Whether the file is read-only to this kind of open. To a POSIX open a mode without write permission says who may
    /// write, not that the file cannot be deleted or replaced: the client looks at the mode. The DOS attribute, which
    /// somebody set, protects from both.
    package func isReadOnly(toPOSIX isPOSIX: Bool) -> Bool {
        self.attributes.contains(.readOnly) && !(isPOSIX && self.mode & 0o222 == 0)
    }
}

extension OpenFile {
    /// Permission bits (07777), as far as they are kept.
    package func setMode(_ mode: UInt32) throws(FileError) {
        try self.volume.requireWritable()
        let kept = try self.volume.keptMode(mode, isDirectory: try FileStatus(self.handle).isDirectory)
        try check(clinux_chmod(self.handle.number, kept), "change the mode")
    }

    /// Nil: unchanged. A security descriptor that is stored names the same owner and group afterwards.
    package func setOwner(uid: UInt32?, gid: UInt32?) throws(FileError) {
        try self.volume.requireWritable()
        let number = self.handle.number
        try check(clinux_chown(number, uid ?? .max, gid ?? .max), "change the owner")
        guard !self.isReparsePoint, var pieces = try SecurityStore.read(number) else { return }
        if let uid { pieces.owner = SID(host: uid).bytes }
        if let gid { pieces.group = SID(hostGroup: gid).bytes }
        try SecurityStore.write(number, pieces)
    }
}

extension Volume {
    /// Set-user-ID and set-group-ID, which in a file's mode say as whom its program runs.
    private static let setIDBits = UInt32(S_ISUID | S_ISGID)

    /// What of a client's mode a file gets. The server's users are not the host's, and what they make is root's: where
    /// the host would run such a program as its owner, no client may make one. Where nothing is run so (a cluster mounts
    /// its LUN with `nosuid`) the bits are the clients' own concern. A folder's say whose is what is made in it.
    func keptMode(_ mode: UInt32, isDirectory: Bool) throws(FileError) -> UInt32 {
        let asked = mode & 0o7777
        guard !isDirectory, asked & Self.setIDBits != 0 else { return asked }
        var filesystem = clinux_filesystem()
        try check(clinux_statfs(self.root.number, &filesystem), "statfs of the share")
        return filesystem.flags & clinux_st_nosuid != 0 ? asked : asked & ~Self.setIDBits
    }

    /// What mkdir(2) and open(2) leave out of the mode that they are given, and what a new directory took over from its
    /// parent (set-group-ID).
    func completeMode(_ made: Int32, _ mode: UInt32, _ status: FileStatus) throws(FileError) {
        let isDirectory = status.isDirectory
        let inherited = isDirectory ? status.raw.mode & S_ISGID : 0
        let wanted = try self.keptMode(mode, isDirectory: isDirectory) | inherited
        guard status.raw.mode & 0o7777 != wanted else { return }
        try check(clinux_chmod(made, wanted), "set the mode of a new file")
    }
}
