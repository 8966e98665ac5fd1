import SMBCrypto

/// Who a session belongs to. The names are as the client sent them.
package struct Identity: Equatable, Sendable {
    package var user: String
    package var domain: String
    package var workstation: String

    /// Nobody in particular: no user without a name is ever looked up.
    package var isAnonymous: Bool { self.user.isEmpty }
}

/// How a server calls itself in NTLM's target information. [MS-NLMP] 2.2.2.1.
package struct ServerNames: Equatable, Sendable {
    package var netBIOSComputer: String
    package var netBIOSDomain: String
    package var dnsComputer: String
    package var dnsDomain: String

    /// A stand-alone server: its own name is its domain, NetBIOS names have at most 15 characters in upper case.
    package init(host: String) {
        let short = host.prefix { $0 != "." }
        self.netBIOSComputer = String(short.uppercased().prefix(15))
        self.netBIOSDomain = self.netBIOSComputer
        self.dnsComputer = host
        self.dnsDomain = String(host.dropFirst(short.count).drop { $0 == "." })
    }
}

/// One authentication on the server's side: NTLMv2, inside SPNEGO or bare. A value without clock or randomness.
/// LM and NTLMv1 are recognised and refused, and so are anonymous logons unless they are allowed. [MS-NLMP] 3.2.5.1,
/// [MS-SPNG] 3.3.
package struct ServerAuthentication: Sendable {
    /// A Kerberos ticket that a client offers in vain fits in; the transport's limit is the same.
    package static let maximumTokenByteCount = 65_535

    package enum Step: Equatable, Sendable {
        /// STATUS_MORE_PROCESSING_REQUIRED with this token.
        case challenge([UInt8])
        /// STATUS_SUCCESS with this token (empty for bare NTLM). The session key has 16 bytes; an anonymous logon's is known to
        /// everybody, and protects nothing.
        case accepted(Identity, sessionKey: [UInt8], token: [UInt8])
        /// The end of this authentication.
        case refused(Refusal)
    }

    private enum Wrapping: Sendable {
        case bare
        case spnego(encodedMechanisms: [UInt8], requiresMIC: Bool)
    }

    private struct Challenged: Sendable {
        var wrapping: Wrapping
        var negotiate: [UInt8]
        var challenge: [UInt8]
        var serverChallenge: [UInt8]
        var flags: NTLMFlags
    }

    private struct Verified: Sendable {
        var identity: Identity
        var sessionKey: [UInt8]
        var flags: NTLMFlags
    }

    private enum State: Sendable {
        case initial
        /// The client preferred another mechanism and was told to use NTLM.
        case mechanismChosen(Wrapping)
        case challenged(Challenged)
        case awaitingMIC(encodedMechanisms: [UInt8], Verified)
        case finished
    }

    private let names: ServerNames
    private let allowsAnonymous: Bool
    private var state = State.initial
    /// What protects messages from now on; nil before somebody was accepted.
    package private(set) var securityContext: NTLMSecurityContext?

    package init(names: ServerNames, allowsAnonymous: Bool = false) {
        self.names = names
        self.allowsAnonymous = allowsAnonymous
    }

    /// Takes the client's next token.
    /// - `lookup` is asked for the NT hash of the user as the client wrote the name (any case).
    /// - `now` is the time in units of 100 ns since 1601, for the challenge's time stamp.
    /// - `challenge` is 8 random bytes that were never used before; taken on the step that sends the challenge.
    package mutating func step(
        _ token: [UInt8], lookup: (String) -> NTHash?, now: UInt64, challenge: UInt64
    ) -> Step {
        let state = self.state
        self.state = .finished
        do throws(Refusal) {
            guard token.count <= Self.maximumTokenByteCount else { throw .malformed("a token of \(token.count) bytes") }
            switch state {
            case .initial: return try self.begin(token, now: now, challenge: challenge)
            case .mechanismChosen(let wrapping):
                let response = try SPNEGO.NegTokenResp(parsing: token)
                guard let inner = response.responseToken else { throw .malformed("SPNEGO: no token") }
                return try self.sendChallenge(to: inner, wrapping, now: now, challenge: challenge)
            case .challenged(let challenged): return try self.authenticate(token, challenged, lookup)
            case .awaitingMIC(let mechanisms, let verified):
                let response = try SPNEGO.NegTokenResp(parsing: token)
                guard let mic = response.mechListMIC else { throw .tampered }
                return try self.complete(verified, mechanisms, mic)
            case .finished: throw .malformed("a token behind the end of the exchange")
            }
        } catch {
            self.state = .finished
            return .refused(error)
        }
    }

    private mutating func begin(_ token: [UInt8], now: UInt64, challenge: UInt64) throws(Refusal) -> Step {
        guard SPNEGO.isNegTokenInit(token) else {
            return try self.sendChallenge(to: token, .bare, now: now, challenge: challenge)
        }
        let initial = try SPNEGO.NegTokenInit(parsing: token)
        guard let index = initial.mechanisms.firstIndex(of: SPNEGO.ntlmssp) else {
            throw .unsupported("none of the client's mechanisms is NTLM")
        }
        // RFC 4178, 5: where the client's favourite is not taken, both sides must prove that the list is intact.
        let wrapping = Wrapping.spnego(encodedMechanisms: initial.encodedMechanisms, requiresMIC: index != 0)
        if index == 0, let inner = initial.mechanismToken {
            return try self.sendChallenge(to: inner, wrapping, now: now, challenge: challenge)
        }
        self.state = .mechanismChosen(wrapping)
        let state: SPNEGO.State = index == 0 ? .acceptIncomplete : .requestMIC
        return .challenge(SPNEGO.NegTokenResp(state: state, supportedMechanism: SPNEGO.ntlmssp).encoded())
    }

    /// [MS-NLMP] 3.2.5.1.1.
    private mutating func sendChallenge(
        to token: [UInt8], _ wrapping: Wrapping, now: UInt64, challenge: UInt64
    ) throws(Refusal) -> Step {
        let offered = try NegotiateMessage(parsing: token).flags
        guard offered.contains(.unicode) else { throw .unsupported("NTLM without Unicode") }
        guard offered.contains(.extendedSessionSecurity) else {
            throw .unsupported("NTLM without extended session security")
        }
        let taken: NTLMFlags = [.sign, .seal, .alwaysSign, .key128, .key56, .keyExchange, .version]
        let flags: NTLMFlags = [
            .unicode, .ntlm, .requestTarget, .targetTypeServer, .targetInfo, .extendedSessionSecurity,
            offered.intersection(taken),
        ]
        let information =
            NTLM.pair(.netBIOSDomainName, [UInt8](utf16LE: self.names.netBIOSDomain))
            + NTLM.pair(.netBIOSComputerName, [UInt8](utf16LE: self.names.netBIOSComputer))
            + NTLM.pair(.dnsDomainName, [UInt8](utf16LE: self.names.dnsDomain))
            + NTLM.pair(.dnsComputerName, [UInt8](utf16LE: self.names.dnsComputer))
            // With a time stamp the client must send a MIC and leaves the LM response out.
            + NTLM.pair(.timestamp, now.littleEndianBytes) + NTLM.pair(.endOfList, [])
        let message = ChallengeMessage(
            flags: flags, serverChallenge: challenge.littleEndianBytes,
            targetName: [UInt8](utf16LE: self.names.netBIOSComputer), targetInformation: information
        ).encoded()
        self.state = .challenged(
            Challenged(
                wrapping: wrapping, negotiate: token, challenge: message,
                serverChallenge: challenge.littleEndianBytes, flags: flags))
        switch wrapping {
        case .bare: return .challenge(message)
        case .spnego:
            return .challenge(
                SPNEGO.NegTokenResp(
                    state: .acceptIncomplete, supportedMechanism: SPNEGO.ntlmssp, responseToken: message
                ).encoded())
        }
    }

    private mutating func authenticate(
        _ token: [UInt8], _ challenged: Challenged, _ lookup: (String) -> NTHash?
    ) throws(Refusal) -> Step {
        switch challenged.wrapping {
        case .bare:
            let verified = try self.verify(token, challenged, lookup)
            self.keepContext(of: verified, sequence: 0)
            return .accepted(verified.identity, sessionKey: verified.sessionKey, token: [])
        case .spnego(let mechanisms, let requiresMIC):
            let response = try SPNEGO.NegTokenResp(parsing: token)
            guard response.state != .reject, let inner = response.responseToken else {
                throw .malformed("SPNEGO: no token")
            }
            let verified = try self.verify(inner, challenged, lookup)
            // A MIC under a key that everybody knows would prove nothing, and clients make it in different ways.
            guard !verified.identity.isAnonymous else {
                return .accepted(
                    verified.identity, sessionKey: verified.sessionKey,
                    token: SPNEGO.NegTokenResp(state: .acceptCompleted).encoded())
            }
            if let mic = response.mechListMIC { return try self.complete(verified, mechanisms, mic) }
            guard requiresMIC else {
                self.keepContext(of: verified, sequence: 0)
                return .accepted(
                    verified.identity, sessionKey: verified.sessionKey,
                    token: SPNEGO.NegTokenResp(state: .acceptCompleted).encoded())
            }
            self.state = .awaitingMIC(encodedMechanisms: mechanisms, verified)
            return .challenge(SPNEGO.NegTokenResp(state: .acceptIncomplete).encoded())
        }
    }

    /// RFC 4178, 5: the client's MIC over the list of mechanisms fits; ours goes back.
    private mutating func complete(_ verified: Verified, _ mechanisms: [UInt8], _ mic: [UInt8]) throws(Refusal) -> Step
    {
        let (expected, ours) = try crypto { () throws(CryptoError) in
            (
                try NTLM.signature(
                    of: mechanisms, sessionKey: verified.sessionKey, flags: verified.flags, fromServer: false),
                try NTLM.signature(
                    of: mechanisms, sessionKey: verified.sessionKey, flags: verified.flags, fromServer: true)
            )
        }
        guard constantTimeEqual(expected, mic) else { throw .tampered }
        self.keepContext(of: verified, sequence: 1)
        return .accepted(
            verified.identity, sessionKey: verified.sessionKey,
            token: SPNEGO.NegTokenResp(state: .acceptCompleted, mechListMIC: ours).encoded())
    }

    private mutating func keepContext(of verified: Verified, sequence: UInt32) {
        self.securityContext = NTLMSecurityContext(
            sessionKey: verified.sessionKey, flags: verified.flags, sequence: sequence)
    }

    /// The shortest NTLMv2 response: NTProofStr and the fixed part of NTLMv2_CLIENT_CHALLENGE with an end of list.
    private static let minimumResponseByteCount = 16 + 28 + 4
    private static let ntlmV1ResponseByteCount = 24

    /// [MS-NLMP] 3.2.5.1.2.
    private func verify(
        _ token: [UInt8], _ challenged: Challenged, _ lookup: (String) -> NTHash?
    ) throws(Refusal) -> Verified {
        let message = try AuthenticateMessage(parsing: token)
        if message.user.isEmpty && message.ntResponse.isEmpty && message.lmResponse.count <= 1 {
            guard self.allowsAnonymous else { throw .anonymous }
            return Verified(
                identity: Identity(user: "", domain: "", workstation: message.workstation.decodedUTF16LE),
                sessionKey: [UInt8](repeating: 0, count: 16), flags: message.flags.intersection(challenged.flags))
        }
        return try Self.verify(message, token, challenged, lookup)
    }

    private static func verify(
        _ message: AuthenticateMessage, _ token: [UInt8], _ challenged: Challenged, _ lookup: (String) -> NTHash?
    ) throws(Refusal) -> Verified {
        guard message.ntResponse.count != Self.ntlmV1ResponseByteCount, !message.ntResponse.isEmpty else {
            throw .ntlmV1
        }
        guard message.ntResponse.count >= Self.minimumResponseByteCount else {
            throw .malformed("NTLM: a response of \(message.ntResponse.count) bytes")
        }
        let proof = Array(message.ntResponse[..<16])
        let temp = Array(message.ntResponse[16...])
        guard temp[0] == 1, temp[1] == 1 else { throw .malformed("NTLM: response of an unknown version") }
        let pairs = try NTLM.pairs(temp[28...])

        let user = message.user.decodedUTF16LE
        let found = lookup(user)
        // An unknown user costs as long as a known one, so that time does not tell which names exist.
        guard let hash = found ?? NTHash(bytes: [UInt8](repeating: 0, count: NTHash.byteCount)) else {
            throw .unknownUser(user)
        }
        let keys = try crypto { () throws(CryptoError) in
            try NTLMv2Keys(
                hash: hash, user: message.user, domain: message.domain,
                serverChallenge: challenged.serverChallenge, temp: temp)
        }
        let matches = constantTimeEqual(keys.proof, proof)
        guard found != nil else { throw .unknownUser(user) }
        guard matches else { throw .wrongPassword(user) }

        // Keys may only be exchanged where both sides said so.
        let flags = message.flags.intersection(challenged.flags)
        var sessionKey = keys.sessionBase
        if flags.contains(.keyExchange) {
            guard message.encryptedSessionKey.count == 16 else { throw .malformed("NTLM: no session key") }
            sessionKey = try crypto { () throws(CryptoError) in
                try RC4.apply(key: keys.sessionBase, message.encryptedSessionKey)
            }
        }
        if let value = pairs[.flags], value.count == 4, Array(value).littleEndian32(at: 0) & micPresentFlag != 0 {
            guard token.count >= AuthenticateMessage.payloadOffset else { throw .tampered }
            let expected = try crypto { () throws(CryptoError) in
                try NTLM.messageIntegrityCode(
                    sessionKey: sessionKey, negotiate: challenged.negotiate, challenge: challenged.challenge,
                    authenticate: token)
            }
            guard constantTimeEqual(expected, Array(token[NTLM.micRange])) else { throw .tampered }
        }
        return Verified(
            identity: Identity(
                user: user, domain: message.domain.decodedUTF16LE, workstation: message.workstation.decodedUTF16LE),
            sessionKey: sessionKey, flags: flags)
    }
}
