import ArgumentParser
import Glibc
import SMB2Wire
import SMBClient

/// What became of an attempt to take the file that ``Hold`` holds.
struct Grab {
    enum Outcome: CustomStringConvertible {
        case refused(NTStatus)
        case taken

        var description: String {
            switch self {
            case .refused(let status): "\(status)"
            case .taken: "taken"
            }
        }

        var isTaken: Bool { if case .taken = self { true } else { false } }
    }

    var writing: Outcome
    var lock: Outcome
    var isRefused: Bool { !self.writing.isTaken && !self.lock.isTaken }

    /// What the holder's share mode, its lock, or its absence while it reclaims are answered with. Not ACCESS_DENIED:
    /// who may not write the file anyway proves nothing.
    private static let refusals: [NTStatus] = [
        .sharingViolation, .fileNotAvailable, .lockNotGranted, .fileLockConflict,
    ]

    /// A connection of its own as another client; opens for writing, then locks through an open for reading.
    static func attempt(_ configuration: ClientConfiguration, _ target: Target) throws(ClientError) -> Grab {
        var configuration = configuration
        configuration.clientGUID = try ClientConfiguration.freshGUID()
        let connection = try SMBConnection.open(configuration, share: target.share)
        let writing = try Self.outcome { () throws(ClientError) in
            _ = try connection.create(
                OpenParameters(target.path, access: [.genericWrite], options: .nonDirectoryFile))
        }
        let lock = try Self.outcome { () throws(ClientError) in
            let file = try connection.create(
                OpenParameters(target.path, access: [.readData, .readAttributes], options: .nonDirectoryFile))
            try connection.lock(file.fileID, offset: Hold.lockOffset, length: Hold.lockByteCount)
        }
        return Grab(writing: writing, lock: lock)
    }

    private static func outcome(_ body: () throws(ClientError) -> Void) throws(ClientError) -> Outcome {
        do throws(ClientError) {
            try body()
            return .taken
        } catch {
            guard let status = error.status, Self.refusals.contains(status) else { throw error }
            return .refused(status)
        }
    }
}

extension Grab: CustomStringConvertible {
    var description: String { "writing: \(self.writing), lock: \(self.lock)" }
}

/// Connects as fast as it can and tries to take what ``Hold`` holds.
struct Rival: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tries to take the file that `smbbench hold` holds, as soon as anybody answers.",
        discussion: """
            Prints one JSON line an attempt. Ends with the first answer, or with --keep-trying on SIGTERM.
            Exit status: 0 refused both, 1 it got one of them, 2 the answer was neither, 3 nobody answered in time.
            """)

    @Argument(help: "//HOST[:PORT]/SHARE/PATH")
    var target: Target
    @OptionGroup var login: Login
    @Option(help: "Seconds to wait for the first answer.")
    var timeout = 120
    @Flag(help: "Go on after an answer, until SIGTERM.")
    var keepTrying = false

    mutating func run() throws {
        var signals = StopSignals()
        var configuration = try ClientConfiguration(
            host: self.target.host, port: self.target.port, credentials: try self.login.credentials())
        configuration.connectTimeoutMilliseconds = 200
        configuration.requestTimeoutMilliseconds = 2000
        let deadline = Instant.now.adding(milliseconds: self.timeout * 1000)
        var answers = 0
        var lastFailure = ""
        while !signals.arrived(withinMilliseconds: answers > 0 ? 50 : 2) {
            do throws(ClientError) {
                let grab = try Grab.attempt(configuration, self.target)
                JSONLine("answer").with("writing", "\(grab.writing)").with("lock", "\(grab.lock)").print()
                if !grab.isRefused { finish(1) }
                answers += 1
                if !self.keepTrying { finish(0) }
            } catch {
                guard error.isConnectionLoss || Self.isPassing(error.status) else {
                    JSONLine("error").with("what", "\(error)").print()
                    finish(2)
                }
                // The same failure a thousand times over says no more than once.
                if "\(error)" != lastFailure { JSONLine("unanswered").with("why", "\(error)").print() }
                lastFailure = "\(error)"
            }
            if answers == 0, Instant.now >= deadline {
                JSONLine("error").with("what", "nobody answered in \(self.timeout) s").print()
                finish(3)
            }
        }
        finish(answers > 0 ? 0 : 3)
    }

    /// Answers of a server that is not there yet, or that is just leaving.
    private static func isPassing(_ status: NTStatus?) -> Bool {
        guard let status else { return false }
        return [.serverUnavailable, .badNetworkName, .networkNameDeleted, .userSessionDeleted, .insuffServerResources]
            .contains(status)
    }
}
