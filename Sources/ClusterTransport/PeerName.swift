import Crypto
import X509

/// Whose certificate it is: stands in it as a DNS name that no network resolves.
package enum PeerName: Equatable, Sendable {
    case node(UInt64)
    case administrator(String)

    private static let nodeSuffix = ".node.holdfast"
    private static let administratorSuffix = ".administrator.holdfast"

    var dnsName: String {
        switch self {
        case .node(let id): "\(id)\(Self.nodeSuffix)"
        case .administrator(let name): name + Self.administratorSuffix
        }
    }

    private init?(dnsName: String) {
        if dnsName.hasSuffix(Self.nodeSuffix), let id = UInt64(dnsName.dropLast(Self.nodeSuffix.count)) {
            self = .node(id)
        } else if dnsName.hasSuffix(Self.administratorSuffix), dnsName.count > Self.administratorSuffix.count {
            self = .administrator(String(dnsName.dropLast(Self.administratorSuffix.count)))
        } else {
            return nil
        }
    }

    /// The chain must have been verified before.
    init(certificateDER: [UInt8]) throws(CertificateError) {
        guard let certificate = try? Certificate(derEncoded: certificateDER),
            let names = try? certificate.extensions.subjectAlternativeNames
        else { throw .namesNobody }
        for case .dnsName(let name) in names {
            if let peer = Self(dnsName: name) {
                self = peer
                return
            }
        }
        throw .namesNobody
    }
}

/// Pinning: what a node that joins knows of the cluster is one fingerprint.
package enum Pin {
    package static func fingerprint(certificateDER: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: certificateDER)) }

    /// `chain`: what the server showed, its own certificate first. One of the others must have the pinned fingerprint
    /// and must have signed the first.
    static func verify(chain: [[UInt8]], fingerprint: [UInt8]) throws(CertificateError) {
        guard let leaf = chain.first,
            let authority = chain.dropFirst().first(where: { Self.fingerprint(certificateDER: $0) == fingerprint })
        else { throw .fingerprintMismatch }
        guard let leafCertificate = try? Certificate(derEncoded: leaf),
            let authorityCertificate = try? Certificate(derEncoded: authority)
        else { throw .unreadable("the server's certificate") }
        guard authorityCertificate.publicKey.isValidSignature(leafCertificate.signature, for: leafCertificate) else {
            throw .badSignature
        }
    }
}
