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
        case prepare(lun: String, cluster: GUID16, forces: Bool, nodeName: String, node: UInt16, AdminAnswer)
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
        case .prepare(let lun, let cluster, let forces, let nodeName, let node, let answer):
            let result: Result<QuorumDiskRecord, PlatformError>
            do throws(PlatformError) {
                result = .success(
                    try Self.prepare(
                        try LUNAddress(lun), lun, cluster, forces: forces,
                        as: .ofNode(node, named: nodeName, role: .preparation)))
            } catch {
                result = .failure(error)
            }
            self.loop.post(.quorumDiskPrepared(result, answer))
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

    /// Makes a LUN that holds nothing a quorum disk, and reads back that it is one.
    private static func prepare(
        _ address: LUNAddress, _ lun: String, _ cluster: GUID16, forces: Bool, as initiator: Initiator
    ) throws(PlatformError) -> QuorumDiskRecord {
        let device = QuorumDevice(address, as: initiator, timeout: .seconds(5))
        try device.open(isBarrier: false)
        defer { device.logout() }
        let layout = Layout.standard
        guard device.byteCount >= UInt64(layout.byteCount) else {
            throw PlatformError(
                .invalid,
                "\(address) has \(device.byteCount >> 20) MiB; a quorum disk needs at least 256 MiB")
        }
        if Superblock(block: try device.read(0, Layout.blockSize)) != nil {
            guard forces else {
                throw PlatformError(
                    .notOurs,
                    "\(address) is a quorum disk already, of this cluster or of another: if it is really to be laid out "
                        + "anew, repeat with --force")
            }
        } else {
            switch try device.content() {
            case .empty: break
            case .xfs(let id, let label):
                throw PlatformError(
                    .notOurs, "\(address) holds an XFS file system (UUID \(id), label \"\(label)\"): check the address")
            case .foreign(let what):
                throw PlatformError(
                    .notOurs,
                    "\(address) holds \(what), which Holdfast never overwrites: check the address, or wipe the LUN by hand"
                )
            }
        }
        let superblock = Superblock(
            identity: DiskIdentity(
                cluster: cluster,
                disk: GUID16(low: .random(in: 1 ... .max), high: .random(in: 1 ... .max))),
            layout: layout)
        for write in superblock.formatting { try device.write(write.offset, write.bytes) }
        try device.flush()
        guard Superblock(block: try device.read(0, Layout.blockSize)) == superblock else {
            throw PlatformError(.conflict, "\(address) does not read back what was written: another machine uses it")
        }
        return QuorumDiskRecord(
            lun: lun, disk: superblock.identity.disk, areaCount: UInt32(layout.areaCount),
            ringByteCount: UInt64(layout.ringByteCount), checkpointByteCount: UInt64(layout.checkpointByteCount))
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
