import SMB2Wire

/// Durable and persistent handles in SMB2 CREATE: granting, replay, reclaim.
/// [MS-SMB2] 3.3.5.9.6, 3.3.5.9.7, 3.3.5.9.10, 3.3.5.9.12, 3.3.5.9.13.
extension ServerState {
    /// Whether this open is going to be persistent, 3.3.5.9.10.
    private func isPersistent(_ durable: DurableRequestV2, on share: Share, _ request: Request) -> Bool {
        durable.isPersistent && share.isContinuouslyAvailable && request.dialect >= .smb30
            && self.connections[request.connection]?.serverCapabilities.contains(.persistentHandles) == true
    }

    /// What tells a CREATE that is repeated from another one, where its record may be lost with the node.
    func creation(_ contexts: CreateContexts, _ tree: TreeConnect, _ request: Request) -> Creation? {
        guard let durable = contexts.durableRequestV2, self.isPersistent(durable, on: tree.share, request),
            let connection = self.connections[request.connection]
        else { return nil }
        return Creation(
            createGUID: durable.createGUID, clientGUID: connection.clientGUID, isReplay: request.header.isReplay)
    }

    /// What a new open is recognised by when its CREATE is repeated, or its application starts anew. 3.3.5.9.10, 3.3.5.9.13.
    func identify(_ open: inout Open, _ contexts: CreateContexts, _ request: Request) {
        open.clientGUID = self.connections[request.connection]?.clientGUID ?? .zero
        if let id = contexts.appInstanceID {
            open.appInstanceID = id
            open.appInstanceVersionHigh = contexts.appInstanceVersion?.high ?? 0
            open.appInstanceVersionLow = contexts.appInstanceVersion?.low ?? 0
        }
        guard let durable = contexts.durableRequestV2, request.dialect >= .smb30 else { return }
        open.createGUID = durable.createGUID
        open.isReplayEligible = true
    }

    /// 3.3.5.9.6, 3.3.5.9.10. A persistent handle needs nothing more, and may be a directory's; without that flag a durable handle
    /// needs a batch oplock or a lease with handle caching on a file, else it is an ordinary one.
    mutating func grantDurability(_ key: UInt64, _ contexts: CreateContexts, _ request: Request) {
        guard let open = self.opens[key] else { return }
        let isPersistent = contexts.durableRequestV2.map { self.isPersistent($0, on: open.share, request) } ?? false
        guard isPersistent || !open.isDirectory else { return }
        let cachesHandle = self.files[open.file]?.oplocks.holder(of: key)?.state.contains(.handleCaching) == true
        if let durable = contexts.durableRequestV2, request.dialect >= .smb30 {
            guard isPersistent || cachesHandle else { return }
            self.opens[key]?.isPersistent = isPersistent
            self.opens[key]?.timeoutMilliseconds =
                durable.timeoutMilliseconds == 0
                ? Limits.defaultHandleTimeoutMilliseconds
                : min(durable.timeoutMilliseconds, Limits.maximumHandleTimeoutMilliseconds)
        } else if contexts.durableRequest, cachesHandle {
            self.opens[key]?.timeoutMilliseconds = Limits.durableHandleTimeoutMilliseconds
        } else {
            return
        }
        self.opens[key]?.isDurable = true
        self.durableOpens[open.persistentID] = key
    }

