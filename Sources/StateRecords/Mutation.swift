/// One change of the state that outlives an SMB server process. A batch of them is one entry of the Raft log (or one
/// SQLite transaction of the local journal): all or none.
package enum Mutation: Equatable, BinaryRecord {
    case putOpen(OpenRecord)
    /// The tombstone of a CLOSE, or of a time-out.
    case removeOpen(persistentID: UInt64)
    case putClient(ClientRecord)
    case removeClient(ClientRecord)
    /// Persistent ids below this were or may have been given out: a server that loads this state starts above.
    case reserveIDs(below: UInt64)
    /// A newly started server has no clients yet: those of the one before it are gone.
    case removeAllClients

    package func encode(into writer: inout BinaryWriter) {
        switch self {
        case .putOpen(let record):
            writer.write(UInt8(1))
            writer.write(record)
        case .removeOpen(let id):
            writer.write(UInt8(2))
            writer.write(id)
        case .putClient(let record):
            writer.write(UInt8(3))
            writer.write(record)
        case .removeClient(let record):
            writer.write(UInt8(4))
            writer.write(record)
        case .reserveIDs(let limit):
            writer.write(UInt8(5))
            writer.write(limit)
        case .removeAllClients:
            writer.write(UInt8(6))
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 1: self = .putOpen(try reader.read())
        case 2: self = .removeOpen(persistentID: try reader.read())
        case 3: self = .putClient(try reader.read())
        case 4: self = .removeClient(try reader.read())
        case 5: self = .reserveIDs(below: try reader.read())
        case 6: self = .removeAllClients
        default: throw .unknownTag(kind: "mutation", value: tag)
        }
    }
}

/// What a server needs to give every handle back: the outcome of all mutations so far.
package struct HandleState: Equatable, Sendable {
    package private(set) var opens: [UInt64: OpenRecord] = [:]
    package private(set) var clients: Set<ClientRecord> = []
    /// Every persistent id that was ever given out is below this.
    package private(set) var nextPersistentID: UInt64 = 1

    package init() {}

    package mutating func apply(_ mutation: Mutation) {
        switch mutation {
        case .putOpen(let record):
            self.opens[record.persistentID] = record
            self.nextPersistentID = max(self.nextPersistentID, record.persistentID &+ 1)
        case .removeOpen(let id): self.opens[id] = nil
        case .putClient(let record): self.clients.insert(record)
        case .removeClient(let record): self.clients.remove(record)
        case .reserveIDs(let limit): self.nextPersistentID = max(self.nextPersistentID, limit)
        case .removeAllClients: self.clients.removeAll()
        }
    }

    /// In the order of their persistent ids: a dictionary's order changes from run to run.
    package var orderedOpens: [OpenRecord] {
        // The ids alone are sorted: records are large, and there may be a million.
        self.opens.keys.sorted().compactMap { self.opens[$0] }
    }

    package var orderedClients: [ClientRecord] {
        self.clients.sorted {
            ($0.clientAddress, $0.clientPort, $0.serverAddress) < ($1.clientAddress, $1.clientPort, $1.serverAddress)
        }
    }
}

private func < (
    left: ([UInt8], UInt16, [UInt8]), right: ([UInt8], UInt16, [UInt8])
) -> Bool {
    if left.0 != right.0 { return left.0.lexicographicallyPrecedes(right.0) }
    if left.1 != right.1 { return left.1 < right.1 }
    return left.2.lexicographicallyPrecedes(right.2)
}
