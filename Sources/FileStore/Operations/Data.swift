import CLinux
import Glibc
import SMB2Wire

extension Volume {
    func requireWritable() throws(FileError) {
        guard !self.options.isReadOnly else { throw FileError(.mediaWriteProtected, "a change on a read-only share") }
    }

    /// A file range as Linux takes it.
    static func offset(_ offset: UInt64, _ count: UInt64 = 0) throws(FileError) -> Int64 {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= UInt64(Int64.max) else {
            throw FileError(.invalidParameter, "a range past the largest file")
        }
        return Int64(offset)
    }
}

extension OpenFile {
    private func requireData(_ operation: StaticString) throws(FileError) {
        if self.isDirectory { throw FileError(.invalidDeviceRequest, operation) }
        guard self.hasData || self.isStream else { throw FileError(.accessDenied, operation) }
    }

    /// How many bytes were read; 0 at or past the end. Short only at the end.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileError) -> Int {
        try self.requireData("read")
        if self.isStream {
            let contents = try self.streamContents()
            guard offset < UInt64(contents.count) else { return 0 }
            let count = min(buffer.count, contents.count - Int(offset))
            buffer.copyBytes(from: contents[Int(offset)..<Int(offset) + count])
            return count
        }
        var at = try Volume.offset(offset)
        var done = 0
        while done < buffer.count {
            let result = clinux_pread(
                self.descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, at)
            if failed(result, EINTR) { continue }
            try check(result, "read")
            if result == 0 { break }
            done += result
            at += Int64(result)
        }
        return done
    }

    /// What the page cache has; nil where the disk would have to be waited for. May be short.
    package func readWithoutWaiting(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileError)
        -> Int?
    {
        if self.isStream { return try self.read(into: buffer, at: offset) }
        try self.requireData("read")
        var vector = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
        let result = clinux_preadv2(self.descriptor, &vector, 1, try Volume.offset(offset), clinux_rwf_nowait)
        if failed(result, EAGAIN) || failed(result, EINTR) { return nil }
        // A file system that cannot tell: most that cannot have no disk to wait for.
        if failed(result, EOPNOTSUPP) { return try self.read(into: buffer, at: offset) }
        return try check(result, "read from the page cache")
    }

    /// Writes all of it. `throughToDisk`: the bytes are on stable storage when it returns (RWF_DSYNC); so on a handle that
    /// was opened with write-through.
    @discardableResult
    package func write(
        _ buffer: UnsafeRawBufferPointer, at offset: UInt64, throughToDisk: Bool = false
    ) throws(FileError) -> Int {
        try self.requireData("write")
        try self.volume.requireWritable()
        var at = try Volume.offset(offset, UInt64(buffer.count))
        if self.isStream {
            try self.changeStream { contents throws(FileError) in
                guard buffer.count <= FileStoreLimits.streamBytes, Int(at) <= FileStoreLimits.streamBytes - buffer.count
                else { throw FileError(.diskFull, "a named stream past its limit") }
                let end = Int(at) + buffer.count
                if contents.count < end {
                    contents.append(contentsOf: repeatElement(0, count: end - contents.count))
                }
                contents.replaceSubrange(Int(at)..<end, with: buffer)
            }
            if throughToDisk || self.isWriteThrough { try self.flush() }
            return buffer.count
        }
        let flags = throughToDisk || self.isWriteThrough ? clinux_rwf_dsync : 0
        var done = 0
        while done < buffer.count {
            var vector = iovec(
                iov_base: UnsafeMutableRawPointer(mutating: buffer.baseAddress.map { $0 + done }),
                iov_len: buffer.count - done)
            let result = clinux_pwritev2(self.descriptor, &vector, 1, at, flags)
            if failed(result, EINTR) { continue }
            try check(result, "write")
            done += result
            at += Int64(result)
        }
        return done
    }

    /// Reads into several buffers in one call; may be short.
    package func read(into buffers: UnsafeBufferPointer<iovec>, at offset: UInt64) throws(FileError) -> Int {
        try self.requireData("read")
        guard !self.isStream else { throw FileError(.invalidDeviceRequest, "a gathered read of a stream") }
        return try check(
            clinux_preadv2(
                self.descriptor, buffers.baseAddress, Int32(buffers.count), try Volume.offset(offset), 0),
            "read")
    }

    /// Writes several buffers in one call; may be short.
    package func write(
        _ buffers: UnsafeBufferPointer<iovec>, at offset: UInt64, throughToDisk: Bool = false
    ) throws(FileError) -> Int {
        try self.requireData("write")
        try self.volume.requireWritable()
        guard !self.isStream else { throw FileError(.invalidDeviceRequest, "a gathered write of a stream") }
        let flags = throughToDisk || self.isWriteThrough ? clinux_rwf_dsync : 0
        return try check(
            clinux_pwritev2(
                self.descriptor, buffers.baseAddress, Int32(buffers.count), try Volume.offset(offset), flags),
            "write")
    }

    /// A stream is one attribute: read, changed and written as a whole, one change of the volume's streams at a time.
    private func changeStream(
        _ body: (inout [UInt8]) throws(FileError) -> Void
    ) throws(FileError) {
        try self.volume.streamChanges.withLock { _ throws(FileError) in
            var contents = try self.streamContents()
            try body(&contents)
            try self.replaceStream(contents)
        }
    }

    /// Everything about the file is on stable storage when it returns; `dataOnly` spares the times.
    package func flush(dataOnly: Bool = false) throws(FileError) {
        if self.hasData {
            let result = dataOnly ? clinux_fdatasync(self.descriptor) : clinux_fsync(self.descriptor)
            try check(result, "flush")
            return
        }
        guard !self.isReparsePoint else { return }
        let opened = try self.handle.reopened(O_RDONLY, "open to flush")
        try check(clinux_fsync(opened.number), "flush")
    }

    /// FileEndOfFileInformation, [MS-FSCC] 2.4.14.
    package func setEndOfFile(_ size: UInt64) throws(FileError) {
        try self.requireData("set the end of file")
        try self.volume.requireWritable()
        let size = try Volume.offset(size)
        if self.isStream {
            try self.changeStream { contents throws(FileError) in
                guard size <= FileStoreLimits.streamBytes else {
                    throw FileError(.diskFull, "a named stream past its limit")
                }
                if size < contents.count {
                    contents.removeSubrange(Int(size)...)
                } else {
                    contents.append(contentsOf: repeatElement(0, count: Int(size) - contents.count))
                }
            }
            return
        }
        try check(clinux_ftruncate(self.descriptor, size), "set the end of file")
    }

    /// FileAllocationInformation, [MS-FSCC] 2.4.4: less than the file has cuts it, more reserves space and leaves its size.
    package func setAllocation(_ size: UInt64) throws(FileError) {
        try self.requireData("set the allocation")
        try self.volume.requireWritable()
        if self.isStream {
            if size < UInt64(try self.streamContents().count) { try self.setEndOfFile(size) }
            return
        }
        if size < (try FileStatus(self.handle)).size { return try self.setEndOfFile(size) }
        try Volume.preallocate(self.descriptor, size)
    }

    /// FSCTL_SET_ZERO_DATA, [MS-FSCC] 2.3.71: from `start` to before `end`; the file's size stays. A sparse file gives the
    /// space back.
    package func zero(_ range: Range<UInt64>) throws(FileError) {
        try self.requireData("zero a range")
        try self.volume.requireWritable()
        guard !self.isStream else { throw FileError(.notSupported, "zero a range of a stream") }
        let size = (try FileStatus(self.handle)).size
        let end = min(range.upperBound, size)
        guard range.lowerBound < end else { return }
        let start = try Volume.offset(range.lowerBound, end - range.lowerBound)
        let length = Int64(end - range.lowerBound)
        let result = clinux_fallocate(
            self.descriptor, Int32(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), start, length)
        guard failed(result, EOPNOTSUPP) else {
            try check(result, "zero a range")
            return
        }
        try self.writeZeros(start, length)
    }

    private func writeZeros(_ start: Int64, _ length: Int64) throws(FileError) {
        let zeros = [UInt8](repeating: 0, count: 64 * 1024)
        var done: Int64 = 0
        while done < length {
            let count = min(Int(length - done), zeros.count)
            done += Int64(try check(clinux_pwrite(self.descriptor, zeros, count, start + done), "zero a range"))
        }
    }

    /// FSCTL_QUERY_ALLOCATED_RANGES, [MS-FSCC] 2.3.49: at most `limit` of them, in order; `isComplete` false where more follow.
    package func allocatedRanges(
        in range: Range<UInt64>, limit: Int
    ) throws(FileError) -> (ranges: [Range<UInt64>], isComplete: Bool) {
        try self.requireData("query the allocated ranges")
        if self.isStream {
            let count = UInt64(try self.streamContents().count)
            let clamped = range.clamped(to: 0..<count)
            return (clamped.isEmpty ? [] : [clamped], true)
        }
        var ranges: [Range<UInt64>] = []
        let size = (try FileStatus(self.handle)).size
        let end = min(range.upperBound, size)
        var at = range.lowerBound
        while at < end {
            let data = clinux_seek(self.descriptor, try Volume.offset(at), clinux_seek_data)
            if failed(data, ENXIO) { break }
            let start = UInt64(try check(data, "seek data"))
            guard start < end else { break }
            let hole = UInt64(try check(clinux_seek(self.descriptor, Int64(start), clinux_seek_hole), "seek a hole"))
            guard ranges.count < limit else { return (ranges, false) }
            ranges.append(max(start, at)..<min(hole, end))
            at = max(hole, start + 1)
        }
        return (ranges, true)
    }
}

