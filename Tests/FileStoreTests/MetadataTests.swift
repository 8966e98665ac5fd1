import Glibc
import SMB2Wire
import Testing

@testable import FileStore

private func unhex(_ hex: String) -> [UInt8] {
    var result: [UInt8] = []
    var high: UInt8?
    for character in hex {
        guard let digit = character.hexDigitValue else { continue }
        if let first = high {
            result.append(first << 4 | UInt8(digit))
            high = nil
        } else {
            high = UInt8(digit)
        }
    }
    return result
}

/// A security descriptor from Samba: its header, and what follows the header.
private func plainHex() -> String {
    "010004801400000030000000000000004c000000010500000000000515000000010000000200000003000000e80300000105"
        + "000000000005150000000100000002000000030000000102000004001c000100000000031400ff010000010100000000000100000000"
}

private func tailHex() -> String {
    "010500000000000515000000010000000200000003000000e803000001050000000000051500000001000000020000000300"
        + "00000102000004001c000100000000031400ff010000010100000000000100000000"
}

private func attributes(in blob: [UInt8]) -> DOSAttributes? { DOSAttributes(parsing: blob.span.bytes) }

private func securityPieces(in blob: [UInt8]) throws -> SecurityPieces { try SecurityPieces(parsing: blob.span.bytes) }

private func mask(of entry: [UInt8]) -> UInt32 { entry.span.bytes.load(UInt32.self, at: 4) }

private func accessEntries(of pieces: SecurityPieces) throws -> [[UInt8]] {
    let list = try #require(pieces.dacl)
    return try #require(SecurityPieces.entries(list))
}

@Suite struct MetadataTests {
    /// Made by Samba 4.17's own NDR code.
    @Test(arguments: [
        "000004000400000011000000220000000000000000000000010000000000d901",
        "3078323200000400040000001100000022000000 0807060504030201 010000000000d901",
        "30783232000003000300000011000000220000000000000000000000000000000000000000000000010000000000d9010000000000000000",
        "00000500050000001100000022000000010000000000d901",
    ])
    func sambaAttributes(hex: String) throws {
        let blob = unhex(hex)
        let result = attributes(in: blob)
        let parsed = try #require(result)
        #expect(parsed.attributes == [.hidden, .archive])
        #expect(parsed.creationTime == FileTime(ticks: 0x01D9_0000_0000_0001))
        let needed = hex.contains("0300") && blob.count == 56 ? blob.count - 8 : blob.count
        for length in 0..<needed { #expect(attributes(in: Array(blob[..<length])) == nil) }
    }

    @Test func ourAttributesAreSambas() {
        let ours = DOSAttributes(attributes: [.hidden, .archive], creationTime: FileTime(ticks: 0x01D9_0000_0000_0001))
        #expect(ours.encoded == unhex("000004000400000011000000220000000000000000000000010000000000d901"))
    }

    /// Made by Samba 4.17's own NDR code, by version.
    @Test func sambaSecurity() throws {
        let plain = unhex(plainHex())
        let pieces = try SecurityPieces(parsing: plain.span.bytes)
        #expect(pieces.encoded().count == plain.count)
        let hash = String(repeating: "ab", count: 64)
        let version1 = unhex("0100010000000200" + "010004801c000000380000000000000054000000" + tailHex())
        let version2 = unhex(
            "0200020000000200 04000200" + String(repeating: "00", count: 16)
                + "01000480300000004c0000000000000068000000" + tailHex())
        let version3 = unhex(
            "0300030000000200 04000200 0100" + hash + "0000" + "010004806400000080000000000000009c000000" + tailHex())
        let version4 = unhex(
            "0400040000000200 04000200 0100" + hash + "706f7369785f61636c00 010000000000d901" + hash
                + "01000480b4000000d000000000000000ec000000" + tailHex())
        for blob in [version1, version2, version3, version4] {
            let start = try #require(SecurityStore.descriptorOffset(blob))
            let read = try SecurityPieces(
                parsing: blob.span.bytes.extracting(start..<blob.count), offsetsFromBefore: start)
            #expect(read == pieces)
        }
        #expect(SecurityStore.encode(pieces).count == version1.count)
        let written = SecurityStore.encode(pieces)
        #expect(written[..<8] == version1[..<8])
        #expect(
            try SecurityPieces(parsing: written.span.bytes.extracting(8..<written.count), offsetsFromBefore: 8)
                == pieces)
        for length in 0..<plain.count {
            #expect(throws: FileError.self) { try securityPieces(in: Array(plain[..<length])) }
        }
    }

