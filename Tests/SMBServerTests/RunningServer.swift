import SMBAuth
import StateRecords
import Testing

@testable import SMBClient
@testable import SMBServer

#if canImport(Glibc)
    import Glibc
#endif

/// A standalone server with one share "test" in a directory of its own on the loopback; stopped and removed afterwards.
final class RunningServer {
    let directory: String
    var share: String { "\(self.directory)/share" }
    let standalone: StandaloneServer

    /// - Parameter parent: /var/tmp where the files must lie on a disk.
    init(
        in parent: String = "/tmp", isContinuouslyAvailable: Bool = false,
        _ change: (inout StandaloneServer.Configuration) -> Void = { _ in }
    ) throws {
        var template = Array("\(parent)/holdfast-server-XXXXXX".utf8CString)
        _ = try #require(mkdtemp(&template))
        self.directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        mkdir("\(self.directory)/share", 0o755)
        var configuration = StandaloneServer.Configuration(
            stateDirectory: "\(self.directory)/state", serverName: "TEST")
        configuration.shares = [
            ShareRecord(
                name: "test", path: "\(self.directory)/share", isContinuouslyAvailable: isContinuouslyAvailable)
        ]
        configuration.users = [("alice", "secret")]
        configuration.address = "127.0.0.1"
        configuration.port = 0
        change(&configuration)
        self.standalone = try StandaloneServer(configuration)
    }

    deinit {
        self.standalone.server.stop()
        for folder in ["share", "state"] {
            let path = "\(self.directory)/\(folder)"
            if let entries = opendir(path) {
                while let entry = readdir(entries) {
                    withUnsafePointer(to: &entry.pointee.d_name) {
                        $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                            _ = unlink("\(path)/\(String(cString: $0))")
                        }
                    }
                }
                closedir(entries)
            }
            rmdir(path)
        }
        rmdir(self.directory)
    }

    func connect(
        user: String = "alice", password: String = "secret", share: String = "test"
    ) throws -> SMBConnection {
        try SMBConnection.open(
            try ClientConfiguration(
                host: "127.0.0.1", port: self.standalone.port, credentials: .init(user: user, password: password)),
            share: share)
    }
}
