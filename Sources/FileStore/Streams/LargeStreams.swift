import CLinux
import Glibc
import SMB2Wire

/// Named streams that are larger than an extended attribute: each a file in the server's own directory of the same file
/// system, `.holdfast/streams/ID`. An attribute of the file that has the stream leads there, and one of the stream
/// leads back:
///
///     the file:    user.BigStream.NAME:$DATA = ID, 32 hexadecimal digits
///     the stream:  trusted.holdfast.owner = see `mark`: which file, and NAME
///
/// Only where both say the same is it the file's stream: what a crash, a copy made on the node or a restored backup
/// leaves of one alone is shown nowhere, and goes with `sweepLargeStreams`. While a stream moves out of its attribute
/// both exist; the small one counts until it is taken away.
enum LargeStreams {
    static let directory = "streams"
    private static let prefix = Array("user.BigStream.".utf8)
    private static let suffix = Array(":$DATA".utf8)
    static let owner = Array("trusted.holdfast.owner".utf8)
    private static let idBytes = 16

    static func attribute(_ stream: [UInt8]) -> [UInt8] { self.prefix + stream + self.suffix }

    /// The stream that an attribute leads to; nil where it leads to none.
    static func name(attribute: [UInt8]) -> [UInt8]? {
        guard attribute.starts(with: self.prefix), attribute.count > self.prefix.count + self.suffix.count,
            attribute.suffix(self.suffix.count).elementsEqual(self.suffix)
        else { return nil }
        return Array(attribute[self.prefix.count..<(attribute.count - self.suffix.count)])
    }

    static func newID() -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        return Hexadecimal.digits((0..<self.idBytes).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    }

    /// Whether an attribute's value can be a name in the streams' directory.
    static func isID(_ value: [UInt8]) -> Bool {
        value.count == 2 * self.idBytes && value.allSatisfy { Hexadecimal.isDigit($0) }
    }

    /// The type of the file's handle (4 bytes, little-endian), its length (1), the handle, the stream's name.
    static func mark(_ file: FileIdentity, _ stream: [UInt8]) -> [UInt8] {
        withUnsafeBytes(of: file.handleType.littleEndian) { Array($0) } + [UInt8(file.handle.count)] + file.handle
            + stream
    }

    /// What `mark` says; nil where it is none.
    static func owner(_ mark: [UInt8], filesystem: GUID) -> (file: FileIdentity, stream: [UInt8])? {
        guard mark.count > 5, (1...FileIdentity.maximumHandleBytes).contains(Int(mark[4])),
            Int(mark[4]) < mark.count - 5
        else { return nil }
        let handle = Array(mark[5..<(5 + Int(mark[4]))])
        let type = mark.span.bytes.load(Int32.self, at: 0)
        return (
            FileIdentity(filesystem: filesystem, handleType: type, handle: handle), Array(mark[(5 + handle.count)...])
        )
    }
}

extension Volume {
    /// The directory of the large streams, kept open by the volume; nil where nothing was ever put there.
    ///
    /// - Parameter makes: make what is missing of it.
    private func largeStreamPlace(makes: Bool = false) throws(FileError) -> Int32? {
        try self.largeStreamDirectory.withLock { kept throws(FileError) in
            if kept == nil {
                kept = try self.ownPlace([Array(LargeStreams.directory.utf8)], makes: makes)
            }
            return kept?.number
        }
    }

    /// The large stream of a file (O_PATH will do); nil where it has none of that name, as it is spelled.
    func openLargeStream(
        _ stream: [UInt8], of file: Int32, _ flags: Int32 = O_RDONLY
    ) throws(FileError) -> Descriptor? {
        guard let id = try XAttr.get(file, LargeStreams.attribute(stream)), LargeStreams.isID(id),
            let place = try self.largeStreamPlace()
        else { return nil }
        let result = withTerminated(id) { clinux_openat(place, $0, flags | O_NOFOLLOW | O_CLOEXEC, 0) }
        if failed(result, ENOENT) { return nil }
        let opened = try Descriptor(result: result, "open a large stream")
        let mark = LargeStreams.mark(try FileIdentity(file, filesystem: self.filesystemID), stream)
        guard try XAttr.get(opened.number, LargeStreams.owner) == mark else { return nil }
        return opened
    }

    /// Of a directory's entry; nil where it has none, or that cannot be read.
    func largeStreamByteCount(_ stream: [UInt8], directory: Int32, entry: borrowing [UInt8]) -> UInt64? {
        let size = withTerminated(entry) { name in
            withTerminated(LargeStreams.attribute(stream)) { clinux_getxattr_entry(directory, name, $0, nil, 0) }
        }
        guard size > 0 else { return nil }
        let result = self.openBeneath(directory, copy entry, clinux_o_path)
        guard result >= 0 else { return nil }
        let file = Descriptor(number: Int32(truncatingIfNeeded: result))
        guard let opened = try? self.openLargeStream(stream, of: file.number), let status = try? FileStatus(opened)
        else { return nil }
        return status.size
    }

