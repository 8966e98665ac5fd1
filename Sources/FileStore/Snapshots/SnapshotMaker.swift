import CLinux
import Glibc
import SMB2Wire

/// What a snapshot holds, and what was left out of it.
package struct SnapshotSummary: Equatable, Sendable {
    package var files = 0
    package var directories = 0
    /// Sockets, pipes and devices, and directories on which something else is mounted.
    package var leftOut = 0

    package init() {}
}

extension Volume {
    /// Makes a snapshot of the share: a second tree whose files share their blocks with the first (FICLONE), with the same
    /// names, times, owners, modes, extended attributes (security descriptors, DOS attributes, named streams), symbolic links
    /// and hard links.
    ///
    /// How consistent it is. The data of each file is that of one moment between begin and end, with every write that was
    /// answered before the begin; no write is ever half in it. The moments of two files differ: nothing is held up meanwhile,
    /// so that what is written in a certain order to several files need not be there in that order. What exists from begin to
    /// end under one name is there; a directory that is moved meanwhile is there once, under its old or its new name; a file
    /// that is moved from one directory to another meanwhile may be there twice or, where it was taken from a directory that
    /// was not looked through yet into one that was, be missing.
    ///
    /// It appears whole, or, after an error, a cancellation or a crash, not at all. Blocks the caller for as long as it takes.
    /// STATUS_SHARING_VIOLATION while another one is made or removed, STATUS_NOT_SUPPORTED where the file system shares no blocks,
    /// STATUS_OBJECT_NAME_COLLISION where one of that second exists, STATUS_INSUFFICIENT_RESOURCES past
    /// `SnapshotLimits.perShare`, STATUS_DISK_FULL, STATUS_CANCELLED.
    ///
    /// - Parameter isCancelled: looked at before every name.
    @discardableResult
    package func makeSnapshot(
        _ token: SnapshotToken, isScheduled: Bool = false, isCancelled: () -> Bool = { false }
    ) throws(FileError) -> SnapshotSummary {
        guard self.canClone else {
            throw FileError(.notSupported, "a snapshot on a file system that shares no blocks")
        }
        guard let place = try self.snapshotPlace(makes: true) else {
            throw FileError(.objectNameNotFound, "open the folder of the snapshots")
        }
        try Self.requireLock(place)
        defer { Self.unlock(place) }
        let name = Array(token.text.utf8)
        let existing = try Self.names(in: place.number).compactMap { SnapshotToken(utf8: $0) }
        guard !existing.contains(token) else { throw FileError(.objectNameCollision, "a snapshot of this second") }
        guard existing.count < SnapshotLimits.perShare else {
            throw FileError(.insufficientResources, "as many snapshots as a share can have")
        }
        let unfinished = Self.unfinishedPrefix + name
        do {
            try check(
                withTerminated(unfinished) { clinux_mkdirat(place.number, $0, OwnDirectory.mode) }, "make a snapshot")
            let target = try Descriptor(
                result: self.openBeneath(place.number, unfinished, clinux_o_path | O_DIRECTORY), "open a new snapshot")
            var maker = SnapshotMaker(volume: self, target: target)
            try maker.copyTree(isCancelled: isCancelled)
            if isScheduled { try XAttr.set(maker.target.number, Self.scheduledMark, [1]) }
            let opened = try maker.target.reopened(O_RDONLY | O_DIRECTORY, "open a new snapshot")
            // All of it, before its name says that it is whole.
            try check(Int(clinux_sync_filesystem(opened.number)), "bring a snapshot to stable storage")
            let result = withTerminated(unfinished) { old in
                withTerminated(name) { new in
                    clinux_renameat2(place.number, old, place.number, new, UInt32(RENAME_NOREPLACE))
                }
            }
            try check(result, "name a snapshot")
            try Self.flush(place.number)
            return maker.summary
        } catch {
            // What cannot be removed now goes with the next `removeUnfinishedSnapshots`.
            try? TreeRemoval.remove(unfinished, from: place.number, isCancelled: { false })
            throw error
        }
    }
}

