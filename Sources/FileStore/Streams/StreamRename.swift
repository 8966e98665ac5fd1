import CLinux
import Glibc
import SMB2Wire

extension Volume {
    /// FileRenameInformation of a stream, [MS-FSA] 2.1.5.15.11.1; to the unnamed one: StreamMove.swift. `files` are all opens of it; they have the new name
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
            // No CREATE made it under this name.
            try CreationMark.note(nil, stream: name, of: number)
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
}
