import ClusterCore
import Raft

struct SimulatedServer {
    enum State: Equatable {
        case starting
        case warm
        case loading
        case serving
        case frozen
        /// Stopped by clusterd, or by itself because the storage failed or the journal refused: answers nothing.
        case silent
    }

    var generation: UInt64 = 0
    var state = State.starting
    var epoch: Term = 0
    var serve: (operation: Takeover.Operation, epoch: Term)?
    var freeze: Takeover.Operation?
    /// Under way, by their ids.
    var writes: [UInt64: ClientWrite] = [:]
    /// Who has which lock.
    var locks: [Int: UInt64] = [:]
    /// In ticks of the node's clock: until then it may answer from its memory alone.
    var leaseEnd: Tick = 0

    var isUsed: Bool { self.state != .starting && self.state != .warm }
}

/// What happens in smbserverd.
enum ServerStep {
    case started
    case loaded
    case answered(ClientWrite, isFlush: Bool, isError: Bool)
    case appended(ClientWrite)
    case refused
}

struct SimulatedAddress {
    enum Order {
        case raise(Takeover.Operation)
        case tickle(Takeover.Operation)
        case drop(Takeover.Operation)
    }

    var isUp = false
    var orders: [Order] = []
    var job: (id: UInt64, order: Order)?
}

/// smbserverd and its clients, and the thread of the address.
extension TakeoverSimulation {
    mutating func startServer(_ i: Int) {
        let generation = self.newID()
        self.nodes[i].hungServer = nil
        self.nodes[i].server = SimulatedServer()
        self.nodes[i].server.generation = generation
        self.schedule(.server(self.life(i), generation: generation, .started), after: 40_000, 200_000)
    }

    mutating func tellServer(_ i: Int, _ generation: UInt64, _ step: ServerStep) {
        self.schedule(.server(self.life(i), generation: generation, step), after: 10, 60)
    }

    mutating func serve(_ i: Int, _ operation: Takeover.Operation, _ epoch: Term) {
        if self.nodes[i].server.isUsed {
            self.endServer(i)
            self.startServer(i)
        }
        self.nodes[i].server.serve = (operation, epoch)
        self.loadServer(i)
    }

    private mutating func loadServer(_ i: Int) {
        guard self.nodes[i].server.state == .warm, let serve = self.nodes[i].server.serve else { return }
        self.nodes[i].server.state = .loading
        self.nodes[i].server.epoch = serve.epoch
        self.nodes[i].server.locks = self.nodes[i].state.map(self.locks) ?? [:]
        self.schedule(
            .server(self.life(i), generation: self.nodes[i].server.generation, .loaded), after: 5000, 150_000)
    }

    mutating func freezeServer(_ i: Int, _ operation: Takeover.Operation) {
        guard self.nodes[i].server.isUsed else { return self.report(i, .finished(operation, [])) }
        guard self.nodes[i].server.state == .serving else { return }
        self.nodes[i].server.state = .frozen
        self.nodes[i].server.freeze = operation
        self.lookAtFreeze(i)
    }

    mutating func lookAtFreeze(_ i: Int) {
        guard self.nodes[i].server.writes.isEmpty, let operation = self.nodes[i].server.freeze else { return }
        self.nodes[i].server.freeze = nil
        self.report(i, .finished(operation, []))
    }

    mutating func silenceServer(_ i: Int) {
        self.nodes[i].server.serve = nil
        self.nodes[i].server.freeze = nil
        if self.nodes[i].server.isUsed { self.nodes[i].server.state = .silent }
    }

    /// As `Takeover` told it to: by then nothing of it may find a way out.
    mutating func endUsedServer(_ i: Int) {
        self.nodes[i].server.serve = nil
        guard self.nodes[i].server.isUsed else { return }
        if self.nodes[i].network.isUp {
            self.checker.fail("address: node \(i + 1) ends its server while it still has the address")
        }
        self.endServer(i)
        self.startServer(i)
    }

    /// The process is gone; its clients are free to try elsewhere.
    mutating func endServer(_ i: Int) {
        for write in self.nodes[i].server.writes.values { self.busyBlocks.remove(write.block) }
        self.nodes[i].server.writes = [:]
    }

    mutating func killServer(_ i: Int) {
        guard self.nodes[i].server.isUsed, self.nodes[i].server.state != .silent else { return }
        self.trace.note(self.time, "server dies", self.nodes[i].id)
        self.endServer(i)
        self.startServer(i)
        self.report(i, .serverExited("signal 9"))
    }

