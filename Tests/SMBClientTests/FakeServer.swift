import Glibc
import SMB2Wire
import SMBAuth
import SMBCrypto
import Synchronization

@testable import SMBClient

/// A server of few lines for one test: it shakes hands in earnest and leaves the rest to a script. It records what
/// went wrong on its side, where `#expect` has no test to report to.
final class FakeServer: Sendable {
    struct Settings: Sendable {
        var dialect = Dialect.smb311
        var cipher: Cipher? = .aes128GCM
        var signing: SMB2Wire.SigningAlgorithm? = .aesGMAC
        var credits: UInt16 = 64
        /// Flips a bit of the last SESSION_SETUP answer's signature.
        var breaksSessionSignature = false
        /// What the user has to know; `configuration()` always says "secret".
        var password = "secret"
    }

    let port: UInt16
    private let listener: Int32
    let settings: Settings
    let problems = Mutex<[String]>([])

    /// `script` is called for every request behind the handshake, with the number of the connection; what it returns
    /// is sent, in that order. An empty list answers nothing; `nil` closes the connection.
    typealias Script = @Sendable (Int, SMB2Header, [UInt8], Handshake) -> [Answer]?

    struct Handshake: Sendable {
        var previousSessionID: UInt64
        var sessionID: UInt64
    }

    struct Answer: Sendable {
        var messageID: UInt64
        var status: NTStatus
        var command: SMB2Command
        var flags: SMB2Header.Flags = []
        var asyncID: UInt64?
        var isSigned = true
        var breaksSignature = false
        var body: @Sendable (inout WireWriter) -> Void

        init(
            to header: SMB2Header, _ status: NTStatus = .success, _ body: (@Sendable (inout WireWriter) -> Void)? = nil
        ) {
            self.messageID = header.messageID
            self.status = status
            self.command = header.command ?? .echo
            if let body {
                self.body = body
            } else if status == .success {
                self.body = { EmptyBody().encode(into: &$0) }
            } else {
                self.body = { ErrorResponse().encode(into: &$0) }
            }
        }
    }

    init(_ settings: Settings = Settings(), _ script: @escaping Script) {
        self.settings = settings
        self.listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = self.listener
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                precondition(bind(listener, pointer, length) == 0 && listen(listener, 8) == 0)
                getsockname(listener, pointer, &length)
            }
        }
        self.port = UInt16(bigEndian: address.sin_port)
        start { [self] in
            var number = 0
            while true {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0 else { return }
                do {
                    try Peer(descriptor, self).serve(number, script)
                } catch {
                    self.problems.withLock { $0.append("\(error)") }
                }
                close(descriptor)
                number += 1
            }
        }
    }

    func stop() { shutdown(self.listener, Int32(SHUT_RDWR)) }

    func configuration() throws -> ClientConfiguration {
        var configuration = try ClientConfiguration(
            host: "127.0.0.1", port: self.port, credentials: .init(user: "alice", password: "secret"))
        configuration.requestTimeoutMilliseconds = 5000
        configuration.dialects = [self.settings.dialect]
        return configuration
    }
}

private func start(_ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var handle = pthread_t()
    let argument = Unmanaged.passRetained(Box(body)).toOpaque()
    precondition(
        pthread_create(
            &handle, nil,
            {
                Unmanaged<Box>.fromOpaque($0!).takeRetainedValue().body(); return nil
            }, argument)
            == 0)
    pthread_detach(handle)
}

struct Problem: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// One accepted connection.
private final class Peer {
    private let descriptor: Int32
    private let server: FakeServer
    private var preauth = PreauthIntegrity()
    private var authentication = ServerAuthentication(names: ServerNames(host: "fake"))
    private var signer: SignerBox?
    private var sealer: SealerBox?
    private var handshake = FakeServer.Handshake(previousSessionID: 0, sessionID: 0)
    private static let lastSession = Mutex<UInt64>(0x1000)

    init(_ descriptor: Int32, _ server: FakeServer) {
        self.descriptor = descriptor
        self.server = server
    }

