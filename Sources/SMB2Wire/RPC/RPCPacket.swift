/// Connection-oriented DCE/RPC, C706 chapter 12 and [MS-RPCE] 2.2.2, as far as it runs over a named pipe. Little-endian
/// data representation only. What authenticates a PDU: RPCVerifier.swift.
package enum RPCPacketKind {
    package static let request: UInt8 = 0
    package static let response: UInt8 = 2
    package static let fault: UInt8 = 3
    package static let bind: UInt8 = 11
    package static let bindAck: UInt8 = 12
    package static let bindNak: UInt8 = 13
    package static let alterContext: UInt8 = 14
    package static let alterContextResponse: UInt8 = 15
    /// rpc_auth_3, [MS-RPCE] 2.2.2.10: the third token of an exchange; nothing answers it.
    package static let auth3: UInt8 = 16
    package static let cancel: UInt8 = 18
    package static let orphaned: UInt8 = 19
}

/// The common header of every PDU, C706 12.6.3.1.
package struct RPCHeader: Equatable, Sendable {
    package static let byteCount = 16
    /// The largest fragment that is sent and taken; Windows' own value.
    package static let maximumFragmentByteCount = 4280
    /// Below this a peer could make us send fragments of nothing: C706's MustRecvFragSize.
    package static let minimumFragmentByteCount = 1432

    package struct Flags: OptionSet, Hashable, Sendable {
        package var rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let firstFragment = Flags(rawValue: 0x01)
        package static let lastFragment = Flags(rawValue: 0x02)
        /// PFC_SUPPORT_HEADER_SIGN of bind and its answers, [MS-RPCE] 2.2.2.3; in other PDUs the bit means a cancel.
        package static let headerSigning = Flags(rawValue: 0x04)
        package static let didNotExecute = Flags(rawValue: 0x20)
        package static let objectUUID = Flags(rawValue: 0x80)
        package static let whole: Flags = [.firstFragment, .lastFragment]
    }

    package var kind: UInt8
    package var flags: Flags
    package var fragmentLength: Int
    package var authenticationLength: Int
    package var callID: UInt32

    /// The header at the beginning of `stream`; the fragment itself may not be there yet.
    package init(parsing stream: RawSpan) throws(WireError) {
        try stream.require(Self.byteCount, "RPC header")
        guard stream.load(UInt8.self, at: 0) == 5 else { throw .invalidValue("RPC version") }
        // Little-endian integers, ASCII, IEEE floats.
        guard stream.load(UInt32.self, at: 4) & 0xFFFF == 0x0010 else { throw .invalidValue("RPC data representation") }
        self.kind = stream.load(UInt8.self, at: 2)
        self.flags = Flags(rawValue: stream.load(UInt8.self, at: 3))
        self.fragmentLength = Int(stream.load(UInt16.self, at: 8))
        self.authenticationLength = Int(stream.load(UInt16.self, at: 10))
        self.callID = stream.load(UInt32.self, at: 12)
        guard self.fragmentLength >= Self.byteCount else { throw .truncated("RPC fragment") }
    }

    /// Appends a header whose length `end` fills in; returns where it starts.
    package static func begin(_ kind: UInt8, flags: Flags, callID: UInt32, into writer: inout WireWriter) -> Int {
        let at = writer.claim(Self.byteCount)
        writer.store(UInt8(5), at: at)
        writer.store(kind, at: at + 2)
        writer.store(flags.rawValue, at: at + 3)
        writer.store(UInt32(0x0000_0010), at: at + 4)
        writer.store(callID, at: at + 12)
        return at
    }

    package static func end(_ writer: inout WireWriter, begun at: Int) {
        writer.store(UInt16(writer.count - at), at: at + 8)
    }
}

