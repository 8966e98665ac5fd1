import SMB2Wire
import StateRecords

// Persistent opens and the records that outlive the process.

/// A file that is gone, and the record of the open that deleted it, which must outlive a crash until the deletion does.
package struct UnsettledDeletion: Sendable {
    package var handle: any FileHandle
    package var persistentID: UInt64
}

extension GUID16 {
    package init(_ guid: GUID) { self.init(low: guid.low, high: guid.high) }
}

extension GUID {
    package init(_ guid: GUID16) { self.init(low: guid.low, high: guid.high) }
}

extension LeaseRecord {
    /// Nil for an oplock. A break that waits for its acknowledgement is not recorded: no other node knows of it.
    init?(_ holder: Oplocks.Holder) {
        let holder = holder.withoutBreak
        guard let lease = holder.lease else { return nil }
        self.init(
            key: GUID16(lease.id.key), parentKey: GUID16(lease.parentKey ?? .zero), state: holder.state.rawValue,
            flags: lease.parentKey == nil ? 0 : LeaseContext.parentLeaseKeySetFlag, epoch: lease.epoch,
            version: lease.version)
    }
}

extension Lease {
    init(_ record: LeaseRecord, clientGUID: GUID) {
        let hasParent = record.flags & LeaseContext.parentLeaseKeySetFlag != 0
        self.init(
            id: LeaseID(clientGUID: clientGUID, key: GUID(record.key)), version: record.version, epoch: record.epoch,
            parentKey: hasParent ? GUID(record.parentKey) : nil)
    }
}

extension ServerState {
    /// All that is needed to give this open back after a failover.
    func record(of open: Open) -> OpenRecord? {
        guard let handle = open.handle else { return nil }
        let key = handle.fileKey
        let file = self.files[open.file]
        let locks = file?.locks.owned(by: open.key) ?? []
        let holder = file?.oplocks.holder(of: open.key)
        let oplock = holder?.lease == nil ? OplockLevel(caching: holder?.withoutBreak.state ?? []) : .lease
        return OpenRecord(
            persistentID: open.persistentID, createGUID: GUID16(open.createGUID),
            clientGUID: GUID16(open.clientGUID), ownerSID: open.owner.sid, userName: open.owner.name,
            share: open.share.name, path: open.path, stream: key.stream, file: key.identity,
            grantedAccess: open.grantedAccess.rawValue, shareAccess: open.shareAccess.rawValue,
            createOptions: open.createOptions.rawValue, createDisposition: open.createDisposition.rawValue,
            createAction: open.createAction.rawValue, fileAttributes: open.fileAttributes.rawValue,
            timeoutMilliseconds: open.timeoutMilliseconds, isPersistent: true, oplockLevel: oplock.rawValue,
            lease: holder.flatMap { LeaseRecord($0) },
            appInstanceID: GUID16(open.appInstanceID), appInstanceVersionHigh: open.appInstanceVersionHigh,
            appInstanceVersionLow: open.appInstanceVersionLow,
            deleteOnClose: open.deleteOnClose || file?.isDeletePending == true,
            replayConsumed: !open.isReplayEligible, channelSequence: open.channelSequence,
            locks: locks.map { LockRecord(offset: $0.offset, length: $0.length, isExclusive: $0.isExclusive) },
            lockSequences: open.lockSequences.entries, formerPath: open.formerPath)
    }

    /// A file is deleted, and the storage may still forget that. Until it cannot, the record stays, which says that the file
    /// is to be deleted: the node that takes over deletes it, or finds it gone.
    mutating func leavesRecordUntilSettled(_ record: UInt64?, _ handle: any FileHandle) -> Bool {
        guard let record else { return false }
        self.unsettledDeletions.append(UnsettledDeletion(handle: handle, persistentID: record))
        return true
    }

    /// The deletion is on stable storage.
    package mutating func settleDeletion(_ deletion: UnsettledDeletion) {
        self.mutations.append(.removeOpen(persistentID: deletion.persistentID))
    }

    /// Ids from `next` on are this server's to give out, and no later one's: a client may come back with any of them, and
    /// some handles are found by nothing else. [MS-SMB2] 3.3.5.9.7. Before the first is given out this must be stable.
    package mutating func reservePersistentIDs(from next: UInt64) {
        self.nextPersistentID = max(self.nextPersistentID, next, 1)
        self.reserveMorePersistentIDs()
        self.mutationsAwaited = true
    }

    private mutating func reserveMorePersistentIDs() {
        self.persistentIDsEnd = self.nextPersistentID &+ Limits.persistentIDsReserved
        self.mutations.append(.reserveIDs(below: self.persistentIDsEnd))
    }

    /// One was given out. With half of them gone more are reserved, long before those that are left have been used.
    mutating func countPersistentID() {
        self.nextPersistentID += 1
        if self.nextPersistentID &+ Limits.persistentIDsReserved / 2 > self.persistentIDsEnd {
            self.reserveMorePersistentIDs()
        }
    }

    /// Gives the files of disconnected persistent opens back, after a restart or on the node that takes over. Each keeps
    /// what it protects until it is reclaimed or its time is over. Must not serve when ``loadFailure`` is set afterwards.
    /// - Returns: how many were opened again, and the ids of those that could not be (the file is gone).
    package mutating func load(_ records: [OpenRecord]) -> (reopened: Int, lost: [UInt64]) {
        var reopened = 0
        var lost: [UInt64] = []
        for record in records {
            self.nextPersistentID = max(self.nextPersistentID, record.persistentID &+ 1)
            do throws(SMBError) {
                try self.load(record)
                reopened += 1
            } catch {
                let detail = "handle \(record.persistentID) of \(record.path): \(error.detail ?? "")"
                self.note(SMBError(error.status, detail))
                guard !error.status.saysStorageFailed, !error.status.saysNodeIsShort else {
                    // Says nothing about the file. A tombstone would take the handle from its client for good.
                    self.loadFailure = SMBError(error.status, detail)
                    break
                }
                lost.append(record.persistentID)
                self.mutations.append(.removeOpen(persistentID: record.persistentID))
            }
        }
        return (reopened, lost)
    }

