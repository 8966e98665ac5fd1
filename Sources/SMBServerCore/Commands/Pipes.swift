import SMB2Wire

/// Named pipes on IPC$. [MS-SMB2] 3.3.5.9 (open), 3.3.5.12 (read), 3.3.5.13 (write), 3.3.5.15.4 (peek), 3.3.5.15.10
/// (transceive), 3.3.5.15.16 (wait).
///
/// A READ or transceive that finds nothing waits with an interim response; its client may cancel it, and go on writing
/// meanwhile. The end of the pipe ends it with STATUS_PIPE_BROKEN.
extension ServerState {
    /// Opens the pipe `name` (lower case) for `user`. Which services exist is decided in `PipeService`; an anonymous user
    /// gets none of them.
    func openPipe(_ name: String, for user: User) throws(SMBError) -> NamedPipe {
        guard let service = PipeService(rawValue: name) else { throw SMBError(.objectNameNotFound, "no pipe \(name)") }
        guard !user.isAnonymous else { throw SMBError(.accessDenied, "anonymous on pipe \(name)") }
        return NamedPipe(name: name, endpoint: PipeEndpoint(service))
    }

    private func pipe(_ key: UInt64) throws(SMBError) -> NamedPipe {
        guard case .pipe(let pipe)? = self.opens[key]?.object else { throw SMBError(.fileClosed) }
        return pipe
    }

    /// The pipe as it is now, counted with what it keeps.
    private mutating func keep(_ pipe: NamedPipe, as key: UInt64) {
        guard case .pipe(let before)? = self.opens[key]?.object else { return }
        self.usage.pipeBytes += pipe.keptByteCount - before.keptByteCount
        self.opens[key]?.object = .pipe(pipe)
    }

    /// Whether all pipes together keep no more than they may, or this one no more than `before` or than each may always. What
    /// those who wait read of it, and a transceive for `limit` bytes, is not kept: who hoards answers keeps nobody from calling.
    private func hasRoom(for pipe: NamedPipe, before: Int, transceiving limit: Int?) -> Bool {
        let others = self.usage.pipeBytes - before
        let room = max(Int(self.configuration.limits[.pipeBytes]) - others, before, NamedPipe.alwaysKept)
        guard pipe.keptByteCount > room else { return true }
        var rest = pipe
        for id in pipe.waiting {
            guard case .pipe(let limit, _)? = self.pending[id]?.kind else { continue }
            _ = rest.read(limit: limit)
        }
        if let limit, pipe.waiting.isEmpty { _ = rest.read(limit: limit) }
        return rest.keptByteCount <= room
    }

    /// Bytes for the pipe's service; its answers go to whoever waits, or wait to be read.
    /// - Parameter limit: of a transceive: what it reads at once.
    mutating func writePipe(_ key: UInt64, _ message: RawSpan, transceiving limit: Int? = nil) throws(SMBError) {
        var pipe = try self.pipe(key)
        let before = pipe.keptByteCount
        guard !pipe.isBroken, let owner = self.opens[key]?.owner else { throw SMBError(.pipeBroken) }
        let answers: [[UInt8]]
        do throws(WireError) { answers = try pipe.endpoint.receive(message, from: owner, at: self) } catch {
            pipe.breakOff()
            self.keep(pipe, as: key)
            self.answerPipe(key)
            throw SMBError(.pipeBroken, "\(pipe.name): \(error)")
        }
        guard pipe.append(answers) else {
            try self.breakOffIfSecured(key)
            throw SMBError(.pipeBusy, "\(pipe.name): answers that nobody reads")
        }
        guard self.hasRoom(for: pipe, before: before, transceiving: limit) else {
            try self.breakOffIfSecured(key)
            throw SMBError(.insufficientResources, "\(pipe.name): what pipes keep")
        }
        self.keep(pipe, as: key)
        self.answerPipe(key)
    }

    /// A call that is refused has moved the keys of its pipe's security on, and what the client says next would not fit.
    private mutating func breakOffIfSecured(_ key: UInt64) throws(SMBError) {
        var pipe = try self.pipe(key)
        guard pipe.endpoint.isSecured else { return }
        pipe.breakOff()
        self.keep(pipe, as: key)
        self.answerPipe(key)
    }

    /// READ, or with `control` the second half of FSCTL_PIPE_TRANSCEIVE.
    mutating func readPipe(
        _ key: UInt64, limit: Int, control: ControlCode? = nil, _ request: Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        var pipe = try self.pipe(key)
        // Those who came before are served first.
        let reading = pipe.waiting.isEmpty ? pipe.read(limit: limit) : .empty
        switch reading {
        case .bytes(let bytes, let status):
            self.keep(pipe, as: key)
            Self.encodePipeAnswer(bytes, control, pipe: self.opens[key]?.fileID, into: &writer)
            return self.reply(request, status: status, into: &writer)
        case .broken: throw SMBError(.pipeBroken)
        case .empty:
            guard !pipe.mode.completesAtOnce else { throw SMBError(.pipeEmpty) }
            guard pipe.waiting.count < NamedPipe.waitingLimit else {
                throw SMBError(.insufficientResources, "requests that wait for a pipe")
            }
            let pended = try self.pend(
                request, open: key, kind: .pipe(limit: limit, control: control), into: &writer)
            pipe.waiting.append(pended.id)
            self.opens[key]?.object = .pipe(pipe)
            return pended.outcome
        }
    }

