import SMB2Wire

// What the server does about `Oplocks`: grants on behalf of opens, tells clients of breaks, keeps the time.
// [MS-SMB2] 3.3.4.6, 3.3.4.7, 3.3.6.1, 3.3.6.5.

extension ServerState {
    // MARK: Granting

    /// Who an open is to the oplocks of its file.
    func cachingOwner(_ open: Open) -> Oplocks.Owner { open.lease.map { .lease($0) } ?? .open(open.key) }

    /// The lease that a CREATE asks for, where it may. 3.3.5.9: without the level, or where none was negotiated, the context
    /// is ignored; 3.3.5.9.8: a directory has leases of the second version only.
    func requestedLease(_ create: CreateRequest, _ request: Request) -> Lease? {
        guard create.oplockLevel == .lease, let context = create.contexts.lease,
            let connection = self.connections[request.connection], connection.serverCapabilities.contains(.leasing)
        else { return nil }
        let version2 = request.dialect >= .smb30 ? context.version2 : nil
        guard request.dialect >= .smb30 || context.version2 == nil else { return nil }
        let hasParent = context.flags & LeaseContext.parentLeaseKeySetFlag != 0
        return Lease(
            id: LeaseID(clientGUID: connection.clientGUID, key: context.key), version: version2 == nil ? 1 : 2,
            epoch: version2?.epoch ?? 0, parentKey: hasParent ? version2?.parentKey : nil)
    }

    /// 3.3.5.9.8: a lease key stands for one file.
    func checkLeaseKey(_ lease: Lease, _ path: String, _ fileSystem: any FileSystem) throws(SMBError) {
        guard let entry = self.leases[lease.id], let file = self.files[entry] else { return }
        let parts = path.split(separator: ":", omittingEmptySubsequences: false)
        let stream = parts.count > 1 ? parts[1].uppercased() : ""
        guard stream == file.key.stream,
            try fileSystem.findFile(parts.first.map { String($0) } ?? "")?.identity == file.key.identity
        else { throw SMBError(.invalidParameter, "the lease key is another file's") }
    }

    /// Grants an oplock or a lease to a new open that is in the tables. 3.3.5.9, "Oplock Acquisition".
    mutating func grantCaching(_ key: UInt64, _ create: CreateRequest, lease: Lease?, _ request: Request) {
        guard let open = self.opens[key], open.file != 0, let file = self.files[open.file] else { return }
        if open.isDirectory {
            let capabilities = self.connections[request.connection]?.serverCapabilities ?? []
            guard let lease, lease.version == 2, capabilities.contains(.directoryLeasing) else { return }
        }
        let wanted = lease == nil ? create.oplockLevel.caching : create.contexts.lease?.state ?? []
        guard lease != nil || !wanted.isEmpty else { return }
        if let lease {
            if let file = self.leases[lease.id] {
                guard file == open.file else { return }
            } else {
                guard self.leases.count < self.opens.limit else { return }
            }
            self.opens[key]?.lease = lease.id
        }
        let owner: Oplocks.Owner = lease.map { .lease($0.id) } ?? .open(key)
        let others = file.opens.filter { other in
            guard other != key, let open = self.opens[other] else { return false }
            return self.cachingOwner(open) != owner
        }
        let wish = Oplocks.Request(
            owner: owner, open: key, state: wanted, lease: lease,
            hasOtherOpens: others.contains { other in
                !Oplocks.isHarmless(self.opens[other]?.grantedAccess ?? [], toLease: false)
            },
            hasOtherLocks: self.hasLocksInside(file, of: others), isDirectory: open.isDirectory)
        self.files[open.file]?.oplocks.grant(wish)
        guard let lease else { return }
        guard self.files[open.file]?.oplocks.holder(owner) != nil else {
            self.opens[key]?.lease = nil
            return
        }
        self.enter(lease.id, of: open.file, isDirectory: open.isDirectory)
    }

    /// A lease has one more open; with its first one it comes into the table.
    mutating func enter(_ lease: LeaseID, of file: UInt64, isDirectory: Bool) {
        if self.leases.updateValue(file, forKey: lease) == nil, isDirectory { self.directoryLeases += 1 }
    }

