import CLinux
import Glibc
import SMB2Wire

extension Volume {
    /// How often an open is begun anew where another process creates or removes the name in between.
    private static let openAttempts = 8

    /// [MS-FSA] 2.1.5.1. Nothing is destroyed: an overwrite is for `overwrite` to complete.
    package func open(_ request: OpenRequest) throws(FileError) -> OpenResult {
        try self.validate(request)
        for _ in 0..<Self.openAttempts {
            var found: Found
            do { found = try self.find(request.path, isPOSIX: request.posix != nil) } catch {
                guard error.status == .objectPathNotFound else { throw error }
                throw try self.reparsePoint(before: request.path) ?? error
            }
            if let target = found.target.take() {
                if let mark = request.repeatedCreation, try mark.isOn(target.number),
                    try FileStatus(target).isDirectory == request.options.contains(.directoryFile)
                {
                    return try self.createAgain(target, request)
                }
                return try self.openExisting(target, request)
            }
            guard let parent = found.parent.take() else { continue }
            // Behind a link there is nothing here, and nothing is made there.
            let status = try FileStatus(parent)
            if self.attributeCache.attributes(of: parent, status).reparseTag != 0 {
                let name = NTPath(onDisk: request.path.name).withStream(request.path.stream)
                throw try self.stopped(at: parent, status, unparsed: 2 * (name.shown.count + 1))
            }
            if let result = try self.create(parent, request) { return result }
        }
        throw FileError(.sharingViolation, "a name that comes and goes")
    }

    private func validate(_ request: OpenRequest) throws(FileError) {
        let options = request.options
        try self.checkStream(request.path)
        if options.contains(.directoryFile) {
            guard !options.contains(.nonDirectoryFile) else {
                throw FileError(.invalidParameter, "a directory that is none")
            }
            switch request.disposition {
            case .open, .openIf, .create: break
            case .supersede, .overwrite, .overwriteIf:
                throw FileError(.invalidParameter, "overwriting a directory")
            }
            guard request.path.stream == nil, !request.path.namesData else {
                throw FileError(.notADirectory, "a stream as a directory")
            }
        }
        if request.path.requiresDirectory, options.contains(.nonDirectoryFile) {
            throw FileError(.objectNameInvalid, "a file by a directory's name")
        }
    }

    private func openExisting(_ target: consuming Descriptor, _ asked: OpenRequest) throws(FileError) -> OpenResult {
        var request = asked
        let status = try FileStatus(target)
        if request.path.stream != nil {
            let tag = FileInformation(status, self.attributeCache.attributes(of: target, status)).reparseTag
            guard tag == 0 || request.options.contains(.openReparsePoint) else {
                throw try self.stopped(at: target, status, unparsed: 0)
            }
            return try self.openStream(of: target, status, request, isNewFile: false)
        }
        let (dos, identity) = try self.attributeCache.attributesAndIdentity(
            of: target, status, filesystem: self.filesystemID)
        let information = self.stickyTimes.shown(FileInformation(status, dos))
        let action: CreateAction
        switch request.disposition {
        case .create: throw FileError(.objectNameCollision, "create a name that exists")
        case .open, .openIf: action = .opened
        case .overwrite, .overwriteIf: action = .overwritten
        case .supersede: action = .superseded
        }
        if information.reparseTag != 0, !request.options.contains(.openReparsePoint) {
            throw try self.stopped(at: target, status, unparsed: 0)
        }
        if status.isDirectory {
            if request.options.contains(.nonDirectoryFile) || action != .opened || request.path.namesData {
                throw FileError(.fileIsADirectory, "a directory as a file")
            }
        } else {
            guard !request.options.contains(.directoryFile) else {
                throw FileError(.notADirectory, "a file as a directory")
            }
            guard !request.path.requiresDirectory else {
                throw FileError(.objectNameInvalid, "a file by a directory's name")
            }
            if status.reparseTag != 0, action != .opened {
                throw FileError(.accessDenied, "overwrite a special file")
            }
        }
        try self.checkAttributes(request, information, action)
        let security = try self.authorize(&request, target, status, information, action)
        let file = try OpenFile(
            volume: self, handle: target, identity: identity, status: status, request: request, streamName: nil)
        return OpenResult(
            file: file, action: action, information: self.hiding(information, named: request.path.name),
            security: security)
    }

