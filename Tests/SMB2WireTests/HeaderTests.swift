import GoldenMessages
import Testing

@testable import SMB2Wire

@Suite struct HeaderTests {
    /// [MS-SMB2] 2.2.1.2, every field different.
    static let sync = hex(
        """
        FE534D42        ; ProtocolId
        4000            ; StructureSize
        0201            ; CreditCharge
        220000C0        ; Status: ACCESS_DENIED
        0500            ; Command: CREATE
        0403            ; Credits
        0D000030        ; Flags: response, related, signed, DFS, REPLAY
        80000000        ; NextCommand
        0807060504030201; MessageId
        FFFE0000        ; Reserved
        44332211        ; TreeId
        8877665544332211; SessionId
        000102030405060708090A0B0C0D0E0F
        """)

    @Test func parsesTheSyncForm() throws {
        let header = try SMB2Header(parsing: Self.sync.span.bytes)
        #expect(header.creditCharge == 0x0102)
        #expect(header.status == .accessDenied)
        #expect(header.command == .create)
        #expect(header.credits == 0x0304)
        #expect(header.flags == [.response, .related, .signed, .dfs, .replay])
        #expect(header.isReplay && header.isRelated && header.isSigned && header.isResponse && !header.isAsync)
        #expect(header.nextCommand == 128)
        #expect(header.messageID == 0x0102_0304_0506_0708)
        #expect(header.processID == 0xFEFF)
        #expect(header.treeID == 0x1122_3344)
        #expect(header.sessionID == 0x1122_3344_5566_7788)
        #expect(written { header.encode(into: &$0) } == Self.sync)
        assertEveryTruncationThrows(Self.sync) { s throws(WireError) in _ = try SMB2Header(parsing: s) }
    }

    @Test func theAsyncFormKeepsItsAsyncID() throws {
        var bytes = Self.sync
        bytes[16] = 0x03
        let header = try SMB2Header(parsing: bytes.span.bytes)
        #expect(header.isAsync)
        #expect(header.asyncID == 0x1122_3344_0000_FEFF)
        #expect(written { header.encode(into: &$0) } == bytes)
    }

    @Test func channelSequenceIsTheLowHalfOfStatus() {
        var header = SMB2Header(command: .write)
        header.channelSequence = 0x8001
        #expect(header.status.rawValue == 0x8001)
        #expect(header.channelSequence == 0x8001)
    }

    @Test(arguments: [(0, UInt8(0xFD)), (4, 0x41), (1, 0)])
    func refusesWhatIsNoHeader(offset: Int, value: UInt8) {
        var bytes = Self.sync
        bytes[offset] = value
        #expect(throws: WireError.self) { try SMB2Header(parsing: bytes.span.bytes) }
    }

    @Test(arguments: [
        (UInt32(128), 192, true), (128, 191, false), (127, 500, false), (56, 500, false), (1000, 500, false),
    ])
    func nextCommandIsChecked(next: UInt32, length: Int, accepted: Bool) throws {
        var header = try SMB2Header(parsing: Self.sync.span.bytes)
        header.nextCommand = next
        let packet = [UInt8](repeating: 0, count: length)
        if accepted {
            #expect(try header.messageLength(in: packet.span.bytes) == Int(next))
        } else {
            #expect(throws: WireError.self) { try header.messageLength(in: packet.span.bytes) }
        }
    }

