import Glibc
import SMB2Wire
import Testing

@testable import FileStore

@Suite struct DataTests {
    @Test func readingAndWriting() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        try file.write("hello")
        try file.write("world", at: 10)
        #expect(try file.text() == "hello\0\0\0\0\0world")
        #expect(try file.text(at: 15) == "")
        #expect(try file.text(at: 1 << 40) == "")
        var bytes = [UInt8](repeating: 1, count: 4)
        let got = try bytes.withUnsafeMutableBytes { try file.readWithoutWaiting(into: $0, at: 0) }
        #expect(got == nil || got == 4)
        #expect(scratch.status { try file.write("x", at: UInt64(Int64.max)) } == .invalidParameter)
        #expect(scratch.status { _ = try file.text(at: .max) } == .invalidParameter)
        let through = try scratch.open("f", options: .writeThrough).file
        #expect(through.isWriteThrough)
        try through.write("HELLO")
        try file.flush()
        #expect(try file.text(count: 5) == "HELLO")
        let attributesOnly = try scratch.open("f", access: [.readAttributes]).file
        #expect(scratch.status { _ = try attributesOnly.text() } == .accessDenied)
        #expect(scratch.status { try scratch.open("", access: [.readData]).file.write("x") } == .invalidDeviceRequest)
    }

    @Test func sizes() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        try file.setEndOfFile(100_000)
        #expect(try file.information().endOfFile == 100_000)
        try file.setAllocation(1 << 20)
        let information = try file.information()
        #expect(information.endOfFile == 100_000)
        #expect(information.allocationSize >= 1 << 20)
        try file.setAllocation(10)
        #expect(try file.information().endOfFile == 10)
        #expect(scratch.status { try file.setEndOfFile(.max) } == .invalidParameter)
        let made = try scratch.volume.open(
            {
                var request = try scratch.request("g", .create)
                request.allocationSize = 65536
                return request
            }())
        #expect(made.information.endOfFile == 0)
        #expect(made.information.allocationSize >= 65536)
    }

    @Test func holes() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        try file.write(String(repeating: "a", count: 65536))
        try file.write(String(repeating: "b", count: 65536), at: 1 << 20)
        // A file that is not sparse has no holes for its clients, and loses no space to zeros.
        let whole: [Range<UInt64>] = [0..<((1 << 20) + 65536)]
        #expect(try file.allocatedRanges(in: 0..<UInt64.max, limit: 10).ranges == whole)
        #expect(try !file.allocatedRanges(in: 0..<UInt64.max, limit: 0).isComplete)
        try file.setSparse(true)
        let (ranges, isComplete) = try file.allocatedRanges(in: 0..<UInt64.max, limit: 10)
        let expected: [Range<UInt64>] = [0..<65536, (1 << 20)..<((1 << 20) + 65536)]
        #expect(ranges == expected)
        #expect(isComplete)
        let (first, more) = try file.allocatedRanges(in: 100..<UInt64.max, limit: 1)
        #expect(first == [100..<65536])
        #expect(!more)
        try file.zero(100..<60000)
        #expect(try file.text(count: 101) == String(repeating: "a", count: 100) + "\0")
        #expect(try file.text(at: 60000, count: 1) == "a")
        #expect(try file.information().endOfFile == (1 << 20) + 65536)
        let space = try file.information().allocationSize
        try file.setSparse(false)
        try file.zero(0..<65536)
        #expect(try file.information().allocationSize >= space)
        try file.setSparse(true)
        try file.trim(1..<65535)
        #expect(try file.information().allocationSize < space)
        #expect(try file.text(at: 1 << 20, count: 1) == "b")
        try file.zero(0..<UInt64.max)
        #expect(try file.information().allocationSize == 0)
        try file.fillWithZeros(2_000_000..<2_000_001)
        #expect(try file.information().endOfFile == 2_000_001)
        try file.setEndOfFile((1 << 20) + 65536)
        #expect(try file.information().endOfFile == (1 << 20) + 65536)
        #expect(try file.text(at: 1 << 20, count: 1) == "\0")
    }

    @Test func copies() throws {
        let scratch = try Scratch()
        let from = try scratch.open("from", .create).file
        let to = try scratch.open("to", .create).file
        let text = (0..<20000).map { "\($0) " }.joined()
        try from.write(text)
        let volume = scratch.volume
        try volume.copyRange(from: from, at: 0, to: to, at: 3, count: text.utf8.count)
        #expect(try to.text(at: 3, count: 1 << 20) == text)
        #expect(
            scratch.status { try volume.copyRange(from: from, at: 10, to: to, at: 0, count: 1 << 20) }
                == .invalidViewSize)
        #expect(try to.text(at: 3, count: 1 << 20) == text)
        // Ranges of one file overlap, either way.
        try volume.copyRange(from: from, at: 0, to: from, at: 5, count: 1000)
        #expect(try from.text(at: 5, count: 1000) == String(text.prefix(1000)))
        try volume.copyRange(from: from, at: 5, to: from, at: 0, count: 1000)
        #expect(try from.text(count: 1000) == String(text.prefix(1000)))
        // Streams are no files to Linux, and copied all the same.
        let stream = try scratch.open("to:stream", .create).file
        try volume.copyRange(from: from, at: 0, to: stream, at: 2, count: 500)
        #expect(try stream.text(at: 2) == String(text.prefix(500)))
        try volume.copyRange(from: stream, at: 2, to: to, at: 0, count: 500)
        #expect(try to.text(count: 500) == String(text.prefix(500)))
        try stream.zero(2..<4)
        #expect(try stream.text(at: 2, count: 2) == "\0\0")
    }
}