    /// A CREATE that was carried out before is answered again and not carried out again. Nil: it is a new one.
    mutating func replay(
        _ durable: DurableRequestV2, _ create: CreateRequest, _ tree: TreeConnect, _ request: inout Request,
        into writer: inout WireWriter
    ) throws(SMBError) -> Outcome? {
        guard request.dialect >= .smb30, let connection = self.connections[request.connection] else { return nil }
        let identity = CreateKey(createGUID: durable.createGUID, clientGUID: connection.clientGUID)
        if let pending = self.pendingCreates[identity], pending != self.carriedOut {
            throw SMBError(request.header.isReplay ? .fileNotAvailable : .duplicateObjectid, "it waits for a break")
        }
        // 3.3.5.9.10: a persistent open stays eligible when its handle is used.
        guard let key = self.creates[identity], let open = self.opens[key], open.isReplayEligible || open.isPersistent
        else { return nil }
        guard request.header.isReplay else { throw SMBError(.duplicateObjectid, "CreateGuid is in use") }
        // Its client has the answer, then: as Windows and smbd. Not so when it lost its connection behind a compound that opened
        // and used the file.
        guard open.isReplayEligible || open.session == nil else {
            throw SMBError(.fileNotAvailable, "the handle is in use")
        }
        guard open.owner == tree.user else { throw SMBError(.accessDenied, "another user's CreateGuid") }
        guard open.share.name == tree.share.name else { throw SMBError(.duplicateObjectid, "on another share") }
        guard open.session == nil || open.session == request.session else {
            throw SMBError(.duplicateObjectid, "the open is another session's")
        }
        if create.oplockLevel == .lease, let lease = create.contexts.lease, lease.key != open.lease?.key {
            throw SMBError(.accessDenied, "replayed with another lease")
        }
        // Its record may still be on its way to the disks.
        self.mutationsAwaited = true
        // Windows answers with what is asked for this time, the open keeps what it has.
        var caching = self.caching(of: key)
        if open.lease == nil {
            caching.level = OplockLevel(caching: caching.level.caching.intersection(create.oplockLevel.caching))
        }
        let isDurable = open.isPersistent || (open.isDurable && (open.lease != nil || caching.level == .batch))
        return try self.attach(key, action: open.createAction, caching, tree, &request, into: &writer) {
            $0.durableV2 =
                isDurable
                ? DurableResponseV2(
                    timeoutMilliseconds: open.timeoutMilliseconds,
                    flags: open.isPersistent ? DurableRequestV2.persistentFlag : 0)
                : nil
        }
    }

    /// DHnC and DH2C: the client comes back for a handle. 3.3.5.9.7, 3.3.5.9.12.
    mutating func reclaim(
        _ create: CreateRequest, _ path: String, _ tree: TreeConnect, _ request: inout Request,
        into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let contexts = create.contexts
        guard let reconnect = contexts.durableReconnectV2 else {
            return try self.reclaimFirstVersion(create, path, tree, &request, into: &writer)
        }
        guard request.dialect >= .smb30, !contexts.durableRequest, contexts.durableReconnect == nil,
            contexts.durableRequestV2 == nil
        else { throw SMBError(.invalidParameter, "DH2C and another durable context") }
        var found = self.durableOpens[reconnect.fileID.persistent]
        if found == nil, reconnect.isPersistent, tree.share.isContinuouslyAvailable {
            found = self.durableOpens.values.first { self.opens[$0]?.createGUID == reconnect.createGUID }
        }
        guard let key = found, let open = self.opens[key] else {
            throw SMBError(.objectNameNotFound, "no handle \(reconnect.fileID.persistent)")
        }
        guard open.isPersistent == reconnect.isPersistent, open.createGUID == reconnect.createGUID,
            open.share.name == tree.share.name
        else { throw SMBError(.objectNameNotFound, "handle \(open.persistentID) is not to be had this way") }
        try self.requireDisconnected(open, request)
        try self.checkLease(of: open, create, path, request)
        guard open.owner == tree.user else { throw SMBError(.accessDenied, "another user's handle") }
        if open.isPersistent { self.reestablishCaching(of: open, create.contexts.lease) }
        return try self.attach(key, action: .opened, self.caching(of: key), tree, &request, into: &writer) { _ in }
    }

    /// A handle that is in use is not given back. But the shell's loops hear of the end of one connection and of what comes on the
    /// next in either order: the client waits a moment for the end of its old one.
    private mutating func requireDisconnected(_ open: Open, _ request: Request) throws(SMBError) {
        guard open.session != nil else { return }
        guard open.connection != request.connection, self.carriedOut == nil, self.reclaims.count < Limits.reclaims
        else {
            throw SMBError(.objectNameNotFound, "handle \(open.persistentID) is in use")
        }
        self.reclaims.append((self.now &+ Limits.reclaimMilliseconds, open.file))
        throw SMBError(waitsForBreak: open.file)
    }

