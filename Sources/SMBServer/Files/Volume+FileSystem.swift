import FileStore
import SMB2Wire
import SMBServerCore
import StateRecords

// FileStore's types as the core wants them.

extension SMBError {
    init(_ error: FileError) {
        // A refusal of our own (errno 0) is the client's business alone; what Linux said belongs in the log.
        self.init(error.status, error.code == 0 ? nil : "\(error)")
        if let stop = error.link {
            self.symlink = SymlinkErrorData(
                unparsedPathLength: UInt16(clamping: stop.unparsedByteCount),
                substituteName: stop.link.substituteName, printName: stop.link.printName,
                isRelative: stop.link.isRelative)
        }
    }
}

/// Runs a file operation in the core's terms.
@inline(__always)
func files<Value>(_ body: () throws(FileError) -> Value) throws(SMBError) -> Value {
    do throws(FileError) { return try body() } catch { throw SMBError(error) }
}

extension FileFacts {
    init(_ information: FileInformation) {
        self.init()
        self.attributes = information.attributes
        self.creationTime = information.creationTime
        self.lastAccessTime = information.lastAccessTime
        self.lastWriteTime = information.lastWriteTime
        self.changeTime = information.changeTime
        self.endOfFile = information.endOfFile
        self.allocationSize = information.allocationSize
        self.linkCount = information.linkCount
        self.fileID = information.fileID
        self.isDirectory = information.isDirectory
        self.reparseTag = information.reparseTag
        self.mode = information.mode
        self.uid = information.uid
        self.gid = information.gid
    }
}

extension OpenFile: FileHandle, SyncTarget {
    /// Every handle that the core holds came from a `Volume`.
    static func of(_ handle: any FileHandle) -> OpenFile {
        guard let file = handle as? OpenFile else { preconditionFailure("a handle that is none of FileStore's") }
        return file
    }

    package var fileKey: FileKey {
        FileKey(
            identity: StateRecords.FileIdentity(
                fileSystem: GUID16(self.identity.filesystem), handleType: self.identity.handleType,
                handle: self.identity.handle),
            stream: self.streamName.map { String(decoding: $0, as: UTF8.self).uppercased() } ?? "")
    }

    package func facts() throws(SMBError) -> FileFacts {
        FileFacts(try files { () throws(FileError) in try self.information() })
    }

    func bringToStorage(includingName: Bool) -> NTStatus {
        do throws(FileError) {
            // What was deleted needs its contents no more.
            if !self.isDeleted { try self.flush() }
            if includingName { try self.flushName() }
            return .success
        } catch {
            // The file may have been deleted in the meantime: then there is nothing left to keep.
            guard error.status != .fileDeleted else { return .success }
            Log.write("flush: \(error)")
            return error.status
        }
    }
}

extension Volume: FileSystem {
    package var volumeID: UInt64 { self.filesystemID.low ^ self.filesystemID.high }

    private func openRequest(_ request: FileOpenRequest, _ path: NTPath) throws(SMBError) -> OpenRequest {
        // What such a handle writes is brought to the disk by the threads that flush (`Work.write`), not by a loop, which would
        // keep all others waiting for the disk.
        var open = OpenRequest(
            path: path, access: request.access, disposition: request.disposition,
            options: request.options.subtracting(.writeThrough), attributes: request.attributes)
        open.authority = AccessAuthority(request: request.rights)
        open.allocationSize = request.allocationSize
        open.securityDescriptor = request.securityDescriptor
        open.posix = request.posixMode.map { POSIXOpen(mode: $0) }
        open.creationMark = request.creation.map {
            CreationMark(createGUID: $0.createGUID, clientGUID: $0.clientGUID, isReplay: $0.isReplay)
        }
        if !request.extendedAttributes.isEmpty {
            // [MS-SMB2] 3.3.5.9: a list that is none fails the create.
            do throws(WireError) {
                open.extendedAttributes = try SMB2Wire.ExtendedAttribute.parseList(
                    request.extendedAttributes.span.bytes
                ).map { FileStore.ExtendedAttribute(name: $0.name, value: $0.value, flags: $0.flags) }
            } catch { throw SMBError(.eaListInconsistent, "\(error)") }
        }
        return open
    }

    package func openFile(_ request: FileOpenRequest) throws(SMBError) -> OpenedFile {
        let (volume, path) = try self.place(of: request.path)
        let request = try self.openRequest(request, path)
        return try files { () throws(FileError) in
            let result = try volume.open(request)
            guard let security = result.security else { preconditionFailure("an open that nobody judged") }
            var opened = OpenedFile(
                handle: result.file, action: result.action, facts: FileFacts(result.information),
                grantedAccess: result.file.access, security: security)
            opened.isReadOnly = result.information.isReadOnly(toPOSIX: request.posix != nil)
            return opened
        }
    }

    package func overwriteFile(
        _ handle: any FileHandle, _ request: FileOpenRequest
    ) throws(SMBError) -> FileFacts {
        let file = try self.own(handle, otherwise: .mediaWriteProtected)
        let request = try self.openRequest(request, try self.place(of: request.path).path)
        return try files { () throws(FileError) in FileFacts(try self.overwrite(file, request)) }
    }

    package func reopenFile(
        _ key: FileKey, path: String, formerPath: String, access: AccessMask
    ) throws(SMBError) -> any FileHandle {
        let (volume, path) = try self.place(of: path)
        let former = formerPath.isEmpty ? nil : try self.place(of: formerPath).path
        return try files { () throws(FileError) in
            let identity = FileStore.FileIdentity(
                filesystem: GUID(key.identity.fileSystem), handleType: key.identity.handleType,
                handle: key.identity.handle)
            return try volume.reopen(identity, path: path, formerPath: former, access: access)
        }
    }

    package func makeUnnamedFile() throws(SMBError) -> any FileHandle {
        try files { () throws(FileError) in try self.makeUnnamed() }
    }

    package func checkDeletable(_ handle: any FileHandle, ignoresReadOnly: Bool) throws(SMBError) {
        let file = try self.own(handle, otherwise: .mediaWriteProtected)
        try files { () throws(FileError) in try self.checkDelete(file, ignoresReadOnly: ignoresReadOnly) }
    }

    package func directorySecurity(_ path: String, isPOSIX: Bool) throws(SMBError) -> SecurityDescriptor {
        let (volume, path) = try self.place(of: path)
        return try files { () throws(FileError) in
            try volume.directorySecurity(path.bytes, isPOSIX: isPOSIX)
        }
    }

    package func deleteFile(_ handle: any FileHandle) throws(SMBError) {
        let file = try self.own(handle, otherwise: .mediaWriteProtected)
        try files { () throws(FileError) in try self.delete(file) }
    }
}
