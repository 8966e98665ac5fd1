import CLinux
import Glibc
import SMB2Wire
import Synchronization

/// A named stream that becomes its file's own data: FileRenameInformation to "::$DATA", [MS-FSA] 2.1.5.15.11.1.
///
/// The data must be empty and nobody may have it open until the move has ended; the caller sees to that. ``run()`` brings the
/// bytes there and to stable storage, for as long as that takes: where the file system can, the blocks become shared
/// (FICLONE), else they are copied. What is written to the stream meanwhile is refused. ``commit(_:isMarked:)`` then takes
/// the stream away, or ``undo()`` the data, and either way the move has ended.
///
/// After a crash it is the one or the other as well. Before the first byte, `.holdfast/moves/ID` on stable storage says what
/// is on its way; it goes last. The next start finds it (``Volume/undoUnfinishedMoves()``): where the stream still is, the file's
/// data is emptied. A file system's log keeps the order of its changes, as XFS and ext4 do.
package final class StreamMove: Sendable {
    /// A symbolic link in this directory leads nowhere: the file and its stream, `LargeStreams.mark` in hexadecimal digits.
    static let directory = "moves"

    private let file: OpenFile
    private let stream: [UInt8]
    /// The file's own.
    private let data: Descriptor
    private let source = Mutex<StreamContents?>(nil)
    /// Its name in `directory`, while it is there.
    private let entry = Mutex<[UInt8]?>(nil)
    private let cancelled = Atomic(false)
    private let fills = Atomic(false)

    private var volume: Volume { self.file.volume }

    fileprivate init(_ file: OpenFile, stream: [UInt8]) throws(FileError) {
        self.file = file
        self.stream = stream
        self.data = try file.handle.reopened(O_RDWR, "open a file's data")
    }

    /// Of one that did not end: what it leaves is the next start's.
    deinit {
        if let id = self.entry.withLock({ $0 }) { StreamClaims.end(id) }
        if self.fills.load(ordering: .acquiring) { StreamClaims.release(self.file.identity) }
    }

    /// ``run()`` ends soon, unless it is as good as done. From any thread.
    package func cancel() { self.cancelled.store(true, ordering: .releasing) }

    private func requireWanted() throws(FileError) {
        if self.cancelled.load(ordering: .acquiring) { throw FileError(.cancelled, "move a stream") }
    }

    /// Blocks the caller. When it throws, everything is as it was before.
    package func run() throws(FileError) {
        do throws(FileError) {
            try self.begin()
            try self.note()
            try self.fill()
            try check(clinux_fsync(self.data.number), "flush what a stream becomes")
            try self.requireWanted()
        } catch {
            try self.undo()
            throw error
        }
    }

    private func begin() throws(FileError) {
        // Who makes a snapshot has the file for a moment.
        while !StreamClaims.claim(self.file.identity, self.stream) {
            try self.requireWanted()
            usleep(StreamClaims.waitMicroseconds)
        }
        do throws(FileError) {
            // No change of the stream is half done.
            try self.volume.streamChanges.withLock { _ throws(FileError) in
                guard try FileStatus(self.data).size == 0 else {
                    throw FileError(.objectNameCollision, "rename a stream onto one with data")
                }
                var contents = try self.volume.streamContents(self.stream, of: self.file.handle.number)
                guard contents != nil else { throw FileError(.fileDeleted, "rename a stream that was deleted") }
                self.source.withLock { $0 = contents.take() }
            }
        } catch {
            StreamClaims.release(self.file.identity)
            throw error
        }
        self.fills.store(true, ordering: .releasing)
    }

    /// Where the server may keep nothing of its own there is no stream larger than an attribute, which is written at once: a crash
    /// leaves it twice at worst.
    private func note() throws(FileError) {
        let id = LargeStreams.newID()
        do throws(FileError) {
            guard let place = try self.volume.movePlace(makes: true) else { return }
            let what = Hexadecimal.digits(LargeStreams.mark(self.file.identity, self.stream))
            StreamClaims.begin(id)
            self.entry.withLock { $0 = id }
            let result = withTerminated(what) { to in withTerminated(id) { clinux_symlinkat(to, place.number, $0) } }
            try check(result, "note the move of a stream")
            try check(clinux_fsync(place.number), "flush the folder of the moves")
        } catch {
            guard [EACCES, EPERM].contains(error.code) else { throw error }
            StreamClaims.end(id)
            self.entry.withLock { $0 = nil }
        }
    }

    private func fill() throws(FileError) {
        let data = self.data.number
        let result = self.source.withLock { source in
            Result { () throws(FileError) in
                switch source {
                case .small(let bytes): try Volume.writeAll(bytes, to: data)
                case .large(let file):
                    try Volume.copyContents(of: file, to: data) { () throws(FileError) in
                        try self.requireWanted()
                        // Little is left for the end, which cannot be cancelled.
                        try check(clinux_fdatasync(data), "flush what a stream becomes")
                    }
                case nil: preconditionFailure("a move without a source")
                }
            }
        }
        try result.get()
    }

    /// The stream is the file's data from now on, for all who have it open: `opens`. After ``run()``; does not wait for a disk.
    ///
    /// - Parameter isMarked: whoever knows the file's identity and the stream's old name finds it again.
    package func commit(_ opens: [OpenFile], isMarked: Bool) throws(FileError) {
        precondition(self.fills.load(ordering: .acquiring), "a move that was not carried out")
        let number = self.file.handle.number
        try self.volume.streamChanges.withLock { _ throws(FileError) in
            guard try self.volume.streamContents(self.stream, of: number) != nil else {
                throw FileError(.fileDeleted, "rename a stream that was deleted")
            }
            if isMarked { try RenameMark.write(number, stream: self.stream, to: nil) }
            // What reads it just now finds the same bytes in either place.
            for open in opens { open.adoptData() }
            try self.volume.removeStream(self.stream, of: number)
            try self.forget()
        }
        self.fills.store(false, ordering: .releasing)
        StreamClaims.release(self.file.identity)
    }

    /// The data is empty again, the stream what it was. Blocks the caller.
    package func undo() throws(FileError) {
        self.close()
        guard self.fills.load(ordering: .acquiring) else { return }
        try check(clinux_ftruncate(self.data.number, 0), "empty what a stream did not become")
        try self.forget()
        self.fills.store(false, ordering: .releasing)
        StreamClaims.release(self.file.identity)
    }

    /// Lets go of the stream's bytes: where it was taken away they are given back to the file system now, which may take long.
    package func close() { self.source.withLock { $0 = nil } }

    private func forget() throws(FileError) {
        guard let id = self.entry.withLock({ $0 }), let place = try self.volume.movePlace() else { return }
        let result = withTerminated(id) { clinux_unlinkat(place.number, $0, 0) }
        if !failed(result, ENOENT) { try check(result, "forget the move of a stream") }
        self.entry.withLock { $0 = nil }
        StreamClaims.end(id)
    }
}

