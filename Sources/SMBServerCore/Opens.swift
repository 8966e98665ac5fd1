import SMB2Wire
import StateRecords

// The life of an open: found, closed, left behind by its connection.

extension ServerState {
    /// The open that a request names. [MS-SMB2] 3.3.5.2.7.2 for the id of a related request; a handle's first use ends
    /// the time in which its CREATE may be repeated.
    mutating func findOpen(_ request: inout Request, _ id: FileID) throws(SMBError) -> UInt64 {
        var id = id
        // 3.3.5.2.7.2 has the flag alone decide; smbtorture and others fill one half of the id.
        if id == .related || request.header.isRelated && id.persistent == .max {
            guard let related = request.relatedFileID else { throw SMBError(.fileClosed, "no related file") }
            id = related
        }
        guard let open = self.opens[id.volatile], open.persistentID == id.persistent,
            open.session == request.session, open.treeID == request.treeID
        else { throw SMBError(.fileClosed) }
        request.fileID = id
        if open.isReplayEligible { self.opens[id.volatile]?.isReplayEligible = false }
        if request.dialect >= .smb30 { try self.checkChannelSequence(&request, id.volatile, open) }
        return id.volatile
    }

    /// Closes an open for good. [MS-FSA] 2.1.5.5.
    /// - Returns: the file (or stream) that went with it, or that only the storage knows to be there: the open's own,
    ///   or the file that waited for its streams.
    @discardableResult
    mutating func closeOpen(_ key: UInt64) -> (any FileHandle)? {
        guard let open = self.opens[key] else { return nil }
        self.cancelPending(
            status: .fileClosed, lockStatus: .rangeNotLocked, notifyStatus: .notifyCleanup, pipeStatus: .pipeBroken
        ) { $0.open == key }
        self.opens.remove(key)
        if open.survivesDisconnect { self.durableOpens[open.persistentID] = nil }
        if open.createGUID != .zero {
            let create = CreateKey(createGUID: open.createGUID, clientGUID: open.clientGUID)
            if self.creates[create] == key { self.creates[create] = nil }
        }
        var keepsRecord = false
        defer {
            if open.isPersistent, !keepsRecord {
                self.mutations.append(.removeOpen(persistentID: open.persistentID))
            }
        }
        if case .pipe(let pipe) = open.object { self.usage.pipeBytes -= pipe.keptByteCount }
        guard open.file != 0, let handle = open.handle else { return nil }
        self.files[open.file]?.opens.removeAll { $0 == key }
        self.dropCaching(of: key, in: open.file)
        if open.deleteOnClose, self.files[open.file]?.isUnlinked == false, self.mayMark(open, handle) {
            let isFirst = self.files[open.file]?.isDeletePending == false
            self.mark(open.file, isDeletePending: true)
            self.files[open.file]?.deleterParent = open.parentLease
            self.tellWatchersOfDeletion(of: open.file)
            // The file goes with its last handle: those who only cache that they have it open close it.
            let check = self.files[open.file]?.oplocks.check(.rename, by: open.lease.map { .lease($0) }, now: self.now)
            self.send(check?.notices ?? [], of: open.file)
            // Of a file that is marked all records say so. With each of many opens that are closed at once all others
            // would be written again.
            if isFirst { for other in self.files[open.file]?.opens ?? [] { self.persist(other, awaited: false) } }
        }
        let locks = self.files[open.file]?.locks.removeAll(owner: key) ?? 0
        self.usage.locks -= locks
        if locks > 0 { self.retryLocks(of: open.file) }
        var isDeleted = false
        let deleterParent = self.files[open.file]?.deleterParent
        if let file = self.files[open.file], self.deletesNow(file, closing: open) {
            if self.postponeDeletion(of: open) {
                keepsRecord = true
            } else {
                (isDeleted, keepsRecord) = self.deleteFile(of: open, handle)
            }
        }
        let finished = self.dropFileEntryIfUnused(open.file)
        if isDeleted || open.hasWritten {
            // Whose cache of the directory knows of it: who said that the file shall go, and took it away.
            let isKnown = !isDeleted || deleterParent == open.parentLease
            self.directoryChanged(at: open.path, by: open, isKnownToClient: isKnown)
        }
        return finished ?? (isDeleted ? handle : nil)
    }

