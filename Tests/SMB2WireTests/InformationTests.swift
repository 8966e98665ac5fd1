import GoldenMessages
import Testing

@testable import SMB2Wire

/// Golden bytes, round trips and truncations of the information levels of [MS-FSCC] 2.4 and 2.5.
@Suite struct InformationTests {
    /// `encode` gives `golden`, `parse` gives `value` back, and every prefix is refused.
    private func check<T: Equatable>(
        _ value: T, _ golden: [UInt8], upTo: Int? = nil, encode: (T, inout WireWriter) -> Void,
        parse: (RawSpan) throws(WireError) -> T, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(written { encode(value, &$0) } == golden, sourceLocation: sourceLocation)
        #expect(try golden.parsed(parse) == value, sourceLocation: sourceLocation)
        assertEveryTruncationThrows(golden, upTo: upTo, sourceLocation: sourceLocation) { s throws(WireError) in
            _ = try parse(s)
        }
    }

    static let basic = BasicInformation(
        creationTime: FileTime(ticks: 1), lastAccessTime: FileTime(ticks: 2), lastWriteTime: FileTime(ticks: 3),
        changeTime: FileTime(ticks: 4), attributes: [.readOnly, .archive])
    static let basicBytes = hex("0100000000000000 0200000000000000 0300000000000000 0400000000000000 21000000 00000000")
    static let standard = StandardInformation(
        allocationSize: 4096, endOfFile: 5, numberOfLinks: 1, deletePending: true, isDirectory: false)
    static let standardBytes = hex("0010000000000000 0500000000000000 01000000 01 00 0000")

    @Test func fixedClasses() throws {
        try self.check(
            Self.basic, Self.basicBytes, encode: { $0.encode(into: &$1) }, parse: BasicInformation.init(parsing:))
        try self.check(
            Self.standard, Self.standardBytes, encode: { $0.encode(into: &$1) },
            parse: StandardInformation.init(parsing:))
        try self.check(
            ResponseTests.information, hex(ResponseTests.informationBytes + "00000000"),
            encode: { $0.encode(into: &$1) }, parse: NetworkOpenInformation.init(parsing:))
        try self.check(
            Information64(0x0102), hex("0201000000000000"), encode: { $0.encode(into: &$1) },
            parse: Information64.init(parsing:))
        try self.check(
            Information32(0x0102), hex("02010000"), encode: { $0.encode(into: &$1) },
            parse: Information32.init(parsing:))
        try self.check(
            DispositionInformation(flags: .delete), hex("01"), encode: { $0.encode(into: &$1) },
            parse: DispositionInformation.init(parsing:))
        try self.check(
            DispositionInformation(flags: [.delete, .posixSemantics, .ignoreReadOnly]), hex("13000000"),
            encode: { $0.encodeEx(into: &$1) }, parse: DispositionInformation.init(parsingEx:))
        try self.check(
            CompressionInformation(compressedFileSize: 9, format: 2, unitShift: 3, chunkShift: 4, clusterShift: 5),
            hex("0900000000000000 0200 03 04 05 000000"), encode: { $0.encode(into: &$1) },
            parse: CompressionInformation.init(parsing:))
        try self.check(
            AttributeTagInformation(attributes: [.reparsePoint], reparseTag: 0xA000_000C), hex("00040000 0C0000A0"),
            encode: { $0.encode(into: &$1) }, parse: AttributeTagInformation.init(parsing:))
        try self.check(
            IDInformation(volumeSerialNumber: 1, fileIDLow: 2, fileIDHigh: 3),
            hex("0100000000000000 0200000000000000 0300000000000000"), encode: { $0.encode(into: &$1) },
            parse: IDInformation.init(parsing:))
    }

