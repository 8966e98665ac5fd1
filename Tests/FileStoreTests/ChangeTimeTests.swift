import Glibc
import SMB2Wire
import Testing

@testable import FileStore

/// ChangeTime, which Linux lets nobody set, and the directories that a name leaves behind.
@Suite struct ChangeTimeTests {
    private let wanted = FileTime(unixSeconds: 1_000_000_000, nanoseconds: 0)

    private func set(_ file: OpenFile) throws {
        var basic = BasicInformation()
        basic.changeTime = self.wanted
        try file.set(basic)
    }

    @Test func aChangeTimeThatWasSetIsShownUntilTheFileChanges() throws {
        let scratch = try Scratch()
        do {
            let file = try scratch.open("f", .create).file
            try self.set(file)
            #expect(try file.information().changeTime == self.wanted)
            // Whoever set it keeps it: [MS-FSA] 2.1.5.15.2.
            try file.write("x")
            #expect(try file.information().changeTime == self.wanted)
            #expect(try scratch.open("f", access: []).information.changeTime == self.wanted)
        }
        #expect(try scratch.open("f", access: []).information.changeTime == self.wanted)
        let cursor = try DirectoryCursor(try scratch.open("", access: .readData, options: .directoryFile).file)
        try cursor.restart(pattern: Array("f".utf16))
        #expect(try cursor.next()?.information.changeTime == self.wanted)

        let other = try scratch.open("f").file
        usleep(20_000)
        try other.write("y")
        #expect(try other.information().changeTime > self.wanted)
        #expect(try scratch.open("f", access: []).information.changeTime > self.wanted)
    }

    @Test func whatIsRememberedIsBounded() throws {
        let times = StickyTimes()
        for inode in 0..<UInt64(FileStoreLimits.rememberedChangeTimes + 1) {
            times.remember(inode, change: self.wanted, whileChangedAt: FileTime.zero)
        }
        var information = FileInformation(
            try FileStatus(Descriptor(result: Int(dup(0)), "dup")), DOSAttributes())
        information.changeTime = .zero
        information.fileID = 0
        #expect(times.shown(information).changeTime == .zero)
        information.fileID = 1
        #expect(times.shown(information).changeTime == self.wanted)
    }

    /// After a rename the old directory is flushed too, after a delete the directory that had the name: without it there is
    /// nothing to flush and `flushName` says so.
    @Test func theDirectoryThatANameLeftIsFlushed() throws {
        let scratch = try Scratch()
        scratch.makeDirectory("from")
        scratch.makeDirectory("to")
        let file = try scratch.open("from\\f", .create).file
        try scratch.volume.rename(file, to: try NTPath("to\\f"), replaceExisting: false)
        #expect(file.changedDirectories.withLock { $0.map(\.parentBytes) } == [Array("from".utf8)])
        try file.flushName()
        #expect(file.changedDirectories.withLock { $0.isEmpty })
        try scratch.volume.delete(file)
        #expect(file.isDeleted)
        #expect(file.changedDirectories.withLock { $0.map(\.parentBytes) } == [Array("to".utf8)])
        try file.flushName()
        #expect(file.changedDirectories.withLock { $0.isEmpty })
    }

    @Test func aDirectoryThatIsGoneNeedsNoFlush() throws {
        let scratch = try Scratch()
        scratch.makeDirectory("d")
        let file = try scratch.open("d\\f", .create).file
        try scratch.volume.delete(file)
        #expect(rmdir("\(scratch.path)/d") == 0)
        try file.flushName()
    }

    @Test func manyRenamesAreRememberedUpToALimit() throws {
        let scratch = try Scratch()
        let count = FileStoreLimits.changedDirectories + 5
        for index in 0...count { scratch.makeDirectory("d\(index)") }
        let file = try scratch.open("d0\\f", .create).file
        for index in 1...count {
            try scratch.volume.rename(file, to: try NTPath("d\(index)\\f"), replaceExisting: false)
        }
        #expect(file.changedDirectories.withLock { $0.count } == FileStoreLimits.changedDirectories)
        try file.flushName()
    }
}
