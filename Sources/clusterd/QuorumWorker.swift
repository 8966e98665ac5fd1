import ClusterCore
import ClusterPlatform
import ClusterStore
import Logging
import QuorumDisk
import Raft
import StateRecords

/// The thread that reads and writes the quorum disk's blocks, so that a target that is silent delays nothing else.
final class QuorumWorker: Sendable {
    enum Order: Sendable {
        /// From now on batches are for this disk. Each begins with a barrier: the session is made there.
        case use(NodeID, lun: String, nodeName: String, node: UInt16)
        case perform(NodeID, DiskBatch)
        /// No disk any more.
        case release
        /// Called once nothing of what was told before is under way.
        case settle(@Sendable () -> Void)
    }

    private let orders = Mailbox<Order>()

    init(loop: LoopMailbox, logger: Logger) {
        startThread("quorum") { [orders] in QuorumThread(orders: orders, loop: loop, logger: logger).run() }
    }

    func tell(_ order: Order) { self.orders.post(order) }
}

private final class QuorumThread {
    /// For each command. Below `DiskVoterLimits.operationTicks`, after which the outcome counts as unknown anyway.
    private static let timeout = Duration.milliseconds(1500)

    private let orders: Mailbox<QuorumWorker.Order>
    private let loop: LoopMailbox
    private let logger: Logger
    private var number: NodeID = 0
    private var device: QuorumDevice?
    private var lastProblem = ""

    init(orders: Mailbox<QuorumWorker.Order>, loop: LoopMailbox, logger: Logger) {
        self.orders = orders
        self.loop = loop
        self.logger = logger
    }

    func run() -> Never {
        while true {
            self.orders.wait(milliseconds: -1)
            for order in self.orders.drain() { self.perform(order) }
        }
    }

    private func perform(_ order: QuorumWorker.Order) {
        switch order {
        case .use(let number, let lun, let nodeName, let node):
            self.device?.logout()
            self.number = number
            self.device = (try? LUNAddress(lun)).map {
                QuorumDevice($0, as: .ofNode(node, named: nodeName, role: .quorumDisk), timeout: Self.timeout)
            }
        case .release:
            self.device?.logout()
            self.device = nil
            self.number = 0
        case .perform(let number, let batch):
            guard number == self.number, let device = self.device else { return }
            do throws(PlatformError) {
                let results = try Self.carryOut(batch.work, on: device)
                self.lastProblem = ""
                self.loop.post(.diskDone(number, batch: batch.number, results))
            } catch {
                // Nothing more goes out in this session: the next batch is a barrier.
                device.close()
                if error.message != self.lastProblem { self.logger.warning("quorum disk: \(error.message)") }
                self.lastProblem = error.message
                self.loop.post(.diskDone(number, batch: batch.number, nil))
            }
        case .settle(let done): done()
        }
    }

    private static func carryOut(_ work: DiskBatch.Work, on device: QuorumDevice) throws(PlatformError) -> [[UInt8]] {
        let requests: [DiskBatch.Request]
        switch work {
        case .barrier:
            try device.open()
            return []
        case .flush:
            try device.flush()
            return []
        case .requests(let some): requests = some
        }
        var results: [[UInt8]] = []
        var hasWritten = false
        for request in requests {
            switch request {
            case .read(let offset, let byteCount): results.append(try device.read(offset, byteCount))
            case .write(let offset, let bytes):
                try device.write(offset, bytes)
                hasWritten = true
                results.append([])
            }
        }
        if hasWritten { try device.flush() }
        return results
    }
}

extension QuorumDiskRecord {
    func superblock(of cluster: GUID16) -> Superblock? {
        let layout = Layout(
            areaCount: Int(self.areaCount), ringByteCount: Int(clamping: self.ringByteCount),
            checkpointByteCount: Int(clamping: self.checkpointByteCount))
        guard layout.isValid else { return nil }
        return Superblock(identity: DiskIdentity(cluster: cluster, disk: self.disk), layout: layout)
    }
}
