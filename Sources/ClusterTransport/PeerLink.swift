import Logging
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// What waits on a link, for whoever has more to say than its queue holds.
package struct LinkQueue: Equatable, Sendable {
    /// Which of the link's connections has it. What another one had may be lost.
    package var connection: UInt64
    /// Not taken by the kernel yet.
    package var byteCount: Int
}

/// Our connection to one peer for one class of messages: made, kept and made anew. Only sends.
final class PeerLink: Sendable {
    private let node: UInt64
    private let endpoint: Endpoint
    private let messageClass: MessageClass
    /// What is shown at the next connection.
    private let context: @Sendable () -> NIOSSLContext
    private let eventLoop: any EventLoop
    private let handler: any TransportHandler
    private let logger: Logger
    private let state = Mutex(State())
    /// Of all links of this process: a link to another address is another one's.
    private static let connections = Atomic<UInt64>(0)

    private struct State {
        var channel: (any Channel)?
        /// The channel's number.
        var connection: UInt64 = 0
        var isUp = false
        var isStopped = false
        /// Not yet handed to the channel, whose thread has been told of the first of them.
        var waiting: [TransportFrame] = []
        /// Of these, and of what the channel has and the kernel has not taken yet.
        var queuedByteCount = 0
    }

    init(
        node: UInt64, endpoint: Endpoint, messageClass: MessageClass, context: @escaping @Sendable () -> NIOSSLContext,
        eventLoop: any EventLoop, handler: any TransportHandler, logger: Logger
    ) {
        self.node = node
        self.endpoint = endpoint
        self.messageClass = messageClass
        self.context = context
        self.eventLoop = eventLoop
        self.handler = handler
        self.logger = logger
    }

    var isUp: Bool { self.state.withLock { $0.isUp } }

    /// nil while it is not up.
    var queue: LinkQueue? {
        self.state.withLock { state in
            state.isUp ? LinkQueue(connection: state.connection, byteCount: state.queuedByteCount) : nil
        }
    }

    func start() {
        guard !self.state.withLock({ $0.isStopped }) else { return }
        ClientBootstrap(group: self.eventLoop)
            .connectTimeout(TransportLimits.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let sync = channel.pipeline.syncOperations
                    try sync.addHandler(DeliveryWatch())
                    try sync.addHandler(NIOSSLClientHandler(context: self.context(), serverHostname: nil))
                    try sync.addHandler(PeerLinkHandler(link: self, node: self.node))
                }
            }
            .connect(host: self.endpoint.host, port: self.endpoint.port)
            .whenFailure { _ in self.retry() }
    }

    func stop() {
        let channel = self.state.withLock { state in
            state.isStopped = true
            return state.channel
        }
        channel?.close(promise: nil)
    }

    /// What is said while the channel's thread has not come to it yet goes out together: one record of TLS, one write.
    /// False where it is dropped.
    @discardableResult
    func send(_ frame: TransportFrame) -> Bool {
        let limit =
            switch self.messageClass {
            case .urgent: TransportLimits.queuedBytesUrgent
            case .bulk: TransportLimits.queuedBytesBulk
            }
        let byteCount = frame.byteCount
        let (isTaken, channel): (Bool, (any Channel)?) = self.state.withLock { state in
            guard state.isUp, state.queuedByteCount + byteCount <= limit else { return (false, nil) }
            state.queuedByteCount += byteCount
            state.waiting.append(frame)
            return (true, state.waiting.count == 1 ? state.channel : nil)
        }
        if let channel { channel.eventLoop.execute { self.write(to: channel) } }
        return isTaken
    }

    /// What was said so far goes out now, where the caller is on the channel's thread.
    func flush() {
        guard self.eventLoop.inEventLoop, let channel = self.state.withLock({ $0.waiting.isEmpty ? nil : $0.channel })
        else { return }
        self.write(to: channel)
    }

    private func write(to channel: any Channel) {
        let frames = self.state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        // The link broke meanwhile, or `flush` was here.
        guard !frames.isEmpty else { return }
        let byteCount = frames.reduce(0) { $0 + $1.byteCount }
        var buffer = channel.allocator.buffer(capacity: byteCount)
        for frame in frames { frame.encode(into: &buffer) }
        channel.writeAndFlush(buffer).whenComplete { _ in
            self.state.withLock { $0.queuedByteCount -= byteCount }
        }
    }

    fileprivate func isUp(_ channel: any Channel) {
        let isWanted = self.state.withLock { state in
            guard !state.isStopped else { return false }
            state.channel = channel
            state.connection = Self.connections.wrappingAdd(1, ordering: .relaxed).newValue
            state.isUp = true
            return true
        }
        guard isWanted else { return channel.close(promise: nil) }
        if self.messageClass == .urgent { self.handler.peerConnected(self.node) }
    }

    fileprivate func isDown(reason: String) {
        let (wasUp, isStopped) = self.state.withLock { state in
            defer {
                state.channel = nil
                state.isUp = false
                state.queuedByteCount -= state.waiting.reduce(0) { $0 + $1.byteCount }
                state.waiting = []
            }
            return (state.isUp, state.isStopped)
        }
        self.logger.debug(
            "the link to a peer is down",
            metadata: ["node": "\(self.node)", "address": "\(self.endpoint)", "reason": "\(reason)"])
        guard !isStopped else { return }
        if wasUp, self.messageClass == .urgent { self.handler.peerDisconnected(self.node) }
        self.retry()
    }

    private func retry() {
        self.eventLoop.scheduleTask(in: TransportLimits.reconnectDelay) { self.start() }
    }
}

/// Watches one connection of a link: up once the peer has shown that it is the node we mean to talk to.
private final class PeerLinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let link: PeerLink
    private let node: UInt64
    private var failure = "closed by the peer"
    private var handshake: Scheduled<Void>?
    private var signs: RepeatedTask?

    init(link: PeerLink, node: UInt64) {
        self.link = link
        self.node = node
    }

    /// A peer whose kernel took the connection and whose process says nothing: nothing is unacknowledged, so that nothing
    /// else would ever end this.
    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        self.handshake = context.eventLoop.scheduleTask(in: TransportLimits.handshakeTimeout) {
            channel.close(promise: nil)
        }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent {
            self.handshake?.cancel()
            do {
                try PeerIdentity.check(context.pipeline.syncOperations, isNode: self.node)
                self.link.isUp(context.channel)
                let (link, interval) = (self.link, TransportLimits.signOfLife)
                self.signs = context.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
                    link.send(.message([]))
                }
            } catch {
                self.failure = "\(error)"
                context.close(promise: nil)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Nothing is ever sent this way; who does it is not a node of ours.
        self.failure = "the peer sent data on a link that only sends"
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.failure = "\(error)"
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.handshake?.cancel()
        self.signs?.cancel()
        self.link.isDown(reason: self.failure)
        context.fireChannelInactive()
    }
}

enum PeerIdentity {
    struct WrongNode: Error, Equatable { let expected: UInt64, found: UInt64 }

    /// The chain was verified by TLS; this is about which node of the cluster it is. Nil: any.
    static func check(_ pipeline: ChannelPipeline.SynchronousOperations, isNode node: UInt64?) throws {
        guard let certificate = try pipeline.nioSSL_peerCertificate(),
            case .node(let found) = try PeerName(certificateDER: certificate.toDERBytes())
        else { throw CertificateError.namesNobody }
        if let node, found != node { throw WrongNode(expected: node, found: found) }
    }
}
