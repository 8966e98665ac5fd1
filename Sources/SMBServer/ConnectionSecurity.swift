import Glibc
import SMB2Wire
import SMBAuth
import SMBCrypto
import SMBServerCore

/// What a connection must not lose between messages: the keys of its sessions, authentications under way, the running
/// hash over its handshakes. Confined to its loop's thread.
struct ConnectionSecurity {
    /// A connection rarely has more than one session: found by comparing.
    private var channels: [(session: UInt64, channel: Channel)] = []
    /// Ended sessions whose keys are kept, the oldest first.
    private var ended: [UInt64] = []
    static let endedKept = 4
    /// The session that asks to be bound to this connection, with Session.SigningKey: signs what it is answered until there
    /// is a channel. 3.3.4.1.1.
    private var visitor: (session: UInt64, channel: Channel)?
    var exchanges: [UInt64: Exchange] = [:]
    /// Connection.PreauthIntegrityHashValue after NEGOTIATE. [MS-SMB2] 3.3.5.4.
    var preauth = PreauthIntegrity()

    struct Exchange {
        var authentication: ServerAuthentication
        /// Session.PreauthIntegrityHashValue. 3.3.5.5.
        var preauth: PreauthIntegrity
    }

    func channel(_ session: UInt64) -> Channel? {
        self.channels.first { $0.session == session }?.channel
    }

    /// What a reply in a session is signed with.
    func signer(_ session: UInt64) -> Channel? {
        self.channel(session) ?? self.visitor.flatMap { $0.session == session ? $0.channel : nil }
    }

    mutating func welcome(_ channel: Channel, session: UInt64) { self.visitor = (session, channel) }

    /// Somebody has logged on here; a session that ended a moment ago counts.
    var isAuthenticated: Bool { !self.channels.isEmpty }

    mutating func add(_ channel: Channel, session: UInt64) {
        self.channels.removeAll { $0.session == session }
        self.channels.append((session, channel))
        if self.visitor?.session == session { self.visitor = nil }
    }

    /// The session has ended. Its keys sign the refusals of what the client may still send on it.
    ///
    /// - Parameter isNeeded: an answer that waits is to be signed or encrypted with the keys of this session.
    mutating func end(session: UInt64, isNeeded: (UInt64) -> Bool) {
        self.exchanges[session] = nil
        if self.visitor?.session == session { self.visitor = nil }
        self.ended.append(session)
        while self.ended.count > Self.endedKept, let oldest = self.ended.firstIndex(where: { !isNeeded($0) }) {
            let forgotten = self.ended.remove(at: oldest)
            self.channels.removeAll { $0.session == forgotten }
        }
    }
}

extension ClientConnection {
    func forget(session: UInt64) {
        self.security.end(session: session) { ended in self.held.contains { $0.needsKeys(of: ended) } }
    }

    func negotiateSMB1(_ packet: UnsafeMutableRawBufferPointer, into writer: inout WireWriter) -> String? {
        let start = writer.claim(DirectTCP.headerByteCount)
        let outcome = self.loop.server.withState(from: self.loop) { state in
            state.negotiateSMB1(UnsafeRawBufferPointer(packet).bytes, connection: self.id, into: &writer)
        }
        switch outcome {
        case .reply:
            writer.store(
                DirectTCP.header(length: writer.count - start - DirectTCP.headerByteCount), at: start)
            return nil
        case .disconnect(let reason): return reason
        case .silent, .waiting, .authenticate: return "an SMB1 negotiation that leads nowhere"
        }
    }

    /// Both messages of the negotiation go into the hash. [MS-SMB2] 3.3.5.4.
    func negotiated(_ request: UnsafeMutableRawBufferPointer, _ writer: borrowing WireWriter, _ reply: Int) {
        do throws(CryptoError) {
            self.security.preauth = PreauthIntegrity()
            try self.security.preauth.update(UnsafeRawBufferPointer(request).bytes)
            try self.security.preauth.update(writer.span.extracting(reply..<writer.count))
            self.compression = self.loop.server.withState(from: self.loop) { $0.connections[self.id]?.compression }
        } catch { Log.write("preauthentication hash: \(error)") }
    }

