import NIOCore
import NIOPosix

extension NodeThread {
    /// Hears on this thread what comes over a connected stream socket, until it ends; nothing is ever written to it here. Takes
    /// the descriptor: it is closed at the end. `ended` is called once, after all that was received.
    package func hear(
        _ descriptor: Int32, received: @escaping @Sendable ([UInt8]) -> Void, ended: @escaping @Sendable () -> Void
    ) {
        ClientBootstrap(group: self.eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(InputHandler(received: received, ended: ended))
                }
            }
            .withConnectedSocket(descriptor)
            .whenFailure { _ in ended() }
    }
}

private final class InputHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let received: @Sendable ([UInt8]) -> Void
    private let ended: @Sendable () -> Void

    init(received: @escaping @Sendable ([UInt8]) -> Void, ended: @escaping @Sendable () -> Void) {
        self.received = received
        self.ended = ended
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.received(Array(Self.unwrapInboundIn(data).readableBytesView))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        self.ended()
        context.fireChannelInactive()
    }
}
