import ClusterCore
import ClusterStore
import Raft
import StateRecords

@testable import QuorumDisk

extension Example {
    static let identity = NodeIdentity(
        id: 2, name: "node-b", clusterName: "tshare", address: "10.0.0.2:7420", role: .witness, certificatePEM: "c",
        keyPEM: "k", authorityPEM: "a", incarnation: 7, peers: [node])
    static let diskIdentity = DiskIdentity(cluster: GUID16(low: 1, high: 2), disk: GUID16(low: 3, high: 4))
    static let layout = Layout(areaCount: 3, ringByteCount: 8 * 4096, checkpointByteCount: 3 * 4096)
    static let header: AreaHeader = {
        var header = AreaHeader(identity: diskIdentity)
        header.node = 2
        header.incarnation = 9
        header.sequence = 77
        header.ballot = 12
        header.heartbeat = 1000
        header.commitIndex = 40
        header.ring.baseIndex = 30
        header.ring.baseTerm = 10
        header.ring.lastIndex = 44
        header.ring.lastTerm = 12
        header.ring.start = 100
        header.ring.end = 105
        header.ring.chainBefore = 0xDEAD_BEEF
        header.ring.chain = 0x1234_5678
        header.checkpoint = AreaHeader.Checkpoint(
            extent: 1, byteCount: 5000, sum: 0xABCD, snapshot: Snapshot(index: 30, term: 10, configuration: membership))
        return header
    }()
    static let raised: ClusterState = {
        var copy = state
        copy.append(.raiseVersion(2, stated: [1, 2].map { StatedProgram(node: $0, program: program) }))
        return copy
    }()
    static func backup(of state: ClusterState) -> ClusterBackup {
        ClusterBackup(of: state, node: "node-a", unixMilliseconds: 77, isConfirmed: true, term: 5)
    }
}

extension Sample {
    /// In `state.db` and beside it, on the quorum disk, in a backup.
    static var stored: [Sample] {
        let file = NodeFile(identity: Example.identity, term: 5, votedFor: 1, lost: "l")
        // Of a cluster of version 1: no state has the nodes' programs there.
        var first = file
        first.identity.peers[0].program = nil
        let firstBytes = first.bytes
        let entries = [Entry(index: 44, term: 12, payload: .command([1, 2, 3]))]
        return [
            Sample("state", Example.state), Sample("state.handedOver", Example.handedOver),
            Sample("state.raised", Example.raised, since: 2),
            Sample("identity", Example.identity),
            Sample("snapshot", Snapshot(index: 9, term: 3, configuration: Example.membership)),
            Sample(
                "nodeFile", bytes: { $0 == 1 ? firstBytes : file.bytes },
                isRead: { NodeFile.reading($0) == .found(file) }),
            Sample("diskMemory", DiskMemory(identity: Example.diskIdentity, sequences: [1, 2])),
            Sample(
                "superblock", bytes: { _ in Superblock(identity: Example.diskIdentity, layout: Example.layout).block },
                isRead: { Superblock(block: $0) == Superblock(identity: Example.diskIdentity, layout: Example.layout) }
            ),
            Sample(
                "areaHeader", bytes: { _ in Example.header.block },
                isRead: { AreaHeader(block: $0, layout: Example.layout) == Example.header }),
            Sample(
                "ringChunk",
                bytes: { _ in RingChunk.make(entries, at: 5, on: Example.diskIdentity, after: 9).bytes },
                isRead: {
                    RingChunk(parsing: $0[...], at: 5, on: Example.diskIdentity, after: 9)?.entries == entries
                }),
            Sample(
                "backup", bytes: { _ in Example.backup(of: Example.state).bytes },
                isRead: { (try? ClusterBackup(parsing: $0)) == Example.backup(of: Example.state) }),
        ]
    }
}
