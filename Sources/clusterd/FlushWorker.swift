import ClusterCore
import ClusterPlatform
import ClusterStore
import Logging

/// The thread that brings to the LUN what was acknowledged from this node's memory. That takes as long as the memory is large and the
/// LUN slow: the thread that owns the LUN must be free to give it up meanwhile, and smbserverd to end.
final class FlushWorker: Sendable {
    private let orders = Mailbox<Takeover.Operation>()

    init(folders: Folders, loop: LoopMailbox, logger: Logger) {
        let mountPoint = folders.mount
        startThread("flush") { [orders] in
            setNiceness(0)
            while true {
                orders.wait(milliseconds: -1)
                for operation in orders.drain() {
                    do throws(PlatformError) {
                        try XFS.flush(mountPoint)
                        loop.post(.takeover(.finished(operation, [])))
                    } catch {
                        logger.error("\(error.message)")
                        loop.post(.takeover(.failed(operation, error.failure)))
                    }
                }
            }
        }
    }

    func tell(_ operation: Takeover.Operation) { self.orders.post(operation) }
}
