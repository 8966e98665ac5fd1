import Glibc
import SMB2Wire
import Testing

@testable import FileStore

/// What a share's settings make of names.
@Suite struct NameTraitTests {
    private func short(_ name: String) -> String { ShortName.given(name) }

    @Test func aLongNameIsOpenedByItsShortOne() throws {
        let scratch = try Scratch { $0.givesShortNames = true }
        try scratch.open("A folder of some length", .create, options: .directoryFile)
        let file = try scratch.open("A folder of some length\\some document.text", .create).file
        let path = "\(self.short("a FOLDER of some length"))\\\(self.short("SOME document.text"))"
        let again = try scratch.open(path)
        #expect(again.file.identity == file.identity)
        #expect(try again.file.currentPath().shownString == "A folder of some length\\some document.text")
        let cursor = try DirectoryCursor(
            try scratch.open("A folder of some length", access: .readData, options: .directoryFile).file)
        try cursor.restart(pattern: Array(self.short("some document.text").lowercased().utf16))
        #expect(try cursor.next()?.nameString == "some document.text")
    }

    /// Win32 strips such an end; the short name has none.
    @Test(arguments: ["ends in a dot.", "A.", "dots...", "ends in a space "])
    func aNameThatWin32WouldCutIsHadByItsShortOne(name: String) throws {
        let scratch = try Scratch { $0.givesShortNames = true }
        #expect(scratch.status("CON", .create) == .objectNameInvalid)
        let file = try scratch.open(name, .create).file
        let shown = try #require(try scratch.list().first)
        let short = self.short(shown)
        #expect(short.allSatisfy { $0.isASCII && $0 != " " } && short.last != ".")
        for path in [name, shown, short] { #expect(try scratch.open(path).file.identity == file.identity) }
        try scratch.volume.delete(try scratch.open(short).file)
        try scratch.open(short, .create)
        #expect(scratch.exists(name) && !scratch.exists(short), "the long name comes back")
    }

    @Test func withoutTheSettingThereIsNone() throws {
        let scratch = try Scratch()
        try scratch.open("some document.text", .create)
        #expect(scratch.status(self.short("some document.text")) == .objectNameNotFound)
    }

    /// Who deletes and makes anew by the short name, as old programs save, gets the long name back.
    @Test func theLongNameComesBack() throws {
        let scratch = try Scratch { $0.givesShortNames = true }
        let short = self.short("some document.text")
        try scratch.volume.delete(try scratch.open("some document.text", .create).file)
        try scratch.open(short, .create)
        #expect(scratch.exists("some document.text") && !scratch.exists(short))
    }

    @Test func namesThatLookHidden() throws {
        let scratch = try Scratch { $0.hiddenFiles = [NamePattern(".*"), NamePattern("thumbs.DB")] }
        for name in [".profile", "Thumbs.db", "shown"] {
            let isHidden = name != "shown"
            let made = try scratch.open(name, .create)
            #expect(made.information.attributes.contains(.hidden) == isHidden)
            #expect(try made.file.information().attributes.contains(.hidden) == isHidden)
            #expect(try scratch.open(name).information.attributes.contains(.hidden) == isHidden)
            // It is no attribute of the file: an ordinary file may take its place.
            let request = try scratch.request(name, .overwriteIf)
            try scratch.volume.overwrite(try scratch.volume.open(request).file, request)
            #expect(DOSAttributes.read(made.file.handle.number).attributes == nil)
        }
        let cursor = try DirectoryCursor(try scratch.open("", access: .readData, options: .directoryFile).file)
        try cursor.restart(pattern: [])
        var hidden: Set<String> = []
        while let entry = try cursor.next() {
            if entry.information.attributes.contains(.hidden) { hidden.insert(entry.nameString) }
        }
        #expect(hidden == [".profile", "Thumbs.db"])
    }

    @Test func aShareWithoutStreams() throws {
        let scratch = try Scratch { $0.refusesStreams = true }
        try scratch.open("f", .create)
        #expect(scratch.status("f:stream", .create) == .objectNameInvalid)
        #expect(scratch.volume.attributeFlags & 0x0004_0000 == 0)
    }
}
