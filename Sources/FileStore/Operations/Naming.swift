import CLinux
import Glibc
import SMB2Wire

/// Where an open file's name stands, checked to be the file's.
struct NamePlace: ~Copyable {
    var parent: Descriptor
    var name: [UInt8]
}

extension OpenFile {
    /// The directory entry through which the file is known. STATUS_FILE_DELETED where it has none any more.
    func place() throws(FileError) -> NamePlace {
        let path = try self.currentPath()
        guard !path.isRoot else { throw FileError(.accessDenied, "the share's root has no name here") }
        let result = self.volume.openBeneath(self.volume.root.number, path.parentBytes, clinux_o_path | O_DIRECTORY)
        guard result >= 0 else { throw FileError(.fileDeleted, "a file whose directory is gone") }
        let parent = Descriptor(number: Int32(truncatingIfNeeded: result))
        let name = path.name
        guard let status = try FileStatus(directory: parent.number, entry: name), status.inode == self.fileID else {
            throw FileError(.fileDeleted, "a file whose name is gone")
        }
        return NamePlace(parent: parent, name: name)
    }

    /// `flushName` will flush the directory that holds `path`, too.
    func noteChangedDirectory(of path: NTPath) {
        self.changedDirectories.withLock { paths in
            guard !paths.contains(where: { $0.parentBytes == path.parentBytes }) else { return }
            if paths.count >= FileStoreLimits.changedDirectories { paths.removeFirst() }
            paths.append(path)
        }
    }

    /// Puts the file's name on stable storage, and that it has no other any more: after a create, rename, link or delete that
    /// must survive a failover.
    package func flushName() throws(FileError) {
        for path in self.changedDirectories.withLock({ paths in
            defer { paths = [] }
            return paths
        }) {
            do { try self.volume.flushDirectory(of: path) } catch let error {
                // A directory that is gone is its own parent's concern.
                guard [.objectPathNotFound, .objectNameNotFound].contains(error.status) else { throw error }
            }
        }
        guard !self.isDeleted else { return }
        try self.volume.flushDirectory(of: try self.currentPath())
    }
}

extension Volume {
    /// Flushes the directory that holds `path`: after a delete, or for the old side of a rename.
    package func flushDirectory(of path: NTPath) throws(FileError) {
        let parent = try self.findDirectory(path.parentBytes)
        let opened = try parent.reopened(O_RDONLY | O_DIRECTORY, "open a directory to flush it")
        try check(clinux_fsync(opened.number), "flush a directory")
    }

    /// FileDispositionInformation, [MS-FSA] 2.1.5.15.3: whether the file may be marked for deletion.
    package func checkDelete(_ file: OpenFile, ignoresReadOnly: Bool = false) throws(FileError) {
        try self.requireWritable()
        if file.isStream { return }
        guard file.identity != (try FileIdentity(self.root.number, filesystem: self.filesystemID)) else {
            throw FileError(.cannotDelete, "delete the share's root")
        }
        if !ignoresReadOnly, try file.information().isReadOnly(toPOSIX: file.isPOSIX) {
            throw FileError(.cannotDelete, "delete a read-only file")
        }
        guard file.isDirectory else { return }
        var reader = try DirectoryReader(file.handle.number)
        var isEmpty = true
        while isEmpty, try reader.next({ name, _ in if !isDotEntry(name) { isEmpty = false } }) {}
        guard isEmpty else { throw FileError(.directoryNotEmpty, "delete a directory that is not empty") }
    }

    /// Removes the name through which the file was opened, wherever it is now; a stream only itself. The contents go with
    /// the last handle.
    package func delete(_ file: OpenFile) throws(FileError) {
        try self.requireWritable()
        if let stream = file.streamName {
            try self.streamChanges.withLock { _ throws(FileError) in
                try self.removeStream(stream, of: file.handle.number)
            }
            return
        }
        let path = try file.currentPath()
        let place = try file.place()
        let name = place.name
        let parent = place.parent.number
        let flags = file.isDirectory ? AT_REMOVEDIR : 0
        let streams = try self.largeStreams(going: file.handle.number, try FileStatus(file.handle))
        _ = try self.indexes.exclusively(in: parent) { () throws(FileError) -> Int in
            try self.indexes.change(parent, removing: name) { () throws(FileError) -> Int in
                try check(withTerminated(name) { clinux_unlinkat(parent, $0, flags) }, "delete")
            }
        }
        self.removeLargeStreams(streams)
        if self.options.givesShortNames, !file.isDirectory {
            self.tunnel.remember(name, in: try FileStatus(number: parent).inode)
        }
        file.markDeleted()
        if file.isDirectory { self.directorySecurities.forgetAll() }
        file.noteChangedDirectory(of: path)
    }

