import ClusterCore
import QuorumDisk
import Raft
import StateRecords

/// How much of a whole state goes at once, to the quorum disk and to another node. The states of a simulation are
/// short: with what the product takes at once all of them go in one step and one part.
package struct StateSizes: Equatable, Sendable {
    /// Of a checkpoint: whole blocks.
    package var stepByteCount: Int
    package var windowByteCount: Int
    package var partByteCount: Int

    package init(stepByteCount: Int, windowByteCount: Int, partByteCount: Int) {
        self.stepByteCount = stepByteCount
        self.windowByteCount = windowByteCount
        self.partByteCount = partByteCount
    }

    package static let whole = StateSizes(
        stepByteCount: DiskVoterLimits().checkpointStepByteCount,
        windowByteCount: SnapshotTransfer.Limits.windowByteCount, partByteCount: SnapshotPart.partBytes)
    package static let small = StateSizes(
        stepByteCount: Layout.blockSize, windowByteCount: 1024, partByteCount: 512)

    /// A state is one message then: what its only part is.
    var isWhole: Bool { self == .whole }

    /// Small in every other seed.
    static func swarm(_ random: inout Random) -> StateSizes {
        let isSmall = random.below(2) == 0
        let window = 512 << random.below(4)
        let sizes = StateSizes(
            stepByteCount: Layout.blockSize << random.below(2), windowByteCount: window,
            partByteCount: window >> random.below(3))
        return isSmall ? sizes : .whole
    }
}

/// What became of the states that went to other nodes in parts.
package struct StateCounts: Equatable, Sendable {
    package var begun = 0
    package var arrived = 0
    package var inSeveralWindows = 0
    /// Because the link broke in the middle.
    package var begunAgain = 0
    /// Made no progress: another state was made in its place.
    package var overdue = 0

    package init() {}

    package static func += (a: inout Self, b: Self) {
        a.begun += b.begun
        a.arrived += b.arrived
        a.inSeveralWindows += b.inSeveralWindows
        a.begunAgain += b.begunAgain
        a.overdue += b.overdue
    }
}

extension StateCounts: CustomStringConvertible {
    package var description: String {
        """
          states in parts \(self.begun), arrived \(self.arrived), in several windows \(self.inSeveralWindows), \
        begun again \(self.begunAgain), overdue \(self.overdue)
        """
    }
}

/// What happens to whole states between machines.
enum StateHappening {
    /// The kernel takes the next part that waits in the link's queue.
    case taken(StateLinks.Path, connection: UInt64)
    case arrived(StateLinks.Path, connection: UInt64, Message, SnapshotPart)
    /// By a thread of its own: the receiver's loop is heard meanwhile. `life`: of its process.
    case decoded(machine: Int, life: UInt64, Message, [UInt8])

    /// Where it happens.
    var machine: Int {
        switch self {
        case .taken(let path, _): path.from
        case .arrived(let path, _, _, _): path.to
        case .decoded(let machine, _, _, _): machine
        }
    }
}

/// The links that whole states go on, and what each machine has of them. A link is a stream: its parts arrive in order,
/// and those that are on their way are lost with its connection.
struct StateLinks {
    struct Path: Hashable {
        var from: Int
        var to: Int
    }

    struct Link {
        var connection: UInt64
        /// Not taken by the kernel yet.
        var queue: [(message: Message, part: SnapshotPart)] = []
        var byteCount = 0
        /// Of the last part that was taken: none overtakes it.
        var lastArrival: UInt64 = 0
    }

    struct Outgoing {
        var transfer: SnapshotTransfer
        /// Some of it was given out.
        var isBegun = false
    }

    /// What a state was when it was sent.
    struct Fingerprint: Hashable {
        var index: LogIndex
        var byteCount: Int
        var sum: UInt32
    }

    let sizes: StateSizes
    /// Of `Faults.brokenStateLinksPerMillion`, where the seed says it.
    let drawnBreaks: UInt64
    /// Of its own, so that what the seed draws otherwise stays what it is.
    var random: Random
    private let defects: TransferDefects
    var transfers: [[NodeID: Outgoing]]
    var collectors: [SnapshotCollector]
    /// Those that are up.
    var links: [Path: Link] = [:]
    var downUntil: [Path: UInt64] = [:]
    var nextConnection: UInt64 = 1
    var sent: Set<Fingerprint> = []
    var counts = StateCounts()

    /// Apart from the generators that a seed has otherwise.
    private static let salt: UInt64 = 0x5374_6174_6573_2121

