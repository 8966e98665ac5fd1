import GoldenMessages
import Testing

@testable import SMB2Wire

/// The structures of the POSIX extensions, as Samba 4.22 and the Linux client lay them out.
@Suite struct POSIXTests {
    /// drwxr-x--T of uid 1000, which is nobody's in particular, and a group of the domain's.
    static let attributes = POSIXAttributes(
        linkCount: 2, reparseTag: 0, mode: 0o041750, owner: .unixUser(1000), group: SID(5, [21, 1, 2, 3, 513]))
    /// Directory is type 1, above twelve bits of permissions.
    static let attributeBytes =
        "02000000 00000000 E8130000 0102000000000016 01000000 E8030000"
        + "0105000000000005 15000000 01000000 02000000 03000000 01020000"

    @Test func createContexts() throws {
        let golden = hex(Self.attributeBytes)
        #expect(written { Self.attributes.encode(into: &$0) } == golden)
        #expect(Self.attributes.byteCount == golden.count)
        #expect(try golden.parsed(POSIXAttributes.init(parsing:)) == Self.attributes)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try POSIXAttributes(parsing: s) }

        var contexts = CreateResponseContexts()
        contexts.posix = Self.attributes
        let response = CreateResponse(
            oplockLevel: .none, action: .opened, information: ResponseTests.information, fileID: ResponseTests.fileID,
            contexts: contexts)
        let message = encoded(.create, response: true) { response.encode(into: &$0) }
        #expect(
            Array(message.suffix(88)) == hex("00000000 1000 1000 0000 2000 38000000 93AD25509CB411E7B42383DE968BCD7C")
                + golden)
        #expect(try message.parsed(CreateResponse.init(parsing:)) == response)

        var request = CreateContexts()
        request.posix = POSIXCreateRequest(mode: 0o755)
        var writer = WireWriter()
        request.encode(into: &writer, extendedAttributes: [], securityDescriptor: [])
        #expect(
            writer.bytes == hex("00000000 1000 1000 0000 2000 04000000 93AD25509CB411E7B42383DE968BCD7C ED010000"))
        let bytes = writer.bytes
        #expect(
            try bytes.parsed { s throws(WireError) in try CreateContexts(parsing: s, in: 0..<bytes.count) } == request)
    }

    /// A mode of other than four bytes says nothing that could be carried out.
    @Test func aModeOfAnotherLengthIsRefused() {
        let bytes = hex("00000000 1000 1000 0000 2000 03000000 93AD25509CB411E7B42383DE968BCD7C ED0100")
        #expect(throws: WireError.self) {
            try bytes.parsed { s throws(WireError) in try CreateContexts(parsing: s, in: 0..<bytes.count) }
        }
    }

    @Test func theNegotiateContextNamesTheExtensions() {
        #expect(POSIXExtensions.negotiateData == hex("93AD25509CB411E7B42383DE968BCD7C"))
    }

    @Test(
        arguments: [
            (0o100644, 0x0000_01A4), (0o040755, 0x0000_11ED), (0o120777, 0x0000_21FF), (0o020600, 0x0000_3180),
            (0o060600, 0x0000_4180), (0o010600, 0x0000_5180), (0o140755, 0x0000_61ED), (0o104755, 0x0000_09ED),
        ] as [(UInt32, UInt32)])
    func typesHaveTheirOwnNumbers(mode: UInt32, wire: UInt32) {
        #expect(POSIXAttributes.wire(mode: mode) == wire)
        #expect(POSIXAttributes.mode(wire: wire) == mode)
    }

    @Test func anUnknownTypeIsAFile() { #expect(POSIXAttributes.mode(wire: 0xF1A4) == 0o100644) }

    @Test func fileInformation() throws {
        let value = POSIXInformation(
            information: ResponseTests.information, fileID: 0x1122_3344, deviceID: 0x99, attributes: Self.attributes)
        // EndOfFile before AllocationSize, as in directories.
        let golden = hex(DirectoryTests.common + "4433221100000000 99000000 00000000" + Self.attributeBytes)
        #expect(written { value.encode(into: &$0) } == golden)
        #expect(value.byteCount == golden.count)
        #expect(try golden.parsed(POSIXInformation.init(parsing:)) == value)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try POSIXInformation(parsing: s) }
    }

    @Test func volumeInformation() throws {
        let value = POSIXVolumeInformation(
            optimalTransferSize: 1, blockSize: 2, totalBlocks: 3, freeBlocks: 4, availableBlocks: 5, totalNodes: 6,
            freeNodes: 7, fileSystemID: 8)
        let golden = hex(
            "01000000 02000000 0300000000000000 0400000000000000 0500000000000000 0600000000000000"
                + "0700000000000000 0800000000000000")
        #expect(written { value.encode(into: &$0) } == golden)
        #expect(try golden.parsed(POSIXVolumeInformation.init(parsing:)) == value)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try POSIXVolumeInformation(parsing: s) }
    }

    @Test func whatWindowsReservesIsMappedAndBack() {
        #expect(POSIXNames.mapped(path: "a:b/c*?. /e.") == "a\u{F022}b\\c\u{F021}\u{F025}.\u{F028}\\e\u{F029}")
        #expect(POSIXNames.mapped(path: "\u{1}<>|\"") == "\u{F001}\u{F023}\u{F024}\u{F027}\u{F020}")
        #expect(POSIXNames.mapped(path: "plain/Ünï code") == "plain\\Ünï code")
        #expect(POSIXNames.mapped(path: "back\\slash/x") == "back\u{F026}slash\\x", "only a slash separates")
        // These two are no names, and must not become some.
        #expect(POSIXNames.mapped(path: "a/../.") == "a\\..\\.")
        #expect(POSIXNames.mapped(path: "...") == "..\u{F029}")
        #expect(POSIXNames.mapped(path: "") == "")
        let shown = Array("a\u{F022}b\u{F026}\u{F028}\u{F080}".utf16)
        #expect(POSIXNames.unmapped(shown) == Array("a:b\\ \u{F080}".utf16))
    }
}
