import SMB2Wire
import SMBAuth
import SMBCompression
import SMBCrypto

extension SMBConnection {
    /// [MS-SMB2] 3.2.4.2.2.2, 3.2.5.2.
    package func negotiate() throws(ClientError) {
        let configuration = self.configuration
        var contexts: NegotiateContexts?
        if configuration.dialects.contains(.smb311) {
            var offered = NegotiateContexts()
            let salt = try crypto { () throws(CryptoError) in try Random.bytes(32) }
            offered.preauthIntegrity = PreauthIntegrityCapabilities(hashAlgorithms: [.sha512], salt: salt)
            if !configuration.ciphers.isEmpty { offered.ciphers = configuration.ciphers }
            if !configuration.signingAlgorithms.isEmpty { offered.signingAlgorithms = configuration.signingAlgorithms }
            if !configuration.compression.isEmpty {
                offered.compression = CompressionCapabilities(
                    algorithms: configuration.compression.map(\.rawValue),
                    flags: configuration.chainsCompression ? CompressionCapabilities.chainedFlag : 0)
            }
            offered.netName = configuration.host
            contexts = offered
        }
        let request = NegotiateRequest(
            securityMode: configuration.signs ? [.signingEnabled, .signingRequired] : .signingEnabled,
            capabilities: configuration.dialects.contains { $0 >= .smb30 } ? configuration.capabilities : [],
            clientGUID: configuration.dialects.contains { $0 >= .smb21 } ? configuration.clientGUID : .zero,
            dialects: configuration.dialects, contexts: contexts)
        let messageID = try self.post(.negotiate) { request.encode(into: &$0) }
        let reply = try self.gather(messageID, .negotiate)
        let response = try wire { () throws(WireError) in try NegotiateResponse(parsing: reply.span) }
        guard configuration.dialects.contains(response.dialect) else {
            throw .violation("dialect \(response.dialect.rawValue) was not offered")
        }
        try crypto { () throws(CryptoError) in try self.preauth.update(reply.span) }
        self.dialect = response.dialect
        self.serverGUID = response.serverGUID
        self.capabilities = response.capabilities
        self.serverSecurityMode = response.securityMode
        self.maximumReadSize = Int(response.maximumReadSize)
        self.maximumWriteSize = Int(response.maximumWriteSize)
        self.maximumTransactSize = Int(response.maximumTransactSize)
        if response.dialect >= .smb311 {
            guard response.contexts?.preauthIntegrity?.hashAlgorithms == [.sha512] else {
                throw .violation("3.1.1 without preauthentication integrity")
            }
            self.cipher = response.contexts?.ciphers?.first.flatMap { $0.rawValue == 0 ? nil : $0 }
            self.signingAlgorithm = response.contexts?.signingAlgorithms?.first
            if let agreed = response.contexts?.compression {
                let algorithms = agreed.algorithms.compactMap { CompressionAlgorithm(rawValue: $0) }
                self.compression =
                    algorithms.isEmpty
                    ? nil
                    : CompressionAgreement(
                        algorithms: algorithms, isChained: agreed.flags & CompressionCapabilities.chainedFlag != 0)
            }
        } else if response.dialect >= .smb30, response.capabilities.contains(.encryption) {
            self.cipher = .aes128CCM
        }
    }

    /// [MS-SMB2] 3.2.4.2.3, 3.2.5.3. `previousSessionID` is that of the session this one replaces after a reconnect.
    package func sessionSetup(previousSessionID: UInt64 = 0) throws(ClientError) {
        try self.authenticate(flags: 0, previousSessionID: previousSessionID)
    }

    /// Makes this connection, which has negotiated, another channel of the session that `other` has set up; it goes on with that
    /// one's tree. [MS-SMB2] 3.2.4.2.3, 3.2.5.3.3.
    package func bind(to other: SMBConnection) throws(ClientError) {
        guard let keys = other.sessionKeys else { throw .violation("a session without keys has no channels") }
        self.sessionID = other.sessionID
        // What leaves before there is a key of this channel's own is signed with the session's.
        self.signer = try crypto { () throws(CryptoError) in
            SignerBox(try Signer(other.signing, key: keys.signing))
        }
        self.sessionKeys = keys
        self.isBinding = true
        defer { self.isBinding = false }
        try self.authenticate(flags: SessionSetupRequest.bindingFlag, previousSessionID: 0)
        self.treeID = other.treeID
        self.isEncrypting = other.isEncrypting
    }

    /// Authenticates the session anew: its keys stay. [MS-SMB2] 3.2.4.2.3.1, 3.2.5.3.2.
    package func authenticateAgain() throws(ClientError) {
        self.isReauthenticating = true
        defer { self.isReauthenticating = false }
        try self.authenticate(flags: 0, previousSessionID: 0)
    }

    private var signing: SMBCrypto.SigningAlgorithm {
        self.signingAlgorithm.flatMap { SMBCrypto.SigningAlgorithm(rawValue: $0.rawValue) }
            ?? .standard(forDialect: self.dialect.rawValue)
    }