extension Volume {
    /// Bytes that one copy moves at most before it looks whether the file still has them.
    private static let copyBytes = 64 << 20

    /// One chunk of FSCTL_SRV_COPYCHUNK, [MS-SMB2] 3.3.5.15.6. The kernel shares or copies the bytes. Returns how many were
    /// copied: fewer than asked only where the source ends.
    package func copyRange(
        from source: OpenFile, at sourceOffset: UInt64, to target: OpenFile, at targetOffset: UInt64, count: Int
    ) throws(FileError) -> Int {
        try self.requireWritable()
        guard source.hasData, target.hasData else { throw FileError(.invalidDeviceRequest, "copy what has no data") }
        let from = try Self.offset(sourceOffset, UInt64(count))
        let to = try Self.offset(targetOffset, UInt64(count))
        // The kernel refuses overlapping ranges of one file.
        let overlaps = source.identity == target.identity && abs(from - to) < Int64(count)
        var done = 0
        while done < count, !overlaps {
            let result = clinux_copy_range(
                source.descriptor, from + Int64(done), target.descriptor, to + Int64(done),
                min(count - done, Self.copyBytes))
            if failed(result, EINTR) { continue }
            if failed(result, EXDEV) || failed(result, EOPNOTSUPP) || failed(result, EINVAL) { break }
            try check(result, "copy a range")
            if result == 0 { return done }
            done += result
        }
        guard done < count else { return done }
        return done + (try self.copyByHand(source, from + Int64(done), target, to + Int64(done), count - done))
    }

