import GoldenMessages
import Testing

@testable import SMB2Wire

@Suite struct DirectoryTests {
    static let entry: DirectoryEntry = {
        var entry = DirectoryEntry(
            fileIndex: 0, information: ResponseTests.information, eaSize: 0x77, fileID: 0x1122_3344, fileIDHigh: 0x55)
        entry.posix = POSIXTests.attributes
        entry.deviceID = 0x99
        return entry
    }()

    /// The fields every level but `names` starts with; EndOfFile before AllocationSize, other than in CREATE's response.
    static let common =
        "0101000000000000 0202000000000000 0303000000000000 0404000000000000 0505000000000000 0010000000000000 20000000"
    static let noShortName = "00 00 000000000000000000000000000000000000000000000000"

    static func golden(_ level: DirectoryInformationClass, next: UInt32, name: String) -> [UInt8] {
        let link = String(next.byteSwapped, radix: 16)
        let head = String(repeating: "0", count: 8 - link.count) + link + "00000000"
        let length = String(name.utf16.count * 2, radix: 16)
        let nameLength = String(repeating: "0", count: 2 - length.count) + length + "000000"
        let body =
            switch level {
            case .names: nameLength
            case .directory: common + nameLength
            case .fullDirectory: common + nameLength + "77000000"
            case .bothDirectory: common + nameLength + "77000000" + noShortName
            case .idBothDirectory: common + nameLength + "77000000" + noShortName + "0000 4433221100000000"
            case .idFullDirectory: common + nameLength + "77000000 00000000 4433221100000000"
            case .idExtendedDirectory:
                common + nameLength + "77000000 00000000 4433221100000000 5500000000000000"
            case .id64ExtendedDirectory: common + nameLength + "77000000 00000000 4433221100000000"
            case .id64ExtendedBothDirectory:
                common + nameLength + "77000000 00000000 4433221100000000" + noShortName
            case .idAllExtendedDirectory:
                common + nameLength
                    + "77000000 00000000 4433221100000000 4433221100000000 5500000000000000"
            case .idAllExtendedBothDirectory:
                common + nameLength
                    + "77000000 00000000 4433221100000000 4433221100000000 5500000000000000" + noShortName
            case .posix: common + "4433221100000000 99000000 00000000" + POSIXTests.attributeBytes + nameLength
            }
        return hex(head + body) + utf16(name)
    }

    /// What a client reads back from each level.
    static func expected(_ level: DirectoryInformationClass, _ name: String) -> ParsedDirectoryEntry {
        var entry = self.entry
        if level == .names {
            entry.information = NetworkOpenInformation(
                creationTime: .zero, lastAccessTime: .zero, lastWriteTime: .zero, changeTime: .zero,
                allocationSize: 0, endOfFile: 0, attributes: [])
        }
        if level == .names || level == .directory || level == .posix { entry.eaSize = 0 }
        if level != .posix { (entry.posix, entry.deviceID) = (nil, 0) }
        switch level {
        case .idExtendedDirectory, .idAllExtendedDirectory, .idAllExtendedBothDirectory: break
        case .idBothDirectory, .idFullDirectory, .id64ExtendedDirectory, .id64ExtendedBothDirectory, .posix:
            entry.fileIDHigh = 0
        default: (entry.fileID, entry.fileIDHigh) = (0, 0)
        }
        return ParsedDirectoryEntry(name: name, entry: entry)
    }

    private func append(
        _ name: String, _ list: inout DirectoryEntryWriter, _ writer: inout WireWriter
    ) -> DirectoryEntryWriter.Outcome {
        list.append(Self.entry, name: Array(name.utf8).span.bytes, into: &writer)
    }

