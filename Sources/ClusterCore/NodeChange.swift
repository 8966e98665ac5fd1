import Raft
import StateRecords

/// What `clusterctl node set` changes of a node. Empty: stays as it is.
package struct NodeChange: Equatable, BinaryRecord {
    /// The node by its present name.
    package var node: String
    package var name: String
    package var address: String

    package init(node: String, name: String = "", address: String = "") {
        self.node = node
        self.name = name
        self.address = address
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.node)
            writer.write(self.name)
            writer.write(self.address)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            NodeChange(node: try reader.read(), name: try reader.read(), address: try reader.read())
        }
    }

    /// The node's record as it is to be. A name is no node's twice, nor an address. Who serves keeps its name: its sessions at the
    /// target are known by it, and a takeover ends those.
    ///
    /// - Parameter present: the node's newest record, where one was proposed that is not applied yet.
    package func record(in state: ClusterState, present: NodeRecord? = nil) throws(AdminFailure) -> NodeRecord {
        guard let known = state.configuration.node(named: self.node) else {
            throw AdminFailure(.refused, "there is no node \(self.node): 'clusterctl status' shows them")
        }
        var record = present ?? known
        let others = state.configuration.nodes.filter { $0.id != record.id }
        if !self.name.isEmpty {
            if let problem = Names.problem(nodeName: self.name) { throw AdminFailure(.refused, problem) }
            guard !others.contains(where: { $0.name == self.name }) else {
                throw AdminFailure(.refused, "another node has the name \(self.name)")
            }
            guard state.active?.node != record.id else {
                throw AdminFailure(.refused, "\(self.node) serves the share: 'clusterctl move' first, then rename it")
            }
            record.name = self.name
        }
        if !self.address.isEmpty {
            if let problem = Names.problem(nodeAddress: self.address) { throw AdminFailure(.refused, problem) }
            if let other = others.first(where: { $0.address == self.address }) {
                throw AdminFailure(.refused, "node \(other.name) has the address \(self.address)")
            }
            record.address = self.address
        }
        return record
    }

    /// For people.
    package var description: String {
        let name = self.name.isEmpty ? nil : "--rename \(self.name)"
        let address = self.address.isEmpty ? nil : "--address \(self.address)"
        return [self.node, name, address].compactMap { $0 }.joined(separator: " ")
    }
}
