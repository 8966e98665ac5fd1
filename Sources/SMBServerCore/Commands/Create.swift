import SMB2Wire
import StateRecords

/// SMB2 CREATE. [MS-SMB2] 2.2.13, 2.2.14, 3.3.5.9. Durable and persistent handles: CreateDurable.swift; oplocks and
/// leases: OplockBreaks.swift.
extension ServerState {
    mutating func create(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        var create = try parsing { () throws(WireError) in try CreateRequest(parsing: message) }
        let tree = try self.tree(request)
        if !self.offersPOSIX(tree, request) { create.contexts.posix = nil }
        var path: String
        do throws(WireError) { path = try UTF16LE.decode(message.extracting(create.name)) } catch {
            throw SMBError(.objectNameInvalid, "\(error)")
        }
        guard let fileSystem = tree.share.fileSystem else {
            return try self.createPipe(path, create, tree, &request, into: &writer)
        }
        if create.contexts.posix != nil { path = POSIXNames.mapped(path: path) }
        if create.contexts.durableReconnectV2 != nil || create.contexts.durableReconnect != nil {
            let outcome = try self.reclaim(
                create, try SnapshotPath.named(path, create.contexts.timeWarp), tree, &request, into: &writer)
            if create.contexts.posix != nil { self.actAsPOSIX(request.fileID) }
            return outcome
        }
        guard create.impersonationLevel != nil else { throw SMBError(.badImpersonationLevel) }
        if let durable = create.contexts.durableRequestV2 {
            guard !create.contexts.durableRequest else { throw SMBError(.invalidParameter, "DHnQ and DH2Q") }
            if let outcome = try self.replay(durable, create, tree, &request, into: &writer) { return outcome }
        }
        try Self.checkParameters(create)
        if create.contexts.posix == nil { path = Self.withBackslashes(path) }
        path = try SnapshotPath.named(Self.sharePath(path, request), create.contexts.timeWarp)
        try self.closeEarlierInstance(create.contexts, path, tree, request)
        let lease = self.requestedLease(create, request)
        if let lease { try self.checkLeaseKey(lease, path, fileSystem) }

        // Before the file is made.
        guard !self.opens.isFull else { throw SMBError(.tooManyOpenedFiles, "table of opens") }
        let creation = self.creation(create.contexts, tree, request)
        let (opened, access) = try self.openFile(path, create, creation, message, tree, fileSystem, lease, request)
        var open = Open(
            persistentID: self.nextPersistentID, session: request.session, connection: request.connection,
            treeID: request.treeID, share: tree.share, owner: tree.user,
            object: .file(opened.handle), path: path, grantedAccess: access, shareAccess: create.shareAccess,
            createOptions: create.options, createDisposition: create.disposition,
            fileAttributes: opened.facts.attributes)
        open.createAction = opened.action
        open.isDirectory = opened.facts.isDirectory
        open.isPOSIX = create.contexts.posix != nil
        open.deleteOnClose = create.options.contains(.deleteOnClose)
        open.mode = create.options.intersection(.modeBits).rawValue
        open.channelSequence = request.dialect >= .smb30 ? request.header.channelSequence : 0
        open.parentLease = lease?.parent
        self.identify(&open, create.contexts, request)
        let key = try self.insertOpen(open, handle: opened.handle)
        open = self.opens[key] ?? open
        self.countPersistentID()
        let recorded = self.leaseRecord(lease, in: open.file)
        self.grantCaching(key, create, lease: lease, request)
        self.grantDurability(key, create.contexts, request)
        request.fileID = FileID(persistent: open.persistentID, volatile: key)
        // A lease that was taken up is in the records of all its opens; what it says of one that was not is there.
        if let holder = self.files[open.file]?.oplocks.holder(of: key), recorded != nil,
            recorded != LeaseRecord(holder)
        {
            self.persistCaching(of: holder)
        } else {
            self.persist(key, awaited: true)
        }
        if open.createAction != .opened { self.directoryChanged(at: path, by: open) }
        let apple = self.answerApple(create.contexts.apple, tree, request)
        let outcome = try self.respond(key, create, opened, tree, request, apple, into: &writer)
        // Its client may have been away: the answer says what it has, and what it loses is said behind that.
        if lease != nil { self.tellOfBreak(key) }
        return outcome
    }

