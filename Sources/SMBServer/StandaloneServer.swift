import Glibc
import SMBAuth
import SMBCrypto
import StateRecords

/// A server that stands alone: its shares are folders, its journal is a file beside its GUID in a state directory.
package final class StandaloneServer: Sendable {
    package struct Configuration: Sendable {
        package var shares: [ShareRecord] = []
        package var users: [(name: String, password: String)] = []
        /// Which of them are administrators.
        package var administrators: Set<String> = []
        package var address = "::"
        package var port: UInt16 = 445
        /// An existing folder, or one that can be made.
        package var stateDirectory: String
        /// Nil: `journal.db` in the state directory.
        package var journal: String?
        package var serverName: String
        package var requiresSigning: Bool {
            get { self.security.requiresSigning }
            set { self.security.requiresSigning = newValue }
        }
        package var security = SecuritySettings()
        package var offersCompression = true
        package var limits = ServerLimits()
        package var snapshotSchedules: [SnapshotSchedule] = []
        /// Nil: one a core.
        package var loopCount: Int?

        package init(stateDirectory: String, serverName: String) {
            self.stateDirectory = stateDirectory
            self.serverName = serverName
        }
    }

    package let server: Server
    /// What it listens on: another than was asked for when that was 0.
    package let port: UInt16

    package init(_ configuration: Configuration) throws(ServerError) {
        try Self.makeDirectory(configuration.stateDirectory)
        let identity = try Self.identity(in: configuration.stateDirectory)
        var record = ServerConfiguration(
            serverGUID: identity, serverName: configuration.serverName,
            domain: (
                UInt32(truncatingIfNeeded: identity.low), UInt32(truncatingIfNeeded: identity.low >> 32),
                UInt32(truncatingIfNeeded: identity.high)
            ), limits: configuration.limits, offersCompression: configuration.offersCompression,
            security: configuration.security)
        record.shares = configuration.shares
        record.snapshotSchedules = configuration.snapshotSchedules
        for (index, user) in configuration.users.enumerated() {
            do throws(CryptoError) {
                let hash = try NTHash(password: user.password)
                record.users.append(
                    UserRecord(
                        name: user.name, ntHash: hash.bytes, relativeID: 1000 + UInt32(index),
                        isAdministrator: configuration.administrators.contains(user.name)))
            } catch { throw ServerError("user \(user.name): \(error)") }
        }
        let path = configuration.journal ?? "\(configuration.stateDirectory)/journal.db"
        let (opens, next) = try LocalJournal.load(path: path)
        let journal = LocalJournal(path: path)
        // The port first: a server that runs already must not lose its records to this one.
        let listener = try SocketAddress.listen(port: configuration.port, address: configuration.address)
        self.port = SocketAddress.port(of: listener)
        self.server = try Server(configuration: record, journal: journal, loopCount: configuration.loopCount)
        journal.start(self.server)
        if let share = try self.server.configure(record).first {
            throw ServerError("share \(share.name): \(share.reason)")
        }
        let (reopened, lost) = try self.server.load(opens, nextPersistentID: next)
        if reopened > 0 || lost > 0 { Log.write("\(reopened) handles wait for their clients, \(lost) are lost") }
        self.server.listen(on: listener)
    }

    private static func makeDirectory(_ path: String) throws(ServerError) {
        var built = path.first == "/" ? "" : "."
        for part in path.split(separator: "/") {
            built += "/\(part)"
            guard mkdir(built, 0o700) == 0 || errno == EEXIST else {
                throw ServerError("state directory \(built)", errno: errno)
            }
        }
    }

    /// The server's GUID: 16 random bytes that stay, so that clients recognise the server after a restart.
    private static func identity(in directory: String) throws(ServerError) -> GUID16 {
        let path = "\(directory)/server-guid"
        var bytes = [UInt8](repeating: 0, count: 16)
        let existing = open(path, O_RDONLY | O_CLOEXEC)
        if existing >= 0 {
            defer { close(existing) }
            guard read(existing, &bytes, 16) == 16 else { throw ServerError("\(path) is damaged: delete it") }
        } else {
            do throws(CryptoError) { bytes = try Random.bytes(16) } catch { throw ServerError("randomness: \(error)") }
            let made = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard made >= 0 else { throw ServerError(path, errno: errno) }
            defer { close(made) }
            guard write(made, bytes, 16) == 16, fsync(made) == 0 else { throw ServerError(path, errno: errno) }
        }
        func word(_ range: Range<Int>) -> UInt64 {
            bytes[range].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        return GUID16(low: word(0..<8), high: word(8..<16))
    }
}
