import CLinux
import Glibc
import SMB2Wire
import Synchronization

/// One of a share's snapshots.
package struct Snapshot: Hashable, Sendable {
    package var token: SnapshotToken
    /// A schedule made it, and may take it away again.
    package var isScheduled: Bool

    package init(token: SnapshotToken, isScheduled: Bool) {
        self.token = token
        self.isScheduled = isScheduled
    }
}

package enum SnapshotLimits {
    /// Snapshots of one share, as Windows has it; another one is STATUS_INSUFFICIENT_RESOURCES until one is deleted.
    package static let perShare = 512
    /// Files with several names that a snapshot remembers; the further names of later ones become files of their own.
    static let hardLinks = 1 << 20
    /// Directories of one snapshot; more end it with STATUS_INSUFFICIENT_RESOURCES.
    static let directories = 1 << 24
    /// How often a directory that changes meanwhile is looked through for names that came.
    static let passes = 4
    /// How often a file is cloned again that was written between its clone and its times.
    static let clones = 3
    /// How often a file's extended attributes are copied again that change meanwhile.
    static let attributeCopies = 3
}

extension Volume {
    /// On a snapshot's root, where a schedule made it.
    static let scheduledMark = Array("trusted.holdfast.scheduled".utf8)
    static let unfinishedPrefix = Array(".making-".utf8)
    static let removedPrefix = Array(".removing-".utf8)

    /// The share's snapshots, the oldest first. Unfinished ones are none.
    package func snapshots() throws(FileError) -> [Snapshot] {
        guard let place = try self.snapshotPlace() else { return [] }
        var found: [Snapshot] = []
        for name in try Self.names(in: place.number) {
            guard let token = SnapshotToken(utf8: name) else { continue }
            var mark: UInt8 = 0
            let result = withTerminated(name) { entry in
                withTerminated(Self.scheduledMark) { clinux_getxattr_entry(place.number, entry, $0, &mark, 1) }
            }
            found.append(Snapshot(token: token, isScheduled: result >= 0))
        }
        return found.sorted { $0.token < $1.token }
    }

    /// Their tokens alone, the newest first, for a client.
    package func newestSnapshots() throws(FileError) -> [SnapshotToken] {
        guard let place = try self.snapshotPlace() else { return [] }
        return try Self.names(in: place.number).compactMap { SnapshotToken(utf8: $0) }.sorted(by: >)
    }

    static func names(in directory: Int32) throws(FileError) -> [[UInt8]] {
        var reader = try DirectoryReader(directory)
        var names: [[UInt8]] = []
        while try reader.next({ name, _ in if !isDotEntry(name) { names.append(Array(name)) } }) {}
        return names
    }

    /// The share as it was then: everything can be opened, nothing can be changed. STATUS_OBJECT_NAME_NOT_FOUND where there is
    /// no snapshot of that time. The same volume for as long as somebody uses it.
    package func snapshot(_ token: SnapshotToken) throws(FileError) -> Volume {
        guard let place = try self.snapshotPlace() else { throw Self.noSnapshot }
        let result = self.openBeneath(place.number, Array(token.text.utf8), O_RDONLY | O_DIRECTORY)
        if failed(result, ENOENT) { throw Self.noSnapshot }
        let root = try Descriptor(result: result, "open a snapshot")
        let inode = try FileStatus(root).inode
        if let known = self.openSnapshots.withLock({ $0[inode]?.volume }) { return known }
        var options = self.options
        options.isReadOnly = true
        options.isSnapshot = true
        let volume = try Volume(root: root, options: options, canClone: true)
        return self.openSnapshots.withLock { open in
            // Somebody else may have opened it meanwhile.
            if let known = open[inode]?.volume { return known }
            open = open.filter { $0.value.volume != nil }
            open[inode] = WeakVolume(volume: volume)
            return volume
        }
    }

    /// One at a time makes or removes snapshots of a share, in whatever process.
    ///
    /// - Returns: False where somebody else does. `unlock` gives it back.
    static func lock(_ place: borrowing Descriptor) throws(FileError) -> Bool {
        let result = clinux_lock(place.number)
        if failed(result, EWOULDBLOCK) { return false }
        try check(result, "lock the folder of the snapshots")
        return true
    }

    /// Not left to the descriptor's end: a child process that is just being started has a copy of it until it executes its
    /// program, and the lock would stay as long.
    static func unlock(_ place: borrowing Descriptor) { _ = clinux_unlock(place.number) }

    static func requireLock(_ place: borrowing Descriptor) throws(FileError) {
        guard try Self.lock(place) else {
            throw FileError(.sharingViolation, "while another snapshot of the share is made or removed")
        }
    }

    private static var noSnapshot: FileError { FileError(.objectNameNotFound, "a snapshot that is not there") }

    /// Takes a snapshot away; its contents go with the last handle. Until `isCancelled` says so: what is left then goes with
    /// the next `removeUnfinishedSnapshots`.
    package func removeSnapshot(_ token: SnapshotToken, isCancelled: () -> Bool = { false }) throws(FileError) {
        guard let place = try self.snapshotPlace() else { throw Self.noSnapshot }
        try Self.requireLock(place)
        defer { Self.unlock(place) }
        let name = Array(token.text.utf8)
        let gone = Self.removedPrefix + name
        let result = withTerminated(name) { old in
            withTerminated(gone) { new in
                clinux_renameat2(place.number, old, place.number, new, UInt32(RENAME_NOREPLACE))
            }
        }
        if failed(result, ENOENT) { throw Self.noSnapshot }
        try check(result, "take a snapshot away")
        try Self.flush(place.number)
        try TreeRemoval.remove(gone, from: place.number, isCancelled: isCancelled)
        // What stays is swept another time.
        _ = try? self.sweepReplacingLinks(isCancelled: isCancelled)
        _ = try? self.sweepLargeStreams(isCancelled: isCancelled)
        _ = try? self.sweepMarkedFolders(isCancelled: isCancelled)
    }

    /// Removes what a crash or a cancellation left in the middle; nothing while somebody makes or removes one.
    package func removeUnfinishedSnapshots(isCancelled: () -> Bool = { false }) throws(FileError) {
        guard let place = try self.snapshotPlace(), try Self.lock(place) else { return }
        defer { Self.unlock(place) }
        for name in try Self.names(in: place.number)
        where name.starts(with: Self.unfinishedPrefix) || name.starts(with: Self.removedPrefix) {
            try TreeRemoval.remove(name, from: place.number, isCancelled: isCancelled)
        }
    }
}

struct WeakVolume: Sendable {
    weak var volume: Volume?
}
