import Raft
import StateRecords
import Testing

@testable import ClusterCore

@Suite struct NodeChangeTests {
    /// node-1 serves.
    private static let state: ClusterState = {
        let configuration = ClusterConfiguration(
            name: "tshare", guid: GUID16(low: 1, high: 2), domain: [1, 2, 3], certificateAuthority: "THE KEY",
            nodes: (1...3).map {
                NodeRecord(id: $0, name: "node-\($0)", address: "10.0.0.\($0):7420", role: .data, interface: "eth0")
            }, virtualIPs: ["10.0.0.10/24"], lun: "iscsi://user%password@h/iqn/1", fileSystem: Array(0..<16))
        var state = ClusterState(founding: configuration, membership: Configuration(voters: [1, 2, 3]))
        _ = try? state.apply(
            Entry(
                index: state.appliedIndex + 1, term: 7,
                payload: .command(
                    Command.activate(node: 1, term: 7, EventRecord(kind: .takeover, node: 1, term: 7)).encoded)))
        return state
    }()

    private func record(_ change: NodeChange, present: NodeRecord? = nil) throws -> NodeRecord {
        try change.record(in: Self.state, present: present)
    }

    @Test func aNodeIsRenamedAndMoved() throws {
        var expected = try #require(Self.state.configuration.node(2))
        expected.name = "other"
        expected.address = "[fd00::2]:7420"
        #expect(try self.record(NodeChange(node: "node-2", name: "other", address: "[fd00::2]:7420")) == expected)
        // Its own name and address are nobody else's.
        #expect(
            try self.record(NodeChange(node: "node-2", name: "node-2", address: "10.0.0.2:7420"))
                == Self.state.configuration.node(2))
    }

    @Test func whoServesMayMoveAndKeepsItsName() throws {
        #expect(try self.record(NodeChange(node: "node-1", address: "10.0.0.9:7420")).address == "10.0.0.9:7420")
        #expect(throws: AdminFailure.self) { try self.record(NodeChange(node: "node-1", name: "other")) }
    }

    @Test(arguments: [
        NodeChange(node: "nobody", name: "other"), NodeChange(node: "node-2", name: "node-3"),
        NodeChange(node: "node-2", name: "no name"), NodeChange(node: "node-2", address: "10.0.0.3:7420"),
        NodeChange(node: "node-2", address: "nowhere"),
    ])
    func whatIsTakenOrNoNameIsRefused(change: NodeChange) {
        #expect(throws: AdminFailure.self) { try self.record(change) }
    }

    /// Two changes at once: the second knows of the first.
    @Test func aChangeBuildsOnWhatIsProposed() throws {
        let renamed = try self.record(NodeChange(node: "node-2", name: "other"))
        let both = try self.record(NodeChange(node: "node-2", address: "10.0.0.9:7420"), present: renamed)
        #expect(both.name == "other" && both.address == "10.0.0.9:7420")
    }
}
