import SMB2Wire

/// A request that is answered later; its client got an interim response with an AsyncId, unless it `isSilent`.
/// [MS-SMB2] 3.3.4.2.
package struct PendingRequest: Sendable {
    package enum Kind: Sendable {
        /// Waits for a byte range. 3.3.5.14.2.
        case lock(ByteRangeLock, sequenceIndex: UInt32, sequenceNumber: UInt8)
        /// Waits for a change in a directory; the answer holds at most this many bytes. 3.3.5.19.
        case notify(outputLength: Int)
        /// READ, or the control code of an IOCTL: waits for at most this many bytes of a pipe. 3.3.5.12, 3.3.5.15.10.
        case pipe(limit: Int, control: ControlCode?)
        /// Waits for an oplock break, to be carried out then. 3.3.4.6, 3.3.4.7.
        case operation(DeferredOperation)

        var isOperation: Bool {
            if case .operation = self { true } else { false }
        }
    }

    /// The request's header.
    package var header: SMB2Header
    package var connection: Connection.ID
    package var session: UInt64
    package var treeID: UInt32
    package var protection: Protection
    /// The open it works on; 0 for a CREATE.
    package var open: UInt64
    package var kind: Kind
    /// Its interim response was sent by itself, and must not be overtaken.
    package var isOrdered = false
    /// SET_INFO: a rename or a deletion that waits for a break, of which Windows says nothing until it is done. Its answer is
    /// like that of a request that did not wait. Unless it was told later.
    package var isSilent: Bool { self.header.command == .setInfo && !self.isTold }
    var isTold = false
    /// The channel over which it came has ended, and nobody waits for the answer: it is carried out for its repetition.
    package var isOrphaned = false
}

extension ServerState {
    /// Makes a request wait. Its interim response is the returned reply, where it is told.
    mutating func pend(
        _ request: Request, open: UInt64, kind: PendingRequest.Kind, into writer: inout WireWriter
    ) throws(SMBError) -> (id: UInt64, outcome: Outcome) {
        guard request.isLastOfFrame || kind.isOperation else {
            // Later messages of the compound may need this one's result, and cannot wait with it. 3.3.5.2.7.
            throw SMBError(.internalError, "asynchronous in the middle of a compound")
        }
        guard let count = self.connections[request.connection]?.asyncCount, count < Limits.asyncPerConnection else {
            throw SMBError(.insufficientResources, "asynchronous requests")
        }
        if case .notify = kind, self.usage.notifies >= Int(self.configuration.limits[.notifies]) {
            throw SMBError(.insufficientResources, "change notifications")
        }
        let protection = self.protection(of: request)
        let pending = PendingRequest(
            header: request.header, connection: request.connection, session: request.session, treeID: request.treeID,
            protection: protection, open: open, kind: kind)
        guard let id = self.pending.insert(pending) else {
            throw SMBError(.insufficientResources, "table of pending requests")
        }
        self.connections[request.connection]?.asyncCount += 1
        if case .notify = kind { self.usage.notifies += 1 }
        if pending.isSilent {
            writer.truncate(to: request.replyStart)
            return (id, .waiting(id))
        }

        let reply = self.writeInterim(request, id, protection, into: &writer)
        guard request.isEncrypted, !request.isFirstOfFrame else { return (id, .reply(reply)) }
        self.sendAlone(reply, request, id, into: &writer)
        return (id, .silent)
    }

    private func writeInterim(
        _ request: Request, _ id: UInt64, _ protection: Protection, into writer: inout WireWriter
    ) -> Reply {
        writer.truncate(to: request.replyStart + SMB2Header.byteCount)
        var header = self.replyHeader(request, status: .pending)
        header.flags.insert(.async)
        header.asyncID = id
        header.store(into: &writer, at: request.replyStart)
        ErrorResponse().encode(into: &writer)
        // An interim response carries no signature: it has the final one's MessageId, and with it a GMAC's nonce.
        var reply = Reply(start: request.replyStart, protection: protection)
        if case .sign = protection { reply.protection = .none }
        return reply
    }

