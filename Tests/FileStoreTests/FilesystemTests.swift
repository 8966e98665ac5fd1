import CLinux
import Glibc
import SMB2Wire
import Testing

@testable import FileStore

/// Runs a program; its exit status, or -1 where it could not be started.
@discardableResult
func run(_ words: String...) -> Int32 {
    var process = pid_t()
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    guard posix_spawnp(&process, words[0], nil, nil, &arguments, environ) == 0 else { return -1 }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    return status & 0x7F == 0 ? status >> 8 & 0xFF : -1
}

func canMountXFS() -> Bool {
    guard getuid() == 0, access("/dev/loop-control", F_OK) == 0 else { return false }
    return run("sh", "-c", "command -v mkfs.xfs losetup >/dev/null && grep -qw xfs /proc/filesystems") == 0
}

/// A file system image on one loop device after the other, as a takeover mounts it on one node after the other. Each has a UUID
/// of its own: XFS mounts none twice, and other suites have images mounted at the same time.
final class Image {
    let directory: String
    private var device: String?
    private var isMounted = false
    private static let busyMilliseconds = 10_000

    /// - Parameter sharesBlocks: reflink.
    init(sharesBlocks: Bool = true) throws {
        var template = Array("/tmp/filestore-xfs-XXXXXX".utf8CString)
        let made = try #require(mkdtemp(&template))
        self.directory = String(cString: made)
        mkdir("\(self.directory)/mount", 0o755)
        try self.shell("truncate -s 400M image && mkfs.xfs -q -m reflink=\(sharesBlocks ? 1 : 0) image")
    }

    deinit {
        if self.isMounted { _ = clinux_unmount("\(self.directory)/mount", CLINUX_MNT_DETACH) }
        if let device = self.device { run("losetup", "-d", device) }
        run("rm", "-r", self.directory)
    }

    func mount() throws -> Volume {
        // Every time on another device, though never two at once: the number of a device must not matter.
        let old = self.device
        self.device = try self.shell("losetup -f --show image")
        if let old { run("losetup", "-d", old) }
        try self.shell("mount -t xfs \(self.device ?? "") mount")
        self.isMounted = true
        return try Volume(root: "\(self.directory)/mount", options: .init(label: "xfs"))
    }