/// Files whose streams and data belong together for the moment: of all volumes, shares may lie within each other.
enum StreamClaims {
    /// Between two looks at a claim that somebody else has.
    static let waitMicroseconds: UInt32 = 2000

    private struct State {
        /// The stream that is on its way; nil: a snapshot is made of the file.
        var files: [FileIdentity: [UInt8]?] = [:]
        /// Names in `StreamMove.directory`.
        var moves: Set<[UInt8]> = []
    }

    private static let state = Mutex(State())

    /// False where somebody else has it.
    static func claim(_ file: FileIdentity, _ stream: [UInt8]?) -> Bool {
        self.state.withLock { state in
            guard state.files[file] == nil else { return false }
            state.files.updateValue(stream, forKey: file)
            return true
        }
    }

    static func release(_ file: FileIdentity) { self.state.withLock { _ = $0.files.removeValue(forKey: file) } }

    static func isMoving(_ file: FileIdentity, _ stream: [UInt8]) -> Bool {
        self.state.withLock { $0.files[file] == .some(stream) }
    }

    static func begin(_ move: [UInt8]) { self.state.withLock { _ = $0.moves.insert(move) } }
    static func end(_ move: [UInt8]) { self.state.withLock { _ = $0.moves.remove(move) } }
    static func isUnderWay(_ move: [UInt8]) -> Bool { self.state.withLock { $0.moves.contains(move) } }
}

