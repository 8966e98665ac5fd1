import CLinux
import Glibc
import SMB2Wire
import Testing

@testable import FileStore

@Suite struct POSIXTests {
    private func request(
        _ scratch: Scratch, _ path: String, _ disposition: CreateDisposition = .openIf, mode: UInt32 = 0o640,
        options: CreateOptions = []
    ) throws -> OpenRequest {
        var request = try scratch.request(POSIXNames.mapped(path: path), disposition, options: options)
        request.posix = POSIXOpen(mode: mode)
        return request
    }

    @discardableResult
    private func open(
        _ scratch: Scratch, _ path: String, _ disposition: CreateDisposition = .openIf, mode: UInt32 = 0o640,
        options: CreateOptions = []
    ) throws -> OpenResult {
        try scratch.volume.open(
            try self.request(scratch, path, disposition, mode: mode, options: options))
    }

    @Test func namesThatDifferInCaseAreTwoFiles() throws {
        let scratch = try Scratch()
        try self.open(scratch, "File", .create).file.write("upper")
        #expect(scratch.status { try self.open(scratch, "file", .open) } == .objectNameNotFound)
        try self.open(scratch, "file", .create).file.write("lower")
        #expect(try scratch.list() == ["File", "file"])
        // Who knows no case gets the one that is spelled so, else one of them.
        #expect(try scratch.open("file").file.text() == "lower")
        #expect(try scratch.open("File").file.text() == "upper")
        let either = try scratch.open("FILE").file.text()
        #expect(try scratch.open("FILE").file.text() == either)
        #expect(scratch.status("FILE", .create) == .objectNameCollision)
    }

    /// Two spellings come and go in an index that is in use: it must never lose the one that is left.
    @Test func theIndexSurvivesTwoSpellings() throws {
        let scratch = try Scratch()
        for round in 0..<8 {
            try self.open(scratch, "name", .create)
            #expect(scratch.status("NAMe") == .success, "the index is read")
            try self.open(scratch, "NAME", .create)
            #expect(scratch.status("NAMe") == .success)
            let gone = round % 2 == 0 ? "name" : "NAME"
            let left = round % 2 == 0 ? "NAME" : "name"
            try scratch.volume.delete(try self.open(scratch, gone, .open).file)
            #expect(try scratch.list() == [left])
            let found = try scratch.open("NAMe").file
            #expect(try found.currentPath().shownString == left)
            let moved = try self.open(scratch, left, .open).file
            try scratch.volume.rename(moved, to: try NTPath("nAmE"), replaceExisting: false)
            #expect(try scratch.open("NAMe").file.currentPath().shownString == "nAmE")
            try scratch.volume.delete(moved)
            #expect(scratch.status("NAMe") == .objectNameNotFound)
        }
    }

