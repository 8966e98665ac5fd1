import SMB2Wire
import StateRecords

/// One stream of one file, by what every node that mounts the file system finds again.
package struct FileKey: Hashable, Sendable {
    package var identity: FileIdentity
    /// Empty for the unnamed stream and for directories. Upper case: stream names are compared without case.
    package var stream: String

    package init(identity: FileIdentity, stream: String = "") {
        self.identity = identity
        self.stream = stream
    }
}

/// What all opens of one stream share. [MS-FSA] 2.1.1.5, 2.1.1.3.
package struct FileEntry: Sendable {
    /// It changes when a stream is renamed.
    package internal(set) var key: FileKey
    /// Keys in the table of opens, connected and disconnected ones.
    package var opens: [UInt64] = []
    package var locks = ByteRangeLocks()
    /// Set through any open; the file goes with its last one. New opens are refused. [MS-FSA] 2.1.5.1.2.
    package fileprivate(set) var isDeletePending = false
    /// Of the open that set it: the lease on the directory that its client has.
    var deleterParent: LeaseID?
    /// It was deleted although it is open, by a POSIX open: there is no name left to take away.
    package var isUnlinked = false
    package var isDirectory = false
    /// Its own opens are closed, this one as the last; it goes when those of its streams are.
    var deletion: Open?
    /// It is a stream and becomes its file's data.
    var move: StreamMove?
    package var oplocks = Oplocks()
    /// Requests that wait for a break of them, the oldest first: keys in the table of pending requests.
    package var waitingOperations: [UInt64] = []
    /// Blocking LOCK requests, the oldest first: keys in the table of pending requests.
    package var waitingLocks: [UInt64] = []

    package init(key: FileKey) { self.key = key }
}

/// Share modes. [MS-FSA] 2.1.5.1.2.2.
package enum ShareMode {
    private static let reading: AccessMask = [.readData, .execute]
    private static let writing: AccessMask = [.writeData, .appendData]

    /// Whether an open with these rights takes part at all: one that only reads attributes does not.
    package static func matters(_ access: AccessMask) -> Bool {
        !access.isDisjoint(with: self.reading.union(self.writing).union(.delete))
    }

    /// Whether one open's rights are refused by the other's share access.
    private static func denies(_ access: AccessMask, _ share: ShareAccess) -> Bool {
        if !access.isDisjoint(with: self.reading), !share.contains(.read) { return true }
        if !access.isDisjoint(with: self.writing), !share.contains(.write) { return true }
        return access.contains(.delete) && !share.contains(.delete)
    }

    package static func conflict(
        _ access: AccessMask, _ share: ShareAccess, with otherAccess: AccessMask, _ otherShare: ShareAccess
    ) -> Bool {
        guard self.matters(access), self.matters(otherAccess) else { return false }
        return self.denies(access, otherShare) || self.denies(otherAccess, share)
    }
}

extension ServerState {
    /// The entry of `key`, made when it is the first use.
    mutating func fileEntry(for key: FileKey) throws(SMBError) -> UInt64 {
        if let entry = self.fileIndex[key] { return entry }
        guard let entry = self.files.insert(FileEntry(key: key)) else {
            throw SMBError(.insufficientResources, "table of files")
        }
        self.fileIndex[key] = entry
        if !key.stream.isEmpty { self.streamIndex[key.identity, default: []].append(entry) }
        return entry
    }

    /// Drops the entry when nothing uses it any more.
    /// - Returns: the file that waited for this last one of its streams, and is deleted now.
    @discardableResult
    mutating func dropFileEntryIfUnused(_ entry: UInt64) -> (any FileHandle)? {
        guard let file = self.files[entry], file.opens.isEmpty, file.waitingOperations.isEmpty, file.deletion == nil,
            file.move == nil
        else { return nil }
        self.fileIndex[file.key] = nil
        if !file.key.stream.isEmpty { self.dropStream(entry, of: file.key.identity) }
        self.deletePendingDirectories.remove(entry)
        self.files.remove(entry)
        return file.key.stream.isEmpty ? nil : self.finishDeletion(of: file.key.identity)
    }

