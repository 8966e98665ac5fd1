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
    /// Permission bits (07777).
    package func setMode(_ mode: UInt32) throws(FileError) {
        try self.volume.requireWritable()
        try check(clinux_chmod(self.handle.number, mode & 0o7777), "change the mode")
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
    /// What mkdir(2) and open(2) leave out of the mode that they are given, and what a new directory took over from its
    /// parent (set-group-ID).
    func completeMode(_ made: Int32, _ mode: UInt32, _ status: FileStatus) throws(FileError) {
        let inherited = status.isDirectory ? status.raw.mode & S_ISGID : 0
        let wanted = mode & 0o7777 | inherited
        guard status.raw.mode & 0o7777 != wanted else { return }
        try check(clinux_chmod(made, wanted), "set the mode of a new file")
    }
}
