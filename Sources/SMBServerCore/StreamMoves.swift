import SMB2Wire
import StateRecords

// A named stream that is given the unnamed one's name becomes its file's own data, and that may be a matter of many
// gigabytes. [MS-FSA] 2.1.5.15.11.1; [MS-SMB2] 3.3.5.21.1.
//
// The SET_INFO waits (`Deferred.swift`), and is told so when it takes long, while the shell brings the bytes there, and is
// carried out from its beginning when they are: then the stream goes, its opens are the file's, and their records say so. To
// everybody else that is one step:
// - Who reads the stream, asks about it, locks it or closes it is served meanwhile.
// - Who would change it (WRITE, SET_INFO, and the control codes that write), open it, or open the file's data waits for the
//   end, and then finds what is there: what a second rename finds is no stream any more, what a write meets is the data.
// - CANCEL, the CLOSE of the handle, the end of its session or connection and a LOGOFF end the move: the request gets the
//   status that it would get anyway, the data is emptied, and only then the others go on.
// - A client that was not answered because its connection or the server was gone repeats the request: it finds the
//   stream, or through its handle the data, by the mark that the file system keeps.

/// The bytes on their way; FileStore's `StreamMove`.
package protocol StreamMoving: AnyObject, Sendable {
    /// They are in the file's data and on stable storage afterwards. When it throws, everything is as before. Blocks.
    func carryOut() throws(SMBError)
    /// ``carryOut()`` ends soon. From any thread.
    func cancel()
    /// After ``carryOut()``: the stream goes. `handles`, all its opens, lead to the data, but are to be opened again
    /// (`reopenFile`). `isMarked`: whoever knows the file's identity and the stream's old path finds it.
    func complete(_ handles: [any FileHandle], isMarked: Bool) throws(SMBError)
    /// Instead of ``complete(_:isMarked:)``: the data is empty again. Blocks.
    func takeBack() throws(SMBError)
    /// Behind ``complete(_:isMarked:)``: the stream's bytes go back to the file system. Blocks.
    func letGo()
}

/// Of the entry of the stream's file.
struct StreamMove: Sendable {
    enum Phase: Sendable {
        case underWay
        /// The bytes are there: the request is to be carried out.
        case ready
        case failed(SMBError)
        /// Nobody waits for it any more; when the shell has told that all is as before it is over.
        case leaving
    }

    var job: any StreamMoving
    /// Key in the table of pending requests; 0 when it is gone.
    var request: UInt64
    var phase = Phase.underWay
    /// Milliseconds of the server's clock.
    var begin: UInt64
}

/// Something of it for the shell to do, on a thread of its own; then `ServerState.streamMoved`.
package struct StreamMoveOrder: Sendable {
    package enum Step: Sendable { case carryOut, takeBack, letGo }

    package var step: Step
    /// The entry.
    var file: UInt64
    var job: any StreamMoving

    /// Blocks.
    package func run() throws(SMBError) {
        switch self.step {
        case .carryOut: try self.job.carryOut()
        case .takeBack: try self.job.takeBack()
        case .letGo: self.job.letGo()
        }
    }
}

extension ServerState {
    /// The unnamed stream as a stream's new name. Throws for as long as it is not done; see `Deferred.swift`.
    mutating func makeUnnamed(
        _ open: Open, _ handle: any FileHandle, replaces: Bool, isMarked: Bool, _ fileSystem: any FileSystem
    ) throws(SMBError) {
        guard let file = self.files[open.file] else { throw SMBError(.fileClosed) }
        guard let move = file.move else {
            // Another stream of the same file is to be its data: what is there afterwards decides.
            try self.awaitMove(of: FileKey(identity: file.key.identity))
            guard self.movingFiles.count < Limits.streamMoves else {
                throw SMBError(.insufficientResources, "streams that become their files' data")
            }
            self.moveAsked = try fileSystem.beginMakingUnnamed(handle, replacesExisting: replaces)
            throw SMBError(waitsForBreak: open.file)
        }
        switch move.phase {
        case .underWay, .leaving: throw SMBError(waitsForBreak: open.file)
        case .failed(let error): throw error
        case .ready:
            let base = FileKey(identity: file.key.identity)
            let path = open.path.firstIndex(of: ":").map { String(open.path[..<$0]) } ?? open.path
            let others = try self.reopened(file.opens, as: base, at: path, fileSystem)
            try move.job.complete(file.opens.compactMap { self.opens[$0]?.handle }, isMarked: isMarked)
            for (key, handle) in others { self.opens[key]?.object = .file(handle) }
            self.streamMoveOrders.append(StreamMoveOrder(step: .letGo, file: open.file, job: move.job))
            self.endMove(of: open.file)
        }
    }

