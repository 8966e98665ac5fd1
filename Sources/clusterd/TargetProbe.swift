import ClusterCore
import ClusterPlatform
import ClusterStore
import Glibc
import Logging

/// Looks whether this node reaches the LUN, on sessions of its own: they register nothing, and neither a takeover nor the bridge
/// waits for them. Each way to the target has a thread, so that a silent one does not hold up the others.
final class TargetProbe {
    fileprivate struct Order: Sendable {
        /// Nil: there is no such way (any more).
        var path: LUNAddress?
        var initiator: Initiator
    }

    private var threads: [Mailbox<Order>] = []
    private let loop: LoopMailbox
    private let logger: Logger

    init(loop: LoopMailbox, logger: Logger) {
        self.loop = loop
        self.logger = logger
    }

    func look(at lun: LUNAddress?, nodeName: String, node: UInt16) {
        let paths = lun?.paths ?? []
        while self.threads.count < paths.count {
            let orders = Mailbox<Order>()
            startThread("probe-\(self.threads.count)") { [loop, logger, number = self.threads.count] in
                ProbeThread(number, orders: orders, loop: loop, logger: logger).run()
            }
            self.threads.append(orders)
        }
        for (number, thread) in self.threads.enumerated() {
            thread.post(
                Order(
                    path: number < paths.count ? paths[number] : nil,
                    initiator: .ofNode(node, named: nodeName, role: .inspection, path: number)))
        }
    }
}

private final class ProbeThread {
    private static let intervalMilliseconds: Int32 = 1000
    /// For a login and for a look. Together with the interval it stays below `Member.Limits.reachMilliseconds`.
    private static let timeout = Duration.seconds(2)

    private let number: Int
    private let orders: Mailbox<TargetProbe.Order>
    private let loop: LoopMailbox
    private let logger: Logger
    private var order: TargetProbe.Order?
    private var session: ISCSISession?
    private var last = Reach.unknown

    init(_ number: Int, orders: Mailbox<TargetProbe.Order>, loop: LoopMailbox, logger: Logger) {
        self.number = number
        self.orders = orders
        self.loop = loop
        self.logger = logger
    }

    func run() -> Never {
        while true {
            self.orders.wait(milliseconds: Self.intervalMilliseconds)
            for order in self.orders.drain() {
                self.order = order
                self.last = .unknown
                self.session?.logout()
                self.session = nil
            }
            if let order = self.order, let path = order.path { self.look(path, order.initiator) }
        }
    }

    private func look(_ path: LUNAddress, _ initiator: Initiator) {
        do throws(PlatformError) {
            let session: ISCSISession
            if let open = self.session, !open.isLost {
                session = open
            } else {
                session = try ISCSISession(path, as: initiator, timeout: Self.timeout)
                self.session = session
            }
            _ = try session.readReservation()
            self.tell(.yes, path.portal)
        } catch {
            self.session?.destroy()
            self.session = nil
            self.tell(.no, path.portal, error.message)
        }
    }

    private func tell(_ reach: Reach, _ portal: String, _ why: String = "") {
        if reach != self.last {
            if reach == .yes {
                self.logger.notice("this node reaches the LUN over \(portal)")
            } else {
                self.logger.warning("this node does not reach the LUN over \(portal): \(why)")
            }
        }
        self.last = reach
        self.loop.post(.probed(path: self.number, reach))
    }
}

extension Initiator {
    static func ofNode(_ node: UInt16, named name: String, role: ISID.Role, path: Int = 0) -> Initiator {
        Initiator(name: "iqn.2026-01.io.holdfast:\(name.lowercased())", isid: ISID(node: node, role: role, path: path))
    }
}
