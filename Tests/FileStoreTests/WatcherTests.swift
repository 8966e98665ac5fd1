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
}
