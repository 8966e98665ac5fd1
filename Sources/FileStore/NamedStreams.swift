import CLinux
import Glibc
import SMB2Wire

/// Named streams, each one extended attribute as Samba's vfs_streams_xattr stores them: `user.DosStream.<name>:$DATA`, the
/// contents and one NUL after them. Whole streams are read and written: they are what Explorer keeps of a download's zone
/// and Finder of a file, some hundred bytes.
enum NamedStreams {
    private static let prefix = Array("user.DosStream.".utf8)
    private static let suffix = Array(":$DATA".utf8)
    /// Linux's XATTR_NAME_MAX.
    private static let attributeNameBytes = 255

    static func attribute(_ stream: [UInt8]) throws(FileError) -> [UInt8] {
        let name = self.prefix + stream + self.suffix
        guard name.count <= self.attributeNameBytes else {
            throw FileError(.objectNameInvalid, "a stream's name too long")
        }
        return name
    }

    static func names(_ descriptor: Int32) throws(FileError) -> [[UInt8]] {
        try XAttr.names(descriptor).compactMap { name in
            guard name.starts(with: self.prefix), name.count > self.prefix.count else { return nil }
            let rest = name.dropFirst(self.prefix.count)
            return rest.suffix(self.suffix.count).elementsEqual(self.suffix)
                ? Array(rest.dropLast(self.suffix.count)) : nil
        }
    }

    /// The spelling on disk, without regard to case.
    static func spelling(of stream: [UInt8], on descriptor: Int32) throws(FileError) -> [UInt8]? {
        let all = try self.names(descriptor)
        if let exact = all.first(where: { $0 == stream }) { return exact }
        let upcase = UpcaseTable()
        func fold(_ name: [UInt8]) -> [UInt16] { String(decoding: name, as: UTF8.self).utf16.map { upcase[$0] } }
        let wanted = fold(stream)
        return all.first { fold($0) == wanted }
    }

    /// Nil where it is not there.
    static func read(_ descriptor: Int32, _ stream: [UInt8]) throws(FileError) -> [UInt8]? {
        guard var value = try XAttr.get(descriptor, try self.attribute(stream)) else { return nil }
        if value.last == 0 { value.removeLast() }
        return value
    }

    static func write(_ descriptor: Int32, _ stream: [UInt8], _ contents: [UInt8]) throws(FileError) {
        guard contents.count <= FileStoreLimits.streamBytes else {
            throw FileError(.diskFull, "a named stream past its limit")
        }
        do {
            try XAttr.set(descriptor, try self.attribute(stream), contents + [0])
        } catch let error where [E2BIG, ERANGE, ENOSPC].contains(error.code) {
            throw FileError(.diskFull, "a named stream larger than the file system's attributes")
        }
    }

    static func removeAll(_ descriptor: Int32) throws(FileError) {
        for name in try self.names(descriptor) { try XAttr.remove(descriptor, try self.attribute(name)) }
    }
}

extension Volume {
    /// CREATE on `file:stream`. The file itself is there by now; the disposition is the stream's.
    func openStream(
        of target: consuming Descriptor, _ status: FileStatus, _ asked: OpenRequest, isNewFile: Bool
    ) throws(FileError) -> OpenResult {
        var request = asked
        guard let wanted = request.path.stream, status.reparseTag == 0 else {
            throw FileError(.accessDenied, "a stream of a special file")
        }
        var spelling = try NamedStreams.spelling(of: wanted, on: target.number)
        let action: CreateAction
        switch (request.disposition, spelling) {
        case (.create, .some): throw FileError(.objectNameCollision, "create a stream that exists")
        case (.open, .none), (.overwrite, .none): throw FileError(.objectNameNotFound, "a stream that is not there")
        case (_, .none): action = .created
        case (.open, _), (.openIf, _): action = .opened
        case (.overwrite, _), (.overwriteIf, _): action = .overwritten
        case (.supersede, _): action = .superseded
        }
        let (dos, identity) = try self.attributeCache.attributesAndIdentity(
            of: target, status, filesystem: self.filesystemID)
        var information = FileInformation(status, dos)
        var security: SecurityDescriptor?
        if !isNewFile {
            var base = request
            base.attributes = information.attributes
            try self.checkAttributes(base, information, action)
            security = try self.authorize(&request, target, status, information, action)
        }
        if action == .created {
            guard !self.options.isReadOnly else { throw FileError(.mediaWriteProtected, "create on a read-only share") }
            try NamedStreams.write(target.number, wanted, [])
            spelling = wanted
        }
        let file = try OpenFile(
            volume: self, handle: target, identity: identity, status: status, request: request, streamName: spelling)
        let size = UInt64(try file.streamContents().count)
        information.adopt(streamSize: size)
        return OpenResult(file: file, action: action, information: information, security: security)
    }
}

