import CLinux
import Glibc

/// The thread behind `FUSEMount`: answers one request after the other over a socket pair, and ends with it.
final class FUSEKeeper {
    enum Request: UInt8 {
        case open = 1
        case start = 2
        case unmount = 3
        case quit = 4
    }

    struct Answer {
        /// An errno; 0 is success.
        var error: Int32
        var value: Int32
        var descriptor: Int32
    }

    private let path: String
    private let mountPoint: String
    private let transfer: Int
    private let link: Int32

    /// The link's number in the thread's own table.
    private static let ownLink: Int32 = 3
    private static let maximumPacket = 4096
    private static let stackSize = 512 * 1024

    init(path: String, mountPoint: String, transfer: Int, link: Int32) {
        self.path = path
        self.mountPoint = mountPoint
        self.transfer = transfer
        self.link = link
    }

    func start() throws(PlatformError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, Self.stackSize)
        var thread = pthread_t()
        let own = Unmanaged.passRetained(self)
        let error = pthread_create(
            &thread, &attributes,
            { pointer in
                if let pointer { Unmanaged<FUSEKeeper>.fromOpaque(pointer).takeRetainedValue().run() }
                return nil
            }, own.toOpaque())
        guard error == 0 else {
            own.release()
            throw .system("start FUSE's thread", error)
        }
    }

    private func run() {
        // Every signal is for the other threads.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        guard clinux_unshare_descriptors_and_mounts() == 0 else { return self.answer(on: self.link, error: errno) }
        // From here on the numbers are this thread's own: nothing that the other threads hold is held here too.
        guard self.link == Self.ownLink || dup2(self.link, Self.ownLink) == Self.ownLink else {
            return self.answer(on: self.link, error: errno)
        }
        _ = clinux_close_from(UInt32(Self.ownLink + 1))
        _ = fcntl(Self.ownLink, F_SETFD, FD_CLOEXEC)
        _ = clinux_mount("none", "/", nil, CLINUX_MS_REC | CLINUX_MS_PRIVATE, nil)
        while clinux_unmount(self.mountPoint, CLINUX_MNT_DETACH) == 0 { continue }
        do throws(PlatformError) {
            try self.serve()
        } catch {
            if case .system(let error) = error.kind {
                self.answer(error: error)
            } else {
                self.answer(error: EPROTO)
            }
        }
        close(Self.ownLink)
    }

    private func serve() throws(PlatformError) {
        let device = try Descriptor.open("/dev/fuse", O_RDWR)
        let options = "fd=\(device.raw),rootmode=100600,user_id=0,group_id=0,allow_other,max_read=\(self.transfer)"
        guard clinux_mount("holdfast", self.path, "fuse", CLINUX_MS_NOSUID | CLINUX_MS_NODEV, options) == 0 else {
            throw .system("mount FUSE")
        }
        defer {
            _ = clinux_unmount(self.path, CLINUX_MNT_FORCE)
            _ = clinux_unmount(self.path, CLINUX_MNT_DETACH)
        }
        let canResend = try FUSEMount.answerInit(device.raw, self.transfer)
        try device.setNonBlocking()
        try self.answerMounted(canResend)
        var packet = [UInt8](repeating: 0, count: Self.maximumPacket)
        while true {
            var passed: Int32 = -1
            let count = clinux_receive_packet(Self.ownLink, &packet, packet.count, &passed)
            guard count > 0, let request = Request(rawValue: packet[0]) else { return }
            defer { if passed >= 0 { close(passed) } }
            switch request {
            case .open: self.openFile()
            case .start:
                self.startBridge(String(decoding: packet[1..<count], as: UTF8.self), device.raw, passed)
            case .unmount: self.answer(error: clinux_unmount(self.path, 0) == 0 ? 0 : errno)
            case .quit: return self.answer()
            }
        }
    }

    /// Whoever is to end the requests cannot ask this thread, which may be in one of them.
    private func answerMounted(_ canResend: Bool) throws(PlatformError) {
        let raw = clinux_fuse_open_abort(self.path)
        guard raw >= 0 else { throw .system("open fusectl's abort of \(self.path)") }
        let abort = Descriptor(owning: raw)
        self.answer(value: canResend ? 1 : 0, descriptor: abort.raw)
    }

    private func openFile() {
        do throws(PlatformError) {
            let file = try Descriptor.open(self.path, O_RDWR | clinux_o_direct())
            self.answer(descriptor: file.raw)
        } catch {
            if case .system(let error) = error.kind { self.answer(error: error) } else { self.answer(error: EIO) }
        }
    }

    private func startBridge(_ executable: String, _ device: Int32, _ control: Int32) {
        do throws(PlatformError) {
            let child = try ChildProcess(
                executable: executable, arguments: BridgeProcess.arguments,
                descriptors: [
                    (source: device, target: BridgeProcess.fuseNumber),
                    (source: control, target: BridgeProcess.controlNumber),
                ])
            self.answer(value: child.pid, descriptor: child.pidDescriptor)
            child.disown()
        } catch {
            if case .system(let error) = error.kind { self.answer(error: error) } else { self.answer(error: EIO) }
        }
    }

    private func answer(
        on link: Int32 = FUSEKeeper.ownLink, error: Int32 = 0, value: Int32 = 0, descriptor: Int32 = -1
    ) {
        let words: [Int32] = [error, value]
        _ = clinux_send_packet(link, words, 8, descriptor)
    }
}
