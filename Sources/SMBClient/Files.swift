import SMB2Wire

/// How to open a file.
package struct OpenParameters: Sendable {
    /// Relative to the share, with backslashes; empty for its root.
    package var path: String
    package var access: AccessMask
    package var share: ShareAccess
    package var disposition: CreateDisposition
    package var options: CreateOptions
    package var oplock: OplockLevel
    package var contexts: CreateContexts

    package init(
        _ path: String, access: AccessMask = [.genericRead], share: ShareAccess = .all,
        disposition: CreateDisposition = .open, options: CreateOptions = [], oplock: OplockLevel = .none,
        contexts: CreateContexts = CreateContexts()
    ) {
        self.path = path
        self.access = access
        self.share = share
        self.disposition = disposition
        self.options = options
        self.oplock = oplock
        self.contexts = contexts
    }
}

extension SMBConnection {
    // MARK: Posting; the answer is gathered by message id

    package func postCreate(_ parameters: OpenParameters, _ options: Options = Options()) throws(ClientError) -> UInt64
    {
        let request = CreateRequest(
            desiredAccess: parameters.access, shareAccess: parameters.share, disposition: parameters.disposition,
            options: parameters.options, oplockLevel: parameters.oplock, contexts: parameters.contexts)
        return try self.post(.create, options) { request.encode(into: &$0, name: parameters.path) }
    }

    package func postClose(_ file: FileID, flags: UInt16 = 0) throws(ClientError) -> UInt64 {
        try self.post(.close) { CloseRequest(flags: flags, fileID: file).encode(into: &$0) }
    }

    package func postRead(_ file: FileID, at offset: UInt64, count: Int) throws(ClientError) -> UInt64 {
        var request = ReadRequest(fileID: file, offset: offset, length: UInt32(clamping: count))
        if self.isCompressing, self.compression != nil { request.flags |= ReadRequest.requestCompressedFlag }
        return try self.post(.read, Options(payloadByteCount: count)) { request.encode(into: &$0) }
    }

    package func postWrite(
        _ file: FileID, at offset: UInt64, _ data: [UInt8], flags: UInt32 = 0, isReplay: Bool = false
    ) throws(ClientError) -> UInt64 {
        try self.post(.write, Options(payloadByteCount: data.count, isReplay: isReplay)) {
            WriteRequest(fileID: file, offset: offset, flags: flags).encode(into: &$0, data: data.span.bytes)
        }
    }

    package func postLock(_ request: LockRequest, isReplay: Bool = false) throws(ClientError) -> UInt64 {
        try self.post(.lock, Options(isReplay: isReplay)) { request.encode(into: &$0) }
    }

    package func postSetInfo(
        _ file: FileID, _ type: InfoType = .file, informationClass: UInt8, additionalInformation: UInt32 = 0,
        _ buffer: [UInt8], isReplay: Bool = false
    ) throws(ClientError) -> UInt64 {
        let request = SetInfoRequest(
            infoType: type, informationClass: informationClass, fileID: file,
            additionalInformation: additionalInformation)
        return try self.post(.setInfo, Options(payloadByteCount: buffer.count, isReplay: isReplay)) {
            request.encode(into: &$0, buffer: buffer.span.bytes)
        }
    }

    // MARK: One request, one answer

    package func create(_ parameters: OpenParameters, isReplay: Bool = false) throws(ClientError) -> CreateResponse {
        let messageID = try self.postCreate(parameters, Options(isReplay: isReplay))
        let reply = try self.gather(messageID, .create)
        return try wire { () throws(WireError) in try CreateResponse(parsing: reply.span) }
    }

    @discardableResult
    package func close(_ file: FileID, flags: UInt16 = 0) throws(ClientError) -> CloseResponse {
        let reply = try self.gather(try self.postClose(file, flags: flags), .close)
        return try wire { () throws(WireError) in try CloseResponse(parsing: reply.span) }
    }

    /// Fewer bytes at the end of the file, none behind it.
    package func read(_ file: FileID, at offset: UInt64, count: Int) throws(ClientError) -> [UInt8] {
        let reply = try self.gather(
            try self.postRead(file, at: offset, count: count), .read, accepting: [.endOfFile, .bufferOverflow])
        if reply.header.status == .endOfFile { return [] }
        let response = try wire { () throws(WireError) in try ReadResponse(parsing: reply.span) }
        return reply.bytes(response.data)
    }

    @discardableResult
    package func write(_ file: FileID, at offset: UInt64, _ data: [UInt8]) throws(ClientError) -> Int {
        let reply = try self.gather(try self.postWrite(file, at: offset, data), .write)
        return Int(try wire { () throws(WireError) in try WriteResponse(parsing: reply.span) }.count)
    }

    package func flushFile(_ file: FileID) throws(ClientError) {
        let messageID = try self.post(.flush) { FlushRequest(fileID: file).encode(into: &$0) }
        _ = try self.gather(messageID, .flush)
    }

    package func lock(_ request: LockRequest, isReplay: Bool = false) throws(ClientError) {
        _ = try self.gather(try self.postLock(request, isReplay: isReplay), .lock)
    }

