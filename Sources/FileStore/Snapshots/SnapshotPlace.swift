import CLinux
import Glibc
import SMB2Wire

/// What the server keeps for itself on a share's file system: `.holdfast` in the root of the file system, beside the shares
/// and reachable through none of them.
///
///     .holdfast/snapshots/SHARE/@GMT-2026.11.24-19.30.00/    a snapshot: the share's tree as it was
///     .holdfast/snapshots/SHARE/.making-@GMT-...             one that is being made; a crash leaves it, and nobody lists it
///     .holdfast/snapshots/SHARE/.removing-@GMT-...           one that is being removed
///     .holdfast/streams/ID                                   a large named stream (LargeStreams.swift)
///     .holdfast/moves/ID                                     a stream that becomes its file's data (StreamMove.swift)
///     .holdfast/folders/ID                                   a folder before it has its name (MarkedFolders.swift)
///     .holdfast/links/ID                                     a link before it has its name (ReplacingLinks.swift)
///
/// SHARE is the file handle of the share's folder in hexadecimal: the same on every node, whatever the share is called.
package enum OwnDirectory {
    package static let name = ".holdfast"
    static let bytes = Array(name.utf8)
    static let snapshots = "snapshots"
    /// Nobody but root, whoever may log in on the node.
    static let mode: UInt32 = 0o700

    /// Whatever its case: names are looked up without regard to it.
    static func isName(_ name: some Collection<UInt8>) -> Bool {
        name.count == self.bytes.count && name.lowercasedASCII.elementsEqual(self.bytes)
    }

    /// Whether a path from the root of a volume leads into it.
    static func holds(_ path: [UInt8]) -> Bool { self.isName(path.prefix { $0 != UInt8(ascii: "/") }) }
}

extension Collection<UInt8> {
    fileprivate var lowercasedASCII: some Collection<UInt8> {
        self.lazy.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
    }
}

extension Volume {
    /// Whether the directory is the root of what is mounted there: then `..` leads to another mount, or to itself.
    static func isMountRoot(_ directory: borrowing Descriptor) throws(FileError) -> Bool {
        let status = try FileStatus(directory)
        let above = try Self.above(directory)
        let parent = try FileStatus(above)
        return parent.mountID != status.mountID || parent.inode == status.inode
    }

    private static func above(_ directory: borrowing Descriptor) throws(FileError) -> Descriptor {
        try Descriptor(
            result: clinux_openat(directory.number, "..", clinux_o_path | O_DIRECTORY | O_CLOEXEC, 0),
            "open the directory above")
    }

    /// The root of the file system that the share lies on, as far as it is mounted here.
    private func filesystemRoot() throws(FileError) -> Descriptor {
        var current = try self.root.duplicate()
        while try !Self.isMountRoot(current) { current = try Self.above(current) }
        return current
    }

    /// Where the snapshots of this share are; nil where nothing was ever put there.
    ///
    /// - Parameter makes: make what is missing of it.
    func snapshotPlace(makes: Bool = false) throws(FileError) -> Descriptor? {
        let share = Array(try FileIdentity(self.root.number, filesystem: self.filesystemID).fileName.utf8)
        return try self.ownPlace([Array(OwnDirectory.snapshots.utf8), share], makes: makes)
    }

    /// A folder in the server's own directory; nil where it is not there.
    ///
    /// - Parameter makes: make what is missing of it.
    func ownPlace(_ path: [[UInt8]], makes: Bool) throws(FileError) -> Descriptor? {
        var current = try self.filesystemRoot()
        for name in [OwnDirectory.bytes] + path {
            let directory = current.number
            if makes {
                let made = withTerminated(name) { clinux_mkdirat(directory, $0, OwnDirectory.mode) }
                if !failed(made, EEXIST) {
                    try check(made, "make a folder of the server's own")
                    try Self.flush(directory)
                }
            }
            let opened = self.openBeneath(directory, name, O_RDONLY | O_DIRECTORY)
            if !makes, failed(opened, ENOENT) { return nil }
            current = try Descriptor(result: opened, "open a folder of the server's own")
        }
        return current
    }

    static func flush(_ directory: Int32) throws(FileError) {
        let opened = try Descriptor(
            result: clinux_reopen(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open a directory to flush it")
        try check(clinux_fsync(opened.number), "flush a directory")
    }
}

extension FileIdentity {
    /// Which file of its file system it is, as a name.
    var fileName: String {
        var text = withUnsafeBytes(of: self.handleType.bigEndian) { Array($0) }
        text.append(contentsOf: self.handle)
        return String(decoding: Hexadecimal.digits(text), as: UTF8.self)
    }
}

extension OpenFile {
    func hidesOwnDirectory() throws(FileError) -> Bool {
        guard self.volume.hidesOwnDirectory else { return false }
        return self.fileID == (try FileStatus(self.volume.root).inode)
    }
}
