import CLinux
import Glibc
import SMB2Wire

/// Folders that a CREATE makes whose request may come again (`CreationMark`). Linux makes no folder without a name, as
/// it does a file: it is made as `.holdfast/folders/ID` of the same file system, marked, and moved to its name. So the
/// name appears with the mark, or not at all. What a crash leaves before that is empty, and swept
/// (`sweepMarkedFolders`).
enum MarkedFolders {
    static let directory = "folders"
    /// What the kernel hands down to a folder that is made in another, and no move brings.
    fileprivate static let defaultACL = Array("system.posix_acl_default".utf8)
    fileprivate static let label = Array("security.selinux".utf8)
}

extension Volume {
    /// Nil: someone else made the name meanwhile.
    func makeFolder(
        _ parent: Int32, _ name: [UInt8], _ mode: UInt32, marked mark: CreationMark
    ) throws(FileError) -> Descriptor? {
        switch try self.moveFolderIn(parent, name, mode, mark) {
        case .made(let folder): return folder
        case .exists: return nil
        case .impossible:
            // As it is made without a mark, and marked then: a crash in between leaves one whose request collides.
            guard let made = try self.makeFolder(parent, name, mode) else { return nil }
            try mark.write(made.number)
            return made
        }
    }

    /// Nil: as above.
    func makeFolder(_ parent: Int32, _ name: [UInt8], _ mode: UInt32) throws(FileError) -> Descriptor? {
        let result = withTerminated(name) { clinux_mkdirat(parent, $0, mode) }
        if failed(result, EEXIST) { return nil }
        try check(result, "make a directory")
        return try Descriptor(
            result: self.openBeneath(parent, name, clinux_o_path | O_DIRECTORY), "open the new directory")
    }

    private enum Moved: ~Copyable {
        case made(Descriptor)
        case exists
        case impossible
    }

    private func moveFolderIn(
        _ parent: Int32, _ name: [UInt8], _ mode: UInt32, _ mark: CreationMark
    ) throws(FileError) -> Moved {
        // What an ACL makes of the mode is the kernel's to say.
        guard try XAttr.get(parent, MarkedFolders.defaultACL) == nil, let place = try self.markedFolderPlace() else {
            return .impossible
        }
        let id = LargeStreams.newID()
        guard let made = try self.makeFolder(place.number, id, mode) else { return .impossible }
        let moved: Int
        do throws(FileError) {
            try Self.inherit(made.number, from: parent)
            try mark.write(made.number)
            moved = withTerminated(id) { old in
                withTerminated(name) { clinux_renameat2(place.number, old, parent, $0, UInt32(RENAME_NOREPLACE)) }
            }
            // Another quota's tree or another key's, or a file system that cannot refuse to replace.
            let isImpossible = failed(moved, EXDEV) || failed(moved, EINVAL)
            if !isImpossible, !failed(moved, EEXIST) { try check(moved, "name a new directory") }
        } catch {
            Self.removeFolder(id, in: place.number)
            // The parent was removed meanwhile.
            guard error.code == ENOENT else { throw error }
            throw FileError(.objectPathNotFound, "create in a directory that is gone")
        }
        guard moved < 0 else { return .made(made) }
        Self.removeFolder(id, in: place.number)
        return failed(moved, EEXIST) ? .exists : .impossible
    }

    /// Set-group-ID and the group that goes with it, and SELinux's label.
    private static func inherit(_ made: Int32, from parent: Int32) throws(FileError) {
        let above = try FileStatus(number: parent)
        if above.raw.mode & S_ISGID != 0 {
            try check(clinux_chown(made, .max, above.raw.gid), "give a new directory its parent's group")
            let mode = try FileStatus(number: made).raw.mode & 0o7777 | S_ISGID
            try check(clinux_chmod(made, mode), "give a new directory its parent's mode")
        }
        // Without a right to it, the label of the place where it was made.
        if let label = try XAttr.get(parent, MarkedFolders.label) { try? XAttr.set(made, MarkedFolders.label, label) }
    }

    /// What stays is swept.
    private static func removeFolder(_ id: [UInt8], in place: Int32) {
        _ = withTerminated(id) { clinux_unlinkat(place, $0, AT_REMOVEDIR) }
    }

    /// Nil where the server may keep nothing of its own.
    private func markedFolderPlace() throws(FileError) -> Descriptor? {
        do throws(FileError) {
            guard let place = try self.ownPlace([Array(MarkedFolders.directory.utf8)], makes: true) else { return nil }
            // It hands nothing down that the folders' own parents do not have.
            if try XAttr.get(place.number, MarkedFolders.defaultACL) != nil {
                try XAttr.remove(place.number, MarkedFolders.defaultACL)
            }
            if try FileStatus(number: place.number).raw.mode & S_ISGID != 0 {
                try check(
                    clinux_chmod(place.number, OwnDirectory.mode), "take set-group-ID from the server's own folder")
            }
            return place
        } catch {
            guard [EACCES, EPERM, ENOTDIR, ELOOP].contains(error.code) else { throw error }
            return nil
        }
    }

    /// Removes the folders that a crash kept from their names. How many.
    ///
    /// - Parameter olderThan: seconds; a younger one may be in the making.
    @discardableResult
    package func sweepMarkedFolders(
        olderThan seconds: Int64 = FileStoreLimits.folderSweepSeconds, isCancelled: () -> Bool = { false }
    ) throws(FileError) -> Int {
        let own = Array(MarkedFolders.directory.utf8)
        guard let place = try self.ownPlace([own], makes: false) else { return 0 }
        var swept = 0
        for id in try Self.names(in: place.number) where LargeStreams.isID(id) && !isCancelled() {
            guard let status = try FileStatus(directory: place.number, entry: id), status.isDirectory,
                status.raw.ctime.seconds <= Int64(time(nil)) - seconds
            else { continue }
            Self.removeFolder(id, in: place.number)
            swept += 1
        }
        return swept
    }
}
