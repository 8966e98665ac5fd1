import Raft
import StateRecords

/// What a node is there for.
package enum NodeRole: UInt8, Sendable, CaseIterable {
    /// Can mount the LUN and serve.
    case data = 0
    /// Votes, and never serves.
    case witness = 1

    package var name: String {
        switch self {
        case .data: "data"
        case .witness: "witness"
        }
    }

    package init?(name: String) {
        guard let role = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = role
    }
}

/// A member of the cluster, as it joined.
package struct NodeRecord: Equatable, BinaryRecord {
    /// Given once, never reused; also the node's part of the fence key and of the initiator's session identifier.
    package var id: NodeID
    package var name: String
    /// `host:port` where the other nodes reach it.
    package var address: String
    package var role: NodeRole
    /// The network interface that carries the virtual IP on this node.
    package var interface: String
    /// Counts the starts of its clusterd.
    package var incarnation: UInt64
    /// The ids that this machine had before, the newest last: it lost its state under each of them, and whoever forgot what
    /// it promised is a new member to Raft. In section 2.
    package var former: [NodeID] = []
    /// What it runs, as it said when it started. In section 3, from version 2 of the cluster on. nil: it said nothing.
    package var program: NodeProgram?

    /// The newest of them stay.
    package static let formerLimit = 8

    package init(
        id: NodeID, name: String, address: String, role: NodeRole, interface: String, incarnation: UInt64 = 0,
        program: NodeProgram? = nil
    ) {
        self.id = id
        self.name = name
        self.address = address
        self.role = role
        self.interface = interface
        self.incarnation = incarnation
        self.program = program
    }

    package func encode(into writer: inout BinaryWriter) {
        let program = writer.version >= 2 ? self.program : nil
        writer.section(version: program == nil ? 2 : 3) { writer in
            writer.write(self.id)
            writer.write(self.name)
            writer.write(self.address)
            writer.write(self.role.rawValue)
            writer.write(self.interface)
            writer.write(self.incarnation)
            writer.write(UInt32(self.former.count))
            for id in self.former { writer.write(id) }
            if let program { writer.write(program) }
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            var record = NodeRecord(
                id: try reader.read(), name: try reader.read(), address: try reader.read(),
                role: try reader.readRole(), interface: try reader.read(), incarnation: try reader.read())
            guard version >= 2 else { return record }
            let count = Int(try reader.read(UInt32.self))
            guard count <= Self.formerLimit else {
                throw .tooLong(kind: "former ids", count: count, limit: Self.formerLimit)
            }
            for _ in 0..<count { record.former.append(try reader.read()) }
            if version >= 3 { record.program = try reader.read() }
            return record
        }
    }
}

extension BinaryReader {
    package mutating func readRole() throws(RecordError) -> NodeRole {
        let value = try self.read(UInt8.self)
        guard let role = NodeRole(rawValue: value) else { throw .unknownTag(kind: "node role", value: value) }
        return role
    }
}
