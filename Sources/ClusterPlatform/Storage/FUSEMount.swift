import CLinux
import Glibc

/// FUSE's side of the keeper: /dev/fuse, mounted on a FILE, held while bridges come and go. The requests of a bridge that
/// died stay with the kernel, and the next bridge has them sent again.
///
/// The descriptor and the mount belong to a thread of its own, which has its own descriptor table and mount namespace, and so
/// have the bridges that it starts. It must be so: a process that is killed gives up its mounts BEFORE its descriptors. Were it the
/// last one that has XFS mounted and held the FUSE descriptor too, XFS would wait for its log in that very exit, for requests
/// that only the closing of the descriptor would end: for ever, unkillable (seen on every second power loss).
package final class FUSEMount {
    package let path: String
    /// FUSE_NOTIFY_RESEND exists (Linux 6.9): a new bridge can take over the requests of a dead one.
    package let canResend: Bool
    private let link: Descriptor
    /// fusectl's, of this connection.
    private let abortFile: Descriptor
    private var isMounted = true

    /// What one READ or WRITE carries at most; also the size of a bridge's buffers.
    package static let maximumTransfer = 1 << 20
    static let pageSize = 4096
    static let maximumBackground: UInt16 = 128
    /// The version this file speaks; the structures it uses have not changed since 7.38.
    private static let minorVersion: UInt32 = 40

    /// `hiding`: a folder whose mounts the thread must not have, should any be there.
    package init(
        path: String, hiding mountPoint: String, maximumTransfer: Int = FUSEMount.maximumTransfer
    ) throws(PlatformError) {
        self.path = path
        let transfer = min(maximumTransfer, Self.maximumTransfer) / Self.pageSize * Self.pageSize
        guard transfer >= Self.pageSize else {
            throw PlatformError(.invalid, "the target's maximum transfer of \(maximumTransfer) bytes is below a page")
        }
        // The file that is mounted over.
        _ = try Descriptor.open(path, O_CREAT | O_WRONLY)
        var ends: [Int32] = [-1, -1]
        guard clinux_socketpair_seqpacket(&ends) == 0 else { throw .system("socketpair") }
        let link = Descriptor(owning: ends[0])
        let keeper = FUSEKeeper(path: path, mountPoint: mountPoint, transfer: transfer, link: ends[1])
        try keeper.start()
        // The thread has a copy of its end; ours here would keep the link open after it ended.
        let answer = Self.receive(link.raw)
        close(ends[1])
        guard let answer else { throw PlatformError(.system(errno: EIO), "FUSE's thread ended") }
        guard answer.error == 0 else { throw .system("mount FUSE on \(path)", answer.error) }
        guard answer.descriptor >= 0 else { throw PlatformError(.system(errno: EIO), "FUSE's thread passed no file") }
        self.canResend = answer.value == 1
        self.abortFile = Descriptor(owning: answer.descriptor)
        self.link = link
    }

    deinit {
        // The end of the link is the end of the thread, its mount and its bridge.
        _ = try? self.ask(.quit)
    }

    /// The file, for the loop device. Waits for the bridge.
    package func openFile() throws(PlatformError) -> Descriptor {
        let answer = try self.ask(.open)
        guard answer.error == 0, answer.descriptor >= 0 else { throw .system("open \(self.path)", answer.error) }
        return Descriptor(owning: answer.descriptor)
    }

    /// Has the bridge tell the file's size; the kernel goes by it from now on.
    func refreshSize() throws(PlatformError) -> UInt64 {
        let file = try self.openFile()
        var byteCount: UInt64 = 0
        guard clinux_refresh_size(file.raw, &byteCount) == 0 else { throw .system("the size of \(self.path)") }
        return byteCount
    }

    /// Starts a bridge with the FUSE descriptor and this end of its control socket.
    func startBridge(_ executable: String, control: Int32) throws(PlatformError) -> ChildProcess {
        let answer = try self.ask(.start, executable, control)
        guard answer.error == 0, answer.descriptor >= 0 else { throw .system("start \(executable)", answer.error) }
        return ChildProcess(adopting: answer.value, pidDescriptor: answer.descriptor)
    }

    /// Ends every request, waiting and future, with an error: what a dead bridge leaves in D state wakes up, FUSE's own
    /// thread too.
    package func abort() { self.aborter.abort() }

    /// `abort` for another thread, whatever this one waits for. The mount must live longer.
    struct Aborter: Sendable {
        fileprivate let file: Int32

        func abort() { _ = write(self.file, "1", 1) }
    }

    var aborter: Aborter { Aborter(file: self.abortFile.raw) }

    package func unmount() throws(PlatformError) {
        guard self.isMounted else { return }
        let answer = try self.ask(.unmount)
        if answer.error == EBUSY { throw PlatformError(.busy, "\(self.path) is still in use") }
        guard answer.error == 0 else { throw .system("unmount \(self.path)", answer.error) }
        self.isMounted = false
    }

    private func ask(
        _ request: FUSEKeeper.Request, _ text: String = "", _ descriptor: Int32 = -1
    ) throws(PlatformError) -> FUSEKeeper.Answer {
        let packet = [request.rawValue] + Array(text.utf8)
        guard clinux_send_packet(self.link.raw, packet, packet.count, descriptor) == packet.count,
            let answer = Self.receive(self.link.raw)
        else { throw PlatformError(.system(errno: EIO), "FUSE's thread ended") }
        return answer
    }

    private static func receive(_ link: Int32) -> FUSEKeeper.Answer? {
        var words: [Int32] = [0, 0]
        var descriptor: Int32 = -1
        guard clinux_receive_packet(link, &words, 8, &descriptor) == 8 else { return nil }
        return FUSEKeeper.Answer(error: words[0], value: words[1], descriptor: descriptor)
    }

    /// The kernel has queued INIT when mount returns, and lets nothing else through before the answer.
    static func answerInit(_ device: Int32, _ transfer: Int) throws(PlatformError) -> Bool {
        let request = UnsafeMutableRawBufferPointer.allocate(byteCount: 16384, alignment: 8)
        defer { request.deallocate() }
        let headerSize = MemoryLayout<fuse_in_header>.size
        let count = read(device, request.baseAddress, request.count)
        guard count >= headerSize + MemoryLayout<fuse_init_in>.size else {
            throw .system("read FUSE's INIT", count < 0 ? errno : EPROTO)
        }
        let header = request.load(as: fuse_in_header.self)
        let offered = request.load(fromByteOffset: headerSize, as: fuse_init_in.self)
        guard header.opcode == FUSE_INIT.rawValue, offered.major == UInt32(FUSE_KERNEL_VERSION), offered.minor >= 31
        else {
            throw PlatformError(.invalid, "the kernel speaks FUSE \(offered.major).\(offered.minor); 7.31 is needed")
        }
        let wanted =
            UInt32(FUSE_ASYNC_READ) | UInt32(FUSE_BIG_WRITES) | UInt32(FUSE_MAX_PAGES) | UInt32(FUSE_ASYNC_DIO)
            | UInt32(FUSE_INIT_EXT) | UInt32(FUSE_ABORT_ERROR)
        var answer = fuse_init_out()
        answer.major = UInt32(FUSE_KERNEL_VERSION)
        answer.minor = min(offered.minor, Self.minorVersion)
        answer.max_readahead = offered.max_readahead
        answer.flags = offered.flags & wanted
        let extended = offered.flags & UInt32(FUSE_INIT_EXT) != 0
        answer.flags2 = extended ? offered.flags2 & CLINUX_FUSE_HAS_RESEND_FLAGS2 : 0
        answer.max_background = Self.maximumBackground
        answer.congestion_threshold = Self.maximumBackground / 4 * 3
        answer.max_write = UInt32(transfer)
        answer.max_pages = UInt16(transfer / Self.pageSize)
        answer.time_gran = 1
        guard FUSEReply.send(device, unique: header.unique, answer) else { throw .system("answer FUSE's INIT") }
        return answer.flags2 & CLINUX_FUSE_HAS_RESEND_FLAGS2 != 0
    }
}