    /// What the records of the lease's opens say of it; nil where there are none.
    private func leaseRecord(_ lease: Lease?, in entry: UInt64) -> LeaseRecord? {
        guard let lease, let holder = self.files[entry]?.oplocks.holder(.lease(lease.id)) else { return nil }
        return LeaseRecord(holder)
    }

    // MARK: Path Name Validation and parameters, 3.3.5.9

    private static func checkParameters(_ create: CreateRequest) throws(SMBError) {
        let options = create.options
        guard !create.desiredAccess.isEmpty, create.desiredAccess.isSubset(of: .valid) else {
            throw SMBError(.accessDenied, "access mask \(create.desiredAccess.rawValue)")
        }
        guard create.shareAccess.isSubset(of: .all) else { throw SMBError(.invalidParameter, "share access") }
        guard create.fileAttributes.isDisjoint(with: .invalidInCreate) else {
            throw SMBError(.invalidParameter, "file attributes")
        }
        guard options.isDisjoint(with: .invalid) else { throw SMBError(.invalidParameter, "create options") }
        guard options.isDisjoint(with: .unsupported) else { throw SMBError(.notSupported, "create options") }
        if options.contains(.directoryFile) {
            guard !options.contains(.nonDirectoryFile) else { throw SMBError(.invalidParameter, "directory and not") }
            switch create.disposition {
            case .supersede, .overwrite, .overwriteIf: throw SMBError(.invalidParameter, "overwriting a directory")
            case .open, .create, .openIf: break
            }
        }
        if options.contains(.deleteOnClose) {
            guard !create.desiredAccess.isDisjoint(with: [.delete, .genericAll, .maximumAllowed]) else {
                throw SMBError(.accessDenied, "delete on close without DELETE")
            }
        }
    }

    /// A slash separates names as a backslash does, as with smbd and ksmbd: no name has one ([MS-FSCC] 2.1.5.2), and
    /// clients that take what their user typed as a path send it. In a stream's name it stays what it is, and is
    /// refused.
    private static func withBackslashes(_ path: String) -> String {
        guard path.utf8.contains(UInt8(ascii: "/")) else { return path }
        let end = path.utf8.firstIndex(of: UInt8(ascii: ":")) ?? path.endIndex
        return path[..<end].split(separator: "/", omittingEmptySubsequences: false).joined(separator: "\\")
            + path[end...]
    }

    /// The path within the share. A DFS client names server and share in front of it. 3.3.5.9.
    private static func sharePath(_ path: String, _ request: Request) throws(SMBError) -> String {
        guard path.utf8.first != UInt8(ascii: "\\") else { throw SMBError(.invalidParameter, "leading backslash") }
        guard request.header.flags.contains(.dfs) else { return try Self.withoutDots(path) }
        var rest = path[...]
        for _ in 0..<2 {
            guard let separator = rest.firstIndex(of: "\\") else { return "" }
            rest = rest[rest.index(after: separator)...]
        }
        return try Self.withoutDots(String(rest))
    }

    /// `a\b\..\c` is `a\c`: by the names alone, whatever they are. A way out of the share is none. Single dots are names that no
    /// file has, and stay.
    private static func withoutDots(_ path: String) throws(SMBError) -> String {
        guard path.contains("..") else { return path }
        var parts: [Substring] = []
        for part in path.split(separator: "\\", omittingEmptySubsequences: false) {
            guard part == ".." else {
                parts.append(part)
                continue
            }
            guard parts.popLast() != nil else { throw SMBError(.objectPathSyntaxBad, "a way out of the share") }
        }
        return parts.joined(separator: "\\")
    }

    // MARK: Open Execution, 3.3.5.9 and [MS-FSA] 2.1.5.1

