/// What `clusterd` says to the `smbserverd` beneath it. Both sides of one inherited Unix stream socket; each message
/// is framed by its length (``JournalFrame``).
///
/// The life of a server: `configure` -> (ready) -> `load`* -> `serve` -> (serving) -> … -> `freeze` -> (frozen), or `stop`.
/// A warm standby has been configured and waits for `load`. `configure` may come again at any time: shares and
/// users change while it serves.
package enum ClusterToServer: Equatable, BinaryRecord {
    case configure(ServerConfiguration)
    /// A part of the records; the parts come in order, before `serve`.
    case load(opens: [OpenRecord])
    /// All is loaded and mounted: accept. `nextPersistentID` is above every id that was ever given out.
    case serve(epoch: UInt64, nextPersistentID: UInt64)
    /// All batches up to this sequence number are committed by a majority and on its disks.
    case appended(sequence: UInt64)
    /// The batch will not be committed by this node: it no longer leads. What waits for it must never be answered.
    case refused(sequence: UInt64)
    /// A planned move: stop reading requests, let what runs finish; close no connection (no FIN, no reset:
    /// a client that sees a refusal waits for seconds) and answer nothing more. Then `frozen`. What was acknowledged and is not
    /// on the LUN yet is `clusterd`'s to flush: a call of this process that waits for the LUN could not be ended.
    case freeze
    /// Self-fence: answer nothing from this moment on, flush nothing.
    case stop
    case statusRequest
    /// Clients may be answered to then: microseconds of CLOCK_BOOTTIME, which both processes read alike. From the moment on
    /// at which the newest heartbeat that a majority answered was sent. Nothing is answered before the first one.
    case lease(until: UInt64)
    /// Of the administrator; `snapshotDone` answers.
    case snapshot(id: UInt64, SnapshotOrder)
    /// Answered with `pong` at once, whatever the server does otherwise: one that does not answer hangs.
    case ping
    /// Answered with `unserved` once everything that was said before is done.
    case unservedRequest

    package func encode(into writer: inout BinaryWriter) {
        switch self {
        case .configure(let configuration):
            writer.write(UInt8(1))
            writer.write(configuration)
        case .load(let opens):
            writer.write(UInt8(2))
            writer.write(opens)
        case .serve(let epoch, let next):
            writer.write(UInt8(3))
            writer.write(epoch)
            writer.write(next)
        case .appended(let sequence):
            writer.write(UInt8(4))
            writer.write(sequence)
        case .refused(let sequence):
            writer.write(UInt8(5))
            writer.write(sequence)
        case .freeze: writer.write(UInt8(6))
        case .stop: writer.write(UInt8(7))
        case .statusRequest: writer.write(UInt8(8))
        case .lease(let until):
            writer.write(UInt8(9))
            writer.write(until)
        case .snapshot(let id, let order):
            writer.write(UInt8(20))
            writer.write(id)
            writer.write(order)
        case .ping: writer.write(UInt8(21))
        case .unservedRequest: writer.write(UInt8(22))
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 1: self = .configure(try reader.read())
        case 2: self = .load(opens: try reader.readArray())
        case 3: self = .serve(epoch: try reader.read(), nextPersistentID: try reader.read())
        case 4: self = .appended(sequence: try reader.read())
        case 5: self = .refused(sequence: try reader.read())
        case 6: self = .freeze
        case 7: self = .stop
        case 8: self = .statusRequest
        case 9: self = .lease(until: try reader.read())
        case 20: self = .snapshot(id: try reader.read(), try reader.read())
        case 21: self = .ping
        case 22: self = .unservedRequest
        default: throw .unknownTag(kind: "cluster message", value: tag)
        }
    }
}

