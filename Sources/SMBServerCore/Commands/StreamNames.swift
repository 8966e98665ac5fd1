import SMB2Wire
import StateRecords

// Named streams: their names, and what they have to say when their file goes. [MS-FSA] 2.1.5.15.11.1, 2.1.5.1.2.2.

extension ServerState {
    /// FileRenameInformation through an open of a stream. The new name begins with a colon: a stream stays in its file.
    mutating func renameStream(
        to target: String, _ replaces: Bool, _ open: Open, _ handle: any FileHandle, _ fileSystem: any FileSystem
    ) throws(SMBError) {
        let old = handle.fileKey
        // As Windows answers: the file that the path begins with is open.
        guard target.hasPrefix(":") else { throw SMBError(.sharingViolation, "a stream does not leave its file") }
        guard !old.stream.isEmpty else { throw SMBError(.notSupported, "renaming the unnamed stream") }
        let name = try fileSystem.streamName(target)
        let new = FileKey(identity: old.identity, stream: name?.uppercased() ?? "")
        if new != old, self.fileIndex[new] != nil {
            throw SMBError(replaces ? .accessDenied : .objectNameCollision, "the stream to be replaced is open")
        }
        try self.breakCaching(of: open.file, by: self.cachingOwner(open), .rename)
        let opens = self.files[open.file]?.opens ?? []
        let isRecorded = opens.contains { self.opens[$0]?.isPersistent == true }
        let base = open.path.firstIndex(of: ":").map { String(open.path[..<$0]) } ?? open.path
        if let name {
            let others = opens.filter { $0 != open.key }.compactMap { self.opens[$0]?.handle }
            try fileSystem.renameStream([handle] + others, to: name, replacesExisting: replaces, isMarked: isRecorded)
        } else {
            try self.makeUnnamed(open, handle, replaces: replaces, isMarked: isRecorded, fileSystem)
        }
        self.rekey(open.file, old, as: new)
        for key in opens { self.move(key, to: name.map { base + ":" + $0 } ?? base) }
        self.directoryChanged(at: base, by: open)
    }

    private mutating func rekey(_ entry: UInt64, _ old: FileKey, as new: FileKey) {
        self.files[entry]?.key = new
        self.fileIndex[old] = nil
        self.fileIndex[new] = entry
        if new.stream.isEmpty { self.dropStream(entry, of: old.identity) }
    }

    /// A file that is to be deleted waits for the opens of its streams; afterwards nobody else has it.
    mutating func postponeDeletion(of open: Open) -> Bool {
        guard let key = self.files[open.file]?.key, key.stream.isEmpty, !open.deletesNameOnClose,
            self.streamIndex[key.identity] != nil
        else { return false }
        self.files[open.file]?.deletion = open
        return true
    }

    /// The last open of a stream is gone.
    /// - Returns: as `closeOpen`, the file that waited for that.
    mutating func finishDeletion(of identity: FileIdentity) -> (any FileHandle)? {
        guard self.streamIndex[identity] == nil, let entry = self.fileIndex[FileKey(identity: identity)],
            let file = self.files[entry], file.opens.isEmpty, let open = file.deletion, let handle = open.handle
        else { return nil }
        self.files[entry]?.deletion = nil
        var (isDeleted, keepsRecord) = (false, false)
        if file.isDeletePending { (isDeleted, keepsRecord) = self.deleteFile(of: open, handle) }
        if open.isPersistent, !keepsRecord { self.mutations.append(.removeOpen(persistentID: open.persistentID)) }
        self.dropFileEntryIfUnused(entry)
        // Whoever said that the file shall go does not know when it went.
        if isDeleted { self.directoryChanged(at: open.path, by: open, isKnownToClient: false) }
        return isDeleted ? handle : nil
    }

    /// Who opens a file to delete it deletes its streams: their opens must share that.
    func requireStreamsShareDeletion(of key: FileKey) throws(SMBError) {
        for entry in self.streamIndex[key.identity] ?? [] {
            let refuses = self.files[entry]?.opens.contains {
                guard let open = self.opens[$0] else { return false }
                return ShareMode.matters(open.grantedAccess) && !open.shareAccess.contains(.delete)
            }
            if refuses == true { throw SMBError(.sharingViolation, "a stream is open") }
        }
    }
}
