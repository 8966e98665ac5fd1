import CLinux
import Glibc
import SMB2Wire

extension Volume {
    /// FileRenameInformation of a stream, [MS-FSA] 2.1.5.15.11.1. `files` are all opens of it; they have the new name
    /// afterwards. Between the two names the stream has both: a crash leaves a second one, and loses nothing.
    /// `isMarked`: whoever knows the file's identity and the stream's old name finds it again
    /// (``reopen(_:path:formerPath:access:options:)``).
    package func renameStream(
        _ files: [OpenFile], to name: [UInt8], replaceExisting: Bool, isMarked: Bool = false
    ) throws(FileError) {
        try self.requireWritable()
        guard let file = files.first, let old = file.streamName else {
            throw FileError(.invalidParameter, "rename what is no stream")
        }
        let number = file.handle.number
        try self.streamChanges.withLock { _ throws(FileError) in
            let existing = try self.streamSpelling(of: name, on: number)
            if let existing, existing != old {
                guard replaceExisting else {
                    throw FileError(.objectNameCollision, "rename a stream onto one that exists")
                }
                // [MS-FSA] 2.1.5.15.11.1: only an empty one is replaced.
                guard try self.streamContents(existing, of: number)?.byteCount() ?? 0 == 0 else {
                    throw FileError(.objectNameCollision, "rename a stream onto one with data")
                }
                try self.removeStream(existing, of: number)
            }
            guard name != old else { return }
            if isMarked { try RenameMark.write(number, stream: old, to: name) }
            guard let contents = try NamedStreams.read(number, old) else {
                guard try self.renameLargeStream(old, to: name, of: number) else {
                    throw FileError(.fileDeleted, "rename a stream that was deleted")
                }
                return
            }
            try self.writeStream(name, of: number, contents)
            try self.removeStream(old, of: number)
        }
        for file in files { file.adopt(streamName: name) }
    }

    /// The stream becomes the file's own data, which must be empty, and which nobody has open. Its opens are of no use
    /// afterwards: ``reopen(_:path:formerPath:access:options:)`` gives others. The bytes are on the disk before the stream goes:
    /// a crash leaves them twice, and loses nothing.
    package func makeStreamUnnamed(
        _ file: OpenFile, replaceExisting: Bool, isMarked: Bool = false
    ) throws(FileError) {
        try self.requireWritable()
        guard let stream = file.streamName else { throw FileError(.invalidParameter, "rename what is no stream") }
        let number = file.handle.number
        guard try FileStatus(file.handle).isRegular else {
            throw FileError(.invalidParameter, "a directory has no unnamed stream")
        }
        guard replaceExisting else {
            throw FileError(.objectNameCollision, "rename a stream onto the unnamed one, which is always there")
        }
        try self.streamChanges.withLock { _ throws(FileError) in
            guard try FileStatus(file.handle).size == 0 else {
                throw FileError(.objectNameCollision, "rename a stream onto one with data")
            }
            let data = try file.handle.reopened(O_RDWR, "open a file's data")
            do throws(FileError) {
                switch try self.streamContents(stream, of: number) {
                case .small(let bytes): try Self.writeAll(bytes, to: data.number)
                case .large(let source): try Self.copyContents(of: source, to: data.number)
                case nil: throw FileError(.fileDeleted, "rename a stream that was deleted")
                }
                try check(clinux_fsync(data.number), "flush what a stream becomes")
            } catch {
                _ = clinux_ftruncate(data.number, 0)
                throw error
            }
            if isMarked { try RenameMark.write(number, stream: stream, to: nil) }
            try self.removeStream(stream, of: number)
        }
    }
}
