import CLinux
import Glibc
import SMB2Wire
import Synchronization

/// One open of a file, directory or named stream. Closed when the last reference goes.
package final class OpenFile: Sendable {
    package let volume: Volume
    package let identity: FileIdentity
    /// The inode's number.
    package let fileID: UInt64
    package let isDirectory: Bool
    package let access: AccessMask
    /// Each write reaches the disk before it returns: FILE_WRITE_THROUGH.
    package let isWriteThrough: Bool
    /// A named stream, and not the file itself.
    package let isStream: Bool
    /// Neither a regular file nor a directory: only names and attributes can be touched.
    package let isReparsePoint: Bool

    let handle: Descriptor
    /// Whether `handle` can read and write, or is O_PATH.
    let hasData: Bool
    let heldTimes = Mutex<HeldTimes>([])
    /// Directories from which this open took a name away since `flushName` last ran.
    let changedDirectories = Mutex<[NTPath]>([])
    private let deleted = Atomic(false)
    private let elsewhere = Atomic(false)
    private let nameless = Atomic(false)
    private let posix: Atomic<Bool>
    private let stream: Mutex<[UInt8]?>

    /// The named stream, as spelled on disk; nil for the file itself, also where that became of a stream.
    package var streamName: [UInt8]? { self.stream.withLock { $0 } }
    /// The stream was renamed.
    func adopt(streamName: [UInt8]) { self.stream.withLock { $0 = streamName } }
    /// The stream became the file's own data: what goes on through this open works on that.
    func adoptData() { self.stream.withLock { $0 = nil } }

    /// Its name was taken away through this open.
    package var isDeleted: Bool { self.deleted.load(ordering: .acquiring) }
    /// A POSIX open, or one that is taken back as such after a failover.
    package var isPOSIX: Bool { self.posix.load(ordering: .relaxed) }
    package func actAsPOSIX() { self.posix.store(true, ordering: .relaxed) }
    /// It was taken back after a failover, and not found at the path where it was said to be.
    package var isElsewhere: Bool { self.elsewhere.load(ordering: .relaxed) }
    func markElsewhere() { self.elsewhere.store(true, ordering: .relaxed) }
    /// It was found at none of the paths that led to it.
    package var isNameless: Bool { self.nameless.load(ordering: .relaxed) }
    func markNameless() { self.nameless.store(true, ordering: .relaxed) }
    func markDeleted() { self.deleted.store(true, ordering: .releasing) }

    init(
        volume: Volume, handle: consuming Descriptor, identity: FileIdentity, status: FileStatus, request: OpenRequest,
        streamName: [UInt8]?
    ) throws(FileError) {
        self.volume = volume
        self.identity = identity
        self.fileID = status.inode
        self.isDirectory = status.isDirectory && streamName == nil
        self.isReparsePoint = status.reparseTag != 0
        self.access = request.access
        self.posix = Atomic(request.posix != nil)
        self.isWriteThrough = request.options.contains(.writeThrough)
        self.isStream = streamName != nil
        self.stream = Mutex(streamName)
        let writes = !request.access.isDisjoint(with: [.writeData, .appendData])
        let reads = !request.access.isDisjoint(with: [.readData, .execute])
        if status.isRegular, streamName == nil, writes || reads {
            let mayWrite = writes && !volume.options.isSnapshot
            self.handle = try handle.reopened(mayWrite ? O_RDWR : O_RDONLY, "open a file's data")
            self.hasData = true
        } else {
            self.handle = handle
            self.hasData = false
        }
    }

    /// A created file comes with a descriptor that can do everything.
    init(
        volume: Volume, created handle: consuming Descriptor, identity: FileIdentity, status: FileStatus,
        request: OpenRequest
    ) {
        self.volume = volume
        self.identity = identity
        self.fileID = status.inode
        self.isDirectory = status.isDirectory
        self.isReparsePoint = false
        self.access = request.access
        self.posix = Atomic(request.posix != nil)
        self.isWriteThrough = request.options.contains(.writeThrough)
        self.isStream = false
        self.stream = Mutex(nil)
        self.hasData = !status.isDirectory
        self.handle = handle
    }

    deinit { self.letGoOfTimes() }

    /// For pread by the shell, unless `isStream`. O_PATH where neither reading nor writing was asked for.
    package var descriptor: Int32 { self.handle.number }

    /// Where the file is now: the kernel follows renames, also of its parents. STATUS_FILE_DELETED where it has no name.
    package func currentPath() throws(FileError) -> NTPath {
        let bytes = try self.handle.path()
        let root = self.volume.rootPath
        if bytes == root { return NTPath.root.withStream(self.streamName) }
        guard bytes.count > root.count + 1, bytes.starts(with: root), bytes[root.count] == UInt8(ascii: "/") else {
            throw FileError(.fileDeleted, "a file whose name is not known")
        }
        let path = NTPath(onDisk: Array(bytes[(root.count + 1)...]))
        return path.withStream(self.streamName)
    }
}
