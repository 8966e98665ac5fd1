import ClusterPlatform
import ClusterStore
import Logging

/// The thread that makes the shares' folders on the LUN. XFS waits for the target as long as the bridge does, for ever
/// if need be, and the thread that owns the LUN has to hear the bridge and its own orders meanwhile.
final class FolderWorker: Sendable {
    private struct Order: Sendable {
        var folders: ShareFolders
        var paths: [String]
        /// Why not, by the path that cannot be had.
        var answer: @Sendable ([String: String]) -> Void
    }

    private let orders = Mailbox<Order>()

    init(logger: Logger) {
        startThread("folders") { [orders] in
            while true {
                orders.wait(milliseconds: -1)
                Self.perform(orders.drain(), logger)
            }
        }
    }

    /// Of several that wait only the last is carried out, and its outcome is everybody's: it has what the shares are
    /// now.
    func make(_ paths: [String], in folders: ShareFolders, _ answer: @escaping @Sendable ([String: String]) -> Void) {
        self.orders.post(Order(folders: folders, paths: paths, answer: answer))
    }

    private static func perform(_ orders: [Order], _ logger: Logger) {
        guard let order = orders.last else { return }
        let failures = order.folders.make(order.paths)
        for (path, why) in failures.sorted(by: { $0.key < $1.key }) {
            logger.error("the folder of a share, \(path), cannot be made: \(why)")
        }
        for order in orders { order.answer(failures) }
    }
}
