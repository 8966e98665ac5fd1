import SMB2Wire

/// A request that waits for an oplock break, or for a stream that becomes its file's data (StreamMoves.swift), and is then
/// carried out anew, with what follows it in its compound. [MS-SMB2] 3.3.4.2, 3.3.5.2.7.
package struct DeferredOperation: Sendable {
    package struct Message: Sendable {
        var bytes: [UInt8]
        var signature: SignatureCheck
        var isLast: Bool
    }

    var request: Request
    var message: [UInt8]
    /// As it was before the request.
    var frame: RequestFrame
    /// The messages behind it.
    var rest: [Message] = []
    /// The file whose break it waits for.
    var file: UInt64
    /// DH2Q: a repetition of the request is recognised.
    var create: CreateKey?
    /// It is not to be carried out any more but answered with this.
    var ending: NTStatus?
    /// The rename of a directory: files beneath it whose holders are asked to close them.
    var askedToClose: Set<UInt64>?

    /// The frame's last message is here: the shell gives them one by one.
    var isComplete: Bool { self.isAlone || self.rest.last?.isLast ?? self.request.isLastOfFrame }
    /// What stood behind it is not carried out.
    private(set) var isAlone = false

    mutating func dropRest() {
        self.rest = []
        self.isAlone = true
    }

    var byteCount: Int { self.rest.reduce(self.message.count) { $0 + $1.bytes.count } }
}

/// The rest of a compound that goes on when the shell has done the work of a message in it.
struct Continuation: Sendable {
    var frame: RequestFrame
    var rest: ArraySlice<DeferredOperation.Message>
}

extension SMBError {
    /// Not a failure: the request must wait for a break on this file, or for its move. `ServerState.process` sees to it.
    init(waitsForBreak file: UInt64) {
        self.init(.pending, "waits for an oplock break")
        self.awaitedFile = file
    }
}

extension ServerState {
    /// Makes a request wait for a break. Its interim response is the returned reply, where it is told.
    mutating func deferOperation(
        _ message: RawSpan, _ request: Request, _ frame: inout RequestFrame, file: UInt64, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let move = self.moveAsked.take()
        guard self.canHold(message.byteCount, of: request.connection),
            self.files[file]?.waitingOperations.count ?? 0 < Limits.waitingPerFile
        else { throw SMBError(.insufficientResources, "waiting requests") }
        let bytes = message.bytes(in: 0..<message.byteCount)
        var operation = DeferredOperation(request: request, message: bytes, frame: frame, file: file)
        operation.create = self.createKey(bytes, request)
        swap(&operation.askedToClose, &self.filesAskedToClose)
        let (id, outcome) = try self.pend(
            request, open: request.header.command == .create ? 0 : request.fileID?.volatile ?? 0,
            kind: .operation(operation), into: &writer)
        self.hold(bytes.count, of: request.connection)
        self.files[file]?.waitingOperations.append(id)
        self.begin(move, of: file, for: id)
        if let create = operation.create { self.pendingCreates[create] = id }
        if !request.isLastOfFrame {
            frame.deferredBehind = id
            // Whose key the shell checks the following signatures with.
            frame.sessionID = request.session
            frame.canRelate = true
        }
        return outcome
    }

    /// Which of these a request asks for: when it is carried out again, those of the first time.
    mutating func askedToClose(_ files: Set<UInt64>) -> Set<UInt64> {
        if let id = self.carriedOut, case .operation(let operation)? = self.pending[id]?.kind,
            let asked = operation.askedToClose
        {
            return asked
        }
        self.filesAskedToClose = files
        return files
    }

    private func canHold(_ byteCount: Int, of connection: Connection.ID) -> Bool {
        guard let held = self.connections[connection]?.deferredByteCount else { return false }
        return byteCount <= Limits.deferredByteCount - held
            && byteCount <= Int(self.configuration.limits[.heldBytes]) - self.usage.heldBytes
    }

