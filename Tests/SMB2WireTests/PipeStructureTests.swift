import GoldenMessages
import Testing

@testable import SMB2Wire

/// What concerns pipes alone: verifiers, peeks, modes.
@Suite struct PipeStructureTests {
    /// A request of 3 bytes of stub, padded to 16, with a signature of 16 bytes: [MS-RPCE] 2.2.2.11.
    static let signed = hex(
        """
        05 00 00 03 10000000 4000 1000 02000000
        03000000 0300 1C00
        AABBCC 00000000000000000000000000
        0A 05 0D 00 67120000
        01000000 0102030405060708 00000000
        """)

    @Test func aVerifierIsTheEndOfItsPDU() throws {
        let header = try Self.signed.parsed(RPCHeader.init(parsing:))
        #expect(header.authenticationLength == 16 && header.fragmentLength == Self.signed.count)
        let verifier = try Self.signed.parsed { s throws(WireError) in
            try RPCVerifier(parsing: s, authenticationLength: 16, bodyStart: 24)
        }
        #expect(verifier.mechanism == RPCVerifier.Mechanism.ntlm)
        #expect(RPCVerifier.Level(rawValue: verifier.level) == .integrity)
        #expect(verifier.contextID == 0x1267 && verifier.paddingByteCount == 13)
        #expect(verifier.bodyEnd == 27 && verifier.start == 40 && verifier.value == 48..<64)

        var packet = Array(Self.signed[..<27])
        packet.replaceSubrange(8..<12, with: [0, 0, 0, 0])
        let placed = RPCVerifier(mechanism: RPCVerifier.Mechanism.ntlm, level: 5, contextID: 0x1267).append(
            to: &packet, valueByteCount: 16, alignment: RPCVerifier.alignment, bodyStart: 24)
        packet.replaceSubrange(placed.value, with: Self.signed[48...])
        #expect(packet == Self.signed && placed == verifier)
    }

    @Test func aVerifierThatDoesNotFitIsRefused() {
        for (authenticationLength, bodyStart) in [(33, 24), (64, 24), (65_535, 24), (16, 41), (16, 65)] {
            #expect(throws: WireError.self) {
                try Self.signed.parsed { s throws(WireError) in
                    try RPCVerifier(parsing: s, authenticationLength: authenticationLength, bodyStart: bodyStart)
                }
            }
        }
        // Padding that would begin before the stub.
        #expect(throws: WireError.invalidValue("RPC padding")) {
            try Self.signed.parsed { s throws(WireError) in
                try RPCVerifier(parsing: s, authenticationLength: 16, bodyStart: 28)
            }
        }
        assertEveryTruncationThrows(Self.signed, upTo: 48) { s throws(WireError) in
            _ = try RPCVerifier(parsing: s, authenticationLength: 16, bodyStart: 24)
        }
    }

    @Test func peeks() throws {
        let reply = hex("03000000 44000000 01000000 40000000")
        let peek = PipePeekResponse(isConnected: true, available: 0x44, messages: 1, messageLength: 0x40)
        #expect(try reply.parsed(PipePeekResponse.init(parsing:)) == peek)
        #expect(written { peek.encode(into: &$0) } == reply)
        let closing = PipePeekResponse(isConnected: false, available: 0, messages: 0, messageLength: 0)
        #expect(written { closing.encode(into: &$0) }.first == 4)
        assertEveryTruncationThrows(reply) { s throws(WireError) in _ = try PipePeekResponse(parsing: s) }
    }

    @Test func modes() throws {
        let bytes = hex("01000000 00000000")
        let mode = PipeInformation(readsMessages: true, completesAtOnce: false)
        #expect(try bytes.parsed(PipeInformation.init(parsing:)) == mode)
        #expect(written { mode.encode(into: &$0) } == bytes)
        #expect(throws: WireError.self) { try hex("02000000 00000000").parsed(PipeInformation.init(parsing:)) }
        #expect(throws: WireError.self) { try hex("00000000 02000000").parsed(PipeInformation.init(parsing:)) }
        assertEveryTruncationThrows(bytes) { s throws(WireError) in _ = try PipeInformation(parsing: s) }
        let local = PipeLocalInformation(inboundQuota: 4280, available: 7, outboundQuota: 8, isConnected: true)
        #expect(
            written { local.encode(into: &$0) }
                == hex(
                    """
                    01000000 02000000 FFFFFFFF 01000000 B8100000 07000000 08000000 B8100000 03000000 00000000
                    """))
    }

    @Test func shareChecks() throws {
        let check = NetrShareCheck(device: "C:\\test")
        var writer = NDRWriter()
        check.encode(into: &writer, server: "s")
        let stub = writer.bytes
        #expect(try stub.parsed(NetrShareCheck.init(parsing:)) == check)
        assertEveryTruncationThrows(stub, upTo: stub.count - 3) { s throws(WireError) in
            _ = try NetrShareCheck(parsing: s)
        }
    }
}