    /// DHnC. 3.3.5.9.7: found by the persistent half of its id.
    private mutating func reclaimFirstVersion(
        _ create: CreateRequest, _ path: String, _ tree: TreeConnect, _ request: inout Request,
        into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        guard create.contexts.durableRequestV2 == nil, let id = create.contexts.durableReconnect else {
            throw SMBError(.invalidParameter, "DHnC and DH2Q")
        }
        guard let key = self.durableOpens[id.persistent], let open = self.opens[key],
            open.isDurable || open.isResilient, !open.isPersistent, open.share.name == tree.share.name
        else { throw SMBError(.objectNameNotFound, "handle \(id.persistent) is not to be had this way") }
        try self.requireDisconnected(open, request)
        try self.checkLease(of: open, create, path, request)
        guard open.owner == tree.user else { throw SMBError(.accessDenied, "another user's handle") }
        return try self.attach(key, action: .opened, self.caching(of: key), tree, &request, into: &writer) { _ in }
    }

    /// 3.3.5.9.7, 3.3.5.9.12: whose lease it is must come back with it, by its key, from the same client, for the same file.
    private func checkLease(
        of open: Open, _ create: CreateRequest, _ path: String, _ request: Request
    ) throws(SMBError) {
        // Whatever oplock level the request names: only the contexts count.
        let context = create.contexts.lease
        guard let lease = open.lease else {
            // A persistent handle may come from a server that granted none; to refuse it would cost its client the file.
            guard context == nil || open.isPersistent else {
                throw SMBError(.objectNameNotFound, "the handle has no lease")
            }
            return
        }
        let version = self.files[open.file]?.oplocks.holder(.lease(lease))?.lease?.version ?? 1
        guard let context, context.key == lease.key, (context.version2 == nil ? 1 : 2) == version,
            self.connections[request.connection]?.clientGUID == lease.clientGUID
        else { throw SMBError(.objectNameNotFound, "the handle has another lease") }
        // Somebody else may have renamed the file while the client was away: a persistent handle is known without its name.
        guard open.isPersistent || path.lowercased() == open.path.lowercased() else {
            throw SMBError(.invalidParameter, "the lease is another file's")
        }
    }

    /// Gives a disconnected open to the session that asks for it, and answers.
    private mutating func attach(
        _ key: UInt64, action: CreateAction, _ caching: (level: OplockLevel, lease: LeaseContext?),
        _ tree: TreeConnect, _ request: inout Request, into writer: inout WireWriter,
        _ contexts: (inout CreateResponseContexts) -> Void
    ) throws(SMBError) -> Outcome {
        guard let handle = self.opens[key]?.handle else { throw SMBError(.fileClosed) }
        let facts = try handle.facts()
        self.opens[key]?.session = request.session
        self.opens[key]?.connection = request.connection
        self.opens[key]?.treeID = request.treeID
        self.opens[key]?.share = tree.share
        self.opens[key]?.owner = tree.user
        self.opens[key]?.expiresAt = nil
        if self.opens[key]?.isDirectory == true { self.opens[key]?.mayHaveMissedChanges = true }
        self.opens[key]?.channelSequence = request.header.channelSequence
        self.opens[key]?.outstanding.advance()
        let id = self.opens[key]?.fileID ?? .related
        request.fileID = id
        var answer = CreateResponseContexts()
        answer.lease = caching.lease
        contexts(&answer)
        self.tellOfBreak(key)
        CreateResponse(
            oplockLevel: caching.level, action: action, information: facts.networkOpen, fileID: id, contexts: answer
        ).encode(into: &writer)
        // A repetition may overtake what its first answer waited for.
        let work: Work =
            tree.share.isContinuouslyAvailable && action != .opened ? .sync(handle, includingName: true) : .none
        return self.reply(request, work: work, into: &writer)
    }

    /// The same application on another machine takes its file over: its earlier open is closed. 3.3.5.9.13.
    mutating func closeEarlierInstance(
        _ contexts: CreateContexts, _ path: String, _ tree: TreeConnect, _ request: Request
    ) throws(SMBError) {
        guard let id = contexts.appInstanceID, contexts.durableRequestV2 != nil, request.dialect >= .smb30,
            let client = self.connections[request.connection]?.clientGUID
        else { return }
        for key in self.opens.keys {
            guard let open = self.opens[key], open.appInstanceID == id, open.clientGUID != client,
                open.share.name == tree.share.name, open.path.lowercased() == path.lowercased()
            else { continue }
            if let version = contexts.appInstanceVersion {
                let old = AppInstanceVersion(high: open.appInstanceVersionHigh, low: open.appInstanceVersionLow)
                guard old < version else { throw SMBError(.fileForcedClosed, "an instance as new has the file") }
            }
            self.closeOpen(key)
        }
    }
}
