import CLinux
import Glibc

/// The shares' folders on the mounted LUN. As long as this lives the file system cannot be unmounted: nothing is ever
/// made in the empty folder beneath it.
package final class ShareFolders: Sendable {
    private let root: Descriptor
    private let mountPoint: String

    /// As any new folder of a share has it (`Volume.Options`), whatever the process's umask.
    private static let mode: UInt32 = 0o775

    /// Waits for nobody.
    package init(on mountPoint: String) throws(PlatformError) {
        self.mountPoint = mountPoint
        self.root = try Descriptor.open(mountPoint, clinux_o_path | O_DIRECTORY)
    }

    /// Makes what is missing of each path, which is relative to the root. Why not, by path, where one cannot be had.
    /// Waits for the target as long as the bridge does.
    package func make(_ paths: [String]) -> [String: String] {
        var failures: [String: String] = [:]
        for path in paths {
            do throws(PlatformError) { try self.make(path) } catch { failures[path] = error.message }
        }
        return failures
    }

    private func make(_ path: String) throws(PlatformError) {
        var folder = try Self.open(".", in: self.root.raw, self.mountPoint)
        var name = self.mountPoint
        for part in path.split(separator: "/") {
            name += "/\(part)"
            folder = try Self.openOrMake(String(part), in: folder.raw, name)
        }
    }

    private static func open(_ part: String, in parent: Int32, _ name: String) throws(PlatformError) -> Descriptor {
        let raw = clinux_openat(parent, part, clinux_o_path | O_DIRECTORY | O_CLOEXEC, 0)
        guard raw >= 0 else { throw .system("open the folder \(name)", Int32(-raw)) }
        return Descriptor(owning: Int32(raw))
    }

    private static func openOrMake(
        _ part: String, in parent: Int32, _ name: String
    ) throws(PlatformError) -> Descriptor {
        do throws(PlatformError) { return try Self.open(part, in: parent, name) } catch {
            guard error.kind == .system(errno: ENOENT) else { throw error }
        }
        let made = clinux_mkdirat(parent, part, Self.mode)
        // Somebody else may have been faster.
        guard made == 0 || made == -Int(EEXIST) else { throw .system("make the folder \(name)", Int32(-made)) }
        let folder = try Self.open(part, in: parent, name)
        if made == 0 {
            let changed = clinux_chmod(folder.raw, Self.mode)
            guard changed == 0 else { throw .system("set the mode of \(name)", Int32(-changed)) }
        }
        return folder
    }
}
