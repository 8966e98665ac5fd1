import SMB2Wire
import StateRecords

/// FileRenameInformation and FileLinkInformation of SET_INFO. [MS-FSA] 2.1.5.15.11, 2.1.5.15.6.
extension ServerState {
    mutating func rename(
        _ data: RawSpan, isEx: Bool, _ key: UInt64, _ open: Open, _ handle: any FileHandle
    ) throws(SMBError) {
        self.filesAskedToClose = nil
        self.moveAsked = nil
        let (target, replaces, isPOSIX) = try Self.target(data, isEx: isEx, open)
        guard let fileSystem = open.share.fileSystem else { throw SMBError(.invalidDeviceRequest) }
        guard !open.path.isEmpty else { throw SMBError(.accessDenied, "the root has no name") }
        if target.hasPrefix(":") || !handle.fileKey.stream.isEmpty {
            return try self.renameStream(to: target, replaces, open, handle, fileSystem)
        }
        guard !target.contains(":") else { throw SMBError(.objectNameInvalid, "a stream as a new name") }
        if open.isDirectory { try self.requireNothingOpen(beneath: open.path, in: open.share, open) }
        try self.breakCaching(of: open.file, by: self.cachingOwner(open), .rename)
        try self.requireDirectory(of: target, fileSystem, open)
        let replaced = try self.requireReplaceable(target, replaces, isPOSIX: isPOSIX, handle, fileSystem, open)
        try self.requireRights(to: target, isDirectory: open.isDirectory, replaced, open, fileSystem)
        let opens = self.opens(of: handle.fileKey.identity)
        let isRecorded = opens.contains { self.opens[$0]?.isPersistent == true }
        try fileSystem.renameFile(handle, to: target, replacesExisting: replaces, isMarked: isRecorded)
        self.directoryChanged(at: open.path, by: open)
        self.directoryChanged(at: target, by: open)

        if open.isDirectory, open.isPOSIX || self.isMac(open) {
            self.moveOpens(beneath: open.path, to: target, in: open.share)
        }
        for key in opens {
            if let path = self.opens[key].flatMap({ Self.path(of: $0, after: open, to: target) }) {
                self.move(key, to: path)
            }
        }
    }

    /// All opens of a file, those of its streams behind its own.
    private func opens(of identity: FileIdentity) -> [UInt64] {
        let own = [self.fileIndex[FileKey(identity: identity)]].compactMap { $0 }
        return (own + (self.streamIndex[identity] ?? [])).flatMap { self.files[$0]?.opens ?? [] }
    }

    /// Where an open is found after another one of the same file was renamed; nil where it was. A file may have several
    /// names, and a share may lie inside another one: only of the name that the renamed open has is it known what
    /// became of it. What became of the others the kernel knows.
    private static func path(of other: Open, after renamed: Open, to target: String) -> String? {
        let base = other.path.prefix { $0 != ":" }
        let before = renamed.path.prefix { $0 != ":" }
        if other.key == renamed.key || (other.share.name == renamed.share.name && base == before) {
            return target + other.path.dropFirst(base.count)
        }
        // It has none that this share shows: its record finds the file by its identity.
        guard let name = try? other.handle?.normalizedName(), name.lowercased() != other.path.lowercased() else {
            return nil
        }
        return name
    }

    /// An open's file is at `path` now.
    mutating func move(_ key: UInt64, to path: String) {
        let former = self.opens[key]?.path ?? ""
        self.opens[key]?.formerPath = former
        self.opens[key]?.path = path
        self.persist(key, awaited: true)
    }

    mutating func link(
        _ data: RawSpan, isEx: Bool, _ open: Open, _ handle: any FileHandle
    ) throws(SMBError) {
        let (target, replaces, isPOSIX) = try Self.target(data, isEx: isEx, open)
        guard let fileSystem = open.share.fileSystem else { throw SMBError(.invalidDeviceRequest) }
        guard handle.fileKey.stream.isEmpty else { throw SMBError(.invalidParameter, "link a stream") }
        guard !open.isDirectory else { throw SMBError(.fileIsADirectory) }
        guard !open.share.isReadOnly else { throw SMBError(.mediaWriteProtected) }
        // Of a name that is gone already, by a POSIX open's deletion, the file system knows: the file may have others.
        guard !self.isDeletePending(handle.fileKey) else { throw SMBError(.accessDenied, "the file is to be deleted") }
        try self.requireDirectory(of: target, fileSystem, open)
        let replaced = try self.requireReplaceable(target, replaces, isPOSIX: isPOSIX, handle, fileSystem, open)
        try self.requireRights(to: target, isDirectory: false, replaced, open, fileSystem)
        try fileSystem.linkFile(handle, to: target, replacesExisting: replaces)
        self.directoryChanged(at: target, by: open)
    }

