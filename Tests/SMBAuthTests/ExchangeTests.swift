import SMBCrypto
import Testing

@testable import SMBAuth

/// Our client against our server, and both against whoever sits between them.
@Suite struct ExchangeTests {
    static let now: UInt64 = 133_000_000_000_000_000
    static let challenge: UInt64 = 0xEFCD_AB89_6745_2301
    static let randomness = ClientAuthentication.Randomness(
        challenge: [UInt8](repeating: 0xAA, count: 8), sessionKey: [UInt8](repeating: 0x55, count: 16))

    static let alice: NTHash = {
        guard let hash = try? NTHash(password: "pä$$word") else { preconditionFailure("no MD4") }
        return hash
    }()

    static func lookup(_ user: String) -> NTHash? { user.lowercased() == "alice" ? self.alice : nil }

    static func server() -> ServerAuthentication {
        ServerAuthentication(names: ServerNames(host: "tshare.example.org"))
    }

    static func client(
        _ user: String = "Alice", password: String = "pä$$word", isBare: Bool = false, kerberosFirst: Bool = false
    ) throws -> ClientAuthentication {
        ClientAuthentication(
            try .init(user: user, domain: "WORKGROUP", password: password), workstation: "PC1", isBare: isBare,
            offersKerberosFirst: kerberosFirst)
    }

    /// Runs an exchange; `tamper` may change each of the client's tokens (0, 1, ...) on its way.
    static func exchange(
        _ client: inout ClientAuthentication, tamper: (Int, [UInt8]) -> [UInt8] = { $1 }
    ) throws -> ServerAuthentication.Step {
        var server = self.server()
        var token = client.initialToken()
        for round in 0..<5 {
            let step = server.step(tamper(round, token), lookup: self.lookup, now: self.now, challenge: self.challenge)
            guard case .challenge(let answer) = step else { return step }
            do throws(Refusal) {
                token = try client.respond(to: answer, with: self.randomness)
            } catch {
                return .refused(error)  // the client gave up
            }
        }
        Issue.record("the exchange does not end")
        return .refused(.malformed("endless"))
    }

    @Test(arguments: [(false, false), (true, false), (false, true)])
    func aGoodPassword(isBare: Bool, kerberosFirst: Bool) throws {
        var client = try Self.client(isBare: isBare, kerberosFirst: kerberosFirst)
        let step = try Self.exchange(&client)
        guard case .accepted(let identity, let key, let token) = step else {
            Issue.record("\(step)")
            return
        }
        #expect(identity == Identity(user: "Alice", domain: "WORKGROUP", workstation: "PC1"))
        #expect(key == Self.randomness.sessionKey && client.sessionKey == key)
        try client.finish(token)
        #expect(token.isEmpty == isBare)
        guard !isBare else { return }
        // A changed MIC of the server does not go unnoticed.
        var broken = token
        broken[broken.count - 8] ^= 1
        #expect(throws: Refusal.tampered) { try client.finish(broken) }
    }

    @Test func aWrongPasswordAndAnUnknownUser() throws {
        var wrong = try Self.client(password: "password")
        #expect(try Self.exchange(&wrong) == .refused(.wrongPassword("Alice")))
        var unknown = try Self.client("bob")
        #expect(try Self.exchange(&unknown) == .refused(.unknownUser("bob")))
        // Not even with the hash that an unknown user is compared with.
        let zero = try #require(NTHash(bytes: [UInt8](repeating: 0, count: 16)))
        var guess = ClientAuthentication(.init(user: "bob", hash: zero))
        #expect(try Self.exchange(&guess) == .refused(.unknownUser("bob")))
    }

    /// Drives a server to its challenge with a bare NEGOTIATE message.
    func challenged() -> ServerAuthentication {
        var server = Self.server()
        let negotiate = NegotiateMessage(flags: [.unicode, .ntlm, .extendedSessionSecurity, .keyExchange]).encoded()
        let step = server.step(negotiate, lookup: Self.lookup, now: Self.now, challenge: Self.challenge)
        guard case .challenge = step else {
            Issue.record("\(step)")
            return server
        }
        return server
    }

    func answer(lm: [UInt8], nt: [UInt8], user: String) -> ServerAuthentication.Step {
        var server = self.challenged()
        let message = AuthenticateMessage(
            flags: [.unicode, .ntlm], lmResponse: lm, ntResponse: nt, domain: [], user: [UInt8](utf16LE: user),
            workstation: [], encryptedSessionKey: [])
        return server.step(message.encoded(), lookup: Self.lookup, now: 0, challenge: 0)
    }

    @Test func whatIsNeverTaken() {
        let response = [UInt8](repeating: 1, count: 24)
        #expect(self.answer(lm: response, nt: response, user: "alice") == .refused(.ntlmV1))
        #expect(self.answer(lm: response, nt: [], user: "alice") == .refused(.ntlmV1))
        #expect(self.answer(lm: [0], nt: [], user: "") == .refused(.anonymous))
        #expect(self.answer(lm: [], nt: [], user: "") == .refused(.anonymous))

        for flags: NTLMFlags in [[.unicode, .ntlm], [.ntlm, .extendedSessionSecurity]] {
            var server = Self.server()
            let step = server.step(NegotiateMessage(flags: flags).encoded(), lookup: Self.lookup, now: 0, challenge: 1)
            guard case .refused(.unsupported) = step else {
                Issue.record("\(step)")
                continue
            }
        }
        var server = Self.server()
        let kerberos = SPNEGO.NegTokenInit(mechanisms: [SPNEGO.kerberos], mechanismToken: [1, 2, 3]).encoded()
        guard case .refused(.unsupported) = server.step(kerberos, lookup: Self.lookup, now: 0, challenge: 1) else {
            Issue.record("Kerberos alone was not refused")
            return
        }
    }

