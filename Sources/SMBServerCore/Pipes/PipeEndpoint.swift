import SMB2Wire

/// One open of a pipe: bytes of PDUs in, PDUs out. [MS-RPCE] over [MS-SMB2], without authentication of its own: whoever
/// reached the pipe is authenticated by SMB.
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

    package init(_ service: PipeService) { self.service = service }

    /// Takes what a write or a transceive brought: any part of a PDU, or several. Returns the PDUs to answer with, each a
    /// message of the pipe.
    package mutating func receive(
        _ bytes: RawSpan, from caller: User, at server: borrowing ServerState
    ) throws(WireError) -> [[UInt8]] {
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
            return [try self.bind(header, packet)]
        case RPCPacketKind.request:
            return try self.request(header, packet, caller, server)
        default:
            throw WireError(.invalidValue, "RPC packet type")
        }
    }

    // MARK: Binding

    private mutating func bind(_ header: RPCHeader, _ packet: RawSpan) throws(WireError) -> [UInt8] {
        var writer = WireWriter()
        guard header.authenticationLength == 0 else {
            RPCBindNak.encode(
                reason: RPCBindNak.authenticationTypeNotRecognized, callID: header.callID, into: &writer)
            return writer.bytes
        }
        let bind = try RPCBind(parsing: packet)
        let isAlter = header.kind == RPCPacketKind.alterContext
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
        ack.encode(
            into: &writer, kind: isAlter ? RPCPacketKind.alterContextResponse : RPCPacketKind.bindAck,
            callID: header.callID)
        return writer.bytes
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
        let request = try RPCRequest(parsing: packet, flags: header.flags)
        guard header.authenticationLength == 0 else {
            return [self.fault(RPCFault.accessDenied, request.contextID, header.callID)]
        }
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
        call.stub += packet.bytes(in: request.stub)
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
            return RPCResponse.fragments(
                stub: stub.span.bytes, contextID: call.contextID, callID: call.callID,
                maximumFragment: self.maximumFragment)
        } catch {
            return [self.fault(RPCFault.badStubData, call.contextID, call.callID)]
        }
    }

    private func fault(_ status: UInt32, _ contextID: UInt16, _ callID: UInt32) -> [UInt8] {
        var writer = WireWriter()
        RPCFault(contextID: contextID, status: status).encode(into: &writer, callID: callID)
        return writer.bytes
    }
}
