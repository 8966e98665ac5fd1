/// What `init` answers once there is a cluster: from here on nothing may sound as if it were to be done again.
extension AdminReply {
    package static func made(cluster: String) -> AdminReply {
        .done("cluster \(cluster) is made; \(Self.nextAfterInit)")
    }

    private static let nextAfterInit = "next: 'clusterctl token' for each further node"

    /// `self`: what came of the quorum disk that was asked for with the cluster.
    package func ofQuorumDisk(madeWith cluster: String) -> AdminReply {
        switch self {
        case .done(let text): return .done("cluster \(cluster) is made; \(text); \(Self.nextAfterInit)")
        // Decided, and not done yet: it goes on by itself.
        case .failed(let failure) where failure.code == .unavailable:
            return .failed(
                AdminFailure(
                    .unavailable,
                    "cluster \(cluster) is made and works; its quorum disk does not vote yet: \(failure.message). Do "
                        + "not repeat init"))
        case .failed(let failure):
            return .failed(
                AdminFailure(
                    failure.code,
                    "cluster \(cluster) is made and works, without its quorum disk: \(failure.message). Mend that, "
                        + "then 'clusterctl quorum replace URL'; do not repeat init"))
        default: return self
        }
    }
}