@Suite struct NamingTests {
    @Test func renaming() throws {
        let scratch = try Scratch()
        try scratch.open("d", .create, options: .directoryFile)
        let file = try scratch.open("f", .create).file
        try file.write("f")
        let volume = scratch.volume
        try volume.rename(file, to: try NTPath("d\\New Name"), replaceExisting: false)
        #expect(try file.currentPath().shownString == "d\\New Name")
        try volume.rename(file, to: try NTPath("D\\NEW NAME"), replaceExisting: false)
        #expect(try scratch.list("d") == ["NEW NAME"])
        #expect(scratch.status("d\\new name") == .success)
        try scratch.open("other", .create).file.write("other")
        #expect(
            scratch.status { try volume.rename(file, to: try NTPath("OTHER"), replaceExisting: false) }
                == .objectNameCollision)
        try volume.rename(file, to: try NTPath("OTHER"), replaceExisting: true)
        #expect(try scratch.list() == ["OTHER", "d"])
        #expect(try scratch.open("other").file.text() == "f")
        #expect(try scratch.open("Other").file.text() == "f")
        #expect(
            scratch.status { try volume.rename(file, to: try NTPath("D"), replaceExisting: true) } == .accessDenied)
        #expect(
            scratch.status { try volume.rename(file, to: try NTPath("no\\x"), replaceExisting: true) }
                == .objectPathNotFound)
        #expect(
            scratch.status { try volume.rename(file, to: try NTPath("aux"), replaceExisting: true) }
                == .objectNameInvalid)
        try scratch.open("ro", .create, attributes: .readOnly)
        #expect(
            scratch.status { try volume.rename(file, to: try NTPath("ro"), replaceExisting: true) } == .accessDenied)
        let root = try scratch.open("", access: [.delete]).file
        #expect(
            scratch.status { try volume.rename(root, to: try NTPath("x"), replaceExisting: false) } == .accessDenied)
    }

    @Test func renamingDirectories() throws {
        let scratch = try Scratch()
        let directory = try scratch.open("a", .create, options: .directoryFile).file
        let inside = try scratch.open("a\\f", .create).file
        try scratch.open("b", .create, options: .directoryFile)
        try scratch.volume.rename(directory, to: try NTPath("b\\c"), replaceExisting: false)
        #expect(try inside.currentPath().shownString == "b\\c\\f")
        #expect(scratch.status("B\\C\\F") == .success)
        #expect(
            scratch.status {
                try scratch.volume.rename(directory, to: try NTPath("b\\c\\d"), replaceExisting: false)
            } == .accessDenied)
        try scratch.volume.delete(inside)
        #expect(try scratch.list("b\\c").isEmpty)
    }

    @Test func deleting() throws {
        let scratch = try Scratch()
        let directory = try scratch.open("d", .create, options: .directoryFile).file
        let file = try scratch.open("d\\f", .create).file
        #expect(scratch.status { try scratch.volume.checkDelete(directory) } == .directoryNotEmpty)
        #expect(scratch.status { try scratch.volume.delete(directory) } == .directoryNotEmpty)
        try scratch.volume.checkDelete(file)
        try scratch.volume.delete(file)
        #expect(scratch.status("d\\f") == .objectNameNotFound)
        // Its handle lives on, its name does not.
        try file.write("still")
        #expect(try file.text() == "still")
        #expect(scratch.status { try scratch.volume.delete(file) } == .fileDeleted)
        // A new file of the name is not what the old handle deletes.
        scratch.write("d/f")
        #expect(scratch.status { try scratch.volume.delete(file) } == .fileDeleted)
        #expect(scratch.exists("d/f"))
        let root = try scratch.open("", access: [.delete]).file
        #expect(scratch.status { try scratch.volume.checkDelete(root) } == .cannotDelete)
    }

    @Test func links() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        try file.write("one")
        try scratch.volume.link(file, to: try NTPath("g"), replaceExisting: false)
        #expect(try scratch.open("G").file.identity == file.identity)
        #expect(try file.information().linkCount == 2)
        #expect(
            scratch.status { try scratch.volume.link(file, to: try NTPath("G"), replaceExisting: false) }
                == .objectNameCollision)
        try scratch.volume.rename(file, to: try NTPath("g"), replaceExisting: true)
        #expect(try scratch.list() == ["g"])
        #expect(try file.information().linkCount == 1)
    }

    @Test func listing() throws {
        let scratch = try Scratch()
        for name in ["a.txt", "B.TXT", "c.doc", "noext"] { try scratch.open(name, .create) }
        #expect(try scratch.list(pattern: "*.txt") == ["B.TXT", "a.txt"])
        #expect(try scratch.list(pattern: "A.TXT") == ["a.txt"])
        #expect(try scratch.list(pattern: "missing").isEmpty)
        #expect(try scratch.list(pattern: "..\\x").isEmpty)
        let cursor = try DirectoryCursor(try scratch.open("", access: [.readData]).file)
        #expect(try cursor.next()?.nameString == ".")
        #expect(try cursor.next()?.nameString == "..")
        let third = try #require(try cursor.next())
        cursor.unread(third)
        #expect(try cursor.next()?.nameString == third.nameString)
        var rest = 1
        while try cursor.next() != nil { rest += 1 }
        #expect(rest == 4)
        #expect(try cursor.next() == nil)
        try cursor.restart()
        #expect(try cursor.next()?.nameString == ".")
        #expect(throws: FileError.self) { try DirectoryCursor(try scratch.open("a.txt").file) }
    }

    @Test func fullDisk() throws {
        // A file system of 1 MB: needs root, and a mount namespace would need a process of its own.
        let scratch = try Scratch()
        guard mount("tmpfs", scratch.path, "tmpfs", 0, "size=1m") == 0 else {
            #expect(getuid() != 0, "mount of a tmpfs")
            return
        }
        defer { umount(scratch.path) }
        let volume = try Volume(root: scratch.path, options: scratch.volume.options)
        let file = try volume.open(
            OpenRequest(path: try NTPath("f"), access: [.readData, .writeData], disposition: .create)
        ).file
        let space = try volume.space()
        let unit = UInt64(space.sectorsPerUnit) * UInt64(space.bytesPerSector)
        #expect(space.totalUnits * unit == 1 << 20)
        #expect(scratch.status { try file.setAllocation(4 << 20) } == .diskFull)
        #expect(scratch.status { try file.write(String(repeating: "x", count: 2 << 20)) } == .diskFull)
        try file.setEndOfFile(0)
        try file.write("fits")
        #expect(try file.text() == "fits")
        // Beyond the mount there is nothing, and the mount is not entered from the volume outside.
        #expect(scratch.status("f") == .objectNameNotFound)
    }
}
