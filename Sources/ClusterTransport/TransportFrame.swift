import NIOCore

/// Limits of the links between nodes.
package enum TransportLimits {
    /// A snapshot's chunk is the longest thing that is sent.
    package static let longestFrame = 32 << 20
    /// From somebody without a certificate: a join request is small.
    package static let longestUnauthenticatedFrame = 64 << 10
    /// From an administrator's clusterctl.
    package static let longestAdministratorFrame = 1 << 20
    /// Bytes waiting for one peer. Beyond it a message is dropped: Raft sends again.
    package static let queuedBytesUrgent = 1 << 20
    package static let queuedBytesBulk = 64 << 20
    /// Connections that were accepted and not closed, beyond the peers' own.
    package static let inboundConnections = 64
    /// Of these, connections that showed no node's certificate; the oldest makes room for the next.
    package static let strangers = 16
    /// From the connection to the end of the TLS handshake.
    package static let handshakeTimeout = TimeAmount.seconds(3)
    /// A link says something at least so often, if only that it is there.
    package static let signOfLife = TimeAmount.seconds(5)
    /// A node that is not heard for so long on a connection that it made has lost its power or its network.
    package static let silentNode = TimeAmount.seconds(20)
    /// Whoever asks something may have to wait for the answer; longer than clusterctl does.
    package static let silentStranger = TimeAmount.seconds(200)
    /// How often connections are looked at for these.
    package static let watchInterval = TimeAmount.milliseconds(250)
    package static let connectTimeout = TimeAmount.seconds(1)
    package static let reconnectDelay = TimeAmount.milliseconds(200)
    /// Unacknowledged bytes older than this end a connection: a peer that lost power says nothing.
    package static let unacknowledged = TimeAmount.seconds(3)
}

/// What travels between nodes: 4 bytes of length, a kind, and for requests and replies an id.
enum TransportFrame: Equatable {
    case message([UInt8])
    case request(id: UInt64, [UInt8])
    case reply(id: UInt64, [UInt8])

    var byteCount: Int {
        switch self {
        case .message(let payload): 5 + payload.count
        case .request(_, let payload), .reply(_, let payload): 13 + payload.count
        }
    }

    func encode(into buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt32(self.byteCount - 4), endianness: .little)
        switch self {
        case .message(let payload):
            buffer.writeInteger(UInt8(0))
            buffer.writeBytes(payload)
        case .request(let id, let payload):
            buffer.writeInteger(UInt8(1))
            buffer.writeInteger(id, endianness: .little)
            buffer.writeBytes(payload)
        case .reply(let id, let payload):
            buffer.writeInteger(UInt8(2))
            buffer.writeInteger(id, endianness: .little)
            buffer.writeBytes(payload)
        }
    }
}

enum TransportFrameError: Error, Equatable {
    case tooLong(Int, limit: Int)
    case unknownKind(UInt8)
    case truncated
}

struct TransportFrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = TransportFrame

    /// Raised once the peer has shown a certificate.
    var limit: Int

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let length = buffer.getInteger(at: buffer.readerIndex, endianness: .little, as: UInt32.self) else {
            return .needMoreData
        }
        guard length <= self.limit else { throw TransportFrameError.tooLong(Int(length), limit: self.limit) }
        guard buffer.readableBytes - 4 >= Int(length) else { return .needMoreData }
        buffer.moveReaderIndex(forwardBy: 4)
        guard var frame = buffer.readSlice(length: Int(length)), let kind = frame.readInteger(as: UInt8.self) else {
            throw TransportFrameError.truncated
        }
        switch kind {
        case 0: context.fireChannelRead(Self.wrapInboundOut(.message(Array(frame.readableBytesView))))
        case 1, 2:
            guard let id = frame.readInteger(endianness: .little, as: UInt64.self) else {
                throw TransportFrameError.truncated
            }
            let payload = Array(frame.readableBytesView)
            context.fireChannelRead(
                Self.wrapInboundOut(kind == 1 ? .request(id: id, payload) : .reply(id: id, payload)))
        default: throw TransportFrameError.unknownKind(kind)
        }
        return .continue
    }

    mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        // Half a frame at the end of a connection is a connection that broke, which the caller learns anyway.
        .needMoreData
    }
}

final class TransportFrameEncoder: MessageToByteEncoder {
    typealias OutboundIn = TransportFrame

    func encode(data: TransportFrame, out: inout ByteBuffer) throws { data.encode(into: &out) }
}
