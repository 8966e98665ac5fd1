import CLinux
import Glibc
import SMB2Wire

/// Owns one file descriptor.
struct Descriptor: ~Copyable, Sendable {
    let number: Int32

    init(number: Int32) { self.number = number }

    /// From a CLinux call's result.
    init(result: Int, _ operation: StaticString) throws(FileError) {
        self.number = Int32(truncatingIfNeeded: try check(result, operation))
    }

    deinit { _ = clinux_close(self.number) }

    /// The same inode, opened anew with these flags; works on O_PATH descriptors.
    func reopened(_ flags: Int32, _ operation: StaticString) throws(FileError) -> Descriptor {
        try Descriptor(result: clinux_reopen(self.number, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), operation)
    }

    func duplicate() throws(FileError) -> Descriptor {
        try Descriptor(result: clinux_dup(self.number), "duplicate a descriptor")
    }

    /// Where the kernel shows it now, without a trailing slash; " (deleted)" follows an unlinked one.
    func path() throws(FileError) -> [UInt8] { try descriptorPath(self.number) }
}

func descriptorPath(_ number: Int32) throws(FileError) -> [UInt8] {
    var length = 0
    var path = [UInt8](unsafeUninitializedCapacity: FileStoreLimits.pathBytes + 64) { buffer, count in
        length = clinux_descriptor_path(number, buffer.baseAddress, buffer.count)
        count = max(0, length)
    }
    try check(length, "read a descriptor's path")
    if path.last == UInt8(ascii: "/") { path.removeLast() }
    return path
}

/// What a symbolic link leads to; the descriptor is the link's own.
func linkTarget(_ link: Int32) throws(FileError) -> [UInt8] {
    var length = 0
    let target = [UInt8](unsafeUninitializedCapacity: FileStoreLimits.pathBytes) { buffer, count in
        length = buffer.withMemoryRebound(to: CChar.self) { clinux_readlinkat(link, "", $0.baseAddress, $0.count) }
        count = max(0, length)
    }
    try check(length, "read a symbolic link")
    return target
}

/// statx, as far as anything here wants it.
struct FileStatus: Sendable {
    var raw = clinux_stat()

    init() {}

    init(_ descriptor: borrowing Descriptor) throws(FileError) { try self.init(number: descriptor.number) }

    init(number: Int32) throws(FileError) {
        try check(clinux_stat_descriptor(number, &self.raw), "statx")
    }

    /// An entry of a directory, not followed; nil where there is none.
    init?(directory: Int32, entry: borrowing [UInt8]) throws(FileError) {
        let result = withTerminated(entry) { clinux_statx(directory, $0, AT_SYMLINK_NOFOLLOW, &self.raw) }
        if failed(result, ENOENT) { return nil }
        try check(result, "statx of an entry")
    }

    var inode: UInt64 { self.raw.inode }
    var mountID: UInt64 { self.raw.mount }
    var size: UInt64 { self.raw.size }
    var type: UInt32 { self.raw.mode & S_IFMT }
    var isDirectory: Bool { self.type == S_IFDIR }
    var isRegular: Bool { self.type == S_IFREG }
    var accessTime: FileTime { FileTime(self.raw.atime) }
    var writeTime: FileTime { FileTime(self.raw.mtime) }
    var changeTime: FileTime { FileTime(self.raw.ctime) }
    /// Where the file system keeps none: the older of the two times that it does keep.
    var birthTime: FileTime {
        self.raw.has_birth_time != 0 ? FileTime(self.raw.btime) : min(self.writeTime, self.changeTime)
    }

    /// [MS-FSCC] 2.1.2.1: IO_REPARSE_TAG_SYMLINK, and IO_REPARSE_TAG_LX_FIFO and its kin for what Windows has no file type for.
    var reparseTag: UInt32 {
        switch self.type {
        case S_IFLNK: ReparseData.symlinkTag
        case S_IFSOCK: 0x8000_0023
        case S_IFIFO: 0x8000_0024
        case S_IFCHR: 0x8000_0025
        case S_IFBLK: 0x8000_0026
        default: 0
        }
    }
}

extension FileTime {
    init(_ time: clinux_time) { self.init(unixSeconds: time.seconds, nanoseconds: Int64(time.nanoseconds)) }

    var clinux: clinux_time {
        let unix = self.unix
        return clinux_time(seconds: unix.seconds, nanoseconds: UInt32(truncatingIfNeeded: unix.nanoseconds))
    }
}

/// Calls `body` with `bytes` as a C string. The bytes have no NUL in them: names are validated where they come in, and the
/// kernel's have none.
@inline(__always)
func withTerminated<Result: ~Copyable>(
    _ bytes: borrowing [UInt8], _ body: (UnsafePointer<CChar>) -> Result
) -> Result {
    withUnsafeTemporaryAllocation(byteCount: bytes.count + 1, alignment: 1) { buffer in
        bytes.withUnsafeBytes { buffer.copyMemory(from: $0) }
        buffer.storeBytes(of: 0, toByteOffset: bytes.count, as: UInt8.self)
        return buffer.withMemoryRebound(to: CChar.self) { body(UnsafePointer($0.baseAddress.unsafelyUnwrapped)) }
    }
}
