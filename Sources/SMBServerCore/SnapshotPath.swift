import SMB2Wire

/// A path into a previous version: the version's token is its first component, `@GMT-2026.11.24-19.30.00\folder\file`,
/// wherever in the name the client put it, or a time-warp context did. So the open's record says by itself which version it
/// is of. [MS-SMB2] 2.2.13.2.7, 3.3.5.9.4.
package enum SnapshotPath {
    /// The path in this form; a path of the present as it is.
    static func named(_ path: String, _ timeWarp: FileTime?) throws(SMBError) -> String {
        var token: SnapshotToken?
        var rest = path
        // Every name of every client comes through here.
        if path.utf8.contains(UInt8(ascii: "@")) {
            var parts = path.split(separator: "\\", omittingEmptySubsequences: false)
            if let place = parts.firstIndex(where: { SnapshotToken($0) != nil }) {
                token = SnapshotToken(parts.remove(at: place))
                rest = parts.joined(separator: "\\")
            }
        }
        if let timeWarp {
            guard let time = SnapshotToken(timeWarp) else { throw SMBError(.objectNameNotFound, "no such time") }
            token = time
        }
        guard let token else { return path }
        return rest.isEmpty ? token.text : "\(token.text)\\\(rest)"
    }

    /// The file's name within its share, whichever version it is of.
    static func withoutToken(_ path: String) -> String { self.split(path)?.path ?? path }

    /// Which version a path in this form leads into, and the path within; nil for the present.
    package static func split(_ path: String) -> (token: SnapshotToken, path: String)? {
        guard path.utf8.first == UInt8(ascii: "@"), let token = SnapshotToken(path.prefix { $0 != "\\" }) else {
            return nil
        }
        return (token, String(path.dropFirst(SnapshotToken.length + 1)))
    }
}
