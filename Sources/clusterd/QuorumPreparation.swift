import ClusterCore
import ClusterPlatform
import ClusterStore
import QuorumDisk
import Raft
import StateRecords

/// A LUN becomes a quorum disk, on a thread of its own: an address that is silent costs nobody the disk that votes now.
enum QuorumPreparation {
    /// For each command.
    private static let timeout = Duration.seconds(5)
    /// How long the loop may take to say what becomes of the LUN. Above what it takes to have the present disk out of
    /// the voters.
    private static let verdictMilliseconds: Int32 = 60_000

    struct Order: Sendable {
        var lun: String
        var cluster: GUID16
        var forces: Bool
        var initiator: Initiator
        /// In which this node leads: what was begun for an earlier one is not gone on with.
        var term: Term
    }

    /// Of the loop, on what was found; nothing is written before it.
    enum Verdict: Sendable {
        /// `tookOut`: the cluster has no quorum disk until this one is laid out.
        case mayLayOut(tookOut: Bool)
        case refused(AdminFailure)
    }

    /// Asks the loop with ``LoopEvent/quorumLUNFound`` and ends with ``LoopEvent/quorumDiskPrepared``.
    static func run(_ order: Order, loop: LoopMailbox, _ answer: @escaping AdminAnswer) {
        startThread("quorum-prepare") {
            let result: Result<QuorumDiskRecord, AdminFailure>
            do throws(AdminFailure) {
                result = .success(try Self.prepare(order, loop))
            } catch {
                result = .failure(error)
            }
            loop.post(.quorumDiskPrepared(result, order, answer))
        }
    }

    private static func prepare(_ order: Order, _ loop: LoopMailbox) throws(AdminFailure) -> QuorumDiskRecord {
        let found: Superblock?
        do throws(PlatformError) { found = try Self.look(order) } catch { throw AdminFailure(.storage, error.message) }
        let verdict = Mailbox<Verdict>()
        loop.post(.quorumLUNFound(found?.identity, order, verdict))
        verdict.wait(milliseconds: Self.verdictMilliseconds)
        var tookOut = false
        switch verdict.drain().first {
        case .mayLayOut(let out): tookOut = out
        case .refused(let failure): throw failure
        case nil:
            throw AdminFailure(.unavailable, "the node did not decide in time: look with 'clusterctl quorum show'")
        }
        do throws(PlatformError) { return try Self.layOut(order, found) } catch {
            let what = "the quorum disk that was on it has been taken out, and the cluster has none now: "
            throw AdminFailure(.storage, (tookOut ? what : "") + error.message)
        }
    }

    /// What of a quorum disk is there: a LUN that holds anything else is none of ours.
    private static func look(_ order: Order) throws(PlatformError) -> Superblock? {
        let address = try LUNAddress(order.lun)
        let device = QuorumDevice(address, as: order.initiator, timeout: Self.timeout)
        try device.open(isBarrier: false)
        defer { device.logout() }
        guard Layout.fitting(device.byteCount) != nil else {
            throw PlatformError(
                .invalid,
                "\(address) has \(device.byteCount >> 20) MiB; a quorum disk needs at least 256 MiB")
        }
        if let found = try Self.superblock(device) {
            guard order.forces else {
                throw PlatformError(
                    .notOurs,
                    "\(address) is a quorum disk already, of this cluster or of another: if it is really to be laid "
                        + "out anew, repeat with --force")
            }
            return found
        }
        switch try device.content() {
        case .empty: return nil
        case .xfs(let id, let label):
            throw PlatformError(
                .notOurs, "\(address) holds an XFS file system (UUID \(id), label \"\(label)\"): check the address")
        case .foreign(let what):
            throw PlatformError(
                .notOurs,
                "\(address) holds \(what), which Holdfast never overwrites: check the address, or wipe the LUN by hand")
        }
    }

    /// Either copy: with one of them lost the areas vote all the same.
    private static func superblock(_ device: QuorumDevice) throws(PlatformError) -> Superblock? {
        if let first = Superblock(block: try device.read(0, Layout.blockSize)) { return first }
        return Superblock(block: try device.read(Layout.blockSize, Layout.blockSize))
    }

    /// Makes what was found there a quorum disk, and reads back that it is one.
    private static func layOut(_ order: Order, _ found: Superblock?) throws(PlatformError) -> QuorumDiskRecord {
        let address = try LUNAddress(order.lun)
        // A session of its own: the loop may have thought for longer than a target keeps one that is silent.
        let device = QuorumDevice(address, as: order.initiator, timeout: Self.timeout)
        try device.open(isBarrier: false)
        defer { device.logout() }
        guard let layout = Layout.fitting(device.byteCount), try Self.superblock(device) == found else {
            throw PlatformError(.conflict, "\(address) is not what it was a moment ago: another machine uses it")
        }
        let superblock = Superblock(
            identity: DiskIdentity(
                cluster: order.cluster,
                disk: GUID16(low: .random(in: 1 ... .max), high: .random(in: 1 ... .max))),
            layout: layout)
        for write in superblock.formatting { try device.write(write.offset, write.bytes) }
        try device.flush()
        guard Superblock(block: try device.read(0, Layout.blockSize)) == superblock else {
            throw PlatformError(.conflict, "\(address) does not read back what was written: another machine uses it")
        }
        return QuorumDiskRecord(
            lun: order.lun, disk: superblock.identity.disk, areaCount: UInt32(layout.areaCount),
            ringByteCount: UInt64(layout.ringByteCount), checkpointByteCount: UInt64(layout.checkpointByteCount))
    }
}
