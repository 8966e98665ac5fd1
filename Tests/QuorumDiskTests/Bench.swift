import Raft
import StateRecords
import Testing

@testable import QuorumDisk

let disk1 = firstDiskID
let testIdentity = DiskIdentity(cluster: GUID16(low: 1, high: 2), disk: GUID16(low: 3, high: 4))
let testLayout = Layout(areaCount: 3, ringByteCount: 8 * 4096, checkpointByteCount: 3 * 4096)

/// A LUN in memory.
struct MemoryDisk {
    var blocks: [Int: [UInt8]] = [:]

    init(_ superblock: Superblock?) {
        for write in superblock?.formatting ?? [] { self.write(write.offset, write.bytes) }
    }

    mutating func write(_ offset: Int, _ bytes: [UInt8]) {
        precondition(offset % Layout.blockSize == 0 && bytes.count % Layout.blockSize == 0, "whole blocks")
        for i in 0..<bytes.count / Layout.blockSize {
            self.blocks[offset / Layout.blockSize + i] = Array(bytes[i * Layout.blockSize..<(i + 1) * Layout.blockSize])
        }
    }

    func read(_ offset: Int, _ byteCount: Int) -> [UInt8] {
        (0..<byteCount / Layout.blockSize).flatMap {
            self.blocks[offset / Layout.blockSize + $0] ?? [UInt8](repeating: 0, count: Layout.blockSize)
        }
    }
}

/// Nodes 1...3 before one disk, each batch carried out when the test says so.
struct Bench {
    let superblock: Superblock
    let limits: DiskVoterLimits
    var disk: MemoryDisk
    var voters: [NodeID: DiskVoter] = [:]
    var batches: [NodeID: DiskBatch] = [:]
    var memories: [NodeID: DiskMemory] = [:]
    var now: Tick = 100_000
    /// What came out since it was last taken.
    var messages: [NodeID: [Message]] = [:]
    var events: [NodeID: [Event]] = [:]
    var states: [NodeID: [UInt8]] = [:]
    var wishes = 0
    var incarnation: UInt64 = 0

    init(ready: [NodeID] = [1, 2], layout: Layout = testLayout, limits: DiskVoterLimits = DiskVoterLimits()) {
        self.superblock = Superblock(identity: testIdentity, layout: layout)
        self.limits = limits
        self.disk = MemoryDisk(self.superblock)
        for node in ready {
            self.start(node)
            self.run(node)
        }
    }

    subscript(_ node: NodeID) -> DiskVoter { self.voters[node]! }

    mutating func start(_ node: NodeID, incarnation: UInt64? = nil, defects: DiskDefects = []) {
        self.incarnation += 1
        self.batches[node] = nil
        self.voters[node] = DiskVoter(
            node: node, number: disk1, area: Int(node) - 1, incarnation: incarnation ?? self.incarnation,
            superblock: self.superblock, memory: self.memories[node], limits: self.limits, now: self.now,
            defects: defects)
        self.step(node, .tick)
    }

    @discardableResult
    mutating func step(_ node: NodeID, _ event: DiskEvent) -> DiskEffects {
        let effects = self.voters[node]!.step(event, at: self.now)
        if let batch = effects.batch {
            self.batches[node] = batch
            self.checkReach(node, batch)
        }
        if let memory = effects.memory { self.memories[node] = memory }
        self.messages[node, default: []] += effects.messages
        self.events[node, default: []] += effects.events
        if let state = effects.state { self.states[node] = state }
        if effects.wantsCheckpoint { self.wishes += 1 }
        return effects
    }

    /// No block that a valid header reaches is ever written.
    private func checkReach(_ node: NodeID, _ batch: DiskBatch) {
        guard case .requests(let requests) = batch.work else { return }
        let (area, layout) = (Int(node) - 1, self.superblock.layout)
        for case .write(let offset, let bytes) in requests {
            #expect(offset >= layout.areaOffset(area) && offset < layout.areaOffset(area + 1), "its own area")
            guard offset >= layout.areaOffset(area) + Layout.slotsByteCount else { continue }
            for header in self.slots(area).compactMap({ $0 }) {
                var ranges = layout.ringPieces(
                    area, from: header.ring.start, count: header.ring.end - header.ring.start)
                if let checkpoint = header.checkpoint {
                    ranges.append((layout.checkpointOffset(area, checkpoint.extent), checkpoint.byteCount))
                }
                for range in ranges {
                    let isApart = offset + bytes.count <= range.offset || range.offset + range.byteCount <= offset
                    #expect(isApart, "a block that a header reaches")
                }
            }
        }
    }

