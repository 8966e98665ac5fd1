import Glibc
import SMB2Wire
import Testing

@testable import FileStore

@Suite struct WatcherTests {
    private func texts(_ events: [WatchEvent]) -> [String] {
        events.map {
            switch $0 {
            case .changed(_, let action, let name): "\(action) \(String(decoding: name, as: UTF16.self))"
            case .overflowed: "overflowed"
            case .ended: "ended"
            }
        }
    }

    @Test func changesInOneDirectory() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        let root = try scratch.open("", access: [.readData]).file
        let id = try watcher.watch(root, filter: [.fileName, .directoryName, .size], recursive: false)
        let file = try scratch.open("f", .create).file
        try file.write("text")
        try scratch.volume.rename(file, to: try NTPath("g"), replaceExisting: false)
        try scratch.open("d", .create, options: .directoryFile)
        try scratch.open("d\\deep", .create)
        try scratch.volume.delete(file)
        #expect(
            self.texts(try watcher.drain()) == [
                "added f", "modified f", "renamedOldName f", "renamedNewName g", "added d", "removed g",
            ])
        watcher.unwatch(id)
        scratch.write("later")
        #expect(try watcher.drain().isEmpty)
    }

    @Test func filters() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        let root = try scratch.open("", access: [.readData]).file
        let directories = try watcher.watch(root, filter: .directoryName, recursive: false)
        let attributes = try watcher.watch(root, filter: .attributes, recursive: false)
        try scratch.open("f", .create)
        try scratch.open("d", .create, options: .directoryFile)
        var basic = BasicInformation()
        basic.attributes = .hidden
        try scratch.open("f").file.set(basic)
        let events = try watcher.drain()
        #expect(self.texts(events.filter { $0.watch == directories }) == ["added d"])
        #expect(self.texts(events.filter { $0.watch == attributes }) == ["modified f"])
    }

    /// A new file's descriptor, attributes and space are no changes of it; what comes after them is one.
    @Test func whatAFileIsMadeWithIsNoChange() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        let root = try scratch.open("", access: [.readData]).file
        let attributes = try watcher.watch(root, filter: [.attributes, .security, .size], recursive: false)
        var request = OpenRequest(
            path: try NTPath("f"), access: [.readData, .writeData, .writeAttributes], disposition: .create,
            attributes: .hidden)
        request.securityDescriptor = try scratch.open("", access: []).file.securityDescriptor()
        request.allocationSize = 1 << 16
        let file = try scratch.volume.open(request).file
        request.path = try NTPath("d")
        request.options = .directoryFile
        request.allocationSize = 0
        _ = try scratch.volume.open(request)
        #expect(self.texts(try watcher.drain()).isEmpty)
        var basic = BasicInformation()
        basic.attributes = .system
        try file.set(basic)
        #expect(self.texts(try watcher.drain()) == ["modified f"])
        watcher.unwatch(attributes)
    }

    /// What a creation reads from the kernel for its own sake is still told, and makes the descriptor readable.
    @Test func aCreationLosesNobodysEvents() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        let root = try scratch.open("", access: [.readData]).file
        let id = try watcher.watch(root, filter: [.fileName], recursive: false)
        scratch.write("beside")
        try scratch.open("f", .create)
        var poll = pollfd(fd: watcher.descriptor, events: Int16(POLLIN), revents: 0)
        #expect(Glibc.poll(&poll, 1, 0) == 1)
        #expect(self.texts(try watcher.drain()) == ["added beside", "added f"])
        #expect(Glibc.poll(&poll, 1, 0) == 0)
        watcher.unwatch(id)
    }

    /// What NTFS tells those who watch attributes alone: of the file, not of a folder, under its new name.
    @Test func aRenameChangesAFilesAttributes() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        scratch.write("f")
        scratch.makeDirectory("d")
        let root = try scratch.open("", access: [.readData]).file
        _ = try watcher.watch(root, filter: .attributes, recursive: true)
        #expect(rename("\(scratch.path)/d", "\(scratch.path)/e") == 0)
        #expect(try watcher.drain().isEmpty)
        #expect(rename("\(scratch.path)/f", "\(scratch.path)/g") == 0)
        #expect(rename("\(scratch.path)/g", "\(scratch.path)/e/h") == 0)
        #expect(self.texts(try watcher.drain()) == ["modified g", "modified e\\h"])
    }

    @Test func recursion() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        try scratch.open("a", .create, options: .directoryFile)
        try scratch.open("a\\b", .create, options: .directoryFile)
        let root = try scratch.open("", access: [.readData]).file
        _ = try watcher.watch(root, filter: [.fileName, .directoryName], recursive: true)
        scratch.write("a/b/one")
        #expect(self.texts(try watcher.drain()) == ["added a\\b\\one"])
        // A new tree, filled before anybody could watch it.
        scratch.makeDirectory("new")
        scratch.makeDirectory("new/sub")
        scratch.write("new/sub/file")
        #expect(
            Set(self.texts(try watcher.drain())).isSuperset(of: ["added new", "added new\\sub", "added new\\sub\\file"])
        )
        scratch.write("new/sub/later")
        #expect(self.texts(try watcher.drain()) == ["added new\\sub\\later"])
        // A directory that moves is told of under its new name, and what left is not told of at all.
        #expect(rename("\(scratch.path)/a/b", "\(scratch.path)/new/c") == 0)
        #expect(self.texts(try watcher.drain()) == ["removed a\\b", "added new\\c"])
        scratch.write("new/c/two")
        #expect(self.texts(try watcher.drain()) == ["added new\\c\\two"])
        let outside = try Scratch()
        #expect(rename("\(scratch.path)/new/c", "\(outside.path)/c") == 0)
        #expect(self.texts(try watcher.drain()) == ["removed new\\c"])
        outside.write("c/three")
        #expect(try watcher.drain().isEmpty)
    }

    private static let names: CompletionFilter = [.fileName, .directoryName]

    /// What the kernel has said of a folder's inside before anybody heard of the folder's new name.
    @Test func changesInAFolderThatWasJustRenamedAreTold() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        for name in ["a", "a/sub", "d"] { scratch.makeDirectory(name) }
        let root = try scratch.open("", access: [.readData]).file
        _ = try watcher.watch(root, filter: Self.names, recursive: true)
        #expect(rename("\(scratch.path)/a", "\(scratch.path)/b") == 0)
        scratch.write("b/f")
        scratch.write("b/sub/g")
        #expect(
            self.texts(try watcher.drain()) == [
                "renamedOldName a", "renamedNewName b", "added b\\f", "added b\\sub\\g",
            ])
        #expect(rename("\(scratch.path)/b", "\(scratch.path)/d/c") == 0)
        scratch.write("d/c/sub/h")
        #expect(self.texts(try watcher.drain()) == ["removed b", "added d\\c", "added d\\c\\sub\\h"])
        #expect(try self.inotifyWatches(watcher) == 4)
    }

    @Test func renamesWithinARenamedFolderAreFollowed() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        for name in ["a", "a/x", "ab"] { scratch.makeDirectory(name) }
        let root = try scratch.open("", access: [.readData]).file
        _ = try watcher.watch(root, filter: Self.names, recursive: true)
        #expect(rename("\(scratch.path)/a", "\(scratch.path)/b") == 0)
        #expect(rename("\(scratch.path)/b/x", "\(scratch.path)/b/y") == 0)
        #expect(rename("\(scratch.path)/b", "\(scratch.path)/c") == 0)
        scratch.write("c/y/f")
        scratch.write("ab/g")
        #expect(
            self.texts(try watcher.drain()) == [
                "renamedOldName a", "renamedNewName b", "renamedOldName b\\x", "renamedNewName b\\y",
                "renamedOldName b", "renamedNewName c", "added c\\y\\f", "added ab\\g",
            ])
    }

    /// It cannot be found under the name that its folder had.
    @Test func aFolderThatWasMadeInARenamedOneIsLookedThrough() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        for name in ["a", "a/old"] { scratch.makeDirectory(name) }
        scratch.write("a/old/before")
        let root = try scratch.open("", access: [.readData]).file
        _ = try watcher.watch(root, filter: Self.names, recursive: true)
        scratch.makeDirectory("a/new")
        scratch.write("a/new/f")
        #expect(rename("\(scratch.path)/a", "\(scratch.path)/b") == 0)
        #expect(
            self.texts(try watcher.drain()) == [
                "added a\\new", "renamedOldName a", "renamedNewName b", "added b\\new\\f",
            ])
        scratch.write("b/new/g")
        #expect(self.texts(try watcher.drain()) == ["added b\\new\\g"])
    }

    /// One watch's tree holds both names, the other's only the old one.
    @Test func whatLeavesOneTreeStaysInTheOther() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        for name in ["from", "from/a", "to"] { scratch.makeDirectory(name) }
        let root = try scratch.open("", access: [.readData]).file
        let inner = try scratch.open("from", access: [.readData]).file
        let outerID = try watcher.watch(root, filter: Self.names, recursive: true)
        let innerID = try watcher.watch(inner, filter: Self.names, recursive: true)
        #expect(rename("\(scratch.path)/from/a", "\(scratch.path)/to/b") == 0)
        scratch.write("to/b/f")
        let events = try watcher.drain()
        #expect(
            self.texts(events.filter { $0.watch == outerID }) == [
                "removed from\\a", "added to\\b", "added to\\b\\f",
            ])
        #expect(self.texts(events.filter { $0.watch == innerID }) == ["removed a"])
        watcher.unwatch(outerID)
        #expect(try self.inotifyWatches(watcher) == 1)
    }

    /// The kernel says the two halves of a rename one after the other, and somebody may read in between.
    @Test func aRenameThatIsReadInHalvesTellsItsWatchToLookForItself() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher(drainLimit: 1)
        scratch.makeDirectory("a")
        for name in ["f", "g"] { scratch.write(name) }
        let root = try scratch.open("", access: [.readData]).file
        _ = try watcher.watch(root, filter: Self.names, recursive: true)
        // One read takes 64 KiB, which are 2048 records with a short name each; the same twice in a row is said once.
        for index in 0..<2047 { #expect(chmod("\(scratch.path)/\(index % 2 == 0 ? "f" : "g")", 0o644) == 0) }
        #expect(rename("\(scratch.path)/a", "\(scratch.path)/b") == 0)
        scratch.write("b/f")
        #expect(self.texts(try watcher.drain()) == ["removed a"])
        #expect(self.texts(try watcher.drain()).contains("overflowed"))
        while !(try watcher.drain()).isEmpty {}
        scratch.write("b/g")
        #expect(self.texts(try watcher.drain()) == ["added b\\g"])
    }

    /// fs.inotify.max_queued_events: what came into a tree meanwhile nobody was told of, and what left it neither.
    @Test func afterAnOverflowTreesAreLookedThroughAgain() throws {
        let (scratch, outside) = (try Scratch(), try Scratch())
        let watcher = try DirectoryWatcher()
        for name in ["known", "renamed", "left"] { scratch.makeDirectory(name) }
        for name in ["f", "g"] { scratch.write(name) }
        let root = try scratch.open("", access: [.readData]).file
        _ = try watcher.watch(root, filter: Self.names, recursive: true)
        let file = try #require(fopen("/proc/sys/fs/inotify/max_queued_events", "r"))
        var line = [CChar](repeating: 0, count: 32)
        _ = fgets(&line, 32, file)
        fclose(file)
        let limit = try #require(Int(String(decoding: line.prefix { $0 > 32 }.map { UInt8($0) }, as: UTF8.self)))
        // The same twice in a row is said once.
        for index in 0...limit { chmod("\(scratch.path)/\(index % 2 == 0 ? "f" : "g")", 0o644) }
        scratch.makeDirectory("new")
        scratch.makeDirectory("new/deep")
        #expect(rename("\(scratch.path)/renamed", "\(scratch.path)/other") == 0)
        #expect(rename("\(scratch.path)/left", "\(outside.path)/left") == 0)
        var events: [WatchEvent] = []
        var poll = pollfd(fd: watcher.descriptor, events: Int16(POLLIN), revents: 0)
        while Glibc.poll(&poll, 1, 0) == 1 { events += try watcher.drain() }
        #expect(self.texts(events) == ["overflowed"])
        while watcher.walk() {}
        #expect(self.texts(try watcher.drain()) == ["overflowed"])
        #expect(try self.inotifyWatches(watcher) == 5)
        outside.write("left/f")
        for name in ["known", "new/deep", "other"] { scratch.write("\(name)/f") }
        #expect(self.texts(try watcher.drain()) == ["added known\\f", "added new\\deep\\f", "added other\\f"])
    }

    /// What this process makes elsewhere and names here (MarkedFolders.swift) was empty: what is in it by now came later.
    @Test func aFolderThatGetsItsNameHereIsLookedThrough() throws {
        let (scratch, outside) = (try Scratch(), try Scratch())
        let watcher = try DirectoryWatcher()
        outside.makeDirectory("d")
        outside.write("d/f")
        let root = try scratch.open("", access: [.readData]).file
        _ = try watcher.watch(root, filter: [.fileName, .directoryName], recursive: true)
        let made = DirectoryWatcher.Made(directory: root.fileID, name: Array("d".utf8))
        #expect(watcher.begin(made))
        #expect(rename("\(outside.path)/d", "\(scratch.path)/d") == 0)
        watcher.end(made)
        #expect(self.texts(try watcher.drain()) == ["added d", "added d\\f"])
        scratch.write("d/g")
        #expect(self.texts(try watcher.drain()) == ["added d\\g"])
    }

    @Test func theWatchedDirectoryGoes() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        do {
            let made = try scratch.open("d", .create, options: .directoryFile).file
            let id = try watcher.watch(made, filter: .fileName, recursive: true)
            try scratch.volume.delete(made)
            watcher.unwatch(id)
        }
        #expect(try watcher.drain().isEmpty)
        let root = try scratch.open("", access: [.readData]).file
        #expect(throws: FileError.self) {
            try watcher.watch(try scratch.open("f", .create).file, filter: .fileName, recursive: false)
        }
        _ = try watcher.watch(root, filter: .fileName, recursive: false)
        scratch.write("g")
        #expect(self.texts(try watcher.drain()) == ["added g"])
    }

    private func descriptors() throws -> Int {
        let directory = try #require(opendir("/proc/self/fd"))
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        return count
    }

    /// What the kernel has under watch for this inotify descriptor.
    private func inotifyWatches(_ watcher: DirectoryWatcher) throws -> Int {
        let file = try #require(fopen("/proc/self/fdinfo/\(watcher.inotify.number)", "r"))
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        var count = 0
        while fgets(&line, 256, file) != nil {
            if line.starts(with: "inotify".utf8.map { CChar(bitPattern: $0) }) { count += 1 }
        }
        return count
    }

    /// 10,000 watches: half of them on one directory, half on one each, some with trees. What they took comes back, of
    /// descriptors and of what the kernel watches, and none takes a descriptor beyond its handle's.
    @Test func tenThousandWatchesLeaveNothingBehind() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        let root = try scratch.open("", access: [.readData]).file
        // A handle each; where the process may not have so many, as many as it may.
        let own = min(5000, sysconf(Int32(_SC_OPEN_MAX)) - 1000)
        try #require(own > 0)
        for index in 0..<own { scratch.makeDirectory("d\(index)") }
        var handles: [OpenFile] = []
        for index in 0..<own { handles.append(try scratch.open("d\(index)", access: [.readData]).file) }
        let before = try self.descriptors()
        var ids: [WatchID] = []
        for index in 0..<10_000 - own {
            ids.append(try watcher.watch(root, filter: index % 2 == 0 ? .fileName : .size, recursive: false))
        }
        for (index, handle) in handles.enumerated() {
            ids.append(try watcher.watch(handle, filter: .fileName, recursive: index % 10 == 0))
        }
        #expect(try self.inotifyWatches(watcher) == own + 1)
        #expect(abs(try self.descriptors() - before) < 100, "others run beside this test")
        scratch.write("d7/new")
        #expect(self.texts(try watcher.drain()) == ["added new"])
        for id in ids.shuffled() { watcher.unwatch(id) }
        #expect(try self.inotifyWatches(watcher) == 0)
        handles = []
        #expect(try self.descriptors() - before < 100 - own)
        scratch.write("d7/later")
        #expect(try watcher.drain().isEmpty)
    }

    /// Two watches of one directory, one of them of a tree: what one lets go the other keeps.
    @Test func watchesShareWhatTheKernelWatches() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        try scratch.open("a", .create, options: .directoryFile)
        try scratch.open("a\\b", .create, options: .directoryFile)
        let root = try scratch.open("", access: [.readData]).file
        let inner = try scratch.open("a", access: [.readData]).file
        let tree = try watcher.watch(root, filter: .fileName, recursive: true)
        let single = try watcher.watch(inner, filter: .fileName, recursive: false)
        #expect(try self.inotifyWatches(watcher) == 3)
        scratch.write("a/one")
        #expect(self.texts(try watcher.drain()).sorted() == ["added a\\one", "added one"])
        watcher.unwatch(tree)
        #expect(try self.inotifyWatches(watcher) == 1)
        scratch.write("a/two")
        scratch.write("a/b/deep")
        #expect(self.texts(try watcher.drain()) == ["added two"])
        watcher.unwatch(single)
        #expect(try self.inotifyWatches(watcher) == 0)
    }

    /// The server's own limit; the kernel's (fs.inotify.max_user_watches) says the same.
    @Test func atTheLimit() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher(watchLimit: 3)
        for name in ["a", "b", "c", "d"] { scratch.makeDirectory(name) }
        let root = try scratch.open("", access: [.readData]).file
        // A tree beyond the limit is watched as far as it goes, and its client told once to look for itself.
        let tree = try watcher.watch(root, filter: .fileName, recursive: true)
        #expect(self.texts(try watcher.drain()) == ["overflowed"])
        scratch.write("near")
        #expect(self.texts(try watcher.drain()) == ["added near"])
        scratch.makeDirectory("e")
        #expect(try watcher.drain().isEmpty)
        let more = try scratch.open("e", access: [.readData]).file
        #expect(
            scratch.status { _ = try watcher.watch(more, filter: .fileName, recursive: false) }
                == .insufficientResources)
        // What is watched already costs nothing more.
        let again = try watcher.watch(root, filter: .fileName, recursive: false)
        watcher.unwatch(again)
        watcher.unwatch(tree)
        _ = try watcher.watch(more, filter: .fileName, recursive: false)
        scratch.write("e/f")
        #expect(self.texts(try watcher.drain()) == ["added f"])
    }

    /// A tree that is not looked through at once: what is near is seen from the beginning, the rest when it is, and then the client
    /// is told to look for itself.
    @Test func aLargeTree() throws {
        let scratch = try Scratch()
        let watcher = try DirectoryWatcher()
        let count = FileStoreLimits.watchedDirectoriesAtOnce + 10
        for index in 0..<count {
            scratch.makeDirectory("d\(index)")
            scratch.makeDirectory("d\(index)/sub")
        }
        let root = try scratch.open("", access: [.readData]).file
        let id = try watcher.watch(root, filter: [.fileName, .directoryName], recursive: true)
        #expect(watcher.hasWalks)
        scratch.write("near")
        #expect(self.texts(try watcher.drain()) == ["added near"])
        #expect(try self.inotifyWatches(watcher) == FileStoreLimits.watchedDirectoriesAtOnce)
        // Directories come and go meanwhile.
        for index in 0..<count / 2 { #expect(rename("\(scratch.path)/d\(index)", "\(scratch.path)/e\(index)") == 0) }
        for _ in 0..<10 { #expect(watcher.walk()) }
        for index in count / 2..<count { #expect(rmdir("\(scratch.path)/d\(index)/sub") == 0) }
        _ = try watcher.drain()
        while watcher.walk() {}
        #expect(!watcher.hasWalks)
        #expect(self.texts(try watcher.drain()).last == "overflowed")
        #expect(try self.inotifyWatches(watcher) == 1 + count + count / 2)
        for index in 0..<count {
            let name = index < count / 2 ? "e\(index)/sub/far" : "d\(index)/far"
            scratch.write(name)
            #expect(self.texts(try watcher.drain()) == ["added \(name.split(separator: "/").joined(separator: "\\"))"])
        }
        watcher.unwatch(id)
        #expect(try self.inotifyWatches(watcher) == 0)
    }

    /// One that is let go, deleted or too large in the middle.
    @Test func aLargeTreeThatIsLetGo() throws {
        let scratch = try Scratch()
        let count = FileStoreLimits.watchedDirectoriesAtOnce + 10
        scratch.makeDirectory("top")
        for index in 0..<count { scratch.makeDirectory("top/d\(index)") }
        let watcher = try DirectoryWatcher(watchLimit: count - 5)
        let root = try scratch.open("top", access: [.readData]).file
        let first = try watcher.watch(root, filter: .fileName, recursive: true)
        #expect(watcher.walk())
        watcher.unwatch(first)
        #expect(!watcher.walk())
        #expect(try self.inotifyWatches(watcher) == 0)
        let second = try watcher.watch(root, filter: .fileName, recursive: true)
        while watcher.walk() {}
        #expect(self.texts(try watcher.drain()) == ["overflowed"], "at its limit, and told once")
        watcher.unwatch(second)
        _ = try watcher.watch(root, filter: .fileName, recursive: true)
        #expect(run("rm", "-r", "\(scratch.path)/top") == 0)
        while watcher.walk() {}
        // It is open, and so not gone.
        #expect(self.texts(try watcher.drain()).count { $0 == "overflowed" } == 1)
        #expect(!watcher.hasWalks)
    }
}
