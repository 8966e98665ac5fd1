import ClusterCore

/// What clients were told is written and only the node's memory holds: the page cache beneath a share that is not continuously
/// available.
struct SimulatedPageCache {
    /// A call of the kernel that brings all of it to the LUN: first the writes, then the flush.
    struct WriteBack {
        var values: [Int: UInt64]
        /// Those that are not answered.
        var writes: Set<UInt64>
        /// 0: not sent yet.
        var flush: UInt64 = 0
    }

    /// By block; on the LUN once a flush that came after its write was answered.
    var dirty: [Int: UInt64] = [:]
    /// Of clusterd's flushing thread, the first one under way.
    var orders: [Takeover.Operation] = []
    /// The flushing thread's syncfs.
    var sync: WriteBack?
    /// The storage thread's umount.
    var unmount: WriteBack?
}

/// Writes that are acknowledged before they are on the LUN. Whatever fails may take them; a planned move may not.
extension TakeoverSimulation {
    static let cachedBlocks = 3
    /// Behind the log's.
    private static let firstCachedBlock = logBlock + 1
    static let allBlocks = firstCachedBlock + cachedBlocks
    /// With the defect: what a flush may take.
    private static let hurriedFlushTime: UInt64 = 3_000_000

    mutating func cachedClient() {
        self.schedule(.cachedClient, after: 1000, 120_000_000 / self.faults.cachedWritesPerMinute)
        let answering = self.nodes.indices.filter {
            self.nodes[$0].isUp && self.nodes[$0].server.state == .serving && self.nodes[$0].network.isUp
                && self.nodes[$0].pause != .node && !self.nodes[$0].isHung(.server)
                && self.tick($0) < self.nodes[$0].server.leaseEnd
        }
        guard !answering.isEmpty else { return }
        let i = answering[self.random.below(answering.count)]
        let block = Self.firstCachedBlock + self.random.below(Self.cachedBlocks)
        self.trace.note(self.time, "cached", self.nodes[i].id, UInt64(block), self.nextValue)
        self.nodes[i].cache.dirty[block] = self.nextValue
        self.nextValue += 1
    }

    // MARK: The flushing thread

    mutating func flush(_ i: Int, _ operation: Takeover.Operation) {
        if self.options.defects.contains(.hurriedFlush) {
            self.schedule(.reported(self.life(i), .finished(operation, [])), after: Self.hurriedFlushTime, 0)
        }
        self.nodes[i].cache.orders.append(operation)
        if self.nodes[i].cache.orders.count == 1 { self.writeBack(i, isUnmount: false) }
    }

    private mutating func flushEnded(_ i: Int, isError: Bool) {
        self.nodes[i].cache.sync = nil
        let operation = self.nodes[i].cache.orders.removeFirst()
        if isError {
            self.report(i, .failed(operation, Takeover.Failure(.transient, "EIO")))
        } else {
            self.report(i, .finished(operation, []))
        }
        if !self.nodes[i].cache.orders.isEmpty { self.writeBack(i, isUnmount: false) }
    }

    // MARK: The kernel's calls

    /// The unmount goes on with a flush of the storage thread's own.
    mutating func writeBack(_ i: Int, isUnmount: Bool) {
        let values = self.nodes[i].cache.dirty
        let writes = values.sorted { $0.key < $1.key }.map { block, value in
            BlockRequest(
                id: self.newID(), kind: .write(block: block, value: value), owner: .writeBack(isUnmount: isUnmount))
        }
        let call = SimulatedPageCache.WriteBack(values: values, writes: Set(writes.map(\.id)))
        if isUnmount { self.nodes[i].cache.unmount = call } else { self.nodes[i].cache.sync = call }
        guard !writes.isEmpty else { return self.writesEnded(i, isUnmount: isUnmount) }
        for write in writes { self.submit(i, write) }
    }

    private mutating func writesEnded(_ i: Int, isUnmount: Bool) {
        let id = self.newID()
        if isUnmount { return self.submit(i, BlockRequest(id: id, kind: .flush, owner: .detach)) }
        self.nodes[i].cache.sync?.flush = id
        self.submit(i, BlockRequest(id: id, kind: .flush, owner: .writeBack(isUnmount: false)))
    }

    /// One of their requests is answered. One that belongs to a call which ended with an error is nobody's.
    mutating func writtenBack(_ i: Int, _ request: BlockRequest, isUnmount: Bool, isError: Bool) {
        guard var call = isUnmount ? self.nodes[i].cache.unmount : self.nodes[i].cache.sync,
            call.writes.remove(request.id) != nil || call.flush == request.id
        else { return }
        if isUnmount { self.nodes[i].cache.unmount = call } else { self.nodes[i].cache.sync = call }
        if isError {
            guard isUnmount else { return self.flushEnded(i, isError: true) }
            self.nodes[i].cache.unmount = nil
            self.storageAnswered(i, .detach, isError: true)
        } else if call.flush == request.id {
            self.becomesClean(i, call)
            self.flushEnded(i, isError: false)
        } else if call.writes.isEmpty {
            self.writesEnded(i, isUnmount: isUnmount)
        }
    }

    private mutating func becomesClean(_ i: Int, _ call: SimulatedPageCache.WriteBack) {
        for (block, value) in call.values.sorted(by: { $0.key < $1.key }) {
            self.checker.writtenBack(block, value, self.target)
            if self.nodes[i].cache.dirty[block] == value { self.nodes[i].cache.dirty[block] = nil }
        }
    }

    /// The storage thread's flush was the last of it.
    mutating func unmounted(_ i: Int) {
        guard let call = self.nodes[i].cache.unmount else { return }
        self.nodes[i].cache.unmount = nil
        self.becomesClean(i, call)
    }

    /// XFS is shut down, or the machine is off.
    mutating func loseCache(_ i: Int) {
        if !self.nodes[i].cache.dirty.isEmpty, self.faults.isOnlyMoves {
            self.checker.fail("data: node \(i + 1) gives up what it acknowledged, though nothing failed")
        }
        self.nodes[i].cache.dirty = [:]
        self.nodes[i].cache.unmount = nil
    }
}
