import StateRecords
import Testing

@testable import ClusterCore

@Suite struct LeftAloneTests {
    private static func node(_ id: UInt64, _ name: String, _ interface: String) -> NodeRecord {
        NodeRecord(id: id, name: name, address: "10.0.0.\(id):7420", role: .data, interface: interface)
    }

    /// Each can be copied: 63-cluster-restore does. `--force`, because the node's own key lies on the LUN.
    @Test(arguments: [
        "'clusterctl backup --local FILE'", "'systemctl stop clusterd'", "'systemctl start clusterd'",
        "'clusterctl restore FILE --node-name one --address 10.0.0.1:7420 --interface enp1s0 --force'",
        "'clusterctl token'",
        "'clusterctl join 10.0.0.1:7420 --token TOKEN --node-name two --address 10.0.0.2:7420 --interface enp2s0'",
    ])
    func theStepsHaveAllThatTheCommandsWant(step: String) {
        let text = LeftAlone(own: Self.node(1, "one", "enp1s0"), other: Self.node(2, "two", "enp2s0")).description
        #expect(text.contains(step))
    }
}
