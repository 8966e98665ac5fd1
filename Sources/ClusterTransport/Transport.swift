import Glibc
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Who sent a request: a node or an administrator that showed its certificate, or somebody who wants to become a node.
package enum Requester: Equatable, Sendable {
    case node(UInt64)
    /// The cluster's authority signed it once; whether it still counts is not asked here.
    case administrator(String, fingerprint: [UInt8])
    case joining(address: String)
}

/// Called on the transport's own threads: must not block.
package protocol TransportHandler: AnyObject, Sendable {
    /// A message of a node that showed its certificate.
    func received(_ message: [UInt8], from node: UInt64)
    /// Our link to this node is up.
    func peerConnected(_ node: UInt64)
    /// Our link to this node, which had been up, broke. A crash of the process there is seen here at once.
    func peerDisconnected(_ node: UInt64)
    /// `reply` is called once, from any thread.
    func request(_ payload: [UInt8], from requester: Requester, reply: @escaping @Sendable ([UInt8]) -> Void)
}

package enum TransportError: Error, Equatable, Sendable {
    case cannotListen(address: String, reason: String)
    case unreachable(address: String, reason: String)
    /// The other side is not who it should be: another cluster, or a token of another cluster.
    case notTrusted(address: String, reason: String)
    case noAnswer(address: String)
    case credentials(String)
}

/// How urgent a message is: each kind has a connection of its own, so that a heartbeat never waits behind a snapshot.
package enum MessageClass: Int, CaseIterable, Sendable {
    case urgent
    case bulk
}

/// An address as the administrator writes it: `host:port`, `[v6]:port`.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self.host = String(host)
        self.port = port
    }

    package var description: String {
        self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }
}