    /// Whether these opens have locked what the file holds. Locks behind its end are a program's signals, and keep nobody from
    /// caching: [MS-FSA] 2.1.5.8 compares with the allocation size, and so does FsRtlCheckLockForOplockRequest.
    private func hasLocksInside(_ file: FileEntry, of opens: [UInt64]) -> Bool {
        let locks = file.locks.all.filter { opens.contains($0.owner) }
        guard let first = locks.min(by: { $0.offset < $1.offset }) else { return false }
        guard let facts = try? self.opens[first.owner]?.handle?.facts() else { return true }
        return first.offset < facts.allocationSize
    }

    /// What an open's client may cache, as a CREATE response says it. 2.2.14, 2.2.14.2.10, 2.2.14.2.11.
    func caching(of key: UInt64) -> (level: OplockLevel, lease: LeaseContext?) {
        guard let open = self.opens[key], let holder = self.files[open.file]?.oplocks.holder(of: key) else {
            return (.none, nil)
        }
        guard let lease = holder.lease else { return (OplockLevel(caching: holder.state), nil) }
        var flags: UInt32 = holder.breaking == nil ? 0 : LeaseContext.breakInProgressFlag
        var version2: LeaseContext.Version2?
        if lease.version == 2 {
            if lease.parentKey != nil { flags |= LeaseContext.parentLeaseKeySetFlag }
            version2 = LeaseContext.Version2(parentKey: lease.parentKey ?? .zero, epoch: lease.epoch)
        }
        return (.lease, LeaseContext(key: lease.id.key, state: holder.state, flags: flags, version2: version2))
    }

    // MARK: Breaking

    /// Something is about to happen to a file: tells those who cache what it takes from them. Throws the error that makes
    /// the request wait where it must (`SMBError.waitsForBreak`).
    ///
    /// - Parameter owner: who does it; nil: an open that is not there yet and has no lease.
    mutating func breakCaching(
        of entry: UInt64, by owner: Oplocks.Owner?, _ operation: Oplocks.Operation
    ) throws(SMBError) {
        while self.files[entry]?.oplocks.isEmpty == false {
            guard let check = self.files[entry]?.oplocks.check(operation, by: owner, now: self.now) else { return }
            // A disconnected handle that gave way may have been what there was to wait for.
            if self.tell(check, of: entry) { continue }
            guard check.mustWait else { return }
            throw SMBError(waitsForBreak: entry)
        }
    }

    /// An open writes, locks or resizes its file. 3.3.5.13, 3.3.5.14, 3.3.5.21.1.
    mutating func breakReadCaching(by open: Open) {
        guard open.file != 0, let oplocks = self.files[open.file]?.oplocks, !oplocks.isEmpty else { return }
        let owner = self.cachingOwner(open)
        // The usual case: nobody else has the file.
        if oplocks.holders.count == 1, oplocks.holders[0].owner == owner,
            oplocks.holders[0].lease != nil || oplocks.holders[0].state.contains(.writeCaching)
        {
            return
        }
        self.tell(self.files[open.file]?.oplocks.check(.change, by: owner, now: self.now), of: open.file)
    }

    /// Tells those who must cache less. What anybody has lost is in its records before the answer to whoever took it
    /// leaves: the next node must not give it back. True as `send`.
    @discardableResult
    mutating func tell(_ check: Oplocks.Check?, of entry: UInt64) -> Bool {
        guard let check else { return false }
        for owner in check.losers {
            if let holder = self.files[entry]?.oplocks.holder(owner) { self.persistCaching(of: holder) }
        }
        return self.send(check.notices, of: entry)
    }

    /// Sends notifications. True when an open was closed instead: a durable handle whose client is away gives way.
    @discardableResult
    mutating func send(_ notices: [Oplocks.Notice], of entry: UInt64) -> Bool {
        var hasClosed = false
        for notice in notices {
            guard let holder = self.files[entry]?.oplocks.holder(notice.owner) else { continue }
            if notice.needsAcknowledgement { self.breakingFiles.insert(entry) }
            self.persistCaching(of: holder)
            if let channel = self.channel(to: holder) {
                self.notify(channel, holder, notice)
                self.files[entry]?.oplocks.markTold(notice.owner, over: channel.connection)
                continue
            }
            if holder.opens.contains(where: { self.opens[$0]?.isPersistent == true }) {
                // What it caches is the client's until it is back, or its time is over. 3.3.4.7.
                self.files[entry]?.oplocks.markUntold(notice.owner)
                continue
            }
            for key in holder.opens where self.opens[key]?.isResilient != true { self.closeOpen(key) }
            // A resilient handle stays, and what it cached is gone: its client learns that when it is back. 3.3.4.6.
            if self.files[entry]?.oplocks.revoke(notice.owner) == true { self.wake(entry) }
            hasClosed = true
        }
        return hasClosed
    }