    /// Leaves the loop device attached: the next mount gets another one.
    /// A child process that another test is just starting has this process's descriptors until it executes its program, those
    /// of the volume, too: that long the file system is busy, whoever closed what.
    func leave() throws {
        var waited = 0
        while clinux_unmount("\(self.directory)/mount", 0) != 0 {
            let error = errno
            try #require(
                error == EBUSY && waited < Self.busyMilliseconds, "umount: \(String(cString: strerror(error)))")
            usleep(10_000)
            waited += 10
        }
        self.isMounted = false
    }

    /// A line of shell in the directory, which must succeed; what it prints.
    @discardableResult
    private func shell(_ line: String) throws -> String {
        let status = run("sh", "-c", "cd \(self.directory) && { \(line); } >said 2>complaint")
        try #require(status == 0, "\(line): exit \(status), \(self.text("complaint"))")
        return self.text("said")
    }

    /// The first line of a small file.
    private func text(_ name: String) -> String {
        guard let file = fopen("\(self.directory)/\(name)", "r") else { return "" }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        _ = fgets(&line, CInt(line.count), file)
        return String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

@Suite(.enabled(if: canMountXFS(), "needs root, loop devices and XFS"), .serialized)
struct FilesystemTests {
    /// Chaos found a file that could neither be renamed nor deleted after a failover in the middle of its rename.
    @Test func aFileThatWasJustRenamedHasItsNewNameOnTheNextNode() throws {
        let image = try Image()
        var record: [UInt8] = []
        do {
            let volume = try image.mount()
            let file = try volume.open(
                OpenRequest(path: try NTPath("old"), access: [.readData, .writeData, .delete], disposition: .create)
            ).file
            record = file.identity.encoded
            try volume.rename(file, to: try NTPath("new"), replaceExisting: false, isMarked: true)
            try file.flushName()
        }
        try image.leave()
        do {
            let volume = try image.mount()
            let file = try volume.reopen(
                try #require(FileIdentity(encoded: record)), path: try NTPath("old"), access: [.readData, .delete])
            #expect(try file.currentPath() == NTPath("new"))
            #expect(file.isElsewhere)
            let known = try volume.reopen(
                try #require(FileIdentity(encoded: record)), path: try NTPath("NEW"), access: [.readData, .delete])
            #expect(!known.isElsewhere, "found by its name, however it is spelled")
            try volume.rename(file, to: try NTPath("newer"), replaceExisting: false)
            try volume.delete(file)
            #expect(try volume.lookup(try NTPath("newer")) == nil)
        }
        try image.leave()
    }

    /// The deletion was done and its record not yet gone: the file lives on under its other name, which the kernel may take for its own.
    @Test func whoseNameIsDeletedIsFoundUnderNoOther() throws {
        let image = try Image()
        let volume = try image.mount()
        let identity = try volume.open(
            OpenRequest(path: try NTPath("gone"), access: [.readData, .writeData, .delete], disposition: .create)
        ).file.identity
        let file = try volume.reopen(identity, path: try NTPath("gone"), access: [.readData, .delete])
        #expect(!file.isNameless)
        try volume.link(file, to: try NTPath("other"), replaceExisting: false)
        try volume.delete(file)
        #expect(try volume.lookup(try NTPath("other")) != nil)
        let back = try volume.reopen(identity, path: try NTPath("gone"), access: [.readData, .delete])
        #expect(back.isNameless)
        let former = try volume.reopen(
            identity, path: try NTPath("gone"), formerPath: try NTPath("other"), access: [.readData, .delete])
        #expect(!former.isNameless, "a rename that is known leads to it")
    }

    /// Chaos found this, too: the record says the new name, and the rename, and its mark, never came to the disk.
    @Test func aRenameThatTheDiskForgotLeavesTheFileItsOldName() throws {
        let image = try Image()
        let volume = try image.mount()
        let identity = try volume.open(
            OpenRequest(path: try NTPath("old"), access: [.readData, .writeData, .delete], disposition: .create)
        ).file.identity
        let file = try volume.reopen(
            identity, path: try NTPath("new"), formerPath: try NTPath("old"), access: [.readData, .delete])
        #expect(try file.currentPath() == NTPath("old"))
        #expect(file.isElsewhere)
        try volume.rename(file, to: try NTPath("new"), replaceExisting: false, isMarked: true)
        try volume.delete(file)
        #expect(try volume.lookup(try NTPath("new")) == nil)
    }

    /// A persistent handle's file on the node that took over: same identity, same bytes, whatever the device is called.
    @Test func identitiesSurviveATakeover() throws {
        let image = try Image()
        var record: [UInt8] = []
        var deleted: [UInt8] = []
        var firstDevice: UInt32 = 0
        do {
            let volume = try image.mount()
            #expect(volume.filesystemID.description != "00000000-0000-0000-0000-000000000000")
            let made = try volume.open(
                OpenRequest(
                    path: try NTPath("dir"), access: [.readData], disposition: .create, options: .directoryFile)
            ).file
            let file = try volume.open(
                OpenRequest(
                    path: try NTPath("dir\\file"), access: [.readData, .writeData, .delete], disposition: .create)
            ).file
            try file.write("before the takeover")
            try file.flush()
            try file.flushName()
            record = file.identity.encoded
            let other = try volume.open(
                OpenRequest(path: try NTPath("gone"), access: [.writeData, .delete], disposition: .create)
            ).file
            deleted = other.identity.encoded
            try volume.delete(other)
            // Renamed after the record was written.
            try volume.rename(made, to: try NTPath("moved"), replaceExisting: false)
            firstDevice = try FileStatus(file.handle).raw.device_minor
        }
        try image.leave()
        do {
            let volume = try image.mount()
            let identity = try #require(FileIdentity(encoded: record))
            let file = try volume.reopen(
                identity, path: try NTPath("dir\\file"), access: [.readData, .writeData, .delete])
            #expect(try FileStatus(file.handle).raw.device_minor != firstDevice)
            #expect(try file.text() == "before the takeover")
            try file.write("after")
            let byName = try volume.open(
                OpenRequest(path: try NTPath("MOVED\\FILE"), access: [.readData, .delete], disposition: .open)
            ).file
            #expect(byName.identity == identity)
            #expect(try byName.text(count: 5) == "after")
            let gone = try #require(FileIdentity(encoded: deleted))
            #expect(throws: FileError(.objectNameNotFound, "open a file by its handle")) {
                _ = try volume.reopen(gone, path: try NTPath("gone"), access: [.readData])
            }
        }
        try image.leave()
    }

    /// What ext4 cannot: shared blocks, streams and descriptors up to the limit.
    @Test func whatXFSGives() throws {
        let image = try Image()
        do {
            let volume = try image.mount()
            func make(_ path: String) throws -> OpenFile {
                try volume.open(
                    OpenRequest(path: try NTPath(path), access: [.readData, .writeData], disposition: .create)
                ).file
            }
            let from = try make("from")
            try from.write(String(repeating: "shared ", count: 9362))
            try from.setEndOfFile(65536)
            let to = try make("to")
            try volume.cloneRange(from: from, at: 0, to: to, at: 0, count: 65536)
            #expect(try to.text() == from.text())
            let stream = try make("from:big")
            let full = [UInt8](repeating: 7, count: FileStoreLimits.streamBytes)
            try full.withUnsafeBytes { bytes in _ = try stream.write(bytes, at: 0) }
            #expect(try stream.information().endOfFile == UInt64(full.count))
            try stream.write("x", at: UInt64(full.count))
            #expect(try stream.information().endOfFile == UInt64(full.count) + 1)
            let space = try volume.space()
            #expect(space.totalUnits > 0 && space.availableUnits <= space.totalUnits)
        }
        try image.leave()
    }
}
