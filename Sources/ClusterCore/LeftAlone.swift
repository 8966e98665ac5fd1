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
        let (own, other) = (self.own.name, self.other.name)
        return
            "\(other) lost its state, and two nodes alone decide nothing without each other: this does not heal by itself. "
            + "\(own) has everything. On \(own): 'clusterctl backup --local FILE'. On both: 'systemctl stop clusterd', move "
            + "the state directory aside, 'systemctl start clusterd'. On \(own): 'clusterctl restore FILE "
            + "\(Self.place(self.own)) --force', then 'clusterctl token'. On \(other): 'clusterctl join "
            + "\(self.own.address) --token TOKEN \(Self.place(self.other))'. Then give the cluster a witness or a quorum disk"
    }

    private static func place(_ node: NodeRecord) -> String {
        "--node-name \(node.name) --address \(node.address) --interface \(node.interface)"
    }
}
