import Glibc
import SMB2Wire
import Synchronization
import Testing

@testable import FileStore

/// A stream that becomes its file's data: the steps of it, what ends it early, and what a crash in between leaves.
@Suite(.enabled(if: canMountXFS(), "needs root, loop devices and XFS"), .serialized)
struct StreamMoveTests {
    static let sizes = [11, FileStoreLimits.streamBytes + 1]

    private func contents(_ size: Int) -> [UInt8] { (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) } }

    private func open(
        _ volume: Volume, _ path: String, _ disposition: CreateDisposition = .openIf
    ) throws -> OpenFile {
        try volume.open(
            OpenRequest(
                path: try NTPath(path), access: [.readData, .writeData, .delete], disposition: disposition)
        ).file
    }

    private func write(_ file: OpenFile, _ bytes: [UInt8], at offset: UInt64 = 0) throws {
        try bytes.withUnsafeBytes { bytes in _ = try file.write(bytes, at: offset) }
    }

    private func bytes(_ file: OpenFile) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(try file.information().endOfFile))
        let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        return Array(bytes[..<count])
    }

    private func status(_ body: () throws -> Void) -> NTStatus {
        do { try body() } catch let error as FileError { return error.status } catch { return .internalError }
        return .success
    }

    private func notes(_ image: Image) -> [String] {
        guard let folder = opendir("\(image.directory)/mount/.holdfast/moves") else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    /// The stream is whole, the data empty, and it can be moved.
    private func expectBefore(_ volume: Volume, _ image: Image, _ size: Int) throws {
        let stream = try self.open(volume, "f:s", .open)
        #expect(try self.bytes(stream) == self.contents(size))
        #expect(try self.open(volume, "f", .open).information().endOfFile == 0)
        #expect(self.notes(image).isEmpty)
        try volume.makeStreamUnnamed(stream, replaceExisting: true)
        try self.expectAfter(volume, image, size)
    }

    private func expectAfter(_ volume: Volume, _ image: Image, _ size: Int) throws {
        let data = try self.open(volume, "f", .open)
        #expect(try self.bytes(data) == self.contents(size))
        #expect(try data.streams().map(\.name) == ["::$DATA"])
        #expect(self.notes(image).isEmpty)
    }

    /// The power fails when all bytes are in the data, and the stream still has them, too.
    @Test(arguments: Self.sizes) func aCrashBeforeTheStreamGoes(size: Int) throws {
        let image = try Image()
        do {
            let volume = try image.mount()
            let stream = try self.open(volume, "f:s")
            try self.write(stream, self.contents(size))
            try stream.flush()
            try volume.beginMakingUnnamed(stream, replaceExisting: true).run()
            #expect(self.notes(image).count == 1)
            #expect(try self.open(volume, "f", .open).information().endOfFile == UInt64(size))
        }
        try image.leave()
        defer { try? image.leave() }
        try self.expectBefore(try image.mount(), image, size)
    }

    /// It fails when the stream is gone, and what was noted of its move is not.
    @Test(arguments: Self.sizes) func aCrashBehindIt(size: Int) throws {
        let image = try Image()
        do {
            let volume = try image.mount()
            let stream = try self.open(volume, "f:s")
            try self.write(stream, self.contents(size))
            let move = try volume.beginMakingUnnamed(stream, replaceExisting: true)
            try move.run()
            let note = try #require(self.notes(image).first)
            let path = "\(image.directory)/mount/.holdfast/moves"
            try #require(run("cp", "-P", "\(path)/\(note)", "\(image.directory)/note") == 0)
            try move.commit([stream], isMarked: true)
            #expect(self.notes(image).isEmpty)
            try #require(run("cp", "-P", "\(image.directory)/note", "\(path)/\(note)") == 0)
        }
        try image.leave()
        defer { try? image.leave() }
        try self.expectAfter(try image.mount(), image, size)
    }

    /// What lies among the notes and is none stops nobody, and is nobody's to remove; the note beside it is followed.
    @Test func aStrangeEntryAmongTheNotesStopsNothing() throws {
        let image = try Image()
        let path = "\(image.directory)/mount/.holdfast/moves"
        let ids = (0..<4).map { String(repeating: "\($0)", count: 32) }
        do {
            let volume = try image.mount()
            let stream = try self.open(volume, "f:s")
            try self.write(stream, self.contents(11))
            try volume.beginMakingUnnamed(stream, replaceExisting: true).run()
            let folder = try volume.open(
                OpenRequest(path: try NTPath("d"), access: .readData, disposition: .create, options: .directoryFile)
            ).file
            try #require(run("touch", "\(path)/\(ids[0])") == 0)
            #expect(mkdir("\(path)/\(ids[1])", 0o700) == 0)
            #expect(symlink("nonsense", "\(path)/\(ids[2])") == 0)
            let mark = Hexadecimal.digits(LargeStreams.mark(folder.identity, Array("s".utf8)))
            #expect(symlink(String(decoding: mark, as: UTF8.self), "\(path)/\(ids[3])") == 0)
        }
        try image.leave()
        do {
            _ = try image.mount()
            let said = Said()
            var options = Volume.Options(label: "next")
            options.log = { line in said.lines.withLock { $0.append(line) } }
            let volume = try Volume(root: "\(image.directory)/mount", options: options)
            #expect(self.notes(image).sorted() == ids)
            let lines = said.lines.withLock { $0 }
            #expect(lines.count == ids.count)
            for id in ids { #expect(lines.contains { $0.hasPrefix(id) }) }
            #expect(try self.open(volume, "f", .open).information().endOfFile == 0)
            #expect(try self.bytes(try self.open(volume, "f:s", .open)) == self.contents(11))
            // Nor does one in the place of the notes.
            try #require(run("rm", "-r", path) == 0)
            try #require(run("touch", path) == 0)
            _ = try Volume(root: "\(image.directory)/mount", options: options)
            #expect(said.lines.withLock { $0.count } == ids.count + 1)
        }
        try image.leave()
    }

    private final class Said: Sendable {
        let lines = Mutex<[String]>([])
    }

    /// `smbserverd snapshot` beside a server that is just moving a stream: to a process that does not serve the share the
    /// move is none that a crash left. Another process's it is here by the name of its note.
    @Test func whoDoesNotServeTheShareUndoesNothing() throws {
        let image = try Image()
        do {
            let volume = try image.mount()
            let root = "\(image.directory)/mount"
            let stream = try self.open(volume, "f:s")
            try self.write(stream, self.contents(11))
            let move = try volume.beginMakingUnnamed(stream, replaceExisting: true)
            try move.run()
            let note = try #require(self.notes(image).first)
            let others = String(repeating: "0", count: 32)
            let moves = "\(root)/.holdfast/moves"
            try #require(run("cp", "-P", "\(moves)/\(note)", "\(moves)/\(others)") == 0)
            _ = try Volume(root: root, options: .init(label: "beside"), isServed: false)
            #expect(self.notes(image).contains(others))
            #expect(try self.open(volume, "f", .open).information().endOfFile == 11)
            _ = try Volume(root: root, options: .init(label: "next"))
            #expect(!self.notes(image).contains(others))
            #expect(try self.open(volume, "f", .open).information().endOfFile == 0)
            try move.undo()
        }
        try image.leave()
    }

    @Test(arguments: Self.sizes) func itIsCancelledOrUndone(size: Int) throws {
        let image = try Image()
        let volume = try image.mount()
        let stream = try self.open(volume, "f:s")
        try self.write(stream, self.contents(size))
        let cancelled = try volume.beginMakingUnnamed(stream, replaceExisting: true)
        cancelled.cancel()
        #expect(self.status { try cancelled.run() } == .cancelled)
        let undone = try volume.beginMakingUnnamed(stream, replaceExisting: true)
        try undone.run()
        try undone.undo()
        try self.expectBefore(volume, image, size)
    }

    /// A write that was on its way is refused, one that comes late meets the data; nothing is torn, and nobody who reads sees
    /// a moment without the bytes.
    @Test(arguments: Self.sizes) func opensOfTheStream(size: Int) throws {
        let image = try Image()
        let volume = try image.mount()
        let stream = try self.open(volume, "f:s")
        let other = try self.open(volume, "f:S")
        try self.write(stream, self.contents(size))
        let move = try volume.beginMakingUnnamed(stream, replaceExisting: true)
        try move.run()
        #expect(self.status { try self.write(other, [1, 2, 3]) } == .fileLockConflict)
        #expect(self.status { try other.setEndOfFile(1) } == .fileLockConflict)
        #expect(try self.bytes(other) == self.contents(size))
        // Another stream of the file is as free as ever.
        try self.write(try self.open(volume, "f:other"), [1])
        try volume.delete(try self.open(volume, "f:other"))
        try move.commit([stream, other], isMarked: false)
        #expect(try self.bytes(other) == self.contents(size))
        try self.expectAfter(volume, image, size)
        try self.write(other, [1, 2, 3])
        try other.flush()
        #expect(try self.bytes(self.open(volume, "f")) == [1, 2, 3] + self.contents(size)[3...])
        try other.setEndOfFile(2)
        #expect(try self.bytes(self.open(volume, "f")) == [1, 2])
    }

    /// Where no blocks are shared: holes stay holes, and what does not fit is taken back.
    @Test func bytesAreCopied() throws {
        let image = try Image(sharesBlocks: false)
        let volume = try image.mount()
        let stream = try self.open(volume, "f:s")
        let piece = self.contents(8 << 20)
        try self.write(stream, piece)
        // More than one piece behind a hole that would not fit twice, and a hole at the end.
        let second = UInt64(FileStoreLimits.streamCopyBytes * 10)
        for index in 0..<9 { try self.write(stream, piece, at: second + UInt64(index * piece.count)) }
        try stream.setEndOfFile(second * 2)
        try volume.makeStreamUnnamed(stream, replaceExisting: true)
        let data = try self.open(volume, "f", .open)
        #expect(try data.information().endOfFile == second * 2)
        for at in [0, second, second + UInt64(8 * piece.count)] {
            var bytes = [UInt8](repeating: 0, count: piece.count)
            #expect(try bytes.withUnsafeMutableBytes { try data.read(into: $0, at: at) } == piece.count)
            #expect(bytes == piece)
        }
        var rest: [UInt8] = [1, 2]
        #expect(try rest.withUnsafeMutableBytes { try data.read(into: $0, at: second - 1) } == 2)
        #expect(rest == [0, piece[0]])
        #expect(try FileStatus(data.handle).raw.blocks * 512 < 100 << 20)
    }

    @Test func aFullDisk() throws {
        let image = try Image(sharesBlocks: false)
        let volume = try image.mount()
        let stream = try self.open(volume, "f:s")
        let piece = self.contents(10 << 20)
        for index in 0..<20 { try self.write(stream, piece, at: UInt64(index * piece.count)) }
        let free = try volume.space().availableUnits
        #expect(self.status { try volume.makeStreamUnnamed(stream, replaceExisting: true) } == .diskFull)
        #expect(self.notes(image).isEmpty)
        #expect(try self.open(volume, "f", .open).information().endOfFile == 0)
        #expect(try stream.information().endOfFile == UInt64(20 * piece.count))
        #expect(try volume.space().availableUnits >= free - 16)
    }

    /// A snapshot that meets a file in the middle of it waits, and has its bytes once.
    @Test func aSnapshotMeanwhile() throws {
        let image = try Image()
        let volume = try image.mount()
        let size = FileStoreLimits.streamBytes + 1
        let stream = try self.open(volume, "f:s")
        try self.write(stream, self.contents(size))
        let move = try volume.beginMakingUnnamed(stream, replaceExisting: true)
        try move.run()
        let token = try #require(SnapshotToken(utf8: Array("@GMT-2026.01.02-03.04.05".utf8)))
        var looks = 0
        try volume.makeSnapshot(token) {
            looks += 1
            if looks == 20 { try? move.commit([stream], isMarked: false) }
            return looks > 1000
        }
        #expect(looks >= 20, "it did not wait")
        let snapshot = try volume.snapshot(token)
        let data = try snapshot.open(OpenRequest(path: try NTPath("f"), access: .readData, disposition: .open)).file
        #expect(try self.bytes(data) == self.contents(size))
        #expect(try data.streams().map(\.name) == ["::$DATA"])
    }
}
