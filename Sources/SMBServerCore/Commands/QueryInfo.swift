import SMB2Wire

/// SMB2 QUERY_INFO. [MS-SMB2] 2.2.37, 2.2.38, 3.3.5.20; the levels: [MS-FSCC] 2.4 and 2.5.
extension ServerState {
    mutating func queryInfo(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let query = try parsing { () throws(WireError) in try QueryInfoRequest(parsing: message) }
        let limit = Int(query.outputBufferLength)
        guard limit <= self.connections[request.connection]?.maximumTransfer ?? 0 else {
            throw SMBError(.invalidParameter, "output of \(limit) bytes")
        }
        try self.checkCharge(request, payload: max(limit, query.input.count))
        let key = try self.findOpen(&request, query.fileID)
        guard let open = self.opens[key] else { throw SMBError(.fileClosed) }

        var answer = WireWriter(capacity: 256)
        var isWhole = true
        let fixed: Int
        switch query.infoType {
        case .file:
            guard let level = FileInformationClass(rawValue: query.informationClassCode) else {
                throw SMBError(.invalidInfoClass)
            }
            // 3.3.5.20.1.
            guard level != .normalizedName || request.dialect >= .smb311 else { throw SMBError(.notSupported) }
            fixed = level.fixedByteCount
            guard limit >= fixed else { throw SMBError(.infoLengthMismatch) }
            if open.handle == nil {
                try self.queryPipe(level, open, into: &answer)
            } else {
                isWhole = try self.queryFile(level, query, message, open, limit: limit, into: &answer)
            }
        case .fileSystem:
            guard let level = FileSystemInformationClass(rawValue: query.informationClassCode) else {
                throw SMBError(.invalidInfoClass)
            }
            fixed = level.fixedByteCount
            guard limit >= fixed else { throw SMBError(.infoLengthMismatch) }
            try self.queryFileSystem(level, open, into: &answer)
        case .security:
            return try self.querySecurity(query, open, limit: limit, request, into: &writer)
        case .quota: throw SMBError(.notSupported, "quota")
        default: throw SMBError(.invalidParameter, "info type")
        }

        // What does not fit is cut, and said so. 3.3.5.20.1.
        let isCut = answer.count > limit || !isWhole
        OutputBufferResponse.encode(into: &writer, buffer: answer.span.extracting(0..<min(answer.count, limit)))
        return self.reply(request, status: isCut ? .bufferOverflow : .success, into: &writer)
    }

    // MARK: Files, 3.3.5.20.1

