import CLinux
import Glibc
import SMB2Wire

// Holes. A file that is not marked sparse has none for its clients: what Linux keeps as a hole in it, or as blocks that were
// never written, is shown as allocated, as NTFS would have it.

extension OpenFile {
    /// FSCTL_SET_ZERO_DATA, [MS-FSCC] 2.3.71: from `start` to before `end`; the file's size stays. A sparse file gives the
    /// space back, another keeps it.
    package func zero(_ range: Range<UInt64>) throws(FileError) {
        try self.requireData("zero a range")
        try self.volume.requireWritable()
        if self.isStream { return try self.zeroStream(range) }
        let size = (try FileStatus(self.handle)).size
        let end = min(range.upperBound, size)
        guard range.lowerBound < end else { return }
        let start = try Volume.offset(range.lowerBound, end - range.lowerBound)
        let length = Int64(end - range.lowerBound)
        let isSparse = try self.information().attributes.contains(.sparseFile)
        try self.willChangeData()
        let mode = FALLOC_FL_KEEP_SIZE | (isSparse ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE)
        let result = clinux_fallocate(self.descriptor, Int32(mode), start, length)
        guard failed(result, EOPNOTSUPP) else {
            try check(result, "zero a range")
            return
        }
        try self.writeZeros(start, length)
    }

    /// The range reads as zeros and is part of the file afterwards: FSCTL_OFFLOAD_WRITE with the token of zeros.
    package func fillWithZeros(_ range: Range<UInt64>) throws(FileError) {
        let size = try self.information().endOfFile
        if range.upperBound > size { try self.setEndOfFile(range.upperBound) }
        try self.zero(range)
    }

    private func writeZeros(_ start: Int64, _ length: Int64) throws(FileError) {
        let zeros = [UInt8](repeating: 0, count: 64 * 1024)
        var done: Int64 = 0
        while done < length {
            let count = min(Int(length - done), zeros.count)
            done += Int64(try check(clinux_pwrite(self.descriptor, zeros, count, start + done), "zero a range"))
        }
    }

    /// FSCTL_FILE_LEVEL_TRIM, [MS-FSCC] 2.3.85: the whole blocks of the range go back to the file system; they read as zeros.
    package func trim(_ range: Range<UInt64>) throws(FileError) {
        try self.requireData("trim a range")
        try self.volume.requireWritable()
        guard !self.isStream else { return }
        let block = UInt64(try self.volume.blockSize())
        let size = (try FileStatus(self.handle)).size
        let end = min(range.upperBound, size)
        let last = end == size ? end : end / block * block
        let (first, overflow) = range.lowerBound.addingReportingOverflow(block - 1)
        let start = first / block * block
        guard !overflow, start < last else { return }
        let result = clinux_fallocate(
            self.descriptor, Int32(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), try Volume.offset(start, last - start),
            Int64(last - start))
        // A hint: a file system that cannot loses nothing.
        if failed(result, EOPNOTSUPP) { return }
        try check(result, "trim a range")
    }

    /// FSCTL_QUERY_ALLOCATED_RANGES, [MS-FSCC] 2.3.49: at most `limit` of them, in order; `isComplete` false where more follow.
    package func allocatedRanges(
        in range: Range<UInt64>, limit: Int
    ) throws(FileError) -> (ranges: [Range<UInt64>], isComplete: Bool) {
        try self.requireData("query the allocated ranges")
        let limit = min(limit, FileStoreLimits.allocatedRanges)
        let size = self.isStream ? try self.streamByteCount() : (try FileStatus(self.handle)).size
        guard !self.isStream, try self.information().attributes.contains(.sparseFile) else {
            let whole = range.clamped(to: 0..<size)
            guard !whole.isEmpty else { return ([], true) }
            return limit > 0 ? ([whole], true) : ([], false)
        }
        var ranges: [Range<UInt64>] = []
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
    /// The file system's block, in bytes: what sharing and holes are aligned to.
    package func blockSize() throws(FileError) -> Int {
        var filesystem = clinux_filesystem()
        try check(clinux_statfs(self.root.number, &filesystem), "statfs of the share")
        return max(512, Int(clamping: filesystem.block_size))
    }
}