    func serve(_ number: Int, _ script: FakeServer.Script) throws {
        while let frame = self.receive() {
            var packet = frame
            var start = 0
            var isSealed = false
            if PacketKind(packet.span.bytes) == .encrypted {
                guard let sealer else { throw Problem("encrypted too early") }
                start = try sealer.open(&packet)
                isSealed = true
            }
            var more = true
            while more {
                let message = Array(packet[start...])
                let header = try SMB2Header(parsing: message.span.bytes)
                let length = try header.messageLength(in: message.span.bytes)
                var own = Array(message[..<length])
                more = header.nextCommand != 0
                start += length
                if header.isSigned, let signer {
                    let range = 0..<own.count
                    let result: Result<Void, CryptoError> = own.withUnsafeMutableBytes { bytes in
                        do throws(CryptoError) {
                            return .success(
                                try signer.signer.verify(
                                    UnsafeMutableRawBufferPointer(rebasing: bytes[range]), fromServer: false))
                        } catch { return .failure(error) }
                    }
                    try result.get()
                }
                switch header.command {
                case .negotiate: try self.negotiate(header, own)
                case .sessionSetup: try self.sessionSetup(header, own)
                case .treeConnect:
                    guard header.isSigned || isSealed else { throw Problem("TREE_CONNECT is not signed") }
                    try self.send(
                        FakeServer.Answer(to: header) {
                            TreeConnectResponse(
                                shareType: .disk, shareFlags: [], capabilities: .continuousAvailability,
                                maximalAccess: .fileAll
                            ).encode(into: &$0)
                        }, treeID: 7, isSealed: isSealed)
                default:
                    guard header.sessionID == self.handshake.sessionID else { throw Problem("another session") }
                    guard let answers = script(number, header, own, self.handshake) else { return }
                    for answer in answers { try self.send(answer, treeID: header.treeID, isSealed: isSealed) }
                }
            }
        }
    }

    private func negotiate(_ header: SMB2Header, _ message: [UInt8]) throws {
        let settings = self.server.settings
        let request = try NegotiateRequest(parsing: message.span.bytes)
        guard request.dialects.contains(settings.dialect) else { throw Problem("dialect not offered") }
        try self.preauth.update(message)
        var contexts: NegotiateContexts?
        if settings.dialect == .smb311 {
            var chosen = NegotiateContexts()
            chosen.preauthIntegrity = PreauthIntegrityCapabilities(
                hashAlgorithms: [.sha512], salt: [UInt8](repeating: 1, count: 32))
            chosen.ciphers = settings.cipher.map { [$0] }
            chosen.signingAlgorithms = settings.signing.map { [$0] }
            contexts = chosen
        }
        let response = NegotiateResponse(
            securityMode: [.signingEnabled, .signingRequired], dialect: settings.dialect,
            serverGUID: GUID(low: 1, high: 2),
            capabilities: settings.dialect >= .smb21 ? [.largeMTU, .encryption] : [], maximumTransactSize: 1 << 20,
            maximumReadSize: 1 << 20, maximumWriteSize: 1 << 20, systemTime: FileTime(ticks: 1 << 56),
            securityBuffer: SPNEGO.serverHint(), contexts: contexts)
        let sent = try self.send(FakeServer.Answer(to: header) { response.encode(into: &$0) }, treeID: 0)
        try self.preauth.update(sent)
    }

