import ClusterCore
import ClusterStore
import ClusterTransport
import Raft
import StateRecords

/// Tokens, joining and leaving.
extension Member {
    // MARK: Tokens

    func makeToken(validMilliseconds: UInt64, _ state: ClusterState, _ answer: @escaping AdminAnswer) {
        let token: JoinToken?
        do throws(CertificateError) {
            token = JoinToken(
                fingerprint: try CertificateAuthority(pem: state.configuration.certificateAuthority).fingerprint)
        } catch {
            return answer(
                .failed(AdminFailure(.refused, "the cluster's certificate authority is unreadable: \(error)")))
        }
        guard let token else {
            return answer(.failed(AdminFailure(.refused, "the cluster's certificate authority is unreadable")))
        }
        let record = TokenRecord(hash: token.secretHash, validMilliseconds: validMilliseconds)
        self.propose(.putToken(record)) { outcome in
            switch outcome {
            case .applied(.refused(let refusal)): answer(.failed(AdminFailure(.refused, "\(refusal)")))
            case .applied: answer(.token(token.text))
            case .dropped(let reason): answer(.failed(Self.failure(reason)))
            }
        }
    }

    /// A token's time runs on each node's own monotonic clock, from when the node learned of it.
    func noteTokens() {
        guard let tokens = self.state?.tokens, tokens.count != self.tokensSeen.count || !tokens.isEmpty else { return }
        let now = ContinuousClock.now
        var seen: [[UInt8]: ContinuousClock.Instant] = [:]
        for token in tokens { seen[token.hash] = self.tokensSeen[token.hash] ?? now }
        self.tokensSeen = seen
        self.expiring.formIntersection(seen.keys)
    }

    private func isExpired(_ token: TokenRecord, _ now: ContinuousClock.Instant) -> Bool {
        guard let seen = self.tokensSeen[token.hash] else { return false }
        return (now - seen).microseconds / 1000 >= token.validMilliseconds
    }

    func expireTokens(_ now: ContinuousClock.Instant) {
        for token in self.state?.tokens ?? [] where self.isExpired(token, now) {
            guard self.expiring.insert(token.hash).inserted else { continue }
            self.propose(.removeToken(hash: token.hash)) { [weak self] outcome in
                // Tried again at the next look, or sixteen of these would be the limit of tokens.
                if case .dropped = outcome { self?.expiring.remove(token.hash) }
            }
        }
    }

    // MARK: A node joins

    func joinRequested(_ request: JoinRequest, _ reply: @escaping @Sendable (JoinReply) -> Void) {
        guard self.raft.isEstablishedLeader, let state = self.state else {
            if let leader = self.raft.leader, leader != self.identity.id,
                let address = self.state?.configuration.node(leader)?.address
            {
                return reply(.redirect(address: address))
            }
            return reply(
                .refused(
                    AdminFailure(.unavailable, "the cluster has no leader at the moment: try again in a few seconds")))
        }
        // Before the log has a word of it: whoever asks without a token may have put anything there.
        if let problem = Names.problem(nodeName: request.node.name) ?? Names.problem(nodeAddress: request.node.address)
        {
            return reply(.refused(AdminFailure(.refused, problem)))
        }
        let versions = request.node.program?.versions ?? .unstated
        if let refusal = versions.refusal(ofJoining: request.node.name, to: state.version) {
            self.logger.warning("refused \(request.node.name) at \(request.node.address): \(refusal.message)")
            return reply(.refused(refusal))
        }
        let hash = JoinToken.hash(request.secret)
        guard let token = state.tokens.first(where: { $0.hash == hash }), !self.isExpired(token, .now) else {
            self.logger.warning(
                "refused \(request.node.name) at \(request.node.address): unknown, used or expired token")
            return reply(.refused(AdminFailure(.refused, "\(Refusal.tokenUnknown)")))
        }
        self.propose(.addNode(request.node, tokenHash: hash)) { [weak self] outcome in
            guard let self else { return }
            switch outcome {
            case .applied(.added(let node)):
                let event = EventRecord(
                    kind: .nodeJoined, node: node.id, term: self.raft.term, unixMilliseconds: unixMilliseconds(),
                    detail: node.name)
                self.accept(node, as: event, reply)
            case .applied(.refused(let refusal)):
                let hint =
                    if case .exists = refusal {
                        ": choose another, or take the old one out with 'clusterctl leave NAME'"
                    } else { "" }
                reply(.refused(AdminFailure(.refused, "\(refusal)\(hint)")))
            case .applied(.done): break
            case .dropped(let reason): reply(.refused(Self.failure(reason)))
            }
        }
    }

