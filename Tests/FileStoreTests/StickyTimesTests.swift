import Glibc
import SMB2Wire
import Testing

@testable import FileStore

/// [MS-FSA] 2.1.5.15.2: a time that is set through a handle is not changed by what is done through that handle; what is
/// done through another one changes it for all.
@Suite struct StickyTimesTests {
    private let wanted = FileTime(unixSeconds: 2_000_000_000, nanoseconds: 0)
    /// More than a tick of the kernel's clock for these times.
    private let tick: UInt32 = 25_000

    private func setWriteTime(_ file: OpenFile, _ time: FileTime) throws {
        var basic = BasicInformation()
        basic.lastWriteTime = time
        try file.set(basic)
    }

    private func shown(_ scratch: Scratch, _ files: OpenFile...) throws -> FileTime {
        let time = try scratch.open("f", access: []).information.lastWriteTime
        for file in files { #expect(try file.information().lastWriteTime == time) }
        return time
    }

    /// smbtorture's modern_write_time_update-1.
    @Test func anotherHandlesWriteMovesThemOn() throws {
        let scratch = try Scratch()
        let first = try scratch.open("f", .create).file
        let second = try scratch.open("f").file
        try self.setWriteTime(first, self.wanted)
        try first.write("1")
        #expect(try self.shown(scratch, first, second) == self.wanted)
        usleep(self.tick)
        try second.write("2")
        let moved = try self.shown(scratch, first, second)
        #expect(moved < self.wanted)
        usleep(self.tick)
        try first.write("3")
        try first.setEndOfFile(5)
        #expect(try self.shown(scratch, first, second) == moved)
        usleep(self.tick)
        try second.setEndOfFile(7)
        #expect(try self.shown(scratch, first, second) > moved)
    }

    @Test func aHandleThatLetsTheTimeGoMovesItOn() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        try self.setWriteTime(file, .suppressUpdates)
        let before = try self.shown(scratch, file)
        usleep(self.tick)
        try file.write("1")
        #expect(try self.shown(scratch, file) == before)
        try self.setWriteTime(file, .resumeUpdates)
        #expect(try self.shown(scratch, file) == before)
        usleep(self.tick)
        try file.write("2")
        #expect(try self.shown(scratch, file) > before)
    }

    /// modern_write_time_update-2: the end of the file counts where it stays what it was, space alone does not.
    @Test func sizesAndSpace() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        var last = try self.shown(scratch, file)
        usleep(self.tick)
        try file.setEndOfFile(0)
        #expect(try self.shown(scratch, file) > last)
        last = try self.shown(scratch, file)
        for size in [UInt64(0), 4096, 8192] {
            let changed = try file.information().changeTime
            usleep(self.tick)
            try file.setAllocation(size)
            #expect(try self.shown(scratch, file) == last)
            #expect(try file.information().changeTime > changed)
        }
        try file.setEndOfFile(10)
        last = try self.shown(scratch, file)
        usleep(self.tick)
        try file.setAllocation(0)
        #expect(try self.shown(scratch, file) > last)
    }

    @Test func nothingIsKeptOfHandlesThatAreGone() throws {
        let scratch = try Scratch()
        do {
            let file = try scratch.open("f", .create).file
            try self.setWriteTime(file, self.wanted)
            try file.write("1")
        }
        #expect(try self.shown(scratch) == self.wanted)
        usleep(self.tick)
        let file = try scratch.open("f").file
        try file.write("2")
        #expect(try self.shown(scratch, file) < self.wanted)
    }
}
