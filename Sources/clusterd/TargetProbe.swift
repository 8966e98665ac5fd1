import ClusterCore
import ClusterPlatform
import ClusterStore
import Glibc
import Logging

/// The thread that looks whether this node reaches the LUN, on a session of its own: it registers nothing, and neither a
/// takeover nor the bridge waits for it.
final class TargetProbe: Sendable {
    enum Order: Sendable {
        case configure(lun: String, nodeName: String, node: UInt16)
    }

    private let orders = Mailbox<Order>()

    init(loop: Mailbox<LoopEvent>, logger: Logger) {
        startThread("probe") { [orders] in ProbeThread(orders: orders, loop: loop, logger: logger).run() }
    }

    func tell(_ order: Order) { self.orders.post(order) }
}

private final class ProbeThread {
    private static let intervalMilliseconds: Int32 = 1000
    /// For a login and for a look. Together with the interval it stays below `Member.Limits.reachMilliseconds`.
    private static let timeout = Duration.seconds(2)

    private let orders: Mailbox<TargetProbe.Order>
    private let loop: Mailbox<LoopEvent>
    private let logger: Logger
    private var lun = ""
    private var nodeName = ""
    private var node: UInt16 = 0
    private var session: ISCSISession?
    private var last = Reach.unknown

    init(orders: Mailbox<TargetProbe.Order>, loop: Mailbox<LoopEvent>, logger: Logger) {
        self.orders = orders
        self.loop = loop
        self.logger = logger
    }

    func run() -> Never {
        while true {
            self.orders.wait(milliseconds: Self.intervalMilliseconds)
            for case .configure(let lun, let nodeName, let node) in self.orders.drain() {
                (self.lun, self.nodeName, self.node) = (lun, nodeName, node)
                self.session?.logout()
                self.session = nil
            }
            guard !self.lun.isEmpty else { continue }
            self.look()
        }
    }

    private func look() {
        do throws(PlatformError) {
            let session: ISCSISession
            if let open = self.session, !open.isLost {
                session = open
            } else {
                session = try ISCSISession(
                    try LUNAddress(self.lun), as: .ofNode(self.node, named: self.nodeName, role: .inspection),
                    timeout: Self.timeout)
                self.session = session
            }
            _ = try session.readReservation()
            self.tell(.yes, "")
        } catch {
            self.session?.destroy()
            self.session = nil
            self.tell(.no, error.message)
        }
    }

    private func tell(_ reach: Reach, _ why: String) {
        if reach != self.last {
            if reach == .yes {
                self.logger.notice("this node reaches the LUN")
            } else {
                self.logger.warning("this node does not reach the LUN: \(why)")
            }
        }
        self.last = reach
        self.loop.post(.probed(reach))
    }
}

extension Initiator {
    static func ofNode(_ node: UInt16, named name: String, role: ISID.Role) -> Initiator {
        Initiator(name: "iqn.2026-01.io.holdfast:\(name.lowercased())", isid: ISID(node: node, role: role))
    }
}
