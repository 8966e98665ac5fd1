import ClusterCore
import ClusterStore
import CLinux
import Glibc
import Logging
import StateRecords
import Synchronization

/// DIR/admin.sock: for root alone. A connection carries one request and its reply.
final class AdminServer: Sendable {
    private static let connections = 32
    /// `init` formats, `move` waits for the other node.
    private static let answerMilliseconds: Int32 = 180_000
    /// `restore` brings a backup.
    private static let requestBytes = ClusterBackup.longest + 1 << 20

    private let loop: LoopMailbox
    private let logger: Logger
    private let open = Mutex(0)

    init(path: String, loop: LoopMailbox, logger: Logger) throws(StartError) {
        self.loop = loop
        self.logger = logger
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard listener >= 0, path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw StartError(message: "cannot make \(path): use a shorter --state-dir")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        unlink(path)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, chmod(path, 0o600) == 0, listen(listener, 16) == 0 else {
            throw StartError(message: "cannot listen on \(path): \(String(cString: strerror(errno)))")
        }
        startThread("admin") { [self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { continue }
                self.take(connection)
            }
        }
    }

    private func take(_ connection: Int32) {
        let isRoom = self.open.withLock { count in
            guard count < Self.connections else { return false }
            count += 1
            return true
        }
        guard isRoom else {
            close(connection)
            return
        }
        startThread("admin-client") { [self] in
            self.serve(connection)
            close(connection)
            self.open.withLock { $0 -= 1 }
        }
    }

    private func serve(_ connection: Int32) {
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        guard let bytes = Self.readFrame(connection) else { return }
        let reply: AdminReply
        do throws(RecordError) {
            let request = try AdminRequest(decoding: bytes)
            let answers = Mailbox<AdminReply>()
            self.loop.post(.admin(request, by: Self.peer(connection)) { answers.post($0) })
            answers.wait(milliseconds: Self.answerMilliseconds)
            reply =
                answers.drain().first
                ?? .failed(
                    AdminFailure(.unavailable, "clusterd gave no answer in time: see its log and 'clusterctl status'"))
        } catch {
            reply = .failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions (\(error))"))
        }
        let frame = FrameReader.frame(reply)
        var sent = 0
        while sent < frame.count {
            let count = frame.withUnsafeBytes {
                send(connection, $0.baseAddress?.advanced(by: sent), frame.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    /// Who is at the other end, as the kernel knows it.
    private static func peer(_ connection: Int32) -> String {
        var user: uid_t = 0
        return clinux_peer_user(connection, &user) == 0 ? "uid \(user)" : "somebody"
    }

    private static func readFrame(_ connection: Int32) -> [UInt8]? {
        var frames = FrameReader()
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        var total = 0
        while total < Self.requestBytes {
            let count = read(connection, &buffer, buffer.count)
            guard count > 0 else { return nil }
            total += count
            frames.append(buffer[..<count])
            guard let frame = try? frames.next() else { continue }
            return frame
        }
        return nil
    }
}