    /// What has the stream open is to have the file's own data open.
    private func reopened(
        _ opens: [UInt64], as new: FileKey, at path: String, _ fileSystem: any FileSystem
    ) throws(SMBError) -> [(key: UInt64, handle: any FileHandle)] {
        var handles: [(key: UInt64, handle: any FileHandle)] = []
        for key in opens {
            guard let open = self.opens[key] else { continue }
            handles.append(
                (key, try fileSystem.reopenFile(new, path: path, formerPath: "", access: open.grantedAccess)))
        }
        return handles
    }

    // MARK: The others

    /// Whoever opens `key` waits while a stream becomes it, or it becomes something else.
    func awaitMove(of key: FileKey) throws(SMBError) {
        for entry in self.streamIndex[key.identity] ?? [] {
            guard let file = self.files[entry], file.move != nil, key.stream.isEmpty || file.key == key else {
                continue
            }
            throw SMBError(waitsForBreak: entry)
        }
    }

    /// Whoever would change an open file waits while it moves; but for the request that moves it.
    func awaitMove(in entry: UInt64) throws(SMBError) {
        guard let move = self.files[entry]?.move, self.carriedOut == nil || move.request != self.carriedOut else {
            return
        }
        throw SMBError(waitsForBreak: entry)
    }

    // MARK: The course of it

    /// The request that asked for a move waits for it as `id`.
    mutating func begin(_ job: (any StreamMoving)?, of file: UInt64, for id: UInt64) {
        guard let job else { return }
        self.files[file]?.move = StreamMove(job: job, request: id, begin: self.now)
        self.movingFiles.insert(file)
        self.streamMoveOrders.append(StreamMoveOrder(step: .carryOut, file: file, job: job))
    }

    /// The waiting request `id` leaves the tables: it was answered, or nobody is there to be.
    mutating func leaveMove(of file: UInt64, _ id: UInt64) {
        guard let move = self.files[file]?.move, move.request == id else { return }
        self.files[file]?.move?.request = 0
        self.files[file]?.move?.phase = .leaving
        switch move.phase {
        case .underWay: move.job.cancel()
        case .ready: self.streamMoveOrders.append(StreamMoveOrder(step: .takeBack, file: file, job: move.job))
        case .failed: self.endMove(of: file)
        case .leaving: break
        }
    }

    /// The shell has done its part, or could not.
    package mutating func streamMoved(_ order: StreamMoveOrder, failure: SMBError?) {
        guard order.step != .letGo else { return }
        guard let move = self.files[order.file]?.move else { preconditionFailure("a move of no file") }
        switch move.phase {
        case .underWay:
            self.files[order.file]?.move?.phase = failure.map { .failed($0) } ?? .ready
            self.wake(order.file)
        case .leaving where order.step == .carryOut && failure == nil:
            self.streamMoveOrders.append(StreamMoveOrder(step: .takeBack, file: order.file, job: move.job))
        case .leaving:
            // Of what is cancelled that it was says nothing.
            if let failure, failure.status != .cancelled { self.note(failure) }
            self.endMove(of: order.file)
        case .ready, .failed: preconditionFailure("a move that ended twice")
        }
        self.carryOutWoken()
    }

    /// Of what takes long the client is told that it does: Windows gives a connection up on which a request is not heard of for a
    /// minute.
    mutating func tellOfMoves() {
        for file in self.movingFiles.sorted() {
            guard let move = self.files[file]?.move, move.request != 0,
                self.now &- move.begin >= Limits.silentMoveMilliseconds
            else { continue }
            self.tellPending(move.request)
        }
    }

    private mutating func endMove(of file: UInt64) {
        self.files[file]?.move = nil
        self.movingFiles.remove(file)
        self.wake(file)
        self.dropFileEntryIfUnused(file)
    }
}
