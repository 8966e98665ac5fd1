import CLinux
import Glibc
import SMB2Wire
import Testing

@testable import FileStore

/// Snapshots on a real XFS.
@Suite(.enabled(if: canMountXFS(), "needs root, loop devices and XFS"), .serialized)
struct SnapshotTests {
    private static let first = SnapshotToken(unixSeconds: 1_795_548_600)

    private func open(
        _ volume: Volume, _ path: String, _ disposition: CreateDisposition = .open,
        access: AccessMask = [.readData, .writeData, .delete], options: CreateOptions = []
    ) throws -> OpenFile {
        try volume.open(
            OpenRequest(path: try NTPath(path), access: access, disposition: disposition, options: options)
        ).file
    }

    private func write(_ volume: Volume, _ path: String, _ text: String) throws {
        let file = try self.open(volume, path, .openIf)
        try file.setEndOfFile(0)
        try file.write(text)
    }

    private func text(_ volume: Volume, _ path: String) throws -> String {
        try self.open(volume, path, access: [.readData]).text()
    }

    private func list(_ volume: Volume, _ path: String = "") throws -> [String] {
        let cursor = try DirectoryCursor(try self.open(volume, path, access: [.readData], options: .directoryFile))
        try cursor.restart(pattern: Array("*".utf16))
        var names: [String] = []
        while let entry = try cursor.next() { names.append(entry.nameString) }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }

    private func status(_ body: () throws -> Void) -> NTStatus {
        do {
            try body()
            return .success
        } catch { return (error as? FileError)?.status ?? .internalError }
    }

    private func token(_ seconds: Int64) throws -> SnapshotToken {
        try #require(SnapshotToken(unixSeconds: 1_795_548_600 + seconds))
    }

    /// Where the share's snapshots lie.
    private func place(_ volume: Volume) throws -> String {
        guard let place = try volume.snapshotPlace() else { throw FileError(.objectNameNotFound, "a place") }
        return String(decoding: try place.path(), as: UTF8.self)
    }

    /// What lies there, whole or not.
    private func inPlace(_ volume: Volume) throws -> [String] {
        guard let place = try volume.snapshotPlace() else { return [] }
        return try Volume.names(in: place.number).map { String(decoding: $0, as: UTF8.self) }.sorted()
    }

    /// A share in a folder of the file system, as a cluster has it.
    private func share(_ image: Image) throws -> Volume {
        let root = try image.mount()
        #expect(mkdir("\(image.directory)/mount/share", 0o755) == 0 || errno == EEXIST)
        _ = root
        return try Volume(root: "\(image.directory)/mount/share", options: .init(label: "share"))
    }