    /// A stream's new place, with what `fill` writes into it: on stable storage before anything leads there.
    /// STATUS_DISK_FULL where the server may keep nothing of its own on the file system: without root a stream has an
    /// attribute and no more.
    func makeLargeStream(
        _ stream: [UInt8], of file: Int32, _ fill: (Int32) throws(FileError) -> Void
    ) throws(FileError) {
        do throws(FileError) { try self.placeLargeStream(stream, of: file, fill) } catch {
            guard [EACCES, EPERM].contains(error.code) else { throw error }
            throw FileError(.diskFull, "a named stream past what an attribute holds")
        }
    }

    private func placeLargeStream(
        _ stream: [UInt8], of file: Int32, _ fill: (Int32) throws(FileError) -> Void
    ) throws(FileError) {
        guard let place = try self.largeStreamPlace(makes: true) else {
            throw FileError(.objectNameNotFound, "open the folder of the large streams")
        }
        let made = try Descriptor(
            result: withTerminated([UInt8(ascii: ".")]) {
                clinux_openat(place, $0, clinux_o_tmpfile | O_RDWR | O_CLOEXEC, 0o600)
            }, "make a large stream")
        try fill(made.number)
        let identity = try FileIdentity(file, filesystem: self.filesystemID)
        try XAttr.set(made.number, LargeStreams.owner, LargeStreams.mark(identity, stream))
        try check(clinux_fsync(made.number), "flush a large stream")
        let id = LargeStreams.newID()
        try check(withTerminated(id) { clinux_link_descriptor(made.number, place, $0) }, "name a large stream")
        try check(clinux_fsync(place), "flush the folder of the large streams")
        let before = try XAttr.get(file, LargeStreams.attribute(stream))
        try XAttr.set(file, LargeStreams.attribute(stream), id)
        if let before { self.unlinkLargeStream(before) }
    }

    private func unlinkLargeStream(_ id: [UInt8]) {
        guard LargeStreams.isID(id), let place = try? self.largeStreamPlace() else { return }
        // What stays is swept.
        _ = withTerminated(id) { clinux_unlinkat(place, $0, 0) }
    }

    /// First nothing leads there any more.
    func removeLargeStream(_ stream: [UInt8], of file: Int32) throws(FileError) {
        guard let id = try XAttr.get(file, LargeStreams.attribute(stream)) else { return }
        let isOwn = try self.openLargeStream(stream, of: file) != nil
        try XAttr.remove(file, LargeStreams.attribute(stream))
        if isOwn { self.unlinkLargeStream(id) }
    }

    /// Another name: until the old attribute is gone the stream owns up to the new name alone.
    func renameLargeStream(_ old: [UInt8], to new: [UInt8], of file: Int32) throws(FileError) -> Bool {
        guard let id = try XAttr.get(file, LargeStreams.attribute(old)),
            let stream = try self.openLargeStream(old, of: file, O_RDWR)
        else { return false }
        try XAttr.set(file, LargeStreams.attribute(new), id)
        let identity = try FileIdentity(file, filesystem: self.filesystemID)
        try XAttr.set(stream.number, LargeStreams.owner, LargeStreams.mark(identity, new))
        try XAttr.remove(file, LargeStreams.attribute(old))
        return true
    }

    /// The stream for another file: blocks are shared where they can be.
    func copyLargeStream(_ stream: [UInt8], from file: Int32, to target: Int32) throws(FileError) -> Bool {
        guard let source = try self.openLargeStream(stream, of: file) else { return false }
        try self.makeLargeStream(stream, of: target) { made throws(FileError) in
            try Self.copyContents(of: source, to: made)
        }
        return true
    }

