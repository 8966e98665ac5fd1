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

    /// Closes an open for good. [MS-FSA] 2.1.5.4. Whether the file went with it, or the storage that knows.
    @discardableResult
    mutating func closeOpen(_ key: UInt64) -> Bool {
        guard let open = self.opens[key] else { return false }
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
        guard open.file != 0, let handle = open.handle else { return false }
        self.files[open.file]?.opens.removeAll { $0 == key }
        self.dropCaching(of: key, in: open.file)
        if open.deleteOnClose, self.files[open.file]?.isUnlinked == false {
            self.files[open.file]?.isDeletePending = true
            self.files[open.file]?.deleterParent = open.parentLease
            self.tellWatchersOfDeletion(of: open.file)
            // The file goes with its last handle: those who only cache that they have it open close it.
            let check = self.files[open.file]?.oplocks.check(.rename, by: open.lease.map { .lease($0) }, now: self.now)
            self.send(check?.notices ?? [], of: open.file)
            for other in self.files[open.file]?.opens ?? [] { self.persist(other, awaited: false) }
        }
        let locks = self.files[open.file]?.locks.removeAll(owner: key) ?? 0
        self.usage.locks -= locks
        if locks > 0 { self.retryLocks(of: open.file) }
        var isDeleted = false
        let deleterParent = self.files[open.file]?.deleterParent
        if let file = self.files[open.file], self.deletesNow(file, closing: open) {
            if self.postponeDeletion(of: open, handle) {
                keepsRecord = true
                return false
            }
            // The file may be gone or full by now: nobody is left to be told, the handle is closed either way.
            do throws(SMBError) {
                try open.share.fileSystem?.deleteFile(handle)
                isDeleted = true
                self.files[open.file]?.isDeletePending = false
                self.files[open.file]?.isUnlinked = true
                self.deletions &+= 1
                keepsRecord = self.leavesRecordUntilSettled(open.isPersistent ? open.persistentID : nil, handle)
            } catch {
                self.note(error)
                // Says nothing about the file: the next node deletes it, by this record.
                keepsRecord = error.status.saysStorageFailed
                isDeleted = keepsRecord
            }
        }
        self.dropFileEntryIfUnused(open.file)
        if isDeleted || open.hasWritten {
            // Whose cache of the directory knows of it: who said that the file shall go, and took it away.
            let isKnown = !isDeleted || deleterParent == open.parentLease
            self.directoryChanged(at: open.path, by: open, isKnownToClient: isKnown)
        }
        return isDeleted
    }

    /// The session or connection of an open ends.
    mutating func leaveOpen(_ key: UInt64, keepsDurable: Bool) {
        guard let open = self.opens[key] else { return }
        guard keepsDurable, self.keepsHandle(open) else {
            self.closeOpen(key)
            return
        }
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
    }

    /// Marks the file (or stream) of an open to go with its last open, or takes the mark away.
    mutating func setDeletePending(_ key: UInt64, _ isPending: Bool) {
        guard let open = self.opens[key], open.file != 0 else { return }
        self.files[open.file]?.isDeletePending = isPending
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