    @Test func aTreeAsItWas() throws {
        let image = try Image()
        do {
            let volume = try self.share(image)
            let token = try self.token(0)
            let folder = "\(image.directory)/mount/share"
            _ = try self.open(volume, "dir", .create, options: .directoryFile)
            _ = try self.open(volume, "dir\\deep", .create, options: .directoryFile)
            _ = try self.open(volume, "empty", .create, options: .directoryFile)
            try self.write(volume, "dir\\deep\\file", "the first version")
            try self.write(volume, "Bücher.txt", "Umlaut")
            try self.write(volume, "none", "")
            try self.write(volume, "dir\\deep\\file:stream", "beside it")
            let file = try self.open(
                volume, "dir\\deep\\file",
                access: [.readData, .writeData, .writeAttributes, .writeDAC, .readControl])
            var basic = BasicInformation()
            basic.attributes = [.hidden, .archive]
            basic.lastWriteTime = FileTime(unixSeconds: 1_000_000_000, nanoseconds: 123_400)
            basic.lastAccessTime = FileTime(unixSeconds: 1_000_000_001, nanoseconds: 0)
            try file.set(basic)
            let before = try file.information()
            let descriptor = try file.securityDescriptor()
            try file.setSecurityDescriptor(descriptor, parts: .dacl)
            let kept = try file.securityDescriptor()
            #expect(link("\(folder)/dir/deep/file", "\(folder)/second") == 0)
            #expect(symlink("dir/deep/file", "\(folder)/link") == 0)
            #expect(chmod("\(folder)/empty", 0o2750) == 0)
            #expect(chown("\(folder)/none", 1234, 5678) == 0)
            #expect(run("mkfifo", "\(folder)/fifo") == 0)

            let made = try volume.makeSnapshot(token)
            #expect(made.files == 4 && made.directories == 4 && made.leftOut == 1)
            #expect(try volume.snapshots() == [Snapshot(token: token, isScheduled: false)])

            // What happens now does not show there.
            try file.write("XXXXX")
            try volume.delete(try self.open(volume, "Bücher.txt"))
            try volume.rename(try self.open(volume, "empty"), to: try NTPath("moved"), replaceExisting: false)
            try self.write(volume, "later", "not there")

            let old = try volume.snapshot(token)
            #expect(try self.list(old) == ["Bücher.txt", "dir", "empty", "link", "none", "second"])
            #expect(try self.list(old, "dir\\deep") == ["file"])
            #expect(try self.text(old, "DIR\\deep\\FILE") == "the first version")
            #expect(try self.text(old, "dir\\deep\\file:stream") == "beside it")
            #expect(try self.text(old, "Bücher.txt") == "Umlaut")
            let copy = try self.open(old, "dir\\deep\\file", access: [.readData])
            let after = try copy.information()
            #expect(after.attributes == before.attributes)
            #expect(after.creationTime == before.creationTime)
            #expect(after.lastWriteTime == before.lastWriteTime)
            #expect(after.linkCount == 2)
            #expect(after.fileID != before.fileID)
            #expect(try copy.securityDescriptor() == kept)
            #expect(try self.open(old, "second").identity == copy.identity)
            var target = [CChar](repeating: 0, count: 64)
            #expect(readlink("\(try self.place(volume))/\(token.text)/link", &target, 63) == 13)
            #expect(target.prefix(13).elementsEqual("dir/deep/file".utf8.map { CChar(bitPattern: $0) }))
            #expect(try self.open(old, "empty").information().mode & 0o7777 == 0o2750)
            let owned = try self.open(old, "none").information()
            #expect(owned.uid == 1234 && owned.gid == 5678)
            // The blocks are shared: a second tree of this size would not have found room twice.
            #expect(try self.text(volume, "dir\\deep\\file") == "XXXXXirst version")
        }
        try image.leave()
    }