    @Test func securityIsKept() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        let first = try securityPieces(in: try file.securityDescriptor())
        #expect(first.dacl != nil && first.owner == SID(host: getuid()).bytes)
        try file.setSecurityDescriptor(unhex(plainHex()), parts: [.dacl, .owner])
        let pieces = try securityPieces(in: try file.securityDescriptor())
        let wanted = try SecurityPieces(parsing: unhex(plainHex()).span.bytes)
        #expect(pieces.owner == wanted.owner)
        #expect(pieces.dacl == wanted.dacl)
        #expect(pieces.group == first.group)
        let onlyOwner = try securityPieces(in: try file.securityDescriptor(.owner))
        #expect(onlyOwner.owner == wanted.owner && onlyOwner.dacl == nil && onlyOwner.group == nil)
        #expect(scratch.status { try file.setSecurityDescriptor([1, 2, 3], parts: .dacl) } == .invalidSecurityDescr)
    }

    /// READ_CONTROL, which anybody has, is enough to ask for the label: [MS-FSA] 2.1.5.14. What is audited stands beside it.
    @Test func aLabelIsToldWithoutTheAuditList() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        let audit = ACE(kind: .systemAudit, flags: .failedAccess, mask: .fileAll, sid: .everyone)
        // Medium integrity, S-1-16-8192.
        let label = ACE(kind: .systemMandatoryLabel, mask: .readData, sid: SID(16, [8192]))
        func sacl(_ parts: SecurityParts) throws -> [ACE]? {
            let bytes = try file.securityDescriptor(parts)
            let told = try SecurityDescriptor(parsing: bytes.span.bytes)
            #expect(told.control.contains(.saclPresent) == (told.sacl != nil))
            #expect(told.dacl == nil)
            return told.sacl?.entries
        }
        func set(_ entries: [ACE]) throws {
            var writer = WireWriter()
            SecurityDescriptor(owner: nil, group: nil, sacl: ACL(entries: entries), dacl: nil).encode(into: &writer)
            try file.setSecurityDescriptor(writer.bytes, parts: .sacl)
        }
        #expect(try sacl(.label) == nil)
        try set([audit, label, audit])
        #expect(try sacl(.label) == [label])
        #expect(try sacl([.label, .owner]) == [label])
        #expect(try sacl(.sacl) == [audit, label, audit])
        #expect(try sacl([.sacl, .label]) == [audit, label, audit])
        #expect(try sacl(.owner) == nil)
        try set([audit])
        #expect(try sacl(.label) == nil)
        #expect(try sacl(.sacl) == [audit])
    }

    /// What others made, without a descriptor, has what it would have inherited here; the root's default reaches all.
    @Test func whatHasNoSecurityInherits() throws {
        let scratch = try Scratch()
        let directory = try scratch.open("d", .create, options: .directoryFile).file
        #expect(mkdir("\(scratch.path)/d/sub", 0o755) == 0)
        scratch.write("d/sub/f")
        let file = try scratch.open("d\\sub\\f").file
        let everyone = ACE(kind: .accessAllowed, flags: .inherited, mask: .fileAll, sid: .everyone)
        #expect(try file.securityInForce().dacl?.entries == [everyone])
        let owner = SID(host: getuid())
        #expect(try file.securityInForce().owner == owner)

        let flags: ACE.Flags = [.objectInherit, .containerInherit]
        let own = SecurityDescriptor(
            control: .daclPresent, owner: owner, group: nil,
            dacl: ACL(entries: [
                ACE(kind: .accessAllowed, flags: flags, mask: .genericRead, sid: .users),
                ACE(kind: .accessAllowed, flags: flags, mask: .genericAll, sid: .creatorOwner),
                ACE(kind: .accessAllowed, mask: .fileAll, sid: .everyone),
            ]))
        var bytes = WireWriter()
        own.encode(into: &bytes)
        // A directory's change is seen at once.
        try directory.setSecurityDescriptor(bytes.bytes, parts: .dacl)
        #expect(
            try file.securityInForce().dacl?.entries == [
                ACE(kind: .accessAllowed, mask: .fileGenericRead, sid: .users),
                ACE(kind: .accessAllowed, mask: .fileAll, sid: owner),
            ])
        #expect(try file.directorySecurity()?.dacl?.entries.count == 4)
        // Nobody gave it one of its own meanwhile.
        #expect(try SecurityStore.read(file.descriptor) == nil)
    }

    /// What is no descriptor opens the file to nobody but those who can repair it.
    @Test func damagedSecurityGrantsNothing() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        try XAttr.set(file.descriptor, SecurityStore.name, [1, 0, 1, 0, 0, 0, 2, 0, 9, 9, 9])
        let security = try file.securityInForce()
        #expect(security.dacl?.entries == [])
        #expect(security.control.contains(.daclPresent))
        #expect(security.owner == .administrators)
    }

    /// An entry grows when its creator is put in, and on a directory becomes two.
    @Test(arguments: [(false, 2730), (true, 1489)])
    func whatIsTooMuchToInheritGrantsNothing(isDirectory: Bool, longest: Int) throws {
        let entry = ACE(
            kind: .accessAllowed, flags: [.objectInherit, .containerInherit], mask: .fileAll, sid: .creatorOwner)
        func child(of count: Int) -> SecurityDescriptor {
            let parent = SecurityDescriptor(
                owner: nil, group: nil, dacl: ACL(entries: [ACE](repeating: entry, count: count)))
            return .inherited(
                from: parent, owner: .unixUser(1000), group: .unixGroup(1000), isDirectory: isDirectory)
        }
        for (count, grants) in [(longest, true), (longest + 1, false), (3200, false)] {
            let made = child(of: count)
            #expect(made.dacl?.entries.isEmpty != grants)
            #expect(made.control.contains(.daclPresent))
            #expect(made.owner == (grants ? .unixUser(1000) : .administrators))
            // It is what it is told as.
            let told = try SecurityPieces(made).descriptor()
            #expect(told.dacl == made.dacl)
        }
    }

    @Test func posixModesAsSecurity() throws {
        let scratch = try Scratch { $0.defaultSecurity = .posixMode }
        scratch.write("f")
        #expect(chmod("\(scratch.path)/f", 0o640) == 0)
        let pieces = try securityPieces(in: try scratch.open("f", access: []).file.securityDescriptor())
        let entries = try accessEntries(of: pieces)
        #expect(entries.count == 2)
        #expect(mask(of: entries[1]) == AccessMask.fileGenericRead.rawValue)
    }

    @Test func attributesAndTimes() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        var basic = BasicInformation()
        basic.attributes = [.hidden, .system]
        basic.creationTime = FileTime(unixSeconds: 1_000_000_000, nanoseconds: 123_456_700)
        basic.lastWriteTime = FileTime(unixSeconds: 1_100_000_000, nanoseconds: 999_999_900)
        basic.lastAccessTime = FileTime(unixSeconds: -1000, nanoseconds: 500)
        try file.set(basic)
        let information = try file.information()
        #expect(information.attributes == [.hidden, .system])
        #expect(information.creationTime == basic.creationTime)
        #expect(information.lastWriteTime == basic.lastWriteTime)
        #expect(information.lastAccessTime == basic.lastAccessTime)
        // A time that was set stays while this handle is open, whatever is written through it.
        try file.write("more")
        #expect(try file.information().lastWriteTime == basic.lastWriteTime)
        do {
            let second = try scratch.open("f").file
            var later = BasicInformation()
            later.lastWriteTime = FileTime(unixSeconds: 1_200_000_000, nanoseconds: 0)
            try second.set(later)
            try second.write("more")
            #expect(try file.information().lastWriteTime == later.lastWriteTime)
            later.lastWriteTime = basic.lastWriteTime
            try second.set(later)
            try second.write("more")
        }
        // The handle that went has put back what it set.
        #expect(try scratch.open("f").information.lastWriteTime == basic.lastWriteTime)
        var resume = BasicInformation()
        resume.lastWriteTime = .resumeUpdates
        try file.set(resume)
        try file.write("most")
        #expect(try file.information().lastWriteTime > basic.lastWriteTime)
        var normal = BasicInformation()
        normal.attributes = .normal
        try file.set(normal)
        #expect(try file.information().attributes == .normal)
        #expect(try file.information().creationTime == basic.creationTime)
        var wrong = BasicInformation()
        wrong.attributes = .directory
        #expect(scratch.status { try file.set(wrong) } == .invalidParameter)
        try file.setSparse(true)
        #expect(try file.information().attributes == .sparseFile)
        try file.set(basic)
        #expect(try file.information().attributes == [.sparseFile, .hidden, .system])
        let entry = try scratch.volume.lookup(try NTPath("F"))
        #expect(entry?.information.attributes == [.sparseFile, .hidden, .system])
        #expect(entry?.identity == file.identity)
    }

    @Test func streams() throws {
        let scratch = try Scratch()
        let made = try scratch.open("f:Zone.Identifier", .create)
        #expect(made.action == .created && made.file.isStream)
        try made.file.write("[ZoneTransfer]")
        try made.file.write("!", at: 20)
        #expect(try made.file.text() == "[ZoneTransfer]\0\0\0\0\0\0!")
        try made.file.setEndOfFile(14)
        let again = try scratch.open("F:zone.identifier:$DATA")
        #expect(try again.file.text() == "[ZoneTransfer]")
        #expect(again.information.endOfFile == 14)
        let base = try scratch.open("f").file
        try base.write("base")
        #expect(
            try base.streams().map { "\($0.name) \($0.size)" } == ["::$DATA 4", ":Zone.Identifier:$DATA 14"])
        #expect(scratch.status("f:none") == .objectNameNotFound)
        #expect(scratch.status("f:ZONE.identifier", .create) == .objectNameCollision)
        #expect(try base.extendedAttributes().isEmpty)
        // As Samba's vfs_streams_xattr: the contents and one NUL.
        let stored = try XAttr.get(base.handle.number, Array("user.DosStream.Zone.Identifier:$DATA".utf8))
        #expect(stored == Array("[ZoneTransfer]\0".utf8))
        let request = try scratch.request("f:Zone.Identifier", .overwriteIf)
        let over = try scratch.volume.open(request)
        #expect(over.needsOverwrite)
        #expect(try scratch.volume.overwrite(over.file, request).endOfFile == 0)
        try scratch.volume.delete(over.file)
        #expect(try base.streams().count == 1)
        #expect(try base.text() == "base")
        // A directory has streams too, and no data of its own.
        try scratch.open("d", .create, options: .directoryFile)
        try scratch.open("d:s", .create).file.write("x")
        #expect(try scratch.open("d", access: []).file.streams().map(\.name) == [":s:$DATA"])
        // Overwriting the file takes its streams along.
        try scratch.open("f:two", .create)
        let whole = try scratch.request("f", .overwrite)
        try scratch.volume.overwrite(try scratch.volume.open(whole).file, whole)
        #expect(try base.streams().count == 1)
    }

    @Test func streamsSurviveByIdentity() throws {
        let scratch = try Scratch()
        let made = try scratch.open("f:s", .create).file
        try made.write("text")
        let file = try scratch.volume.reopen(made.identity, path: try NTPath("f:S"), access: [.readData])
        #expect(try file.text() == "text")
        #expect(
            scratch.status { _ = try scratch.volume.reopen(made.identity, path: try NTPath("f:x"), access: []) }
                == .objectNameNotFound)
    }

    @Test func extendedAttributes() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        try file.setExtendedAttributes([
            ExtendedAttribute(name: Array("One".utf8), value: [1]),
            ExtendedAttribute(name: Array("two".utf8), value: [2, 2]),
        ])
        try file.setExtendedAttributes([
            ExtendedAttribute(name: Array("ONE".utf8), value: [9]),
            ExtendedAttribute(name: Array("TWO".utf8), value: []),
        ])
        #expect(try file.extendedAttributes() == [ExtendedAttribute(name: Array("One".utf8), value: [9])])
        func set(_ name: String) -> NTStatus {
            scratch.status {
                try file.setExtendedAttributes([ExtendedAttribute(name: Array(name.utf8), value: [1])])
            }
        }
        for name in ["", String(repeating: "x", count: 255), "a\0b"] { #expect(set(name) == .invalidEaName) }
        // smbtorture's smb2.ea.acl_xattr.
        for name in ["DOSATTRIB", "DosStream.x:$DATA", "bigSTREAM.x:$DATA"] { #expect(set(name) == .accessDenied) }
    }

    /// No more is read than can be told: with the first that does not fit it ends.
    @Test func extendedAttributesUpToALimit() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        func attribute(_ name: String, _ byte: UInt8) -> FileStore.ExtendedAttribute {
            FileStore.ExtendedAttribute(
                name: Array(name.utf8), value: [UInt8](repeating: byte, count: byte == 0 ? 0 : 100))
        }
        try file.setExtendedAttributes([attribute("a", 1), attribute("b", 2), attribute("c", 3)])
        // 110 bytes each.
        let all = try file.extendedAttributes()
        #expect(all.count == 3)
        #expect(try file.extendedAttributes(limit: 330) == all)
        #expect(try file.extendedAttributes(limit: 219) == Array(all[..<2]))
        #expect(try file.extendedAttributes(limit: 0) == Array(all[..<1]))
        let names = ["C", "x", "a"].map { Array($0.utf8) }
        let asked = [attribute("C", 3), attribute("x", 0), attribute("a", 1)]
        #expect(try file.extendedAttributes(named: names) == asked)
        #expect(try file.extendedAttributes(named: names, limit: 109) == Array(asked[..<1]))
        #expect(try file.extendedAttributes(named: names, limit: 115) == Array(asked[..<2]))
    }
}
