import SMB2Wire

/// One open of a pipe: bytes of PDUs in, PDUs out. [MS-RPCE] over [MS-SMB2]. Who calls is whom SMB authenticated, or whom
/// RPC did (PipeSecurity.swift).
///
/// A malformed PDU throws: close the pipe (STATUS_PIPE_BROKEN); a call that cannot be served answers with a fault.
package struct PipeEndpoint: Sendable {
    /// Stub data of one call over all its fragments; the calls served here need a few hundred bytes.
    package static let maximumStubByteCount = 64 << 10
    /// What the calls of one write may answer; more than that breaks the pipe. A long listing has 200 kB.
    package static let maximumAnswerByteCount = 2 << 20

    /// Calls that one write may have carried out; some of them look at every session or every open.
    package static let maximumCalls = 64

    /// A call whose last fragment has not come.
    private struct Call: Sendable {
        var callID: UInt32
        var contextID: UInt16
        var operation: UInt16
        var stub: [UInt8]
    }

    package let service: PipeService
    /// The beginning of a PDU that is not whole yet: less than a fragment.
    private var pending: [UInt8] = []
    private var handles = ContextHandles()
    /// The presentation contexts accepted so far, at most `RPCBind.maximumContexts`; more are rejected.
    private var contexts: Set<UInt16> = []
    private var call: Call?
    private var maximumFragment = RPCHeader.maximumFragmentByteCount
    /// Calls of the present write that reached the service.
    private var served = 0
    /// RPC's own authentication, where the client began one.
    private var security: PipeSecurity?
    /// Its messages are signed or sealed, or will be.
    package var isSecured: Bool { self.security != nil }
    /// Why nothing more is taken: behind a message whose verifier did not fit none can be read.
    private var failure: WireError?

    package init(_ service: PipeService) { self.service = service }

    /// What it keeps of a PDU or a call that is not whole.
    package var unfinishedByteCount: Int { self.pending.count + (self.call?.stub.count ?? 0) }

    /// Nothing more will come.
    mutating func dropUnfinished() {
        self.pending = []
        self.call = nil
    }

    /// Takes what a write or a transceive brought: any part of a PDU, or several. Returns the PDUs to answer with, each a
    /// message of the pipe.
    package mutating func receive(
        _ bytes: RawSpan, from caller: User, at server: borrowing ServerState
    ) throws(WireError) -> [[UInt8]] {
        if let failure = self.failure { throw failure }
        let stream = self.pending.isEmpty ? bytes.copied : self.pending + bytes.copied
        self.pending = []
        var answers: [[UInt8]] = []
        self.served = 0
        var answered = 0
        var at = 0
        while stream.count - at >= RPCHeader.byteCount {
            let rest = stream.span.bytes.extracting(at..<stream.count)
            let header = try RPCHeader(parsing: rest)
            guard header.fragmentLength <= RPCHeader.maximumFragmentByteCount else {
                throw WireError(.limitExceeded, "RPC fragment")
            }
            guard header.fragmentLength <= rest.byteCount else { break }
            for answer in try self.handle(header, rest.extracting(0..<header.fragmentLength), caller, server) {
                answered += answer.count
                answers.append(answer)
            }
            guard answers.count <= NamedPipe.unreadLimit, answered <= Self.maximumAnswerByteCount else {
                throw WireError(.limitExceeded, "RPC answers")
            }
            at += header.fragmentLength
        }
        // Once: a write may bring hundreds of thousands of them. What is left is less than a fragment.
        self.pending = Array(stream[at...])
        return answers
    }

    private mutating func handle(
        _ header: RPCHeader, _ packet: RawSpan, _ caller: User, _ server: borrowing ServerState
    ) throws(WireError) -> [[UInt8]] {
        switch header.kind {
        case RPCPacketKind.bind, RPCPacketKind.alterContext:
            return [try self.bind(header, packet, server)]
        case RPCPacketKind.auth3:
            try self.authenticate(header, packet, server)
            return []
        case RPCPacketKind.request:
            return try self.request(header, packet, caller, server)
        case RPCPacketKind.cancel:
            // Calls are carried out when they are whole: there is nothing left to cancel.
            return []
        case RPCPacketKind.orphaned:
            if self.call?.callID == header.callID { self.call = nil }
            return []
        default:
            throw WireError(.invalidValue, "RPC packet type")
        }
    }

    // MARK: Binding

    private mutating func bind(
        _ header: RPCHeader, _ packet: RawSpan, _ server: borrowing ServerState
    ) throws(WireError) -> [UInt8] {
        let isAlter = header.kind == RPCPacketKind.alterContext
        var body = packet
        var token: [UInt8]?
        if header.authenticationLength > 0 {
            let verifier = try RPCVerifier(
                parsing: packet, authenticationLength: header.authenticationLength, bodyStart: RPCHeader.byteCount)
            body = packet.extracting(0..<verifier.bodyEnd)
            if self.security == nil { self.security = PipeSecurity(verifier, server.pipeSecurity) }
            do throws(PipeSecurity.Failure) {
                token = try self.security?.step(verifier, of: packet, at: server)
            } catch { return self.refuse(header, RPCBindNak.invalidChecksum) }
            guard token != nil else { return self.refuse(header, RPCBindNak.authenticationTypeNotRecognized) }
        }
        let bind = try RPCBind(parsing: body)
        if !isAlter {
            let wanted = Int(bind.maximumReceiveFragment)
            self.maximumFragment = min(
                max(wanted, RPCHeader.minimumFragmentByteCount), RPCHeader.maximumFragmentByteCount)
        }
        let ack = RPCBindAck(
            maximumTransmitFragment: UInt16(self.maximumFragment),
            maximumReceiveFragment: UInt16(RPCHeader.maximumFragmentByteCount),
            // Any value but 0 names a group; ours are never joined.
            associationGroup: bind.associationGroup == 0 ? 0x53F0 : bind.associationGroup,
            secondaryAddress: isAlter ? "" : #"\PIPE\\#(self.service.rawValue)"#,
            outcomes: bind.contexts.map { self.outcome($0) })
        var writer = WireWriter()
        // NTLM signs whole PDUs with the flag and without.
        ack.encode(
            into: &writer, kind: isAlter ? RPCPacketKind.alterContextResponse : RPCPacketKind.bindAck,
            flags: header.flags.intersection(.headerSigning).union(.whole), callID: header.callID)
        var answer = writer.bytes
        if let token, !token.isEmpty { self.security?.append(token: token, to: &answer) }
        return answer
    }

    /// Nobody is let in: bind_nak, or, where something is bound already, a fault. [MS-RPCE] 3.3.1.5.2.1.
    private func refuse(_ header: RPCHeader, _ reason: UInt16) -> [UInt8] {
        guard header.kind == RPCPacketKind.bind else { return self.fault(RPCFault.accessDenied, 0, header.callID) }
        var writer = WireWriter()
        RPCBindNak.encode(reason: reason, callID: header.callID, into: &writer)
        return writer.bytes
    }

    /// rpc_auth_3: what it brought shows with the next call. [MS-RPCE] 2.2.2.10, 3.3.1.5.2.1.
    private mutating func authenticate(
        _ header: RPCHeader, _ packet: RawSpan, _ server: borrowing ServerState
    ) throws(WireError) {
        let verifier = try RPCVerifier(
            parsing: packet, authenticationLength: header.authenticationLength, bodyStart: RPCHeader.byteCount)
        guard self.security != nil else { throw WireError(.invalidValue, "rpc_auth_3 without a bind") }
        _ = try? self.security?.step(verifier, of: packet, at: server)
    }

    private mutating func outcome(_ context: RPCBind.Context) -> RPCBindAck.Outcome {
        if context.transferSyntaxes.contains(where: { $0.isFeatureNegotiation }) {
            // None of the features: no security context multiplexing, no keeping of connections on orphaned calls.
            return RPCBindAck.Outcome(
                result: RPCBindAck.Outcome.negotiateAck, reason: 0, transferSyntax: RPCSyntax(.zero, version: 0))
        }
        guard context.interface == self.service.interface else {
            return .rejected(RPCBindAck.Outcome.abstractSyntaxNotSupported)
        }
        guard context.transferSyntaxes.contains(.ndr) else {
            return .rejected(RPCBindAck.Outcome.transferSyntaxesNotSupported)
        }
        guard self.contexts.count < RPCBind.maximumContexts || self.contexts.contains(context.id) else {
            return .rejected(RPCBindAck.Outcome.localLimitExceeded)
        }
        self.contexts.insert(context.id)
        return .accepted
    }

    // MARK: Calls

    private mutating func request(
        _ header: RPCHeader, _ packet: RawSpan, _ caller: User, _ server: borrowing ServerState
    ) throws(WireError) -> [[UInt8]] {
        let plain: [UInt8]
        switch self.open(packet, header) {
        case .plain(let bytes): plain = bytes
        case .fault(let fault): return [fault]
        }
        let request = try RPCRequest(parsing: plain.span.bytes, flags: header.flags)
        let caller = self.security?.user ?? caller
        if header.flags.contains(.firstFragment) {
            self.call = Call(
                callID: header.callID, contextID: request.contextID, operation: request.operation, stub: [])
        }
        guard var call = self.call, call.callID == header.callID else {
            return [self.fault(RPCFault.protocolError, request.contextID, header.callID)]
        }
        self.call = nil
        guard request.stub.count <= Self.maximumStubByteCount - call.stub.count else {
            throw WireError(.limitExceeded, "RPC stub")
        }
        call.stub += plain[request.stub]
        guard header.flags.contains(.lastFragment) else {
            self.call = call
            return []
        }
        guard self.contexts.contains(call.contextID) else {
            return [self.fault(RPCFault.unknownInterface, call.contextID, call.callID)]
        }
        self.served += 1
        guard self.served <= Self.maximumCalls else { throw WireError(.limitExceeded, "RPC calls") }
        do throws(WireError) {
            var writer = NDRWriter()
            let fault = try self.service.answer(
                PipeCall(operation: call.operation, caller: caller), call.stub.span.bytes, server, &self.handles,
                into: &writer)
            if let fault { return [self.fault(fault, call.contextID, call.callID)] }
            let stub = writer.bytes
            return try self.protected(
                RPCResponse.fragments(
                    stub: stub.span.bytes, contextID: call.contextID, callID: call.callID,
                    maximumFragment: self.maximumFragment,
                    verifierByteCount: self.security?.verifierByteCount ?? 0))
        } catch {
            if let failure = self.failure { throw failure }
            return [self.fault(RPCFault.badStubData, call.contextID, call.callID)]
        }
    }

    private enum Opened {
        case plain([UInt8])
        case fault([UInt8])
    }

    /// A request as it is behind its verifier; or why it is not taken.
    private mutating func open(_ packet: RawSpan, _ header: RPCHeader) -> Opened {
        guard let security = self.security else {
            guard header.authenticationLength == 0 else {
                return .fault(self.fault(RPCFault.accessDenied, 0, header.callID))
            }
            return .plain(packet.copied)
        }
        guard security.user != nil else { return .fault(self.fault(RPCFault.accessDenied, 0, header.callID)) }
        do throws(PipeSecurity.Failure) { return .plain(try security.open(packet, header)) } catch {
            self.failure = WireError(.invalidValue, "RPC verifier")
            return .fault(self.fault(RPCFault.securityPackageError, 0, header.callID))
        }
    }

    private mutating func protected(_ fragments: [[UInt8]]) throws(WireError) -> [[UInt8]] {
        guard let security = self.security, security.verifierByteCount > 0 else { return fragments }
        var answers: [[UInt8]] = []
        for var fragment in fragments {
            do throws(PipeSecurity.Failure) { try security.protect(&fragment) } catch {
                let failure = WireError(.invalidValue, "RPC signature")
                self.failure = failure
                throw failure
            }
            answers.append(fragment)
        }
        return answers
    }

    private func fault(_ status: UInt32, _ contextID: UInt16, _ callID: UInt32) -> [UInt8] {
        var writer = WireWriter()
        RPCFault(contextID: contextID, status: status).encode(into: &writer, callID: callID)
        return writer.bytes
    }
}
