import CLinux
import Glibc
import SMB2Wire

/// getdents64 into one buffer; an entry at a time.
struct DirectoryReader: ~Copyable, Sendable {
    /// Bytes of one getdents64: about a thousand entries.
    static let bufferBytes = 32 * 1024
    /// Where linux_dirent64 keeps d_reclen, d_type and d_name.
    private static let lengthOffset = 16
    private static let typeOffset = 18
    private static let nameOffset = 19

    let descriptor: Descriptor
    nonisolated(unsafe) private let buffer: UnsafeMutableRawBufferPointer
    private var filled = 0
    private var at = 0

    /// `directory` may be an O_PATH descriptor.
    init(_ directory: Int32) throws(FileError) {
        self.descriptor = try Descriptor(
            result: clinux_reopen(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open a directory to list it")
        self.buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.bufferBytes, alignment: 8)
    }

    deinit { self.buffer.deallocate() }

    mutating func restart() throws(FileError) {
        try check(clinux_seek(self.descriptor.number, 0, SEEK_SET), "rewind a directory")
        self.filled = 0
        self.at = 0
    }

    /// Calls `body` with the next entry's name; `.` and `..` included. False at the end. The name is good only within.
    mutating func next(
        _ body: (UnsafeBufferPointer<UInt8>, _ type: UInt8) -> Void
    ) throws(FileError) -> Bool {
        if self.at >= self.filled {
            let result = clinux_getdents(self.descriptor.number, self.buffer.baseAddress, self.buffer.count)
            // A directory that was removed while open has no entries any more.
            self.filled = failed(result, ENOENT) ? 0 : try check(result, "list a directory")
            self.at = 0
            if self.filled == 0 { return false }
        }
        let length = Int(self.buffer.loadUnaligned(fromByteOffset: self.at + Self.lengthOffset, as: UInt16.self))
        precondition(length > Self.nameOffset && length <= self.filled - self.at, "the kernel's own record")
        let type = self.buffer[self.at + Self.typeOffset]
        let name = UnsafeRawBufferPointer(rebasing: self.buffer[(self.at + Self.nameOffset)..<(self.at + length)])
        let end = name.firstIndex(of: 0) ?? name.count
        name.prefix(end).withMemoryRebound(to: UInt8.self) { body(UnsafeBufferPointer(rebasing: $0[...]), type) }
        self.at += length
        return true
    }
}

@inline(__always)
func isDotEntry(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
    let dot = UInt8(ascii: ".")
    return (name.count == 1 && name[0] == dot) || (name.count == 2 && name[0] == dot && name[1] == dot)
}