    /// - Returns: whether all was told that there is, but for what goes beyond `limit`.
    private func queryFile(
        _ level: FileInformationClass, _ query: QueryInfoRequest, _ message: RawSpan, _ open: Open, limit: Int,
        into answer: inout WireWriter
    ) throws(SMBError) -> Bool {
        guard let handle = open.handle else { throw SMBError(.invalidParameter) }
        switch level {
        case .basic, .all, .networkOpen, .attributeTag, .stat, .statLx:
            guard open.grantedAccess.contains(.readAttributes) else { throw SMBError(.accessDenied) }
        case .fullEA:
            guard open.grantedAccess.contains(.readEA) else { throw SMBError(.accessDenied) }
        default: break
        }
        switch level {
        case .basic: BasicInformation(try handle.facts().networkOpen).encode(into: &answer)
        case .standard: try self.standardInformation(open, handle.facts()).encode(into: &answer)
        case .internal: Information64(try handle.facts().fileID).encode(into: &answer)
        case .ea: Information32(try handle.extendedAttributeSize()).encode(into: &answer)
        case .access: Information32(open.grantedAccess.rawValue).encode(into: &answer)
        case .name: NameInformation("\\" + SnapshotPath.withoutToken(open.path)).encode(into: &answer)
        case .normalizedName:
            // Relative to the share, without a leading backslash. [MS-FSCC] 2.4.30.
            NameInformation(try handle.normalizedName()).encode(into: &answer)
        case .position: Information64(open.currentByteOffset).encode(into: &answer)
        case .mode: Information32(Self.mode(of: open)).encode(into: &answer)
        case .alignment: Information32(0).encode(into: &answer)
        case .all:
            let facts = try handle.facts()
            AllInformation(
                basic: BasicInformation(facts.networkOpen), standard: self.standardInformation(open, facts),
                indexNumber: facts.fileID, eaSize: try handle.extendedAttributeSize(), access: open.grantedAccess,
                position: open.currentByteOffset, mode: Self.mode(of: open), alignment: 0,
                name: "\\" + SnapshotPath.withoutToken(open.path)
            ).encode(into: &answer)
        case .alternateName:
            guard let name = try Self.shortName(of: open, handle) else {
                throw SMBError(.objectNameNotFound, "no 8.3 name")
            }
            NameInformation(name).encode(into: &answer)
        case .shortName: throw SMBError(.objectNameNotFound)
        case .stream:
            // All or as many whole entries as fit; none at all is an error of its own.
            guard StreamInformation.encode(try handle.listStreams(), into: &answer, limit: limit) else {
                throw SMBError(.bufferOverflow, "streams")
            }
        case .compression:
            CompressionInformation(compressedFileSize: try handle.facts().endOfFile).encode(into: &answer)
        case .networkOpen: try handle.facts().networkOpen.encode(into: &answer)
        case .attributeTag:
            let facts = try handle.facts()
            AttributeTagInformation(attributes: facts.attributes, reparseTag: facts.reparseTag).encode(into: &answer)
        case .id:
            IDInformation(
                volumeSerialNumber: open.share.fileSystem?.volumeID ?? 0, fileIDLow: try handle.facts().fileID
            ).encode(into: &answer)
        case .stat, .statLx:
            let facts = try handle.facts()
            let stat = StatInformation(
                fileID: facts.fileID, information: facts.networkOpen, reparseTag: facts.reparseTag,
                numberOfLinks: facts.linkCount, effectiveAccess: open.grantedAccess)
            if level == .statLx {
                stat.encodeLx(
                    into: &answer, owner: facts.uid == 0 ? nil : (facts.uid, facts.gid), mode: facts.mode)
            } else {
                stat.encode(into: &answer)
            }
        case .caseSensitive:
            guard open.isDirectory else { throw SMBError(.invalidParameter) }
            // FILE_CS_FLAG_CASE_SENSITIVE_DIR is for nobody here.
            answer.append(UInt32(0))
        case .posix:
            guard open.isPOSIX else { throw SMBError(.invalidInfoClass) }
            Self.posixInformation(try handle.facts(), open.share).encode(into: &answer)
        case .fullEA: return try self.queryExtendedAttributes(query, message, handle, limit: limit, into: &answer)
        case .rename, .renameEx, .link, .linkEx, .disposition, .dispositionEx, .allocation, .endOfFile,
            .validDataLength, .pipe, .pipeLocal, .pipeRemote:
            throw SMBError(.invalidInfoClass)
        }
        return true
    }

    /// Where the share gives them: made of the name as a listing shows it, whichever the file was opened by.
    private static func shortName(of open: Open, _ handle: any FileHandle) throws(SMBError) -> String? {
        let isGiven = open.share.traits.contains(.shortNames)
        let path = (isGiven ? try handle.normalizedName() : open.path).prefix { $0 != ":" }
        let last = path.split(separator: "\\", omittingEmptySubsequences: false).last ?? path
        return isGiven && !last.isEmpty ? ShortName.given(String(last)) : ShortName.own(last)
    }

    private func standardInformation(_ open: Open, _ facts: FileFacts) -> StandardInformation {
        let isDeletePending = self.files[open.file]?.isDeletePending == true
        return StandardInformation(
            allocationSize: facts.allocationSize, endOfFile: facts.endOfFile,
            numberOfLinks: isDeletePending ? facts.linkCount - min(1, facts.linkCount) : facts.linkCount,
            deletePending: isDeletePending, isDirectory: open.isDirectory)
    }

    /// FILE_MODE: the options of CREATE that are a mode, as SET_INFO may have changed them. [MS-FSCC] 2.4.26.
    private static func mode(of open: Open) -> UInt32 {
        (open.createOptions.rawValue & 0x0000_103E) | open.mode
    }

    /// Whole entries, as many as fit. [MS-FSA] 2.1.5.12.12.
    /// - Returns: whether those are all.
    /// - Throws: STATUS_BUFFER_TOO_SMALL where not even the first fits.
    private func queryExtendedAttributes(
        _ query: QueryInfoRequest, _ message: RawSpan, _ handle: any FileHandle, limit: Int,
        into answer: inout WireWriter
    ) throws(SMBError) -> Bool {
        var wanted: [[UInt8]]?
        if !query.input.isEmpty {
            // What is asked for by name is answered by name, with an empty value where there is none.
            wanted = Self.distinct(
                try parsing { () throws(WireError) in
                    try ExtendedAttribute.parseNameList(message.extracting(query.input))
                })
        }
        let attributes = try handle.listExtendedAttributes(wanted, limit: limit)
        guard !attributes.isEmpty else { throw SMBError(.noEasOnFile) }
        let told = ExtendedAttribute.encode(attributes, into: &answer, limit: limit)
        guard told < attributes.count else { return true }
        guard answer.count > 0 else {
            throw SMBError(.bufferTooSmall, requiredLength: UInt32(clamping: attributes[told].byteCount))
        }
        return false
    }

