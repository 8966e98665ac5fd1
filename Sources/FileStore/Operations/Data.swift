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
    func requireData(_ operation: StaticString) throws(FileError) {
        if self.isDirectory { throw FileError(.invalidDeviceRequest, operation) }
        guard self.hasData || self.isStream else { throw FileError(.accessDenied, operation) }
    }

    /// How many bytes were read; 0 at or past the end. Short only at the end.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileError) -> Int {
        try self.requireData("read")
        if self.isStream {
            _ = try Volume.offset(offset, UInt64(buffer.count))
            return try self.readStream(into: buffer, at: offset)
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
            try self.writeStream(buffer, at: offset)
            if throughToDisk || self.isWriteThrough { try self.flush() }
            return buffer.count
        }
        try self.willChangeData()
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
        try self.willChangeData()
        let flags = throughToDisk || self.isWriteThrough ? clinux_rwf_dsync : 0
        return try check(
            clinux_pwritev2(
                self.descriptor, buffers.baseAddress, Int32(buffers.count), try Volume.offset(offset), flags),
            "write")
    }

    /// Everything about the file is on stable storage when it returns; `dataOnly` spares the times.
    package func flush(dataOnly: Bool = false) throws(FileError) {
        if self.hasData {
            let result = dataOnly ? clinux_fdatasync(self.descriptor) : clinux_fsync(self.descriptor)
            try check(result, "flush")
            return
        }
        if self.isStream { try self.flushStream() }
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
            return try self.setStreamEnd(UInt64(size))
        }
        try self.willChangeData()
        try check(clinux_ftruncate(self.descriptor, size), "set the end of file")
    }

    /// FileAllocationInformation, [MS-FSCC] 2.4.4: less than the file has cuts it, more reserves space and leaves its
    /// size and, as on Windows Server 2019 and later, the time of its last write (smbtorture's
    /// modern_write_time_update-2).
    package func setAllocation(_ size: UInt64) throws(FileError) {
        try self.requireData("set the allocation")
        try self.volume.requireWritable()
        if self.isStream {
            if size < (try self.streamByteCount()) { try self.setEndOfFile(size) }
            return
        }
        let before = try FileStatus(self.handle)
        if size < before.size { return try self.setEndOfFile(size) }
        if size > 0 { try Volume.preallocate(self.descriptor, size) }
        let omit = clinux_time(seconds: 0, nanoseconds: clinux_utime_omit)
        try check(
            clinux_set_times(self.handle.number, omit, before.writeTime.clinux), "put the time of the last write back")
    }
}