    private mutating func openFile(
        _ path: String, _ create: CreateRequest, _ creation: Creation?, _ message: RawSpan, _ tree: TreeConnect,
        _ fileSystem: any FileSystem, _ lease: Lease?, _ request: Request
    ) throws(SMBError) -> (OpenedFile, AccessMask) {
        let rights = try Self.rights(create, tree)
        var wish = FileOpenRequest(
            path: path, access: rights.desired.subtracting(.maximumAllowed), rights: rights,
            disposition: create.disposition, options: create.options, attributes: create.fileAttributes)
        wish.allocationSize = create.contexts.allocationSize ?? 0
        wish.creation = creation
        wish.posixMode = create.contexts.posix?.mode
        if let range = create.contexts.securityDescriptor {
            wish.securityDescriptor = Self.asKept(message.bytes(in: range), on: tree.share)
        }
        var (uid, gid): (UInt32?, UInt32?) = (nil, nil)
        if create.contexts.posix != nil, let descriptor = wish.securityDescriptor {
            (wish.securityDescriptor, uid, gid) = try self.posixSecurity(ofNew: descriptor)
        }
        if let range = create.contexts.extendedAttributes { wish.extendedAttributes = message.bytes(in: range) }

        var opened: OpenedFile
        var deletions: UInt64
        repeat {
            deletions = self.deletions
            try self.requireLastingDirectory(wish, fileSystem)
            opened = try fileSystem.openFile(wish)
            try self.admit(opened, opened.grantedAccess, create, lease, request)
            // A disconnected handle gave way, and the file may have been deleted with it.
        } while deletions != self.deletions
        if create.options.contains(.deleteOnClose), !opened.facts.isDirectory {
            try fileSystem.checkDeletable(opened.handle)
        }
        if opened.action == .overwritten || opened.action == .superseded {
            opened.facts = try fileSystem.overwriteFile(opened.handle, wish)
        }
        if opened.action == .created, uid != nil || gid != nil {
            try opened.handle.changeOwner(uid: uid, gid: gid)
            opened.facts = try opened.handle.facts()
        }
        return (opened, opened.grantedAccess)
    }

    /// As Windows and smbd: nothing is made in a directory that is to be deleted. It was empty when that was promised,
    /// and with something in it it could not go.
    private func requireLastingDirectory(
        _ wish: FileOpenRequest, _ fileSystem: any FileSystem
    ) throws(SMBError) {
        guard !self.deletePendingDirectories.isEmpty, wish.disposition != .open, wish.disposition != .overwrite else {
            return
        }
        let isPOSIX = wish.posixMode != nil
        var name = isPOSIX ? wish.path[...] : wish.path.prefix { $0 != ":" }
        if name.hasSuffix("\\") { name.removeLast() }
        guard let end = name.lastIndex(of: "\\") else { return }
        // A path that leads nowhere is refused where it is opened, and in other words.
        func found(_ path: Substring) -> FileKey? {
            let path = String(path)
            return (try? isPOSIX ? fileSystem.findFileExactly(path) : fileSystem.findFile(path)) ?? nil
        }
        guard let directory = found(name[..<end]), self.isDeletePending(directory), found(name) == nil else { return }
        throw SMBError(.deletePending, "the directory is to be deleted")
    }

    /// Whether those who have the file open let somebody else have it, too; whoever caches it is told.
    private mutating func admit(
        _ opened: OpenedFile, _ access: AccessMask, _ create: CreateRequest, _ lease: Lease?, _ request: Request
    ) throws(SMBError) {
        let key = opened.handle.fileKey
        try self.awaitMove(of: key)
        guard !self.isDeletePending(key) else { throw SMBError(.deletePending) }
        var effective = access
        if opened.action == .overwritten || opened.action == .superseded {
            // [MS-FSA] 2.1.5.1.2: an overwriting open writes, whatever it asked for.
            effective.formUnion(opened.action == .superseded ? [.writeData, .delete] : .writeData)
        }
        if request.dialect >= .smb30, !opened.facts.isDirectory {
            try self.requireNobodyAway(from: key, access: effective)
        }
        let owner = lease.map { Oplocks.Owner.lease($0.id) }
        try self.checkShareMode(key, access: effective, share: create.shareAccess, by: owner)
        if let entry = self.fileIndex[key] {
            let overwrites = opened.action == .overwritten || opened.action == .superseded
            try self.breakCaching(of: entry, by: owner, .open(effective, overwrites: overwrites))
        }
    }