    package func lock(
        _ file: FileID, offset: UInt64, length: UInt64, _ flags: LockElement.Flags = [.exclusive, .failImmediately]
    ) throws(ClientError) {
        try self.lock(LockRequest(fileID: file, locks: [LockElement(offset: offset, length: length, flags: flags)]))
    }

    /// One answer's worth of entries; nil when there are no more.
    package func queryDirectory(
        _ directory: FileID, pattern: String = "*", flags: QueryDirectoryRequest.Flags = [],
        informationClass: DirectoryInformationClass = .idBothDirectory, limit: Int = 65_536
    ) throws(ClientError) -> [ParsedDirectoryEntry]? {
        let request = QueryDirectoryRequest(
            informationClass: informationClass, flags: flags, fileID: directory,
            outputBufferLength: UInt32(clamping: limit))
        let messageID = try self.post(.queryDirectory, Options(payloadByteCount: limit)) {
            request.encode(into: &$0, pattern: pattern)
        }
        let reply = try self.gather(messageID, .queryDirectory, accepting: [.noMoreFiles])
        if reply.header.status == .noMoreFiles { return nil }
        do throws(WireError) {
            let response = try OutputBufferResponse(parsing: reply.span)
            return try ParsedDirectoryEntry.parseList(reply.span.extracting(response.buffer), informationClass)
        } catch {
            throw .wire(error)
        }
    }

    /// Every name in a directory, "." and ".." among them.
    package func list(_ path: String) throws(ClientError) -> [ParsedDirectoryEntry] {
        let directory = try self.create(OpenParameters(path, options: .directoryFile)).fileID
        var entries: [ParsedDirectoryEntry] = []
        while let more = try self.queryDirectory(directory) { entries += more }
        try self.close(directory)
        return entries
    }

    package func queryInfo(
        _ file: FileID, _ type: InfoType = .file, informationClass: UInt8, limit: Int = 65_536,
        additionalInformation: UInt32 = 0, input: [UInt8] = []
    ) throws(ClientError) -> [UInt8] {
        let request = QueryInfoRequest(
            infoType: type, informationClass: informationClass, fileID: file,
            outputBufferLength: UInt32(clamping: limit), additionalInformation: additionalInformation)
        let messageID = try self.post(.queryInfo, Options(payloadByteCount: limit)) {
            request.encode(into: &$0, input: input.span.bytes)
        }
        let reply = try self.gather(messageID, .queryInfo, accepting: [.bufferOverflow])
        let response = try wire { () throws(WireError) in try OutputBufferResponse(parsing: reply.span) }
        return reply.bytes(response.buffer)
    }

    package func setInfo(
        _ file: FileID, _ type: InfoType = .file, informationClass: UInt8, additionalInformation: UInt32 = 0,
        _ buffer: [UInt8]
    ) throws(ClientError) {
        let messageID = try self.postSetInfo(
            file, type, informationClass: informationClass, additionalInformation: additionalInformation, buffer)
        _ = try self.gather(messageID, .setInfo)
    }

    package func rename(_ file: FileID, to path: String, replaceIfExists: Bool = false) throws(ClientError) {
        var writer = WireWriter()
        RenameInformation(replaceIfExists: replaceIfExists).encode(into: &writer, name: path)
        try self.setInfo(file, informationClass: FileInformationClass.rename.rawValue, writer.bytes)
    }

    package func setDeletePending(_ file: FileID, _ isPending: Bool = true) throws(ClientError) {
        try self.setInfo(file, informationClass: FileInformationClass.disposition.rawValue, [isPending ? 1 : 0])
    }

    /// Opens, marks and closes.
    package func delete(_ path: String) throws(ClientError) {
        let file = try self.create(OpenParameters(path, access: .delete)).fileID
        try self.setDeletePending(file)
        try self.close(file)
    }

    package func makeDirectory(_ path: String) throws(ClientError) {
        let directory = try self.create(
            OpenParameters(path, disposition: .create, options: .directoryFile))
        try self.close(directory.fileID)
    }

    package func ioctl(
        _ code: ControlCode, _ file: FileID = .related, input: [UInt8] = [], limit: Int = 65_536
    ) throws(ClientError) -> [UInt8] {
        var request = IoctlRequest(code: code, fileID: file, maximumOutputResponse: UInt32(clamping: limit))
        request.flags = IoctlRequest.isFSCTLFlag
        let messageID = try self.post(.ioctl, Options(payloadByteCount: max(limit, input.count))) {
            request.encode(into: &$0, input: input.span.bytes)
        }
        let reply = try self.gather(messageID, .ioctl, accepting: [.bufferOverflow])
        let response = try wire { () throws(WireError) in try IoctlResponse(parsing: reply.span) }
        return reply.bytes(response.output)
    }

    /// The whole of a file, read in pieces of the server's size.
    package func readAll(_ file: FileID) throws(ClientError) -> [UInt8] {
        var result: [UInt8] = []
        while true {
            let piece = try self.read(file, at: UInt64(result.count), count: min(self.maximumReadSize, 1 << 20))
            if piece.isEmpty { return result }
            result += piece
        }
    }
}
