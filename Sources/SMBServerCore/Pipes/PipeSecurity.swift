import SMB2Wire

// RPC's own authentication over a pipe. [MS-RPCE] 3.3.1.5.2. Whoever reached the pipe is authenticated by SMB, and what
// goes through it is protected as his session is; clients may want more, and call then as whom they authenticate here.

/// What the shell's mechanisms do: this target knows neither cryptography nor clocks.
package protocol PipeSecurityMechanisms: Sendable {
    /// A new exchange by this mechanism (`RPCVerifier.Mechanism`); nil: it is not served.
    func begin(_ mechanism: UInt8) -> (any PipeSecurityContext)?
}

/// One exchange, then the protection of what follows it. A reference, because the keys' streams go on from message to
/// message.
package protocol PipeSecurityContext: AnyObject, Sendable {
    /// Of each signature.
    var signatureByteCount: Int { get }
    /// Takes the client's next token; `lookup` finds the NT hash of a user by the name that the client wrote.
    func step(_ token: [UInt8], lookup: (String) -> [UInt8]?) -> PipeAuthentication
    /// The signature of `packet`, of which `sealed` is then encrypted in place. Nil: it cannot be done.
    func protect(_ packet: inout [UInt8], sealing sealed: Range<Int>?) -> [UInt8]?
    /// Decrypts `sealed` of `packet` in place and says whether the signature fits.
    func open(_ packet: inout [UInt8], sealed: Range<Int>?, signature: [UInt8]) -> Bool
}

package enum PipeAuthentication: Equatable, Sendable {
    case more(token: [UInt8])
    /// `token` is empty where the mechanism has nothing more to say.
    case accepted(userName: String, token: [UInt8])
    case refused
}

/// The security context of one open pipe. One: several at a time are not offered when a client binds.
struct PipeSecurity: Sendable {
    private enum State: Sendable {
        case underWay
        case established(User)
        /// Who it would have been was not let in: all calls are refused.
        case refused
    }

    enum Failure: Error {
        /// A verifier that does not belong to this context, or does not fit.
        case mismatch
    }

    private let context: any PipeSecurityContext
    private let mechanism: UInt8
    private let level: RPCVerifier.Level
    private let id: UInt32
    private var state = State.underWay

    init?(_ verifier: RPCVerifier, _ mechanisms: (any PipeSecurityMechanisms)?) {
        guard let level = RPCVerifier.Level(rawValue: verifier.level),
            let context = mechanisms?.begin(verifier.mechanism)
        else { return nil }
        self.context = context
        self.mechanism = verifier.mechanism
        self.level = level
        self.id = verifier.contextID
    }

    /// Who calls; nil as long as nobody was let in.
    var user: User? {
        if case .established(let user) = self.state { return user }
        return nil
    }

    private var protectsMessages: Bool { self.level > .connect }
    private var seals: Bool { self.level == .privacy }

    /// What each fragment of an answer needs behind its stub.
    var verifierByteCount: Int {
        self.protectsMessages ? RPCVerifier.byteCount + self.context.signatureByteCount : 0
    }

    private func isOurs(_ verifier: RPCVerifier) -> Bool {
        verifier.mechanism == self.mechanism && verifier.level == self.level.rawValue && verifier.contextID == self.id
    }

    /// One step of the exchange. Returns the token to answer with.
    mutating func step(
        _ verifier: RPCVerifier, of packet: RawSpan, at server: borrowing ServerState
    ) throws(Failure) -> [UInt8] {
        guard case .underWay = self.state, self.isOurs(verifier) else { throw .mismatch }
        let users = server.configuration.users
        let step = self.context.step(packet.bytes(in: verifier.value)) { name in
            users.first { $0.name.lowercased() == name.lowercased() }?.ntHash
        }
        switch step {
        case .more(let token): return token
        case .accepted(let name, let token):
            guard let record = users.first(where: { $0.name.lowercased() == name.lowercased() }) else { break }
            self.state = .established(server.user(of: record))
            return token
        case .refused: break
        }
        self.state = .refused
        throw .mismatch
    }

    /// Opens a request: without its verifier and in plain text. 3.3.1.5.2.2.
    func open(_ packet: RawSpan, _ header: RPCHeader) throws(Failure) -> [UInt8] {
        guard header.authenticationLength > 0 else {
            guard !self.protectsMessages else { throw .mismatch }
            return packet.copied
        }
        let stubStart = RPCRequest.stubStart(header.flags)
        guard
            let verifier = try? RPCVerifier(
                parsing: packet, authenticationLength: header.authenticationLength, bodyStart: stubStart),
            self.isOurs(verifier)
        else { throw .mismatch }
        // A client that only wanted to be known may still send something that looks like a signature.
        guard self.protectsMessages else { return Array(packet.copied[..<verifier.bodyEnd]) }
        var message = Array(packet.copied[..<verifier.value.lowerBound])
        guard verifier.value.count == self.context.signatureByteCount,
            self.context.open(
                &message, sealed: self.seals ? stubStart..<verifier.start : nil,
                signature: packet.bytes(in: verifier.value))
        else { throw .mismatch }
        message.removeSubrange(verifier.bodyEnd...)
        return message
    }

    /// Appends the verifier of a response.
    func protect(_ packet: inout [UInt8]) throws(Failure) {
        guard self.protectsMessages else { return }
        let body = RPCResponse.fixedByteCount
        let verifier = RPCVerifier(mechanism: self.mechanism, level: self.level.rawValue, contextID: self.id).append(
            to: &packet, valueByteCount: self.context.signatureByteCount, alignment: RPCVerifier.alignment,
            bodyStart: body)
        packet.removeSubrange(verifier.value)
        guard let signature = self.context.protect(&packet, sealing: self.seals ? body..<verifier.start : nil) else {
            throw .mismatch
        }
        packet += signature
    }

    /// Appends the token that an answer to a bind carries.
    func append(token: [UInt8], to packet: inout [UInt8]) {
        let verifier = RPCVerifier(mechanism: self.mechanism, level: self.level.rawValue, contextID: self.id).append(
            to: &packet, valueByteCount: token.count, alignment: 4, bodyStart: 0)
        packet.replaceSubrange(verifier.value, with: token)
    }
}
