import ArgumentParser
import ClusterCore
import Glibc
import StateRecords

/// clusterd does not answer on its socket. Exit status 2.
struct Unreachable: Error {
    var message: String
}

enum AdminClient {
    static func ask(_ request: AdminRequest, over connection: Connection) throws -> AdminReply {
        switch try connection.place() {
        case .socket(let path): try self.ask(request, socket: path)
        case .remote(let endpoint, let credentials): try RemoteAdmin.ask(request, at: endpoint, credentials)
        }
    }

    private static func ask(_ request: AdminRequest, socket path: String) throws -> AdminReply {
        let connection = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard connection >= 0 else { throw Unreachable(message: "no socket: \(errorText())") }
        defer { close(connection) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw ValidationError("the socket's path is too long: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else {
            let hint =
                errno == EACCES || errno == EPERM
                ? "run clusterctl as root" : "is clusterd running, and is --socket its admin.sock?"
            throw Unreachable(message: "cannot reach clusterd on \(path) (\(errorText())): \(hint)")
        }
        let frame = FrameReader.frame(request)
        var sent = 0
        while sent < frame.count {
            let count = frame.withUnsafeBytes {
                send(connection, $0.baseAddress?.advanced(by: sent), frame.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Unreachable(message: "clusterd on \(path) hung up: see its log") }
            sent += count
        }
        var frames = FrameReader()
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(connection, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Unreachable(message: "clusterd on \(path) hung up: see its log") }
            frames.append(buffer[..<count])
            if let reply = try frames.next() { return try AdminReply(decoding: reply) }
        }
    }

    static func status(_ connection: Connection) throws -> ClusterStatus {
        switch try self.ask(.status, over: connection) {
        case .status(let report): return report.status
        case .failed(let failure): throw Failed(failure)
        default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
        }
    }

    private static func errorText() -> String { String(cString: strerror(errno)) }
}

func printError(_ text: String) { writeToStandardError("clusterctl: \(text)\n") }

func writeToStandardError(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}

func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// 90s, 10m, 2h, 1d in milliseconds; nil for anything else.
func parseDuration(_ text: String) -> UInt64? {
    let units: [Character: UInt64] = ["s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
    guard let last = text.last, let unit = units[last], let count = UInt64(text.dropLast()), count > 0,
        count <= 30 * 86_400
    else { return nil }
    let milliseconds = count * unit
    return milliseconds <= 30 * 86_400_000 ? milliseconds : nil
}

enum PasswordPrompt {
    static func read(fromStandardInput: Bool) throws -> String {
        let password: String
        if fromStandardInput {
            guard let line = readLine(strippingNewline: true) else {
                throw ValidationError("standard input holds no password")
            }
            password = line
        } else {
            guard isatty(STDIN_FILENO) == 1 else {
                throw ValidationError("no terminal to ask for the password: use --password-stdin")
            }
            password = Self.ask("Password: ")
            guard Self.ask("Again: ") == password else { throw ValidationError("the two passwords differ") }
        }
        guard !password.isEmpty else { throw ValidationError("an empty password is not allowed") }
        return password
    }

    private static func ask(_ prompt: String) -> String {
        writeToStandardError(prompt)
        var before = termios()
        tcgetattr(STDIN_FILENO, &before)
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
            writeToStandardError("\n")
        }
        return readLine(strippingNewline: true) ?? ""
    }
}