    private func authenticate(flags: UInt8, previousSessionID: UInt64) throws(ClientError) {
        var authentication = ClientAuthentication(
            self.configuration.credentials, isBare: self.configuration.usesBareNTLM)
        var token = authentication.initialToken()
        // The hash goes on from the connection's for each session of its own.
        let afterNegotiate = self.preauth
        defer { self.preauth = afterNegotiate }
        for _ in 0..<Self.maximumRounds {
            let request = SessionSetupRequest(
                flags: flags,
                securityMode: self.configuration.signs ? [.signingEnabled, .signingRequired] : .signingEnabled,
                previousSessionID: previousSessionID)
            let messageID = try self.post(.sessionSetup) { request.encode(into: &$0, token: token.span.bytes) }
            let reply = try self.gather(messageID, .sessionSetup, accepting: [.moreProcessingRequired])
            let response = try wire { () throws(WireError) in try SessionSetupResponse(parsing: reply.span) }
            let answer = reply.bytes(response.securityBuffer)
            self.sessionID = reply.header.sessionID
            if reply.header.status == .success {
                do throws(Refusal) { try authentication.finish(answer) } catch { throw .authentication(error) }
                self.sessionFlags = response.flags
                return try self.finishSession(authentication, reply)
            }
            try crypto { () throws(CryptoError) in try self.preauth.update(reply.span) }
            let randomness = try crypto { () throws(CryptoError) in try ClientAuthentication.Randomness.fresh() }
            do throws(Refusal) {
                token = try authentication.respond(to: answer, with: randomness)
            } catch {
                throw .authentication(error)
            }
        }
        throw .violation("SESSION_SETUP does not end")
    }

    private static let maximumRounds = 6

    private func finishSession(_ authentication: ClientAuthentication, _ reply: Reply) throws(ClientError) {
        guard !self.isReauthenticating else { return }
        guard let key = authentication.sessionKey else { throw .violation("a session before the authentication") }
        guard !self.sessionFlags.contains(.isGuest), !self.sessionFlags.contains(.isNull) else { return }
        let sealing = self.cipher.flatMap { SealingAlgorithm(rawValue: $0.rawValue) }
        let signing = self.signing
        let (dialect, hash) = (self.dialect.rawValue, self.preauth.value)
        var keys = try crypto { () throws(CryptoError) in
            try SessionKeys(
                sessionKey: key, dialect: dialect, preauthIntegrity: hash, cipher: sealing, role: .client)
        }
        if self.isBinding, let session = self.sessionKeys {
            keys.encryption = session.encryption
            keys.decryption = session.decryption
        }
        let signingKey = keys.signing
        let signer = try crypto { () throws(CryptoError) in SignerBox(try Signer(signing, key: signingKey)) }
        // [MS-SMB2] 3.2.5.3.1: on 3.1.1 this signature proves that nobody touched the handshake.
        if reply.header.isSigned {
            var packet = reply.packet
            try crypto { () throws(CryptoError) in try signer.verify(&packet, reply.range) }
        } else if self.dialect >= .smb311 {
            throw .violation("the last answer of SESSION_SETUP is not signed")
        }
        self.sessionKeys = keys
        self.signer = signer
        if let sealing, let encryption = keys.encryption, let decryption = keys.decryption {
            self.sealer = try crypto { () throws(CryptoError) in
                SealerBox(try Sealer(sealing, encryption: encryption, decryption: decryption))
            }
        }
        let wants = self.configuration.encrypts || self.sessionFlags.contains(.encryptData)
        guard !wants || self.sealer != nil else { throw .violation("encryption is wanted and was not negotiated") }
        self.isEncrypting = wants
    }

    package func logoff() throws(ClientError) {
        let messageID = try self.post(.logoff) { LogoffRequest().encode(into: &$0) }
        _ = try self.gather(messageID, .logoff)
    }

    /// `share` is the bare name of a share of the configured host.
    @discardableResult
    package func treeConnect(_ share: String) throws(ClientError) -> TreeConnectResponse {
        let path = "\\\\\(self.configuration.host)\\\(share)"
        let messageID = try self.post(.treeConnect) { TreeConnectRequest().encode(into: &$0, path: path) }
        let reply = try self.gather(messageID, .treeConnect)
        let response = try wire { () throws(WireError) in try TreeConnectResponse(parsing: reply.span) }
        self.treeID = reply.header.treeID
        if response.shareFlags.contains(.encryptData) {
            guard self.sealer != nil else { throw .violation("the share wants encryption, which was not negotiated") }
            self.isEncrypting = true
        }
        return response
    }

    package func treeDisconnect() throws(ClientError) {
        let messageID = try self.post(.treeDisconnect) { TreeDisconnectRequest().encode(into: &$0) }
        _ = try self.gather(messageID, .treeDisconnect)
    }

    package func echo() throws(ClientError) {
        let messageID = try self.post(.echo) { EchoRequest().encode(into: &$0) }
        _ = try self.gather(messageID, .echo)
    }
}