    /// [MS-FSA] 2.1.5.1.2: what the file's attributes forbid. Directories may be read-only and are written all the same.
    func checkAttributes(
        _ request: OpenRequest, _ information: FileInformation, _ action: CreateAction
    ) throws(FileError) {
        let writes = !request.access.isDisjoint(with: [.writeData, .appendData])
        if self.options.isReadOnly {
            let isRefused = writes && !information.isDirectory && !self.options.isSnapshot
            if action != .opened || request.options.contains(.deleteOnClose) || isRefused {
                throw FileError(.mediaWriteProtected, "a change on a read-only share")
            }
        }
        let attributes = information.attributes
        if information.isReadOnly(toPOSIX: request.posix != nil) {
            if request.options.contains(.deleteOnClose) { throw FileError(.cannotDelete, "delete a read-only file") }
            if !information.isDirectory, writes || action != .opened {
                throw FileError(.accessDenied, "write a read-only file")
            }
        }
        guard action != .opened, request.posix == nil else { return }
        for kept in [FileAttributes.hidden, .system] where attributes.contains(kept) {
            guard request.attributes.contains(kept) else {
                throw FileError(.accessDenied, "overwrite a hidden or system file by an ordinary one")
            }
        }
    }

    /// Nil: someone else made the name meanwhile.
    private func create(_ parent: borrowing Descriptor, _ request: OpenRequest) throws(FileError) -> OpenResult? {
        switch request.disposition {
        case .open, .overwrite: throw FileError(.objectNameNotFound, "open a name that is not there")
        case .create, .openIf, .supersede, .overwriteIf: break
        }
        guard !self.options.isReadOnly else { throw FileError(.mediaWriteProtected, "create on a read-only share") }
        if request.posix == nil { try self.checkMakeable(request.path) }
        let makesDirectory = request.options.contains(.directoryFile)
        if makesDirectory, request.attributes.contains(.temporary) {
            throw FileError(.invalidParameter, "a temporary directory")
        }
        if request.path.requiresDirectory, !makesDirectory {
            throw FileError(.objectNameInvalid, "a file by a directory's name")
        }
        if request.options.contains(.deleteOnClose), request.attributes.contains(.readOnly) {
            throw FileError(.cannotDelete, "a read-only file to delete on close")
        }
        let (request, security) = try self.authorizeCreation(request)
        let ignoresCase = !self.options.isCaseSensitive && request.posix == nil
        var name = request.posix == nil ? request.path.name : POSIXSpelling.made(request.path.name)
        if self.options.givesShortNames, request.posix == nil {
            name = self.tunnel.long(for: name, in: try FileStatus(parent).inode)
        }
        try self.checkVisible(name, isInRoot: request.path.isInRoot)
        let mode = try self.keptMode(
            request.posix?.mode ?? (makesDirectory ? self.options.directoryMode : self.options.fileMode),
            isDirectory: makesDirectory)
        return try Makings.shared.making(name, in: parent) { () throws(FileError) -> OpenResult? in
            try self.create(name, mode, in: parent, ignoresCase: ignoresCase, request, security)
        }
    }

    private func create(
        _ name: [UInt8], _ mode: UInt32, in parent: borrowing Descriptor, ignoresCase: Bool, _ request: OpenRequest,
        _ security: SecurityDescriptor?
    ) throws(FileError) -> OpenResult? {
        let makesDirectory = request.options.contains(.directoryFile)
        let made = try self.indexes.exclusively(in: parent.number) { () throws(FileError) -> Descriptor? in
            // Since `find` looked, someone may have made the name in another spelling.
            if ignoresCase, try self.indexes.spelling(of: name, in: parent.number) != nil {
                return nil
            }
            return try self.indexes.change(parent.number, adding: name) { () throws(FileError) -> Descriptor? in
                switch (makesDirectory, request.creationMark) {
                case (true, .some(let mark)): try self.makeFolder(parent.number, name, mode, marked: mark)
                case (true, nil): try self.makeFolder(parent.number, name, mode)
                case (false, .some(let mark)): try self.make(parent.number, name, mode, marked: mark)
                case (false, nil): try self.make(parent.number, name, mode)
                }
            }
        }
        guard let made else { return nil }
        do {
            return try self.finishCreation(made, request, security)
        } catch {
            let flags = makesDirectory ? AT_REMOVEDIR : 0
            _ = try? self.indexes.change(parent.number, removing: name) { () throws(FileError) -> Int in
                withTerminated(name) { clinux_unlinkat(parent.number, $0, flags) }
            }
            throw error
        }
    }

    /// What an earlier life of this server made for the same request, and may not have finished.
    private func createAgain(_ target: consuming Descriptor, _ request: OpenRequest) throws(FileError) -> OpenResult {
        let (request, security) = try self.authorizeCreation(request)
        guard !request.options.contains(.directoryFile) else {
            // Before it was finished somebody may have looked what it hands down.
            defer { self.directorySecurities.forgetAll() }
            return try self.finishCreation(target, request, security)
        }
        let file = try target.reopened(O_RDWR, "open the file of a repeated create")
        return try self.finishCreation(file, request, security)
    }