    /// Through memory, as a client would. Backwards where the target lies behind the source in the same file.
    private func copyByHand(
        _ source: OpenFile, _ from: Int64, _ target: OpenFile, _ to: Int64, _ count: Int
    ) throws(FileError) -> Int {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(count, 1 << 20), alignment: 16)
        defer { buffer.deallocate() }
        let available = (try FileStatus(source.handle)).size
        guard UInt64(from) < available else { return 0 }
        let total = min(count, Int(clamping: available - UInt64(from)))
        let backwards = source.identity == target.identity && to > from
        var done = 0
        while done < total {
            let length = min(buffer.count, total - done)
            let at = backwards ? total - done - length : done
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
            let got = try source.read(into: part, at: UInt64(from) + UInt64(at))
            try target.write(UnsafeRawBufferPointer(rebasing: part[..<got]), at: UInt64(to) + UInt64(at))
            done += length
        }
        return total
    }

    /// FSCTL_DUPLICATE_EXTENTS_TO_FILE, [MS-FSCC] 2.3.8: the blocks become shared. STATUS_NOT_SUPPORTED where the file system
    /// cannot.
    package func cloneRange(
        from source: OpenFile, at sourceOffset: UInt64, to target: OpenFile, at targetOffset: UInt64, count: UInt64
    ) throws(FileError) {
        try self.requireWritable()
        guard source.hasData, target.hasData else { throw FileError(.invalidDeviceRequest, "clone what has no data") }
        _ = try Self.offset(sourceOffset, count)
        _ = try Self.offset(targetOffset, count)
        try check(
            clinux_clone_range(source.descriptor, sourceOffset, target.descriptor, targetOffset, count), "clone a range"
        )
    }
}
