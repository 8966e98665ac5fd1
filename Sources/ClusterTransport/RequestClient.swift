import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS

/// One question, one answer, one connection.
enum RequestClient {
    enum Trust {
        /// A node of our cluster; which one, where that matters. Whoever has an administrator's certificate alone is none.
        case cluster(NIOSSLContext, node: UInt64?)
        case pinned(NIOSSLContext, fingerprint: [UInt8])
    }

    static func run(
        _ payload: [UInt8], to endpoint: Endpoint, trust: Trust, group: any EventLoopGroup, timeout: TimeAmount
    ) throws(TransportError) -> [UInt8] {
        let eventLoop = group.next()
        let answer = eventLoop.makePromise(of: [UInt8].self)
        let address = "\(endpoint)"
        let timer = eventLoop.scheduleTask(in: timeout) { answer.fail(TransportError.noAnswer(address: address)) }
        let connected = ClientBootstrap(group: eventLoop)
            .connectTimeout(TransportLimits.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let sync = channel.pipeline.syncOperations
                    let isChecked: Bool
                    let node: UInt64?
                    switch trust {
                    case .cluster(let context, let expected):
                        (isChecked, node) = (true, expected)
                        try sync.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
                    case .pinned(let context, let fingerprint):
                        (isChecked, node) = (false, nil)
                        try sync.addHandler(
                            NIOSSLClientHandler(
                                context: context, serverHostname: nil,
                                customVerificationCallback: { chain, verified in
                                    do {
                                        try Pin.verify(
                                            chain: try chain.map { try $0.toDERBytes() }, fingerprint: fingerprint)
                                        verified.succeed(.certificateVerified)
                                    } catch {
                                        answer.fail(TransportError.notTrusted(address: address, reason: "\(error)"))
                                        verified.succeed(.failed)
                                    }
                                }))
                    }
                    try sync.addHandler(
                        ByteToMessageHandler(TransportFrameDecoder(limit: TransportLimits.longestFrame)))
                    try sync.addHandler(MessageToByteHandler(TransportFrameEncoder()))
                    try sync.addHandler(
                        RequestHandler(
                            payload: payload, address: address, isChecked: isChecked, node: node, answer: answer))
                }
            }
            .connect(host: endpoint.host, port: endpoint.port)
        connected.whenFailure { answer.fail(TransportError.unreachable(address: address, reason: "\($0)")) }
        defer {
            timer.cancel()
            connected.whenSuccess { $0.close(promise: nil) }
        }
        do { return try answer.futureResult.wait() } catch let error as TransportError { throw error } catch {
            throw .unreachable(address: address, reason: "\(error)")
        }
    }
}

private final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = TransportFrame
    typealias OutboundOut = TransportFrame

    private let payload: [UInt8]
    private let address: String
    /// Whether the other side must be a node of the cluster: `node`, or any.
    private let isChecked: Bool
    private let node: UInt64?
    private let answer: EventLoopPromise<[UInt8]>

    init(payload: [UInt8], address: String, isChecked: Bool, node: UInt64?, answer: EventLoopPromise<[UInt8]>) {
        self.payload = payload
        self.address = address
        self.isChecked = isChecked
        self.node = node
        self.answer = answer
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent {
            do {
                if self.isChecked { try PeerIdentity.check(context.pipeline.syncOperations, isNode: self.node) }
                context.writeAndFlush(Self.wrapOutboundOut(.request(id: 1, self.payload)), promise: nil)
            } catch {
                self.answer.fail(TransportError.notTrusted(address: self.address, reason: "\(error)"))
                context.close(promise: nil)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .reply(1, let payload) = Self.unwrapInboundIn(data) else { return context.close(promise: nil) }
        self.answer.succeed(payload)
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is NIOSSLError || error is BoringSSLError {
            self.answer.fail(TransportError.notTrusted(address: self.address, reason: "\(error)"))
        } else {
            self.answer.fail(TransportError.unreachable(address: self.address, reason: "\(error)"))
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.answer.fail(TransportError.unreachable(address: self.address, reason: "the connection was closed"))
        context.fireChannelInactive()
    }
}
