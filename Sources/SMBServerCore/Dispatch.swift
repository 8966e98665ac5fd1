import SMB2Wire

// The way of a request: header, sequence window, compound, signature, session, tree connect, command. [MS-SMB2] 3.3.5.2.

extension ServerState {
    /// Handles one message of a frame. What `.reply` answers with lies in `writer`, from `Reply.start` on.
    ///
    /// - Parameters:
    ///   - message: from its SMB2 header to NextCommand or the frame's end.
    ///   - frame: carries what a related message takes over from the one before it.
    package mutating func process(
        _ message: RawSpan, _ frame: inout RequestFrame, signature: SignatureCheck, into writer: inout WireWriter
    ) -> Outcome {
        let outcome = self.processMessage(message, &frame, signature: signature, into: &writer)
        self.carryOutWoken()
        return outcome
    }

    mutating func processMessage(
        _ message: RawSpan, _ frame: inout RequestFrame, signature: SignatureCheck, into writer: inout WireWriter
    ) -> Outcome {
        if let id = frame.deferredBehind { return self.deferMessage(message, frame, behind: id, signature: signature) }
        let header: SMB2Header
        do throws(WireError) { header = try SMB2Header(parsing: message) } catch { return .disconnect("\(error)") }
        guard !header.isResponse else { return .disconnect("a response from a client") }
        guard let connection = self.connections[frame.connection] else { return .disconnect("unknown connection") }
        self.statistics.requests &+= 1
        frame.messages += 1
        guard frame.messages <= Limits.messagesPerCompound else { return .disconnect("compound too long") }

        if header.command == .cancel {
            self.cancel(header, frame.connection)
            return .silent
        }
        let charge = connection.supportsMultiCredit ? header.creditCharge : 1
        guard self.connections[frame.connection]?.window.consume(header.messageID, charge: charge) == true else {
            return .disconnect("message id \(header.messageID) outside of the sequence window")
        }
        guard connection.state == .negotiated || header.command == .negotiate else {
            return .disconnect("command \(header.commandCode) before NEGOTIATE")
        }

        var request = Request(
            header: header, connection: frame.connection, isEncrypted: frame.encryptedFor != nil,
            isSigned: header.isSigned && signature == .valid, session: header.sessionID, treeID: header.treeID,
            isLastOfFrame: frame.isLast, relatedFileID: nil, replyStart: writer.count, dialect: connection.dialect)
        request.isFirstOfFrame = frame.messages == 1
        var outcome: Outcome
        var isRelated = false
        do throws(SMBError) {
            try self.relate(&request, frame)
            isRelated = true
            if request.header.isRelated, let command = header.command, Self.namesFile(command),
                let error = frame.createError
            {
                throw SMBError(error, "the related CREATE failed")
            }
            if let session = frame.encryptedFor, session != request.session {
                return .disconnect("encrypted for another session")
            }
            try self.admit(&request, signature)
            writer.claimHeader()
            outcome = try self.perform(message, &request, into: &writer)
        } catch {
            outcome = self.answer(error, message, &request, &frame, into: &writer)
        }
        let status = self.settle(&outcome, &request, into: &writer)
        if frame.deferredBehind == nil { frame.advance(past: request, status: status, isRelated: isRelated) }
        return outcome
    }

    /// A request failed, or has to wait.
    private mutating func answer(
        _ error: SMBError, _ message: RawSpan, _ request: inout Request, _ frame: inout RequestFrame,
        into writer: inout WireWriter
    ) -> Outcome {
        var error = error
        if let file = error.awaitedFile {
            do throws(SMBError) {
                return try self.deferOperation(message, request, &frame, file: file, into: &writer)
            } catch let refusal { error = refusal }
        }
        self.noteFailure(error, request)
        return .reply(self.fail(&request, error, into: &writer))
    }

    /// A related message works in the session, on the tree and the file of the one before it. 3.3.5.2.7.2.
    private func relate(_ request: inout Request, _ frame: RequestFrame) throws(SMBError) {
        guard request.header.isRelated else { return }
        guard frame.canRelate else { throw SMBError(.invalidParameter, "related to nothing") }
        request.session = frame.sessionID
        request.treeID = frame.treeID
        request.relatedFileID = frame.fileID
        switch frame.status {
        case .userSessionDeleted, .networkNameDeleted, .networkSessionExpired:
            throw SMBError(.invalidParameter, "related to a request without session or tree")
        default: break
        }
    }

    private static func namesFile(_ command: SMB2Command) -> Bool {
        switch command {
        case .close, .flush, .read, .write, .lock, .ioctl, .queryDirectory, .changeNotify, .queryInfo, .setInfo: true
        default: false
        }
    }