extension Volume {
    /// FileRenameInformation of a stream, [MS-FSA] 2.1.5.15.12. `files` are all opens of it; they have the new name afterwards.
    /// Between the two names the stream has both: a crash leaves a second one, and loses nothing.
    package func renameStream(
        _ files: [OpenFile], to name: [UInt8], replaceExisting: Bool
    ) throws(FileError) {
        try self.requireWritable()
        guard let file = files.first, let old = file.streamName else {
            throw FileError(.invalidParameter, "rename what is no stream")
        }
        let number = file.handle.number
        try self.streamChanges.withLock { _ throws(FileError) in
            let existing = try NamedStreams.spelling(of: name, on: number)
            if let existing, existing != old {
                guard replaceExisting else {
                    throw FileError(.objectNameCollision, "rename a stream onto one that exists")
                }
                // [MS-FSA] 2.1.5.15.12: only an empty one is replaced.
                guard try NamedStreams.read(number, existing)?.isEmpty ?? true else {
                    throw FileError(.objectNameCollision, "rename a stream onto one with data")
                }
                try XAttr.remove(number, try NamedStreams.attribute(existing))
            }
            guard name != old else { return }
            try NamedStreams.write(number, name, try file.streamContents())
            try XAttr.remove(number, try NamedStreams.attribute(old))
        }
        for file in files { file.adopt(streamName: name) }
    }
}

extension FileInformation {
    /// A stream shares all with its file but the sizes, and is no directory.
    mutating func adopt(streamSize: UInt64) {
        self.endOfFile = streamSize
        self.allocationSize = streamSize
        self.isDirectory = false
        self.attributes = self.attributes.subtracting(.directory).normalized
    }
}

extension OpenFile {
    func streamContents() throws(FileError) -> [UInt8] {
        guard let name = self.streamName, let contents = try NamedStreams.read(self.handle.number, name) else {
            throw FileError(.fileDeleted, "a stream that was deleted")
        }
        return contents
    }

    func replaceStream(_ contents: [UInt8]) throws(FileError) {
        guard let name = self.streamName else { return }
        try NamedStreams.write(self.handle.number, name, contents)
    }

    /// FileStreamInformation, [MS-FSCC] 2.4.49: the file's own data (not a directory's), then the named streams.
    package func streams() throws(FileError) -> [StreamInformation] {
        var all: [StreamInformation] = []
        let status = try FileStatus(self.handle)
        if status.isRegular {
            all.append(StreamInformation(name: "::$DATA", size: status.size, allocationSize: status.raw.blocks * 512))
        }
        guard status.reparseTag == 0 else { return all }
        for name in try NamedStreams.names(self.handle.number) {
            guard let contents = try NamedStreams.read(self.handle.number, name) else { continue }
            all.append(
                StreamInformation(
                    name: ":" + String(decoding: name, as: UTF8.self) + ":$DATA", size: UInt64(contents.count),
                    allocationSize: UInt64(contents.count)))
        }
        return all
    }
}
