import CLinux
import Glibc

/// The file system on the LUN: made, mounted, unmounted, shut down.
package enum XFS {
    package static let label = "holdfast"

    /// How often the kernel writes all dirty metadata back and so moves the log's tail, in its own unit of 10 ms; it takes no less.
    ///
    /// A takeover replays what lies between tail and head, and reads it record by record. By default the tail moves when three
    /// quarters of the log are full: after 12 s of small synchronous writes the mount took 4.8 s and 19940 reads; with this
    /// 0.14 s and 174. It holds for every XFS of this kernel.
    private static let writebackCentiseconds = 100

    /// Only on a device that was proved empty. -K: no discard of the whole device (measured: 4 s). A log of 64 MiB, because
    /// its replay can be the longest step of a takeover; inodes of 1 KiB, because every file carries xattrs.
    package static func make(_ device: String, id: FilesystemID) throws(PlatformError) {
        _ = try ChildProcess.run(
            try Self.maker(),
            [
                "-q", "-K", "-L", Self.label, "-m", "reflink=1,bigtime=1,uuid=\(id)", "-i", "size=1024", "-l",
                "size=64m",
                device,
            ], timeout: .seconds(120))
    }

    private static func maker() throws(PlatformError) -> String {
        try ChildProcess.find("mkfs.xfs", of: "xfsprogs")
    }

    /// Throws where `make` would lack its program. To be asked before anything is taken on the LUN.
    package static func requireMaker() throws(PlatformError) { _ = try Self.maker() }

    /// nouuid: in a laboratory the old node's mount of the same file system may still be there, in the same kernel; that only
    /// one node writes is the reservation's business.
    package static func mount(_ device: LoopDevice, on folder: String) throws(PlatformError) {
        // Where it cannot be set (a container with a read-only /proc/sys) only the next takeover is slower.
        try? writeFile("/proc/sys/fs/xfs/xfssyncd_centisecs", "\(Self.writebackCentiseconds)")
        guard
            clinux_mount(device.path, folder, "xfs", CLINUX_MS_NOATIME | CLINUX_MS_NODEV | CLINUX_MS_NOSUID, "nouuid")
                == 0
        else { throw .system("mount \(device.path) on \(folder)") }
        // By default XFS retries failed metadata writes for ever. The bridge never fails a write that could still succeed: an
        // error is final. Where sysfs is read-only the shutdown in the teardown does it alone.
        for error in ["EIO", "default"] {
            try? writeFile("/sys/fs/xfs/\(device.name)/error/metadata/\(error)/max_retries", "0")
        }
    }

    /// XFS_IOC_GOINGDOWN without flushing the log: nothing is written any more, every call fails with EIO. A file system that has
    /// shut itself down already, because its log met an error, answers EIO here too: that is what was wanted.
    package static func shutDown(_ folder: String) throws(PlatformError) {
        do throws(PlatformError) {
            let root = try Descriptor.open(folder, O_RDONLY | O_DIRECTORY)
            guard clinux_xfs_going_down(root.raw, 2) == 0 else { throw .system("shut XFS down on \(folder)") }
        } catch {
            guard error.kind == .system(errno: EIO) else { throw error }
        }
    }

    /// What a device may have in excess of the file system on it: mkfs and growth leave no more over than a fragment of a group.
    private static let leastGrowth: UInt64 = 1 << 20

    /// Makes the mounted file system as large as its device; false where it is already.
    @discardableResult
    package static func grow(_ folder: String, to byteCount: UInt64) throws(PlatformError) -> Bool {
        let root = try Descriptor.open(folder, O_RDONLY | O_DIRECTORY)
        var blockSize: UInt32 = 0
        var blocks: UInt64 = 0
        var inodePercentage: UInt32 = 0
        guard clinux_xfs_size(root.raw, &blockSize, &blocks, &inodePercentage) == 0, blockSize > 0 else {
            throw .system("the size of the file system on \(folder)")
        }
        let wanted = byteCount / UInt64(blockSize)
        guard wanted > blocks + Self.leastGrowth / UInt64(blockSize) else { return false }
        guard clinux_xfs_grow(root.raw, wanted, inodePercentage) == 0 else {
            throw .system("grow the file system on \(folder)")
        }
        return true
    }

    /// syncfs: all that is dirty, whoever wrote it.
    package static func flush(_ folder: String) throws(PlatformError) {
        let root = try Descriptor.open(folder, O_RDONLY | O_DIRECTORY)
        let result = clinux_sync_filesystem(root.raw)
        guard result == 0 else { throw .system("flush the file system on \(folder)", -result) }
    }

    package static func unmount(_ folder: String) throws(PlatformError) {
        guard clinux_unmount(folder, 0) == 0 else {
            if errno == EBUSY { throw PlatformError(.busy, "\(folder) is still in use") }
            throw .system("unmount \(folder)")
        }
    }

    /// The kernel has let go of the file system. (A mount in another namespace keeps it; so does an open file.)
    package static func isGone(_ device: LoopDevice) -> Bool { !fileExists("/sys/fs/xfs/\(device.name)") }

    /// Polls until it is gone; false when the time is up.
    static func waitUntilGone(_ device: LoopDevice, timeout: Duration) -> Bool {
        let deadline = ContinuousClock.now + timeout
        while !Self.isGone(device) {
            guard ContinuousClock.now < deadline else { return false }
            usleep(1000)
        }
        return true
    }
}