    @Test(arguments: [(false, false), (true, false), (false, true)])
    func nobodyInParticularIsLetInWhereThatIsAllowed(isBare: Bool, kerberosFirst: Bool) throws {
        for allows in [false, true] {
            var client = ClientAuthentication(.anonymous, isBare: isBare, offersKerberosFirst: kerberosFirst)
            var server = ServerAuthentication(names: ServerNames(host: "tshare"), allowsAnonymous: allows)
            var token = client.initialToken()
            var step = ServerAuthentication.Step.challenge([])
            for _ in 0..<4 {
                step = server.step(
                    token, lookup: { _ in Self.alice }, now: Self.now, challenge: Self.challenge)
                guard case .challenge(let answer) = step else { break }
                token = try client.respond(to: answer, with: Self.randomness)
            }
            guard allows else {
                #expect(step == .refused(.anonymous))
                continue
            }
            guard case .accepted(let identity, let key, _) = step else {
                Issue.record("\(step)")
                continue
            }
            #expect(identity.isAnonymous)
            #expect(key == [UInt8](repeating: 0, count: 16))
        }
    }

    /// No change on the way may let somebody in as another user or with another key, and none may trap.
    @Test func everyFlippedBitOfTheLastToken() throws {
        var client = try Self.client()
        var length = 0
        _ = try Self.exchange(&client) { round, token in
            if round == 1 { length = token.count }
            return token
        }
        #expect(length > 300)
        for index in 0..<length {
            var client = try Self.client()
            let step = try Self.exchange(&client) { round, token in
                guard round == 1 else { return token }
                var token = token
                token[index] ^= 0x01
                return token
            }
            if case .accepted(let identity, let key, _) = step {
                #expect(identity.user == "Alice" && key == Self.randomness.sessionKey, "byte \(index)")
            }
        }
    }

    @Test func aDowngradedFlagIsNoticed() throws {
        var client = try Self.client()
        let step = try Self.exchange(&client) { round, token in
            guard round == 0 else { return token }
            var token = token
            for at in 0..<(token.count - 16) where Array(token[at..<(at + 8)]) == NTLM.magic {
                token[at + 12] &= ~0x10  // NTLMSSP_NEGOTIATE_SIGN
            }
            return token
        }
        #expect(step == .refused(.tampered))
    }

    @Test(arguments: [true, false])
    func everyTruncation(isBare: Bool) throws {
        for target in 0..<2 {
            for keep in 0..<600 {
                var client = try Self.client(isBare: isBare)
                var isWhole = false
                let step = try Self.exchange(&client) { round, token in
                    guard round == target else { return token }
                    isWhole = keep >= token.count
                    return Array(token.prefix(keep))
                }
                if isWhole { break }
                // A truncated first message can still hold all that is read of it: then the MIC tells.
                if case .accepted = step { Issue.record("accepted \(keep) bytes of token \(target)") }
            }
        }
    }

    @Test(arguments: 0..<8)
    func mutations(seed: UInt64) throws {
        var generator = SplitMix(state: seed)
        for _ in 0..<400 {
            var client = try Self.client(isBare: seed % 2 == 0)
            let target = Int.random(in: 0..<2, using: &generator)
            let count = Int.random(in: 1...6, using: &generator)
            let step = try Self.exchange(&client) { round, token in
                guard round == target else { return token }
                var token = token
                for _ in 0..<count {
                    let at = Int.random(in: 0..<token.count, using: &generator)
                    switch Int.random(in: 0..<4, using: &generator) {
                    case 0: token[at] = UInt8.random(in: 0...255, using: &generator)
                    case 1: token[at] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &generator) ?? 0
                    case 2: token.remove(at: at)
                    default: token.insert(UInt8.random(in: 0...255, using: &generator), at: at)
                    }
                }
                return token
            }
            if case .accepted(let identity, let key, _) = step {
                #expect(identity.user.lowercased() == "alice" && key == Self.randomness.sessionKey)
            }
        }
    }

    @Test func anEndedExchangeStaysEnded() throws {
        var server = self.challenged()
        _ = server.step([], lookup: Self.lookup, now: 0, challenge: 0)
        let again = server.step(
            NegotiateMessage(flags: [.unicode]).encoded(), lookup: Self.lookup, now: 0, challenge: 0)
        #expect(again == .refused(.malformed("a token behind the end of the exchange")))
        var other = Self.server()
        let long = [UInt8](repeating: 0x60, count: ServerAuthentication.maximumTokenByteCount + 1)
        guard case .refused(.malformed) = other.step(long, lookup: Self.lookup, now: 0, challenge: 0) else {
            Issue.record("an endless token was taken")
            return
        }
    }
}

/// A small seeded generator, so that a failing run can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