    @Test func whatWindowsReservesIsOnDiskAsItIs() throws {
        let scratch = try Scratch()
        try self.open(scratch, "dir?", .create, options: .directoryFile)
        for name in ["a:b", "*", "con", "trailing.", "trailing ", "q\"<>|", "back\\slash"] {
            #expect(try self.open(scratch, "dir?/\(name)", .create).action == .created)
            #expect(scratch.exists("dir?/\(name)"), "\(name)")
            #expect(try self.open(scratch, "dir?/\(name)", .open).action == .opened)
        }
        // A client that maps by itself means the same files.
        #expect(try scratch.open("dir\u{F025}\\a\u{F022}b").action == .opened)
        #expect(scratch.status { try self.open(scratch, "dir?/..", .create) } == .objectPathSyntaxBad)
        #expect(scratch.status { try self.open(scratch, "dir?/.", .create) } == .objectNameInvalid)
        // A mapped name that would become no name stays as it is.
        for name in ["\u{F029}", ".\u{F029}"] { #expect(try self.open(scratch, name, .create).action == .created) }
    }

    /// The mapped name itself is on disk, from a client without the extensions: that is the one which is shown.
    @Test func theMappedNameOnDiskIsFound() throws {
        let scratch = try Scratch()
        try scratch.open("a\u{F022}b", .create).file.write("mapped")
        #expect(try self.open(scratch, "a:b", .open).file.text() == "mapped")
    }

    @Test func theModeIsWhatTheClientSays() throws {
        let scratch = try Scratch()
        #expect(try self.open(scratch, "f", mode: 0o1751).information.mode == 0o101751)
        #expect(try self.open(scratch, "d", mode: 0o1770, options: .directoryFile).information.mode == 0o041770)
        let file = try self.open(scratch, "f", .open).file
        try file.setMode(0o600)
        #expect(try file.information().mode == 0o100600)
        guard geteuid() == 0 else { return }
        try file.setOwner(uid: 1234, gid: nil)
        try file.setOwner(uid: nil, gid: 4321)
        let information = try file.information()
        #expect(information.uid == 1234)
        #expect(information.gid == 4321)
    }

    /// What clients make is root's: a set-user-ID program would run as root, for whoever may log in on the host.
    @Test(.enabled(if: canMountXFS(), "needs root, loop devices and XFS"))
    func noClientMakesAProgramThatRunsAsRoot() throws {
        let image = try Image()
        do {
            let volume = try image.mount()
            func open(_ path: String, mode: UInt32, options: CreateOptions = []) throws -> OpenResult {
                var request = OpenRequest(
                    path: try NTPath(path), access: .readData, disposition: .openIf, options: options)
                request.posix = POSIXOpen(mode: mode)
                return try volume.open(request)
            }
            for bits: UInt32 in [0o4000, 0o2000, 0o6000] {
                let made = try open("f\(bits)", mode: bits | 0o755)
                #expect(made.information.mode == 0o100755)
                try made.file.setMode(bits | 0o1711)
                #expect(try made.file.information().mode == 0o101711)
            }
            // Of a folder set-group-ID says whose is what is made in it.
            let folder = try open("d", mode: 0o2775, options: .directoryFile)
            #expect(folder.information.mode == 0o042775)
            try folder.file.setMode(0o2770)
            #expect(try folder.file.information().mode == 0o042770)
            // A cluster's LUN is mounted so: nothing on it is run as somebody else.
            try #require(run("mount", "-o", "remount,bind,nosuid", "\(image.directory)/mount") == 0)
            let kept = try open("kept", mode: 0o6755)
            #expect(kept.information.mode == 0o106755)
            try kept.file.setMode(0o4711)
            #expect(try kept.file.information().mode == 0o104711)
        }
        try image.leave()
    }

    @Test func aNewDirectoryKeepsItsParentsGroup() throws {
        let scratch = try Scratch()
        try self.open(scratch, "d", mode: 0o2775, options: .directoryFile)
        #expect(try self.open(scratch, "d/e", mode: 0o755, options: .directoryFile).information.mode == 0o042755)
    }

    /// A mode without write permission is no DOS attribute: git's objects are such files.
    @Test func aFileNobodyMayWriteIsDeletedAndReplaced() throws {
        let scratch = try Scratch()
        let file = try self.open(scratch, "f", .create, mode: 0o444).file
        try scratch.volume.checkDelete(file)
        let other = try self.open(scratch, "g", .create).file
        try scratch.volume.rename(other, to: try NTPath("f"), replaceExisting: true)
        #expect(try scratch.list() == ["f"])
        // Who did not ask for POSIX is told what Windows would say.
        try self.open(scratch, "h", .create, mode: 0o444)
        let ordinary = try scratch.open("h", access: [.readData, .delete]).file
        #expect(scratch.status { try scratch.volume.checkDelete(ordinary) } == .cannotDelete)
        // And the attribute that somebody set counts for everybody.
        try scratch.open("i", .create, attributes: .readOnly)
        let protected = try scratch.request("i", access: [.readData, .delete])
        var posix = protected
        posix.posix = POSIXOpen(mode: 0)
        let kept = try scratch.volume.open(posix).file
        #expect(scratch.status { try scratch.volume.checkDelete(kept) } == .cannotDelete)
    }

    @Test func directoriesReplaceEmptyDirectories() throws {
        let scratch = try Scratch()
        let directory = try self.open(scratch, "d", .create, options: .directoryFile).file
        try self.open(scratch, "e", .create, options: .directoryFile)
        try self.open(scratch, "full", .create, options: .directoryFile)
        try self.open(scratch, "full/x", .create)
        try self.open(scratch, "file", .create)
        let volume = scratch.volume
        #expect(
            scratch.status { try volume.rename(directory, to: try NTPath("full"), replaceExisting: true) }
                == .directoryNotEmpty)
        #expect(
            scratch.status { try volume.rename(directory, to: try NTPath("file"), replaceExisting: true) }
                == .notADirectory)
        try volume.rename(directory, to: try NTPath("e"), replaceExisting: true)
        #expect(try scratch.list() == ["e", "file", "full"])
    }

    @Test func truncatingKeepsTheRest() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f:stream", .create).file
        try file.write("kept")
        let request = try self.request(scratch, "f", .overwriteIf)
        let result = try scratch.volume.open(request)
        try scratch.volume.overwrite(result.file, request)
        #expect(try scratch.open("f:stream").file.text() == "kept")
    }

    @Test func patternsKnowCase() throws {
        let scratch = try Scratch()
        for name in ["a", "A", "b:c"] { try self.open(scratch, name, .create) }
        let directory = try self.open(scratch, "", .open, options: .directoryFile).file
        let cursor = try DirectoryCursor(directory)
        func list(_ pattern: String) throws -> [String] {
            try cursor.restart(pattern: Array(pattern.utf16))
            var names: [String] = []
            while let entry = try cursor.next() { names.append(entry.nameString) }
            return names
        }
        #expect(try list("a") == ["a"])
        #expect(try list("B\u{F022}C") == [])
        #expect(try list("b\u{F022}c") == ["b\u{F022}c"])
    }
}
