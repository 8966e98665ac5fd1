import ClusterCore
import ClusterPlatform
import ClusterStore
import Fencing
import QuorumDisk

/// `clusterctl storage check`, on a thread of its own: a silent target holds up nobody else.
enum StorageCheck {
    static let timeout = Duration.seconds(5)

    /// `quorum`: the cluster's quorum disk, which is looked at as well.
    static func run(_ lun: String, quorum: QuorumDisk? = nil, _ answer: @escaping AdminAnswer) {
        startThread("storage-check") {
            do throws(PlatformError) {
                var report = try Self.report(on: try LUNAddress(lun))
                if let quorum { report.others.append(Self.report(on: quorum)) }
                answer(.storage(report))
            } catch {
                answer(.failed(AdminFailure(error.kind == .invalid ? .refused : .storage, error.message)))
            }
        }
    }

    struct QuorumDisk: Sendable {
        var lun: String
        /// What the cluster laid out.
        var superblock: Superblock?
    }

    private static func report(on address: LUNAddress) throws(PlatformError) -> StorageReport {
        // A quorum disk has no keys to tell that it is in use: scratch reservations would keep its nodes from voting.
        if let report = try self.quorumReport(on: address, expected: nil) { return report }
        return StorageReport(try TargetCheck.run(address, timeout: Self.timeout), of: address)
    }

    /// One that cannot be looked at is a finding.
    private static func report(on quorum: QuorumDisk) -> StorageReport {
        var failed = StorageReport(
            lun: "the quorum disk", product: "", byteCount: 0, blockSize: 0, isThin: false, findings: [])
        do throws(PlatformError) {
            let address = try LUNAddress(quorum.lun)
            failed.lun = "\(address)"
            if let report = try self.quorumReport(on: address, expected: quorum.superblock) { return report }
        } catch {
            failed.findings = [StorageReport.Finding(.unusable, error.message)]
        }
        return failed
    }

    /// Nil: the LUN is no quorum disk, and none was expected.
    private static func quorumReport(
        on address: LUNAddress, expected: Superblock?
    ) throws(PlatformError) -> StorageReport? {
        let session = try TargetCheck.asking(address, timeout: Self.timeout)
        defer { session.logout() }
        let description = try session.describe()
        let began = ContinuousClock.now
        let block = try session.read(
            block: 0, count: UInt32(Layout.blockSize) / description.blockSize, blockSize: description.blockSize)
        let answer = ContinuousClock.now - began
        let found = Superblock(block: block)
        if found == nil, expected == nil { return nil }
        var flushes = true
        do throws(PlatformError) { try session.synchronizeCache() } catch {
            guard case .scsi = error.kind else { throw error }
            flushes = false
        }
        var reservation: Reservation?
        do throws(PlatformError) { reservation = try session.readReservation() } catch {
            // A target without reservations will do for a quorum disk.
            guard case .scsi(_, 5, _) = error.kind else { throw error }
        }
        let facts = QuorumLUNFacts(
            content: found == nil
                ? .noQuorumDisk : expected == nil || found == expected ? .quorumDisk : .anotherQuorumDisk,
            byteCount: description.byteCount,
            neededByteCount: UInt64((expected ?? found)?.layout.byteCount ?? 0), reservation: reservation,
            flushes: flushes, answer: answer)
        return StorageReport(
            lun: "\(address)", product: "\(description.vendor) \(description.product)",
            byteCount: description.byteCount,
            blockSize: description.blockSize, isThin: description.isThin,
            findings: StorageReport.findings(facts.findings))
    }

    /// Whether another address leads to the LUN that the cluster has: the same target and number, and over each portal the very
    /// reservation that is there over the old one. Ends with the address.
    static func comparePortals(
        _ text: String, with old: String, initiator: Initiator,
        _ done: @escaping @Sendable (Result<String, PlatformError>) -> Void
    ) {
        startThread("storage-address") {
            do throws(PlatformError) {
                let address = try LUNAddress(text)
                let known = try LUNAddress(old)
                guard address.isSame(as: known) else {
                    throw PlatformError(
                        .invalid,
                        "\(address) is another LUN than the cluster's, \(known): only its portals and its login may change"
                    )
                }
                let expected = try Self.reservation(known, initiator)
                for path in address.paths where try Self.reservation(path, initiator) != expected {
                    throw PlatformError(
                        .invalid, "\(path) leads to another LUN than the cluster's: its reservation is a different one")
                }
                done(.success(text))
            } catch {
                done(.failure(error))
            }
        }
    }

    /// Nobody reserves a LUN that a cluster uses but its active node; without one there is nothing to compare by.
    private static func reservation(_ address: LUNAddress, _ initiator: Initiator) throws(PlatformError) -> Reservation
    {
        let session = try ISCSISession(address, as: initiator, timeout: Self.timeout)
        defer { session.logout() }
        guard let reservation = try session.readReservation() else {
            throw PlatformError(.conflict, "\(address): nobody has reserved the LUN just now: try again")
        }
        return reservation
    }

    /// Before a cluster is made on it. Throws what is missing, where that is more than `accepts`.
    static func require(_ address: LUNAddress, acceptsUnsafe: Bool) throws(PlatformError) {
        let facts = try TargetCheck.run(address, timeout: Self.timeout)
        guard facts.grade == .unusable || facts.grade == .unsafe && !acceptsUnsafe else { return }
        let missing = facts.findings.filter { $0.grade >= .unsafe }.map(\.text).joined(separator: "; ")
        throw PlatformError(
            .unsafe,
            facts.grade == .unusable
                ? "\(address) cannot carry a cluster: \(missing). Use another target"
                : "\(address) is not safe: \(missing). Use another target, or repeat with --accept-unsafe")
    }
}

extension StorageReport {
    init(_ facts: TargetFacts, of address: LUNAddress) {
        self.init(
            lun: "\(address)", product: facts.product, byteCount: facts.byteCount, blockSize: facts.blockSize,
            isThin: facts.isThin,
            findings: Self.findings(facts.findings))
    }

    static func findings(_ findings: [TargetFacts.Finding]) -> [Finding] {
        findings.map { Finding(Grade(rawValue: $0.grade.rawValue) ?? .unusable, $0.text) }
    }
}
