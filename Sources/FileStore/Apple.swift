import CLinux
import Glibc
import SMB2Wire
import Synchronization

/// What the Finder keeps of a file in its streams.
package struct AppleAttributes: Equatable, Sendable {
    package var resourceForkSize: UInt64 = 0
    /// 32 bytes; nil without an AFP_AfpInfo stream.
    package var finderInfo: [UInt8]?

    private static let resourceForkName = Array("AFP_Resource".utf8)
    private static let resourceFork = "user.DosStream.AFP_Resource:$DATA"
    private static let information = "user.DosStream.AFP_AfpInfo:$DATA"
    /// AfpInfo: signature and version (4 each, big-endian), two fields nobody needs (4 each), FinderInfo, and 12 more.
    private static let informationBytes = 60
    private static let finderInfoRange = 16..<48
    private static let signature: [UInt8] = [0x41, 0x46, 0x50, 0x00]

    init() {}

    /// Of a directory's entry. Unreadable or damaged: as if it were not there.
    init(directory: Int32, entry: borrowing [UInt8], of volume: Volume) {
        self.init(directory: directory, entry: entry)
        guard self.resourceForkSize == 0 else { return }
        self.resourceForkSize =
            volume.largeStreamByteCount(Self.resourceForkName, directory: directory, entry: entry) ?? 0
    }

    private init(directory: Int32, entry: borrowing [UInt8]) {
        withTerminated(entry) { name in
            let size = clinux_getxattr_entry(directory, name, Self.resourceFork, nil, 0)
            // A NUL follows a stream's contents.
            if size > 1 { self.resourceForkSize = UInt64(size - 1) }
            var bytes = [UInt8](repeating: 0, count: Self.informationBytes + 1)
            let count = clinux_getxattr_entry(directory, name, Self.information, &bytes, bytes.count)
            guard count >= Self.informationBytes, bytes.starts(with: Self.signature) else { return }
            self.finderInfo = Array(bytes[Self.finderInfoRange])
        }
    }
}

extension OpenFile {
    /// The source's named streams and extended attributes in place of what this file has: with the contents beside them that is
    /// macOS's copyfile.
    package func adoptAttributes(of source: OpenFile) throws(FileError) {
        try self.volume.requireWritable()
        guard self.identity != source.identity, !self.isReparsePoint, !source.isReparsePoint else {
            throw FileError(.invalidParameter, "a file's attributes from itself, or of a special file")
        }
        let (from, to) = (source.handle.number, self.handle.number)
        try self.volume.streamChanges.withLock { _ throws(FileError) in
            try self.volume.removeStreams(of: to)
            for name in try self.volume.streamNames(of: from) {
                try self.volume.copyStream(name, from: from, to: to)
            }
        }
        try ExtendedAttributes.removeAll(to)
        try ExtendedAttributes.copyAll(from: from, to: to)
    }
}
