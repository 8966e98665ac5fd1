import GoldenMessages
import Testing

@testable import SMB2Wire

/// Apple's AAPL context and directory attributes; the answer is the example of Apple's Time Machine specification, extended.
@Suite struct AppleTests {
    @Test func request() throws {
        let golden = hex(
            "00000000 1000 0400 0000 1800 18000000 4141504C 00000000 01000000 00000000 0700000000000000 0F00000000000000"
        )
        var contexts = CreateContexts()
        contexts.apple = .serverQuery(
            [.serverCapabilities, .volumeCapabilities, .model],
            clientCapabilities: [.readDirectoryAttributes, .copyFile, .unixBased, .nfsEntries])
        var writer = WireWriter()
        contexts.encode(into: &writer, extendedAttributes: [], securityDescriptor: [])
        #expect(writer.bytes == golden)
        #expect(
            try golden.parsed { s throws(WireError) in try CreateContexts(parsing: s, in: 0..<golden.count) }
                == contexts)
        // Bytes that are too few for a query are none.
        let data = hex("01000000 00000000 0700000000000000 0F00000000000000")
        for length in 0..<data.count {
            #expect(throws: WireError.self) {
                try Array(data[..<length]).parsed { s throws(WireError) in try AppleRequest(data: s) }
            }
        }
    }

    @Test func response() throws {
        let answer = AppleResponse(
            serverCapabilities: [.readDirectoryAttributes, .copyFile, .unixBased], volumeCapabilities: .fullSync,
            model: "RackMac")
        let golden =
            hex("0100000000000000 0700000000000000 0700000000000000 0400000000000000 00000000 0E000000")
            + utf16("RackMac")
        #expect(written { answer.encode(into: &$0) } == golden)
        #expect(try golden.parsed(AppleResponse.init(parsing:)) == answer)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try AppleResponse(parsing: s) }
        // Only what was asked for.
        let short = hex("0100000000000000 0200000000000000 0000000000000000")
        #expect(written { AppleResponse(volumeCapabilities: []).encode(into: &$0) } == short)

        var contexts = CreateResponseContexts()
        contexts.apple = answer
        let response = CreateResponse(
            oplockLevel: .none, action: .opened, information: ResponseTests.information, fileID: ResponseTests.fileID,
            contexts: contexts)
        let message = encoded(.create, response: true) { response.encode(into: &$0) }
        #expect(try message.parsed(CreateResponse.init(parsing:)) == response)
    }

    @Test func directoryAttributes() throws {
        var finderInfo = [UInt8](repeating: 0, count: 32)
        finderInfo.replaceSubrange(0..<10, with: Array("TEXTttxt".utf8) + [0x40, 0x01])
        finderInfo[24] = 0x80
        let created = FileTime(unixSeconds: 946_684_800 + 0x0102_0304, nanoseconds: 0)
        let compressed = AppleDirectoryAttributes.compress(
            finderInfo: finderInfo, isDirectory: false, created: created)
        #expect(compressed == Array("TEXTttxt".utf8) + hex("4001 8000 01020304"))
        #expect(
            AppleDirectoryAttributes.compress(finderInfo: nil, isDirectory: true, created: created)
                == hex("0000000000000000 0000 0000 01020304"))

        var entry = DirectoryTests.entry
        let apple = AppleDirectoryAttributes(
            maximalAccess: .fileAll, resourceForkSize: 0x0102, finderInfo: compressed)
        entry.apple = apple
        var writer = WireWriter()
        var list = DirectoryEntryWriter(.idBothDirectory, limit: 1000, writer: writer)
        #expect(list.append(entry, name: [0x61].span.bytes, into: &writer) == .appended)
        let bytes = writer.bytes
        #expect(
            Array(bytes[64..<96])
                == hex("FF011F00 18 00 0201000000000000") + compressed + [0, 0])
        #expect(AppleDirectoryAttributes(loading: bytes.span.bytes, at: 0) == apple)
        // The other levels have no room for them.
        var plain = WireWriter()
        var other = DirectoryEntryWriter(.bothDirectory, limit: 1000, writer: plain)
        #expect(other.append(entry, name: [0x61].span.bytes, into: &plain) == .appended)
        #expect(Array(plain.bytes[68..<94]) == [UInt8](repeating: 0, count: 26))
    }
}
