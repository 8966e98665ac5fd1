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

    /// A witness joins as one; and where it is the witness that has everything, the data node is restored all the same.
    @Test(arguments: [true, false]) func aWitnessIsNeverTheFirst(hasEverything: Bool) {
        let data = Self.node(1, "one", "enp1s0")
        var witness = Self.node(2, "two", "")
        witness.role = .witness
        let text = LeftAlone(own: hasEverything ? witness : data, other: hasEverything ? data : witness).description
        #expect(text.contains("On \(hasEverything ? "two" : "one"): 'clusterctl backup --local FILE'"))
        #expect(text.contains("copy FILE to one") == hasEverything)
        #expect(text.contains("On one: 'clusterctl restore FILE --node-name one --address 10.0.0.1:7420"))
        #expect(text.contains("On two: 'clusterctl join 10.0.0.1:7420 --token TOKEN --node-name two"))
        #expect(text.contains("--address 10.0.0.2:7420 --role witness'"))
    }
}