    /// The new name: a path from the share's root. A root directory handle cannot be named over SMB2. [MS-SMB2] 3.3.5.21.1.
    private static func target(
        _ data: RawSpan, isEx: Bool, _ open: Open
    ) throws(SMBError) -> (path: String, replaces: Bool, isPOSIX: Bool) {
        let rename = try parsing { () throws(WireError) in try RenameInformation(parsing: data, isEx: isEx) }
        guard rename.rootDirectory == 0 else { throw SMBError(.invalidParameter, "root directory") }
        var path = try parsing { () throws(WireError) in try UTF16LE.decode(data.extracting(rename.name)) }
        guard !path.isEmpty else { throw SMBError(.infoLengthMismatch, "no name") }
        if path.hasPrefix("\\") { path.removeFirst() }
        guard !path.isEmpty else { throw SMBError(.objectNameInvalid) }
        let isPOSIX = open.isPOSIX || isEx && rename.hasPOSIXSemantics
        return (open.isPOSIX ? POSIXNames.mapped(path: path) : path, rename.replaceIfExists, isPOSIX)
    }

    /// [MS-FSA] 2.1.5.15.11, 2.1.5.15.6: the directory of the new name is opened to add an entry, sharing reading and writing:
    /// whoever has it open to delete it, or without letting others write, is in the way.
    private mutating func requireDirectory(
        of target: String, _ fileSystem: any FileSystem, _ open: Open
    ) throws(SMBError) {
        let parent = target.lastIndex(of: "\\").map { String(target[..<$0]) } ?? ""
        let found = open.isPOSIX ? try fileSystem.findFileExactly(parent) : try fileSystem.findFile(parent)
        guard let key = found else { throw SMBError(.objectPathNotFound) }
        guard !self.isDeletePending(key) else { throw SMBError(.deletePending, "the directory is to be deleted") }
        try self.checkShareMode(key, access: .writeData, share: [.read, .write])
    }

    /// A name that is taken may only be replaced when it is asked for and nobody has that file open.
    /// - Returns: the file that goes; nil where none does.
    private mutating func requireReplaceable(
        _ target: String, _ replaces: Bool, isPOSIX: Bool, _ handle: any FileHandle, _ fileSystem: any FileSystem,
        _ open: Open
    ) throws(SMBError) -> FileKey? {
        let found = open.isPOSIX ? try fileSystem.findFileExactly(target) : try fileSystem.findFile(target)
        guard let existing = found, existing.identity != handle.fileKey.identity else { return nil }
        guard replaces else { throw SMBError(.objectNameCollision) }
        if let entry = self.fileIndex[existing] { try self.breakCaching(of: entry, by: nil, .rename) }
        // FILE_RENAME_POSIX_SEMANTICS: those who have it open keep it without a name. [MS-FSCC] 2.4.43.3.
        let entries = [self.fileIndex[FileKey(identity: existing.identity)]].compactMap { $0 }
        let isInTheWay = (entries + (self.streamIndex[existing.identity] ?? [])).contains {
            // An entry may be there for this request alone, which has waited for the last open.
            self.files[$0]?.opens.isEmpty == false && !(isPOSIX && self.isReplaceableByPOSIX($0))
        }
        if isInTheWay {
            throw SMBError(.accessDenied, "the file to be replaced is open")
        }
        return existing
    }

    /// A directory keeps its name while anything beneath it is open, connected or not: what a disconnected handle protects is
    /// also its path. [MS-FSA] 2.1.5.15.11, [MS-SMB2] 3.3.5.21.1.
    /// A POSIX open, or a Mac's, moves what connected clients have open along, and need not ask them: what they cache stays true.
    private mutating func requireNothingOpen(
        beneath path: String, in share: Share, _ mover: Open
    ) throws(SMBError) {
        let prefix = path.lowercased() + "\\"
        let movesAlong = mover.isPOSIX || self.isMac(mover)
        func isBeneath(_ open: Open) -> Bool {
            open.share.name == share.name && open.path.lowercased().hasPrefix(prefix)
                && (!movesAlong || open.session == nil)
        }
        var files: Set<UInt64> = []
        self.opens.forEach { _, open in if isBeneath(open) { files.insert(open.file) } }
        // Those who only cache that they have it open close it. Whoever comes while they are asked does not: it would have no end.
        let asked = self.askedToClose(files)
        for file in files.sorted() where asked.contains(file) { try self.breakCaching(of: file, by: nil, .rename) }
        var isFree = true
        self.opens.forEach { _, open in if isBeneath(open) { isFree = false } }
        guard isFree else { throw SMBError(.accessDenied, "something beneath the directory is open") }
    }
}
