import CLinux
import Glibc

/// A loop device over the bridge's file: direct I/O, blocks of 4096. It is held open; when the last holder ends (also by
/// SIGKILL) the kernel takes it apart by itself.
package final class LoopDevice {
    package let number: Int32
    package var path: String { "/dev/loop\(self.number)" }
    /// As it stands in /sys/fs/xfs and /sys/block.
    package var name: String { "loop\(self.number)" }
    /// -1 once it was detached.
    private var device: Int32

    static let blockSize: UInt32 = 4096
    /// Another process may take the free number before we do.
    private static let maximumAttempts = 32

    package init(attaching fuse: FUSEMount) throws(PlatformError) {
        let backing = try fuse.openFile()
        let control = try Descriptor.open("/dev/loop-control", O_RDWR)
        for _ in 0..<Self.maximumAttempts {
            let number = clinux_loop_free_number(control.raw)
            guard number >= 0 else { throw .system("ask for a free loop device") }
            let path = "/dev/loop\(number)"
            if !fileExists(path), clinux_make_loop_node(path, number) != 0, errno != EEXIST {
                throw .system("make \(path)")
            }
            let device = try Descriptor.open(path, O_RDWR)
            var configuration = loop_config()
            configuration.fd = UInt32(backing.raw)
            configuration.block_size = Self.blockSize
            configuration.info.lo_flags = UInt32(LO_FLAGS_DIRECT_IO) | UInt32(LO_FLAGS_AUTOCLEAR)
            withUnsafeMutableBytes(of: &configuration.info.lo_file_name) { $0.copyBytes(from: "holdfast".utf8) }
            if clinux_loop_configure(device.raw, &configuration) == 0 {
                self.number = number
                self.device = device.release()
                return
            }
            guard errno == EBUSY else { throw .system("attach \(path) to \(fuse.path)") }
        }
        throw PlatformError(.busy, "no free loop device")
    }

    package func read(at offset: UInt64, count: Int) throws(PlatformError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let read = pread(self.device, &bytes, count, off_t(offset))
        guard read == count else { throw .system("read \(self.path)", read < 0 ? errno : EIO) }
        return bytes
    }

    package func byteCount() throws(PlatformError) -> UInt64 {
        let end = lseek(self.device, 0, SEEK_END)
        guard end >= 0 else { throw .system("the size of \(self.path)") }
        return UInt64(end)
    }

    /// Its file has another size.
    func followSize() throws(PlatformError) {
        guard clinux_loop_set_capacity(self.device) == 0 else { throw .system("set the size of \(self.path)") }
    }

    deinit {
        if self.device >= 0 { close(self.device) }
    }

    /// Gives the number back. The kernel takes the device apart when its last holder closes it: that is us, or the file
    /// system that is still on it.
    package func detach() throws(PlatformError) {
        guard self.device >= 0 else { return }
        let cleared = clinux_loop_clear(self.device) == 0 || errno == ENXIO
        let error = errno
        close(self.device)
        self.device = -1
        guard cleared else { throw .system("detach \(self.path)", error) }
    }
}