/// Copies one tree. Directories wait in a queue by their file handles: one that is renamed meanwhile is found all the same.
private struct SnapshotMaker: ~Copyable {
    let volume: Volume
    /// The snapshot's root, O_PATH.
    let target: Descriptor
    var summary = SnapshotSummary()

    private struct Waiting {
        var source: FileIdentity
        /// From the snapshot's root.
        var path: [UInt8]
    }

    private var waiting: [Waiting] = []
    /// A directory that moves meanwhile is copied once. By identity: an inode's number is used again.
    private var directories: Set<FileIdentity> = []
    /// Where the first name of a file with several lies.
    private var links: [FileIdentity: [UInt8]] = [:]

    init(volume: Volume, target: consuming Descriptor) {
        self.volume = volume
        self.target = target
    }

    mutating func copyTree(isCancelled: () -> Bool) throws(FileError) {
        let root = try FileIdentity(self.volume.root.number, filesystem: self.volume.filesystemID)
        self.directories.insert(root)
        self.waiting.append(Waiting(source: root, path: []))
        while let next = self.waiting.popLast() { try self.copyDirectory(next, isCancelled: isCancelled) }
    }

    private mutating func copyDirectory(_ item: Waiting, isCancelled: () -> Bool) throws(FileError) {
        let source: Descriptor
        do throws(FileError) { source = try self.volume.openByHandle(item.source) } catch {
            // Removed since it was listed.
            guard error.status == .objectNameNotFound else { throw error }
            let (root, path) = (self.target.number, item.path)
            try check(withTerminated(path) { clinux_unlinkat(root, $0, AT_REMOVEDIR) }, "leave a folder out")
            return
        }
        let copy = try Descriptor(
            result: self.volume.openBeneath(self.target.number, item.path, clinux_o_path | O_DIRECTORY),
            "open a folder of a snapshot")
        let isRoot = item.path.isEmpty
        var done: Set<[UInt8]> = []
        // Names that come while it is looked through, and that a listing may miss, are seen by the next one.
        for _ in 0..<SnapshotLimits.passes {
            let before = try FileStatus(source)
            for name in try Volume.names(in: source.number) where !done.contains(name) {
                if isCancelled() { throw FileError(.cancelled, "make a snapshot") }
                if isRoot, self.volume.hidesOwnDirectory, OwnDirectory.isName(name) { continue }
                if try self.copyEntry(name, of: source, to: copy, item.path, isCancelled) { done.insert(name) }
            }
            if try FileStatus(source).changeTime == before.changeTime { break }
        }
        self.summary.directories += 1
        try self.copyMetadata(from: source, status: try FileStatus(source), to: copy.number)
    }

    /// False where the name is gone.
    private mutating func copyEntry(
        _ name: [UInt8], of source: borrowing Descriptor, to copy: borrowing Descriptor, _ path: [UInt8],
        _ isCancelled: () -> Bool
    ) throws(FileError) -> Bool {
        let result = withTerminated(name) {
            clinux_openat(source.number, $0, clinux_o_path | O_NOFOLLOW | O_CLOEXEC, 0)
        }
        if failed(result, ENOENT) { return false }
        let entry = try Descriptor(result: result, "open a file for a snapshot")
        let status = try FileStatus(entry)
        let place = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
        switch status.type {
        case S_IFDIR: try self.makeDirectory(name, entry, status, in: copy, place)
        case S_IFREG: try self.copyFile(name, entry, status, in: copy, place, isCancelled)
        case S_IFLNK: try self.copyLink(name, entry, status, in: copy)
        default: self.summary.leftOut += 1
        }
        return true
    }

    private mutating func makeDirectory(
        _ name: [UInt8], _ entry: borrowing Descriptor, _ status: FileStatus, in copy: borrowing Descriptor,
        _ place: [UInt8]
    ) throws(FileError) {
        guard self.directories.count < SnapshotLimits.directories else {
            throw FileError(.insufficientResources, "more directories than a snapshot can have")
        }
        let identity = try FileIdentity(entry.number, filesystem: self.volume.filesystemID)
        guard self.directories.insert(identity).inserted else { return }
        let parent = copy.number
        try check(withTerminated(name) { clinux_mkdirat(parent, $0, OwnDirectory.mode) }, "make a folder of a snapshot")
        guard status.mountID == self.volume.mountID else {
            // Another file system's: its blocks cannot be shared.
            self.summary.leftOut += 1
            return
        }
        self.waiting.append(Waiting(source: identity, path: place))
    }