    /// [MS-FSCC] 2.4.8, 2.4.17, 2.4.19, 2.4.20: ShortNameLength in bytes, then at most twelve units.
    @Test(arguments: [
        (DirectoryInformationClass.bothDirectory, 68), (.idBothDirectory, 68), (.id64ExtendedBothDirectory, 80),
        (.idAllExtendedBothDirectory, 96),
    ])
    func shortNames(level: DirectoryInformationClass, offset: Int) throws {
        var entry = Self.entry
        entry.shortName = Array("SOMEDO~1.TXT!".utf16)
        var writer = WireWriter()
        var list = DirectoryEntryWriter(level, limit: 1000, writer: writer)
        #expect(list.append(entry, utf16: [0x78], into: &writer) == .appended)
        #expect(Array(writer.bytes[offset..<offset + 26]) == [24, 0] + utf16("SOMEDO~1.TXT"))
        let parsed = try ParsedDirectoryEntry.parseList(writer.span, level)
        #expect(parsed.first?.entry.shortName == Array("SOMEDO~1.TXT".utf16))
        #expect(parsed.first?.name == "x")
    }

    @Test(arguments: DirectoryInformationClass.allCases)
    func everyLevel(level: DirectoryInformationClass) throws {
        let only = Self.golden(level, next: 0, name: "a.txt")
        let padded = (only.count + 7) & ~7
        let golden =
            Self.golden(level, next: UInt32(padded), name: "a.txt")
            + [UInt8](repeating: 0, count: padded - only.count) + Self.golden(level, next: 0, name: "Ünï")
        // Not at the writer's start: alignment is relative to the list's.
        var writer = WireWriter()
        writer.append(UInt32(7))
        var list = DirectoryEntryWriter(level, limit: golden.count, writer: writer)
        #expect(self.append("a.txt", &list, &writer) == .appended)
        #expect(self.append("Ünï", &list, &writer) == .appended)
        #expect(list.count == 2)
        #expect(Array(writer.bytes[4...]) == golden)
        let parsed = try golden.parsed { s throws(WireError) in try ParsedDirectoryEntry.parseList(s, level) }
        #expect(parsed == [Self.expected(level, "a.txt"), Self.expected(level, "Ünï")])
        assertEveryTruncationThrows(golden) { s throws(WireError) in
            guard s.byteCount > 0 else { throw .truncated("empty") }
            _ = try ParsedDirectoryEntry.parseList(s, level)
        }
        // Full: nothing is appended, not even padding, and the link stays 0.
        #expect(self.append("x", &list, &writer) == .full)
        #expect(writer.count == 4 + golden.count)
    }

    @Test(arguments: DirectoryInformationClass.allCases)
    func oneByteTooFewIsFull(level: DirectoryInformationClass) {
        let golden = Self.golden(level, next: 0, name: "a.txt")
        var writer = WireWriter()
        var list = DirectoryEntryWriter(level, limit: golden.count - 1, writer: writer)
        #expect(self.append("a.txt", &list, &writer) == .full)
        #expect(writer.count == 0)
    }

    @Test func aNameThatIsNoUTF8IsPassedOver() {
        var writer = WireWriter()
        var list = DirectoryEntryWriter(.names, limit: 1000, writer: writer)
        let bad: [UInt8] = [0x61, 0xFF]
        #expect(list.append(Self.entry, name: bad.span.bytes, into: &writer) == .unrepresentable)
        #expect(writer.count == 0)
        #expect(self.append("a.txt", &list, &writer) == .appended)
        #expect(writer.bytes == Self.golden(.names, next: 0, name: "a.txt"))
    }

    /// [MS-FSCC] 2.4.8: EaSize of a reparse point is its tag.
    @Test func reparsePointsShowTheirTag() throws {
        var entry = Self.entry
        entry.information.attributes = .reparsePoint
        entry.eaSize = 0
        entry.reparseTag = 0xA000_000C
        for level in [DirectoryInformationClass.idBothDirectory, .idExtendedDirectory] {
            var writer = WireWriter()
            var list = DirectoryEntryWriter(level, limit: 1000, writer: writer)
            #expect(list.append(entry, name: [0x61].span.bytes, into: &writer) == .appended)
            let bytes = writer.bytes
            let tagAt = level == .idBothDirectory ? 64 : 68
            #expect(Array(bytes[tagAt..<tagAt + 4]) == hex("0C0000A0"))
            let parsed = try bytes.parsed { s throws(WireError) in try ParsedDirectoryEntry.parseList(s, level) }
            #expect(parsed[0].entry.reparseTag == 0xA000_000C)
        }
    }
}