    init(machines: Int, sizes: StateSizes?, seed: UInt64, defects: TransferDefects) {
        var random = Random(seed: seed ^ Self.salt)
        let drawn = StateSizes.swarm(&random)
        self.sizes = sizes ?? drawn
        self.drawnBreaks = [0, 2000, 20_000][random.below(3)]
        self.random = random
        self.defects = defects
        self.transfers = [[NodeID: Outgoing]](repeating: [:], count: machines)
        self.collectors = [SnapshotCollector](repeating: SnapshotCollector(defects: defects), count: machines)
    }

    /// For a simulation whose states have no length of their own.
    mutating func drawByteCount() -> Int { tokenByteCount + self.random.below(12_000) }

    /// The machine's process is over, with its connections.
    mutating func forget(_ machine: Int) {
        self.transfers[machine] = [:]
        self.collectors[machine] = SnapshotCollector(defects: self.defects)
        self.links = self.links.filter { $0.key.from != machine && $0.key.to != machine }
    }

    /// What the log keeps for the states that are on their way.
    func heldIndex(_ machine: Int, base: LogIndex) -> LogIndex? {
        self.transfers[machine].values.lazy.map(\.transfer.index).filter { $0 >= base }.min()
    }
}

/// A simulation whose nodes send each other whole states as `Member` does: with the real `SnapshotTransfer`, as much at
/// a time as the link takes, and the real `SnapshotCollector`.
protocol StateLinkUser {
    var time: UInt64 { get }
    var trace: Trace { get set }
    var hasFaults: Bool { get }
    var states: StateLinks { get set }
    var brokenStateLinksPerMillion: UInt64 { get }
    /// Packets that are lost, which a stream sends again, so many per million.
    var lossPerMillion: UInt64 { get }

    func tick(_ i: Int) -> Tick
    func processLife(_ i: Int) -> UInt64?
    func nodeID(_ i: Int) -> NodeID
    func machine(of node: NodeID) -> Int?
    func raft(_ i: Int) -> RaftNode?
    /// In either direction: a stream needs both.
    func isCut(_ i: Int, _ j: Int) -> Bool
    /// Not one that was removed.
    func listens(_ i: Int, to node: NodeID) -> Bool
    mutating func schedule(_ happening: StateHappening, at time: UInt64)
    mutating func fail(_ violation: String)
    mutating func step(_ i: Int, _ event: Event)
    mutating func install(_ i: Int, _ state: [UInt8], with message: Message)
}

extension StateLinkUser {
    /// How long it takes to make a connection anew (`TransportLimits.reconnectDelay`), and to send a lost packet again.
    private var streamDelay: UInt64 { 200_000 }

    // MARK: Out

    mutating func transfer(_ snapshot: Snapshot, _ state: [UInt8], from i: Int, to node: NodeID) {
        guard let message = self.raft(i)?.snapshotMessage(snapshot, to: node) else { return }
        self.states.counts.begun += 1
        self.states.sent.insert(Self.fingerprint(snapshot, state))
        self.states.transfers[i][node] = StateLinks.Outgoing(
            transfer: SnapshotTransfer(
                message, of: snapshot, state: state, now: self.tick(i),
                windowByteCount: self.states.sizes.windowByteCount, partByteCount: self.states.sizes.partByteCount))
        self.trace.note(self.time, "state to", self.nodeID(i), node, snapshot.index, "\(state.count) bytes")
    }

    private static func fingerprint(_ snapshot: Snapshot, _ state: [UInt8]) -> StateLinks.Fingerprint {
        StateLinks.Fingerprint(index: snapshot.index, byteCount: state.count, sum: CRC32C.of(state))
    }

    /// In each turn, as much as the links take.
    mutating func sendStates(_ i: Int) {
        guard !self.states.transfers[i].isEmpty, let raft = self.raft(i) else { return }
        let waiting = Set(raft.peers.lazy.filter(\.needsSnapshot).map(\.node))
        for node in self.states.transfers[i].keys.sorted() {
            guard var outgoing = self.states.transfers[i].removeValue(forKey: node), waiting.contains(node),
                raft.isLeader, outgoing.transfer.message.term == raft.term
            else { continue }
            let path = self.machine(of: node).map { StateLinks.Path(from: i, to: $0) }
            let queue = path.flatMap { self.queue($0) }
            let parts = outgoing.transfer.parts(
                connection: queue?.connection, queuedByteCount: queue?.byteCount ?? 0, at: self.tick(i))
            if parts.first?.number == 0, outgoing.isBegun { self.states.counts.begunAgain += 1 }
            if !parts.isEmpty { outgoing.isBegun = true }
            for part in parts {
                if let path, self.enqueue(outgoing.transfer.message, part, on: path) { continue }
                outgoing.transfer.partWasLost()
                break
            }
            self.states.transfers[i][node] = outgoing
        }
    }

