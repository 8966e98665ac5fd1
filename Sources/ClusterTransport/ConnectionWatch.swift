import Glibc
import NIOCore
import NIOPosix

// A connection whose other end is gone is closed here, before the kernel gives it up. With TCP_USER_TIMEOUT or keep-alive probes the
// kernel would end it by itself, and where the route to the peer is of the kind `blackhole` the error that it leaves for the next read
// may be EINVAL, which SwiftNIO takes for a fault of the program and ends the process (NIOPosix, `syscallForbiddingEINVAL`).
//
// Both handlers stand before TLS, so that closing waits for no word of the peer's.

/// When data that was sent counts as lost: nothing was acknowledged for ``TransportLimits/unacknowledged``, and something should
/// have been.
struct AcknowledgementWatch {
    /// Since when something has been on its way and nothing of it was acknowledged.
    private var since: NIODeadline?
    private var lastLook: NIODeadline?

    /// `unacknowledged` segments; the last acknowledgement came `silence` ago.
    mutating func isLost(unacknowledged: UInt32, silence: TimeAmount, now: NIODeadline) -> Bool {
        // After a standstill of this process nobody knows what is late: what is on its way may have been sent just now.
        if let lastLook, now - lastLook >= TransportLimits.watchInterval * 4 { self.since = nil }
        self.lastLook = now
        guard unacknowledged > 0 else {
            self.since = nil
            return false
        }
        // What was sent after a long rest is not late yet.
        let since = max(self.since ?? now, now - silence)
        self.since = since
        return now - since >= TransportLimits.unacknowledged
    }
}

/// For a connection on which this node alone sends.
final class DeliveryWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var watch = AcknowledgementWatch()
    private var task: RepeatedTask?

    func channelActive(context: ChannelHandlerContext) {
        let (bound, interval) = (
            NIOLoopBound((self, context), eventLoop: context.eventLoop), TransportLimits.watchInterval
        )
        self.task = context.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            let (handler, context) = bound.value
            handler.look(context)
        }
        context.fireChannelActive()
    }

    private func look(_ context: ChannelHandlerContext) {
        guard let options = context.channel as? any SocketOptionProvider else { return }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let info: EventLoopFuture<tcp_info> = options.unsafeGetSocketOption(
            level: .tcp, name: NIOBSDSocket.Option(rawValue: TCP_INFO))
        info.whenSuccess { info in
            let (handler, context) = bound.value
            let silence = TimeAmount.milliseconds(Int64(info.tcpi_last_ack_recv))
            if handler.watch.isLost(unacknowledged: info.tcpi_unacked, silence: silence, now: context.eventLoop.now) {
                context.close(promise: nil)
            }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.task?.cancel()
        context.fireChannelInactive()
    }
}

/// For a connection that was accepted: the other end has to say something now and then.
final class SilenceWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var limit = TransportLimits.silentStranger
    private var lastHeard = NIODeadline.uptimeNanoseconds(0)
    private var task: RepeatedTask?

    /// A node never rests on it.
    func isNode() { self.limit = TransportLimits.silentNode }

    func channelActive(context: ChannelHandlerContext) {
        self.lastHeard = context.eventLoop.now
        let (bound, interval) = (
            NIOLoopBound((self, context), eventLoop: context.eventLoop), TransportLimits.watchInterval
        )
        self.task = context.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            let (handler, context) = bound.value
            if context.eventLoop.now - handler.lastHeard >= handler.limit { context.close(promise: nil) }
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.lastHeard = context.eventLoop.now
        context.fireChannelRead(data)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.task?.cancel()
        context.fireChannelInactive()
    }
}
