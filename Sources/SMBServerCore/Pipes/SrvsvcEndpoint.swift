import SMB2Wire

/// One open of the pipe `srvsvc`: bytes of PDUs in, PDUs out. [MS-SRVS] over [MS-RPCE], without authentication of its own:
/// whoever reached the pipe is authenticated by SMB.
///
/// A malformed PDU throws: close the pipe (STATUS_PIPE_BROKEN); a call that cannot be served answers with a fault.
package struct SrvsvcEndpoint: Sendable {
    /// Stub data of one call over all its fragments; the calls served here need a few hundred bytes.
    package static let maximumStubByteCount = 64 << 10
    /// Bytes of a PDU that is not whole yet.
    package static let maximumPendingByteCount = RPCHeader.maximumFragmentByteCount

    /// A call whose last fragment has not come.
    private struct Call: Sendable {
        var callID: UInt32
        var contextID: UInt16
        var operation: UInt16
        var stub: [UInt8]
    }

    private var shares: [SrvsvcShare]
    private var server: SrvsvcServer
    private var pending: [UInt8] = []
    /// The presentation contexts accepted so far, at most `RPCBind.maximumContexts`; more are rejected.
    private var contexts: Set<UInt16> = []
    private var call: Call?
    private var maximumFragment = RPCHeader.maximumFragmentByteCount

    /// `shares` as they are at the open; a pipe lives for one listing.
    package init(shares: [SrvsvcShare], server: SrvsvcServer) {
        self.shares = shares
        self.server = server
    }

    /// Takes what a write or a transceive brought: any part of a PDU, or several. Returns the PDUs to answer with, each a
    /// message of the pipe.
    package mutating func receive(_ bytes: RawSpan) throws(WireError) -> [[UInt8]] {
        self.pending += bytes.copied
        var answers: [[UInt8]] = []
        var at = 0
        while self.pending.count - at >= RPCHeader.byteCount {
            let header = try RPCHeader(parsing: self.pending.span.bytes.extracting(at..<self.pending.count))
            guard header.fragmentLength <= RPCHeader.maximumFragmentByteCount else {
                throw .limitExceeded("RPC fragment")
            }
            guard header.fragmentLength <= self.pending.count - at else { break }
            let packet = Array(self.pending[at..<at + header.fragmentLength])
            at += header.fragmentLength
            answers += try self.handle(header, packet.span.bytes)
            guard answers.count <= NamedPipe.unreadLimit else { throw .limitExceeded("RPC answers") }
        }
        // Once: a write may bring hundreds of thousands of them.
        self.pending.removeFirst(at)
        guard self.pending.count <= Self.maximumPendingByteCount else { throw .limitExceeded("RPC bytes pending") }
        return answers
    }

    private mutating func handle(_ header: RPCHeader, _ packet: RawSpan) throws(WireError) -> [[UInt8]] {
        switch header.kind {
        case RPCPacketKind.bind, RPCPacketKind.alterContext:
            return [try self.bind(header, packet)]
        case RPCPacketKind.request:
            return try self.request(header, packet)
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
            secondaryAddress: isAlter ? "" : #"\PIPE\srvsvc"#,
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
        guard context.interface == .srvsvc else {
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

    private mutating func request(_ header: RPCHeader, _ packet: RawSpan) throws(WireError) -> [[UInt8]] {
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
        do throws(WireError) {
            guard let stub = try self.answer(call.operation, call.stub.span.bytes) else {
                return [self.fault(RPCFault.operationOutOfRange, call.contextID, call.callID)]
            }
            return RPCResponse.fragments(
                stub: stub.span.bytes, contextID: call.contextID, callID: call.callID,
                maximumFragment: self.maximumFragment)
        } catch {
            return [self.fault(RPCFault.badStubData, call.contextID, call.callID)]
        }
    }

    /// The stub to answer with; nil for an operation that is not served.
    private func answer(_ operation: UInt16, _ stub: RawSpan) throws(WireError) -> [UInt8]? {
        var writer = NDRWriter()
        switch operation {
        case SrvsvcOperation.netrShareEnum:
            try NetrShareEnum(parsing: stub).answer(self.shares, into: &writer)
        case SrvsvcOperation.netrShareGetInfo:
            let call = try NetrShareGetInfo(parsing: stub)
            let name = call.name.lowercased()
            call.answer(self.shares.first { $0.name.lowercased() == name }, into: &writer)
        case SrvsvcOperation.netrServerGetInfo:
            try NetrServerGetInfo(parsing: stub).answer(self.server, into: &writer)
        default:
            return nil
        }
        return writer.bytes
    }

    private func fault(_ status: UInt32, _ contextID: UInt16, _ callID: UInt32) -> [UInt8] {
        var writer = WireWriter()
        RPCFault(contextID: contextID, status: status).encode(into: &writer, callID: callID)
        return writer.bytes
    }
}
