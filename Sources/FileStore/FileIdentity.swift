import CLinux
import Glibc
import SMB2Wire

/// Which file it is, whatever its name and whichever node asks: the file system's UUID and the kernel's file handle
/// (inode and generation; a file handle of a deleted file stays invalid when the inode's number is used again).
package struct FileIdentity: Hashable, Sendable {
    package var filesystem: GUID
    package var handleType: Int32
    package var handle: [UInt8]

    package init(filesystem: GUID, handleType: Int32, handle: [UInt8]) {
        self.filesystem = filesystem
        self.handleType = handleType
        self.handle = handle
    }

    init(_ descriptor: Int32, filesystem: GUID) throws(FileError) {
        var raw = clinux_handle()
        try check(clinux_name_to_handle(descriptor, &raw), "name_to_handle_at")
        self.filesystem = filesystem
        self.handleType = raw.type
        self.handle = withUnsafeBytes(of: &raw.bytes) { Array($0.prefix(Int(raw.size))) }
    }

    private static let headerBytes = 20
    /// The kernel's MAX_HANDLE_SZ.
    static let maximumHandleBytes = 128

    /// For the replicated open record: UUID (16), type (4, little-endian), handle.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerBytes + self.handle.count)
        withUnsafeBytes(of: self.filesystem.low.littleEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: self.filesystem.high.littleEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: self.handleType.littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: self.handle)
        return bytes
    }

    /// Nil where the bytes are no identity.
    package init?(encoded bytes: [UInt8]) {
        guard bytes.count > Self.headerBytes, bytes.count - Self.headerBytes <= Self.maximumHandleBytes else {
            return nil
        }
        let span = bytes.span.bytes
        self.filesystem = GUID(loading: span, at: 0)
        self.handleType = span.load(Int32.self, at: 16)
        self.handle = Array(bytes[Self.headerBytes...])
    }
}

extension Volume {
    /// The inode behind an identity, O_PATH. STATUS_OBJECT_NAME_NOT_FOUND where it was deleted.
    func openByHandle(_ identity: FileIdentity) throws(FileError) -> Descriptor {
        guard identity.filesystem == self.filesystemID else {
            throw FileError(.objectNameNotFound, "a file of another file system")
        }
        var raw = clinux_handle()
        guard identity.handle.count <= FileIdentity.maximumHandleBytes else {
            throw FileError(.invalidParameter, "a file handle")
        }
        raw.size = UInt32(identity.handle.count)
        raw.type = identity.handleType
        withUnsafeMutableBytes(of: &raw.bytes) { $0.copyBytes(from: identity.handle) }
        let result = clinux_open_by_handle(self.root.number, &raw, clinux_o_path | O_CLOEXEC | O_NOFOLLOW)
        if failed(result, ESTALE) || failed(result, ENOENT) {
            throw FileError(.objectNameNotFound, "open a file by its handle")
        }
        return try Descriptor(result: result, "open a file by its handle")
    }
}
