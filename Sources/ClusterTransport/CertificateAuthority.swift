import Crypto
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a node shows to its peers and trusts them by.
package struct NodeCredentials: Equatable, Sendable {
    package var certificatePEM: String
    /// Secret: kept in files of mode 0600, never printed.
    package var keyPEM: String
    package var authorityPEM: String

    package init(certificatePEM: String, keyPEM: String, authorityPEM: String) {
        self.certificatePEM = certificatePEM
        self.keyPEM = keyPEM
        self.authorityPEM = authorityPEM
    }
}

extension NodeCredentials: CustomStringConvertible {
    package var description: String { "credentials of a node" }
}

package enum CertificateError: Error, Equatable, Sendable {
    /// The PEM text is not what it should be.
    case unreadable(String)
    /// The peer's certificate names no node.
    case namesNoNode
    /// Nothing that the peer showed has the fingerprint of the join token.
    case fingerprintMismatch
    case badSignature
    case failed(String)
}

/// The cluster's own certificate authority: an ECDSA P-256 key that signs one certificate a node. Made by
/// `clusterctl init` and replicated, so that whoever leads can let a node join.
package struct CertificateAuthority: Sendable {
    private let certificate: Certificate
    private let key: P256.Signing.PrivateKey

    /// Certificates are valid from long before they are made: two machines whose clocks differ by a day (a new
    /// board, a dead battery) must still be able to talk, and nothing here depends on when a certificate began.
    package static let backdatedDays = 365
    /// Renewal comes with issue C; until then a certificate must outlive the hardware.
    package static let validDays = 20 * 365

    package init(clusterName: String) throws(CertificateError) {
        let key = P256.Signing.PrivateKey()
        do {
            let name = try DistinguishedName {
                OrganizationName("Holdfast")
                CommonName("\(clusterName) cluster CA")
            }
            self.certificate = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(),
                publicKey: Certificate.PublicKey(key.publicKey), notValidBefore: Self.start, notValidAfter: Self.end,
                issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true))
                },
                issuerPrivateKey: Certificate.PrivateKey(key))
        } catch { throw .failed("making the cluster's certificate authority: \(error)") }
        self.key = key
    }

    /// `pem`: what ``pem`` gave.
    package init(pem: String) throws(CertificateError) {
        guard let cut = pem.firstRange(of: "-----BEGIN PRIVATE KEY-----") else { throw .unreadable("no private key") }
        do {
            self.certificate = try Certificate(pemEncoded: String(pem[..<cut.lowerBound]))
            self.key = try P256.Signing.PrivateKey(pemRepresentation: String(pem[cut.lowerBound...]))
        } catch { throw .unreadable("the cluster's certificate authority: \(error)") }
    }

    /// Certificate and key. Secret.
    package var pem: String { self.certificatePEM + "\n" + self.key.pemRepresentation }

    package var certificatePEM: String {
        // A certificate that was made or parsed here always serialises; the empty text fails loudly where it is used.
        (try? self.certificate.serializeAsPEM().pemString) ?? ""
    }

    /// SHA-256 of the certificate's DER, 32 bytes: what a join token pins.
    package var fingerprint: [UInt8] {
        var serializer = DER.Serializer()
        guard (try? serializer.serialize(self.certificate)) != nil else { return [] }
        return Array(SHA256.hash(data: serializer.serializedBytes))
    }

    /// A certificate for TLS in both directions, with a new key. The node's id stands in its subject alternative name.
    package func issue(nodeName: String, nodeID: UInt64) throws(CertificateError) -> NodeCredentials {
        let key = P256.Signing.PrivateKey()
        do {
            let certificate = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(),
                publicKey: Certificate.PublicKey(key.publicKey), notValidBefore: Self.start, notValidAfter: Self.end,
                issuer: self.certificate.subject,
                subject: try DistinguishedName {
                    OrganizationName("Holdfast")
                    CommonName(nodeName)
                },
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([.serverAuth, .clientAuth])
                    SubjectAlternativeNames([.dnsName(NodeName.dnsName(of: nodeID))])
                },
                issuerPrivateKey: Certificate.PrivateKey(self.key))
            return NodeCredentials(
                certificatePEM: try certificate.serializeAsPEM().pemString, keyPEM: key.pemRepresentation,
                authorityPEM: self.certificatePEM)
        } catch { throw .failed("making the certificate of \(nodeName): \(error)") }
    }

    private static var start: Date { Date() - Double(Self.backdatedDays) * 86_400 }
    private static var end: Date { Date() + Double(Self.validDays) * 86_400 }
}

/// A node's id inside its certificate.
package enum NodeName {
    private static let suffix = ".node.holdfast"

    static func dnsName(of nodeID: UInt64) -> String { "\(nodeID)\(Self.suffix)" }

    /// The node that a certificate (DER) was issued to. The chain must have been verified before.
    static func nodeID(certificateDER: [UInt8]) throws(CertificateError) -> UInt64 {
        guard let certificate = try? Certificate(derEncoded: certificateDER),
            let names = try? certificate.extensions.subjectAlternativeNames
        else { throw .namesNoNode }
        for case .dnsName(let name) in names where name.hasSuffix(Self.suffix) {
            if let id = UInt64(name.dropLast(Self.suffix.count)) { return id }
        }
        throw .namesNoNode
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
