import ClusterCore
import ClusterPlatform
import ClusterStore
import Glibc
import Logging
import StateRecords

/// The thread of the virtual IP: raises, announces, tickles and drops it, and waits for nothing else.
final class NetworkWorker: Sendable {
    enum Order: Sendable {
        case configure(virtualIPs: [String], interface: String)
        case raise(Takeover.Operation)
        case tickle(Takeover.Operation, [ClientRecord])
        case drop(Takeover.Operation)
        /// Nobody else can serve before then: microseconds of CLOCK_BOOTTIME.
        case lease(until: UInt64)
    }

    private let orders = Mailbox<Order>()

    init(loop: LoopMailbox, logger: Logger) {
        startThread("address") { [orders] in NetworkThread(orders: orders, loop: loop, logger: logger).run() }
    }

    func tell(_ order: Order) { self.orders.post(order) }
}

private final class NetworkThread {
    private let orders: Mailbox<NetworkWorker.Order>
    private let loop: LoopMailbox
    private let logger: Logger
    private var addresses: [VirtualAddress] = []
    /// One lost packet must not cost a client its own time-out: announcement and tickle are repeated.
    private var clients: [ClientEndpoint] = []
    private var roundsLeft = 0
    private var nextRound: ContinuousClock.Instant?
    private var leaseEnd: UInt64 = 0
    /// When the kernel was last given the addresses for a while; nil: they are not ours.
    private var renewedAt: ContinuousClock.Instant?

    init(orders: Mailbox<NetworkWorker.Order>, loop: LoopMailbox, logger: Logger) {
        self.orders = orders
        self.loop = loop
        self.logger = logger
    }

    func run() -> Never {
        while true {
            let left = self.nextRound.map { ($0 - .now).microseconds / 1000 }
            self.orders.wait(milliseconds: left.map { Int32(clamping: $0) + 1 } ?? -1)
            for order in self.orders.drain() { self.perform(order) }
            if let next = self.nextRound, next <= .now { self.round() }
        }
    }

    private func perform(_ order: NetworkWorker.Order) {
        switch order {
        case .configure(let virtualIPs, let interface):
            self.look(at: interface)
            self.addresses = virtualIPs.compactMap { text in
                do throws(PlatformError) {
                    return try VirtualAddress(text, interface: interface)
                } catch {
                    self.logger.error("\(error.message)")
                    return nil
                }
            }
            // What a life before this one left behind.
            self.drop()
        case .raise(let operation):
            self.answer(operation) { () throws(PlatformError) in
                for address in self.addresses {
                    try address.add(lifetime: self.lifetime)
                    try address.announce()
                }
                self.renewedAt = .now
            }
        case .tickle(let operation, let clients):
            self.clients = clients.compactMap { client in
                IPAddress(bytes: client.clientAddress).map { ClientEndpoint(address: $0, port: client.clientPort) }
            }
            self.roundsLeft = VirtualAddress.announceRounds
            self.round()
            self.loop.post(.takeover(.finished(operation, [])))
        case .drop(let operation):
            self.drop()
            self.loop.post(.takeover(.finished(operation, [])))
        case .lease(let until):
            self.leaseEnd = until
            self.renew()
        }
    }

    /// It was there when the node was made one; machines give their interfaces other names, and clusterd gets other options.
    private func look(at interface: String) {
        guard !interface.isEmpty else { return }
        do throws(PlatformError) {
            try NetworkInterface.require(interface)
        } catch {
            self.logger.warning("as it is this node cannot take over: \(error.message)")
        }
    }

    private var leaseLeft: Duration {
        let now = bootMicroseconds()
        return .microseconds(self.leaseEnd > now ? Int64(clamping: self.leaseEnd - now) : 0)
    }

    private var lifetime: UInt32 { VirtualAddress.lifetime(lease: self.leaseLeft) }

    /// Only within the lease: what a process that was stopped finds waiting when it goes on is no reason.
    private func renew() {
        guard let renewedAt, ContinuousClock.now - renewedAt >= VirtualAddress.renewInterval, self.leaseLeft > .zero
        else { return }
        self.renewedAt = .now
        for address in self.addresses {
            do throws(PlatformError) {
                try address.renew(lifetime: self.lifetime)
            } catch {
                self.logger.warning("\(error.message)")
            }
        }
    }

    private func answer(_ operation: Takeover.Operation, _ body: () throws(PlatformError) -> Void) {
        do throws(PlatformError) {
            try body()
            self.loop.post(.takeover(.finished(operation, [])))
        } catch {
            self.logger.error("\(error.message)")
            self.loop.post(.takeover(.failed(operation, error.failure)))
        }
    }

    /// After the takeover with the tickles; then, as long as the address is ours, only to defend it: the kernel of a node that
    /// hangs still answers for the address when its cable is back.
    private func round() {
        if self.roundsLeft > 0 {
            self.roundsLeft -= 1
            self.nextRound = .now + VirtualAddress.announceInterval
            self.announce(to: self.clients)
        } else {
            self.nextRound = .now + VirtualAddress.defenceInterval
            if self.leaseLeft > .zero { self.announce(to: []) }
        }
    }

    private func announce(to clients: [ClientEndpoint]) {
        for address in self.addresses {
            let reachable = clients.filter { $0.address.isIPv6 == address.address.isIPv6 }
            do throws(PlatformError) {
                try address.announce()
                if !reachable.isEmpty { try address.tickle(reachable) }
            } catch {
                // The clients then find out by their own time-outs.
                self.logger.warning("\(error.message)")
            }
        }
    }

    private func drop() {
        self.roundsLeft = 0
        self.nextRound = nil
        self.renewedAt = nil
        for address in self.addresses {
            self.resetUnanswered(address)
            do throws(PlatformError) { try address.drop() } catch { self.logger.error("\(error.message)") }
        }
    }

    private func resetUnanswered(_ address: VirtualAddress) {
        do throws(PlatformError) {
            let clients = try address.resetUnanswered()
            guard !clients.isEmpty else { return }
            self.logger.info("\(clients.count) connections that were never answered are reset")
            // Where the kernel took it away no reset left: whoever has it now will answer what the client says to this.
            if try !address.isPresent() { try address.tickle(clients) }
        } catch {
            // Those clients find out by their own time-outs.
            self.logger.warning("\(error.message)")
        }
    }
}