/// What `smbserverd` says to the `clusterd` above it.
package enum ServerToCluster: Equatable, BinaryRecord {
    /// The configuration is in force.
    case ready(processID: Int32)
    /// One batch, in the order of its sequence numbers (from 1, without gaps). `isAwaited`: an answer to a client waits for
    /// `appended`; otherwise (closes, clients) nobody waits, but the order stays.
    case append(sequence: UInt64, isAwaited: Bool, mutations: [Mutation])
    /// It accepts connections once what it has recorded so far is committed. `reopened` handles were given back their
    /// files; `lost` could not be.
    case serving(epoch: UInt64, reopened: UInt32, lost: UInt32)
    /// What ran is finished; nothing more will be answered.
    case frozen
    case status(ServerStatus)
    /// Input or output on the share failed as a whole (the file system shut down): the node should give up the LUN.
    case storageFailed(detail: String)
    /// What became of an order, at any time after it.
    case snapshotDone(id: UInt64, SnapshotOutcome)
    case pong
    /// Shares of the configuration that nobody can use.
    case unserved([UnservedShare])

    package func encode(into writer: inout BinaryWriter) {
        switch self {
        case .ready(let processID):
            writer.write(UInt8(1))
            writer.write(processID)
        case .append(let sequence, let isAwaited, let mutations):
            writer.write(UInt8(2))
            writer.write(sequence)
            writer.write(isAwaited)
            writer.write(mutations)
        case .serving(let epoch, let reopened, let lost):
            writer.write(UInt8(3))
            writer.write(epoch)
            writer.write(reopened)
            writer.write(lost)
        case .frozen: writer.write(UInt8(4))
        case .status(let status):
            writer.write(UInt8(5))
            writer.write(status)
        case .storageFailed(let detail):
            writer.write(UInt8(6))
            writer.write(detail)
        case .snapshotDone(let id, let outcome):
            writer.write(UInt8(20))
            writer.write(id)
            writer.write(outcome)
        case .pong: writer.write(UInt8(21))
        case .unserved(let shares):
            writer.write(UInt8(22))
            writer.write(shares)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 1: self = .ready(processID: try reader.read())
        case 2:
            self = .append(
                sequence: try reader.read(), isAwaited: try reader.read(), mutations: try reader.readArray())
        case 3:
            self = .serving(epoch: try reader.read(), reopened: try reader.read(), lost: try reader.read())
        case 4: self = .frozen
        case 5: self = .status(try reader.read())
        case 6: self = .storageFailed(detail: try reader.read())
        case 20: self = .snapshotDone(id: try reader.read(), try reader.read())
        case 21: self = .pong
        case 22: self = .unserved(try reader.readArray())
        default: throw .unknownTag(kind: "server message", value: tag)
        }
    }
}

/// A share that a server leaves out, because its folder cannot be opened: the others are served.
package struct UnservedShare: Equatable, BinaryRecord {
    package var name: String
    package var reason: String

    package init(name: String, reason: String) {
        self.name = name
        self.reason = reason
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.name)
            writer.write(self.reason)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            UnservedShare(name: try reader.read(), reason: try reader.read())
        }
    }
}