    /// Of a request that was silent so far; not within a compound, whose answers keep together.
    mutating func tellPending(_ id: UInt64) {
        guard let pending = self.pending[id], pending.isSilent, case .operation(let operation) = pending.kind,
            operation.request.isFirstOfFrame, operation.request.isLastOfFrame
        else { return }
        var request = operation.request
        request.replyStart = 0
        var writer = WireWriter(capacity: 128)
        writer.claimHeader()
        let interim = self.writeInterim(request, id, pending.protection, into: &writer)
        self.sendAlone(interim, request, id, into: &writer)
        self.pending[id]?.isTold = true
    }

    /// An interim response at the end of a frame that is encrypted as a whole: Linux's client drops what stands before it
    /// there.
    private mutating func sendAlone(
        _ interim: Reply, _ request: Request, _ id: UInt64, into writer: inout WireWriter
    ) {
        let granted = self.connections[request.connection]?.window.grant(request.header.credits) ?? 0
        writer.store(granted, at: interim.start + SMB2Header.creditsOffset)
        let message = writer.span.bytes(in: interim.start..<writer.count)
        writer.truncate(to: interim.start)
        self.pending[id]?.isOrdered = true
        self.completions.append(
            Completion(
                connection: request.connection, message: message, protection: interim.protection, isOrdered: true))
    }

    /// Answers a pending request. `body` writes the reply behind its header; without it an error response is sent.
    mutating func complete(
        _ id: UInt64, status: NTStatus, body: ((inout WireWriter) -> Void)? = nil
    ) {
        if self.pending[id]?.kind.isOperation == true { return self.giveUp(id, status: status) }
        guard let pending = self.pending.remove(id) else { return }
        self.connections[pending.connection]?.asyncCount -= 1
        if case .notify = pending.kind { self.usage.notifies -= 1 }
        if case .lock = pending.kind, let file = self.opens[pending.open]?.file {
            self.files[file]?.waitingLocks.removeAll { $0 == id }
        }
        if case .pipe = pending.kind { self.leavePipe(pending.open, waiting: id) }
        self.opens[pending.open]?.notification?.waiting.removeAll { $0 == id }
        var writer = WireWriter(capacity: 128)
        var header = pending.header
        header.flags = [.response, .async]
        header.flags.formUnion(pending.header.flags.intersection(.priorityMask))
        header.asyncID = id
        header.status = status
        // The credits were granted with the interim response.
        header.credits = 0
        header.nextCommand = 0
        header.signature = .zero
        header.sessionID = pending.session
        header.encode(into: &writer)
        if let body { body(&writer) } else { ErrorResponse().encode(into: &writer) }
        self.completions.append(
            Completion(
                connection: pending.connection, message: writer.bytes, protection: pending.protection,
                isOrdered: pending.isOrdered))
    }

    /// Ends the pending requests that `matches` with an error; those that wait for a lock, a change or a pipe with their
    /// own ones.
    mutating func cancelPending(
        status: NTStatus, lockStatus: NTStatus? = nil, notifyStatus: NTStatus? = nil, pipeStatus: NTStatus? = nil,
        where matches: (PendingRequest) -> Bool
    ) {
        guard self.pending.count > 0 else { return }
        for id in self.pending.keys {
            guard let pending = self.pending[id], matches(pending) else { continue }
            switch pending.kind {
            case .notify: self.complete(id, status: notifyStatus ?? status)
            case .lock: self.complete(id, status: lockStatus ?? status)
            case .pipe: self.complete(id, status: pipeStatus ?? status)
            case .operation: self.giveUp(id, status: status)
            }
        }
    }

    /// Forgets pending requests whose connection is gone: nobody could be answered.
    mutating func dropPending(where matches: (PendingRequest) -> Bool) {
        guard self.pending.count > 0 else { return }
        for id in self.pending.keys {
            guard let pending = self.pending[id], matches(pending) else { continue }
            if case .operation(let operation) = pending.kind {
                self.forgetOperation(id, operation)
                self.pending.remove(id)
                self.dropFileEntryIfUnused(operation.file)
                continue
            }
            self.complete(id, status: .cancelled)
            self.completions.removeLast()
        }
    }
}
