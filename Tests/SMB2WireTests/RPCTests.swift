import GoldenMessages
import Testing

@testable import SMB2Wire

@Suite struct RPCTests {
    /// A bind to srvsvc with NDR, as C706 12.6.4.3 lays it out and as smbclient sends it.
    static let bind = hex(
        """
        05 00 0B 03 10000000 4800 0000 01000000
        B810 B810 00000000 01 00 0000
        0000 01 00 C84F324B 7016 D301 1278 5A47BF6EE188 03000000
        045D888A EB1C C911 9FE8 08002B104860 02000000
        """)

    static let bindAck = hex(
        """
        05 00 0C 03 10000000 4400 0000 01000000
        B810 B810 F0530000 0D00 5C504950455C73727673766300 00
        01000000 0000 0000 045D888A EB1C C911 9FE8 08002B104860 02000000
        """)

    @Test func binds() throws {
        let header = try Self.bind.parsed(RPCHeader.init(parsing:))
        #expect(header.kind == RPCPacketKind.bind)
        #expect(header.flags == .whole)
        #expect(header.fragmentLength == 72)
        let bind = try Self.bind.parsed(RPCBind.init(parsing:))
        #expect(
            bind
                == RPCBind(
                    maximumTransmitFragment: 4280, maximumReceiveFragment: 4280, associationGroup: 0,
                    contexts: [.init(id: 0, interface: .srvsvc, transferSyntaxes: [.ndr])]))
        #expect(written { bind.encode(into: &$0, callID: 1) } == Self.bind)
        assertEveryTruncationThrows(Self.bind) { s throws(WireError) in _ = try RPCBind(parsing: s) }
        var bigEndian = Self.bind
        bigEndian[4] = 0
        #expect(throws: WireError.invalidValue("RPC data representation")) {
            try bigEndian.parsed(RPCHeader.init(parsing:))
        }
    }

    @Test func bindAcks() throws {
        let ack = RPCBindAck(
            maximumTransmitFragment: 4280, maximumReceiveFragment: 4280, associationGroup: 0x53F0,
            secondaryAddress: #"\PIPE\srvsvc"#, outcomes: [.accepted])
        #expect(written { ack.encode(into: &$0, callID: 1) } == Self.bindAck)
        #expect(try Self.bindAck.parsed(RPCBindAck.init(parsing:)) == ack)
        assertEveryTruncationThrows(Self.bindAck) { s throws(WireError) in _ = try RPCBindAck(parsing: s) }
    }

    @Test func faults() throws {
        let bytes = hex("05 00 03 23 10000000 2000 0000 07000000 00000000 0200 00 00 0200011C 00000000")
        let fault = RPCFault(contextID: 2, status: RPCFault.operationOutOfRange)
        #expect(written { fault.encode(into: &$0, callID: 7) } == bytes)
        #expect(try bytes.parsed(RPCFault.init(parsing:)) == fault)
        assertEveryTruncationThrows(bytes, upTo: 28) { s throws(WireError) in _ = try RPCFault(parsing: s) }
    }

    /// C706 12.6.2: a response longer than the peer's fragment comes in several, and they join to the same stub.
    @Test(arguments: [0, 1, 1400, 1408, 1409, 5000])
    func longResponsesAreFragmented(length: Int) throws {
        let stub = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let fragments = RPCResponse.fragments(stub: stub.span.bytes, contextID: 1, callID: 9, maximumFragment: 1432)
        #expect(fragments.count == max(1, (length + 1407) / 1408))
        var joined: [UInt8] = []
        for (index, fragment) in fragments.enumerated() {
            let header = try fragment.parsed(RPCHeader.init(parsing:))
            #expect(header.fragmentLength == fragment.count && fragment.count <= 1432)
            #expect(header.flags.contains(.firstFragment) == (index == 0))
            #expect(header.flags.contains(.lastFragment) == (index == fragments.count - 1))
            let response = try fragment.parsed(RPCResponse.init(parsing:))
            joined += Array(fragment[response.stub])
        }
        #expect(joined == stub)
    }

    /// [MS-SRVS] 3.1.4.8 on the wire: server name, level, union, empty container, preferred length, resume handle.
    static let shareEnum =
        hex("00000200 03000000 00000000 03000000") + utf16("\\\\\u{0}") + [0, 0]
        + hex("01000000 01000000 04000200 00000000 00000000 FFFFFFFF 08000200 00000000")

    @Test func shareEnumRequests() throws {
        let call = try Self.shareEnum.parsed(NetrShareEnum.init(parsing:))
        #expect(call == NetrShareEnum(level: 1, resumeHandle: 0))
        var writer = NDRWriter()
        call.encode(into: &writer, server: #"\\"#)
        #expect(writer.bytes == Self.shareEnum)
        assertEveryTruncationThrows(Self.shareEnum) { s throws(WireError) in _ = try NetrShareEnum(parsing: s) }
        var unknown = Self.shareEnum
        unknown[24] = 99
        unknown[28] = 99
        #expect(throws: WireError.self) { try unknown.parsed(NetrShareEnum.init(parsing:)) }
    }

    static let shares = [
        SrvsvcShare(name: "a", type: SrvsvcShare.diskTree, comment: "", path: #"C:\a"#),
        SrvsvcShare(name: "IPC$", type: SrvsvcShare.ipc | SrvsvcShare.special, comment: "x", path: ""),
    ]

    /// [MS-SRVS] 2.2.4.33 and NDR's order: the fixed parts of all elements, then their strings.
    @Test func shareEnumAnswers() throws {
        let golden = hex(
            """
            01000000 01000000 00000200 02000000 04000200 02000000
            08000200 00000000 0C000200
            10000200 03000080 14000200
            02000000 00000000 02000000 61000000
            01000000 00000000 01000000 00000000
            05000000 00000000 05000000 4900 5000 4300 2400 0000 0000
            02000000 00000000 02000000 78000000
            02000000 18000200 00000000 00000000
            """)
        var writer = NDRWriter()
        NetrShareEnum(level: 1).answer(Self.shares, into: &writer)
        #expect(writer.bytes == golden)
        let parsed = try golden.parsed(NetrShareEnum.parseAnswerLevel1)
        #expect(parsed.map(\.name) == ["a", "IPC$"])
        #expect(parsed.map(\.type) == [0, 0x8000_0003])
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try NetrShareEnum.parseAnswerLevel1(s) }
    }

    /// SHARE_INFO_502 carries the security descriptor as a conformant array behind the strings.
    @Test func shareGetInfoAnswers() throws {
        let request = hex("00000000 02000000 00000000 02000000 61000000 F6010000")
        let call = try request.parsed(NetrShareGetInfo.init(parsing:))
        #expect(call == NetrShareGetInfo(name: "a", level: 502))
        assertEveryTruncationThrows(request) { s throws(WireError) in _ = try NetrShareGetInfo(parsing: s) }
        var share = Self.shares[0]
        share.securityDescriptor = [1, 2, 3]
        var writer = NDRWriter()
        call.answer(share, into: &writer)
        #expect(
            writer.bytes
                == hex(
                    """
                    F6010000 00000200
                    04000200 00000000 08000200 00000000 FFFFFFFF 00000000 0C000200 00000000 03000000 10000200
                    02000000 00000000 02000000 61000000
                    01000000 00000000 01000000 00000000
                    05000000 00000000 05000000 4300 3A00 5C00 6100 0000 0000
                    03000000 010203 00
                    00000000
                    """))
        var missing = NDRWriter()
        call.answer(nil, into: &missing)
        #expect(missing.bytes == hex("F6010000 00000000 06090000"))
        var level = NDRWriter()
        NetrShareGetInfo(name: "a", level: 7).answer(share, into: &level)
        #expect(level.bytes == hex("07000000 00000000 7C000000"))
    }

    @Test func serverGetInfoAnswers() throws {
        let request = hex("00000000 65000000")
        let call = try request.parsed(NetrServerGetInfo.init(parsing:))
        assertEveryTruncationThrows(request) { s throws(WireError) in _ = try NetrServerGetInfo(parsing: s) }
        var writer = NDRWriter()
        call.answer(SrvsvcServer(name: "N", comment: ""), into: &writer)
        #expect(
            writer.bytes
                == hex(
                    """
                    65000000 00000200 F4010000 04000200 0A000000 00000000 03900000 08000200
                    02000000 00000000 02000000 4E000000
                    01000000 00000000 01000000 0000 0000
                    00000000
                    """))
    }

    @Test func mutatedPacketsNeverTrap() {
        let inputs = [
            Self.bind, Self.bindAck, Self.shareEnum, hex("00000000 02000000 00000000 02000000 61000000 F6010000"),
        ]
        var refused = 0
        for iteration in 0..<20_000 {
            var random = SplitMix64(seed: UInt64(iteration))
            let bytes = Mutation.mutate(inputs[iteration % inputs.count], with: &random)
            do throws(WireError) {
                switch iteration % inputs.count {
                case 0: _ = try bytes.parsed(RPCBind.init(parsing:))
                case 1: _ = try bytes.parsed(RPCBindAck.init(parsing:))
                case 2: _ = try bytes.parsed(NetrShareEnum.init(parsing:))
                default: _ = try bytes.parsed(NetrShareGetInfo.init(parsing:))
                }
                _ = try bytes.parsed(RPCHeader.init(parsing:))
                _ = try bytes.parsed(NetrShareEnum.parseAnswerLevel1)
            } catch {
                refused += 1
            }
        }
        #expect(refused > 0)
    }
}