    /// The node is in the configuration: gives it its certificate, and notes the event.
    func accept(_ node: NodeRecord, as event: EventRecord, _ reply: (JoinReply) -> Void) {
        guard let configuration = self.state?.configuration else { return }
        do throws(CertificateError) {
            let authority = try CertificateAuthority(pem: configuration.certificateAuthority)
            let credentials = try authority.issue(nodeName: node.name, nodeID: node.id)
            reply(
                .accepted(
                    node: node, clusterName: configuration.name, certificatePEM: credentials.certificatePEM,
                    keyPEM: credentials.keyPEM, authorityPEM: credentials.authorityPEM, peers: configuration.nodes))
        } catch {
            reply(.refused(AdminFailure(.refused, "the node's certificate cannot be made: \(error)")))
            return
        }
        self.logger.notice("\(node.name) joins as a \(node.role.name) node")
        self.propose(.record(event))
    }

    /// See `MembershipPlan`.
    func reconcileMembership() {
        guard !self.changing, let state = self.state else { return }
        let change = MembershipPlan.next(
            state.configuration, membership: self.raft.configuration, leaving: self.leaving
        ) { id in
            self.raft.peers.contains { $0.node == id && $0.matchIndex > 0 }
        }
        guard let change else { return }
        self.changing = true
        self.change(change) { [weak self] outcome in
            guard let self else { return }
            self.changing = false
            // Anything else is tried again at the next look.
            if case .applied = outcome {
                self.logger.notice("membership: \(change)")
            }
        }
    }

    // MARK: A node leaves

    /// This node itself.
    func leave(_ answer: @escaping AdminAnswer) {
        let mailbox = self.mailbox
        let name = self.identity.name
        self.passOn(.audited(.leave(node: name), by: "its administrator on \(name)")) { reply in
            answer(reply)
            if case .done = reply { mailbox.post(.left) }
        }
    }

    private func passOn(_ request: AdminRequest, _ answer: @escaping AdminAnswer) {
        if self.raft.isLeader {
            self.administerAsLeader(request, answer)
        } else {
            self.forward(request, timeoutSeconds: 30, answer)
        }
    }

    func remove(_ name: String, _ state: ClusterState, _ answer: @escaping AdminAnswer) {
        guard let node = state.configuration.node(named: name) else {
            return answer(.failed(AdminFailure(.refused, "there is no node \(name): 'clusterctl status' shows them")))
        }
        guard node.id != self.identity.id else {
            return answer(
                .failed(
                    AdminFailure(
                        .refused,
                        state.configuration.nodes.count == 1
                            ? "\(name) is the only node: stop clusterd and delete its state directory instead"
                            : "\(name) leads and serves: 'clusterctl move' first, then leave")))
        }
        guard self.raft.configuration.contains(node.id) else { return self.forget(node, answer) }
        self.leaving.insert(node.id)
        self.change(.remove(node.id)) { [weak self] outcome in
            guard let self else { return }
            switch outcome {
            case .applied: self.forget(node, answer)
            case .dropped(let reason):
                self.leaving.remove(node.id)
                answer(.failed(Self.failure(reason)))
            }
        }
    }

    private func forget(_ node: NodeRecord, _ answer: @escaping AdminAnswer) {
        self.leaving.insert(node.id)
        self.propose(.removeNode(node.id)) { [weak self] outcome in
            guard let self else { return }
            self.leaving.remove(node.id)
            switch outcome {
            case .applied(.refused(let refusal)): answer(.failed(AdminFailure(.refused, "\(refusal)")))
            case .applied:
                answer(.done("\(node.name) is no longer a node of this cluster"))
                self.propose(
                    .record(
                        EventRecord(
                            kind: .nodeLeft, node: node.id, term: self.raft.term, unixMilliseconds: unixMilliseconds(),
                            detail: node.name)))
            case .dropped(let reason): answer(.failed(Self.failure(reason)))
            }
        }
    }
}
