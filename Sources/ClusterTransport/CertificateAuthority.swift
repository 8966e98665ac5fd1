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
    /// The peer's certificate names neither a node nor an administrator.
    case namesNobody
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
    /// The authority's own: nobody can renew what every token and every credential was pinned to.
    package static let authorityDays = 20 * 365
    /// A node's certificate: long enough for a spare that lies switched off for a year.
    package static let nodeDays = 2 * 365
    /// A node's certificate is renewed when so little is left.
    package static let renewalDays = 365

    package init(clusterName: String) throws(CertificateError) {
        let key = P256.Signing.PrivateKey()
        do {
            let name = try DistinguishedName {
                OrganizationName("Holdfast")
                CommonName("\(clusterName) cluster CA")
            }
            self.certificate = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(),
                publicKey: Certificate.PublicKey(key.publicKey), notValidBefore: Self.start,
                notValidAfter: Self.end(days: Self.authorityDays), issuer: name, subject: name,
                signatureAlgorithm: .ecdsaWithSHA256,
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

    /// A node's certificate, for TLS in both directions, with a new key.
    package func issue(
        nodeName: String, nodeID: UInt64, days: Int = Self.nodeDays
    ) throws(CertificateError) -> NodeCredentials {
        try self.issue(.node(nodeID), commonName: nodeName, usages: [.serverAuth, .clientAuth], days: days)
    }

    /// For a person who administers the cluster from another machine: a client and never a server.
    package func issue(administrator name: String, days: Int) throws(CertificateError) -> NodeCredentials {
        try self.issue(.administrator(name), commonName: name, usages: [.clientAuth], days: days)
    }

    /// Whose it is stands in the subject alternative name.
    private func issue(
        _ peer: PeerName, commonName: String, usages: [ExtendedKeyUsage.Usage], days: Int
    ) throws(CertificateError) -> NodeCredentials {
        let key = P256.Signing.PrivateKey()
        do {
            let certificate = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(),
                publicKey: Certificate.PublicKey(key.publicKey), notValidBefore: Self.start,
                notValidAfter: Self.end(days: days), issuer: self.certificate.subject,
                subject: try DistinguishedName {
                    OrganizationName("Holdfast")
                    CommonName(commonName)
                },
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage(usages)
                    SubjectAlternativeNames([.dnsName(peer.dnsName)])
                },
                issuerPrivateKey: Certificate.PrivateKey(self.key))
            return NodeCredentials(
                certificatePEM: try certificate.serializeAsPEM().pemString, keyPEM: key.pemRepresentation,
                authorityPEM: self.certificatePEM)
        } catch { throw .failed("making the certificate of \(commonName): \(error)") }
    }

    private static var start: Date { Date() - Double(Self.backdatedDays) * 86_400 }
    private static func end(days: Int) -> Date { Date() + Double(days) * 86_400 }
}

extension NodeCredentials {
    /// Whole days from now until the certificate is void, by this machine's clock; below zero when it is.
    package func daysLeft() throws(CertificateError) -> Int {
        let certificate: Certificate
        do { certificate = try Certificate(pemEncoded: self.certificatePEM) } catch {
            throw .unreadable("the certificate: \(error)")
        }
        return Int((certificate.notValidAfter.timeIntervalSinceNow / 86_400).rounded(.down))
    }

    /// SHA-256 of the certificate's DER, 32 bytes.
    package func fingerprint() throws(CertificateError) -> [UInt8] {
        do {
            let certificate = try Certificate(pemEncoded: self.certificatePEM)
            var serializer = DER.Serializer()
            try serializer.serialize(certificate)
            return Pin.fingerprint(certificateDER: serializer.serializedBytes)
        } catch { throw .unreadable("the certificate: \(error)") }
    }
}