    @Test func transformHeader() throws {
        let bytes =
            hex(
                """
                FD534D42
                000102030405060708090A0B0C0D0E0F ; Signature
                101112131415161718191A1B 00000000 ; Nonce
                03000000 0000 0100 8877665544332211
                """) + [1, 2, 3]
        let header = try TransformHeader(parsing: bytes.span.bytes)
        #expect(header.sessionID == 0x1122_3344_5566_7788)
        #expect(header.originalMessageSize == 3)
        #expect(written { header.encode(into: &$0) } + [1, 2, 3] == bytes)
        assertEveryTruncationThrows(bytes) { s throws(WireError) in _ = try TransformHeader(parsing: s) }
        var unflagged = bytes
        unflagged[42] = 2
        #expect(throws: WireError.invalidValue("transform flags")) {
            try TransformHeader(parsing: unflagged.span.bytes)
        }
    }

    @Test func framing() throws {
        #expect(try DirectTCP.length(in: hex("00012345").span.bytes) == 0x12345)
        #expect(written { $0.append(DirectTCP.header(length: 0x12345)) } == hex("00012345"))
        #expect(throws: WireError.self) { try DirectTCP.length(in: hex("85000000").span.bytes) }
        #expect(PacketKind(hex("FE534D42").span.bytes) == .smb2)
        #expect(PacketKind(hex("FD534D42").span.bytes) == .encrypted)
        #expect(PacketKind(hex("FC534D42").span.bytes) == .compressed)
        #expect(PacketKind(hex("FF534D42").span.bytes) == .smb1)
        #expect(PacketKind(hex("FE534D").span.bytes) == .unknown)
    }

    /// [MS-SMB2] 4.1: the multi-protocol negotiate of a client that speaks both.
    static let smb1 =
        hex("FF534D42 72 00000000 18 53C8 0000 0000000000000000 0000 FFFF FFFE 0000 0000 00 2200")
        + [2] + Array("NT LM 0.12\0".utf8) + [2] + Array("SMB 2.002\0".utf8) + [2]
        + Array("SMB 2.???\0".utf8).dropLast(0)

    @Test func smb1Negotiate() throws {
        let bytes = Self.smb1
        #expect(bytes.count == 32 + 3 + 34)
        let negotiate = try SMB1Negotiate(parsing: bytes.span.bytes)
        #expect(negotiate.offersSMB202 && negotiate.offersWildcard)
        assertEveryTruncationThrows(bytes) { s throws(WireError) in _ = try SMB1Negotiate(parsing: s) }

        var old = bytes
        old.replaceSubrange(33..<35, with: [12, 0])
        let neither = try SMB1Negotiate(parsing: old.span.bytes)
        #expect(!neither.offersSMB202 && !neither.offersWildcard)
    }

    @Test func errorResponses() throws {
        // 2.2.2: without data the structure is 9 bytes, one of them empty error data.
        let plain = message(5, hex("0900 00 00 00000000 00"), response: true)
        #expect(encoded(.create, response: true) { ErrorResponse().encode(into: &$0) } == plain)
        #expect(try ErrorResponse(parsing: plain.span.bytes) == ErrorResponse())

        let sized = ErrorResponse(requiredLength: 0x1234, dialect: .smb302)
        let bare = message(5, hex("0900 00 00 04000000 34120000"), response: true)
        #expect(encoded(.create, response: true) { sized.encode(into: &$0) } == bare)
        #expect(try ErrorResponse(parsing: bare.span.bytes) == sized)
        assertEveryTruncationThrows(bare) { s throws(WireError) in _ = try ErrorResponse(parsing: s) }

        let wrapped = ErrorResponse(requiredLength: 0x1234, dialect: .smb311)
        let context = message(5, hex("0900 01 00 0C000000 04000000 00000000 34120000"), response: true)
        #expect(encoded(.create, response: true) { wrapped.encode(into: &$0) } == context)
        #expect(try ErrorResponse(parsing: context.span.bytes) == wrapped)
        assertEveryTruncationThrows(context) { s throws(WireError) in _ = try ErrorResponse(parsing: s) }
    }

    @Test func symlinkErrors() throws {
        let golden =
            hex(
                """
                20000000 53594D4C 0C0000A0 1400 0600 ; lengths: 28+8-4, tag, reparse tag, 12+8, unparsed
                0000 0400 0400 0400 01000000
                """) + utf16("ab") + utf16("cd")
        let symlink = try SymlinkErrorData(parsing: golden.span.bytes)
        #expect(
            symlink
                == SymlinkErrorData(unparsedPathLength: 6, substituteName: "ab", printName: "cd", isRelative: true))
        #expect(written { symlink.encode(into: &$0) } == golden)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try SymlinkErrorData(parsing: s) }
    }
}