    private static func encodePipeAnswer(
        _ bytes: [UInt8], _ control: ControlCode?, pipe: FileID?, into writer: inout WireWriter
    ) {
        if let control {
            IoctlResponse(code: control, fileID: pipe ?? .related).encode(into: &writer, output: bytes.span.bytes)
        } else {
            ReadResponse(dataLength: bytes.count).encode(into: &writer)
            writer.append(bytes)
        }
    }

    /// Gives what the service answered to those who wait, the oldest first; or tells them that nothing will come.
    private mutating func answerPipe(_ key: UInt64) {
        while case .pipe(var pipe)? = self.opens[key]?.object, let id = pipe.waiting.first,
            case .pipe(let limit, let control)? = self.pending[id]?.kind
        {
            switch pipe.read(limit: limit) {
            case .empty: return
            case .broken: self.complete(id, status: .pipeBroken)
            case .bytes(let bytes, let status):
                self.keep(pipe, as: key)
                let fileID = self.opens[key]?.fileID
                self.complete(id, status: status) {
                    Self.encodePipeAnswer(bytes, control, pipe: fileID, into: &$0)
                }
            }
        }
    }

    /// A request no longer waits for the pipe; see `complete`.
    mutating func leavePipe(_ key: UInt64, waiting id: UInt64) {
        guard case .pipe(var pipe)? = self.opens[key]?.object else { return }
        pipe.waiting.removeAll { $0 == id }
        self.opens[key]?.object = .pipe(pipe)
    }

    /// The FSCTLs of an open pipe.
    mutating func pipeControl(
        _ key: UInt64, _ ioctl: IoctlRequest, _ input: RawSpan, _ request: Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let limit = Int(ioctl.maximumOutputResponse)
        switch ioctl.code {
        case .pipeTransceive:
            try self.writePipe(key, input, transceiving: limit)
            return try self.readPipe(key, limit: limit, control: ioctl.code, request, into: &writer)
        case .pipePeek:
            // 3.3.5.15.4: nothing is a length, too; what is there otherwise must hold the fixed part.
            guard limit == 0 || limit >= PipePeekResponse.byteCount else { throw SMBError(.infoLengthMismatch) }
            var answer = WireWriter(capacity: 64)
            let status = limit == 0 ? .success : try self.pipe(key).peek(limit: limit, into: &answer)
            IoctlResponse(code: ioctl.code, fileID: ioctl.fileID).encode(into: &writer, output: answer.span)
            return self.reply(request, status: status, into: &writer)
        default: throw SMBError(.invalidDeviceRequest)
        }
    }

    /// FSCTL_PIPE_WAIT: pipes here are always ready. 3.3.5.15.16.
    func pipeWait(
        _ ioctl: IoctlRequest, _ input: RawSpan, _ request: Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let wait = try parsing { () throws(WireError) in try PipeWaitRequest(parsing: input) }
        guard PipeService(rawValue: wait.name.lowercased()) != nil else {
            throw SMBError(.objectNameNotFound, "no pipe \(wait.name)")
        }
        IoctlResponse(code: ioctl.code, fileID: ioctl.fileID).encode(into: &writer, output: RawSpan())
        return self.reply(request, into: &writer)
    }

    // MARK: What is known of a pipe

    func queryPipe(
        _ level: FileInformationClass, _ open: Open, into answer: inout WireWriter
    ) throws(SMBError) {
        guard case .pipe(let pipe) = open.object else { throw SMBError(.fileClosed) }
        switch level {
        case .standard:
            StandardInformation(
                allocationSize: 4096, endOfFile: UInt64(pipe.unreadByteCount), numberOfLinks: 1, deletePending: true,
                isDirectory: false
            ).encode(into: &answer)
        case .access: Information32(open.grantedAccess.rawValue).encode(into: &answer)
        case .name: NameInformation("\\" + SnapshotPath.withoutToken(open.path)).encode(into: &answer)
        case .pipe: pipe.mode.encode(into: &answer)
        case .pipeLocal: pipe.local.encode(into: &answer)
        default: throw SMBError(.invalidInfoClass)
        }
    }

    /// SET_INFO on a pipe: how it is read. [MS-FSCC] 2.4.36.
    mutating func setPipe(_ set: SetInfoRequest, _ data: RawSpan, _ key: UInt64) throws(SMBError) {
        guard set.infoType == .file else { throw SMBError(.notSupported, "SET_INFO on a pipe") }
        guard FileInformationClass(rawValue: set.informationClassCode) == .pipe else {
            throw SMBError(.notSupported, "SET_INFO on a pipe")
        }
        guard data.byteCount >= PipeInformation.byteCount else { throw SMBError(.infoLengthMismatch) }
        var pipe = try self.pipe(key)
        let mode = try parsing { () throws(WireError) in try PipeInformation(parsing: data) }
        // A stream of bytes has no messages any more.
        guard pipe.mode.readsMessages || !mode.readsMessages else { throw SMBError(.invalidParameter) }
        pipe.mode = mode
        self.opens[key]?.object = .pipe(pipe)
    }
}