extension Volume {
    fileprivate func movePlace(makes: Bool = false) throws(FileError) -> Descriptor? {
        try self.ownPlace([Array(StreamMove.directory.utf8)], makes: makes)
    }

    /// The first look at FileRenameInformation to the unnamed stream; nothing has happened yet.
    package func beginMakingUnnamed(_ file: OpenFile, replaceExisting: Bool) throws(FileError) -> StreamMove {
        try self.requireWritable()
        guard let stream = file.streamName else { throw FileError(.invalidParameter, "rename what is no stream") }
        let status = try FileStatus(file.handle)
        guard status.isRegular else { throw FileError(.invalidParameter, "a directory has no unnamed stream") }
        guard replaceExisting else {
            throw FileError(.objectNameCollision, "rename a stream onto the unnamed one, which is always there")
        }
        guard status.size == 0 else { throw FileError(.objectNameCollision, "rename a stream onto one with data") }
        return try StreamMove(file, stream: stream)
    }

    /// What a crash interrupted is as if it had never begun, or, where the stream went already, done. Before anybody is served.
    func undoUnfinishedMoves() throws(FileError) {
        let opened: Descriptor?
        do throws(FileError) { opened = try self.movePlace() } catch {
            // Not the server's own place, if there is one: see `note`.
            if [EACCES, EPERM].contains(error.code) { return }
            guard [ENOTDIR, ELOOP].contains(error.code) else { throw error }
            self.options.log("the notes of moves are not read: \(error)")
            return
        }
        guard let place = opened else { return }
        for id in try Self.names(in: place.number) where LargeStreams.isID(id) && !StreamClaims.isUnderWay(id) {
            do throws(FileError) { try self.undoMove(noted: id, in: place) } catch {
                // What the disk cannot do now must be done before anybody is served; what no server noted is nobody's
                // to undo.
                guard error.code == 0 || error.code == EINVAL else { throw error }
                let name = String(decoding: id, as: UTF8.self)
                self.options.log("\(name) among the notes of moves is left alone: \(error)")
                continue
            }
            try check(withTerminated(id) { clinux_unlinkat(place.number, $0, 0) }, "forget the move of a stream")
        }
    }

    private func undoMove(noted id: [UInt8], in place: borrowing Descriptor) throws(FileError) {
        let folder = place.number
        let link = try Descriptor(
            result: withTerminated(id) { clinux_openat(folder, $0, clinux_o_path | O_NOFOLLOW | O_CLOEXEC, 0) },
            "open the note of a move")
        guard try FileStatus(link).type == S_IFLNK, let mark = Hexadecimal.bytes(try linkTarget(link.number)),
            let owner = LargeStreams.owner(mark, filesystem: self.filesystemID)
        else { throw FileError(.invalidParameter, "a note that says nothing of a move") }
        try self.undoMove(of: owner.stream, owner.file)
    }

    private func undoMove(of stream: [UInt8], _ identity: FileIdentity) throws(FileError) {
        let file: Descriptor
        do throws(FileError) { file = try self.openByHandle(identity) } catch {
            guard error.status == .objectNameNotFound else { throw error }
            return
        }
        guard try FileStatus(file).isRegular else { throw FileError(.invalidParameter, "a move of what has no data") }
        guard try self.streamContents(stream, of: file.number) != nil else { return }
        let data = try file.reopened(O_RDWR, "open a file's data")
        try check(clinux_ftruncate(data.number, 0), "empty what a stream did not become")
    }
}