    private mutating func hold(_ byteCount: Int, of connection: Connection.ID) {
        self.connections[connection]?.deferredByteCount += byteCount
        self.usage.heldBytes += byteCount
    }

    private func createKey(_ message: [UInt8], _ request: Request) -> CreateKey? {
        guard request.header.command == .create, let connection = self.connections[request.connection],
            let create = try? CreateRequest(parsing: message.span.bytes),
            let durable = create.contexts.durableRequestV2
        else { return nil }
        return CreateKey(createGUID: durable.createGUID, clientGUID: connection.clientGUID)
    }

    /// A message whose compound waits in front of it.
    mutating func deferMessage(
        _ message: RawSpan, _ frame: RequestFrame, behind id: UInt64, signature: SignatureCheck
    ) -> Outcome {
        guard case .operation(var operation)? = self.pending[id]?.kind,
            self.canHold(message.byteCount, of: frame.connection)
        else { return .disconnect("a compound that cannot wait") }
        operation.rest.append(
            .init(bytes: message.bytes(in: 0..<message.byteCount), signature: signature, isLast: frame.isLast))
        self.hold(message.byteCount, of: frame.connection)
        self.pending[id]?.kind = .operation(operation)
        // Whatever it waits for may be over since.
        if frame.isLast { self.wake(operation.file) }
        return .silent
    }

    /// Something that requests wait for on this file has changed; see `carryOutWoken`.
    mutating func wake(_ file: UInt64) {
        guard self.files[file]?.waitingOperations.isEmpty == false, !self.wokenFiles.contains(file) else { return }
        self.wokenFiles.append(file)
    }

    /// Carries the woken requests out, the oldest first. Called when the event that woke them has been dealt with.
    mutating func carryOutWoken() {
        while !self.wokenFiles.isEmpty {
            let file = self.wokenFiles.removeFirst()
            for id in self.files[file]?.waitingOperations ?? [] { self.carryOut(id) }
            self.dropFileEntryIfUnused(file)
        }
    }

    /// Answers a waiting request with a status instead of carrying it out.
    mutating func giveUp(_ id: UInt64, status: NTStatus) {
        guard case .operation(var operation)? = self.pending[id]?.kind else { return }
        operation.ending = operation.ending ?? status
        self.pending[id]?.kind = .operation(operation)
        self.wake(operation.file)
    }

    private mutating func carryOut(_ id: UInt64) {
        guard let pending = self.pending[id], case .operation(let operation) = pending.kind, operation.isComplete else {
            return
        }
        var request = operation.request
        var writer = WireWriter(capacity: 256)
        request.replyStart = 0
        writer.claimHeader()
        var outcome: Outcome
        self.carriedOut = id
        do throws(SMBError) {
            if let status = operation.ending { throw SMBError(status) }
            outcome = try self.perform(operation.message.span.bytes, &request, into: &writer)
        } catch {
            if let file = error.awaitedFile {
                self.carriedOut = nil
                self.moveWaiting(id, operation, to: file)
                self.begin(self.moveAsked.take(), of: file, for: id)
                return
            }
            self.noteFailure(error, request)
            outcome = .reply(self.fail(&request, error, into: &writer))
        }
        self.carriedOut = nil
        self.forgetOperation(id, operation)
        self.pending.remove(id)
        self.connections[pending.connection]?.asyncCount -= 1
        guard !pending.isOrphaned else { return }
        guard case .reply(let reply) = outcome else { return self.disconnects.append(pending.connection) }

        var header = self.replyHeader(request, status: NTStatus(rawValue: writer.span.load(UInt32.self, at: 8)))
        let status = header.status
        header.flags.remove(.related)
        if pending.isSilent {
            header.credits = self.connections[pending.connection]?.window.grant(pending.header.credits) ?? 0
        } else {
            header.flags.insert(.async)
            header.asyncID = id
            // The credits were granted with the interim response.
            header.credits = 0
        }
        header.store(into: &writer, at: 0)
        self.completions.append(
            Completion(
                connection: pending.connection, message: writer.bytes, protection: pending.protection, work: reply.work,
                request: operation.message, answers: pending.isSilent ? id : nil,
                isOrdered: pending.isOrdered || pending.isSilent, outstanding: reply.outstanding))

        var frame = operation.frame
        frame.advance(past: request, status: status, isRelated: true)
        frame.deferredBehind = nil
        self.carryOutRest(operation.rest[...], frame, id)
    }

