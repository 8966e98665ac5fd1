import ClusterCore
import Raft
import StateRecords

/// Who this node is: what it must know before it can reach any other.
package struct NodeIdentity: Equatable, BinaryRecord {
    package var id: NodeID
    package var name: String
    package var clusterName: String
    package var address: String
    package var role: NodeRole
    package var certificatePEM: String
    /// Secret.
    package var keyPEM: String
    package var authorityPEM: String
    /// The starts of this node's clusterd so far.
    package var incarnation: UInt64
    /// The other nodes as they were when this was last written: a start before the state has arrived needs them.
    package var peers: [NodeRecord]
    /// What it was called before it was renamed; empty: it never was. In section 2.
    package private(set) var formerName = ""

    /// Its machine may still be called as before.
    package mutating func rename(to name: String) {
        self.formerName = self.name
        self.name = name
    }

    package init(
        id: NodeID, name: String, clusterName: String, address: String, role: NodeRole, certificatePEM: String,
        keyPEM: String, authorityPEM: String, incarnation: UInt64 = 0, peers: [NodeRecord] = []
    ) {
        self.id = id
        self.name = name
        self.clusterName = clusterName
        self.address = address
        self.role = role
        self.certificatePEM = certificatePEM
        self.keyPEM = keyPEM
        self.authorityPEM = authorityPEM
        self.incarnation = incarnation
        self.peers = peers
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: self.formerName.isEmpty ? 1 : 2) { writer in
            writer.write(self.id)
            writer.write(self.name)
            writer.write(self.clusterName)
            writer.write(self.address)
            writer.write(self.role.rawValue)
            writer.write(self.certificatePEM)
            writer.write(self.keyPEM)
            writer.write(self.authorityPEM)
            writer.write(self.incarnation)
            writer.write(self.peers)
            if !self.formerName.isEmpty { writer.write(self.formerName) }
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            var identity = NodeIdentity(
                id: try reader.read(), name: try reader.read(), clusterName: try reader.read(),
                address: try reader.read(), role: try reader.readRole(), certificatePEM: try reader.read(),
                keyPEM: try reader.read(), authorityPEM: try reader.read(), incarnation: try reader.read(),
                peers: try reader.readArray())
            if version >= 2 { identity.formerName = try reader.read() }
            return identity
        }
    }
}

extension NodeIdentity: CustomStringConvertible {
    package var description: String { "node \(self.name) (\(self.id)) of cluster \(self.clusterName)" }
}