/// What a server counts, for `clusterctl status`.
package struct ServerStatus: Equatable, BinaryRecord {
    package var connections: UInt32
    package var sessions: UInt32
    package var treeConnects: UInt32
    package var opens: UInt32
    package var durableOpens: UInt32
    package var persistentOpens: UInt32
    package var disconnectedOpens: UInt32
    package var locks: UInt32
    package var bytesRead: UInt64
    package var bytesWritten: UInt64
    package var requests: UInt64
    /// CHANGE_NOTIFY requests that wait, all requests that do, and the bytes of those that are kept for their later execution.
    /// In section 2.
    package var notifies: UInt32
    package var pending: UInt32
    package var heldBytes: UInt64
    /// What open pipes keep. In section 3.
    package var pipeBytes: UInt64

    package init(
        connections: UInt32 = 0, sessions: UInt32 = 0, treeConnects: UInt32 = 0, opens: UInt32 = 0,
        durableOpens: UInt32 = 0, persistentOpens: UInt32 = 0, disconnectedOpens: UInt32 = 0, locks: UInt32 = 0,
        bytesRead: UInt64 = 0, bytesWritten: UInt64 = 0, requests: UInt64 = 0, notifies: UInt32 = 0,
        pending: UInt32 = 0, heldBytes: UInt64 = 0, pipeBytes: UInt64 = 0
    ) {
        self.connections = connections
        self.sessions = sessions
        self.treeConnects = treeConnects
        self.opens = opens
        self.durableOpens = durableOpens
        self.persistentOpens = persistentOpens
        self.disconnectedOpens = disconnectedOpens
        self.locks = locks
        self.bytesRead = bytesRead
        self.bytesWritten = bytesWritten
        self.requests = requests
        self.notifies = notifies
        self.pending = pending
        self.heldBytes = heldBytes
        self.pipeBytes = pipeBytes
    }

    /// How much of a limit is used.
    package func used(_ limit: ServerLimit) -> UInt64 {
        switch limit {
        case .connections: UInt64(self.connections)
        case .sessions: UInt64(self.sessions)
        case .treeConnects: UInt64(self.treeConnects)
        case .opens: UInt64(self.opens)
        case .locks: UInt64(self.locks)
        case .notifies: UInt64(self.notifies)
        case .requests: UInt64(self.pending)
        case .heldBytes: self.heldBytes
        case .pipeBytes: self.pipeBytes
        }
    }

    package func encode(into writer: inout BinaryWriter) {
        let knowsPipes = writer.version >= 2
        writer.section(version: knowsPipes ? 3 : 2) { writer in
            for count in [
                self.connections, self.sessions, self.treeConnects, self.opens, self.durableOpens,
                self.persistentOpens, self.disconnectedOpens, self.locks,
            ] { writer.write(count) }
            for count in [self.bytesRead, self.bytesWritten, self.requests] { writer.write(count) }
            writer.write(self.notifies)
            writer.write(self.pending)
            writer.write(self.heldBytes)
            if knowsPipes { writer.write(self.pipeBytes) }
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            var status = ServerStatus(
                connections: try reader.read(), sessions: try reader.read(), treeConnects: try reader.read(),
                opens: try reader.read(), durableOpens: try reader.read(), persistentOpens: try reader.read(),
                disconnectedOpens: try reader.read(), locks: try reader.read(), bytesRead: try reader.read(),
                bytesWritten: try reader.read(), requests: try reader.read())
            guard version >= 2 else { return status }
            status.notifies = try reader.read()
            status.pending = try reader.read()
            status.heldBytes = try reader.read()
            if version >= 3 { status.pipeBytes = try reader.read() }
            return status
        }
    }
}

/// Frames of a byte stream: 4 bytes of length (little endian), then that many bytes. Used on the journal's socket and
/// on the administrator's.
package struct FrameReader: Sendable {
    /// A longer frame is damage or malice: the stream is given up.
    package static let longestFrame = 64 << 20

    private var buffer: [UInt8] = []
    private var consumed = 0

    package init() {}

    package mutating func append(_ bytes: some Collection<UInt8>) {
        if self.consumed == self.buffer.count {
            self.buffer.removeAll(keepingCapacity: true)
            self.consumed = 0
        } else if self.consumed > 1 << 16 {
            self.buffer.removeFirst(self.consumed)
            self.consumed = 0
        }
        self.buffer.append(contentsOf: bytes)
    }

    /// The next whole frame, or nil until more bytes come.
    package mutating func next() throws(RecordError) -> [UInt8]? {
        let left = self.buffer.count - self.consumed
        guard left >= 4 else { return nil }
        var length = 0
        for index in 0..<4 { length |= Int(self.buffer[self.consumed + index]) << (8 * index) }
        guard length <= Self.longestFrame else {
            throw .tooLong(kind: "frame", count: length, limit: Self.longestFrame)
        }
        guard length <= left - 4 else { return nil }
        let start = self.consumed + 4
        self.consumed = start + length
        return Array(self.buffer[start..<start + length])
    }

    package static func frame(_ payload: [UInt8]) -> [UInt8] {
        var writer = BinaryWriter(reserving: payload.count + 4)
        writer.write(payload)
        return writer.bytes
    }

    package static func frame(_ message: some BinaryRecord) -> [UInt8] { Self.frame(message.encoded) }
}