/// An interface or transfer syntax with its version, C706 p_syntax_id_t.
package struct RPCSyntax: Hashable, Sendable {
    package static let byteCount = 20
    /// NDR 2.0: 8a885d04-1ceb-11c9-9fe8-08002b104860.
    package static let ndr = RPCSyntax(
        GUID(0x8A88_5D04, 0x1CEB, 0x11C9, (0x9F, 0xE8, 0x08, 0x00, 0x2B, 0x10, 0x48, 0x60)), version: 2)
    /// The server service, [MS-SRVS] 1.9: 4b324fc8-1670-01d3-1278-5a47bf6ee188, version 3.0.
    package static let srvsvc = RPCSyntax(
        GUID(0x4B32_4FC8, 0x1670, 0x01D3, (0x12, 0x78, 0x5A, 0x47, 0xBF, 0x6E, 0xE1, 0x88)), version: 3)
    /// [MS-WKST] 1.9: 6bffd098-a112-3610-9833-46c3f87e345a, version 1.0.
    package static let wkssvc = RPCSyntax(
        GUID(0x6BFF_D098, 0xA112, 0x3610, (0x98, 0x33, 0x46, 0xC3, 0xF8, 0x7E, 0x34, 0x5A)), version: 1)
    /// [MS-LSAT] 1.9: 12345778-1234-abcd-ef00-0123456789ab, version 0.0.
    package static let lsarpc = RPCSyntax(
        GUID(0x1234_5778, 0x1234, 0xABCD, (0xEF, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAB)), version: 0)
    /// [MS-SAMR] 1.9: 12345778-1234-abcd-ef00-0123456789ac, version 1.0.
    package static let samr = RPCSyntax(
        GUID(0x1234_5778, 0x1234, 0xABCD, (0xEF, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAC)), version: 1)

    package var uuid: GUID
    /// Major in the low half, minor in the high.
    package var version: UInt32

    package init(_ uuid: GUID, version: UInt32) {
        self.uuid = uuid
        self.version = version
    }

    init(loading span: RawSpan, at offset: Int) {
        self.uuid = GUID(loading: span, at: offset)
        self.version = span.load(UInt32.self, at: offset + 16)
    }

    func append(to writer: inout WireWriter) {
        writer.append(self.uuid)
        writer.append(self.version)
    }

    /// Bind time feature negotiation, [MS-RPCE] 3.3.1.5.3: 6cb71c2c-9812-4540 and flags in the rest.
    package var isFeatureNegotiation: Bool { self.uuid.low == 0x4540_9812_6CB7_1C2C }
}

/// bind and alter_context, C706 12.6.4.3 and 12.6.4.1.
package struct RPCBind: Equatable, Sendable {
    /// Presentation contexts in one PDU, and transfer syntaxes in one context.
    package static let maximumContexts = 16
    package static let maximumTransferSyntaxes = 16

    package struct Context: Equatable, Sendable {
        package var id: UInt16
        package var interface: RPCSyntax
        package var transferSyntaxes: [RPCSyntax]

        package init(id: UInt16, interface: RPCSyntax, transferSyntaxes: [RPCSyntax]) {
            self.id = id
            self.interface = interface
            self.transferSyntaxes = transferSyntaxes
        }
    }

    package var maximumTransmitFragment: UInt16
    package var maximumReceiveFragment: UInt16
    package var associationGroup: UInt32
    package var contexts: [Context]

    package init(
        maximumTransmitFragment: UInt16, maximumReceiveFragment: UInt16, associationGroup: UInt32, contexts: [Context]
    ) {
        self.maximumTransmitFragment = maximumTransmitFragment
        self.maximumReceiveFragment = maximumReceiveFragment
        self.associationGroup = associationGroup
        self.contexts = contexts
    }

    /// `packet` is the whole PDU.
    package init(parsing packet: RawSpan) throws(WireError) {
        try packet.require(RPCHeader.byteCount + 12, "RPC bind")
        self.maximumTransmitFragment = packet.load(UInt16.self, at: 16)
        self.maximumReceiveFragment = packet.load(UInt16.self, at: 18)
        self.associationGroup = packet.load(UInt32.self, at: 20)
        let count = Int(packet.load(UInt8.self, at: 24))
        guard count <= Self.maximumContexts else { throw .limitExceeded("presentation contexts") }
        self.contexts = []
        var at = RPCHeader.byteCount + 12
        for _ in 0..<count {
            guard packet.byteCount - at >= 24 else { throw .truncated("presentation context") }
            let syntaxes = Int(packet.load(UInt8.self, at: at + 2))
            guard syntaxes <= Self.maximumTransferSyntaxes else { throw .limitExceeded("transfer syntaxes") }
            guard packet.byteCount - at - 24 >= syntaxes * RPCSyntax.byteCount else {
                throw .truncated("transfer syntaxes")
            }
            let first = at + 24
            self.contexts.append(
                Context(
                    id: packet.load(UInt16.self, at: at), interface: RPCSyntax(loading: packet, at: at + 4),
                    transferSyntaxes: (0..<syntaxes).map {
                        RPCSyntax(loading: packet, at: first + $0 * RPCSyntax.byteCount)
                    }))
            at = first + syntaxes * RPCSyntax.byteCount
        }
    }

    package func encode(into writer: inout WireWriter, kind: UInt8 = RPCPacketKind.bind, callID: UInt32) {
        let start = RPCHeader.begin(kind, flags: .whole, callID: callID, into: &writer)
        writer.append(self.maximumTransmitFragment)
        writer.append(self.maximumReceiveFragment)
        writer.append(self.associationGroup)
        writer.append(UInt32(self.contexts.count))
        for context in self.contexts {
            writer.append(context.id)
            writer.append(UInt16(context.transferSyntaxes.count))
            context.interface.append(to: &writer)
            for syntax in context.transferSyntaxes { syntax.append(to: &writer) }
        }
        RPCHeader.end(&writer, begun: start)
    }
}

