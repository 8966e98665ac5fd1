/// Two nodes voted, without a third vote, and one of them lost its state: nothing can be decided any more, and why it is not
/// healed by itself is in docs/QUORUM.md. What an administrator does, in commands that can be copied.
package struct LeftAlone: Equatable, Sendable, CustomStringConvertible {
    /// Has everything.
    package var own: NodeRecord
    /// Lost its state.
    package var other: NodeRecord

    package init(own: NodeRecord, other: NodeRecord) {
        self.own = own
        self.other = other
    }

    package var description: String {
        // Only a data node can be the first of a cluster.
        let isWitness = self.own.role == .witness
        let (first, second) = isWitness ? (self.other, self.own) : (self.own, self.other)
        return
            "\(self.other.name) lost its state, and two nodes alone decide nothing without each other: this does not heal by "
            + "itself. \(self.own.name) has everything. On \(self.own.name): 'clusterctl backup --local FILE'"
            + (isWitness ? ", and copy FILE to \(first.name)" : "")
            + ". On both: 'systemctl stop clusterd', move the state directory aside, 'systemctl start clusterd'. On "
            + "\(first.name): 'clusterctl restore FILE \(Self.place(first)) --force', then 'clusterctl token'. On "
            + "\(second.name): 'clusterctl join \(first.address) --token TOKEN \(Self.place(second))'. Then give the cluster "
            + "a third vote: a node, a witness or a quorum disk"
    }

    private static func place(_ node: NodeRecord) -> String {
        "--node-name \(node.name) --address \(node.address) "
            + (node.role == .witness ? "--role witness" : "--interface \(node.interface)")
    }
}