    /// What stands behind a request that was carried out late. A message that reads or writes is carried out by the shell
    /// before the next one is looked at: that may ask for the size that it makes.
    private mutating func carryOutRest(
        _ rest: ArraySlice<DeferredOperation.Message>, _ frame: RequestFrame, _ id: UInt64
    ) {
        var frame = frame
        for index in rest.indices {
            let message = rest[index]
            frame.isLast = message.isLast
            var writer = WireWriter(capacity: 256)
            let outcome = self.processMessage(
                message.bytes.span.bytes, &frame, signature: message.signature, into: &writer)
            switch outcome {
            case .reply(let reply):
                var completion = Completion(
                    connection: frame.connection, message: writer.bytes, protection: reply.protection,
                    work: reply.work, request: message.bytes, outstanding: reply.outstanding)
                completion.isOrdered = true
                let left = rest[(index + 1)...]
                if reply.work.movesData, !left.isEmpty {
                    completion.continuation = id
                    self.continuations[id] = Continuation(frame: frame, rest: left)
                    self.completions.append(completion)
                    return
                }
                self.completions.append(completion)
            case .silent, .waiting: break
            case .authenticate, .disconnect:
                // Nobody authenticates behind an operation on a file.
                self.disconnects.append(frame.connection)
                return
            }
        }
    }

    /// The work of a completion is done: goes on with what stands behind it.
    package mutating func continueCompound(_ id: UInt64) {
        guard let continuation = self.continuations.removeValue(forKey: id) else { return }
        self.carryOutRest(continuation.rest, continuation.frame, id)
        self.carryOutWoken()
    }

    private mutating func moveWaiting(_ id: UInt64, _ operation: DeferredOperation, to file: UInt64) {
        guard file != operation.file else { return }
        var operation = operation
        self.files[operation.file]?.waitingOperations.removeAll { $0 == id }
        operation.file = file
        self.files[file]?.waitingOperations.append(id)
        self.pending[id]?.kind = .operation(operation)
    }

    /// A channel ends whose session has others. The CREATEs that wait on it and have a CreateGuid go on: the client sends them
    /// again over another channel, is told to wait for as long as they do (``replay``), and finds what they opened. What stood
    /// behind them in their compounds comes with the repetition. [MS-SMB2] 3.2.7.1; 3.3.7.1 would cancel them, which neither
    /// Windows nor Samba does.
    mutating func orphanCreates(of connection: Connection.ID) {
        guard self.connections[connection]?.asyncCount ?? 0 > 0 else { return }
        for id in self.pending.keys {
            guard var pending = self.pending[id], pending.connection == connection,
                case .operation(var operation) = pending.kind, operation.create != nil, operation.ending == nil,
                let heir = self.sessions[pending.session]?.channels.first
            else { continue }
            self.hold(-operation.byteCount, of: connection)
            operation.dropRest()
            operation.request.connection = heir
            self.hold(operation.byteCount, of: heir)
            self.connections[heir]?.asyncCount += 1
            pending.isOrphaned = true
            pending.connection = heir
            pending.kind = .operation(operation)
            self.pending[id] = pending
        }
    }

    /// A waiting request leaves the tables.
    mutating func forgetOperation(_ id: UInt64, _ operation: DeferredOperation) {
        self.files[operation.file]?.waitingOperations.removeAll { $0 == id }
        self.leaveMove(of: operation.file, id)
        self.hold(-operation.byteCount, of: operation.request.connection)
        if let create = operation.create, self.pendingCreates[create] == id { self.pendingCreates[create] = nil }
    }
}