    /// Opened to write like anything else, and nothing can be changed: what smb2.twrp.write expects of a server.
    @Test func nothingCanBeChanged() throws {
        let image = try Image()
        do {
            let volume = try self.share(image)
            try self.write(volume, "file", "as it was")
            _ = try self.open(volume, "dir", .create, options: .directoryFile)
            try volume.makeSnapshot(try self.token(0))
            let old = try volume.snapshot(try self.token(0))
            let all: AccessMask = [
                .readData, .writeData, .appendData, .delete, .writeAttributes, .writeEA, .writeDAC, .readControl,
            ]
            let file = try self.open(old, "file", access: all)
            let protected = NTStatus.mediaWriteProtected
            #expect(self.status { try file.write("new") } == protected)
            #expect(self.status { try file.setEndOfFile(0) } == protected)
            #expect(self.status { try file.setAllocation(0) } == protected)
            #expect(self.status { try file.zero(0..<4) } == protected)
            var basic = BasicInformation()
            basic.attributes = .hidden
            #expect(self.status { try file.set(basic) } == protected)
            #expect(self.status { try file.setSparse(true) } == protected)
            #expect(
                self.status { try file.setExtendedAttributes([ExtendedAttribute(name: [65], value: [1])]) } == protected
            )
            let descriptor = try file.securityDescriptor()
            #expect(self.status { try file.setSecurityDescriptor(descriptor, parts: .dacl) } == protected)
            #expect(self.status { try old.checkDelete(file) } == protected)
            #expect(self.status { try old.delete(file) } == protected)
            #expect(self.status { try old.rename(file, to: NTPath("other"), replaceExisting: false) } == protected)
            #expect(self.status { try old.link(file, to: NTPath("other"), replaceExisting: false) } == protected)
            for disposition in [CreateDisposition.create, .openIf, .overwriteIf, .supersede] {
                #expect(self.status { _ = try self.open(old, "new", disposition) } == protected)
                #expect(self.status { _ = try self.open(old, "file:new", disposition) } == protected)
            }
            for disposition in [CreateDisposition.overwrite, .overwriteIf, .supersede] {
                #expect(self.status { _ = try self.open(old, "file", disposition) } == protected)
            }
            #expect(self.status { _ = try self.open(old, "file", options: .deleteOnClose) } == protected)
            #expect(try self.text(old, "file") == "as it was")
            #expect(try self.list(old) == ["dir", "file"])
            // Given back after a takeover, the handle cannot do more than before.
            let again = try old.reopen(file.identity, path: try NTPath("file"), access: all)
            #expect(self.status { try again.write("new") } == protected)
        }
        try image.leave()
    }

    @Test func listedDeletedAndLimited() throws {
        let image = try Image()
        do {
            let volume = try self.share(image)
            try self.write(volume, "file", "x")
            #expect(try volume.snapshots() == [])
            #expect(self.status { _ = try volume.snapshot(self.token(0)) } == .objectNameNotFound)
            for second in [Int64(20), 0, 10] {
                try volume.makeSnapshot(try self.token(second), isScheduled: second == 10)
            }
            #expect(
                try volume.snapshots() == [
                    Snapshot(token: try self.token(0), isScheduled: false),
                    Snapshot(token: try self.token(10), isScheduled: true),
                    Snapshot(token: try self.token(20), isScheduled: false),
                ])
            #expect(try volume.newestSnapshots() == [try self.token(20), try self.token(10), try self.token(0)])
            #expect(self.status { try volume.makeSnapshot(self.token(10)) } == .objectNameCollision)
            let held = try self.open(try volume.snapshot(try self.token(0)), "file", access: [.readData])
            try volume.removeSnapshot(try self.token(0))
            #expect(try volume.newestSnapshots() == [try self.token(20), try self.token(10)])
            #expect(self.status { _ = try volume.snapshot(self.token(0)) } == .objectNameNotFound)
            #expect(self.status { try volume.removeSnapshot(self.token(0)) } == .objectNameNotFound)
            // Whoever has a file of it open reads on.
            #expect(try held.text() == "x")
            let place = try self.place(volume)
            for second in Int64(100)..<Int64(100 + SnapshotLimits.perShare - 2) {
                #expect(mkdir("\(place)/\(try self.token(second).text)", 0o700) == 0)
            }
            #expect(self.status { try volume.makeSnapshot(self.token(5000)) } == .insufficientResources)
        }
        try image.leave()
    }

    /// A child process that is being started has a copy of every descriptor until it executes its program.
    @Test func theLockGoesThoughSomebodyElseHasItsDescriptor() throws {
        let image = try Image()
        do {
            let volume = try self.share(image)
            try self.write(volume, "file", "x")
            try volume.makeSnapshot(try self.token(0))
            guard let place = try volume.snapshotPlace() else { throw FileError(.objectNameNotFound, "a place") }
            let childs = try place.duplicate()
            let isLocked = try Volume.lock(place)
            #expect(isLocked)
            #expect(self.status { try volume.makeSnapshot(self.token(1)) } == .sharingViolation)
            Volume.unlock(place)
            #expect(self.status { try volume.makeSnapshot(self.token(1)) } == .success)
            #expect(childs.number >= 0)
        }
        try image.leave()
    }

    /// The next node mounts the file system: it sees what is whole, and removes what is not.
    @Test func aCrashInTheMiddle() throws {
        let image = try Image()
        do {
            let volume = try self.share(image)
            try self.write(volume, "file", "x")
            try volume.makeSnapshot(try self.token(0))
            try volume.makeSnapshot(try self.token(1))
            // As it lies there when the node dies while it makes one and removes another.
            let path = try self.place(volume)
            #expect(rename("\(path)/\(try self.token(1).text)", "\(path)/.making-\(try self.token(1).text)") == 0)
            #expect(
                run("cp", "-r", "\(path)/\(try self.token(0).text)", "\(path)/.removing-\(try self.token(9).text)") == 0
            )
        }
        try image.leave()
        do {
            let volume = try self.share(image)
            #expect(try volume.newestSnapshots() == [try self.token(0)])
            try volume.removeUnfinishedSnapshots()
            #expect(try self.inPlace(volume) == [try self.token(0).text])
            #expect(try self.text(try volume.snapshot(try self.token(0)), "file") == "x")
        }
        try image.leave()
    }

    @Test func oneAtATime() throws {
        let image = try Image()
        do {
            let volume = try self.share(image)
            try self.write(volume, "file", "x")
            var inner: [NTStatus] = []
            try volume.makeSnapshot(try self.token(0)) {
                inner.append(self.status { try volume.makeSnapshot(self.token(1)) })
                // Leaves alone what is being made.
                inner.append(self.status { try volume.removeUnfinishedSnapshots() })
                return false
            }
            #expect(inner == [.sharingViolation, .success])
            #expect(try volume.newestSnapshots() == [try self.token(0)])
        }
        try image.leave()
    }

    @Test func cancelledIsGone() throws {
        let image = try Image()
        do {
            let volume = try self.share(image)
            for index in 0..<20 { try self.write(volume, "file \(index)", "x") }
            var looked = 0
            let cancelled = self.status {
                try volume.makeSnapshot(self.token(0)) {
                    looked += 1
                    return looked > 10
                }
            }
            #expect(cancelled == .cancelled)
            #expect(try self.inPlace(volume) == [])
        }
        try image.leave()
    }

    /// Where the share is the whole file system the place lies in its tree: nobody sees it, and no snapshot holds it.
    @Test func theServersOwnPlaceIsHidden() throws {
        let image = try Image()
        do {
            let volume = try image.mount()
            let watcher = try DirectoryWatcher()
            let root = try self.open(volume, "", access: [.readData])
            _ = try watcher.watch(root, filter: [.fileName, .directoryName, .attributes], recursive: true)
            try self.write(volume, "file", "x")
            try volume.makeSnapshot(try self.token(0))
            try volume.makeSnapshot(try self.token(1))
            #expect(access("\(image.directory)/mount/.holdfast/snapshots", F_OK) == 0)
            #expect(try self.list(volume) == ["file"])
            #expect(try self.list(try volume.snapshot(try self.token(1))) == ["file"])
            let cursor = try DirectoryCursor(root)
            try cursor.restart(pattern: Array(".HoldFast".utf16))
            #expect(try cursor.next() == nil)
            for path in [".holdfast", ".HOLDFAST", ".holdfast\\snapshots", ".HoldFast\\new"] {
                #expect(self.status { _ = try self.open(volume, path, access: [.readData]) } == .accessDenied)
                #expect(self.status { _ = try self.open(volume, path, .create) } == .accessDenied)
            }
            let file = try self.open(volume, "file")
            for path in [".holdfast", ".holdfast\\x"] {
                #expect(
                    self.status { try volume.rename(file, to: NTPath(path), replaceExisting: true) } == .accessDenied)
                #expect(self.status { try volume.link(file, to: NTPath(path), replaceExisting: true) } == .accessDenied)
            }
            // Elsewhere it is a name like any other.
            _ = try self.open(volume, "dir", .create, options: .directoryFile)
            try self.write(volume, "dir\\.holdfast", "an ordinary file")
            #expect(try self.list(volume, "dir") == [".holdfast"])
            let told = try watcher.drain().compactMap { event -> String? in
                if case .changed(_, _, let name) = event { return String(decoding: name, as: UTF16.self) }
                return nil
            }
            #expect(Set(told) == ["file", "dir", "dir\\.holdfast"])
        }
        try image.leave()
    }

    /// While somebody writes: each file is as it was at one moment.
    @Test func whileFilesChange() throws {
        let image = try Image()
        do {
            let volume = try self.share(image)
            let path = "\(image.directory)/mount/share"
            for index in 0..<64 { try self.write(volume, "file \(index)", String(repeating: "0", count: 8192)) }
            // Every write makes a whole file of one digit; and files and folders come and go and move.
            let script = """
                cd '\(path)' && for round in 1 2 3 4 5; do
                    for index in $(seq 0 63); do
                        printf "%08192d" 0 | tr 0 $round | dd of="file $index" bs=8192 count=1 conv=notrunc status=none
                    done
                    mkdir -p "d$round/inner" && echo x >"d$round/inner/x" && mv "d$round" "m$round"
                done
                """
            var words: [UnsafeMutablePointer<CChar>?] = [strdup("sh"), strdup("-c"), strdup(script), nil]
            defer { for word in words { free(word) } }
            var process = pid_t()
            #expect(posix_spawnp(&process, "sh", nil, nil, &words, environ) == 0)
            var snapshots = 0
            var status: Int32 = 0
            while waitpid(process, &status, WNOHANG) == 0 {
                try volume.makeSnapshot(try self.token(Int64(snapshots)))
                snapshots += 1
            }
            #expect(status == 0)
            #expect(snapshots > 1)
            var seen: Set<Character> = []
            for index in 0..<Int64(snapshots) {
                let old = try volume.snapshot(try self.token(index))
                for name in try self.list(old) where name.hasPrefix("file") {
                    let text = try self.text(old, name)
                    #expect(text.utf8.count == 8192)
                    #expect(Set(text).count == 1)
                    seen.formUnion(text)
                }
                #expect(try self.list(old).filter { $0.hasPrefix("file") }.count == 64)
            }
            #expect(seen.count > 1)
        }
        try image.leave()
    }

    @Test func noSpace() throws {
        let image = try Image()
        do {
            let volume = try self.share(image)
            for index in 0..<200 { _ = try self.open(volume, "dir \(index)", .create, options: .directoryFile) }
            // Directories and inodes are what a snapshot needs room for.
            let fill = run(
                "sh", "-c", "dd if=/dev/zero of='\(image.directory)/mount/fill' bs=1M status=none 2>/dev/null")
            #expect(fill != 0)
            run("sh", "-c", "for i in $(seq 1 20000); do : >'\(image.directory)/mount/f'$i || exit; done 2>/dev/null")
            #expect(self.status { try volume.makeSnapshot(self.token(0)) } == .diskFull)
            #expect(try volume.newestSnapshots() == [])
        }
        try image.leave()
    }
}

@Suite struct SnapshotRefusalTests {
    /// Told before anything is made, least of all at the root of somebody's file system.
    @Test func noSharedBlocksNoSnapshot() throws {
        let scratch = try Scratch()
        scratch.write("file", "x")
        let token = try #require(SnapshotToken(unixSeconds: 1_795_548_600))
        let status = scratch.status { try scratch.volume.makeSnapshot(token) }
        // A developer's machine may have its /tmp on a file system that can.
        if status == .success { try scratch.volume.removeSnapshot(token) } else { #expect(status == .notSupported) }
        #expect(try scratch.volume.snapshots() == [])
    }
}