/// bind_ack and alter_context_resp, C706 12.6.4.4 and 12.6.4.2.
package struct RPCBindAck: Equatable, Sendable {
    package struct Outcome: Equatable, Sendable {
        package static let acceptance: UInt16 = 0
        package static let providerRejection: UInt16 = 2
        /// [MS-RPCE] 2.2.2.4; the reason is then the mask of features.
        package static let negotiateAck: UInt16 = 3
        package static let abstractSyntaxNotSupported: UInt16 = 1
        package static let transferSyntaxesNotSupported: UInt16 = 2
        package static let localLimitExceeded: UInt16 = 3

        package var result: UInt16
        package var reason: UInt16
        package var transferSyntax: RPCSyntax

        package init(result: UInt16, reason: UInt16, transferSyntax: RPCSyntax) {
            self.result = result
            self.reason = reason
            self.transferSyntax = transferSyntax
        }

        package static let accepted = Outcome(result: acceptance, reason: 0, transferSyntax: .ndr)
        package static func rejected(_ reason: UInt16) -> Outcome {
            Outcome(result: providerRejection, reason: reason, transferSyntax: RPCSyntax(.zero, version: 0))
        }
    }

    package var maximumTransmitFragment: UInt16
    package var maximumReceiveFragment: UInt16
    package var associationGroup: UInt32
    /// ASCII, e.g. `\PIPE\srvsvc`; empty in alter_context_resp.
    package var secondaryAddress: String
    package var outcomes: [Outcome]

    package init(
        maximumTransmitFragment: UInt16, maximumReceiveFragment: UInt16, associationGroup: UInt32,
        secondaryAddress: String, outcomes: [Outcome]
    ) {
        self.maximumTransmitFragment = maximumTransmitFragment
        self.maximumReceiveFragment = maximumReceiveFragment
        self.associationGroup = associationGroup
        self.secondaryAddress = secondaryAddress
        self.outcomes = outcomes
    }

    package init(parsing packet: RawSpan) throws(WireError) {
        try packet.require(RPCHeader.byteCount + 10, "RPC bind_ack")
        self.maximumTransmitFragment = packet.load(UInt16.self, at: 16)
        self.maximumReceiveFragment = packet.load(UInt16.self, at: 18)
        self.associationGroup = packet.load(UInt32.self, at: 20)
        let length = Int(packet.load(UInt16.self, at: 24))
        let address = try packet.range(offset: 26, length: length, notBefore: 26, "secondary address")
        self.secondaryAddress = String(decoding: packet.bytes(in: address).dropLast(), as: UTF8.self)
        var at = (address.upperBound + 3) & ~3
        guard packet.byteCount - at >= 4 else { throw .truncated("RPC bind_ack results") }
        let count = Int(packet.load(UInt8.self, at: at))
        at += 4
        guard count <= RPCBind.maximumContexts else { throw .limitExceeded("presentation contexts") }
        guard packet.byteCount - at >= count * 24 else { throw .truncated("RPC bind_ack results") }
        let first = at
        self.outcomes = (0..<count).map {
            Outcome(
                result: packet.load(UInt16.self, at: first + 24 * $0),
                reason: packet.load(UInt16.self, at: first + 24 * $0 + 2),
                transferSyntax: RPCSyntax(loading: packet, at: first + 24 * $0 + 4))
        }
    }

    package func encode(
        into writer: inout WireWriter, kind: UInt8 = RPCPacketKind.bindAck, flags: RPCHeader.Flags = .whole,
        callID: UInt32
    ) {
        let start = RPCHeader.begin(kind, flags: flags, callID: callID, into: &writer)
        writer.append(self.maximumTransmitFragment)
        writer.append(self.maximumReceiveFragment)
        writer.append(self.associationGroup)
        let address = Array(self.secondaryAddress.utf8)
        writer.append(UInt16(address.isEmpty ? 0 : address.count + 1))
        writer.append(address)
        if !address.isEmpty { writer.append(UInt8(0)) }
        writer.align(to: 4, from: start)
        writer.append(UInt32(self.outcomes.count))
        for outcome in self.outcomes {
            writer.append(outcome.result)
            writer.append(outcome.reason)
            outcome.transferSyntax.append(to: &writer)
        }
        RPCHeader.end(&writer, begun: start)
    }
}