    // MARK: Response

    /// The answer for an open that is in the tables.
    func respond(
        _ key: UInt64, _ create: CreateRequest, _ opened: OpenedFile, _ tree: TreeConnect, _ request: Request,
        _ apple: AppleResponse?, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        guard let open = self.opens[key], let fileSystem = tree.share.fileSystem else { throw SMBError(.fileClosed) }
        var contexts = CreateResponseContexts()
        if create.contexts.maximalAccess != nil {
            contexts.maximalAccess = .init(status: .success, access: try Self.maximalAccess(opened, create, tree))
        }
        if create.contexts.queryOnDiskID {
            let hidesID = self.appleExtensions(request).hidesFileIDs
            contexts.onDiskID = .init(fileID: hidesID ? 0 : opened.facts.fileID, volumeID: fileSystem.volumeID)
        }
        if open.isPOSIX { contexts.posix = opened.facts.posix }
        contexts.apple = apple
        let caching = self.caching(of: key)
        contexts.lease = caching.lease
        if create.contexts.durableRequest, open.isDurable { contexts.durable = true }
        if create.contexts.durableRequestV2 != nil, open.survivesDisconnect {
            contexts.durableV2 = DurableResponseV2(
                timeoutMilliseconds: open.timeoutMilliseconds,
                flags: open.isPersistent ? DurableRequestV2.persistentFlag : 0)
        }
        CreateResponse(
            oplockLevel: caching.level, flags: opened.facts.reparseTag != 0 ? CreateResponse.reparsePointFlag : 0,
            action: opened.action, information: opened.facts.networkOpen, fileID: open.fileID, contexts: contexts
        ).encode(into: &writer)
        // What was made on such a share outlives the node, whatever kind of handle made it.
        let work: Work =
            open.share.isContinuouslyAvailable && opened.action != .opened
            ? .sync(opened.handle, includingName: true) : .none
        return self.reply(request, work: work, into: &writer)
    }

    // MARK: Pipes

    private mutating func createPipe(
        _ path: String, _ create: CreateRequest, _ tree: TreeConnect, _ request: inout Request,
        into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        var name = path.lowercased()
        if name.utf8.first == UInt8(ascii: "\\") { name.removeFirst() }
        let pipe = try self.openPipe(name, for: tree.user)
        let open = Open(
            persistentID: self.nextPersistentID, session: request.session, connection: request.connection,
            treeID: request.treeID, share: tree.share, owner: tree.user, object: .pipe(pipe),
            path: name, grantedAccess: create.desiredAccess.mappingGeneric, shareAccess: create.shareAccess,
            createOptions: create.options, createDisposition: .open, fileAttributes: .normal)
        let key = try self.insertOpen(open, handle: nil)
        self.countPersistentID()
        request.fileID = FileID(persistent: open.persistentID, volatile: key)
        var facts = FileFacts()
        facts.allocationSize = 4096
        CreateResponse(
            oplockLevel: .none, action: .opened, information: facts.networkOpen,
            fileID: FileID(persistent: open.persistentID, volatile: key)
        ).encode(into: &writer)
        return self.reply(request, into: &writer)
    }
}

extension FileAttributes {
    /// What CREATE refuses: undefined bits, and those that only the file system gives.
    fileprivate static let invalidInCreate = FileAttributes(rawValue: 0xFFFF_8048)
}

extension CreateOptions {
    /// 2.2.13: bits without a meaning.
    fileprivate static let invalid = CreateOptions(rawValue: 0xFF00_0000)
    /// 3.3.5.9: refused with STATUS_NOT_SUPPORTED.
    fileprivate static let unsupported: CreateOptions = [.createTreeConnection, .openByFileID, .reserveOpfilter]
    /// What FileModeInformation shows, [MS-FSCC] 2.4.26.
    fileprivate static let modeBits: CreateOptions = [
        .writeThrough, .sequentialOnly, .noIntermediateBuffering, .synchronousIOAlert, .synchronousIONonAlert,
        .deleteOnClose,
    ]
}
