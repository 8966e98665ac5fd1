import CLinux
import Glibc

/// Removes a directory with all that is in it, in the server's own place: nobody else works there. However deep it is, two
/// directories are open at a time: the way back up is `..`.
enum TreeRemoval {
    /// - Parameter isCancelled: looked at before every name; what is left stays.
    static func remove(_ name: [UInt8], from parent: Int32, isCancelled: () -> Bool) throws(FileError) {
        var current = try Descriptor(result: Self.open(parent, name), "open a directory to remove it")
        // The directories on the way down, `name` first, each with what is still in it.
        var levels = [(name: name, left: try Volume.names(in: current.number))]
        while true {
            if isCancelled() { throw FileError(.cancelled, "remove a snapshot") }
            if let entry = levels[levels.count - 1].left.popLast() {
                let result = withTerminated(entry) { clinux_unlinkat(current.number, $0, 0) }
                if failed(result, EISDIR) || failed(result, EPERM) {
                    current = try Descriptor(result: Self.open(current.number, entry), "open a directory to remove it")
                    levels.append((entry, try Volume.names(in: current.number)))
                } else if !failed(result, ENOENT) {
                    try check(result, "remove a file of a snapshot")
                }
                continue
            }
            let removed = levels.removeLast().name
            guard !levels.isEmpty else {
                try check(withTerminated(removed) { clinux_unlinkat(parent, $0, AT_REMOVEDIR) }, "remove a directory")
                return
            }
            let above = try Descriptor(
                result: clinux_openat(current.number, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0),
                "open the directory above")
            try check(withTerminated(removed) { clinux_unlinkat(above.number, $0, AT_REMOVEDIR) }, "remove a directory")
            current = above
        }
    }

    private static func open(_ directory: Int32, _ name: [UInt8]) -> Int {
        withTerminated(name) {
            clinux_openat(directory, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        }
    }
}
