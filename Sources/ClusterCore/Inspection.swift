import Raft
import StateRecords

/// What `clusterctl inspect` shows of the replicated state.
package enum InspectedPart: UInt8, Sendable, CaseIterable {
    case opens = 0
    case leases = 1
    case locks = 2
    case clients = 3
    case configuration = 4
}

/// A part of the state as of one entry of the log. Without secrets, whichever part it is.
package struct Inspection: Equatable, BinaryRecord {
    package var part: InspectedPart
    package var index: LogIndex
    package var term: Term
    /// Of `opens`, `leases` and `locks`: those that have any.
    package var opens: [OpenRecord] = []
    package var clients: [ClientRecord] = []
    /// Of `configuration`: no key, no password, no hash.
    package var configuration: ClusterConfiguration?

    /// - Parameter lun: the LUN's address as people may see it.
    package init(_ part: InspectedPart, of state: ClusterState, lun: String) {
        self.part = part
        self.index = state.appliedIndex
        self.term = state.appliedTerm
        switch part {
        case .opens: self.opens = state.handles.orderedOpens
        case .leases: self.opens = state.handles.orderedOpens.filter { $0.lease != nil || $0.oplockLevel != 0 }
        case .locks: self.opens = state.handles.orderedOpens.filter { !$0.locks.isEmpty }
        case .clients: self.clients = state.handles.orderedClients
        case .configuration:
            var configuration = state.forPeople(active: nil).configuration
            configuration.lun = lun
            self.configuration = configuration
        }
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.part.rawValue)
        writer.write(self.index)
        writer.write(self.term)
        writer.write(self.opens)
        writer.write(self.clients)
        writer.write(self.configuration)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        guard let part = InspectedPart(rawValue: tag) else { throw .unknownTag(kind: "inspected part", value: tag) }
        self.part = part
        self.index = try reader.read()
        self.term = try reader.read()
        self.opens = try reader.readArray()
        self.clients = try reader.readArray()
        self.configuration = try reader.readOptional()
    }
}

/// The events of the cluster, the oldest first.
package struct EventHistory: Equatable, BinaryRecord {
    package var events: [EventRecord]
    /// What the nodes are called that are still there.
    package var nodes: [NodeRecord]

    package init(events: [EventRecord], nodes: [NodeRecord]) {
        self.events = events
        self.nodes = nodes
    }

    package init(_ state: ClusterState) {
        self.init(events: state.events, nodes: state.configuration.nodes)
    }

    package func name(of node: NodeID) -> String {
        self.nodes.first { $0.id == node || $0.former.contains(node) }?.name ?? "node \(node)"
    }

    /// Those behind `seen`; all of them where what was seen is gone from the history.
    package func since(_ seen: EventRecord?) -> [EventRecord] {
        guard let seen, let index = self.events.lastIndex(of: seen) else { return self.events }
        return Array(self.events[(index + 1)...])
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.events)
        writer.write(self.nodes)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.events = try reader.readArray()
        self.nodes = try reader.readArray()
    }
}
