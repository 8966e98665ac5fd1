import CLinux
import Glibc
import SMB2Wire

// Reparse points. What a client sets lies as it came in the file's attribute `user.SmbReparse`, where Samba (4.21 and later)
// keeps it, and FILE_ATTRIBUTE_REPARSE_POINT in `user.DOSATTRIB` says that it is there: the file stays the same inode, and a
// crash leaves it with its link or without. A link that Linux made is shown as IO_REPARSE_TAG_SYMLINK, a device, FIFO or
// socket by WSL's tags. Nothing is followed here: the client is told where it came upon the link, and goes on by itself.

enum ReparsePoints {
    static let attribute = Array("user.SmbReparse".utf8)

    static func read(_ descriptor: Int32) throws(FileError) -> ReparseData? {
        guard let bytes = try XAttr.get(descriptor, self.attribute) else { return nil }
        let span = bytes.span.bytes
        return try? ReparseData(parsing: span)
    }

    /// The tag that the attribute begins with; 0 where it is not there.
    static func tag(_ read: (UnsafeMutableRawPointer?, Int) -> Int) -> UInt32 {
        withUnsafeTemporaryAllocation(byteCount: ReparseData.maximumByteCount, alignment: 8) { buffer in
            let count = read(buffer.baseAddress, buffer.count)
            guard count >= 8 else { return 0 }
            return UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
        }
    }

    /// A Linux link's target as a client takes it: separators turned round; only a relative one leads anywhere.
    static func symlink(_ target: [UInt8]) -> ReparseData.Symlink {
        let isRelative = target.first != UInt8(ascii: "/")
        let components = target.split(separator: UInt8(ascii: "/")).map { component in
            // These are no names: they are not shown as one that ends in a dot is.
            let isDots = component.count <= 2 && component.allSatisfy { $0 == UInt8(ascii: ".") }
            return isDots
                ? String(decoding: component, as: UTF8.self)
                : String(decoding: NameText.shown(Array(component)), as: UTF16.self)
        }
        let name = (isRelative ? "" : "\\") + components.joined(separator: "\\")
        return .init(substituteName: name, printName: name, isRelative: isRelative)
    }
}

/// Where an open came upon a symbolic link: STATUS_STOPPED_ON_SYMLINK, [MS-SMB2] 2.2.2.2.1.
package struct StoppedOnSymlink: Equatable, Sendable {
    package var link: ReparseData.Symlink
    /// UTF-16 bytes of the path behind the link, its separator included.
    package var unparsedByteCount: Int
}

extension OpenFile {
    /// FSCTL_GET_REPARSE_POINT, [MS-FSA] 2.1.5.10.14.
    package func reparseData() throws(FileError) -> ReparseData {
        guard !self.isStream else { throw FileError(.notAReparsePoint, "a stream's reparse point") }
        if let data = try self.volume.reparseData(self.handle.number, try FileStatus(self.handle)) { return data }
        throw FileError(.notAReparsePoint, "read a reparse point")
    }

    /// FSCTL_SET_REPARSE_POINT, [MS-FSA] 2.1.5.10.37.
    package func setReparseData(_ data: ReparseData) throws(FileError) {
        try self.volume.requireWritable()
        guard !self.isStream else { throw FileError(.invalidParameter, "a stream as a reparse point") }
        guard !self.isReparsePoint else { throw FileError(.accessDenied, "change a link of Linux's") }
        let number = self.handle.number
        if let old = try ReparsePoints.read(number) {
            guard old.tag == data.tag else { throw FileError(.ioReparseTagMismatch, "another reparse point") }
        } else if self.isDirectory {
            var reader = try DirectoryReader(number)
            var isEmpty = true
            while isEmpty, try reader.next({ name, _ in if !isDotEntry(name) { isEmpty = false } }) {}
            guard isEmpty else { throw FileError(.directoryNotEmpty, "a directory with entries as a reparse point") }
        }
        try XAttr.set(number, ReparsePoints.attribute, data.bytes)
        try self.markReparsePoint(true)
    }

    /// FSCTL_DELETE_REPARSE_POINT, [MS-FSA] 2.1.5.10.5: the file stays.
    package func removeReparseData(tag: UInt32) throws(FileError) {
        try self.volume.requireWritable()
        let data = try self.reparseData()
        guard !self.isReparsePoint else { throw FileError(.accessDenied, "a link of Linux's is deleted as a file") }
        guard data.tag == tag else { throw FileError(.ioReparseTagMismatch, "another reparse point") }
        try self.markReparsePoint(false)
        try XAttr.remove(self.handle.number, ReparsePoints.attribute)
    }

    private func markReparsePoint(_ isReparsePoint: Bool) throws(FileError) {
        let number = self.handle.number
        var dos = DOSAttributes.read(number)
        var kept = FileInformation(try FileStatus(self.handle), dos).attributes
            .intersection(DOSAttributes.kept).subtracting(.reparsePoint)
        if isReparsePoint { kept.insert(.reparsePoint) }
        dos.attributes = kept
        try dos.write(number)
    }
}

extension Volume {
    /// Nil where it is an ordinary file or directory.
    func reparseData(_ descriptor: Int32, _ status: FileStatus) throws(FileError) -> ReparseData? {
        guard status.reparseTag != 0 else { return try ReparsePoints.read(descriptor) }
        guard status.reparseTag == ReparseData.symlinkTag else { return ReparseData(tag: status.reparseTag) }
        return ReparseData(ReparsePoints.symlink(try linkTarget(descriptor)))
    }

    /// Why an open ends at a reparse point: `unparsed` is what of the path lies behind it.
    func stopped(
        at descriptor: borrowing Descriptor, _ status: FileStatus, unparsed: Int
    ) throws(FileError) -> FileError {
        guard let link = try self.reparseData(descriptor.number, status)?.symlink else {
            return FileError(.ioReparseTagNotHandled, "a reparse point that nobody here follows")
        }
        var error = FileError(.stoppedOnSymlink, "a symbolic link")
        error.link = StoppedOnSymlink(link: link, unparsedByteCount: unparsed)
        return error
    }

    /// The first reparse point on the way to `path` that is not its end; nil where there is none. Looked for only when
    /// nothing was found: behind a link there is nothing.
    func reparsePoint(before path: NTPath) throws(FileError) -> FileError? {
        var current = try Descriptor(
            result: self.openBeneath(self.root.number, [], clinux_o_path | O_DIRECTORY), "open the share's root")
        let components = path.bytes.split(separator: UInt8(ascii: "/")).map { Array($0) }
        let shown = path.shown.count
        var parsed = 0
        for component in components.dropLast() {
            var result = self.openBeneath(current.number, component, clinux_o_path)
            if failed(result, ENOENT), !self.options.isCaseSensitive,
                let spelling = try self.indexes.spelling(of: component, in: current.number)
            {
                result = self.openBeneath(current.number, spelling, clinux_o_path)
            }
            guard result >= 0 else { return nil }
            current = Descriptor(number: Int32(truncatingIfNeeded: result))
            parsed += NTPath(onDisk: component).shown.count + (parsed == 0 ? 0 : 1)
            let status = try FileStatus(current)
            if FileInformation(status, DOSAttributes.read(current.number)).reparseTag != 0 {
                return try self.stopped(at: current, status, unparsed: 2 * (shown - parsed))
            }
            guard status.isDirectory else { return nil }
        }
        return nil
    }
}
