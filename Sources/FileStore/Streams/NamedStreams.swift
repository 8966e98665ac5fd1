import CLinux
import Glibc
import SMB2Wire

/// Named streams that fit into an extended attribute, as Samba's vfs_streams_xattr stores them:
/// `user.DosStream.<name>:$DATA`, the contents and one NUL after them. Whole streams are read and written: they are
/// what Explorer keeps of a download's zone and Finder of a file, some hundred bytes. What is larger:
/// LargeStreams.swift; either: StreamData.swift.
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

    /// Among all of a file's attributes.
    static func names(_ attributes: [[UInt8]]) -> [[UInt8]] {
        attributes.compactMap { name in
            guard name.starts(with: self.prefix), name.count > self.prefix.count else { return nil }
            let rest = name.dropFirst(self.prefix.count)
            return rest.suffix(self.suffix.count).elementsEqual(self.suffix)
                ? Array(rest.dropLast(self.suffix.count)) : nil
        }
    }

    /// The spelling on disk, without regard to case.
    static func spelling(of stream: [UInt8], among all: [[UInt8]]) -> [UInt8]? {
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
            throw FileError(.diskFull, "a named stream past what an attribute holds")
        }
        do {
            try XAttr.set(descriptor, try self.attribute(stream), contents + [0])
        } catch let error where [E2BIG, ERANGE, ENOSPC].contains(error.code) {
            throw FileError(.diskFull, "a named stream larger than the file system's attributes")
        }
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
        var spelling = try self.streamSpelling(of: wanted, on: target.number)
        let action: CreateAction
        switch (request.disposition, spelling) {
        case (_, .some(let known)) where try request.repeatedCreation?.isOn(target.number, stream: known) ?? false:
            // What an earlier life of this server made for the same request.
            action = .created
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
            if spelling == nil {
                try self.makeStream(wanted, of: target.number, request.creationMark)
                spelling = wanted
            }
        }
        let file = try OpenFile(
            volume: self, handle: target, identity: identity, status: status, request: request, streamName: spelling)
        information.adopt(streamSize: try file.streamByteCount())
        return OpenResult(file: file, action: action, information: information, security: security)
    }

    private func makeStream(_ stream: [UInt8], of file: Int32, _ mark: CreationMark?) throws(FileError) {
        // Nothing is noted of what cannot be made.
        _ = try NamedStreams.attribute(stream)
        try self.streamChanges.withLock { _ throws(FileError) in
            try CreationMark.note(mark, stream: stream, of: file)
            try self.writeStream(stream, of: file, [])
        }
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
    /// FileStreamInformation, [MS-FSCC] 2.4.49: the file's own data (not a directory's), then the named streams.
    package func streams() throws(FileError) -> [StreamInformation] {
        var all: [StreamInformation] = []
        let status = try FileStatus(self.handle)
        if status.isRegular {
            all.append(StreamInformation(name: "::$DATA", size: status.size, allocationSize: status.raw.blocks * 512))
        }
        guard status.reparseTag == 0 else { return all }
        for name in try self.volume.streamNames(of: self.handle.number) {
            guard let contents = try self.volume.streamContents(name, of: self.handle.number) else { continue }
            let (size, allocationSize): (UInt64, UInt64)
            switch contents {
            case .small(let bytes): (size, allocationSize) = (UInt64(bytes.count), UInt64(bytes.count))
            case .large(let file):
                let status = try FileStatus(file)
                (size, allocationSize) = (status.size, status.raw.blocks * 512)
            }
            all.append(
                StreamInformation(
                    name: ":" + String(decoding: name, as: UTF8.self) + ":$DATA", size: size,
                    allocationSize: allocationSize))
        }
        return all
    }
}