    mutating func serverStep(_ i: Int, _ generation: UInt64, _ step: ServerStep) {
        guard self.nodes[i].server.generation == generation else { return }
        switch step {
        case .started:
            self.nodes[i].server.state = .warm
            self.loadServer(i)
        case .loaded:
            guard self.nodes[i].server.state == .loading, let serve = self.nodes[i].server.serve else { return }
            self.nodes[i].server.state = .serving
            self.nodes[i].server.serve = nil
            self.report(i, .finished(serve.operation, []))
        case .answered(let write, let isFlush, let isError):
            guard self.nodes[i].server.state == .serving || self.nodes[i].server.state == .frozen else { return }
            if isError {
                self.nodes[i].server.state = .silent
                self.report(i, .serverStorageFailed("EIO"))
            } else if !isFlush {
                self.submit(
                    i, BlockRequest(id: self.newID(), kind: .flush, owner: .client(generation: generation, write)))
            } else if write.record != nil {
                self.schedule(
                    .journal(
                        self.life(i), generation: generation, epoch: self.nodes[i].server.epoch, write: write),
                    after: 10, 60)
            } else {
                self.acknowledge(i, write)
            }
        case .appended(let write):
            if let lock = write.lock { self.lockAppended(i, write, lock) } else { self.acknowledge(i, write) }
        case .refused: if self.nodes[i].server.isUsed { self.nodes[i].server.state = .silent }
        }
    }

    private mutating func acknowledge(_ i: Int, _ write: ClientWrite) {
        guard self.nodes[i].server.state == .serving || self.nodes[i].server.state == .frozen,
            self.nodes[i].server.writes.removeValue(forKey: write.id) != nil
        else { return }
        self.trace.note(self.time, "acknowledged", self.nodes[i].id, UInt64(write.block), write.value)
        self.busyBlocks.remove(write.block)
        self.checker.acknowledged(write, self.target)
        if self.nodes[i].server.state == .frozen { self.lookAtFreeze(i) }
    }

    mutating func client() {
        self.schedule(.client, after: 5000, 50_000)
        let serving = self.nodes.indices.filter {
            self.nodes[$0].isUp && self.nodes[$0].server.state == .serving && self.nodes[$0].network.isUp
                && self.nodes[$0].pause != .node
        }
        guard !serving.isEmpty else { return }
        let i = serving[self.random.below(serving.count)]
        let block = self.random.below(Self.blocks)
        let hasRecord = self.random.below(3) == 0
        guard self.busyBlocks.insert(block).inserted else { return }
        let write = ClientWrite(
            id: self.newID(), block: block, value: self.nextValue, record: hasRecord ? self.nextValue : nil,
            closes: hasRecord ? self.checker.closesOldest() : nil)
        self.nextValue += 1
        self.nodes[i].server.writes[write.id] = write
        self.submit(
            i,
            BlockRequest(
                id: write.id, kind: .write(block: block, value: write.value),
                owner: .client(generation: self.nodes[i].server.generation, write)))
    }

    // MARK: The address

    mutating func tellNetwork(_ i: Int, _ order: SimulatedAddress.Order) {
        self.nodes[i].network.orders.append(order)
        self.nextNetworkOrder(i)
    }

    private mutating func nextNetworkOrder(_ i: Int) {
        guard self.nodes[i].network.job == nil, !self.nodes[i].network.orders.isEmpty else { return }
        let order = self.nodes[i].network.orders.removeFirst()
        let id = self.newID()
        self.nodes[i].network.job = (id, order)
        let isSlow = self.hasFaults && self.random.below(20) == 0
        self.schedule(.networkDone(self.life(i), job: id), after: 1000, isSlow ? 300_000 : 8000)
    }

    mutating func networkDone(_ i: Int, _ id: UInt64) {
        guard let job = self.nodes[i].network.job, job.id == id else { return }
        self.nodes[i].network.job = nil
        switch job.order {
        case .raise(let operation):
            if self.hasFaults, self.random.chance(perMillion: self.faults.workerFailurePerMillion) {
                self.report(i, .failed(operation, Takeover.Failure(.transient, "the interface is down")))
            } else {
                self.nodes[i].network.isUp = true
                self.report(i, .finished(operation, []))
            }
        case .tickle(let operation): self.report(i, .finished(operation, []))
        case .drop(let operation):
            self.nodes[i].network.isUp = false
            self.report(i, .finished(operation, []))
        }
        self.nextNetworkOrder(i)
    }
}
