import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import ClusterTransport

/// Keeps what it is told; answers a request with the requester's description and the payload.
private final class Recorder: TransportHandler {
    struct Seen: Equatable {
        var messages: [[UInt8]] = []
        var senders: Set<UInt64> = []
        var connected: [UInt64] = []
        var disconnected: [UInt64] = []
        var joining = 0
    }
    private let seen = Mutex(Seen())

    func received(_ message: [UInt8], from node: UInt64) {
        self.seen.withLock {
            $0.messages.append(message)
            $0.senders.insert(node)
        }
    }
    func peerConnected(_ node: UInt64) { self.seen.withLock { $0.connected.append(node) } }
    func peerDisconnected(_ node: UInt64) { self.seen.withLock { $0.disconnected.append(node) } }
    func request(_ payload: [UInt8], from requester: Requester, reply: @escaping @Sendable ([UInt8]) -> Void) {
        if case .joining = requester { self.seen.withLock { $0.joining += 1 } }
        if case .administrator(let name, let fingerprint) = requester {
            return reply(payload + Array(name.utf8) + fingerprint)
        }
        reply(payload + [0xFF])
    }

    var now: Seen { self.seen.withLock { $0 } }

    /// Waits until `condition` holds, at most five seconds.
    func wait(for condition: (Seen) -> Bool) async throws -> Bool {
        for _ in 0..<500 {
            if condition(self.now) { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return condition(self.now)
    }
}

private let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
private let anyPort = Endpoint(host: "127.0.0.1", port: 0)

@Suite struct TransportTests {
    private let authority: CertificateAuthority

    init() throws { self.authority = try CertificateAuthority(clusterName: "tshare") }

    private func node(
        _ id: UInt64, _ recorder: Recorder, authority: CertificateAuthority? = nil
    ) throws -> (Transport, Endpoint) {
        let credentials = try (authority ?? self.authority).issue(nodeName: "node-\(id)", nodeID: id)
        let transport = try Transport(credentials: credentials, ownID: id, handler: recorder, logger: quiet)
        try transport.listen(on: anyPort)
        return (transport, Endpoint(host: "127.0.0.1", port: try #require(transport.listeningPort)))
    }

    @Test func nodesOfOneClusterTalkAndSeeACrash() async throws {
        let (first, second) = (Recorder(), Recorder())
        let (transport1, _) = try self.node(1, first)
        let (transport2, endpoint2) = try self.node(2, second)
        transport1.setPeers([2: endpoint2])
        #expect(try await first.wait { $0.connected == [2] })
        transport1.send([1, 2, 3], to: 2, class: .urgent)
        transport1.send(Array(repeating: 7, count: 5 << 20), to: 2, class: .bulk)
        #expect(try await second.wait { $0.messages.count == 2 })
        #expect(second.now.senders == [1])
        #expect(second.now.messages.map(\.count).sorted() == [3, 5 << 20])
        transport2.stop()
        #expect(try await first.wait { $0.disconnected == [2] })
        transport1.stop()
    }

    /// A node that shows a new certificate: links that stand go on, and the next ones carry it.
    @Test func aRenewedCertificateIsShownFromThenOn() async throws {
        let (first, second) = (Recorder(), Recorder())
        let (transport1, endpoint1) = try self.node(1, first)
        let (transport2, endpoint2) = try self.node(2, second)
        transport1.setPeers([2: endpoint2])
        transport2.setPeers([1: endpoint1])
        #expect(try await first.wait { $0.connected == [2] })
        let old = try self.authority.issue(nodeName: "node-1", nodeID: 1, days: 10)
        let new = try self.authority.issue(nodeName: "node-1", nodeID: 1)
        let (oldLeft, newLeft) = (try old.daysLeft(), try new.daysLeft())
        #expect((9...10).contains(oldLeft), "\(oldLeft)")
        // Either may have lost the fraction of a day that is left of its last.
        #expect(abs(newLeft - oldLeft - (CertificateAuthority.nodeDays - 10)) <= 1, "\(newLeft)")
        #expect(try old.fingerprint() != new.fingerprint())
        try transport1.show(new)
        transport1.send([1], to: 2, class: .urgent)
        #expect(try await second.wait { $0.messages == [[1]] })
        #expect(first.now.disconnected.isEmpty)
        // Of another cluster: now nobody takes it for a node any more. That the new ones are used is seen here.
        try transport1.show(try CertificateAuthority(clusterName: "other").issue(nodeName: "node-1", nodeID: 1))
        #expect(throws: TransportError.self) { try transport2.request([1], to: endpoint1, node: 1) }
        #expect(throws: TransportError.self) { try transport1.request([1], to: endpoint2, node: 2) }
        try transport1.show(new)
        #expect(try transport2.request([1], to: endpoint1, node: 1) == [1, 0xFF])
        transport1.stop()
        transport2.stop()
    }

    @Test func aVoidCertificateIsRefused() async throws {
        let recorder = Recorder()
        let (transport, endpoint) = try self.node(1, recorder)
        let void = try self.authority.issue(administrator: "anna", days: -1)
        #expect(try void.daysLeft() < 0)
        #expect(throws: TransportError.self) {
            try Transport.administer([1], at: endpoint, credentials: void, timeout: .seconds(5))
        }
        transport.stop()
    }

    /// Who it is comes from the certificate; it asks, and is no node: no message of it is taken, and it is no server.
    @Test func anAdministratorAsksFromAfar() async throws {
        let recorder = Recorder()
        let (transport, endpoint) = try self.node(1, recorder)
        let anna = try self.authority.issue(administrator: "anna", days: 30)
        let answer = try Transport.administer([7], at: endpoint, credentials: anna, timeout: .seconds(5))
        #expect(answer == [7] + Array("anna".utf8) + (try anna.fingerprint()))
        let stranger = try CertificateAuthority(clusterName: "tshare").issue(administrator: "anna", days: 30)
        #expect(throws: TransportError.self) {
            try Transport.administer([7], at: endpoint, credentials: stranger, timeout: .seconds(5))
        }
        transport.stop()

        let impostor = try Transport(credentials: anna, ownID: 1, handler: recorder, logger: quiet)
        try impostor.listen(on: anyPort)
        let place = Endpoint(host: "127.0.0.1", port: try #require(impostor.listeningPort))
        #expect(throws: TransportError.self) {
            try Transport.administer([7], at: place, credentials: anna, timeout: .seconds(5))
        }
        let (victim, _) = try self.node(2, Recorder())
        #expect(throws: TransportError.self) { try victim.request([7], to: place, node: nil) }
        impostor.setPeers([2: Endpoint(host: "127.0.0.1", port: try #require(victim.listeningPort))])
        impostor.send([1], to: 2, class: .urgent)
        try await Task.sleep(for: .milliseconds(300))
        #expect(!impostor.isConnected(to: 2) || recorder.now.messages.isEmpty)
        victim.stop()
        impostor.stop()
    }

    @Test func aLinkComesBackByItself() async throws {
        let (first, second) = (Recorder(), Recorder())
        let (transport1, _) = try self.node(1, first)
        let (transport2, endpoint2) = try self.node(2, second)
        transport1.setPeers([2: endpoint2])
        #expect(try await first.wait { $0.connected == [2] })
        transport2.stop()
        #expect(try await first.wait { $0.disconnected == [2] })
        let credentials = try self.authority.issue(nodeName: "node-2", nodeID: 2)
        let again = try Transport(credentials: credentials, ownID: 2, handler: second, logger: quiet)
        try again.listen(on: endpoint2)
        #expect(try await first.wait { $0.connected == [2, 2] })
        transport1.stop()
        again.stop()
    }

    /// What is longer than the queue is dropped where it is said at once, and arrives where it is said as the queue has
    /// room.
    @Test func aQueueSaysHowMuchRoomItHas() async throws {
        let (first, second) = (Recorder(), Recorder())
        let (transport1, _) = try self.node(1, first)
        let (transport2, endpoint2) = try self.node(2, second)
        #expect(transport1.queue(to: 2, class: .urgent) == nil)
        #expect(!transport1.send([1], to: 2, class: .urgent))
        transport1.setPeers([2: endpoint2])
        #expect(try await first.wait { $0.connected == [2] })
        let limit = TransportLimits.queuedBytesUrgent
        #expect(!transport1.send([UInt8](repeating: 0, count: limit + 1), to: 2, class: .urgent))
        let part = [UInt8](repeating: 7, count: 64 << 10)
        let parts = 3 * limit / part.count
        let connection = try #require(transport1.queue(to: 2, class: .urgent)).connection
        var sent = 0
        for _ in 0..<10_000 where sent < parts {
            let queue = try #require(transport1.queue(to: 2, class: .urgent))
            #expect(queue.connection == connection)
            if queue.byteCount < limit / 2 {
                #expect(transport1.send(part, to: 2, class: .urgent))
                sent += 1
            } else {
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        #expect(sent == parts)
        #expect(try await second.wait { $0.messages.count == parts })
        #expect(second.now.messages.allSatisfy { $0 == part })
        // What another connection had may be lost: it has another name.
        transport2.stop()
        #expect(try await first.wait { $0.disconnected == [2] })
        #expect(transport1.queue(to: 2, class: .urgent) == nil)
        let credentials = try self.authority.issue(nodeName: "node-2", nodeID: 2)
        let again = try Transport(credentials: credentials, ownID: 2, handler: second, logger: quiet)
        try again.listen(on: endpoint2)
        #expect(try await first.wait { $0.connected == [2, 2] })
        #expect(try #require(transport1.queue(to: 2, class: .urgent)).connection != connection)
        transport1.stop()
        again.stop()
    }

    @Test func aNodeOfAnotherClusterIsNotTalkedTo() async throws {
        let (first, stranger) = (Recorder(), Recorder())
        let (transport1, _) = try self.node(1, first)
        let (transport2, endpoint2) = try self.node(2, stranger, authority: CertificateAuthority(clusterName: "tshare"))
        transport1.setPeers([2: endpoint2])
        try await Task.sleep(for: .milliseconds(600))
        #expect(first.now.connected.isEmpty)
        #expect(throws: TransportError.self) { try transport1.request([1], to: endpoint2, node: 2) }
        transport1.stop()
        transport2.stop()
    }

    /// A certificate of the cluster is not enough: it must be the node that was meant, or an address that was given away
    /// to another node would receive what is not for it.
    @Test func theWrongNodeAtAnAddressIsNotTalkedTo() async throws {
        let (first, second) = (Recorder(), Recorder())
        let (transport1, _) = try self.node(1, first)
        let (transport2, endpoint2) = try self.node(2, second)
        transport1.setPeers([3: endpoint2])
        try await Task.sleep(for: .milliseconds(600))
        #expect(first.now.connected.isEmpty)
        #expect(throws: TransportError.self) { try transport1.request([1], to: endpoint2, node: 3) }
        #expect(try transport1.request([1], to: endpoint2, node: 2) == [1, 0xFF])
        transport1.stop()
        transport2.stop()
    }

    @Test func joiningNeedsTheRightFingerprintAndGivesNothingElse() async throws {
        let recorder = Recorder()
        let (transport, endpoint) = try self.node(1, recorder)
        let answer = try Transport.requestJoining([9], to: endpoint, fingerprint: self.authority.fingerprint)
        #expect(answer == [9, 0xFF])
        #expect(recorder.now.joining == 1)
        let other = try CertificateAuthority(clusterName: "tshare")
        #expect {
            try Transport.requestJoining([9], to: endpoint, fingerprint: other.fingerprint)
        } throws: { error in
            if case .notTrusted = error as? TransportError { true } else { false }
        }
        #expect(recorder.now.joining == 1)
        transport.stop()
    }

    /// Whoever opens connections and says nothing must not keep the nodes from talking.
    @Test func silentConnectionsDoNotKeepANodeOut() async throws {
        let (first, second) = (Recorder(), Recorder())
        let (transport1, _) = try self.node(1, first)
        let (transport2, endpoint2) = try self.node(2, second)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        for _ in 0..<TransportLimits.inboundConnections + 16 {
            _ = try await ClientBootstrap(group: group).connect(host: endpoint2.host, port: endpoint2.port).get()
        }
        transport1.setPeers([2: endpoint2])
        #expect(try await first.wait { $0.connected == [2] })
        transport1.send([1], to: 2, class: .urgent)
        #expect(try await second.wait { $0.messages == [[1]] })
        try await group.shutdownGracefully()
        transport1.stop()
        transport2.stop()
    }

    /// A peer whose kernel takes the connection and whose process says nothing: the link tries again.
    @Test func aHandshakeThatNeverComesIsGivenUp() async throws {
        let accepted = Mutex(0)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let mute = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                accepted.withLock { $0 += 1 }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let (transport, _) = try self.node(1, Recorder())
        transport.setPeers([2: Endpoint(host: "127.0.0.1", port: try #require(mute.localAddress?.port))])
        let links = MessageClass.allCases.count
        for _ in 0..<600 where accepted.withLock({ $0 }) < 2 * links { try await Task.sleep(for: .milliseconds(10)) }
        #expect(accepted.withLock { $0 } >= 2 * links)
        transport.stop()
        try await group.shutdownGracefully()
    }

    @Test func nobodyAtTheAddressIsSaidSo() throws {
        let fingerprint = self.authority.fingerprint
        #expect {
            try Transport.requestJoining(
                [1], to: Endpoint(host: "127.0.0.1", port: 1), fingerprint: fingerprint, timeout: .seconds(2))
        } throws: { error in
            if case .unreachable = error as? TransportError { true } else { false }
        }
    }

    @Test func theAuthoritySurvivesItsText() throws {
        let restored = try CertificateAuthority(pem: self.authority.pem)
        #expect(restored.fingerprint == self.authority.fingerprint)
        #expect(restored.fingerprint.count == 32)
        let recorder = Recorder()
        let (transport, endpoint) = try self.node(1, recorder, authority: restored)
        #expect(try Transport.requestJoining([1], to: endpoint, fingerprint: self.authority.fingerprint) == [1, 0xFF])
        transport.stop()
        #expect(throws: CertificateError.self) { try CertificateAuthority(pem: "nonsense") }
    }
}

@Suite struct JoinTokenTests {
    private let token = JoinToken(secret: Array(0..<16), fingerprint: Array(100..<132))

    @Test func textRoundTrip() throws {
        let token = try #require(self.token)
        #expect(try JoinToken(parsing: token.text) == token)
        #expect(token.text.hasPrefix("hf1-000102"))
    }

    /// Cut, changed by one digit, or not a token at all: told apart before anything is sent.
    @Test func damageIsSeen() throws {
        let text = try #require(self.token).text
        for count in 4..<text.count {
            #expect(throws: JoinToken.ParseError.damaged) { try JoinToken(parsing: String(text.prefix(count))) }
        }
        for index in text.indices.dropFirst(4) {
            var changed = text
            changed.replaceSubrange(index...index, with: text[index] == "0" ? "1" : "0")
            #expect(throws: JoinToken.ParseError.damaged) { try JoinToken(parsing: changed) }
        }
        #expect(throws: JoinToken.ParseError.notAToken) { try JoinToken(parsing: "secret") }
    }

    @Test func noTwoAreAlike() throws {
        let first = try #require(JoinToken(fingerprint: Array(repeating: 1, count: 32)))
        let second = try #require(JoinToken(fingerprint: Array(repeating: 1, count: 32)))
        #expect(first != second)
        #expect(first.secretHash != second.secretHash)
        #expect(first.secretHash.count == 32)
    }
}

@Suite struct EndpointTests {
    @Test(arguments: [
        ("10.0.0.1:7420", Endpoint(host: "10.0.0.1", port: 7420)),
        ("[fd00::1]:80", Endpoint(host: "fd00::1", port: 80)),
    ])
    func parses(text: String, expected: Endpoint) {
        #expect(Endpoint(text) == expected)
        #expect(Endpoint(text)?.description == text)
    }

    @Test(arguments: ["", ":", "host", "host:", ":1", "host:0", "host:65536", "host:-1", "[]:1"])
    func refuses(text: String) { #expect(Endpoint(text) == nil) }
}
