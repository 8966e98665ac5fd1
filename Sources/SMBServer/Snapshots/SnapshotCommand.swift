import FileStore
import SMB2Wire
import StateRecords

/// `smbserverd snapshot`: for a folder that is served without a cluster, whether or not a server runs on it.
package enum SnapshotCommand: Equatable {
    case create
    case list
    case delete(token: String)

    /// - Returns: what to print.
    package func run(folder: String) throws(ServerError) -> String {
        do throws(FileError) {
            let volume = try Volume(root: folder, options: .init(label: folder), isServed: false)
            switch self {
            case .create:
                try volume.removeUnfinishedSnapshots()
                guard let token = SnapshotToken(Clock.wall) else { throw FileError(.invalidParameter, "the year") }
                let summary = try volume.makeSnapshot(token)
                return "\(token.text): \(SnapshotService.text(summary))\n"
            case .list:
                return try volume.snapshots().map { "\($0.token.text)\($0.isScheduled ? "  scheduled" : "")\n" }
                    .joined()
            case .delete(let text):
                guard let token = SnapshotToken(text) else {
                    throw FileError(.objectNameNotFound, "a token like @GMT-2026.11.24-19.30.00")
                }
                try volume.removeSnapshot(token)
                return "\(token.text) is deleted\n"
            }
        } catch { throw ServerError("\(folder): \(SnapshotService.explain(error))") }
    }
}