    /// Session, signature, encryption and tree connect. 3.3.5.2.4, 3.3.5.2.9, 3.3.5.2.11.
    private func admit(_ request: inout Request, _ signature: SignatureCheck) throws(SMBError) {
        guard let command = request.header.command else { throw SMBError(.invalidParameter, "unknown command") }
        switch command {
        case .negotiate:
            // 3.3.5.2.4: there is nothing yet to sign with.
            guard !request.header.isSigned else { throw SMBError(.invalidParameter, "a signed NEGOTIATE") }
            return
        case .sessionSetup:
            guard signature != .invalid else { throw SMBError(.accessDenied, "bad signature") }
            return
        case .echo where request.session == 0: return
        default: break
        }
        guard let session = self.sessions[request.session], session.channels.contains(request.connection),
            session.state != .inProgress
        else { throw SMBError(.userSessionDeleted) }
        guard signature != .invalid else { throw SMBError(.accessDenied, "bad signature") }
        guard !session.hasExpired(at: self.now) || command == .logoff || command == .close || command == .lock else {
            throw SMBError(.networkSessionExpired)
        }
        if session.isEncryptionRequired, !request.isEncrypted {
            throw SMBError(.accessDenied, "the session must be encrypted")
        }
        if session.isSigningRequired, !request.isSigned, !request.isEncrypted {
            throw SMBError(.accessDenied, "unsigned request")
        }
        switch command {
        case .logoff, .treeConnect, .echo: return
        default: break
        }
        guard let tree = session.trees[UInt64(request.treeID)] else { throw SMBError(.networkNameDeleted) }
        if tree.share.requiresEncryption, !request.isEncrypted {
            throw SMBError(.accessDenied, "the share must be encrypted")
        }
    }

    /// One file a command, in Commands/.
    mutating func perform(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        guard let command = request.header.command else { throw SMBError(.invalidParameter) }
        switch command {
        case .negotiate: return try self.negotiate(message, &request, into: &writer)
        case .sessionSetup: return try self.sessionSetup(message, &request, into: &writer)
        case .logoff: return try self.logoff(message, &request, into: &writer)
        case .treeConnect: return try self.treeConnect(message, &request, into: &writer)
        case .treeDisconnect: return try self.treeDisconnect(message, &request, into: &writer)
        case .create: return try self.create(message, &request, into: &writer)
        case .close: return try self.close(message, &request, into: &writer)
        case .flush: return try self.flush(message, &request, into: &writer)
        case .read: return try self.read(message, &request, into: &writer)
        case .write: return try self.write(message, &request, into: &writer)
        case .lock: return try self.lock(message, &request, into: &writer)
        case .ioctl: return try self.ioctl(message, &request, into: &writer)
        case .echo: return try self.echo(message, &request, into: &writer)
        case .queryDirectory: return try self.queryDirectory(message, &request, into: &writer)
        case .changeNotify: return try self.changeNotify(message, &request, into: &writer)
        case .queryInfo: return try self.queryInfo(message, &request, into: &writer)
        case .setInfo: return try self.setInfo(message, &request, into: &writer)
        case .oplockBreak: return try self.oplockBreak(message, &request, into: &writer)
        case .cancel: return .silent
        }
    }

    // MARK: Replies

    /// A reply whose body the command has written behind the claimed header.
    func reply(
        _ request: Request, status: NTStatus = .success, work: Work = .none, into writer: inout WireWriter
    ) -> Outcome {
        self.replyHeader(request, status: status).store(into: &writer, at: request.replyStart)
        return .reply(
            Reply(
                start: request.replyStart, protection: self.protection(of: request), work: work,
                outstanding: work.movesData ? request.outstanding : nil))
    }

    /// Replaces whatever was written for the request by an error response. [MS-SMB2] 2.2.2.
    func fail(_ request: inout Request, _ error: SMBError, into writer: inout WireWriter) -> Reply {
        writer.truncate(to: request.replyStart)
        writer.claimHeader()
        self.replyHeader(request, status: error.status).store(into: &writer, at: request.replyStart)
        error.response(request.dialect).encode(into: &writer)
        return Reply(start: request.replyStart, protection: self.protection(of: request))
    }

    /// The header of a reply; its credits are settled last.
    func replyHeader(_ request: Request, status: NTStatus) -> SMB2Header {
        var header = request.header
        header.flags = header.flags.intersection([.related, .priorityMask])
        header.flags.insert(.response)
        header.status = status
        header.nextCommand = 0
        header.signature = .zero
        header.sessionID = request.session
        header.treeID = request.treeID
        return header
    }

