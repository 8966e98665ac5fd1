import ClusterCore
import ClusterPlatform
import ClusterStore

/// `clusterctl storage check`, on a thread of its own: a silent target holds up nobody else.
enum StorageCheck {
    static let timeout = Duration.seconds(5)

    static func run(_ lun: String, _ answer: @escaping AdminAnswer) {
        startThread("storage-check") {
            do throws(PlatformError) {
                let address = try LUNAddress(lun)
                answer(.storage(StorageReport(try TargetCheck.run(address, timeout: Self.timeout), of: address)))
            } catch {
                answer(.failed(AdminFailure(error.kind == .invalid ? .refused : .storage, error.message)))
            }
        }
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
            findings: facts.findings.map { Finding(Grade(rawValue: $0.grade.rawValue) ?? .unusable, $0.text) })
    }
}
