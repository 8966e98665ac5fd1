import CLinux
import Glibc
import SMB2Wire

// Bytes that move from file to file without passing through a client.

extension Volume {
    /// Bytes that one copy moves at most before it looks whether the file still has them.
    private static let copyBytes = 64 << 20

    /// A file in the share's file system that has no name and goes with its last reference.
    package func makeUnnamed() throws(FileError) -> OpenFile {
        try self.requireWritable()
        let number = self.root.number
        let flags = clinux_o_tmpfile | O_RDWR | O_CLOEXEC
        let made = try Descriptor(
            result: withTerminated([UInt8(ascii: ".")]) { clinux_openat(number, $0, flags, 0o600) },
            "make a file without a name")
        let status = try FileStatus(made)
        let identity = try FileIdentity(made.number, filesystem: self.filesystemID)
        let request = OpenRequest(path: .root, access: [.readData, .writeData], disposition: .create)
        return OpenFile(volume: self, created: made, identity: identity, status: status, request: request)
    }

    /// Tried out on a file without a name: the file system does not say.
    static func canClone(_ root: borrowing Descriptor) -> Bool {
        let flags = clinux_o_tmpfile | O_RDWR | O_CLOEXEC
        let number = root.number
        let result = withTerminated([UInt8(ascii: ".")]) { clinux_openat(number, $0, flags, 0o600) }
        guard result >= 0 else { return false }
        let file = Descriptor(number: Int32(truncatingIfNeeded: result))
        let block = [UInt8](repeating: 1, count: 64 << 10)
        guard clinux_pwrite(file.number, block, block.count, 0) == block.count else { return false }
        return clinux_clone_range(file.number, 0, file.number, UInt64(block.count), UInt64(block.count)) >= 0
    }

    /// One chunk of FSCTL_SRV_COPYCHUNK, [MS-SMB2] 3.3.5.15.6. The kernel shares or copies the bytes. STATUS_INVALID_VIEW_SIZE,
    /// and nothing copied, where the source ends before the chunk does.
    package func copyRange(
        from source: OpenFile, at sourceOffset: UInt64, to target: OpenFile, at targetOffset: UInt64, count: Int
    ) throws(FileError) {
        try self.requireWritable()
        try source.requireData("copy from")
        try target.requireData("copy to")
        let from = try Self.offset(sourceOffset, UInt64(count))
        let to = try Self.offset(targetOffset, UInt64(count))
        let size = source.isStream ? try source.streamByteCount() : (try FileStatus(source.handle)).size
        guard UInt64(from) + UInt64(count) <= size else { throw FileError(.invalidViewSize, "copy past the end") }
        let isOneStream = source.identity == target.identity && source.streamName == target.streamName
        // The kernel refuses overlapping ranges of one file; streams are no files of their own.
        let isByHand = source.isStream || target.isStream || isOneStream && abs(from - to) < Int64(count)
        if !target.isStream { try target.willChangeData() }
        var done = 0
        while done < count, !isByHand {
            let result = clinux_copy_range(
                source.descriptor, from + Int64(done), target.descriptor, to + Int64(done),
                min(count - done, Self.copyBytes))
            if failed(result, EINTR) { continue }
            if failed(result, EXDEV) || failed(result, EOPNOTSUPP) || failed(result, EINVAL) { break }
            try check(result, "copy a range")
            if result == 0 { throw FileError(.invalidViewSize, "a source that became shorter") }
            done += result
        }
        guard done < count else { return }
        try self.copyByHand(
            source, from + Int64(done), target, to + Int64(done), count - done, backwards: isOneStream && to > from)
    }

    /// Through memory, as a client would. Backwards where the target lies behind the source in the same file.
    private func copyByHand(
        _ source: OpenFile, _ from: Int64, _ target: OpenFile, _ to: Int64, _ count: Int, backwards: Bool
    ) throws(FileError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(count, 1 << 20), alignment: 16)
        defer { buffer.deallocate() }
        var done = 0
        while done < count {
            let length = min(buffer.count, count - done)
            let at = backwards ? count - done - length : done
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
            let got = try source.read(into: part, at: UInt64(from) + UInt64(at))
            guard got == length else { throw FileError(.invalidViewSize, "a source that became shorter") }
            try target.write(UnsafeRawBufferPointer(part), at: UInt64(to) + UInt64(at))
            done += length
        }
    }

    /// FSCTL_DUPLICATE_EXTENTS_TO_FILE, [MS-FSCC] 2.3.8: the blocks become shared. STATUS_NOT_SUPPORTED where the file system
    /// cannot, STATUS_INVALID_PARAMETER where the range is not made of whole blocks (but for the source's last one).
    package func cloneRange(
        from source: OpenFile, at sourceOffset: UInt64, to target: OpenFile, at targetOffset: UInt64, count: UInt64
    ) throws(FileError) {
        try self.requireWritable()
        guard source.hasData, target.hasData else { throw FileError(.invalidDeviceRequest, "clone what has no data") }
        _ = try Self.offset(sourceOffset, count)
        _ = try Self.offset(targetOffset, count)
        let block = UInt64(try self.blockSize())
        guard sourceOffset % block == 0, targetOffset % block == 0 else {
            throw FileError(.invalidParameter, "a range that does not begin with a block")
        }
        // Only the last block of a file may be shared in part; where it is not the source's last its part is copied.
        let isToEnd = sourceOffset + count == (try FileStatus(source.handle)).size
        let shared = isToEnd ? count : count / block * block
        // To FICLONERANGE a count of 0 is the rest of the file.
        try target.willChangeData()
        if shared > 0 {
            let result = clinux_clone_range(
                source.descriptor, sourceOffset, target.descriptor, targetOffset, shared)
            if failed(result, EXDEV) { throw FileError(.invalidParameter, "clone from another file system") }
            try check(result, "clone a range")
        }
        if shared < count {
            try self.copyRange(
                from: source, at: sourceOffset + shared, to: target, at: targetOffset + shared,
                count: Int(count - shared))
        }
    }
}
