import CLinux
import Glibc
import SMB2Wire

/// Which CREATE made a file, a folder or a named stream. A CREATE is carried out before its record is replicated: a node
/// that dies in between leaves the file behind, and the client sends its request again ([MS-SMB2] 3.2.5.1.4 and 3.3.5.9,
/// SMB2_FLAGS_REPLAY_OPERATION). The mark tells that repeated request from one that really collides.
package struct CreationMark: Equatable, Sendable {
    package var createGUID: GUID
    package var clientGUID: GUID
    /// The request was sent before: a file that carries its mark is what it made.
    package var isReplay: Bool

    package init(createGUID: GUID, clientGUID: GUID, isReplay: Bool) {
        self.createGUID = createGUID
        self.clientGUID = clientGUID
        self.isReplay = isReplay
    }

    /// Of the namespace that only root sees: no client can read, set or copy it.
    private static let attribute = Array("trusted.holdfast.created".utf8)

    private var bytes: [UInt8] {
        var writer = WireWriter(capacity: 32)
        writer.append(self.createGUID)
        writer.append(self.clientGUID)
        return writer.bytes
    }

    /// A file system without such attributes, or a server without the right to them, keeps no mark: a repeated request
    /// then collides, as without it.
    func write(_ descriptor: Int32) throws(FileError) {
        do throws(FileError) { try XAttr.set(descriptor, Self.attribute, self.bytes) } catch {
            guard [EOPNOTSUPP, EPERM].contains(error.code) else { throw error }
        }
    }

    func isOn(_ descriptor: Int32) throws(FileError) -> Bool {
        try XAttr.get(descriptor, Self.attribute) == self.bytes
    }

    // MARK: Streams

    private static let streamAttribute = Array("trusted.holdfast.created-streams".utf8)
    /// The two GUIDs.
    private static let byteCount = 32

    /// What made the streams that a file got last, the oldest first; each the two GUIDs, the length of the stream's
    /// name (2 bytes, little-endian) and the name.
    private static func streams(_ file: Int32) throws(FileError) -> [(mark: [UInt8], stream: [UInt8])] {
        guard let bytes = try XAttr.get(file, self.streamAttribute) else { return [] }
        var all: [(mark: [UInt8], stream: [UInt8])] = []
        var rest = bytes[...]
        while rest.count > self.byteCount + 2 {
            let mark = Array(rest.prefix(self.byteCount))
            rest = rest.dropFirst(self.byteCount)
            let length = Int(rest[rest.startIndex]) | Int(rest[rest.startIndex + 1]) << 8
            rest = rest.dropFirst(2)
            all.append((mark, Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
        }
        return all
    }

    /// Before the stream is there: from its first moment on it is known whose it is. `mark`: of the request that makes
    /// it, if it has one; what was known of another of that name is forgotten in any case.
    static func note(_ mark: CreationMark?, stream: [UInt8], of file: Int32) throws(FileError) {
        let known = try self.streams(file)
        var all = known.filter { $0.stream != stream }
        if let mark { all.append((mark.bytes, stream)) }
        guard mark != nil || all.count != known.count else { return }
        guard !all.isEmpty else { return try XAttr.remove(file, self.streamAttribute) }
        let value = all.suffix(FileStoreLimits.markedStreams).flatMap { entry in
            let length = entry.stream.count
            return entry.mark + [UInt8(truncatingIfNeeded: length), UInt8(truncatingIfNeeded: length >> 8)]
                + entry.stream
        }
        do throws(FileError) { try XAttr.set(file, self.streamAttribute, value) } catch {
            // As above, or no room: a stream may have another place, a mark has none.
            guard [EOPNOTSUPP, EPERM, ENOSPC, E2BIG, ERANGE].contains(error.code) else { throw error }
        }
    }

    /// `stream` as it is spelled on disk.
    func isOn(_ file: Int32, stream: [UInt8]) throws(FileError) -> Bool {
        try Self.streams(file).contains { $0.mark == self.bytes && $0.stream == stream }
    }
}