/// Replies to the kernel. A reply that it refuses with ENOENT belonged to a request that was aborted meanwhile: no error.
enum FUSEReply {
    static func send<Body: BitwiseCopyable>(_ device: Int32, unique: UInt64, _ body: Body) -> Bool {
        var body = body
        return withUnsafeMutableBytes(of: &body) { Self.send(device, unique: unique, error: 0, $0) }
    }

    @discardableResult
    static func send(
        _ device: Int32, unique: UInt64, error: Int32, _ body: UnsafeMutableRawBufferPointer? = nil
    ) -> Bool {
        let headerSize = MemoryLayout<fuse_out_header>.size
        var header = fuse_out_header(len: UInt32(headerSize + (body?.count ?? 0)), error: -error, unique: unique)
        return withUnsafeMutableBytes(of: &header) { header in
            let parts = (
                iovec(iov_base: header.baseAddress, iov_len: header.count),
                iovec(iov_base: body?.baseAddress, iov_len: body?.count ?? 0)
            )
            return withUnsafeBytes(of: parts) { parts in
                let vector = parts.assumingMemoryBound(to: iovec.self)
                while true {
                    if writev(device, vector.baseAddress, body == nil ? 1 : 2) >= 0 { return true }
                    if errno == EINTR { continue }
                    return errno == ENOENT
                }
            }
        }
    }

    /// FUSE_NOTIFY_RESEND: a notification is a reply with unique 0 and the code in place of the error.
    static func askToResend(_ device: Int32) -> Bool {
        Self.send(device, unique: 0, error: -Int32(CLINUX_FUSE_NOTIFY_RESEND))
    }
}
