import SMB2Wire
import Testing

@testable import FileStore

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct ReparseTests {
    private let link = ReparseData(.init(substituteName: "there\\\u{e4}", printName: "there", isRelative: true))

    private func stop(
        _ scratch: Scratch, _ path: String, _ disposition: CreateDisposition = .open
    ) -> StoppedOnSymlink? {
        do {
            try scratch.open(path, disposition)
            return nil
        } catch { return (error as? FileError)?.link }
    }

    @Test func aLinkIsKeptAndStopsWhoeverOpensIt() throws {
        let scratch = try Scratch()
        let file = try scratch.open("link", .create).file
        try file.setReparseData(self.link)
        let information = try file.information()
        #expect(information.reparseTag == ReparseData.symlinkTag)
        #expect(information.attributes == [.archive, .reparsePoint])
        #expect(try file.reparseData() == self.link)
        let stop = try #require(self.stop(scratch, "LINK"))
        #expect(stop.link == self.link.symlink)
        #expect(stop.unparsedByteCount == 0)
        #expect(scratch.status("link", .openIf) == .stoppedOnSymlink)
        #expect(scratch.status("link", options: .openReparsePoint) == .success)
        // Also where the directory is listed, and after attributes were set.
        let directory = try scratch.open("", access: [.readData], options: .directoryFile).file
        let cursor = try DirectoryCursor(directory)
        try cursor.restart(pattern: Array("link".utf16))
        let entry = try #require(try cursor.next())
        #expect(entry.information.reparseTag == ReparseData.symlinkTag)
        #expect(entry.information.attributes.contains(.reparsePoint))
        var basic = FileStore.BasicInformation()
        basic.attributes = .hidden
        try file.set(basic)
        #expect(try file.information().attributes == [.hidden, .reparsePoint])
        #expect(try file.extendedAttributes().isEmpty)

        #expect(scratch.status { try file.setReparseData(ReparseData(tag: 0x8000_1234)) } == .ioReparseTagMismatch)
        #expect(scratch.status { try file.removeReparseData(tag: 0x8000_1234) } == .ioReparseTagMismatch)
        try file.removeReparseData(tag: ReparseData.symlinkTag)
        #expect(scratch.status("link") == .success)
        #expect(scratch.status { _ = try file.reparseData() } == .notAReparsePoint)
        #expect(try file.information().attributes == .hidden)
    }

    @Test func aDirectoryAsALink() throws {
        let scratch = try Scratch()
        let full = try scratch.open("full", .create, options: .directoryFile).file
        try scratch.open("full\\x", .create)
        #expect(scratch.status { try full.setReparseData(self.link) } == .directoryNotEmpty)
        let directory = try scratch.open("dir", .create, options: .directoryFile).file
        try directory.setReparseData(self.link)
        // Nothing is found behind it, and nothing made.
        let beneath = try #require(self.stop(scratch, "dir\\sub\\file"))
        #expect(beneath.unparsedByteCount == 2 * "\\sub\\file".utf16.count)
        #expect(self.stop(scratch, "dir\\new:stream", .create)?.unparsedByteCount == 2 * "\\new:stream".utf16.count)
        #expect(scratch.status("dir\\new", .openIf) == .stoppedOnSymlink)
        #expect(try scratch.open("dir", access: [.readData], options: .openReparsePoint).information.isDirectory)
        // A junction leads to where only its server knows: nobody follows it.
        let junction = try scratch.open("junction", .create, options: .directoryFile).file
        let data: [UInt8] = [3, 0, 0, 0xA0, 0, 0, 0, 0]
        try junction.setReparseData(try ReparseData(parsing: data.span.bytes))
        #expect(scratch.status("junction") == .ioReparseTagNotHandled)
        #expect(scratch.status("junction\\x") == .ioReparseTagNotHandled)
    }

    @Test func aLinkOfLinux() throws {
        let scratch = try Scratch()
        scratch.makeDirectory("real")
        #expect(symlink("real/../real", "\(scratch.path)/way") == 0)
        let stop = try #require(self.stop(scratch, "WAY\\file"))
        #expect(stop.link == .init(substituteName: "real\\..\\real", printName: "real\\..\\real", isRelative: true))
        #expect(stop.unparsedByteCount == 2 * "\\file".utf16.count)
        let way = try scratch.open("way", access: [.readAttributes, .delete], options: .openReparsePoint).file
        #expect(scratch.status { try way.setReparseData(self.link) } == .accessDenied)
        #expect(scratch.status { try way.removeReparseData(tag: ReparseData.symlinkTag) } == .accessDenied)
        try scratch.volume.delete(way)
        #expect(try scratch.list() == ["real"])
        #expect(mkfifo("\(scratch.path)/fifo", 0o600) == 0)
        let fifo = try scratch.open("fifo", access: [.readAttributes], options: .openReparsePoint).file
        #expect(try fifo.reparseData() == ReparseData(tag: 0x8000_0024))
    }
}
