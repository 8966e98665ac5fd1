import SMB2Wire

/// SMB2 QUERY_DIRECTORY. [MS-SMB2] 2.2.33, 2.2.34, 3.3.5.18; [MS-FSA] 2.1.5.6.3.
extension ServerState {
    mutating func queryDirectory(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let query = try parsing { () throws(WireError) in try QueryDirectoryRequest(parsing: message) }
        let key = try self.findOpen(&request, query.fileID)
        guard let open = self.opens[key], let handle = open.handle, open.isDirectory else {
            throw SMBError(.invalidParameter, "no directory")
        }
        guard open.grantedAccess.contains(.listDirectory) else { throw SMBError(.accessDenied) }
        let limit = Int(query.outputBufferLength)
        guard limit <= self.connections[request.connection]?.maximumTransfer ?? 0 else {
            throw SMBError(.invalidParameter, "output of \(limit) bytes")
        }
        try self.checkCharge(request, payload: limit)
        guard let level = query.informationClass, level != .posix || open.isPOSIX else {
            throw SMBError(.invalidInfoClass)
        }
        guard limit >= level.fixedByteCount else { throw SMBError(.infoLengthMismatch) }

        let isFirst = open.enumeration == nil || !query.flags.isDisjoint(with: [.restartScans, .reopen])
        let enumeration: any DirectoryEnumeration
        if let begun = open.enumeration {
            enumeration = begun
        } else {
            enumeration = try handle.enumerate(visible: Self.visibility(to: open))
        }
        self.opens[key]?.enumeration = enumeration
        if isFirst {
            let pattern = Self.units(message.extracting(query.pattern))
            // A pattern stays with the open; only REOPEN (or the first query) sets it anew. 3.3.5.18.
            let isNew = open.enumeration == nil || query.flags.contains(.reopen)
            try enumeration.restart(
                pattern: isNew ? (pattern.isEmpty ? [0x2A] : pattern) : (pattern.isEmpty ? nil : pattern))
        }

        let hidesIDs = self.appleExtensions(request).hidesFileIDs
        let showsApple = level == .idBothDirectory && self.appleExtensions(request).readsDirectoryAttributes
        if showsApple { enumeration.showAppleFacts() }
        let granted = try self.tree(request).maximalAccess
        let body = OutputBufferResponse.begin(&writer)
        var entries = DirectoryEntryWriter(level, limit: limit, writer: writer)
        while let item = try enumeration.next() {
            let information = item.facts.networkOpen
            var entry = DirectoryEntry(
                information: information, reparseTag: item.facts.reparseTag, fileID: hidesIDs ? 0 : item.facts.fileID)
            if level == .posix {
                entry.posix = item.facts.posix
                entry.deviceID = Self.deviceID(open.share)
            }
            if showsApple, let apple = item.apple {
                entry.apple = AppleDirectoryAttributes(
                    maximalAccess: apple.isWritable ? granted : granted.subtracting([.writeData, .appendData]),
                    resourceForkSize: apple.resourceForkSize,
                    finderInfo: AppleDirectoryAttributes.compress(
                        finderInfo: apple.finderInfo, isDirectory: item.facts.isDirectory,
                        created: item.facts.creationTime))
            }
            if open.share.traits.contains(.shortNames), level.hasShortName, !item.name.isEmpty {
                let text = String(decoding: item.name, as: UTF16.self)
                // A name that is one has no other.
                if ShortName.own(text) == nil, text != ".", text != ".." {
                    entry.shortName = Array(ShortName.given(text).utf16)
                }
            }
            let name = open.isPOSIX ? POSIXNames.unmapped(item.name) : item.name
            if entries.append(entry, utf16: name, into: &writer) == .full {
                enumeration.unread(item)
                break
            }
            if query.flags.contains(.returnSingleEntry) { break }
        }
        guard entries.count > 0 else {
            let isExhausted = try Self.isExhausted(enumeration)
            guard isExhausted else { throw SMBError(.bufferOverflow, "no entry fits") }
            throw SMBError(isFirst ? .noSuchFile : .noMoreFiles)
        }
        OutputBufferResponse.end(&writer, begun: body)
        return self.reply(request, into: &writer)
    }

    private static func isExhausted(_ enumeration: any DirectoryEnumeration) throws(SMBError) -> Bool {
        guard let item = try enumeration.next() else { return true }
        enumeration.unread(item)
        return false
    }

    /// The UTF-16 units of a name on the wire; an odd last byte is dropped.
    static func units(_ bytes: RawSpan) -> [UInt16] {
        var units: [UInt16] = []
        units.reserveCapacity(bytes.byteCount / 2)
        var offset = 0
        while offset + 1 < bytes.byteCount {
            units.append(bytes.load(UInt16.self, at: offset))
            offset += 2
        }
        return units
    }
}
