import Raft
import StateRecords
import Testing

@testable import ClusterCore

@Suite struct BackupTests {
    private static let state: ClusterState = {
        var configuration = ClusterConfiguration(
            name: "tshare", guid: GUID16(low: 1, high: 2), domain: [1, 2, 3], certificateAuthority: "THE KEY",
            nodes: (1...3).map {
                NodeRecord(id: $0, name: "node-\($0)", address: "10.0.0.\($0):7420", role: .data, interface: "eth0")
            }, virtualIPs: ["10.0.0.10/24"], lun: "iscsi://user%password@h/iqn/1", fileSystem: Array(0..<16))
        configuration.shares = [ShareRecord(name: "test", path: "test")]
        configuration.users = [UserRecord(name: "alice", ntHash: Array(0..<16), relativeID: 1001)]
        configuration.nextRelativeID = 1002
        var state = ClusterState(founding: configuration, membership: Configuration(voters: [1, 2, 3]))
        func apply(_ command: Command) {
            _ = try? state.apply(Entry(index: state.appliedIndex + 1, term: 7, payload: .command(command.encoded)))
        }
        apply(.putToken(TokenRecord(hash: [1, 2, 3], validMilliseconds: 1)))
        apply(.mutate(epoch: 7, [.reserveIDs(below: 500)]))
        apply(.activate(node: 1, term: 7, EventRecord(kind: .takeover, node: 1, term: 7)))
        return state
    }()
    private let backup = ClusterBackup(
        of: Self.state, node: "node-1", unixMilliseconds: 1_700_000_000_000, isConfirmed: true, term: 9)

    @Test func aBackupIsReadAsItWasWritten() throws {
        let read = try ClusterBackup(parsing: self.backup.bytes)
        #expect(read == self.backup)
        #expect(read.state.configuration.users == Self.state.configuration.users)
        #expect(read.state.configuration.shares == Self.state.configuration.shares)
        #expect(read.state.events == Self.state.events)
        // Of the old life.
        #expect(read.state.configuration.certificateAuthority.isEmpty)
        #expect(read.state.tokens.isEmpty)
        #expect(read.state.active == nil)
    }

    @Test func everyBitOfItCounts() {
        let bytes = self.backup.bytes
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 0x10
            #expect(throws: ClusterBackup.Unreadable.self) { try ClusterBackup(parsing: changed) }
            #expect(throws: ClusterBackup.Unreadable.self) { try ClusterBackup(parsing: Array(bytes.prefix(index))) }
        }
        #expect(throws: ClusterBackup.Unreadable.damaged("the checksum is wrong")) {
            try ClusterBackup(parsing: bytes + [0])
        }
    }

    @Test func oneOfANewerVersionIsCalledSo() {
        var bytes = self.backup.bytes.dropLast(4)
        bytes[bytes.startIndex + 8] = 9
        var writer = BinaryWriter()
        writer.write(CRC32C.of(bytes))
        #expect(throws: ClusterBackup.Unreadable.newer(9)) { try ClusterBackup(parsing: Array(bytes) + writer.bytes) }
        #expect(throws: ClusterBackup.Unreadable.notABackup) {
            try ClusterBackup(parsing: Array("SQLite format 3".utf8))
        }
    }

    /// What the old life gave out since the backup must not be given out again, and its nodes' keys must be older.
    @Test(arguments: [Term(0), 4_000_000]) func aRestoredClusterBeginsBehindAllOfTheOldOne(newestTerm: Term) throws {
        let node = NodeRecord(id: 0, name: "node-1", address: "10.0.0.1:7420", role: .data, interface: "eth1")
        let restoration = try #require(
            Restoration(
                self.backup, node: node, authority: "NEW", virtualIPs: ["10.0.0.11/24"], lun: "iscsi://x/y/2",
                fileSystem: Array(16..<32), newestTerm: newestTerm,
                event: EventRecord(kind: .restored, node: 0, term: 0)))
        let state = restoration.state
        let configuration = state.configuration
        #expect(restoration.hardState.term > max(9, newestTerm) + 100_000)
        #expect(restoration.hardState.votedFor == nil)
        #expect(restoration.base.index == state.appliedIndex && restoration.base.term == restoration.hardState.term)
        #expect(restoration.base.configuration == Configuration(voters: [restoration.node.id]))
        #expect(state.membership == restoration.base.configuration)
        #expect(configuration.nodes == [restoration.node])
        #expect(restoration.node.id > 4 && configuration.nextNodeID > restoration.node.id)
        #expect(state.isRemoved(1) && state.isRemoved(4) && !state.isRemoved(restoration.node.id))
        #expect(configuration.nextRelativeID > 1002 + 4096)
        #expect(state.handles.nextPersistentID > 500 + 1_000_000)
        #expect(configuration.certificateAuthority == "NEW")
        #expect((configuration.lun, configuration.virtualIPs) == ("iscsi://x/y/2", ["10.0.0.11/24"]))
        #expect(configuration.guid == Self.state.configuration.guid)
        #expect(configuration.domain == Self.state.configuration.domain)
        #expect(state.events.last?.kind == .restored && state.events.last?.term == restoration.hardState.term)
        // The log goes on from there.
        var next = state
        try next.apply(Entry(index: state.appliedIndex + 1, term: restoration.hardState.term + 1, payload: .empty))
    }

    @Test func termsThatAreUsedUpAreNotReused() {
        let node = NodeRecord(id: 0, name: "node-1", address: "10.0.0.1:7420", role: .data, interface: "eth1")
        #expect(
            Restoration(
                self.backup, node: node, authority: "NEW", virtualIPs: [], lun: "", fileSystem: [],
                newestTerm: Term(UInt32.max - 5), event: EventRecord(kind: .restored, node: 0, term: 0)) == nil)
    }
}
