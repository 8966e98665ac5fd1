import SMB2Wire
import Testing

@testable import FileStore

@Suite struct NameTests {
    private func status(_ path: String) -> NTStatus {
        do {
            _ = try NTPath(path)
            return .success
        } catch {
            return error.status
        }
    }

    @Test(arguments: [
        ("a", NTStatus.success), ("a\\b\\c.txt", .success), ("", .success), ("dir\\", .success),
        ("héllo wörld", .success),
        ("a.b.", .success),  // reserved: may be opened, not created
        ("\\a", .invalidParameter), ("a\\\\b", .objectNameInvalid), ("..", .objectPathSyntaxBad),
        ("a\\..\\b", .objectPathSyntaxBad), ("a\\..", .objectPathSyntaxBad), (".", .objectNameInvalid),
        ("a\\.\\b", .objectNameInvalid), ("a/b", .objectNameInvalid), ("a*", .objectNameInvalid),
        ("a?b", .objectNameInvalid), ("a<", .objectNameInvalid), ("a>b", .objectNameInvalid),
        ("a\"b", .objectNameInvalid), ("a|b", .objectNameInvalid), ("a\u{0}b", .objectNameInvalid),
        ("a\u{1f}", .objectNameInvalid), ("a:b:c:d", .objectNameInvalid), ("a:b:$BITMAP", .objectNameInvalid),
        ("a:", .objectNameInvalid), ("a:b\\c", .objectNameInvalid), ("...", .success),
    ])
    func namesAreRefusedAsWindowsDoes(path: String, expected: NTStatus) {
        #expect(self.status(path) == expected)
    }

    @Test func longNames() {
        #expect(self.status(String(repeating: "a", count: 255)) == .success)
        #expect(self.status(String(repeating: "a", count: 256)) == .objectNameInvalid)
        // 255 units but 510 bytes.
        #expect(self.status(String(repeating: "é", count: 255)) == .objectNameInvalid)
        let deep = Array(repeating: String(repeating: "d", count: 200), count: 21).joined(separator: "\\")
        #expect(self.status(deep) == .nameTooLong)
    }

    @Test(arguments: [
        "CON", "con", "NUL.txt", "aux", "prn.", "COM1", "com9.tar.gz", "LPT3", "CONIN$", "conout$", "nul  .txt",
        "COM\u{B9}", "ends in space ", "ends in dot.",
    ])
    func deviceNamesAreReserved(name: String) throws {
        let path = try NTPath(name)
        #expect(path.isDevice || path.endsAsNoneOfWin32)
        let scratch = try Scratch()
        #expect(scratch.status(name, .create) == .objectNameInvalid)
        #expect(try scratch.list().isEmpty)
    }

    @Test(arguments: ["CONSOLE", "COM0", "COM10", "nullable", "LPT", "auxiliary.txt", "x.con"])
    func theirNeighboursAreNot(name: String) throws {
        let path = try NTPath(name)
        #expect(!path.isDevice && !path.endsAsNoneOfWin32)
    }

    @Test func streamNames() throws {
        #expect(try NTPath("f:s").stream == Array("s".utf8))
        #expect(try NTPath("f:s:$DATA").stream == Array("s".utf8))
        #expect(try NTPath("f:s:$data").stream == Array("s".utf8))
        #expect(try NTPath("f::$DATA").stream == nil)
        #expect(try NTPath("d:$I30:$INDEX_ALLOCATION").requiresDirectory)
        #expect(try NTPath(":s").isRoot)
        #expect(try NTPath("a\\f:s").bytes == Array("a/f".utf8))
    }

    /// [MS-DTYP] text may hold any 16-bit units; a name with a lone surrogate comes back as it was.
    @Test func everyUnitSurvivesTheDisk() throws {
        for units in [[0xD800], [0xDC00, 0x41], [0x41, 0xD83D, 0xDE00], [0xE000, 0xFFFF], [0x7FF, 0x800]] as [[UInt16]]
        {
            let path = try NTPath(utf16Units: units)
            #expect(path.shown == units)
        }
    }