/// bind_nak, C706 12.6.4.5.
package enum RPCBindNak {
    /// [MS-RPCE] 2.2.2.5: authentication_type_not_recognized and invalid_checksum.
    package static let authenticationTypeNotRecognized: UInt16 = 8
    package static let invalidChecksum: UInt16 = 9

    package static func encode(reason: UInt16, callID: UInt32, into writer: inout WireWriter) {
        let start = RPCHeader.begin(RPCPacketKind.bindNak, flags: .whole, callID: callID, into: &writer)
        writer.append(reason)
        // One supported protocol version: 5.0.
        writer.append(UInt8(1))
        writer.append(UInt8(5))
        writer.append(UInt8(0))
        RPCHeader.end(&writer, begun: start)
    }
}

/// request, C706 12.6.4.9. One fragment of it.
package struct RPCRequest: Equatable, Sendable {
    package var contextID: UInt16
    package var operation: UInt16
    /// The stub data, relative to the PDU.
    package var stub: Range<Int>

    package init(contextID: UInt16, operation: UInt16) {
        self.contextID = contextID
        self.operation = operation
        self.stub = 0..<0
    }

    /// Where the stub data begins. C706 12.6.4.9.
    package static func stubStart(_ flags: RPCHeader.Flags) -> Int {
        RPCHeader.byteCount + 8 + (flags.contains(.objectUUID) ? GUID.byteCount : 0)
    }

    /// `packet` is the whole PDU, up to its verifier's padding where it has one.
    package init(parsing packet: RawSpan, flags: RPCHeader.Flags) throws(WireError) {
        let fixed = Self.stubStart(flags)
        try packet.require(fixed, "RPC request")
        self.contextID = packet.load(UInt16.self, at: 20)
        self.operation = packet.load(UInt16.self, at: 22)
        self.stub = fixed..<packet.byteCount
    }

    package func encode(into writer: inout WireWriter, stub: RawSpan, callID: UInt32) {
        let start = RPCHeader.begin(RPCPacketKind.request, flags: .whole, callID: callID, into: &writer)
        writer.append(UInt32(stub.byteCount))
        writer.append(self.contextID)
        writer.append(self.operation)
        writer.append(stub)
        RPCHeader.end(&writer, begun: start)
    }
}

