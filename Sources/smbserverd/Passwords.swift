import Glibc
import SMBServer

/// Where passwords come from: a file, the environment, or the person at the terminal.
enum Passwords {
    /// A longer line is no password.
    private static let longest = 1024

    static func of(_ users: [String], file: String?) throws(ServerError) -> [(name: String, password: String)] {
        if let file {
            let lines = try Self.lines(of: file)
            guard lines.count >= users.count else {
                throw ServerError("\(file) has \(lines.count) passwords for \(users.count) users")
            }
            return zip(users, lines).map { ($0, $1) }
        }
        if users.count == 1, let password = getenv("SMB_PASSWORD") {
            return [(users[0], String(cString: password))]
        }
        var all: [(name: String, password: String)] = []
        for user in users { all.append((user, try Self.ask("Password of \(user): "))) }
        return all
    }

    private static func lines(of path: String) throws(ServerError) -> [String] {
        guard let file = fopen(path, "re") else {
            throw ServerError("password file \(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var lines: [String] = []
        while let line = Self.line(from: file) { lines.append(line) }
        return lines
    }

    /// Nil at the end of the file.
    private static func line(from file: UnsafeMutablePointer<FILE>) -> String? {
        var buffer = [CChar](repeating: 0, count: Self.longest)
        guard fgets(&buffer, Int32(buffer.count), file) != nil else { return nil }
        let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...], as: UTF8.self)
    }

    private static func ask(_ prompt: String) throws(ServerError) -> String {
        guard isatty(0) == 1 else {
            throw ServerError("no password: use --password-file, SMB_PASSWORD or a terminal")
        }
        _ = prompt.withCString { write(2, $0, strlen($0)) }
        var before = termios()
        tcgetattr(0, &before)
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(0, TCSAFLUSH, &silent)
        defer {
            tcsetattr(0, TCSAFLUSH, &before)
            _ = write(2, "\n", 1)
        }
        guard let input = fdopen(dup(0), "r"), let line = Self.line(from: input) else {
            throw ServerError("no password was given")
        }
        return line
    }
}