    /// All of a large stream's bytes, into an empty file: the blocks become shared, or what is no hole is copied.
    ///
    /// - Parameter afterEach: called after each piece of at most `FileStoreLimits.streamCopyBytes` that was copied.
    static func copyContents(
        of source: borrowing Descriptor, to target: Int32, afterEach: () throws(FileError) -> Void = {}
    ) throws(FileError) {
        let cloned = clinux_clone_range(source.number, 0, target, 0, 0)
        // What a file system says that shares no blocks; of anything else the copy would not say it.
        guard [EOPNOTSUPP, EXDEV, EINVAL].contains(where: { failed(cloned, $0) }) else {
            try check(cloned, "share a large stream's blocks")
            return
        }
        let size = Int64(try FileStatus(source).size)
        try check(clinux_ftruncate(target, size), "set the size of a large stream's copy")
        var at: Int64 = 0
        while at < size {
            let data = clinux_seek(source.number, at, clinux_seek_data)
            // A hole to the end.
            if failed(data, ENXIO) { break }
            at = Int64(try check(data, "look for a large stream's data"))
            let end = Int64(
                try check(clinux_seek(source.number, at, clinux_seek_hole), "look for a large stream's holes"))
            while at < end {
                let count = min(Int(end - at), FileStoreLimits.streamCopyBytes)
                let copied = clinux_copy_range(source.number, at, target, at, count)
                if failed(copied, EINTR) { continue }
                guard try check(copied, "copy a large stream") > 0 else {
                    throw FileError(.fileLockConflict, "a large stream that became shorter")
                }
                at += Int64(copied)
                try afterEach()
            }
        }
    }

    /// What goes with a file whose last name goes: its large streams, to be given to `removeLargeStreams` afterwards.
    func largeStreams(going file: Int32, _ status: borrowing FileStatus) throws(FileError) -> [[UInt8]] {
        let (isDirectory, links) = (status.isDirectory, status.raw.links)
        guard isDirectory || links <= 1, status.reparseTag == 0 else { return [] }
        var ids: [[UInt8]] = []
        for attribute in try XAttr.names(file) {
            guard let stream = LargeStreams.name(attribute: attribute), let id = try XAttr.get(file, attribute),
                try self.openLargeStream(stream, of: file) != nil
            else { continue }
            ids.append(id)
        }
        return ids
    }

    /// Of a directory's entry that is about to be replaced.
    func largeStreams(going name: [UInt8], in directory: Int32) throws(FileError) -> [[UInt8]] {
        let result = self.openBeneath(directory, name, clinux_o_path)
        guard result >= 0 else { return [] }
        let file = Descriptor(number: Int32(truncatingIfNeeded: result))
        return try self.largeStreams(going: file.number, try FileStatus(file))
    }

    func removeLargeStreams(_ ids: [[UInt8]]) { for id in ids { self.unlinkLargeStream(id) } }

    /// Removes the large streams that are nobody's: their files went without this server, or a crash came in between.
    /// How many.
    ///
    /// - Parameter olderThan: seconds; a younger one may be in the making.
    @discardableResult
    package func sweepLargeStreams(
        olderThan seconds: Int64 = FileStoreLimits.streamSweepSeconds, isCancelled: () -> Bool = { false }
    ) throws(FileError) -> Int {
        guard let place = try self.largeStreamPlace() else { return 0 }
        var swept = 0
        for id in try Self.names(in: place) where LargeStreams.isID(id) && !isCancelled() {
            if try self.sweepLargeStream(id, in: place, olderThan: seconds) { swept += 1 }
        }
        return swept
    }

    /// False where it is somebody's, or young.
    ///
    /// - Parameter afterMark: called when it is read whose the stream says it is.
    func sweepLargeStream(
        _ id: [UInt8], in place: Int32, olderThan seconds: Int64, afterMark: () throws(FileError) -> Void = {}
    ) throws(FileError) -> Bool {
        guard let before = try FileStatus(directory: place, entry: id),
            before.raw.ctime.seconds <= Int64(time(nil)) - seconds
        else { return false }
        let result = withTerminated(id) { clinux_openat(place, $0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0) }
        if failed(result, ENOENT) { return false }
        let stream = try Descriptor(result: result, "open a large stream")
        let mark = try XAttr.get(stream.number, LargeStreams.owner)
        try afterMark()
        guard try !self.isOwned(id, mark) else { return false }
        // One that is renamed meanwhile, through whichever share (each has its own `streamChanges`), is marked with its
        // new name before the old attribute goes: nobody's is one whose mark is still the same.
        guard try FileStatus(stream).changeTime == before.changeTime,
            try XAttr.get(stream.number, LargeStreams.owner) == mark
        else { return false }
        self.unlinkLargeStream(id)
        return true
    }

    /// Whether the file that a stream says it is of says so, too.
    private func isOwned(_ id: [UInt8], _ mark: [UInt8]?) throws(FileError) -> Bool {
        guard let mark, let owner = LargeStreams.owner(mark, filesystem: self.filesystemID) else { return false }
        do {
            let file = try self.openByHandle(owner.file)
            return try XAttr.get(file.number, LargeStreams.attribute(owner.stream)) == id
        } catch {
            // Anything else may be there another time.
            guard error.status == .objectNameNotFound else { throw error }
            return false
        }
    }
}
