import ClusterCore
import ClusterStore
import ClusterTransport
import Glibc
import Logging
import Raft
import StateRecords

/// A node whose state is lost: it knows who it was and has the certificate to prove it, and nothing else. It votes for nobody,
/// acknowledges nothing and serves nothing; it asks the others to take it back under a new id (`Member+Rejoin`).
struct LostNode {
    var identity: NodeIdentity
    var reason: String
    /// What the others said last.
    var answer = "nobody was asked yet"

    init(_ file: NodeFile) {
        self.identity = file.identity
        self.reason = file.lost ?? "unknown"
    }

    func administer(_ request: AdminRequest, _ answer: @escaping AdminAnswer) {
        if case .checkStorage(let lun) = request, !lun.isEmpty { return StorageCheck.run(lun, answer) }
        answer(
            .failed(
                AdminFailure(
                    .unavailable,
                    "problem: node \(self.identity.name) of cluster \(self.identity.clusterName) lost its state (\(self.reason)) "
                        + "and asks the other nodes to take it back; the last answer: \(self.answer)")))
    }
}

extension NodeLoop {
    private static let askSeconds: UInt32 = 1
    /// For `AdminRequest.rejoin`, which waits for two entries to be committed.
    private static let answerSeconds: Int64 = 15

    func askToRejoin(_ lost: LostNode) throws(StartError) {
        try self.check(lost.identity)
        self.logger.critical(
            "the state of \(lost.identity) is lost (\(lost.reason)): it is taken anew from the other nodes")
        let identity = lost.identity
        let transport: Transport
        do throws(TransportError) {
            transport = try Transport(
                credentials: NodeCredentials(
                    certificatePEM: identity.certificatePEM, keyPEM: identity.keyPEM,
                    authorityPEM: identity.authorityPEM), ownID: identity.id, handler: PeerHandler(self.mailbox),
                logger: self.logger)
        } catch {
            throw StartError(message: "the certificate of this node: \(error)")
        }
        let mailbox = self.mailbox
        let requests = [
            AdminRequest.rejoinStating(reason: lost.reason, self.options.program), .rejoin(reason: lost.reason),
        ].map(\.encoded)
        startThread("rejoin") {
            defer { transport.stop() }
            while true {
                for peer in identity.peers where peer.id != identity.id {
                    let result = Self.ask(peer, requests, transport)
                    mailbox.post(.rejoined(result))
                    if case .success = result { return }
                }
                sleep(Self.askSeconds)
            }
        }
    }

    /// A program of before version 2 does not know the first form of the request, and refuses it.
    private static func ask(
        _ peer: NodeRecord, _ requests: [[UInt8]], _ transport: Transport
    ) -> Result<JoinReply, AdminFailure> {
        let stating = self.ask(peer, requests[0], transport)
        guard case .failure(let failure) = stating, failure.code == .refused,
            failure.message.hasSuffix(AdminFailure.otherVersion.message)
        else { return stating }
        return self.ask(peer, requests[1], transport)
    }

    private static func ask(
        _ peer: NodeRecord, _ request: [UInt8], _ transport: Transport
    ) -> Result<JoinReply, AdminFailure> {
        guard let endpoint = Endpoint(peer.address) else {
            return .failure(AdminFailure(.refused, "\(peer.name) has no usable address"))
        }
        do throws(TransportError) {
            // Whoever has the address now: a node that was replaced itself has another id.
            let bytes = try transport.request(request, to: endpoint, node: nil, timeout: .seconds(Self.answerSeconds))
            switch try? AdminReply(decoding: bytes) {
            case .joined(let reply): return .success(reply)
            case .failed(let failure): return .failure(AdminFailure(failure.code, "\(peer.name): \(failure.message)"))
            default: return .failure(AdminFailure(.refused, "\(peer.name) runs another version"))
            }
        } catch {
            return .failure(AdminFailure(.unavailable, "\(peer.name): \(error)"))
        }
    }

    func rejoined(_ result: Result<JoinReply, AdminFailure>) throws(StartError) {
        guard var lost = self.lost else { return }
        switch result {
        case .success(.accepted(let node, let clusterName, let certificate, let key, let authority, let peers)):
            self.lost = nil
            var contents = StoredContents()
            contents.identity = NodeIdentity(
                id: node.id, name: node.name, clusterName: clusterName, address: node.address, role: node.role,
                certificatePEM: certificate, keyPEM: key, authorityPEM: authority, peers: peers)
            self.logger.notice("taken back as node \(node.id): its state comes from the others")
            try self.begin(contents)
        case .success(.redirect(let address)): lost.answer = "the leader is at \(address)"
        case .success(.refused(let failure)), .failure(let failure):
            if failure.message != lost.answer { self.logger.warning("not taken back yet: \(failure.message)") }
            lost.answer = failure.message
        }
        if self.lost != nil { self.lost = lost }
    }
}