    /// Grants credits and says with what status the request was answered. 3.3.1.2.
    mutating func settle(
        _ outcome: inout Outcome, _ request: inout Request, into writer: inout WireWriter
    ) -> NTStatus {
        guard case .reply(let reply) = outcome else { return .success }
        let granted = self.connections[request.connection]?.window.grant(request.header.credits) ?? 0
        writer.store(granted, at: reply.start + SMB2Header.creditsOffset)
        return NTStatus(rawValue: writer.span.load(UInt32.self, at: reply.start + SMB2Header.statusOffset))
    }

    /// [MS-SMB2] 3.3.4.1.1, 3.3.4.1.4: a reply goes as its request came, and encrypted or signed where the session or the
    /// share wants it.
    func protection(of request: Request) -> Protection {
        guard request.session != 0 else { return .none }
        if request.isEncrypted { return .encrypt(session: request.session) }
        guard let session = self.sessions[request.session], session.hasKeys, session.state != .inProgress else {
            // A session that is not, or just ended: a client that signs wants even that marked as signed.
            return request.header.isSigned ? .sign(session: request.session) : .none
        }
        return request.header.isSigned || session.isSigningRequired ? .sign(session: request.session) : .none
    }

    /// [MS-SMB2] 3.3.5.2.5: the charge must pay for what is sent or asked for, 64 KiB a credit.
    func checkCharge(_ request: Request, payload: Int) throws(SMBError) {
        guard request.dialect >= .smb21 else { return }
        guard payload <= max(1, Int(request.header.creditCharge)) << 16 else {
            throw SMBError(.invalidParameter, "credit charge \(request.header.creditCharge) for \(payload) bytes")
        }
    }

    /// The session that `admit` let through.
    func session(_ request: Request) throws(SMBError) -> Session {
        guard let session = self.sessions[request.session] else { throw SMBError(.userSessionDeleted) }
        return session
    }

    func tree(_ request: Request) throws(SMBError) -> TreeConnect {
        guard let tree = self.sessions[request.session]?.trees[UInt64(request.treeID)] else {
            throw SMBError(.networkNameDeleted)
        }
        return tree
    }

    /// Overwrites the reply of work that failed by an error response. In the middle of a compound the reply keeps its
    /// length: what stands behind the error response's eight bytes means nothing. The ninth, an empty ErrorData, is the next
    /// header's first where the body was one of those that are padded to eight.
    /// - Parameter isLast: nothing follows the reply in its frame.
    package static func replaceReply(
        at start: Int, status: NTStatus, isLast: Bool, into writer: inout WireWriter
    ) {
        writer.store(status.rawValue, at: start + SMB2Header.statusOffset)
        let body = start + SMB2Header.byteCount
        if isLast { writer.truncate(to: body) }
        var error = WireWriter(capacity: 16)
        ErrorResponse().encode(into: &error)
        if isLast {
            writer.append(error.span)
        } else {
            for index in 0..<min(8, error.count) {
                writer.store(error.span.load(UInt8.self, at: index), at: body + index)
            }
        }
    }

    /// What an administrator should know of. What clients merely ask in vain would fill the log at their pleasure.
    mutating func noteFailure(_ error: SMBError, _ request: Request) {
        switch error.status {
        case .accessDenied, .badNetworkName, .insufficientResources, .tooManyOpenedFiles, .internalError,
            .ioDeviceError, .diskFull, .fileCorruptError, .unsuccessful:
            break
        default: return
        }
        guard let detail = error.detail, self.notes.count < Self.notesLimit else { return }
        self.notes.append("\(request.header.command.map { "\($0)" } ?? "command") failed: \(error.status): \(detail)")
    }
}

extension RequestFrame {
    /// A message of the frame was answered: what the next one takes over from it.
    mutating func advance(past request: Request, status: NTStatus, isRelated: Bool) {
        self.sessionID = request.session
        self.treeID = request.treeID
        self.status = status
        // A message that could not be related leaves nothing that the next could be related to.
        self.canRelate = isRelated
        if request.header.command == .create {
            self.fileID = request.fileID
            self.createError = status.isError ? status : nil
        } else if request.fileID != nil || !request.header.isRelated {
            // What follows an unrelated message that found no file has none either.
            self.fileID = request.fileID
        }
    }
}

extension SMB2Header {
    package static let statusOffset = 8
    package static let commandOffset = 12
    package static let creditsOffset = 14
    package static let flagsOffset = 16
    package static let nextCommandOffset = 20
}

extension WireWriter {
    /// Room for the reply's header, which is stored when all is known. Offsets in the body count from it.
    mutating func claimHeader() {
        self.messageStart = self.claimUncleared(SMB2Header.byteCount)
    }
}

/// Runs a parser: what a client sent malformed is STATUS_INVALID_PARAMETER.
@inline(__always)
func parsing<Value>(_ parse: () throws(WireError) -> Value) throws(SMBError) -> Value {
    do throws(WireError) { return try parse() } catch { throw SMBError(.invalidParameter, "\(error)") }
}