    @Test func names() throws {
        try self.check(
            NameInformation(#"\a"#), hex("04000000 5C00 6100"), encode: { $0.encode(into: &$1) },
            parse: NameInformation.init(parsing:))
        let all = AllInformation(
            basic: Self.basic, standard: Self.standard, indexNumber: 7, eaSize: 8, access: .fileGenericRead,
            position: 9, mode: 10, alignment: 11, name: #"\f"#)
        try self.check(
            all,
            Self.basicBytes + Self.standardBytes
                + hex(
                    "0700000000000000 08000000 89001200 0900000000000000 0A000000 0B000000 04000000 5C00 6600"),
            encode: { $0.encode(into: &$1) }, parse: AllInformation.init(parsing:))
    }

    @Test func renames() throws {
        // Fewer than 24 bytes are padded to them, [MS-SMB2] 2.2.39.
        let short = hex("00 00000000000000 0000000000000000 02000000 6100 0000")
        let rename = try short.parsed { s throws(WireError) in try RenameInformation(parsing: s) }
        #expect(!rename.replaceIfExists)
        #expect(rename.name == 20..<22)
        #expect(written { rename.encode(into: &$0, name: "a") } == short)
        assertEveryTruncationThrows(short, upTo: 22) { s throws(WireError) in _ = try RenameInformation(parsing: s) }
        // 2.4.43.3: the Ex form has flags in the same place.
        let ex = hex("43000000 00000000 0000000000000000 02000000 6100")
        let flags = try ex.parsed { s throws(WireError) in try RenameInformation(parsing: s, isEx: true).flags }
        #expect(flags == 0x43)
    }

    @Test func streams() throws {
        let streams = [
            StreamInformation(name: "::$DATA", size: 5, allocationSize: 4096),
            StreamInformation(name: ":a:$DATA", size: 1, allocationSize: 8),
        ]
        let golden =
            hex("28000000 0E000000 0500000000000000 0010000000000000") + utf16("::$DATA") + [0, 0]
            + hex("00000000 10000000 0100000000000000 0800000000000000") + utf16(":a:$DATA")
        var whole = WireWriter()
        #expect(StreamInformation.encode(streams, into: &whole, limit: golden.count))
        #expect(whole.bytes == golden)
        #expect(try golden.parsed(StreamInformation.parseList) == streams)
        assertEveryTruncationThrows(golden) { s throws(WireError) in
            guard s.byteCount > 0 else { throw .truncated("empty") }
            _ = try StreamInformation.parseList(s)
        }
        // One byte too few: the first alone, and the caller is told.
        var one = WireWriter()
        #expect(!StreamInformation.encode(streams, into: &one, limit: golden.count - 1))
        #expect(try one.bytes.parsed(StreamInformation.parseList) == [streams[0]])
    }

    @Test func extendedAttributes() throws {
        let entries = [
            ExtendedAttribute(name: Array("AB".utf8), value: [1, 2, 3]),
            ExtendedAttribute(flags: ExtendedAttribute.needFlag, name: Array("C".utf8), value: []),
        ]
        let golden = hex("10000000 00 02 0300 414200 010203 0000 00000000 80 01 0000 4300")
        #expect(written { ExtendedAttribute.encode(entries, into: &$0) } == golden)
        #expect(try golden.parsed(ExtendedAttribute.parseList) == entries)
        assertEveryTruncationThrows(golden) { s throws(WireError) in
            guard s.byteCount > 0 else { throw .truncated("empty") }
            _ = try ExtendedAttribute.parseList(s)
        }
        var writer = WireWriter()
        #expect(ExtendedAttribute.encode(entries, into: &writer, limit: golden.count - 1) == 1)
        #expect(writer.count == 14)

        let names = hex("08000000 02 4142 00 00000000 01 43 00")
        #expect(try names.parsed(ExtendedAttribute.parseNameList) == [Array("AB".utf8), Array("C".utf8)])
        #expect(
            written { ExtendedAttribute.encodeNames([Array("AB".utf8), Array("C".utf8)], into: &$0) } == names)
        assertEveryTruncationThrows(names) { s throws(WireError) in
            guard s.byteCount > 0 else { throw .truncated("empty") }
            _ = try ExtendedAttribute.parseNameList(s)
        }
    }

    @Test(arguments: ["00000000 00 00 0000 00", "00000000 00 01 0000 41 41", "06000000 00 01 0000 4100 0000 0000"])
    func malformedExtendedAttributesAreRefused(text: String) {
        #expect(throws: WireError.self) { try hex(text).parsed(ExtendedAttribute.parseList) }
    }

    @Test func fileSystemClasses() throws {
        try self.check(
            VolumeInformation(creationTime: FileTime(ticks: 1), serialNumber: 0x1234_5678, label: "v"),
            hex("0100000000000000 78563412 02000000 00 00 7600"), encode: { $0.encode(into: &$1) },
            parse: VolumeInformation.init(parsing:))
        try self.check(
            VolumeSizeInformation(
                totalAllocationUnits: 100, availableAllocationUnits: 50, sectorsPerAllocationUnit: 8,
                bytesPerSector: 512), hex("6400000000000000 3200000000000000 08000000 00020000"),
            encode: { $0.encode(into: &$1) }, parse: VolumeSizeInformation.init(parsing:))
        try self.check(
            VolumeFullSizeInformation(
                totalAllocationUnits: 100, callerAvailableAllocationUnits: 40, actualAvailableAllocationUnits: 50,
                sectorsPerAllocationUnit: 8, bytesPerSector: 512),
            hex("6400000000000000 2800000000000000 3200000000000000 08000000 00020000"),
            encode: { $0.encode(into: &$1) }, parse: VolumeFullSizeInformation.init(parsing:))
        try self.check(
            DeviceInformation(deviceType: DeviceInformation.disk, characteristics: DeviceInformation.isMounted),
            hex("07000000 20000000"), encode: { $0.encode(into: &$1) }, parse: DeviceInformation.init(parsing:))
        try self.check(
            VolumeAttributeInformation(
                attributes: [.casePreservedNames, .unicodeOnDisk, .persistentACLs], maximumComponentNameLength: 255,
                fileSystemName: "NTFS"), hex("0E000000 FF000000 08000000 4E00 5400 4600 5300"),
            encode: { $0.encode(into: &$1) }, parse: VolumeAttributeInformation.init(parsing:))
        try self.check(
            VolumeControlInformation.unlimited,
            [UInt8](repeating: 0, count: 24) + [UInt8](repeating: 0xFF, count: 16) + [UInt8](repeating: 0, count: 8),
            encode: { $0.encode(into: &$1) }, parse: VolumeControlInformation.init(parsing:))
        try self.check(
            VolumeObjectIDInformation(objectID: RequestTests.clientGUID),
            hex("00112233445566778899AABBCCDDEEFF") + [UInt8](repeating: 0, count: 48),
            encode: { $0.encode(into: &$1) }, parse: VolumeObjectIDInformation.init(parsing:))
        try self.check(
            SectorSizeInformation(logicalBytesPerSector: 512, physicalBytesPerSector: 4096),
            hex("00020000 00100000 00100000 00100000 03000000 00000000 00000000"),
            encode: { $0.encode(into: &$1) }, parse: SectorSizeInformation.init(parsing:))
    }

    /// What INFO_LENGTH_MISMATCH is decided by is what the encoders write.
    @Test func fixedLengthsAgreeWithTheEncoders() {
        #expect(FileInformationClass.basic.fixedByteCount == Self.basicBytes.count)
        #expect(FileInformationClass.standard.fixedByteCount == Self.standardBytes.count)
        #expect(FileInformationClass.networkOpen.fixedByteCount == 56)
        #expect(FileInformationClass.all.fixedByteCount == 104)
        #expect(FileSystemInformationClass.size.fixedByteCount == 24)
        #expect(FileSystemInformationClass.fullSize.fixedByteCount == 32)
        #expect(FileSystemInformationClass.sectorSize.fixedByteCount == 28)
    }
}