    private func sessionSetup(_ header: SMB2Header, _ message: [UInt8]) throws {
        let request = try SessionSetupRequest(parsing: message.span.bytes)
        if self.handshake.sessionID == 0 {
            self.handshake = FakeServer.Handshake(
                previousSessionID: request.previousSessionID,
                sessionID: Self.lastSession.withLock { value in
                    value += 1
                    return value
                })
        }
        try self.preauth.update(message)
        let token = message.span.bytes.bytes(in: request.securityBuffer)
        let password = self.server.settings.password
        let step = self.authentication.step(
            token, lookup: { _ in try? NTHash(password: password) }, now: 1 << 56, challenge: 42)
        switch step {
        case .challenge(let answer):
            let sent = try self.send(
                FakeServer.Answer(to: header, .moreProcessingRequired) {
                    SessionSetupResponse(flags: []).encode(into: &$0, token: answer.span.bytes)
                }, treeID: 0)
            try self.preauth.update(sent)
        case .refused:
            try self.send(FakeServer.Answer(to: header, .logonFailure), treeID: 0)
        case .accepted(_, let key, let answer):
            let settings = self.server.settings
            let cipher =
                settings.dialect >= .smb311
                ? settings.cipher.flatMap { SealingAlgorithm(rawValue: $0.rawValue) } : .aes128CCM
            let keys = try SessionKeys(
                sessionKey: key, dialect: settings.dialect.rawValue, preauthIntegrity: self.preauth.value,
                cipher: cipher, role: .server)
            let negotiated = settings.dialect >= .smb311 ? settings.signing : nil
            self.signer = SignerBox(
                try Signer(
                    negotiated.flatMap { SMBCrypto.SigningAlgorithm(rawValue: $0.rawValue) }
                        ?? .standard(forDialect: settings.dialect.rawValue), key: keys.signing))
            if let cipher, let encryption = keys.encryption, let decryption = keys.decryption {
                self.sealer = SealerBox(try Sealer(cipher, encryption: encryption, decryption: decryption))
            }
            var last = FakeServer.Answer(to: header) {
                SessionSetupResponse(flags: []).encode(into: &$0, token: answer.span.bytes)
            }
            last.breaksSignature = settings.breaksSessionSignature
            try self.send(last, treeID: 0)
        }
    }

    @discardableResult
    private func send(_ answer: FakeServer.Answer, treeID: UInt32, isSealed: Bool = false) throws -> [UInt8] {
        var header = SMB2Header(
            command: answer.command, flags: answer.flags.union(.response), status: answer.status, creditCharge: 1,
            credits: answer.status == .pending ? 0 : self.server.settings.credits, messageID: answer.messageID,
            treeID: treeID, sessionID: self.handshake.sessionID)
        if let asyncID = answer.asyncID {
            header.flags.insert(.async)
            header.asyncID = asyncID
        }
        let signs = answer.isSigned && !isSealed && self.signer != nil
        if signs { header.flags.insert(.signed) }
        var writer = WireWriter()
        if isSealed { writer.claim(TransformHeader.byteCount) }
        let start = writer.count
        header.encode(into: &writer)
        answer.body(&writer)
        let end = writer.count
        if signs, let signer = self.signer {
            try writer.withUnsafeMutableBytes(in: start..<end) { bytes throws(CryptoError) in
                try signer.signer.sign(bytes, fromServer: true)
            }
        }
        if isSealed, let sealer = self.sealer {
            let id = self.handshake.sessionID
            try writer.withUnsafeMutableBytes(in: 0..<end) { bytes throws(CryptoError) in
                try sealer.sealer.seal(bytes, sessionID: id)
            }
        }
        var bytes = writer.bytes
        if answer.breaksSignature { bytes[start + 50] ^= 1 }
        let framed = withUnsafeBytes(of: DirectTCP.header(length: bytes.count)) { Array($0) } + bytes
        guard Glibc.send(self.descriptor, framed, framed.count, Int32(MSG_NOSIGNAL)) == framed.count else {
            throw Problem("the client is gone")
        }
        return bytes
    }

    private func receive() -> [UInt8]? {
        guard let header = self.receive(4) else { return nil }
        return self.receive(Int(header[1]) << 16 | Int(header[2]) << 8 | Int(header[3]))
    }

    private func receive(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let more = bytes.withUnsafeMutableBytes {
                recv(self.descriptor, $0.baseAddress! + filled, count - filled, 0)
            }
            guard more > 0 else { return nil }
            filled += more
        }
        return bytes
    }
}