/// The links between the nodes of a cluster: mutual TLS 1.3 over TCP, kept up by themselves. Messages may be lost
/// (Raft sends again); requests are answered or fail.
package final class Transport: Sendable {
    private let group: any EventLoopGroup
    /// The threads of the group are the caller's, and go on after the end.
    private let isGuest: Bool
    private let ownID: UInt64
    private let handler: any TransportHandler
    private let logger: Logger
    private let state: Mutex<State>

    private struct State {
        var clientContext: NIOSSLContext
        var serverContext: NIOSSLContext
        var listener: (any Channel)?
        var listeningPort: Int?
        var links: [UInt64: [PeerLink]] = [:]
        var addresses: [UInt64: Endpoint] = [:]
        var inbound: [ObjectIdentifier: any Channel] = [:]
        /// Those of them that showed no node's certificate, the oldest first.
        var strangers: [any Channel] = []
        var isStopped = false
    }

    /// On that thread, or on one of its own.
    package init(
        credentials: NodeCredentials, ownID: UInt64, handler: any TransportHandler, logger: Logger,
        thread: NodeThread? = nil
    ) throws(TransportError) {
        self.ownID = ownID
        self.handler = handler
        self.logger = logger
        do {
            self.state = Mutex(
                State(clientContext: try TLS.client(credentials), serverContext: try TLS.server(credentials)))
        } catch { throw .credentials("\(error)") }
        self.group = thread?.eventLoop ?? MultiThreadedEventLoopGroup(numberOfThreads: 1)
        self.isGuest = thread != nil
    }

    /// What this node shows from now on: to whoever connects, and on links that are made anew. Connections that stand go on.
    package func show(_ credentials: NodeCredentials) throws(TransportError) {
        do {
            let (client, server) = (try TLS.client(credentials), try TLS.server(credentials))
            self.state.withLock {
                $0.clientContext = client
                $0.serverContext = server
            }
        } catch { throw .credentials("\(error)") }
    }

    private var clientContext: NIOSSLContext { self.state.withLock { $0.clientContext } }

    /// Accepts nodes, administrators, and machines that want to become nodes.
    package func listen(on endpoint: Endpoint) throws(TransportError) {
        let descriptor: Int32
        let port: Int
        do {
            (descriptor, port) = try ListeningSocket.open(endpoint)
        } catch {
            throw .cannotListen(address: "\(endpoint)", reason: "\(error)")
        }
        self.state.withLock { $0.listeningPort = port }
        ServerBootstrap(group: self.group)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard self.admit(channel) else { throw ChannelError.connectPending }
                    let sync = channel.pipeline.syncOperations
                    let context = self.state.withLock { $0.serverContext }
                    let silence = SilenceWatch()
                    try sync.addHandler(silence)
                    try sync.addHandler(NIOSSLServerHandler(context: context))
                    try sync.addHandler(
                        InboundHandler(
                            handler: self.handler, logger: self.logger,
                            onIdentified: {
                                silence.isNode()
                                self.identified($0)
                            },
                            onClose: { self.forget($0) }))
                }
            }
            .withBoundSocket(descriptor)
            .whenComplete { result in
                switch result {
                case .success(let channel): self.listens(channel)
                case .failure(let error): self.logger.error("nobody can connect to \(endpoint): \(error)")
                }
            }
    }

    private func listens(_ channel: any Channel) {
        let isStopped = self.state.withLock { state in
            state.listener = channel
            return state.isStopped
        }
        if isStopped { channel.close(promise: nil) }
    }

    /// The port that the system chose for a listener on port 0.
    package var listeningPort: Int? { self.state.withLock { $0.listeningPort } }

    /// Links are made to these nodes and to no others; an entry of our own is ignored.
    package func setPeers(_ peers: [UInt64: Endpoint]) {
        var obsolete: [PeerLink] = []
        var fresh: [PeerLink] = []
        self.state.withLock { state in
            guard !state.isStopped else { return }
            for (id, links) in state.links where peers[id] != state.addresses[id] {
                obsolete += links
                state.links[id] = nil
                state.addresses[id] = nil
            }
            for (id, endpoint) in peers where id != self.ownID && state.links[id] == nil {
                let links = MessageClass.allCases.map { messageClass in
                    PeerLink(
                        node: id, endpoint: endpoint, messageClass: messageClass, context: { self.clientContext },
                        eventLoop: self.group.next(), handler: self.handler, logger: self.logger)
                }
                state.links[id] = links
                state.addresses[id] = endpoint
                fresh += links
            }
        }
        for link in obsolete { link.stop() }
        for link in fresh { link.start() }
    }

    /// Sends, or drops where the node is not connected or its queue is full, and says which.
    @discardableResult
    package func send(_ message: [UInt8], to node: UInt64, class messageClass: MessageClass) -> Bool {
        let link = self.state.withLock { $0.links[node]?[messageClass.rawValue] }
        return link?.send(.message(message)) ?? false
    }

    /// What waits to be sent to this node; nil where it is not connected. Who has more to say than fits asks again in
    /// each turn.
    package func queue(to node: UInt64, class messageClass: MessageClass) -> LinkQueue? {
        self.state.withLock { $0.links[node]?[messageClass.rawValue] }?.queue
    }

    /// On the node's thread: what was sent to this node goes out before the caller goes on, and not only behind what it does next.
    package func flush(_ node: UInt64, class messageClass: MessageClass) {
        self.state.withLock { $0.links[node]?[messageClass.rawValue] }?.flush()
    }

    package func isConnected(to node: UInt64) -> Bool {
        self.state.withLock { $0.links[node]?[MessageClass.urgent.rawValue] }?.isUp ?? false
    }

    /// Asks a node something over a connection of its own; for administration, not for the data path.
    package func request(
        _ payload: [UInt8], to endpoint: Endpoint, node: UInt64?, timeout: TimeAmount = .seconds(10)
    ) throws(TransportError) -> [UInt8] {
        try RequestClient.run(
            payload, to: endpoint, trust: .cluster(self.clientContext, node: node), group: self.group, timeout: timeout)
    }

    /// A machine that is not a node yet asks one to let it in.
    package static func requestJoining(
        _ payload: [UInt8], to endpoint: Endpoint, fingerprint: [UInt8], timeout: TimeAmount = .seconds(10)
    ) throws(TransportError) -> [UInt8] {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { group.shutdownGracefully { _ in } }
        let context: NIOSSLContext
        do { context = try TLS.joining() } catch { throw .credentials("\(error)") }
        return try RequestClient.run(
            payload, to: endpoint, trust: .pinned(context, fingerprint: fingerprint), group: group, timeout: timeout)
    }

    /// An administrator asks a node, whichever: `credentials` are an administrator's.
    package static func administer(
        _ payload: [UInt8], at endpoint: Endpoint, credentials: NodeCredentials, timeout: TimeAmount
    ) throws(TransportError) -> [UInt8] {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { group.shutdownGracefully { _ in } }
        let context: NIOSSLContext
        do { context = try TLS.client(credentials) } catch { throw .credentials("\(error)") }
        return try RequestClient.run(
            payload, to: endpoint, trust: .cluster(context, node: nil), group: group, timeout: timeout)
    }

    /// Closes everything. Must not be called on a thread that is the transport's own.
    package func stop() {
        let (listener, links, inbound) = self.state.withLock { state in
            state.isStopped = true
            defer {
                state.listener = nil
                state.links = [:]
                state.inbound = [:]
            }
            return (state.listener, state.links.values.flatMap { $0 }, Array(state.inbound.values))
        }
        if self.isGuest { listener?.close(promise: nil) } else { try? listener?.close().wait() }
        for link in links { link.stop() }
        for channel in inbound { channel.close(promise: nil) }
        if !self.isGuest { try? self.group.syncShutdownGracefully() }
    }

    private func admit(_ channel: any Channel) -> Bool {
        let (isAdmitted, oldest) = self.state.withLock { state -> (Bool, (any Channel)?) in
            guard !state.isStopped, state.inbound.count < TransportLimits.inboundConnections else {
                return (false, nil)
            }
            state.inbound[ObjectIdentifier(channel)] = channel
            state.strangers.append(channel)
            // A node's handshake takes milliseconds: it is none of the oldest.
            guard state.strangers.count > TransportLimits.strangers else { return (true, nil) }
            let oldest = state.strangers.removeFirst()
            // Its closing may take TLS some seconds: it must not count meanwhile.
            state.inbound[ObjectIdentifier(oldest)] = nil
            return (true, oldest)
        }
        oldest?.close(promise: nil)
        return isAdmitted
    }

    private func identified(_ channel: any Channel) {
        self.state.withLock { state in state.strangers.removeAll { $0 === channel } }
    }

    private func forget(_ channel: any Channel) {
        self.state.withLock { state in
            state.inbound[ObjectIdentifier(channel)] = nil
            state.strangers.removeAll { $0 === channel }
        }
    }
}
