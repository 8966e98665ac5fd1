import CLinux
import Glibc
import SMB2Wire
import Synchronization

/// # FileStore: NT semantics on Linux files
///
/// Synchronous and concrete. One `Volume` a share; what is opened is an `OpenFile`. Everything throws `FileError`, whose
/// `status` goes to the client and whose `detail` goes to the log. All methods may be called from several threads.
///
/// ```swift
/// let volume = try Volume(root: "/srv/test", options: .init(label: "test"))
///
/// // Names: the wire's UTF-16 -> NTPath (validated; UTF-8 inside). Empty: the share's root.
/// let path = try NTPath(utf16: span)                     // RawSpan of UTF-16LE; also NTPath(utf16Units:), NTPath("a\\b")
///
/// // CREATE. Never destroys: where the action is .overwritten or .superseded the old contents are still there; check the
/// // sharing modes by `file.identity` (and `file.streamName`), then call `overwrite`. To give up, just drop the handle.
/// let result = try volume.open(OpenRequest(path: path, access: granted, disposition: d, options: o, attributes: a))
/// if result.needsOverwrite { try volume.overwrite(result.file, request) }
/// result.file  result.action  result.information
///
/// // Without opening: what is there (share-mode checks before a create; nil where it is absent but its parent exists).
/// let found = try volume.lookup(path)                     // FileInformation? + identity
///
/// // Who may: `request.authority` is asked when the file is found, or before it is made; `result.security` is what decided.
///
/// // After a failover: the same file by its identity, on whichever node has the file system mounted.
/// let file = try volume.reopen(identity, path: whereItWas, access: granted, options: o)   // a stream is the path's
///
/// // Data. The shell may pread `file.descriptor` itself unless `file.isStream`.
/// file.read(into:at:) -> Int      file.write(_:at:throughToDisk:) -> Int     file.readWithoutWaiting(into:at:) -> Int?
/// file.flush()  file.setEndOfFile(_)  file.setAllocation(_)  file.zero(range)  file.allocatedRanges(in:limit:)
/// volume.copyRange(from:at:to:at:count:)  volume.cloneRange(...)
///
/// // Metadata
/// file.information() -> FileInformation    file.set(BasicInformation)   file.securityDescriptor() -> [UInt8] (self-relative)
/// file.setSecurityDescriptor(_:parts:)     file.extendedAttributes()    file.setExtendedAttributes(_)
/// file.streams() -> [StreamInformation]    file.currentPath() -> NTPath    volume.space() -> VolumeSpace
/// file.flushName()   // the name itself on stable storage: after a create, rename or link on a continuously available share
///
/// // Names of open files
/// volume.rename(file, to: NTPath, replaceExisting:)   volume.link(file, to:, replaceExisting:)
/// volume.checkDelete(file) (SET_INFO disposition: read-only, non-empty, root)   volume.delete(file) (on last close)
///
/// // Directories
/// let cursor = try DirectoryCursor(file)
/// cursor.restart(pattern: [UInt16])    cursor.next() -> DirectoryEntry?    cursor.unread(entry)
///
/// // Change notification: one DirectoryWatcher a process; its descriptor goes into epoll.
/// let id = try watcher.watch(file, filter: filter, recursive: true);  watcher.drain() -> [WatchEvent]; watcher.unwatch(id)
/// ```
///
/// A `Volume` holds a descriptor of its root: what is mounted over the path later does not matter, and nothing is ever
/// resolved outside of it (`openat2` with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS). Symbolic links are
/// never followed; they are shown as reparse points that can be opened with FILE_OPEN_REPARSE_POINT, renamed and deleted.
/// The process needs root (handles, `security.*` attributes, other owners' files) and a umask of 0, as smbserverd has it.
package final class Volume: Sendable {
    package struct Options: Sendable {
        package var isReadOnly = false
        /// The root is a snapshot's: files can be opened to write, and every change is refused then. [MS-SMB2] 3.3.5.9.4.
        var isSnapshot = false
        package var isCaseSensitive = false
        package var label: String
        /// What new files and directories get; the server's users are not the host's.
        package var fileMode: UInt32 = 0o664
        package var directoryMode: UInt32 = 0o775
        package var defaultSecurity: DefaultSecurity = .everyone
        /// Names that are shown as hidden files, whatever their attributes.
        package var hiddenFiles: [NamePattern] = []
        /// Names that have not the 8.3 form can be opened by one that has.
        package var givesShortNames = false
        package var refusesStreams = false
        /// What an administrator should know of, and no client waits for.
        package var log: @Sendable (String) -> Void = { _ in }

        package init(label: String) { self.label = label }
    }

    /// What holds where no security descriptor was ever given.
    package enum DefaultSecurity: Sendable {
        /// Everyone has full access to the root, and what is beneath inherits that: who may use the share is decided at the
        /// share.
        case everyone
        /// Of each file the owner's, group's and others' bits of the POSIX mode.
        case posixMode
    }

    package let options: Options
    /// The file system's UUID: the same on every node that mounts it, unlike `st_dev`.
    package let filesystemID: GUID
    package let serialNumber: UInt32
    /// Birth of the root directory: FileFsVolumeInformation's VolumeCreationTime.
    package let creationTime: FileTime

    let root: Descriptor
    /// The path at which the kernel shows the root to this process, without a trailing slash.
    let rootPath: [UInt8]
    let mountID: UInt64
    /// Files can share blocks (XFS with reflink).
    package let canClone: Bool
    /// The root is that of its file system, where the server's own directory lies: it is not shown, and no path leads into it.
    let hidesOwnDirectory: Bool
    /// By the inode of their roots.
    let openSnapshots = Mutex<[UInt64: WeakVolume]>([:])
    let indexes: DirectoryIndexes
    /// Held while a named stream is read, changed and written.
    let streamChanges = Mutex(())
    /// `.holdfast/streams`, once it was opened.
    let largeStreamDirectory = Mutex<Descriptor?>(nil)
    let tunnel = NameTunnel()
    let stickyTimes = StickyTimes()
    let attributeCache = AttributeCache()
    let directorySecurities = DirectorySecurities()

    /// - Parameter isServed: this process serves the share, and what an earlier one left unfinished is undone. Else a
    ///   server may be at it just now.
    package convenience init(root path: String, options: Options, isServed: Bool = true) throws(FileError) {
        try self.init(
            root: try Descriptor(
                result: clinux_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open the share's directory"),
            options: options)
        if isServed, !options.isReadOnly { try self.undoUnfinishedMoves() }
    }

    /// - Parameter canClone: whether the file system shares blocks, where that is known; else it is tried out.
    init(root descriptor: consuming Descriptor, options: Options, canClone: Bool? = nil) throws(FileError) {
        let status = try FileStatus(descriptor)
        self.options = options
        self.filesystemID = try Self.identifyFilesystem(descriptor)
        self.serialNumber = UInt32(truncatingIfNeeded: self.filesystemID.low ^ self.filesystemID.low >> 32)
        self.creationTime = status.birthTime
        self.rootPath = try descriptor.path()
        self.mountID = status.mountID
        self.hidesOwnDirectory = try Self.isMountRoot(descriptor)
        self.canClone = canClone ?? Self.canClone(descriptor)
        self.root = descriptor
        self.indexes = DirectoryIndexes()
    }

    /// FS_IOC_GETFSUUID (Linux 6.9), XFS's own before that, and where a file system has none (or an all-zero one)
    /// what statfs calls its id. The last is derived from the device on some file systems: good for a share of one node
    /// only, which is why a cluster's shares are XFS.
    private static func identifyFilesystem(_ descriptor: borrowing Descriptor) throws(FileError) -> GUID {
        var uuid = InlineArray<16, UInt8>(repeating: 0)
        for read in [clinux_filesystem_uuid, clinux_xfs_uuid] {
            var span = uuid.mutableSpan
            let result = span.withUnsafeMutableBufferPointer { unsafe read(descriptor.number, $0.baseAddress) }
            let id = GUID(loading: uuid.span.bytes, at: 0)
            if result >= 0, id != .zero { return id }
        }
        var filesystem = clinux_filesystem()
        try check(clinux_statfs(descriptor.number, &filesystem), "statfs of the share")
        return GUID(
            low: UInt64(filesystem.fsid.0) | UInt64(filesystem.fsid.1) << 32, high: filesystem.type)
    }
}