    /// One step of SESSION_SETUP. Returns what it is answered with, and what that must wait for.
    func authenticate(
        _ authentication: Authentication, _ message: UnsafeMutableRawBufferPointer, into writer: inout WireWriter
    ) -> (Outcome, Server.Conditions) {
        let session = authentication.session
        var exchange =
            self.security.exchanges.removeValue(forKey: session)
            ?? ConnectionSecurity.Exchange(
                authentication: ServerAuthentication(
                    names: self.loop.server.names, allowsAnonymous: self.loop.server.allowsAnonymous),
                preauth: self.security.preauth)
        var result: AuthenticationResult
        var key: [UInt8] = []
        do throws(CryptoError) {
            try exchange.preauth.update(UnsafeRawBufferPointer(message).bytes)
            let challenge = try Random.integer()
            let server = self.loop.server
            var found: String?
            let step = exchange.authentication.step(
                [UInt8](message[authentication.token]),
                lookup: { name in
                    guard let user = server.user(named: name) else { return nil }
                    found = user.name
                    return NTHash(bytes: user.ntHash)
                }, now: Clock.wall.ticks, challenge: challenge)
            switch step {
            case .challenge(let token): result = .more(token: token)
            case .accepted(let identity, let sessionKey, let token):
                key = sessionKey
                result = .success(token: token, userName: found ?? "", isAnonymous: identity.isAnonymous)
            case .refused(let refusal):
                result = .failure(refusal.isMalformed ? .invalidParameter : .logonFailure, detail: "\(refusal)")
            }
            if case .success(_, _, isAnonymous: false) = result, !authentication.isReauthentication,
                !authentication.isBinding
            {
                try self.addChannel(session, key: key, preauth: exchange.preauth)
            }
        } catch {
            result = .failure(.internalError, detail: "\(error)")
        }
        let start = authentication.request.replyStart
        var (outcome, conditions) = self.loop.server.withTicket(of: self.id) { state in
            state.finishSessionSetup(authentication, result, into: &writer)
        }
        let status = NTStatus(rawValue: writer.span.load(UInt32.self, at: start + SMB2Header.statusOffset))
        do throws(CryptoError) {
            if case .more = result {
                if authentication.isBinding {
                    // The hash covers the answer as it leaves, with its signature.
                    try self.sign(&writer, from: start, session: session)
                    outcome = .reply(Reply(start: start, protection: .none))
                }
                try exchange.preauth.update(writer.span.extracting(start..<writer.count))
                self.security.exchanges[session] = exchange
            } else if authentication.isBinding, status == .success {
                try self.bindChannel(session, key: key, preauth: exchange.preauth)
            }
        } catch { return (.disconnect("SESSION_SETUP: \(error)"), Server.Conditions()) }
        return (outcome, conditions)
    }

    private func sign(_ writer: inout WireWriter, from start: Int, session: UInt64) throws(CryptoError) {
        guard let channel = self.security.signer(session) else { throw .authentication }
        let flags = writer.span.load(UInt32.self, at: start + SMB2Header.flagsOffset)
        writer.store(flags | SMB2Header.Flags.signed.rawValue, at: start + SMB2Header.flagsOffset)
        let end = writer.count
        try writer.withUnsafeMutableBytes(in: start..<end) { bytes throws(CryptoError) in try channel.sign(bytes) }
    }

    /// Checks a SESSION_SETUP of a session that is not known on this connection: with Session.SigningKey, by the algorithm
    /// with which the session was set up. [MS-SMB2] 3.3.5.2.4.
    func checkVisitor(_ message: UnsafeMutableRawBufferPointer, session: UInt64) -> SignatureCheck {
        guard let secrets = self.loop.server.secrets(of: session) else { return .noKey }
        do throws(CryptoError) {
            let channel = try Channel(secrets.keys, signing: secrets.signing, sealing: nil)
            // Who does not know the key gets no answer that is signed with it.
            guard channel.isSigned(message) else { return .invalid }
            self.security.welcome(channel, session: session)
            return .valid
        } catch { return .noKey }
    }

    /// 3.3.5.5.3: a channel signs with a key of its own and encrypts with the session's.
    private func bindChannel(_ session: UInt64, key: [UInt8], preauth: PreauthIntegrity) throws(CryptoError) {
        // Nil: the session has ended since.
        guard let secrets = self.loop.server.secrets(of: session),
            let connection = self.loop.server.withState(from: self.loop, { $0.connections[self.id] })
        else { return }
        var keys = try SessionKeys(
            sessionKey: key, dialect: connection.dialect.rawValue, preauthIntegrity: preauth.value, cipher: nil,
            role: .server)
        keys.encryption = secrets.keys.encryption
        keys.decryption = secrets.keys.decryption
        self.security.add(
            try Channel(keys, signing: Self.signing(connection), sealing: secrets.sealing), session: session)
    }

    private static func signing(_ connection: Connection) -> SMBCrypto.SigningAlgorithm {
        SMBCrypto.SigningAlgorithm(rawValue: connection.signingAlgorithm.rawValue)
            ?? .standard(forDialect: connection.dialect.rawValue)
    }

    private func addChannel(_ session: UInt64, key: [UInt8], preauth: PreauthIntegrity) throws(CryptoError) {
        let connection = self.loop.server.withState(from: self.loop) { $0.connections[self.id] }
        guard let connection else { return }
        let cipher = connection.cipher.flatMap { SealingAlgorithm(rawValue: $0.rawValue) }
        let signing = Self.signing(connection)
        let keys = try SessionKeys(
            sessionKey: key, dialect: connection.dialect.rawValue, preauthIntegrity: preauth.value, cipher: cipher,
            role: .server)
        self.security.add(try Channel(keys, signing: signing, sealing: cipher), session: session)
        self.loop.server.keep(SessionSecrets(keys: keys, signing: signing, sealing: cipher), session: session)
    }
}