    private mutating func copyFile(
        _ name: [UInt8], _ entry: borrowing Descriptor, _ status: FileStatus, in copy: borrowing Descriptor,
        _ place: [UInt8], _ isCancelled: () -> Bool
    ) throws(FileError) {
        let identity = try FileIdentity(entry.number, filesystem: self.volume.filesystemID)
        // A stream that becomes the file's data is in the snapshot once.
        while !StreamClaims.claim(identity, nil) {
            if isCancelled() { throw FileError(.cancelled, "make a snapshot") }
            usleep(StreamClaims.waitMicroseconds)
        }
        defer { StreamClaims.release(identity) }
        if status.raw.links > 1 {
            if let first = self.links[identity] { return try self.link(first, as: name, in: copy) }
            if self.links.count < SnapshotLimits.hardLinks { self.links[identity] = place }
        }
        let parent = copy.number
        let source = try entry.reopened(O_RDONLY, "open a file for a snapshot")
        let flags = O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC
        let made = try Descriptor(
            result: withTerminated(name) { clinux_openat(parent, $0, flags, 0o600) }, "make a file of a snapshot")
        var seen = status
        // The times must be those of the data: a write in between makes another attempt.
        for _ in 0..<SnapshotLimits.clones {
            try check(clinux_ftruncate(made.number, 0), "empty a file of a snapshot")
            try check(clinux_clone_range(source.number, 0, made.number, 0, 0), "share a file's blocks")
            let now = try FileStatus(source)
            let isSame = now.changeTime == seen.changeTime
            seen = now
            if isSame { break }
        }
        try self.copyMetadata(from: source, status: seen, to: made.number)
        self.summary.files += 1
    }

    private func link(_ first: [UInt8], as name: [UInt8], in copy: borrowing Descriptor) throws(FileError) {
        let file = try Descriptor(
            result: self.volume.openBeneath(self.target.number, first, clinux_o_path), "open a file of a snapshot")
        let parent = copy.number
        try check(withTerminated(name) { clinux_link_descriptor(file.number, parent, $0) }, "link a file of a snapshot")
    }

    private mutating func copyLink(
        _ name: [UInt8], _ entry: borrowing Descriptor, _ status: FileStatus, in copy: borrowing Descriptor
    ) throws(FileError) {
        let parent = copy.number
        let destination = try linkTarget(entry.number)
        let result = withTerminated(destination) { to in withTerminated(name) { clinux_symlinkat(to, parent, $0) } }
        try check(result, "make a link of a snapshot")
        let made = try Descriptor(
            result: withTerminated(name) { clinux_openat(parent, $0, clinux_o_path | O_NOFOLLOW | O_CLOEXEC, 0) },
            "open a link of a snapshot")
        try check(clinux_chown(made.number, status.raw.uid, status.raw.gid), "set the owner of a link")
        let times = withTerminated(name) { clinux_set_entry_times(parent, $0, status.raw.atime, status.raw.mtime) }
        try check(times, "set the times of a link")
        self.summary.files += 1
    }

    /// Owner, mode, extended attributes and times, in the order in which one does not undo the other.
    private func copyMetadata(
        from source: borrowing Descriptor, status: FileStatus, to target: Int32
    ) throws(FileError) {
        try check(clinux_chown(target, status.raw.uid, status.raw.gid), "set the owner in a snapshot")
        try check(clinux_chmod(target, status.raw.mode & 0o7777), "set the mode in a snapshot")
        try self.volume.copyAttributes(from: source.number, to: target)
        // The copy was made today. Where the file's own attributes do not say so already, they say now when it was made.
        var dos = DOSAttributes.read(source.number)
        if dos.creationTime == nil {
            dos.creationTime = status.birthTime
            try dos.write(target)
        }
        try check(clinux_set_times(target, status.raw.atime, status.raw.mtime), "set the times in a snapshot")
    }
}
