import SMB2Wire

/// Named pipes on IPC$. [MS-SMB2] 3.3.5.9 (open), 3.3.5.12 (read), 3.3.5.13 (write), 3.3.5.15.10 (transceive).
extension ServerState {
    /// Opens the pipe `name` (lower case) for `user`. Which services exist is decided in `PipeService`; an anonymous user
    /// gets none of them.
    func openPipe(_ name: String, for user: User) throws(SMBError) -> NamedPipe {
        guard let service = PipeService(rawValue: name) else { throw SMBError(.objectNameNotFound, "no pipe \(name)") }
        guard !user.isAnonymous else { throw SMBError(.accessDenied, "anonymous on pipe \(name)") }
        return NamedPipe(name: name, endpoint: PipeEndpoint(service))
    }

    /// Bytes for the pipe's service; its answers wait to be read.
    mutating func writePipe(_ key: UInt64, _ message: RawSpan) throws(SMBError) {
        guard let open = self.opens[key], case .pipe(var pipe) = open.object else { throw SMBError(.fileClosed) }
        let answers: [[UInt8]]
        do throws(WireError) { answers = try pipe.endpoint.receive(message, from: open.owner, at: self) } catch {
            throw SMBError(.pipeBroken, "\(pipe.name): \(error)")
        }
        let byteCount = (pipe.answers + answers).reduce(0) { $0 + $1.count }
        guard pipe.answers.count <= NamedPipe.unreadLimit - answers.count, byteCount <= NamedPipe.unreadByteLimit else {
            throw SMBError(.pipeBusy, "\(pipe.name): answers that nobody reads")
        }
        pipe.answers += answers
        self.opens[key]?.object = .pipe(pipe)
    }

    /// At most `limit` bytes of the oldest answer; of a longer one the rest stays, and the status says so. 3.3.5.12.
    mutating func readPipe(
        _ key: UInt64, limit: Int, into answer: inout WireWriter
    ) throws(SMBError) -> NTStatus {
        guard case .pipe(var pipe)? = self.opens[key]?.object else { throw SMBError(.fileClosed) }
        guard let message = pipe.answers.first else { throw SMBError(.pipeEmpty) }
        let count = min(limit, message.count)
        answer.append(message.span.bytes.extracting(0..<count))
        if count == message.count { pipe.answers.removeFirst() } else { pipe.answers[0].removeFirst(count) }
        self.opens[key]?.object = .pipe(pipe)
        return count == message.count ? .success : .bufferOverflow
    }

    /// FSCTL_PIPE_TRANSCEIVE: a write and the read of its answer. 3.3.5.15.10.
    mutating func transceive(
        _ key: UInt64, _ input: RawSpan, limit: Int, into answer: inout WireWriter
    ) throws(SMBError) -> NTStatus {
        try self.writePipe(key, input)
        return try self.readPipe(key, limit: limit, into: &answer)
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
}
