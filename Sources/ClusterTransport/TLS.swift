import NIOCore
import NIOSSL

/// TLS 1.3 in the three forms that a cluster needs.
enum TLS {
    /// A listener: shows its certificate and the authority's; a client either shows a certificate of the same
    /// authority or none (it wants to join, and may do only that).
    static func server(_ credentials: NodeCredentials) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try Self.chain(credentials),
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(credentials.keyPEM.utf8), format: .pem)))
        configuration.minimumTLSVersion = .tlsv13
        configuration.trustRoots = .certificates(try Self.authorities(credentials))
        configuration.certificateVerification = .optionalVerification
        return try NIOSSLContext(configuration: configuration)
    }

    /// A node that calls another node. Names are not host names: the node's id is checked by the caller.
    static func client(_ credentials: NodeCredentials) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        configuration.trustRoots = .certificates(try Self.authorities(credentials))
        configuration.certificateVerification = .noHostnameVerification
        configuration.certificateChain = try Self.chain(credentials)
        configuration.privateKey = .privateKey(
            try NIOSSLPrivateKey(bytes: Array(credentials.keyPEM.utf8), format: .pem))
        return try NIOSSLContext(configuration: configuration)
    }

    /// A machine that wants to join: it has nothing but the fingerprint, which ``Pin`` checks in a callback.
    static func joining() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .noHostnameVerification
        return try NIOSSLContext(configuration: configuration)
    }

    private static func chain(_ credentials: NodeCredentials) throws -> [NIOSSLCertificateSource] {
        let own = try NIOSSLCertificate.fromPEMBytes(Array(credentials.certificatePEM.utf8))
        return (own + (try Self.authorities(credentials))).map { .certificate($0) }
    }

    private static func authorities(_ credentials: NodeCredentials) throws -> [NIOSSLCertificate] {
        try NIOSSLCertificate.fromPEMBytes(Array(credentials.authorityPEM.utf8))
    }
}
