import CLinux
import Glibc
import SMB2Wire

/// Which CREATE made a file. A CREATE is carried out before its record is replicated: a node that dies in between leaves
/// the file behind, and the client sends its request again ([MS-SMB2] 3.2.5.1.4 and 3.3.5.9, SMB2_FLAGS_REPLAY_OPERATION).
/// The mark tells that repeated request from one that really collides.
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

    /// A file system without such attributes keeps no mark: a repeated request then collides, as without it.
    func write(_ descriptor: Int32) throws(FileError) {
        do throws(FileError) { try XAttr.set(descriptor, Self.attribute, self.bytes) } catch {
            guard error.code == EOPNOTSUPP else { throw error }
        }
    }

    func isOn(_ descriptor: Int32) throws(FileError) -> Bool {
        try XAttr.get(descriptor, Self.attribute) == self.bytes
    }
}
