import ArgumentParser
import Glibc
import SMB2Wire
import SMBAuth
import SMBClient
import SMBCrypto

/// `//HOST[:PORT]/SHARE[/PATH]`
struct Target: ExpressibleByArgument {
    var host: String
    var port: UInt16
    var share: String
    /// With backslashes, as it goes over the wire.
    var path: String

    init?(argument: String) {
        let text = argument.map { $0 == "\\" ? "/" : $0 }
        guard text.starts(with: "//") else { return nil }
        let parts = String(text.dropFirst(2)).split(separator: "/", maxSplits: 2, omittingEmptySubsequences: true)
        guard parts.count >= 2 else { return nil }
        let authority = parts[0].split(separator: ":")
        guard let host = authority.first, authority.count <= 2 else { return nil }
        guard let port = authority.count == 2 ? UInt16(authority[1]) : 445 else { return nil }
        self.host = String(host)
        self.port = port
        self.share = String(parts[1])
        self.path = parts.count == 3 ? String(parts[2].map { $0 == "/" ? "\\" : $0 }) : ""
    }
}

/// Who logs in. The password never stands on the command line, where everybody can read it.
struct Login: ParsableArguments {
    @Option(help: "The user; DOMAIN\\\\USER where the domain matters.")
    var user: String

    @Option(help: "The environment variable that holds the password.")
    var passwordEnv = "SMB_PASSWORD"

    @Option(help: "A file whose first line is the password.")
    var passwordFile: String?

    func credentials() throws -> ClientAuthentication.Credentials {
        let parts = self.user.split(separator: "\\", maxSplits: 1)
        return try .init(
            user: String(parts.last ?? ""), domain: parts.count == 2 ? String(parts[0]) : "", password: self.password())
    }

    private func password() throws -> String {
        if let passwordFile {
            guard let file = fopen(passwordFile, "re") else {
                throw ValidationError("\(passwordFile): \(String(cString: strerror(errno)))")
            }
            defer { fclose(file) }
            var line = [CChar](repeating: 0, count: 1024)
            guard fgets(&line, Int32(line.count), file) != nil else {
                throw ValidationError("\(passwordFile) is empty")
            }
            let bytes = line.prefix { $0 != 0 && $0 != 10 && $0 != 13 }.map { UInt8(bitPattern: $0) }
            return String(decoding: bytes, as: UTF8.self)
        }
        guard let value = getenv(self.passwordEnv) else {
            throw ValidationError("no password: set \(self.passwordEnv) or give --password-file")
        }
        return String(cString: value)
    }
}

/// One JSON object a line, written at once.
struct JSONLine {
    private var text: String

    init(_ event: String) {
        let milliseconds = Int(Instant.now.nanoseconds / 1_000_000)
        self.text = "{\"event\": \(Self.quoted(event)), \"at\": \(milliseconds)"
    }

    func with(_ key: String, _ value: String) -> JSONLine { self.adding(key, Self.quoted(value)) }
    func with(_ key: String, _ value: Int) -> JSONLine { self.adding(key, String(value)) }
    func with(_ key: String, _ value: Bool) -> JSONLine { self.adding(key, value ? "true" : "false") }

    func print() { writeLine(self.text + "}") }

    private func adding(_ key: String, _ value: String) -> JSONLine {
        var line = self
        line.text += ", \(Self.quoted(key)): \(value)"
        return line
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case _ where scalar.value < 0x20: result += " "
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

func writeLine(_ line: String) {
    print(line)
    fflush(nil)
}
