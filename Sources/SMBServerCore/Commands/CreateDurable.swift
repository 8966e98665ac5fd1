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

    /// 3.3.5.9.10. Without the persistent flag a durable handle needs a batch oplock or a lease with handle caching, which
    /// are not granted here: then it is an ordinary handle.
    func grantDurability(_ open: inout Open, _ contexts: CreateContexts, _ request: Request) {
        if let id = contexts.appInstanceID {
            open.appInstanceID = id
            open.appInstanceVersionHigh = contexts.appInstanceVersion?.high ?? 0
            open.appInstanceVersionLow = contexts.appInstanceVersion?.low ?? 0
        }
        guard let durable = contexts.durableRequestV2, request.dialect >= .smb30,
            let connection = self.connections[request.connection]
        else { return }
        open.createGUID = durable.createGUID
        open.clientGUID = connection.clientGUID
        open.isReplayEligible = true
        guard !open.isDirectory, self.isPersistent(durable, on: open.share, request) else { return }
        open.isDurable = true
        open.isPersistent = true
        open.timeoutMilliseconds =
            durable.timeoutMilliseconds == 0
            ? Limits.defaultHandleTimeoutMilliseconds
            : min(durable.timeoutMilliseconds, Limits.maximumHandleTimeoutMilliseconds)
    }

    /// A CREATE that was carried out before is answered again and not carried out again. Nil: it is a new one.
    mutating func replay(
        _ durable: DurableRequestV2, _ tree: TreeConnect, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome? {
        guard request.dialect >= .smb30, let connection = self.connections[request.connection],
            let key = self.creates[CreateKey(createGUID: durable.createGUID, clientGUID: connection.clientGUID)],
            let open = self.opens[key], open.isReplayEligible
        else { return nil }
        guard request.header.isReplay else { throw SMBError(.duplicateObjectid, "CreateGuid is in use") }
        guard open.owner == tree.user else { throw SMBError(.accessDenied, "another user's CreateGuid") }
        guard open.share.name == tree.share.name else { throw SMBError(.duplicateObjectid, "on another share") }
        guard open.session == nil || open.session == request.session else {
            throw SMBError(.fileNotAvailable, "the open is still connected elsewhere")
        }
        // Its record may still be on its way to the disks.
        self.mutationsAwaited = true
        return try self.attach(key, action: open.createAction, tree, &request, into: &writer) {
            $0.durableV2 =
                open.survivesDisconnect
                ? DurableResponseV2(
                    timeoutMilliseconds: open.timeoutMilliseconds,
                    flags: open.isPersistent ? DurableRequestV2.persistentFlag : 0)
                : nil
        }
    }

    /// DHnC and DH2C: the client comes back for a handle. 3.3.5.9.7, 3.3.5.9.12.
    mutating func reclaim(
        _ create: CreateRequest, _ tree: TreeConnect, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let contexts = create.contexts
        guard let reconnect = contexts.durableReconnectV2 else {
            guard contexts.durableRequestV2 == nil else { throw SMBError(.invalidParameter, "DHnC and DH2Q") }
            // Durable handles of the first version need an oplock or a lease: none was ever granted.
            throw SMBError(.objectNameNotFound, "no durable handle")
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
            open.session == nil, open.share.name == tree.share.name
        else { throw SMBError(.objectNameNotFound, "handle \(open.persistentID) is not to be had this way") }
        guard open.owner == tree.user else { throw SMBError(.accessDenied, "another user's handle") }
        return try self.attach(key, action: .opened, tree, &request, into: &writer) { _ in }
    }

    /// Gives a disconnected open to the session that asks for it, and answers.
    private mutating func attach(
        _ key: UInt64, action: CreateAction, _ tree: TreeConnect, _ request: inout Request,
        into writer: inout WireWriter, _ contexts: (inout CreateResponseContexts) -> Void
    ) throws(SMBError) -> Outcome {
        guard let handle = self.opens[key]?.handle else { throw SMBError(.fileClosed) }
        let facts = try handle.facts()
        self.opens[key]?.session = request.session
        self.opens[key]?.connection = request.connection
        self.opens[key]?.treeID = request.treeID
        self.opens[key]?.share = tree.share
        self.opens[key]?.expiresAt = nil
        self.opens[key]?.channelSequence = request.header.channelSequence
        let id = self.opens[key]?.fileID ?? .related
        request.fileID = id
        var answer = CreateResponseContexts()
        contexts(&answer)
        CreateResponse(
            oplockLevel: .none, action: action, information: facts.networkOpen, fileID: id, contexts: answer
        ).encode(into: &writer)
        return self.reply(request, into: &writer)
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