    /// The file (or stream) goes with its last open, or it stays.
    mutating func mark(_ entry: UInt64, isDeletePending: Bool) {
        self.files[entry]?.isDeletePending = isDeletePending
        guard self.files[entry]?.isDirectory == true else { return }
        if isDeletePending {
            self.deletePendingDirectories.insert(entry)
        } else {
            self.deletePendingDirectories.remove(entry)
        }
    }

    /// The entry is no named stream's any more.
    mutating func dropStream(_ entry: UInt64, of identity: FileIdentity) {
        self.streamIndex[identity]?.removeAll { $0 == entry }
        if self.streamIndex[identity]?.isEmpty == true { self.streamIndex[identity] = nil }
    }

    /// Whether the file (any of its streams) is to be deleted. The mark sits on the unnamed stream's entry; a marked
    /// named stream goes alone.
    func isDeletePending(_ key: FileKey) -> Bool {
        if let entry = self.fileIndex[key], self.files[entry]?.isDeletePending == true { return true }
        guard !key.stream.isEmpty, let whole = self.fileIndex[FileKey(identity: key.identity)] else { return false }
        return self.files[whole]?.isDeletePending == true
    }

    /// Refuses an open of a file while the client of a persistent open of it is away, unless that client caches the handle: then
    /// it is told of the open when it is back, and the open waits for what it must wait for. [MS-SMB2] 3.3.5.9, whose product
    /// behavior note says so of handle caching.
    ///
    /// That is a SHOULD for every open. Not kept out are those that look at attributes only, and by the caller those of
    /// directories, which hold nothing but their share mode: a client that died with the share's root open would keep all the
    /// others from the share.
    func requireNobodyAway(from key: FileKey, access: AccessMask) throws(SMBError) {
        guard let entry = self.fileIndex[key], let file = self.files[entry],
            !Oplocks.isHarmless(access, toLease: true)
        else { return }
        for other in file.opens {
            guard let open = self.opens[other], open.isPersistent, open.session == nil else { continue }
            guard self.protectsHandle(open) else {
                throw SMBError(.fileNotAvailable, "the client of a persistent handle is away")
            }
        }
    }

    /// Refuses an open that the file's other opens do not share, after those who cache handles were asked to close theirs.
    /// [MS-FSA] 2.1.5.1.2; [MS-SMB2] 3.3.5.9: a conflict with a disconnected persistent open is
    /// STATUS_FILE_NOT_AVAILABLE; a disconnected durable one gives way, a resilient one does not.
    ///
    /// - Parameter owner: the lease of the open; nil without one.
    mutating func checkShareMode(
        _ key: FileKey, access: AccessMask, share: ShareAccess, by owner: Oplocks.Owner? = nil
    ) throws(SMBError) {
        if access.contains(.delete), key.stream.isEmpty { try self.requireStreamsShareDeletion(of: key) }
        guard let entry = self.fileIndex[key], let file = self.files[entry] else { return }
        func conflicts(_ key: UInt64) -> Bool {
            guard let open = self.opens[key] else { return false }
            return ShareMode.conflict(access, share, with: open.grantedAccess, open.shareAccess)
        }
        guard file.opens.contains(where: conflicts) else { return }
        try self.breakCaching(of: entry, by: owner, .conflictingOpen)
        for other in file.opens {
            guard conflicts(other), let open = self.opens[other] else { continue }
            guard open.session == nil else { throw SMBError(.sharingViolation) }
            guard !open.isPersistent else { throw SMBError(.fileNotAvailable) }
            guard !open.isResilient else { throw SMBError(.sharingViolation) }
            self.closeOpen(other)
        }
    }
}