    /// [MS-FSA] 2.1.5.5, phase 1: FILE_DELETE_ON_CLOSE means nothing for a directory that has entries. Where the
    /// storage cannot say whether it has, the deletion will fail as this did, and leave it to the next node.
    private func mayMark(_ open: Open, _ handle: any FileHandle) -> Bool {
        guard open.isDirectory, self.files[open.file]?.isDeletePending == false else { return true }
        do throws(SMBError) {
            try open.share.fileSystem?.checkDeletable(handle, ignoresReadOnly: true)
            return true
        } catch { return error.status.saysStorageFailed }
    }

    /// Takes the name (or the stream) of an open that is closed away.
    /// - Returns: whether it is gone, or only the storage knows; whether the open's record, if it has one, must stay.
    mutating func deleteFile(of open: Open, _ handle: any FileHandle) -> (isDeleted: Bool, keepsRecord: Bool) {
        // The file may be gone or full by now: nobody is left to be told, the handle is closed either way.
        do throws(SMBError) {
            try open.share.fileSystem?.deleteFile(handle)
            self.mark(open.file, isDeletePending: false)
            self.files[open.file]?.isUnlinked = true
            self.deletions &+= 1
            return (true, self.leavesRecordUntilSettled(open.isPersistent ? open.persistentID : nil, handle))
        } catch {
            self.note(error)
            // Says nothing about the file: the next node deletes it, by the open's record.
            return (error.status.saysStorageFailed, error.status.saysStorageFailed)
        }
    }

    /// The session or connection of an open ends.
    /// - Returns: as `closeForClient`, which one that is not kept goes by.
    mutating func leaveOpen(_ key: UInt64, keepsDurable: Bool) -> (any FileHandle)? {
        guard let open = self.opens[key] else { return nil }
        guard keepsDurable, self.keepsHandle(open) else { return self.closeForClient(key) }
        self.cancelPending(status: .cancelled) { $0.open == key }
        self.opens[key]?.session = nil
        self.opens[key]?.connection = nil
        self.opens[key]?.enumeration = nil
        self.opens[key]?.notification = nil
        self.wake(open.file)
        let durable = open.isDurable || open.isPersistent ? open.timeoutMilliseconds : 0
        self.opens[key]?.expiresAt = self.now &+ UInt64(max(durable, open.resiliencyMilliseconds ?? 0))
        // Whether its client heard of a break nobody knows.
        if let holder = self.files[open.file]?.oplocks.holder(of: key), holder.breaking != nil,
            !holder.opens.contains(where: { self.opens[$0]?.connection != nil })
        {
            self.files[open.file]?.oplocks.markUntold(holder.owner)
        }
        return nil
    }

    /// Marks the file (or stream) of an open to go with its last open, or takes the mark away.
    mutating func setDeletePending(_ key: UInt64, _ isPending: Bool) {
        guard let open = self.opens[key], open.file != 0 else { return }
        self.mark(open.file, isDeletePending: isPending)
        self.files[open.file]?.deleterParent = isPending ? open.parentLease : nil
        if isPending { self.tellWatchersOfDeletion(of: open.file) }
    }

    /// Appends the record of a persistent open to the mutations; nothing for other opens.
    mutating func persist(_ key: UInt64, awaited: Bool) {
        guard let open = self.opens[key], open.isPersistent, let record = self.record(of: open) else { return }
        self.mutations.append(.putOpen(record))
        if awaited { self.mutationsAwaited = true }
    }

    /// Something went wrong that no reply tells anybody; the shell logs it.
    mutating func note(_ error: SMBError) {
        if self.notes.count < Self.notesLimit { self.notes.append("\(error.status): \(error.detail ?? "no detail")") }
    }
}

/// What a repeated CREATE is recognised by. [MS-SMB2] 3.3.5.9.10.
package struct CreateKey: Hashable, Sendable {
    package var createGUID: GUID
    package var clientGUID: GUID
}