/// response, C706 12.6.4.10.
package struct RPCResponse: Equatable, Sendable {
    package static let fixedByteCount = RPCHeader.byteCount + 8

    package var contextID: UInt16
    package var stub: Range<Int>

    package init(parsing packet: RawSpan) throws(WireError) {
        try packet.require(Self.fixedByteCount, "RPC response")
        self.contextID = packet.load(UInt16.self, at: 20)
        self.stub = Self.fixedByteCount..<packet.byteCount
    }

    /// The response to a call as the fragments that a peer with this receive limit can take.
    ///
    /// - Parameter verifierByteCount: what is left free in each for sec_trailer and auth_value.
    package static func fragments(
        stub: RawSpan, contextID: UInt16, callID: UInt32, maximumFragment: Int, verifierByteCount: Int = 0
    ) -> [[UInt8]] {
        precondition(maximumFragment >= RPCHeader.minimumFragmentByteCount && verifierByteCount < 256)
        // Every fragment but the last carries a multiple of sixteen: NDR's alignment survives the joining, and a
        // verifier's padding has nothing to add.
        let room = (maximumFragment - Self.fixedByteCount - verifierByteCount) & ~(RPCVerifier.alignment - 1)
        var fragments: [[UInt8]] = []
        var at = 0
        repeat {
            let length = Swift.min(room, stub.byteCount - at)
            var flags: RPCHeader.Flags = []
            if at == 0 { flags.insert(.firstFragment) }
            if at + length == stub.byteCount { flags.insert(.lastFragment) }
            var writer = WireWriter(capacity: Self.fixedByteCount + length)
            let start = RPCHeader.begin(RPCPacketKind.response, flags: flags, callID: callID, into: &writer)
            writer.append(UInt32(stub.byteCount - at))
            writer.append(contextID)
            writer.append(UInt16(0))
            writer.append(stub.extracting(at..<at + length))
            RPCHeader.end(&writer, begun: start)
            fragments.append(writer.bytes)
            at += length
        } while at < stub.byteCount
        return fragments
    }
}

/// fault, C706 12.6.4.7.
package struct RPCFault: Equatable, Sendable {
    /// nca_s_op_rng_error, nca_s_unk_if, nca_s_proto_error, nca_s_fault_invalid_tag: C706 appendix E.
    package static let operationOutOfRange: UInt32 = 0x1C01_0002
    package static let unknownInterface: UInt32 = 0x1C01_0003
    package static let protocolError: UInt32 = 0x1C01_000B
    package static let invalidTag: UInt32 = 0x1C00_0006
    /// nca_s_fault_context_mismatch: a context handle that is not one of ours.
    package static let contextMismatch: UInt32 = 0x1C00_001A
    /// ERROR_ACCESS_DENIED and RPC_X_BAD_STUB_DATA, [MS-RPCE] 3.3.3.5.
    package static let accessDenied: UInt32 = 0x0000_0005
    package static let badStubData: UInt32 = 0x0000_06F7
    /// RPC_S_SEC_PKG_ERROR: a verifier that does not fit.
    package static let securityPackageError: UInt32 = 0x0000_0721

    package var contextID: UInt16
    package var status: UInt32

    package init(contextID: UInt16, status: UInt32) {
        self.contextID = contextID
        self.status = status
    }

    package init(parsing packet: RawSpan) throws(WireError) {
        try packet.require(RPCHeader.byteCount + 12, "RPC fault")
        self.contextID = packet.load(UInt16.self, at: 20)
        self.status = packet.load(UInt32.self, at: 24)
    }

    package func encode(into writer: inout WireWriter, callID: UInt32) {
        let start = RPCHeader.begin(
            RPCPacketKind.fault, flags: [.firstFragment, .lastFragment, .didNotExecute], callID: callID, into: &writer)
        writer.append(UInt32(0))
        writer.append(self.contextID)
        writer.append(UInt16(0))
        writer.append(self.status)
        writer.append(UInt32(0))
        RPCHeader.end(&writer, begun: start)
    }
}
