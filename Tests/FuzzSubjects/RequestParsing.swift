import SMB2Wire

/// Parses a message as the server would, down to the structures inside it: every parser a client's bytes can reach.
package func parseRequest(_ message: RawSpan) throws(WireError) {
    let header = try SMB2Header(parsing: message)
    _ = try header.messageLength(in: message)
    guard let command = header.command else { throw .invalidValue("command") }
    switch command {
    case .negotiate: _ = try NegotiateRequest(parsing: message)
    case .sessionSetup:
        let request = try SessionSetupRequest(parsing: message)
        _ = message.extracting(request.securityBuffer)
    case .treeConnect:
        let request = try TreeConnectRequest(parsing: message)
        _ = try UTF16LE.decode(message.extracting(request.path))
    case .logoff, .treeDisconnect, .echo, .cancel: _ = try EmptyBody(parsing: message)
    case .create:
        let request = try CreateRequest(parsing: message)
        _ = try UTF16LE.decode(message.extracting(request.name))
        if let range = request.contexts.extendedAttributes {
            _ = try ExtendedAttribute.parseList(message.extracting(range))
        }
        if let range = request.contexts.securityDescriptor {
            _ = try SecurityDescriptor(parsing: message.extracting(range))
        }
    case .close: _ = try CloseRequest(parsing: message)
    case .flush: _ = try FlushRequest(parsing: message)
    case .read: _ = try ReadRequest(parsing: message)
    case .write:
        let request = try WriteRequest(parsing: message)
        _ = message.extracting(request.data)
    case .lock: _ = try LockRequest(parsing: message)
    case .ioctl:
        let request = try IoctlRequest(parsing: message)
        try parseControl(request.code, message.extracting(request.input))
    case .queryDirectory:
        let request = try QueryDirectoryRequest(parsing: message)
        _ = try UTF16LE.decode(message.extracting(request.pattern))
    case .changeNotify: _ = try ChangeNotifyRequest(parsing: message)
    case .queryInfo:
        let request = try QueryInfoRequest(parsing: message)
        _ = try ExtendedAttribute.parseNameList(message.extracting(request.input))
    case .setInfo:
        let request = try SetInfoRequest(parsing: message)
        try parseSetInfo(request, message.extracting(request.buffer))
    case .oplockBreak: _ = try BreakAcknowledgement(parsing: message)
    }
}

package func parseControl(_ code: ControlCode, _ input: RawSpan) throws(WireError) {
    switch code {
    case .validateNegotiateInfo: _ = try ValidateNegotiateInfoRequest(parsing: input)
    case .srvCopyChunk, .srvCopyChunkWrite: _ = try CopyChunkRequest(parsing: input)
    case .queryAllocatedRanges: _ = try FileRange(parsing: input)
    case .setZeroData: _ = try ZeroDataInformation(parsing: input)
    case .setSparse: _ = SetSparse(parsing: input)
    case .duplicateExtentsToFile: _ = try DuplicateExtents(parsing: input)
    case .duplicateExtentsToFileEx: _ = try DuplicateExtentsEx(parsing: input)
    case .setReparsePoint: _ = try ReparseData(parsing: input)
    case .fileLevelTrim: _ = try FileLevelTrim(parsing: input)
    case .queryFileRegions: _ = try FileRegionQuery(parsing: input)
    case .offloadRead: _ = try OffloadRead(parsing: input)
    case .offloadWrite: _ = try OffloadWrite(parsing: input)
    case .lmrRequestResiliency: _ = try ResiliencyRequest(parsing: input)
    case .dfsGetReferrals: _ = try DFSReferralRequest(parsing: input)
    case .pipeWait: _ = try PipeWaitRequest(parsing: input)
    default: break
    }
}

package func parseSetInfo(_ request: SetInfoRequest, _ data: RawSpan) throws(WireError) {
    guard request.infoType == .file else {
        if request.infoType == .security { _ = try SecurityDescriptor(parsing: data) }
        return
    }
    switch FileInformationClass(rawValue: request.informationClassCode) {
    case .basic: _ = try BasicInformation(parsing: data)
    case .rename, .link:
        let rename = try RenameInformation(parsing: data)
        _ = try UTF16LE.decode(data.extracting(rename.name))
    case .renameEx, .linkEx: _ = try RenameInformation(parsing: data, isEx: true)
    case .disposition: _ = try DispositionInformation(parsing: data)
    case .dispositionEx: _ = try DispositionInformation(parsingEx: data)
    case .endOfFile, .allocation, .position, .validDataLength: _ = try Information64(parsing: data)
    case .mode: _ = try Information32(parsing: data)
    case .fullEA: _ = try ExtendedAttribute.parseList(data)
    default: break
    }
}
