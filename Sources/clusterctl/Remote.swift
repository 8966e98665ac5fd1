import ArgumentParser
import ClusterCore
import ClusterTransport
import Glibc
import StateRecords

/// Where the cluster is asked.
enum AdminPlace: Sendable {
    /// clusterd of this machine, by its Unix socket.
    case socket(String)
    /// A node of the cluster, from any machine, over mutual TLS.
    case remote(Endpoint, NodeCredentials)
}

extension Connection {
    /// `--remote` and `--credentials`, or HOLDFAST_REMOTE and HOLDFAST_CREDENTIALS in the environment; else the socket.
    func place() throws -> AdminPlace {
        guard let remote = self.remote ?? environment("HOLDFAST_REMOTE") else { return .socket(self.socket) }
        guard let endpoint = Endpoint(remote) else {
            throw ValidationError("--remote \(remote) must have the form HOST:PORT, for example 10.77.0.11:7420")
        }
        guard let path = self.credentials ?? environment("HOLDFAST_CREDENTIALS") else {
            throw ValidationError(
                "--remote needs --credentials FILE, which 'clusterctl credentials issue' makes on a node")
        }
        return .remote(endpoint, try CredentialsFile.read(path))
    }
}

enum RemoteAdmin {
    /// `move` waits for the other node, `storage check` for the target.
    private static let answerSeconds: Int64 = 180

    static func ask(_ request: AdminRequest, at endpoint: Endpoint, _ credentials: NodeCredentials) throws -> AdminReply
    {
        do {
            let bytes = try Transport.administer(
                request.encoded, at: endpoint, credentials: credentials, timeout: .seconds(Self.answerSeconds))
            return try AdminReply(decoding: bytes)
        } catch let error as TransportError {
            throw Unreachable(message: Self.text(error))
        }
    }

    private static func text(_ error: TransportError) -> String {
        switch error {
        case .unreachable(let address, let reason):
            "cannot reach clusterd at \(address) (\(reason)): is the address right, and are the credentials of that cluster, "
                + "and not past their time?"
        case .notTrusted(let address, let reason):
            "\(address) is no node of the cluster that the credentials are of (\(reason))"
        case .noAnswer(let address): "\(address) gave no answer within \(Self.answerSeconds) s"
        case .credentials(let reason): "the credentials are unreadable (\(reason)): make new ones on a node"
        case .cannotListen(_, let reason): reason
        }
    }
}

/// Certificate, key and the cluster's authority, PEM, one after the other. Secret: mode 0600.
enum CredentialsFile {
    private static let longest = 64 << 10
    private static let certificate = (begin: "-----BEGIN CERTIFICATE-----", end: "-----END CERTIFICATE-----")
    private static let key = (begin: "-----BEGIN PRIVATE KEY-----", end: "-----END PRIVATE KEY-----")

    static func text(_ credentials: CredentialsReply) -> String {
        [credentials.certificatePEM, credentials.keyPEM, credentials.authorityPEM].joined(separator: "\n") + "\n"
    }

    static func parse(_ text: String) -> NodeCredentials? {
        let certificates = self.blocks(self.certificate, in: text)
        let keys = self.blocks(self.key, in: text)
        guard certificates.count == 2, keys.count == 1 else { return nil }
        return NodeCredentials(
            certificatePEM: certificates[0], keyPEM: keys[0], authorityPEM: certificates[1])
    }

    private static func blocks(_ marks: (begin: String, end: String), in text: String) -> [String] {
        var rest = text[...]
        var found: [String] = []
        while let begin = rest.firstRange(of: marks.begin) {
            guard let end = rest[begin.upperBound...].firstRange(of: marks.end) else { break }
            found.append(String(rest[begin.lowerBound..<end.upperBound]))
            rest = rest[end.upperBound...]
        }
        return found
    }

    static func read(_ path: String) throws -> NodeCredentials {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ValidationError("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.longest)
        let count = max(0, Glibc.read(descriptor, &bytes, bytes.count))
        guard let credentials = Self.parse(String(decoding: bytes[..<count], as: UTF8.self)) else {
            throw ValidationError("\(path) holds no credentials: 'clusterctl credentials issue' makes them on a node")
        }
        return credentials
    }
}

/// Made before the credentials are asked for, so that none are issued that could not be kept; gone again where none were
/// written to it. Never one that is there.
struct NewCredentialsFile: ~Copyable {
    private let path: String
    private let descriptor: Int32
    private var isWritten = false

    init(_ path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let problem =
                errno == EEXIST
                ? "\(path) is there already: move it, or" : "cannot make \(path): \(String(cString: strerror(errno))):"
            throw Failed(AdminFailure(.refused, "\(problem) give --output"))
        }
        self.path = path
        self.descriptor = descriptor
    }

    deinit {
        close(self.descriptor)
        if !self.isWritten { unlink(self.path) }
    }

    mutating func write(_ credentials: CredentialsReply, of name: String) throws {
        let bytes = Array(CredentialsFile.text(credentials).utf8)
        guard Glibc.write(self.descriptor, bytes, bytes.count) == bytes.count, fsync(self.descriptor) == 0 else {
            throw Failed(
                AdminFailure(
                    .refused,
                    "cannot write \(self.path): \(String(cString: strerror(errno))). They are issued and nobody has them: "
                        + "'clusterctl credentials revoke \(name)', and issue them again"))
        }
        self.isWritten = true
    }
}
