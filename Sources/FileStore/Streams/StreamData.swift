import CLinux
import Glibc
import SMB2Wire

// The contents of a named stream: in an attribute, read, changed and written as a whole, or in a file of its own.

/// Where a stream's contents are.
enum StreamContents: ~Copyable {
    case small([UInt8])
    case large(Descriptor)

    func byteCount() throws(FileError) -> UInt64 {
        switch self {
        case .small(let bytes): UInt64(bytes.count)
        case .large(let file): try FileStatus(file).size
        }
    }
}

extension Volume {
    /// Nil where there is no stream of that name. The small one counts while there are both.
    func streamContents(
        _ stream: [UInt8], of file: Int32, _ flags: Int32 = O_RDONLY
    ) throws(FileError) -> StreamContents? {
        if let bytes = try NamedStreams.read(file, stream) { return .small(bytes) }
        if let large = try self.openLargeStream(stream, of: file, flags) { return .large(large) }
        // It moved out in between.
        return try NamedStreams.read(file, stream).map { .small($0) }
    }

    /// Into an attribute, or a file of its own where that is too small. What is in the other place goes.
    func writeStream(_ stream: [UInt8], of file: Int32, _ contents: [UInt8]) throws(FileError) {
        do throws(FileError) {
            try NamedStreams.write(file, stream, contents)
            try self.removeLargeStream(stream, of: file)
        } catch {
            guard error.status == .diskFull else { throw error }
            try self.makeLargeStream(stream, of: file) { made throws(FileError) in
                try Self.writeAll(contents, to: made)
            }
            try XAttr.remove(file, try NamedStreams.attribute(stream))
        }
    }

    func removeStream(_ stream: [UInt8], of file: Int32) throws(FileError) {
        // The other way round a crash would leave an older one to be shown.
        try self.removeLargeStream(stream, of: file)
        try XAttr.remove(file, try NamedStreams.attribute(stream))
    }

    func removeStreams(of file: Int32) throws(FileError) {
        for name in try self.streamNames(of: file) { try self.removeStream(name, of: file) }
    }

    /// As they are spelled.
    func streamNames(of file: Int32) throws(FileError) -> [[UInt8]] {
        let attributes = try XAttr.names(file)
        let small = NamedStreams.names(attributes)
        var names = small
        for attribute in attributes {
            guard let name = LargeStreams.name(attribute: attribute), !small.contains(name),
                try self.openLargeStream(name, of: file) != nil
            else { continue }
            names.append(name)
        }
        return names
    }

    /// The spelling on disk, without regard to case.
    func streamSpelling(of stream: [UInt8], on file: Int32) throws(FileError) -> [UInt8]? {
        NamedStreams.spelling(of: stream, among: try self.streamNames(of: file))
    }

    /// The stream, and its contents, for another file.
    func copyStream(_ stream: [UInt8], from file: Int32, to target: Int32) throws(FileError) {
        if let contents = try NamedStreams.read(file, stream) {
            return try self.writeStream(stream, of: target, contents)
        }
        _ = try self.copyLargeStream(stream, from: file, to: target)
    }

    static func writeAll(_ contents: [UInt8], to file: Int32) throws(FileError) {
        let result = contents.withUnsafeBytes { bytes in
            Result { () throws(FileError) in try self.writeAll(bytes, to: file, at: 0) }
        }
        try result.get()
    }

    static func writeAll(_ buffer: UnsafeRawBufferPointer, to file: Int32, at offset: Int64) throws(FileError) {
        var done = 0
        while done < buffer.count {
            let result = clinux_pwrite(
                file, buffer.baseAddress.map { $0 + done }, buffer.count - done, offset + Int64(done))
            if failed(result, EINTR) { continue }
            done += try check(result, "write a large stream")
        }
    }
}

extension OpenFile {
    func streamContents(_ flags: Int32 = O_RDONLY) throws(FileError) -> StreamContents {
        var name = self.streamName
        while let known = name {
            if let contents = try self.volume.streamContents(known, of: self.handle.number, flags) { return contents }
            // Unless it was renamed in between.
            name = self.streamName
            guard name != known else { throw FileError(.fileDeleted, "a stream that was deleted") }
        }
        return .large(try self.handle.reopened(flags, "open what a stream became"))
    }

