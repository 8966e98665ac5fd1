import Logging
import NIOCore
import NIOSSL
import NIOTLS

/// One connection that was accepted. Nothing is believed before the TLS handshake has said who this is.
final class InboundHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = TransportFrame
    typealias OutboundOut = TransportFrame

    private let handler: any TransportHandler
    private let logger: Logger
    private let onIdentified: (any Channel) -> Void
    private let onClose: (any Channel) -> Void
    private var requester: Requester?
    /// Who is no node asks once a connection.
    private var hasAsked = false

    init(
        handler: any TransportHandler, logger: Logger, onIdentified: @escaping (any Channel) -> Void,
        onClose: @escaping (any Channel) -> Void
    ) {
        self.handler = handler
        self.logger = logger
        self.onIdentified = onIdentified
        self.onClose = onClose
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent { self.identify(context: context) }
        context.fireUserInboundEventTriggered(event)
    }

    private func identify(context: ChannelHandlerContext) {
        let sync = context.pipeline.syncOperations
        do {
            let certificate = try sync.nioSSL_peerCertificate()
            let limit: Int
            if let certificate {
                let der = try certificate.toDERBytes()
                switch try PeerName(certificateDER: der) {
                case .node(let node):
                    self.requester = .node(node)
                    limit = TransportLimits.longestFrame
                    self.onIdentified(context.channel)
                case .administrator(let name):
                    // Whether the certificate still counts is the cluster's to say: it stays one of the strangers.
                    self.requester = .administrator(name, fingerprint: Pin.fingerprint(certificateDER: der))
                    limit = TransportLimits.longestAdministratorFrame
                }
            } else {
                self.requester = .joining(address: context.remoteAddress?.description ?? "unknown address")
                limit = TransportLimits.longestUnauthenticatedFrame
            }
            try sync.addHandlers(
                [
                    ByteToMessageHandler(TransportFrameDecoder(limit: limit)),
                    MessageToByteHandler(TransportFrameEncoder()),
                ], position: .before(self))
        } catch {
            self.logger.warning("a connection was refused", metadata: ["reason": "\(error)"])
            context.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let requester = self.requester else { return context.close(promise: nil) }
        switch (Self.unwrapInboundIn(data), requester) {
        // A sign of life.
        case (.message(let message), .node) where message.isEmpty: break
        case (.message(let message), .node(let node)): self.handler.received(message, from: node)
        case (.request, .joining) where self.hasAsked, (.request, .administrator) where self.hasAsked:
            context.close(promise: nil)
        case (.request(let id, let payload), _):
            self.hasAsked = true
            let channel = context.channel
            self.handler.request(payload, from: requester) { reply in
                channel.writeAndFlush(TransportFrame.reply(id: id, reply), promise: nil)
            }
        case (.message, .joining), (.message, .administrator), (.reply, _):
            self.logger.warning("a peer sent what it may not send", metadata: ["peer": "\(requester)"])
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.logger.debug("a peer's connection failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.onClose(context.channel)
        context.fireChannelInactive()
    }
}