    private mutating func load(_ record: OpenRecord) throws(SMBError) {
        guard let share = self.shares[record.share.lowercased()], let fileSystem = share.fileSystem else {
            throw SMBError(.badNetworkName, "no share \(record.share)")
        }
        guard self.durableOpens[record.persistentID] == nil else { return }
        let access = AccessMask(rawValue: record.grantedAccess)
        let handle = try fileSystem.reopenFile(
            FileKey(identity: record.file, stream: record.stream), path: record.path, formerPath: record.formerPath,
            access: access)
        // Done before the server that did it could say so: the file lives on under another of its names.
        guard !record.deleteOnClose || handle.wasFoundByName else {
            throw SMBError(.objectNameNotFound, "the name that was to be deleted is gone")
        }
        var open = Open(
            persistentID: record.persistentID, session: nil, connection: nil, treeID: 0, share: share,
            owner: User(name: record.userName, sid: record.ownerSID), object: .file(handle),
            path: Self.path(of: record, handle),
            grantedAccess: access, shareAccess: ShareAccess(rawValue: record.shareAccess),
            createOptions: CreateOptions(rawValue: record.createOptions),
            createDisposition: CreateDisposition(rawValue: record.createDisposition) ?? .open,
            fileAttributes: FileAttributes(rawValue: record.fileAttributes))
        open.formerPath = record.formerPath
        open.createAction = CreateAction(rawValue: record.createAction) ?? .opened
        open.deleteOnClose = record.deleteOnClose && open.createOptions.contains(.deleteOnClose)
        open.isDurable = true
        open.isPersistent = record.isPersistent
        open.timeoutMilliseconds = record.timeoutMilliseconds
        open.createGUID = GUID(record.createGUID)
        open.clientGUID = GUID(record.clientGUID)
        open.isReplayEligible = !record.replayConsumed
        open.appInstanceID = GUID(record.appInstanceID)
        open.appInstanceVersionHigh = record.appInstanceVersionHigh
        open.appInstanceVersionLow = record.appInstanceVersionLow
        open.channelSequence = record.channelSequence
        open.lockSequences = LockSequences(entries: record.lockSequences)
        open.isDirectory = open.fileAttributes.contains(.directory)
        open.expiresAt = self.now &+ UInt64(record.timeoutMilliseconds)
        let lease = record.lease.map { Lease($0, clientGUID: open.clientGUID) }
        open.lease = lease?.id
        open.parentLease = lease?.parent
        // Its client was promised the handle, whatever the limit is now; and its locks.
        let key = try self.insertOpen(open, handle: handle, isLimited: false)
        self.restoreCaching(key, record, lease)
        if record.deleteOnClose, !open.deleteOnClose { self.setDeletePending(key, true) }
        for lock in record.locks {
            guard let file = self.opens[key]?.file else { break }
            let range = ByteRangeLock(
                offset: lock.offset, length: lock.length, isExclusive: lock.isExclusive, owner: key)
            if self.files[file]?.locks.add(range) == true { self.usage.locks += 1 }
        }
    }

    /// Where a rename and its record went apart, the disk is right. Asked only then: a takeover waits for the answers of all
    /// files that are open.
    private static func path(of record: OpenRecord, _ handle: any FileHandle) -> String {
        guard !handle.isAtRecordedPath, SnapshotPath.split(record.path) == nil,
            let name = try? handle.normalizedName(), name.lowercased() != record.path.lowercased()
        else { return record.path }
        return name
    }

    /// The client caches what it was granted, whatever became of the server that granted it.
    private mutating func restoreCaching(_ key: UInt64, _ record: OpenRecord, _ lease: Lease?) {
        guard let open = self.opens[key] else { return }
        let state =
            record.lease.map { LeaseState(rawValue: $0.state) } ?? OplockLevel(rawValue: record.oplockLevel).caching
        let owner = self.cachingOwner(open)
        self.files[open.file]?.oplocks.restore(owner, open: key, state: state, lease: lease)
        if let lease { self.enter(lease.id, of: open.file, isDirectory: open.isDirectory) }
    }

    /// Puts a new open into every table that finds it.
    mutating func insertOpen(
        _ open: Open, handle: (any FileHandle)?, isLimited: Bool = true
    ) throws(SMBError) -> UInt64 {
        var open = open
        if let handle {
            open.file = try self.fileEntry(for: handle.fileKey)
            self.files[open.file]?.isDirectory = open.isDirectory
        }
        guard let key = self.opens.insert(open, isLimited: isLimited) else {
            if open.file != 0 { self.dropFileEntryIfUnused(open.file) }
            throw SMBError(.tooManyOpenedFiles, "table of opens")
        }
        self.opens[key]?.key = key
        if open.file != 0 { self.files[open.file]?.opens.append(key) }
        if open.survivesDisconnect { self.durableOpens[open.persistentID] = key }
        if open.createGUID != .zero {
            self.creates[CreateKey(createGUID: open.createGUID, clientGUID: open.clientGUID)] = key
        }
        return key
    }
}
