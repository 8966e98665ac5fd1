import CLinux
import Glibc
import SMB2Wire

/// Hard links that take a name which another file has: FileLinkInformation with ReplaceIfExists, [MS-FSA] 2.1.5.15.6.
/// Linux links to no name that is taken. So the file is linked as `.holdfast/links/ID` of the same file system, and
/// that name is moved over the other, which is at every moment the one file's or the other's; where the link is refused
/// nothing has happened to it. What a crash leaves before the move is a name that nobody asked for, and swept
/// (`sweepReplacingLinks`).
enum ReplacingLinks {
    static let directory = "links"
}

extension Volume {
    /// What had the name `existing` in `parent` has it no more. Its spelling stays.
    func link(_ file: Int32, over existing: [UInt8], in parent: Int32) throws(FileError) {
        if let own = try self.replacingLinkPlace() {
            do throws(FileError) {
                return try self.link(file, over: existing, in: parent, by: own.number)
            } catch  where error.code == EXDEV {
                // A subvolume of its own, or another quota project.
            }
        }
        let beside = try Descriptor(
            result: clinux_reopen(parent, clinux_o_path | O_DIRECTORY | O_CLOEXEC), "open a link's directory")
        try self.link(file, over: existing, in: parent, by: beside.number)
    }

    /// - Parameter place: the directory in which it is a link first.
    private func link(_ file: Int32, over existing: [UInt8], in parent: Int32, by place: Int32) throws(FileError) {
        let id = LargeStreams.newID()
        _ = try self.indexes.change(parent, adding: existing) { () throws(FileError) -> Int in
            try check(withTerminated(id) { clinux_link_descriptor(file, place, $0) }, "link")
            let moved = withTerminated(id) { old in
                withTerminated(existing) { clinux_renameat2(place, old, parent, $0, 0) }
            }
            // Not moved, too, where the name has become the same file's meanwhile: rename(2) leaves both.
            _ = withTerminated(id) { clinux_unlinkat(place, $0, 0) }
            return try check(moved, "replace a name by a link")
        }
    }

    /// Nil where the server may keep nothing of its own. Beside the name, then: a crash leaves it to be seen there.
    private func replacingLinkPlace() throws(FileError) -> Descriptor? {
        do throws(FileError) {
            return try self.ownPlace([Array(ReplacingLinks.directory.utf8)], makes: true)
        } catch {
            guard [EACCES, EPERM, ENOTDIR, ELOOP].contains(error.code) else { throw error }
            return nil
        }
    }

    /// Removes the links that a crash kept from their names. How many.
    ///
    /// - Parameter olderThan: seconds; a younger one may be on its way.
    @discardableResult
    package func sweepReplacingLinks(
        olderThan seconds: Int64 = FileStoreLimits.linkSweepSeconds, isCancelled: () -> Bool = { false }
    ) throws(FileError) -> Int {
        let own = Array(ReplacingLinks.directory.utf8)
        guard let place = try self.ownPlace([own], makes: false) else { return 0 }
        var swept = 0
        for id in try Self.names(in: place.number) where LargeStreams.isID(id) && !isCancelled() {
            guard let status = try FileStatus(directory: place.number, entry: id), !status.isDirectory,
                status.raw.ctime.seconds <= Int64(time(nil)) - seconds
            else { continue }
            _ = withTerminated(id) { clinux_unlinkat(place.number, $0, 0) }
            swept += 1
        }
        return swept
    }
}
