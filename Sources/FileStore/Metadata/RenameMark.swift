import CLinux
import Glibc
import SMB2Wire

/// Where a file is just being renamed to. A rename is carried out before the record of the open that renamed it is replicated: a
/// node that takes over in between knows the old name only, and a file that the kernel finds by its handle has no name there, so
/// that the client could neither repeat its rename nor delete the file. XFS logs the mark before the rename, never after it.
enum RenameMark {
    /// Of the namespace that only root sees: no client can read, set or copy it.
    private static let attribute = Array("trusted.holdfast.renamed".utf8)

    /// A file system without such attributes keeps no mark.
    static func write(_ descriptor: Int32, _ path: NTPath) throws(FileError) {
        do throws(FileError) { try XAttr.set(descriptor, Self.attribute, path.bytes) } catch {
            guard error.code == EOPNOTSUPP else { throw error }
        }
    }

    /// The last one, which may be long past: whoever follows it looks whether the file is there.
    static func read(_ descriptor: Int32) throws(FileError) -> NTPath? {
        guard let bytes = try XAttr.get(descriptor, Self.attribute), !bytes.isEmpty else { return nil }
        return NTPath(onDisk: bytes)
    }

    // MARK: Streams

    private static let streamAttribute = Array("trusted.holdfast.renamed-stream".utf8)

    /// The same for a stream: its name before, and its name from now on, nil where it becomes the file's own data. No name of a
    /// stream has a NUL.
    static func write(_ descriptor: Int32, stream: [UInt8], to name: [UInt8]?) throws(FileError) {
        do throws(FileError) {
            try XAttr.set(descriptor, Self.streamAttribute, stream + [0] + (name ?? []))
        } catch {
            guard error.code == EOPNOTSUPP else { throw error }
        }
    }

    /// What the stream was renamed to last, if this one was the last to be: an empty name where it became the file's own data.
    static func read(_ descriptor: Int32, stream: [UInt8]) throws(FileError) -> [UInt8]? {
        guard let bytes = try XAttr.get(descriptor, Self.streamAttribute), let end = bytes.firstIndex(of: 0),
            NamedStreams.spelling(of: stream, among: [Array(bytes[..<end])]) != nil
        else { return nil }
        return Array(bytes[(end + 1)...])
    }
}
