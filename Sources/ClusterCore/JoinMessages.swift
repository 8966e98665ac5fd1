import Raft
import StateRecords

/// `clusterctl init`.
package struct InitializeParameters: Equatable, BinaryRecord {
    package var clusterName: String
    package var nodeName: String
    package var address: String
    package var virtualIP: String
    package var interface: String
    /// Secret.
    package var lun: String
    /// Make the file system on a LUN that is proved empty.
    package var formats: Bool
    /// Use the XFS that the LUN already holds.
    package var adopts: Bool
    /// Throw out reservations that are there.
    package var forces: Bool
    /// Take a target that lacks something of what fencing needs. Since version 2.
    package var acceptsUnsafe = false
    /// The quorum disk's LUN; empty: none. Secret. Since version 3.
    package var quorumLUN = ""

    package init(
        clusterName: String, nodeName: String, address: String, virtualIP: String, interface: String, lun: String,
        formats: Bool, adopts: Bool, forces: Bool, acceptsUnsafe: Bool = false
    ) {
        self.clusterName = clusterName
        self.nodeName = nodeName
        self.address = address
        self.virtualIP = virtualIP
        self.interface = interface
        self.lun = lun
        self.formats = formats
        self.adopts = adopts
        self.forces = forces
        self.acceptsUnsafe = acceptsUnsafe
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 3) { writer in
            writer.write(self.clusterName)
            writer.write(self.nodeName)
            writer.write(self.address)
            writer.write(self.virtualIP)
            writer.write(self.interface)
            writer.write(self.lun)
            writer.write(self.formats)
            writer.write(self.adopts)
            writer.write(self.forces)
            writer.write(self.acceptsUnsafe)
            writer.write(self.quorumLUN)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            var parameters = InitializeParameters(
                clusterName: try reader.read(), nodeName: try reader.read(), address: try reader.read(),
                virtualIP: try reader.read(), interface: try reader.read(), lun: try reader.read(),
                formats: try reader.read(), adopts: try reader.read(), forces: try reader.read(),
                acceptsUnsafe: version >= 2 ? try reader.read() : false)
            if version >= 3 { parameters.quorumLUN = try reader.read() }
            return parameters
        }
    }
}

/// `clusterctl join`, on the machine that joins.
package struct JoinParameters: Equatable, BinaryRecord {
    /// A member: `host:port`.
    package var member: String
    /// The token as it was printed. Secret.
    package var token: String
    package var nodeName: String
    package var address: String
    package var interface: String
    package var role: NodeRole

    package init(
        member: String, token: String, nodeName: String, address: String, interface: String, role: NodeRole
    ) {
        self.member = member
        self.token = token
        self.nodeName = nodeName
        self.address = address
        self.interface = interface
        self.role = role
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.member)
            writer.write(self.token)
            writer.write(self.nodeName)
            writer.write(self.address)
            writer.write(self.interface)
            writer.write(self.role.rawValue)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            JoinParameters(
                member: try reader.read(), token: try reader.read(), nodeName: try reader.read(),
                address: try reader.read(), interface: try reader.read(), role: try reader.readRole())
        }
    }
}

/// A machine that is no node yet asks to become one.
package struct JoinRequest: Equatable, BinaryRecord {
    /// Of the token.
    package var secret: [UInt8]
    package var node: NodeRecord

    package init(secret: [UInt8], node: NodeRecord) {
        self.secret = secret
        self.node = node
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.secret)
        writer.write(self.node)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.secret = try reader.read()
        self.node = try reader.read()
    }
}

package enum JoinReply: Equatable, BinaryRecord {
    case accepted(
        node: NodeRecord, clusterName: String, certificatePEM: String, keyPEM: String, authorityPEM: String,
        peers: [NodeRecord])
    /// Ask that one: it leads.
    case redirect(address: String)
    case refused(AdminFailure)

    package func encode(into writer: inout BinaryWriter) {
        switch self {
        case .accepted(let node, let name, let certificate, let key, let authority, let peers):
            writer.write(UInt8(1))
            writer.write(node)
            writer.write(name)
            writer.write(certificate)
            writer.write(key)
            writer.write(authority)
            writer.write(peers)
        case .redirect(let address):
            writer.write(UInt8(2))
            writer.write(address)
        case .refused(let failure):
            writer.write(UInt8(3))
            writer.write(failure)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 1:
            self = .accepted(
                node: try reader.read(), clusterName: try reader.read(), certificatePEM: try reader.read(),
                keyPEM: try reader.read(), authorityPEM: try reader.read(), peers: try reader.readArray())
        case 2: self = .redirect(address: try reader.read())
        case 3: self = .refused(try reader.read())
        default: throw .unknownTag(kind: "join reply", value: tag)
        }
    }
}