    /// FileRenameInformation, [MS-FSA] 2.1.5.15.11. That nobody else has the target open is the caller's to know (`lookup`).
    package func rename(
        _ file: OpenFile, to path: NTPath, replaceExisting: Bool, isMarked: Bool = false
    ) throws(FileError) {
        try self.requireWritable()
        guard !file.isStream, path.stream == nil else { throw FileError(.notSupported, "rename a stream") }
        let oldPath = try file.currentPath()
        let source = try file.place()
        let target = try self.target(path, of: file)
        defer {
            file.noteChangedDirectory(of: oldPath)
            if file.isDirectory { self.directorySecurities.forgetAll() }
        }
        let newName = target.newName
        let sameDirectory = try FileStatus(source.parent).inode == FileStatus(target.parent).inode
        if isMarked { try RenameMark.write(file.handle.number, path) }
        guard let existing = target.existing else {
            return try self.move(
                source.parent.number, source.name, target.parent.number, newName, UInt32(RENAME_NOREPLACE),
                sameDirectory)
        }
        if sameDirectory, existing == source.name {
            // The file itself under another spelling, or under the same.
            if existing == newName { return }
            return try self.move(source.parent.number, existing, source.parent.number, newName, 0, true)
        }
        guard replaceExisting else { throw FileError(.objectNameCollision, "rename onto a name that exists") }
        try self.checkReplaceable(target.parent.number, existing, isPOSIX: file.isPOSIX)
        guard !file.isDirectory || file.isPOSIX else { throw FileError(.accessDenied, "replace by a directory") }
        let status = try FileStatus(directory: target.parent.number, entry: existing)
        if status?.inode == file.fileID {
            // rename(2) of POSIX leaves both.
            if file.isPOSIX { return }
            // Two links of one file: rename(2) would leave both.
            let (parent, name) = (target.parent.number, existing)
            _ = try self.indexes.change(parent, removing: name) { () throws(FileError) -> Int in
                try check(withTerminated(name) { clinux_unlinkat(parent, $0, 0) }, "replace a link of the same file")
            }
            return try self.move(source.parent.number, source.name, target.parent.number, newName, 0, sameDirectory)
        }
        // Replaced in one step under its old spelling; then the name is spelled as asked.
        let streams = try self.largeStreams(going: existing, in: target.parent.number)
        try self.move(source.parent.number, source.name, target.parent.number, existing, 0, sameDirectory)
        self.removeLargeStreams(streams)
        if existing != newName {
            try self.move(target.parent.number, existing, target.parent.number, newName, UInt32(RENAME_NOREPLACE), true)
        }
    }

    /// FileLinkInformation, [MS-FSA] 2.1.5.15.6. What has the name keeps it until the link has it: ReplacingLinks.swift.
    package func link(_ file: OpenFile, to path: NTPath, replaceExisting: Bool) throws(FileError) {
        try self.requireWritable()
        guard !file.isStream, path.stream == nil else { throw FileError(.invalidParameter, "link a stream") }
        guard !file.isDirectory else { throw FileError(.fileIsADirectory, "link a directory") }
        do throws(FileError) { _ = try file.place() } catch {
            guard error.status == .fileDeleted else { throw error }
            throw FileError(.accessDenied, "link a file whose name is deleted")
        }
        let target = try self.target(path, of: file)
        let parent = target.parent.number
        let name = target.newName
        let number = file.handle.number
        if let existing = target.existing {
            guard replaceExisting else { throw FileError(.objectNameCollision, "link to a name that exists") }
            try self.checkReplaceable(parent, existing, isPOSIX: file.isPOSIX)
            // The file's own name, as it is.
            if let status = try FileStatus(directory: parent, entry: existing), status.inode == file.fileID { return }
            let streams = try self.largeStreams(going: existing, in: parent)
            try self.link(number, over: existing, in: parent)
            self.removeLargeStreams(streams)
            if existing != name { try self.move(parent, existing, parent, name, UInt32(RENAME_NOREPLACE), true) }
            return
        }
        _ = try self.indexes.change(parent, adding: name) { () throws(FileError) -> Int in
            try check(withTerminated(name) { clinux_link_descriptor(number, parent, $0) }, "link")
        }
    }

