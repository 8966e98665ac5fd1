import CLinux
import Glibc
import SMB2Wire

/// What a path leads to.
struct Found: ~Copyable {
    /// O_PATH; nil where there is nothing of that name.
    var target: Descriptor?
    /// O_PATH, where the target is absent.
    var parent: Descriptor?
}

extension Volume {
    static let resolveFlags = UInt64(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)
    /// How often openat2 is asked again where a rename elsewhere disturbed it (EAGAIN).
    private static let resolveAttempts = 16

    /// openat2 beneath `directory`; the result or -errno. An empty path is the directory itself.
    func openBeneath(_ directory: Int32, _ path: [UInt8], _ flags: Int32) -> Int {
        let all = UInt64(UInt32(bitPattern: flags | O_CLOEXEC | O_NOFOLLOW))
        return withTerminated(path.isEmpty ? [UInt8(ascii: ".")] : path) { name in
            var result = clinux_openat2(directory, name, all, 0, Self.resolveFlags)
            var attempts = 1
            while failed(result, EAGAIN) || failed(result, EINTR), attempts < Self.resolveAttempts {
                result = clinux_openat2(directory, name, all, 0, Self.resolveFlags)
                attempts += 1
            }
            return result
        }
    }

    /// The target of a path, or the directory in which it would be. STATUS_OBJECT_PATH_NOT_FOUND where that is missing too.
    /// The spelling is tried first as it is, in one system call; only then without regard to case.
    func find(_ path: NTPath, isPOSIX: Bool = false) throws(FileError) -> Found {
        try self.checkVisible(path.bytes)
        guard !isPOSIX else { return try self.findExactly(path) }
        let exact = self.openBeneath(self.root.number, path.bytes, clinux_o_path)
        if exact >= 0 { return Found(target: Descriptor(number: Int32(truncatingIfNeeded: exact)), parent: nil) }
        guard failed(exact, ENOENT) else { throw Self.pathError(exact) }
        let parent = try self.findDirectory(path.parentBytes)
        guard !self.options.isCaseSensitive else { return Found(target: nil, parent: parent) }
        // A spelling that is gone comes from an index that missed a change of its own clock tick: read it anew, once.
        for _ in 0..<2 {
            guard let spelling = try self.spelling(of: path.name, in: parent.number) else { break }
            try self.checkVisible(spelling, isInRoot: path.isInRoot)
            let result = self.openBeneath(parent.number, spelling, clinux_o_path)
            if result >= 0 { return Found(target: Descriptor(number: Int32(truncatingIfNeeded: result)), parent: nil) }
            guard failed(result, ENOENT) else { throw Self.pathError(result) }
            self.indexes.forget(inode: try FileStatus(parent).inode)
        }
        return Found(target: nil, parent: parent)
    }

    /// A directory by its path, without regard to case; O_PATH.
    func findDirectory(_ path: [UInt8], isPOSIX: Bool = false) throws(FileError) -> Descriptor {
        try self.checkVisible(path)
        guard !isPOSIX else { return try self.findDirectoryExactly(path) }
        let exact = self.openBeneath(self.root.number, path, clinux_o_path | O_DIRECTORY)
        if exact >= 0 { return Descriptor(number: Int32(truncatingIfNeeded: exact)) }
        guard failed(exact, ENOENT), !self.options.isCaseSensitive else { throw Self.parentError(exact) }
        var current = try Descriptor(
            result: self.openBeneath(self.root.number, [], clinux_o_path | O_DIRECTORY), "open the share's root")
        for (level, component) in path.split(separator: UInt8(ascii: "/")).enumerated() {
            let name = Array(component)
            var result = self.openBeneath(current.number, name, clinux_o_path | O_DIRECTORY)
            if failed(result, ENOENT), let spelling = try self.spelling(of: name, in: current.number) {
                try self.checkVisible(spelling, isInRoot: level == 0)
                result = self.openBeneath(current.number, spelling, clinux_o_path | O_DIRECTORY)
            }
            guard result >= 0 else { throw Self.parentError(result) }
            current = Descriptor(number: Int32(truncatingIfNeeded: result))
        }
        return current
    }

    /// The server's own directory is nobody's to name, as the wire spells it.
    func checkVisible(_ path: [UInt8]) throws(FileError) {
        guard self.hidesOwnDirectory, OwnDirectory.holds(path) else { return }
        throw FileError(.accessDenied, "name the server's own directory")
    }

    /// Nor as it is spelled on disk. Each name that stands for another (a short one, one that a client mapped) comes
    /// here with that one before it is opened or made.
    func checkVisible(_ spelling: [UInt8], isInRoot: Bool) throws(FileError) {
        if isInRoot { try self.checkVisible(spelling) }
    }

    /// What openat2 says of a whole path. A missing end is not an error here.
    static func pathError(_ result: Int) -> FileError {
        switch Int32(truncatingIfNeeded: -result) {
        // A file or a symbolic link where a directory should be.
        case ENOTDIR, ELOOP: FileError(.objectPathNotFound, "resolve a path")
        // A mount inside of the share, or a way out of it.
        case EXDEV: FileError(.accessDenied, "resolve a path beyond the share")
        case ENAMETOOLONG: FileError(.objectNameInvalid, "a name too long for the disk")
        case let code: FileError(errno: code, "resolve a path")
        }
    }

    static func parentError(_ result: Int) -> FileError {
        failed(result, ENOENT) ? FileError(.objectPathNotFound, "resolve a path") : self.pathError(result)
    }

    /// What is at `path`, and which file it is; nil where its parent exists and it does not. Streams are not looked at.
    package func lookup(
        _ path: NTPath, isPOSIX: Bool = false
    ) throws(FileError) -> (information: FileInformation, identity: FileIdentity)? {
        let found = try self.find(path, isPOSIX: isPOSIX)
        guard let target = found.target else { return nil }
        let status = try FileStatus(target)
        let (dos, identity) = try self.attributeCache.attributesAndIdentity(
            of: target, status, filesystem: self.filesystemID)
        return (FileInformation(status, dos), identity)
    }
}