    private func make(_ parent: Int32, _ name: [UInt8], _ mode: UInt32) throws(FileError) -> Descriptor? {
        let flags = O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY
        let result = withTerminated(name) { clinux_openat(parent, $0, flags, mode) }
        if failed(result, EEXIST) { return nil }
        // The parent was removed meanwhile.
        if failed(result, ENOENT) { throw FileError(.objectPathNotFound, "create in a directory that is gone") }
        return try Descriptor(result: result, "create a file")
    }

    /// The name appears with the mark on the file, or not at all: a crash has no moment in between.
    private func make(
        _ parent: Int32, _ name: [UInt8], _ mode: UInt32, marked mark: CreationMark
    ) throws(FileError) -> Descriptor? {
        let result = withTerminated([UInt8(ascii: ".")]) {
            clinux_openat(parent, $0, clinux_o_tmpfile | O_RDWR | O_CLOEXEC, mode)
        }
        // Not every file system makes files without a name.
        if failed(result, EOPNOTSUPP) || failed(result, EISDIR) {
            guard let made = try self.make(parent, name, mode) else { return nil }
            try mark.write(made.number)
            return made
        }
        if failed(result, ENOENT) { throw FileError(.objectPathNotFound, "create in a directory that is gone") }
        let unnamed = try Descriptor(result: result, "create a file")
        try mark.write(unnamed.number)
        let linked = withTerminated(name) { clinux_link_descriptor(unnamed.number, parent, $0) }
        if failed(linked, EEXIST) { return nil }
        if failed(linked, ENOENT) { throw FileError(.objectPathNotFound, "create in a directory that is gone") }
        try check(linked, "name a new file")
        // The kernel knows the file by the name through which it was opened: that was none.
        return try Descriptor(result: self.openBeneath(parent, name, O_RDWR | O_NOCTTY), "open a new file")
    }

    private func finishCreation(
        _ made: consuming Descriptor, _ request: OpenRequest, _ security: SecurityDescriptor?
    ) throws(FileError) -> OpenResult {
        let isDirectory = request.options.contains(.directoryFile)
        if let mode = request.posix?.mode { try self.completeMode(made.number, mode, FileStatus(made)) }
        var attributes = request.attributes.intersection(FileAttributes.settable.subtracting(.normal))
        if !isDirectory { attributes.insert(.archive) }
        if isDirectory { attributes.remove(.temporary) }
        // The defaults of FileInformation need no xattr.
        var dos = DOSAttributes()
        if attributes != (isDirectory ? [] : .archive) {
            dos.attributes = attributes
            try dos.write(made.number)
        }
        if let descriptor = request.securityDescriptor { try SecurityStore.write(made.number, descriptor) }
        if !request.extendedAttributes.isEmpty {
            try ExtendedAttributes.set(request.extendedAttributes, on: made.number)
        }
        if !isDirectory, request.path.stream == nil, request.allocationSize > 0 {
            try Self.preallocate(made.number, request.allocationSize)
        }
        // The last: all of the above is a change of the file, and moves its time of change.
        let status = try FileStatus(made)
        if request.path.stream != nil {
            var result = try self.openStream(of: made, status, request, isNewFile: true)
            result.security = security
            return result
        }
        let identity = try FileIdentity(made.number, filesystem: self.filesystemID)
        let file = OpenFile(volume: self, created: made, identity: identity, status: status, request: request)
        return OpenResult(
            file: file, action: .created,
            information: self.hiding(FileInformation(status, dos), named: request.path.name), security: security)
    }

    /// Completes an open whose `needsOverwrite` is true, after the sharing check: [MS-FSA] 2.1.5.1.2.1. The contents, the
    /// named streams and the extended attributes go, the attributes become what the request says.
    @discardableResult
    package func overwrite(_ file: OpenFile, _ request: OpenRequest) throws(FileError) -> FileInformation {
        if file.isStream {
            try file.emptyStream()
            return try file.information()
        }
        let writable = try file.handle.reopened(O_RDWR, "open a file to overwrite it")
        try file.willChangeData()
        try check(clinux_ftruncate(writable.number, 0), "truncate an overwritten file")
        guard request.posix == nil else {
            // O_TRUNC takes the contents and nothing else.
            if request.allocationSize > 0 { try Self.preallocate(writable.number, request.allocationSize) }
            return try file.information()
        }
        try self.streamChanges.withLock { _ throws(FileError) in try self.removeStreams(of: writable.number) }
        try ExtendedAttributes.removeAll(writable.number)
        if !request.extendedAttributes.isEmpty {
            try ExtendedAttributes.set(request.extendedAttributes, on: writable.number)
        }
        var attributes = request.attributes.intersection(FileAttributes.settable.subtracting(.normal))
        attributes.insert(.archive)
        let old = DOSAttributes.read(writable.number)
        if old.attributes != attributes, old.attributes != nil || attributes != .archive {
            try DOSAttributes(attributes: attributes, creationTime: old.creationTime).write(writable.number)
        }
        if request.allocationSize > 0 { try Self.preallocate(writable.number, request.allocationSize) }
        return try file.information()
    }