    func streamByteCount() throws(FileError) -> UInt64 { try self.streamContents().byteCount() }

    func readStream(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileError) -> Int {
        switch try self.streamContents() {
        case .small(let contents):
            guard offset < UInt64(contents.count) else { return 0 }
            let count = min(buffer.count, contents.count - Int(offset))
            buffer.copyBytes(from: contents[Int(offset)..<Int(offset) + count])
            return count
        case .large(let file):
            var done = 0
            while done < buffer.count {
                let result = clinux_pread(
                    file.number, buffer.baseAddress.map { $0 + done }, buffer.count - done,
                    try Volume.offset(offset) + Int64(done))
                if failed(result, EINTR) { continue }
                guard try check(result, "read a large stream") > 0 else { break }
                done += result
            }
            return done
        }
    }

    func writeStream(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(FileError) {
        guard !buffer.isEmpty else { return }
        let end = offset + UInt64(buffer.count)
        try self.changeStream(to: { max($0, end) }) { contents in
            contents.replaceSubrange(Int(offset)..<Int(end), with: buffer)
        } large: { file throws(FileError) in
            try Volume.writeAll(buffer, to: file, at: try Volume.offset(offset))
        }
    }

    func setStreamEnd(_ size: UInt64) throws(FileError) {
        try self.changeStream(to: { _ in size }, small: { _ in }) { file throws(FileError) in
            try check(clinux_ftruncate(file, try Volume.offset(size)), "set the end of a large stream")
        }
    }

    func zeroStream(_ range: Range<UInt64>) throws(FileError) {
        try self.changeStream(to: { $0 }) { contents in
            let part = range.clamped(to: 0..<UInt64(contents.count))
            contents.replaceSubrange(
                Int(part.lowerBound)..<Int(part.upperBound), with: repeatElement(0, count: part.count))
        } large: { file throws(FileError) in
            let part = range.clamped(to: 0..<(try FileStatus(number: file).size))
            guard !part.isEmpty else { return }
            let mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
            try check(
                clinux_fallocate(file, Int32(mode), try Volume.offset(part.lowerBound), Int64(part.count)),
                "zero a range of a large stream")
        }
    }

    /// Empty, wherever it is kept.
    func emptyStream() throws(FileError) { try self.setStreamEnd(0) }

    /// One change of the volume's streams at a time. `small` gets the contents at their new size where an attribute
    /// holds them, `large` the file that does. What does not fit into an attribute any more is in a file afterwards.
    private func changeStream(
        to newSize: (UInt64) -> UInt64, small: (inout [UInt8]) -> Void, large: (Int32) throws(FileError) -> Void
    ) throws(FileError) {
        let number = self.handle.number
        try self.volume.streamChanges.withLock { _ throws(FileError) in
            guard let name = self.streamName else {
                let data = try self.handle.reopened(O_RDWR, "open what a stream became")
                return try large(data.number)
            }
            // The server has such requests wait; here one ends that was on its way before.
            guard !StreamClaims.isMoving(self.identity, name) else {
                throw FileError(.fileLockConflict, "change a stream that becomes its file's data")
            }
            switch try self.streamContents(O_RDWR) {
            case .small(let contents):
                let size = newSize(UInt64(contents.count))
                if size <= UInt64(FileStoreLimits.streamBytes) {
                    var changed = Array(contents.prefix(Int(size)))
                    changed.append(contentsOf: repeatElement(0, count: Int(size) - changed.count))
                    small(&changed)
                    return try self.volume.writeStream(name, of: number, changed)
                }
                try self.volume.makeLargeStream(name, of: number) { made throws(FileError) in
                    try Volume.writeAll(contents, to: made)
                    try large(made)
                }
                try XAttr.remove(number, try NamedStreams.attribute(name))
            case .large(let file):
                try large(file.number)
                // Who watches the file is told, and its time of change moves on.
                let attribute = LargeStreams.attribute(name)
                if let id = try XAttr.get(number, attribute) { try XAttr.set(number, attribute, id) }
            }
        }
    }

    /// A stream's bytes, wherever they are; its name is the file's attribute, which `flush` brings to storage.
    func flushStream() throws(FileError) {
        guard case .large(let file) = try self.streamContents() else { return }
        try check(clinux_fsync(file.number), "flush a large stream")
    }
}