    /// The way to a client.
    private struct Channel {
        var open: Open
        var session: UInt64
        var connection: Connection.ID
    }

    /// How the client of a holder is told: over the oldest channel of its first open that is connected. 3.3.4.6. With SMB 3.x a
    /// lease is the client's, not a session's: over the oldest of the client's connections, whichever its opens came with. 3.3.4.7.
    private func channel(to holder: Oplocks.Holder) -> Channel? {
        for key in holder.opens {
            guard let open = self.opens[key], let id = open.session, let session = self.sessions[id] else { continue }
            let eldest = holder.lease.flatMap { self.eldestConnection(of: $0.id.clientGUID, for: session, open) }
            return Channel(open: open, session: id, connection: eldest ?? session.channels[0])
        }
        return nil
    }

    /// Only one on which the same user is logged on: a ClientGuid proves nothing. What must be encrypted stays on the channels of
    /// its session, which have the key.
    private func eldestConnection(of client: GUID, for session: Session, _ open: Open) -> Connection.ID? {
        guard !session.isEncryptionRequired, !open.share.requiresEncryption, let user = session.user else { return nil }
        return self.clientConnections[client]?.first { id in
            self.connections[id]?.sessions.contains { self.sessions[$0]?.user == user } == true
        }
    }

    /// A connection has ended: breaks that were told over it and not acknowledged are told over another one.
    /// 3.3.4.6, 3.3.4.7: the server tries the next connection until one takes the notification.
    mutating func tellAgain(insteadOf connection: Connection.ID) {
        // In the order of their keys: that of a set changes from run to run.
        for file in self.breakingFiles.sorted() {
            for notice in self.files[file]?.oplocks.told(over: connection) ?? [] {
                guard let holder = self.files[file]?.oplocks.holder(notice.owner),
                    let channel = self.channel(to: holder)
                else { continue }
                self.notify(channel, holder, notice)
                self.files[file]?.oplocks.markTold(notice.owner, over: channel.connection)
            }
        }
    }

    /// Oplock and lease break notifications: unsolicited, unsigned, of no session. 2.2.23, 3.3.4.6, 3.3.4.7.
    private mutating func notify(_ channel: Channel, _ holder: Oplocks.Holder, _ notice: Oplocks.Notice) {
        let (open, session) = (channel.open, channel.session)
        var writer = WireWriter(capacity: 128)
        SMB2Header(command: .oplockBreak, flags: .response, messageID: .max).encode(into: &writer)
        if let lease = holder.lease {
            LeaseBreakNotification(
                newEpoch: lease.version == 2 ? lease.epoch : 0,
                flags: notice.needsAcknowledgement ? LeaseBreakNotification.acknowledgeRequired : 0,
                leaseKey: lease.id.key, currentState: notice.from, newState: notice.to
            ).encode(into: &writer)
        } else {
            OplockBreak(level: OplockLevel(caching: notice.to), fileID: open.fileID).encode(into: &writer)
        }
        let encrypts = self.sessions[session]?.isEncryptionRequired == true || open.share.requiresEncryption
        let notification = Notification(
            session: session, message: writer.bytes, protection: encrypts ? .encrypt(session: session) : .none,
            isAcknowledged: notice.needsAcknowledgement)
        self.send(notification, over: channel.connection)
    }

    /// The records of a holder's persistent opens say what their client may cache. 3.3.5.9.12 gives it back from them.
    mutating func persistCaching(of holder: Oplocks.Holder) {
        for key in holder.opens { self.persist(key, awaited: true) }
    }

    // MARK: Time, 3.3.6.1, 3.3.6.5