    /// The same file as in an earlier open, by its identity, on this node or another: [MS-SMB2] 3.3.5.9.12. `path` is
    /// where it was: an open by name keeps the name known to the kernel. Where another file has it now, the file is looked for
    /// where it was before (a node died before the rename was on the disk), then where it was last being renamed to (it died
    /// before the record said so), and so is a stream within its file; else it is opened by its handle alone, and can be read and written. Which of its names the kernel
    /// then calls its own, if it knows one, is chance: another hard link's, where this one's deletion is done. Whether it was at `path`,
    /// ``OpenFile/isElsewhere`` says, and whether at any of these, ``OpenFile/isNameless``.
    package func reopen(
        _ identity: FileIdentity, path: NTPath, formerPath: NTPath? = nil, access: AccessMask,
        options: CreateOptions = []
    ) throws(FileError) -> OpenFile {
        let request = OpenRequest(path: path, access: access, disposition: .open, options: options)
        if let target = try self.find(path, identity) {
            return try self.open(target, identity, request, formerly: formerPath?.stream)
        }
        if let formerPath, let target = try self.find(formerPath, identity) {
            let file = try self.open(target, identity, request, formerly: formerPath.stream)
            file.markElsewhere()
            return file
        }
        let unnamed = try self.openByHandle(identity)
        if let renamed = try RenameMark.read(unnamed.number), let target = try self.find(renamed, identity) {
            let file = try self.open(target, identity, request, formerly: formerPath?.stream)
            file.markElsewhere()
            return file
        }
        let file = try self.open(unnamed, identity, request, formerly: formerPath?.stream)
        file.markElsewhere()
        file.markNameless()
        return file
    }

    private func open(
        _ target: consuming Descriptor, _ identity: FileIdentity, _ asked: OpenRequest, formerly: [UInt8]?
    ) throws(FileError) -> OpenFile {
        let status = try FileStatus(target)
        var request = asked
        if let stream = asked.path.stream {
            request.path = asked.path.withStream(try self.findStream(stream, formerly: formerly, on: target.number))
        }
        let file = try OpenFile(
            volume: self, handle: target, identity: identity, status: status, request: request,
            streamName: request.path.stream)
        if let stream = asked.path.stream,
            request.path.stream.flatMap({ NamedStreams.spelling(of: stream, among: [$0]) }) == nil
        {
            file.markElsewhere()
        }
        return file
    }

    /// As for files: the name that it has, the one before, or the one that it was being given. Nil: the file's own data.
    private func findStream(_ stream: [UInt8], formerly: [UInt8]?, on file: Int32) throws(FileError) -> [UInt8]? {
        if let spelling = try self.streamSpelling(of: stream, on: file) { return spelling }
        if let formerly, let spelling = try self.streamSpelling(of: formerly, on: file) { return spelling }
        guard let renamed = try RenameMark.read(file, stream: stream) else {
            throw FileError(.objectNameNotFound, "a stream that is gone")
        }
        if renamed.isEmpty { return nil }
        guard let spelling = try self.streamSpelling(of: renamed, on: file) else {
            throw FileError(.objectNameNotFound, "a stream that is gone")
        }
        return spelling
    }

    /// Nil where another file is at the path, or none.
    private func find(_ path: NTPath, _ identity: FileIdentity) throws(FileError) -> Descriptor? {
        let found: Descriptor?
        do {
            var result = try self.find(path)
            found = result.target.take()
        } catch let error where error.code == EIO || error.status == .ioDeviceError {
            throw error
        } catch {
            return nil
        }
        guard let found, try FileIdentity(found.number, filesystem: self.filesystemID) == identity else { return nil }
        return found
    }

    /// Space for a file's first bytes, without changing its size. A file system without fallocate has no such promise.
    static func preallocate(_ descriptor: Int32, _ size: UInt64) throws(FileError) {
        guard size <= UInt64(Int64.max) else { throw FileError(.diskFull, "allocate more than a file can have") }
        let result = clinux_fallocate(descriptor, Int32(FALLOC_FL_KEEP_SIZE), 0, Int64(size))
        if failed(result, EOPNOTSUPP) { return }
        try check(result, "allocate space")
    }
}
