import Raft
import StateRecords

// The Raft core knows no encoding of its own: these are the bytes on the peers' links and in the store.

extension Configuration: BinaryRecord {
    package func encode(into writer: inout BinaryWriter) {
        for list in [self.voters, self.learners] {
            writer.write(UInt32(list.count))
            for node in list { writer.write(node) }
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let voters = try reader.readNodeIDs()
        self.init(voters: voters, learners: try reader.readNodeIDs())
    }
}

extension BinaryReader {
    fileprivate mutating func readNodeIDs() throws(RecordError) -> [NodeID] {
        let count = Int(try self.read(UInt32.self))
        guard count <= self.left / 8 else { throw .truncated(needed: count * 8, left: self.left) }
        var nodes: [NodeID] = []
        for _ in 0..<count { nodes.append(try self.read()) }
        return nodes
    }
}

extension Snapshot: BinaryRecord {
    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.index)
        writer.write(self.term)
        writer.write(self.configuration)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.init(index: try reader.read(), term: try reader.read(), configuration: try reader.read())
    }
}

extension Entry.Payload: BinaryRecord {
    package func encode(into writer: inout BinaryWriter) {
        switch self {
        case .empty: writer.write(UInt8(0))
        case .command(let bytes):
            writer.write(UInt8(1))
            writer.write(bytes)
        case .configuration(let configuration):
            writer.write(UInt8(2))
            writer.write(configuration)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 0: self = .empty
        case 1: self = .command(try reader.read())
        case 2: self = .configuration(try reader.read())
        default: throw .unknownTag(kind: "entry", value: tag)
        }
    }
}

extension Entry: BinaryRecord {
    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.index)
        writer.write(self.term)
        writer.write(self.payload)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.init(index: try reader.read(), term: try reader.read(), payload: try reader.read())
    }
}

extension Message: BinaryRecord {
    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.from)
        writer.write(self.to)
        writer.write(self.term)
        switch self.body {
        case .preVoteRequest(let lastIndex, let lastTerm):
            writer.write(UInt8(1))
            writer.write(lastIndex)
            writer.write(lastTerm)
        case .preVoteResponse(let granted):
            writer.write(UInt8(2))
            writer.write(granted)
        case .voteRequest(let lastIndex, let lastTerm, let force):
            writer.write(UInt8(3))
            writer.write(lastIndex)
            writer.write(lastTerm)
            writer.write(force)
        case .voteResponse(let granted):
            writer.write(UInt8(4))
            writer.write(granted)
        case .append(let append):
            writer.write(UInt8(5))
            writer.write(append.previousIndex)
            writer.write(append.previousTerm)
            writer.write(append.commitIndex)
            writer.write(append.entries)
        case .appendAccepted(let matchIndex):
            writer.write(UInt8(6))
            writer.write(matchIndex)
        case .appendRejected(let previousIndex, let hintIndex, let hintTerm):
            writer.write(UInt8(7))
            writer.write(previousIndex)
            writer.write(hintIndex)
            writer.write(hintTerm)
        case .heartbeat(let round, let commitIndex):
            writer.write(UInt8(8))
            writer.write(round)
            writer.write(commitIndex)
        case .heartbeatResponse(let round):
            writer.write(UInt8(9))
            writer.write(round)
        case .snapshot(let snapshot):
            writer.write(UInt8(10))
            writer.write(snapshot)
        case .timeoutNow(let round):
            writer.write(UInt8(11))
            writer.write(round)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let from = try reader.read(NodeID.self)
        let to = try reader.read(NodeID.self)
        let term = try reader.read(Term.self)
        self.init(from: from, to: to, term: term, body: try Self.body(from: &reader))
    }

    private static func body(from reader: inout BinaryReader) throws(RecordError) -> Body {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 1: return .preVoteRequest(lastIndex: try reader.read(), lastTerm: try reader.read())
        case 2: return .preVoteResponse(granted: try reader.read())
        case 3:
            return .voteRequest(lastIndex: try reader.read(), lastTerm: try reader.read(), force: try reader.read())
        case 4: return .voteResponse(granted: try reader.read())
        case 5:
            let previousIndex = try reader.read(LogIndex.self)
            let previousTerm = try reader.read(Term.self)
            let commitIndex = try reader.read(LogIndex.self)
            return .append(
                Append(
                    previousIndex: previousIndex, previousTerm: previousTerm, entries: try reader.readArray(),
                    commitIndex: commitIndex))
        case 6: return .appendAccepted(matchIndex: try reader.read())
        case 7:
            return .appendRejected(
                previousIndex: try reader.read(), hintIndex: try reader.read(), hintTerm: try reader.read())
        case 8: return .heartbeat(round: try reader.read(), commitIndex: try reader.read())
        case 9: return .heartbeatResponse(round: try reader.read())
        case 10: return .snapshot(try reader.read())
        case 11: return .timeoutNow(round: try reader.read())
        default: throw .unknownTag(kind: "raft message", value: tag)
        }
    }
}
