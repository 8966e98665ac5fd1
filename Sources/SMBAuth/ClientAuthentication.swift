import SMBCrypto

/// One authentication on the client's side: NTLMv2 with a MIC, inside SPNEGO or bare.
/// [MS-NLMP] 3.1.5.1, [MS-SPNG] 3.2.
package struct ClientAuthentication: Sendable {
    package struct Credentials: Sendable {
        package var user: String
        package var domain: String
        package var hash: NTHash

        package init(user: String, domain: String = "", hash: NTHash) {
            self.user = user
            self.domain = domain
            self.hash = hash
        }

        /// Nobody in particular.
        package static let anonymous = Credentials(user: "", hash: .none)

        package init(user: String, domain: String = "", password: String) throws(CryptoError) {
            self.init(user: user, domain: domain, hash: try NTHash(password: password))
        }
    }

    /// What has to be random in a response.
    package struct Randomness: Sendable {
        /// 8 bytes.
        package var challenge: [UInt8]
        /// 16 bytes; becomes the session key.
        package var sessionKey: [UInt8]

        package init(challenge: [UInt8], sessionKey: [UInt8]) {
            precondition(challenge.count == 8 && sessionKey.count == 16, "8 and 16 bytes")
            self.challenge = challenge
            self.sessionKey = sessionKey
        }

        package static func fresh() throws(CryptoError) -> Randomness {
            Randomness(challenge: try Random.bytes(8), sessionKey: try Random.bytes(16))
        }
    }

    package let credentials: Credentials
    private let workstation: String
    private let isBare: Bool
    private let mechanisms: [SPNEGO.ObjectIdentifier]
    private let negotiate: [UInt8]
    private var flags: NTLMFlags = []
    /// 16 bytes once ``respond(to:with:)`` has answered the challenge.
    package private(set) var sessionKey: [UInt8]?
    /// Whether the server's mechListMIC was there; ours always is.
    private var exchangedMICs = false

    /// What protects messages once the exchange has ended well.
    package var securityContext: NTLMSecurityContext? {
        self.sessionKey.map {
            NTLMSecurityContext(sessionKey: $0, flags: self.flags, sequence: self.exchangedMICs ? 1 : 0)
        }
    }

    /// `offersKerberosFirst` makes a client that has to be talked into NTLM; for tests of that path.
    package init(
        _ credentials: Credentials, workstation: String = "", isBare: Bool = false, offersKerberosFirst: Bool = false
    ) {
        self.credentials = credentials
        self.workstation = workstation
        self.isBare = isBare
        self.mechanisms = offersKerberosFirst ? [SPNEGO.kerberos, SPNEGO.ntlmssp] : [SPNEGO.ntlmssp]
        self.negotiate =
            NegotiateMessage(flags: [
                .unicode, .requestTarget, .sign, .seal, .ntlm, .alwaysSign, .extendedSessionSecurity, .version,
                .key128, .keyExchange, .key56,
            ]).encoded()
    }

    /// The first token.
    package func initialToken() -> [UInt8] {
        guard !self.isBare else { return self.negotiate }
        let isFirst = self.mechanisms.first == SPNEGO.ntlmssp
        return SPNEGO.NegTokenInit(mechanisms: self.mechanisms, mechanismToken: isFirst ? self.negotiate : nil)
            .encoded()
    }

    /// The answer to a server's token that came with STATUS_MORE_PROCESSING_REQUIRED.
    package mutating func respond(to token: [UInt8], with randomness: Randomness) throws(Refusal) -> [UInt8] {
        guard !self.isBare else { return try self.authenticate(token, randomness) }
        let response = try SPNEGO.NegTokenResp(parsing: token)
        if let mechanism = response.supportedMechanism, mechanism != SPNEGO.ntlmssp {
            throw .unsupported("the server chose a mechanism that was not offered")
        }
        guard let inner = response.responseToken else {
            guard self.sessionKey == nil else { throw .malformed("SPNEGO: no token") }
            return SPNEGO.NegTokenResp(state: nil, responseToken: self.negotiate).encoded()
        }
        let message = try self.authenticate(inner, randomness)
        let mic = try self.mechListMIC(fromServer: false)
        return SPNEGO.NegTokenResp(state: nil, responseToken: message, mechListMIC: mic).encoded()
    }

    /// Checks what came with STATUS_SUCCESS. A server may leave its MIC out where NTLM was the first choice.
    package mutating func finish(_ token: [UInt8]) throws(Refusal) {
        guard !self.isBare, !token.isEmpty else { return }
        let response = try SPNEGO.NegTokenResp(parsing: token)
        guard response.state != .reject else { throw .malformed("SPNEGO: rejected, and yet a success") }
        guard let mic = response.mechListMIC else {
            guard self.mechanisms.first == SPNEGO.ntlmssp else { throw .tampered }
            return
        }
        guard constantTimeEqual(mic, try self.mechListMIC(fromServer: true)) else { throw .tampered }
        self.exchangedMICs = true
    }

    private func mechListMIC(fromServer: Bool) throws(Refusal) -> [UInt8] {
        guard let sessionKey else { throw .malformed("SPNEGO: a MIC before the session key") }
        let (list, flags) = (SPNEGO.mechanismList(self.mechanisms), self.flags)
        return try crypto { () throws(CryptoError) in
            try NTLM.signature(of: list, sessionKey: sessionKey, flags: flags, fromServer: fromServer)
        }
    }

    /// [MS-NLMP] 3.1.5.1.2: an LM response of one zero, and nothing else. The key is one that everybody knows.
    private mutating func authenticateAnonymously(_ challenge: ChallengeMessage) -> [UInt8] {
        self.sessionKey = [UInt8](repeating: 0, count: 16)
        self.flags = challenge.flags.subtracting(.keyExchange).union(.anonymous)
        return AuthenticateMessage(
            flags: self.flags, lmResponse: [0], ntResponse: [], domain: [], user: [],
            workstation: [UInt8](utf16LE: self.workstation), encryptedSessionKey: []
        ).encoded()
    }

    /// [MS-NLMP] 3.1.5.1.2.
    private mutating func authenticate(_ token: [UInt8], _ randomness: Randomness) throws(Refusal) -> [UInt8] {
        let challenge = try ChallengeMessage(parsing: token)
        guard !self.credentials.user.isEmpty else { return self.authenticateAnonymously(challenge) }
        guard challenge.flags.contains([.unicode, .extendedSessionSecurity, .targetInfo]) else {
            throw .unsupported("a server without extended session security or target information")
        }
        let pairs = try NTLM.pairs(challenge.targetInformation[...])
        let timestamp = pairs[.timestamp].map(Array.init) ?? [UInt8](repeating: 0, count: 8)
        guard timestamp.count == 8 else { throw .malformed("NTLM: a time stamp of \(timestamp.count) bytes") }
        // The server's pairs without their end, then the flag that announces the MIC.
        let information =
            Array(challenge.targetInformation.dropLast(4)) + NTLM.pair(.flags, micPresentFlag.littleEndianBytes)
            + NTLM.pair(.endOfList, [])
        let temp: [UInt8] =
            [1, 1, 0, 0, 0, 0, 0, 0] + timestamp + randomness.challenge + [0, 0, 0, 0] + information + [0, 0, 0, 0]

        let user = [UInt8](utf16LE: self.credentials.user)
        let domain = [UInt8](utf16LE: self.credentials.domain)
        let hash = self.credentials.hash
        let keys = try crypto { () throws(CryptoError) in
            try NTLMv2Keys(
                hash: hash, user: user, domain: domain, serverChallenge: challenge.serverChallenge, temp: temp)
        }
        let exchangesKeys = challenge.flags.contains(.keyExchange)
        let sessionKey = exchangesKeys ? randomness.sessionKey : keys.sessionBase
        let encryptedKey =
            exchangesKeys
            ? try crypto { () throws(CryptoError) in try RC4.apply(key: keys.sessionBase, sessionKey) } : []
        // With a time stamp in the target information the LM response is 24 zeroes.
        var message = AuthenticateMessage(
            flags: challenge.flags, lmResponse: [UInt8](repeating: 0, count: 24), ntResponse: keys.proof + temp,
            domain: domain, user: user, workstation: [UInt8](utf16LE: self.workstation),
            encryptedSessionKey: encryptedKey
        ).encoded()
        let negotiate = self.negotiate
        let mic = try crypto { [message] () throws(CryptoError) in
            try NTLM.messageIntegrityCode(
                sessionKey: sessionKey, negotiate: negotiate, challenge: token, authenticate: message)
        }
        message.replaceSubrange(NTLM.micRange, with: mic)
        self.sessionKey = sessionKey
        self.flags = challenge.flags
        return message
    }
}