    /// Names are one whatever their case, [MS-FSCC] 2.4.15: one that is asked for again is answered once.
    private static func distinct(_ names: [[UInt8]]) -> [[UInt8]] {
        var known: Set<[UInt8]> = []
        return names.filter { name in
            known.insert(name.map { (0x61...0x7A).contains($0) ? $0 - 32 : $0 }).inserted
        }
    }

    // MARK: File systems, 3.3.5.20.2

    private func queryFileSystem(
        _ level: FileSystemInformationClass, _ open: Open, into answer: inout WireWriter
    ) throws(SMBError) {
        guard let fileSystem = open.share.fileSystem else { throw SMBError(.invalidDeviceRequest) }
        let facts = try fileSystem.volumeFacts()
        switch level {
        case .volume:
            VolumeInformation(creationTime: facts.creationTime, serialNumber: facts.serialNumber, label: facts.label)
                .encode(into: &answer)
        case .size:
            VolumeSizeInformation(
                totalAllocationUnits: facts.totalUnits, availableAllocationUnits: facts.availableUnits,
                sectorsPerAllocationUnit: facts.sectorsPerUnit, bytesPerSector: facts.bytesPerSector
            ).encode(into: &answer)
        case .fullSize:
            VolumeFullSizeInformation(
                totalAllocationUnits: facts.totalUnits, callerAvailableAllocationUnits: facts.availableUnits,
                actualAvailableAllocationUnits: facts.freeUnits, sectorsPerAllocationUnit: facts.sectorsPerUnit,
                bytesPerSector: facts.bytesPerSector
            ).encode(into: &answer)
        case .device:
            DeviceInformation(
                deviceType: DeviceInformation.disk,
                characteristics: DeviceInformation.isMounted | DeviceInformation.isRemote
            ).encode(into: &answer)
        case .attribute:
            VolumeAttributeInformation(
                attributes: .init(rawValue: facts.attributes), maximumComponentNameLength: facts.maximumNameLength,
                fileSystemName: facts.fileSystemName
            ).encode(into: &answer)
        case .control: VolumeControlInformation.unlimited.encode(into: &answer)
        case .objectID:
            // [MS-FSCC] 2.5.6: an id and 48 bytes of which the server decides.
            answer.append(facts.objectID.low)
            answer.append(facts.objectID.high)
            answer.claim(48)
        case .sectorSize:
            let sector = facts.bytesPerSector
            // Logical, physical for atomicity, for performance, effective; aligned device and partition, FILE_LEVEL_TRIM
            // works. 2.5.8.
            for value in [sector, sector, sector, sector, 0x0000_000B, 0, 0] { answer.append(value) }
        case .posix:
            guard open.isPOSIX else { throw SMBError(.invalidInfoClass) }
            let blockSize = facts.sectorsPerUnit * facts.bytesPerSector
            POSIXVolumeInformation(
                optimalTransferSize: UInt32(Limits.transfer), blockSize: blockSize, totalBlocks: facts.totalUnits,
                freeBlocks: facts.freeUnits, availableBlocks: facts.availableUnits, totalNodes: facts.totalNodes,
                freeNodes: facts.freeNodes, fileSystemID: fileSystem.volumeID
            ).encode(into: &answer)
        case .label, .driverPath, .volumeFlags: throw SMBError(.invalidInfoClass)
        }
    }

    // MARK: Security, 3.3.5.20.3

    private mutating func querySecurity(
        _ query: QueryInfoRequest, _ open: Open, limit: Int, _ request: Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        guard let handle = open.handle else { throw SMBError(.invalidDeviceRequest) }
        let parts = SecurityInformation(rawValue: query.additionalInformation)
        if !parts.isDisjoint(with: [.owner, .group, .dacl, .label]) {
            guard open.grantedAccess.contains(.readControl) else { throw SMBError(.accessDenied) }
        }
        if parts.contains(.sacl) {
            guard open.grantedAccess.contains(.accessSystemSecurity) else { throw SMBError(.accessDenied) }
        }
        let descriptor = try handle.securityDescriptor(parts)
        guard descriptor.count <= limit else {
            throw SMBError(.bufferTooSmall, requiredLength: UInt32(clamping: descriptor.count))
        }
        OutputBufferResponse.encode(into: &writer, buffer: descriptor.span.bytes)
        return self.reply(request, into: &writer)
    }
}