    /// Of whoever makes no progress with it.
    mutating func resendStates(_ i: Int) {
        let now = self.tick(i)
        for node in self.states.transfers[i].keys.sorted() {
            guard self.states.transfers[i][node]?.transfer.isOverdue(at: now) == true else { continue }
            self.states.transfers[i][node] = nil
            self.states.counts.overdue += 1
            self.trace.note(self.time, "state overdue", self.nodeID(i), node)
            self.step(i, .snapshotFailed(node))
        }
    }

    // MARK: The links

    /// Of a link that is up; one that is down is made anew where the other end is a member's.
    private mutating func queue(_ path: StateLinks.Path) -> (connection: UInt64, byteCount: Int)? {
        if let link = self.states.links[path] { return (link.connection, link.byteCount) }
        guard self.states.downUntil[path] ?? 0 <= self.time, self.raft(path.to) != nil,
            !self.isCut(path.from, path.to)
        else { return nil }
        let link = StateLinks.Link(connection: self.states.nextConnection)
        self.states.nextConnection += 1
        self.states.links[path] = link
        return (link.connection, 0)
    }

    private mutating func breakLink(_ path: StateLinks.Path) {
        self.trace.note(self.time, "state link breaks", self.nodeID(path.from), self.nodeID(path.to))
        self.states.links[path] = nil
        self.states.downUntil[path] = self.time + self.streamDelay
    }

    private mutating func breaksNow() -> Bool {
        self.hasFaults && self.states.random.chance(perMillion: self.brokenStateLinksPerMillion)
    }

    /// False where the link is down by now.
    private mutating func enqueue(_ message: Message, _ part: SnapshotPart, on path: StateLinks.Path) -> Bool {
        if self.breaksNow() { self.breakLink(path) }
        guard var link = self.states.links.removeValue(forKey: path) else { return false }
        if link.queue.isEmpty { self.scheduleTake(path, link.connection) }
        link.queue.append((message, part))
        link.byteCount += part.bytes.count
        self.states.links[path] = link
        return true
    }

    private mutating func scheduleTake(_ path: StateLinks.Path, _ connection: UInt64) {
        self.schedule(
            .taken(path, connection: connection), at: self.time + 50 + self.states.random.below(UInt64(4000)))
    }

    mutating func happen(_ happening: StateHappening) {
        switch happening {
        case .taken(let path, let connection): self.takePart(path, connection)
        case .arrived(let path, let connection, let message, let part):
            guard self.states.links[path]?.connection == connection else { return }
            guard !self.isCut(path.from, path.to) else { return self.breakLink(path) }
            self.received(path.to, part, message)
        case .decoded(let machine, let life, let message, let bytes):
            if self.processLife(machine) == life { self.install(machine, bytes, with: message) }
        }
    }

    private mutating func takePart(_ path: StateLinks.Path, _ connection: UInt64) {
        guard var link = self.states.links[path], link.connection == connection, !link.queue.isEmpty else { return }
        if self.isCut(path.from, path.to) {
            // A stream outlives a short cut.
            guard self.states.random.below(4) > 0 else { return self.breakLink(path) }
            return self.schedule(.taken(path, connection: connection), at: self.time + self.streamDelay)
        }
        if self.breaksNow() { return self.breakLink(path) }
        let (message, part) = link.queue.removeFirst()
        link.byteCount -= part.bytes.count
        var delay = 100 + self.states.random.below(UInt64(900))
        if self.hasFaults, self.states.random.chance(perMillion: self.lossPerMillion) { delay += self.streamDelay }
        link.lastArrival = max(link.lastArrival + 1, self.time + delay)
        self.schedule(.arrived(path, connection: connection, message, part), at: link.lastArrival)
        if !link.queue.isEmpty { self.scheduleTake(path, connection) }
        self.states.links[path] = link
    }

    // MARK: In

    private mutating func received(_ i: Int, _ part: SnapshotPart, _ message: Message) {
        guard self.listens(i, to: message.from), case .snapshot(let snapshot) = message.body,
            let bytes = self.states.collectors[i].add(part, of: message), let life = self.processLife(i)
        else { return }
        guard self.states.sent.contains(Self.fingerprint(snapshot, bytes)) else {
            return self.fail("snapshot: node \(self.nodeID(i)) put a state together that nobody sent")
        }
        self.states.counts.arrived += 1
        if bytes.count > self.states.sizes.windowByteCount { self.states.counts.inSeveralWindows += 1 }
        self.schedule(
            .decoded(machine: i, life: life, message, bytes),
            at: self.time + 500 + self.states.random.below(UInt64(20_000)))
    }
}