    /// Who has not acknowledged a break in time caches nothing any more.
    mutating func expireBreaks() {
        // In the order of their keys: that of a set changes from run to run.
        for file in self.breakingFiles.sorted() {
            for holder in self.files[file]?.oplocks.overdue(now: self.now) ?? [] {
                if holder.breaking?.isUntold == true {
                    // The client of a persistent handle may have cached writes. It is not robbed of them: those who wait
                    // are sent away, and ask again. What was done without waiting it finds when it is back.
                    self.files[file]?.oplocks.forgetBreak(holder.owner)
                    if holder.breaking?.lost.isEmpty == false { self.persistCaching(of: holder) }
                    for id in self.files[file]?.waitingOperations ?? [] { self.giveUp(id, status: .fileNotAvailable) }
                } else if self.files[file]?.oplocks.revoke(holder.owner) == true {
                    self.persistCaching(of: holder)
                    self.wake(file)
                }
            }
            if self.files[file]?.oplocks.isBreaking != true { self.breakingFiles.remove(file) }
        }
    }

    // MARK: Closing and coming back

    /// An open is gone from the table of opens.
    mutating func dropCaching(of key: UInt64, in entry: UInt64) {
        guard let gone = self.files[entry]?.oplocks.remove(open: key) else { return }
        if let lease = gone.lease, self.leases.removeValue(forKey: lease.id) != nil,
            self.files[entry]?.isDirectory == true
        {
            self.directoryLeases -= 1
        }
        self.wake(entry)
    }

    /// Whether a durable open may outlive its connection: its client was promised that it hears of others, or need not.
    /// [MS-SMB2] 3.3.4.6, 3.3.4.7, 3.3.7.1: without handle caching, or while a break waits for the client, it may not.
    func keepsHandle(_ open: Open) -> Bool {
        guard !open.isPersistent, !open.isResilient else { return true }
        guard open.isDurable, let file = self.files[open.file], let holder = file.oplocks.holder(of: open.key) else {
            return false
        }
        // As Windows and smbd: others share the file, and would wait for the locks of a client that is not there.
        let hasLocks = file.locks.all.contains { $0.owner == open.key }
        guard !hasLocks || holder.state.contains(.writeCaching) else { return false }
        return holder.state.contains(.handleCaching) && holder.breaking == nil
    }

    /// Whether the client uses one of the opens.
    func isConnected(_ holder: Oplocks.Holder) -> Bool {
        holder.opens.contains { self.opens[$0]?.session != nil }
    }

    /// A client is back for a persistent open, the first of those that share a lease. With Windows what it caches is asked for anew
    /// then, and byte-range locks, its own too, let nobody cache but a writer ([MS-FSA] 2.1.5.18.2): the answer says what is left.
    mutating func reestablishCaching(of open: Open, _ context: LeaseContext?) {
        guard let holder = self.files[open.file]?.oplocks.holder(of: open.key),
            !holder.opens.contains(where: { self.opens[$0]?.session != nil })
        else { return }
        if !holder.state.isEmpty, !holder.state.contains(.writeCaching), self.isLocked(open.file, by: holder) {
            self.files[open.file]?.oplocks.lose(holder.owner)
            self.persistCaching(of: holder)
            self.wake(open.file)
        }
        guard let epoch = context?.version2?.epoch else { return }
        self.files[open.file]?.oplocks.reestablish(holder.owner, after: epoch)
    }

    /// Whether the client of a persistent open that is away will find it as it left it, though others open the file meanwhile: it
    /// caches the handle, and nothing takes that from it.
    func protectsHandle(_ open: Open) -> Bool {
        guard let holder = self.files[open.file]?.oplocks.holder(of: open.key) else { return false }
        return holder.state.contains(.handleCaching)
            && (holder.state.contains(.writeCaching) || !self.isLocked(open.file, by: holder))
    }

    private func isLocked(_ file: UInt64, by holder: Oplocks.Holder) -> Bool {
        self.files[file].map { self.hasLocksInside($0, of: holder.opens) } ?? false
    }

    /// A client came back for an open: a break that it could not be told of is told now.
    mutating func tellOfBreak(_ key: UInt64) {
        guard let open = self.opens[key], open.file != 0 else { return }
        let owner = self.cachingOwner(open)
        guard let notice = self.files[open.file]?.oplocks.tell(owner, now: self.now) else { return }
        self.send([notice], of: open.file)
    }
}