    @Test func oddBytesAreNotAName() {
        let bytes: [UInt8] = [0x61, 0, 0x62]
        #expect(throws: FileError.self) {
            let path = try NTPath(utf16: bytes.span.bytes)
            return path
        }
    }

    /// Linux names that Windows could not show are shown changed, and what is shown opens the file.
    @Test(arguments: ["a:b", "a*b?", "ends.", "ends ", "back\\slash", "tab\tname", "quote\"<>|"])
    func linuxNamesAreShownAndOpened(name: String) throws {
        let scratch = try Scratch()
        scratch.write(name, "inside")
        let shown = try scratch.list()
        #expect(shown.count == 1)
        let first = try #require(shown.first)
        #expect(first != name)
        #expect(try NTPath(first).endsAsNoneOfWin32 == false)
        #expect(try scratch.open(first).file.text() == "inside")
    }

    @Test func bytesThatAreNotUTF8AreShownAndOpened() throws {
        #expect(NameText.shown([0x61, 0xFF, 0x62]) == [0x61, 0xF0FF, 0x62])
        #expect(NameText.shown([0xC3]) == [0xF0C3])
        // Overlong, and beyond Unicode.
        #expect(NameText.shown([0xC0, 0xAF]) == [0xF0C0, 0xF0AF])
        #expect(NameText.shown([0xF4, 0x90, 0x80, 0x80]) == [0xF0F4, 0xF090, 0xF080, 0xF080])
        for first in UInt8(0x80)...0xFF { #expect(NameText.shown([first]) == [0xF000 | UInt16(first)]) }
    }

    @Test func upcase() {
        let table = UpcaseTable()
        #expect(table[0x61] == 0x41)
        #expect(table[0xE9] == 0xC9)
        #expect(table[0xFF] == 0x178)
        #expect(table[0x3C3] == 0x3A3)
        #expect(table[0x44F] == 0x42F)
        #expect(table[0x131] == 0x131)
        #expect(table[0x17F] == 0x17F)
        #expect(table[0xDF] == 0xDF)
        #expect(table[0x1F80] == 0x1F88)
        #expect(table[0xD800] == 0xD800)
    }

    /// [MS-FSA] 2.1.4.4.
    @Test(arguments: [
        ("*", "anything", true), ("", "anything", true), ("a*", "abc", true), ("a*", "bac", false),
        ("*.TXT", "a.txt", true),
        ("*.txt", "a.txt.bak", false), ("?", "a", true), ("?", "ab", false), ("??", "ab", true), ("a?c", "abc", true),
        ("a?", "a", false), ("*a*b*", "xxaxxbxx", true), ("*a*b*", "xxbxxaxx", false),
        // "*." of DOS is "<" and means "no extension"; "<.txt" runs up to the last dot.
        ("<", "noext", true), ("<.txt", "a.b.txt", true), ("<.txt", "a.txt.b", false), ("a<", "abc.d.e", false),
        ("<\"*", "file.ext", true), ("<\"*", "file", true), ("<", "file.ext", false),
        // ">" is "?" that may also be nothing before a dot or at the end.
        (">>>", "a", true), (">>>", "abcd", false), ("a>>>.txt", "ab.txt", true), ("a>>.txt", "abcd.txt", false),
        ("name\"", "name", true), ("name\"", "name.", true), ("name\"x", "name.x", true), ("name\"x", "namex", false),
        ("ÉCOLE", "école", true), ("*.*", "noext", false), ("exact.Name", "EXACT.nAME", true),
    ])
    func patterns(pattern: String, name: String, expected: Bool) {
        #expect(NamePattern(pattern).matches(Array(name.utf16)) == expected)
    }

    /// A pattern made to run for ever does not.
    @Test func patternsAreBounded() {
        let pattern = NamePattern(String(repeating: "*a", count: 120) + "b")
        let name = Array(String(repeating: "a", count: 255).utf16)
        let start = ContinuousClock.now
        #expect(!pattern.matches(name))
        #expect(ContinuousClock.now - start < .seconds(1))
    }
}