    private struct Target: ~Copyable {
        var parent: Descriptor
        /// The spelling on disk of what has the name now.
        var existing: [UInt8]?
        /// The spelling of what will have it.
        var newName: [UInt8]
    }

    private func target(_ path: NTPath, of file: OpenFile) throws(FileError) -> Target {
        guard !path.isRoot else { throw FileError(.objectNameInvalid, "the share's root as a new name") }
        try self.checkVisible(path.bytes)
        if !file.isPOSIX { try self.checkMakeable(path) }
        guard file.isDirectory || !path.requiresDirectory else {
            throw FileError(.objectNameInvalid, "a file by a directory's name")
        }
        let parent = try self.findDirectory(path.parentBytes, isPOSIX: file.isPOSIX)
        let name = path.name
        if try FileStatus(directory: parent.number, entry: name) != nil {
            return Target(parent: parent, existing: name, newName: name)
        }
        if file.isPOSIX {
            let original = POSIXSpelling.made(name)
            try self.checkVisible(original, isInRoot: path.isInRoot)
            let exists = try FileStatus(directory: parent.number, entry: original) != nil
            return Target(parent: parent, existing: exists ? original : nil, newName: original)
        }
        let spelling = self.options.isCaseSensitive ? nil : try self.spelling(of: name, in: parent.number)
        if let spelling { try self.checkVisible(spelling, isInRoot: path.isInRoot) }
        return Target(parent: parent, existing: spelling, newName: name)
    }

    /// [MS-FSA] 2.1.5.15.11: a directory or a read-only file is not replaced. By a POSIX open an empty directory is, by
    /// another: rename(2) sees to that.
    private func checkReplaceable(_ parent: Int32, _ name: [UInt8], isPOSIX: Bool) throws(FileError) {
        guard let status = try FileStatus(directory: parent, entry: name) else { return }
        let dos = withTerminated(name) { DOSAttributes.read(directory: parent, entry: $0) }
        guard !status.isDirectory || isPOSIX, !FileInformation(status, dos).isReadOnly(toPOSIX: isPOSIX) else {
            throw FileError(.accessDenied, "replace a directory or a read-only file")
        }
    }

    private func move(
        _ from: Int32, _ oldName: [UInt8], _ to: Int32, _ newName: [UInt8], _ flags: UInt32, _ sameDirectory: Bool
    ) throws(FileError) {
        func rename() throws(FileError) -> Int {
            var result = Self.renameat(from, oldName, to, newName, flags)
            // A file system that cannot refuse to replace; the target was not there a moment ago.
            if flags != 0, failed(result, EINVAL) { result = Self.renameat(from, oldName, to, newName, 0) }
            if failed(result, ENOTDIR) { throw FileError(.notADirectory, "replace a file by a directory") }
            // A directory into itself or below.
            if failed(result, EINVAL) { throw FileError(.accessDenied, "move a directory into itself") }
            return try check(result, "rename")
        }
        if sameDirectory {
            _ = try self.indexes.change(from, removing: oldName, adding: newName, rename)
            return
        }
        _ = try self.indexes.change(from, removing: oldName) { () throws(FileError) -> Int in
            try self.indexes.change(to, adding: newName, rename)
        }
    }

    private static func renameat(
        _ from: Int32, _ oldName: [UInt8], _ to: Int32, _ newName: [UInt8], _ flags: UInt32
    ) -> Int {
        withTerminated(oldName) { old in
            withTerminated(newName) { new in clinux_renameat2(from, old, to, new, flags) }
        }
    }
}
