import SMB2Wire

/// SMB2 SET_INFO. [MS-SMB2] 2.2.39, 2.2.40, 3.3.5.21; [MS-FSA] 2.1.5.15. Names: Rename.swift.
extension ServerState {
    mutating func setInfo(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let set = try parsing { () throws(WireError) in try SetInfoRequest(parsing: message) }
        guard set.buffer.count <= self.connections[request.connection]?.maximumTransfer ?? 0 else {
            throw SMBError(.invalidParameter, "input of \(set.buffer.count) bytes")
        }
        try self.checkCharge(request, payload: set.buffer.count)
        let key = try self.findOpen(&request, set.fileID)
        guard let open = self.opens[key] else { throw SMBError(.fileClosed) }
        let data = message.extracting(set.buffer)
        guard let handle = open.handle else {
            try self.setPipe(set, data, key)
            SetInfoResponse().encode(into: &writer)
            return self.reply(request, into: &writer)
        }
        try self.awaitMove(in: open.file)
        var work = Work.none
        switch set.infoType {
        case .file:
            guard let level = FileInformationClass(rawValue: set.informationClassCode) else {
                throw SMBError(.invalidInfoClass)
            }
            try self.setFile(level, data, key, open, handle)
            // What a client on a continuously available share was told about sizes and names must be true after a failover.
            if open.share.isContinuouslyAvailable, level != .position, level != .mode {
                let isName = [.rename, .renameEx, .link, .linkEx].contains(level)
                // A stream that became its file's data has another.
                work = .sync(self.opens[key]?.handle ?? handle, includingName: isName)
            }
        case .security:
            try self.setSecurity(data, SecurityInformation(rawValue: set.additionalInformation), open, handle)
            if open.share.isContinuouslyAvailable { work = .sync(handle, includingName: false) }
        case .fileSystem: throw SMBError(.accessDenied, "the file system's own attributes are the administrator's")
        case .quota: throw SMBError(.notSupported, "quota")
        default: throw SMBError(.invalidParameter, "info type")
        }
        SetInfoResponse().encode(into: &writer)
        return self.reply(request, work: work, into: &writer)
    }

    private mutating func setFile(
        _ level: FileInformationClass, _ data: RawSpan, _ key: UInt64, _ open: Open, _ handle: any FileHandle
    ) throws(SMBError) {
        guard data.byteCount >= level.fixedByteCount else { throw SMBError(.infoLengthMismatch) }
        func require(_ access: AccessMask) throws(SMBError) {
            guard !open.grantedAccess.isDisjoint(with: access) else { throw SMBError(.accessDenied) }
        }
        switch level {
        case .basic:
            try require(.writeAttributes)
            let basic = try parsing { () throws(WireError) in try BasicInformation(parsing: data) }
            if open.isDirectory, basic.attributes.contains(.temporary) { throw SMBError(.invalidParameter) }
            if !open.isDirectory, basic.attributes.contains(.directory) { throw SMBError(.invalidParameter) }
            try handle.setBasic(basic)
            self.directoryChanged(at: open.path, by: open)
        case .endOfFile:
            try require(.writeData)
            let size = try Self.size(data)
            guard !open.isDirectory else { throw SMBError(.invalidParameter) }
            self.breakReadCaching(by: open)
            try handle.changeEndOfFile(size)
            self.directoryChanged(at: open.path, by: open)
        case .allocation:
            try require(.writeData)
            let size = try Self.size(data)
            guard !open.isDirectory else { throw SMBError(.invalidParameter) }
            self.breakReadCaching(by: open)
            try handle.changeAllocation(size)
            self.directoryChanged(at: open.path, by: open)
        case .validDataLength:
            // Holes read as zeros here, so all data up to the end is valid already. [MS-FSA] 2.1.5.15.14.
            try require(.writeData)
            guard try Self.size(data) <= handle.facts().endOfFile else { throw SMBError(.invalidParameter) }
        case .position:
            let position = try Self.size(data)
            self.opens[key]?.currentByteOffset = position
        case .mode:
            let mode = try parsing { () throws(WireError) in try Information32(parsing: data) }.value
            guard mode & ~0x0000_103E == 0 else { throw SMBError(.invalidParameter) }
            self.opens[key]?.mode = mode
        case .disposition, .dispositionEx:
            try require(.delete)
            try self.setDisposition(level, data, key, open, handle)
        case .rename, .renameEx:
            try require(.delete)
            try self.rename(data, isEx: level == .renameEx, key, open, handle)
        case .link, .linkEx:
            try self.link(data, isEx: level == .linkEx, open, handle)
        case .fullEA:
            try require(.writeEA)
            let attributes = try parsing { () throws(WireError) in try ExtendedAttribute.parseList(data) }
            try handle.changeExtendedAttributes(attributes)
        default: throw SMBError(.invalidInfoClass)
        }
    }

    /// A size or an offset: files are at most 2^63 - 1 bytes.
    private static func size(_ data: RawSpan) throws(SMBError) -> UInt64 {
        let value = try parsing { () throws(WireError) in try Information64(parsing: data) }.value
        guard value <= UInt64(Int64.max) else { throw SMBError(.invalidParameter, "size \(value)") }
        return value
    }

    /// [MS-FSA] 2.1.5.15.3.
    private mutating func setDisposition(
        _ level: FileInformationClass, _ data: RawSpan, _ key: UInt64, _ open: Open, _ handle: any FileHandle
    ) throws(SMBError) {
        let disposition = try parsing { () throws(WireError) in
            level == .dispositionEx
                ? try DispositionInformation(parsingEx: data) : try DispositionInformation(parsing: data)
        }
        if level == .dispositionEx, disposition.flags.contains(.onClose) {
            // [MS-FSCC] 2.4.12: changes what the CREATE asked for, where it did.
            guard open.createOptions.contains(.deleteOnClose) else { throw SMBError(.notSupported, "on close") }
            self.opens[key]?.deleteOnClose = disposition.deletes
            return self.persist(key, awaited: true)
        }
        self.opens[key]?.deletesNameOnClose = disposition.deletes && disposition.flags.contains(.posixSemantics)
        if disposition.deletes {
            try open.share.fileSystem?.checkDeletable(
                handle, ignoresReadOnly: disposition.flags.contains(.ignoreReadOnly))
            // [MS-FSA] 2.1.5.15.3: those who only cache that they have it open close it.
            try self.breakCaching(of: open.file, by: self.cachingOwner(open), .rename)
        }
        let isNew = self.files[open.file]?.isDeletePending != disposition.deletes
        self.setDeletePending(key, disposition.deletes)
        // The mark is the file's: the record of whichever open is the last must say so. What does may not be stable yet.
        for other in self.files[open.file]?.opens ?? [] where self.opens[other]?.isPersistent == true {
            if isNew { self.persist(other, awaited: true) } else { self.mutationsAwaited = true }
        }
    }
}
