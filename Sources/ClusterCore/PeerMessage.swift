import Raft
import StateRecords

/// The messages of the peers' links.
package enum PeerMessage: Equatable, BinaryRecord {
    case raft(Message)
    /// A part of the state itself, and the message that stands for it once all parts are there.
    case snapshot(Message, SnapshotPart)
    /// Whether the sender reaches the LUN, as it found just now.
    case reach(Reach)
    /// Who the sender is, told whenever its link comes up. The receiver may have been away when the sender joined: it then
    /// learns here where to send its answers.
    case introduction(NodeRecord)

    package func encode(into writer: inout BinaryWriter) {
        switch self {
        case .raft(let message):
            writer.write(UInt8(1))
            writer.write(message)
        case .snapshot(let message, let part):
            writer.write(UInt8(2))
            writer.write(message)
            writer.write(part)
        case .reach(let reach):
            writer.write(UInt8(3))
            writer.section(version: 1) { $0.write(reach.rawValue) }
        case .introduction(let node):
            writer.write(UInt8(4))
            writer.write(node)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 1: self = .raft(try reader.read())
        case 2: self = .snapshot(try reader.read(), try reader.read())
        case 3:
            let reach = try reader.section { (_, reader) throws(RecordError) in try reader.read(UInt8.self) }
            self = .reach(Reach(rawValue: reach) ?? .unknown)
        case 4: self = .introduction(try reader.read())
        default: throw .unknownTag(kind: "peer message", value: tag)
        }
    }
}

/// The state in parts, so that none is longer than a frame may be.
package struct SnapshotPart: Equatable, BinaryRecord {
    package static let partBytes = 1 << 20
    /// A state beyond this is damage: a million opens take less.
    package static let stateBytes = 1 << 30

    package var number: UInt32
    package var count: UInt32
    package var bytes: [UInt8]

    package init(number: UInt32, count: UInt32, bytes: [UInt8]) {
        self.number = number
        self.count = count
        self.bytes = bytes
    }

    package static func parts(of state: [UInt8]) -> [SnapshotPart] {
        let count = (state.count + Self.partBytes - 1) / Self.partBytes
        return (0..<count).map { number in
            let start = number * Self.partBytes
            let end = min(start + Self.partBytes, state.count)
            return SnapshotPart(number: UInt32(number), count: UInt32(count), bytes: Array(state[start..<end]))
        }
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.number)
        writer.write(self.count)
        writer.write(self.bytes)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.number = try reader.read()
        self.count = try reader.read()
        self.bytes = try reader.read()
    }
}

/// Puts the parts of a snapshot together. A lost part, or one of another snapshot, ends the collection: the leader sends
/// all of it again.
package struct SnapshotCollector: Sendable {
    private var message: Message?
    private var expected: UInt32 = 0
    private var bytes: [UInt8] = []
    private let defects: TransferDefects

    package init(defects: TransferDefects = []) { self.defects = defects }

    /// The whole state, once the last part is there.
    package mutating func add(_ part: SnapshotPart, of message: Message) -> [UInt8]? {
        let mixesStates = self.defects.contains(.mixStates)
        if part.number == 0, !mixesStates {
            self.message = message
            self.expected = 0
            self.bytes = []
        }
        let isNext = self.message == message && part.number == self.expected && part.number < part.count
        guard isNext || mixesStates, part.bytes.count <= SnapshotPart.stateBytes - self.bytes.count else {
            self = SnapshotCollector(defects: self.defects)
            return nil
        }
        self.bytes += part.bytes
        self.expected += 1
        guard self.expected >= part.count else { return nil }
        defer { self = SnapshotCollector(defects: self.defects) }
        return self.bytes
    }
}