    func slots(_ area: Int) -> [AreaHeader?] {
        let layout = self.superblock.layout
        return AreaSlots(bytes: self.disk.read(layout.areaOffset(area), Layout.slotsByteCount), layout: layout).slots
    }

    func header(_ node: NodeID) -> AreaHeader? {
        self.slots(Int(node) - 1).compactMap { $0 }.max { $0.sequence < $1.sequence }
    }

    /// Carries out the batch under way. False where there is none.
    @discardableResult
    mutating func carryOut(_ node: NodeID) -> Bool {
        guard let batch = self.batches.removeValue(forKey: node) else { return false }
        var results: [[UInt8]] = []
        if case .requests(let requests) = batch.work {
            for request in requests {
                switch request {
                case .read(let offset, let byteCount): results.append(self.disk.read(offset, byteCount))
                case .write(let offset, let bytes):
                    self.disk.write(offset, bytes)
                    results.append([])
                }
            }
        }
        self.step(node, .completed(batch: batch.number, results))
        return true
    }

    mutating func run(_ node: NodeID) { while self.carryOut(node) {} }

    mutating func fail(_ node: NodeID) {
        guard let batch = self.batches.removeValue(forKey: node) else { return }
        self.step(node, .failed(batch: batch.number))
    }

    /// The kind of what is under way: "barrier", "flush", "read" or "write".
    func underWay(_ node: NodeID) -> String? {
        guard let batch = self.batches[node] else { return nil }
        guard case .requests(let requests) = batch.work else { return batch.work == .flush ? "flush" : "barrier" }
        return requests.contains { if case .write = $0 { true } else { false } } ? "write" : "read"
    }

    mutating func say(_ node: NodeID, _ body: Message.Body, term: Term, commit: LogIndex = 0) {
        self.step(
            node, .receive(Message(from: node, to: disk1, term: term, body: body), commitIndex: commit))
    }

    mutating func takeMessages(_ node: NodeID) -> [Message] {
        defer { self.messages[node] = [] }
        return self.messages[node] ?? []
    }

    mutating func takeVote(_ node: NodeID) -> DiskVote? {
        defer { self.events[node] = [] }
        for case .diskVoted(let vote) in self.events[node] ?? [] { return vote }
        return nil
    }

    /// Asks for a vote and carries everything out.
    mutating func vote(
        _ node: NodeID, term: Term, last: (term: Term, index: LogIndex) = (0, 0), force: Bool = true,
        commit: LogIndex = 0
    ) -> DiskVote? {
        self.events[node] = []
        self.say(
            node, .voteRequest(lastIndex: last.index, lastTerm: last.term, force: force), term: term, commit: commit)
        self.run(node)
        return self.takeVote(node)
    }

    mutating func append(
        _ node: NodeID, term: Term, after previous: (term: Term, index: LogIndex), _ terms: [Term],
        byteCount: Int = 10
    ) {
        let entries = terms.enumerated().map {
            Entry(
                index: previous.index + 1 + LogIndex($0.offset), term: $0.element,
                payload: .command([UInt8](repeating: UInt8($0.element), count: byteCount)))
        }
        self.say(
            node,
            .append(
                Message.Append(
                    previousIndex: previous.index, previousTerm: previous.term, entries: entries, commitIndex: 0)),
            term: term)
    }

    mutating func checkpoint(_ node: NodeID, term: Term, at position: (term: Term, index: LogIndex), _ state: [UInt8]) {
        self.step(
            node,
            .checkpoint(
                Snapshot(
                    index: position.index, term: position.term,
                    configuration: Configuration(voters: [1, 2, disk1])), state: state, term: term))
    }
}
