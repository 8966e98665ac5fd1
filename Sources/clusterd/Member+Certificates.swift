import ClusterCore
import ClusterTransport
import Raft
import StateRecords

/// Who asks from another machine, as the certificate says that the cluster's authority signed.
struct RemoteAdministrator: Sendable {
    var name: String
    var fingerprint: [UInt8]
}

/// When this node's certificate was looked at, and renewed.
struct CertificateWatch {
    static let interval = Duration.seconds(3600)
    /// Also where a clock is so far ahead that a new certificate is at its end at once.
    static let pause = Duration.seconds(86_400)

    var looked: ContinuousClock.Instant?
    var asked: ContinuousClock.Instant?
}

/// Certificates: this node's own, which is renewed long before it is void, and those of people on other machines.
extension Member {
    private var credentials: NodeCredentials {
        NodeCredentials(
            certificatePEM: self.identity.certificatePEM, keyPEM: self.identity.keyPEM,
            authorityPEM: self.identity.authorityPEM)
    }

    // MARK: This node's own

    func lookAtCertificate(_ now: ContinuousClock.Instant) {
        if let looked = self.certificate.looked, now - looked < CertificateWatch.interval { return }
        guard self.raft.leader != nil else { return }
        self.certificate.looked = now
        if let asked = self.certificate.asked, now - asked < CertificateWatch.pause { return }
        guard let left = try? self.credentials.daysLeft(), left < CertificateAuthority.renewalDays else { return }
        self.logger.notice("this node's certificate is void in \(left) days: asking for a new one")
        self.certificate.asked = now
        let logger = self.logger
        self.renewCertificate { reply in
            if case .failed(let failure) = reply { logger.warning("no new certificate: \(failure.message)") }
        }
    }

    func describeCertificate() -> AdminReply {
        do throws(CertificateError) {
            let left = try self.credentials.daysLeft()
            let digits = Hexadecimal.text(try self.credentials.fingerprint())
            return .done(
                "the certificate of \(self.identity.name) is good for \(left) days more; SHA-256 \(digits)")
        } catch { return .failed(AdminFailure(.refused, "this node's certificate is unreadable: \(error)")) }
    }

    func renewCertificate(_ answer: @escaping AdminAnswer) {
        let mailbox = self.mailbox
        let taken: AdminAnswer = { reply in
            if case .credentials(let credentials) = reply {
                mailbox.post(.renewed(credentials, answer))
            } else {
                answer(reply)
            }
        }
        if self.raft.isLeader {
            self.reissueCertificate(for: self.identity.id, taken)
        } else {
            self.forward(.reissueCertificate, timeoutSeconds: 30, taken)
        }
    }

    /// As leader, for a node that showed the certificate it has.
    func reissueCertificate(for id: NodeID, _ answer: AdminAnswer) {
        guard self.raft.isEstablishedLeader, let configuration = self.state?.configuration,
            let node = configuration.node(id)
        else {
            return answer(.failed(AdminFailure(.unavailable, "the cluster has no leader at the moment: try again")))
        }
        do throws(CertificateError) {
            let authority = try CertificateAuthority(pem: configuration.certificateAuthority)
            answer(.credentials(CredentialsReply(try authority.issue(nodeName: node.name, nodeID: id))))
            self.logger.notice("a new certificate for \(node.name)")
        } catch { answer(.failed(AdminFailure(.refused, "the certificate cannot be made: \(error)"))) }
    }

    func take(_ reply: CredentialsReply, _ answer: AdminAnswer) {
        let credentials = NodeCredentials(reply)
        do throws(TransportError) { try self.transport.show(credentials) } catch {
            return answer(.failed(AdminFailure(.refused, "the new certificate cannot be used: \(error)")))
        }
        self.identity.certificatePEM = credentials.certificatePEM
        self.identity.keyPEM = credentials.keyPEM
        self.identity.authorityPEM = credentials.authorityPEM
        self.store.submit(.identity(self.identity))
        self.logger.notice("this node has a new certificate")
        answer(self.describeCertificate())
    }

    // MARK: People on other machines

    func issueCredentials(_ name: String, days: UInt32, _ state: ClusterState, _ answer: @escaping AdminAnswer) {
        if let problem = Names.problem(credentialName: name) {
            return answer(.failed(AdminFailure(.refused, problem)))
        }
        guard RemoteCredential.days.contains(days) else {
            return answer(
                .failed(
                    AdminFailure(
                        .refused,
                        "credentials are good for \(RemoteCredential.days.lowerBound) to "
                            + "\(RemoteCredential.days.upperBound) days")))
        }
        let credentials: NodeCredentials
        let record: RemoteCredential
        do throws(CertificateError) {
            credentials = try CertificateAuthority(pem: state.configuration.certificateAuthority)
                .issue(administrator: name, days: Int(days))
            record = RemoteCredential(
                name: name, fingerprint: try credentials.fingerprint(),
                untilUnixMilliseconds: unixMilliseconds() + UInt64(days) * 86_400_000)
        } catch { return answer(.failed(AdminFailure(.refused, "the certificate cannot be made: \(error)"))) }
        self.propose(.putCredential(record)) { outcome in
            switch outcome {
            case .applied(.refused(let refusal)): answer(.failed(AdminFailure(.refused, "\(refusal)")))
            case .applied: answer(.credentials(CredentialsReply(credentials)))
            case .dropped(let reason): answer(.failed(Self.failure(reason)))
            }
        }
    }

    /// The certificate was signed by the cluster's authority; here it is asked whether it still counts.
    func administer(_ request: AdminRequest, by administrator: RemoteAdministrator, _ answer: @escaping AdminAnswer) {
        let isKnown = self.state?.configuration.credentials.contains {
            $0.name == administrator.name && $0.fingerprint == administrator.fingerprint
        }
        guard isKnown == true else {
            self.logger.warning("refused \(administrator.name) from another machine: credentials that do not count")
            return answer(
                .failed(
                    AdminFailure(
                        .refused,
                        "the credentials \(administrator.name) were revoked: 'clusterctl credentials issue' on a node makes "
                            + "new ones")))
        }
        guard !request.isForNodes else {
            return answer(.failed(AdminFailure(.refused, "only a node may ask this")))
        }
        guard request == .status || self.hasQuorum else {
            return answer(
                .failed(
                    AdminFailure(
                        .unavailable,
                        "\(self.identity.name) has no majority behind it and hears no leader: whether the credentials "
                            + "\(administrator.name) still count is not known here. Only 'clusterctl status' is answered; ask "
                            + "another node, or on this one as root")))
        }
        self.administer(request, by: "\(administrator.name), from another machine,", answer)
    }
}

extension CredentialsReply {
    init(_ credentials: NodeCredentials) {
        self.init(
            certificatePEM: credentials.certificatePEM, keyPEM: credentials.keyPEM,
            authorityPEM: credentials.authorityPEM)
    }
}

extension NodeCredentials {
    init(_ reply: CredentialsReply) {
        self.init(
            certificatePEM: reply.certificatePEM, keyPEM: reply.keyPEM, authorityPEM: reply.authorityPEM)
    }
}
