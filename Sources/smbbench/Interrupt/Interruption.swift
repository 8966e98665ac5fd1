import Glibc
import SMB2Wire
import SMBClient

/// One workload and one failure in the middle of it: two clients, a folder, and the means to break the server.
final class Interruption {
    let holder: ReturningClient
    let rival: ReturningClient
    /// With a backslash at its end where it is not empty.
    private let folder: String
    private let name: String
    private let command: String
    /// How long the last request travels before the server breaks.
    private let delayMilliseconds: Int
    private var brokenAt: Instant?
    private(set) var stallMilliseconds = 0

    init(
        _ configuration: ClientConfiguration, share: String, folder: String, name: String, command: String,
        delayMilliseconds: Int
    ) throws(ClientError) {
        self.folder = folder.isEmpty ? "" : folder + "\\"
        self.name = name
        self.command = command
        self.delayMilliseconds = delayMilliseconds
        self.holder = try ReturningClient(configuration, share: share)
        self.rival = try ReturningClient(configuration, share: share)
    }

    /// A path of this run's own.
    func path(_ suffix: String = "") -> String { "\(self.folder)\(self.name)\(suffix)" }

    /// What was posted leaves; then the server breaks.
    func breakServer() throws(ClientError) {
        try self.holder.connection.flush()
        try self.rival.connection.flush()
        sleep(milliseconds: self.delayMilliseconds)
        let start = Instant.now
        let status = system(self.command)
        guard status == 0 else { throw .violation("the command that breaks the server failed with \(status)") }
        self.brokenAt = start
    }

    /// The server does again what it did: the stall ends.
    func recovered() {
        guard let broken = self.brokenAt.take() else { return }
        self.stallMilliseconds = Instant.now.milliseconds(since: broken)
    }

    func require(_ condition: Bool, _ what: @autoclosure () -> String) throws(ClientError) {
        guard condition else { throw .violation(what()) }
    }

    /// What `body` is refused with; success is an error.
    func refusal(_ what: String, _ body: () throws(ClientError) -> Void) throws(ClientError) -> NTStatus {
        do throws(ClientError) { try body() } catch {
            guard let status = error.status else { throw error }
            return status
        }
        throw .violation("\(what) was granted")
    }
}
