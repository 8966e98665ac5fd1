import SMB2Wire
import StateRecords
import Testing

@testable import SMBClient
@testable import SMBServer

#if canImport(Glibc)
    import Glibc
#endif

/// A server alone, on an XFS of its own as a node has it; all of it goes with the last reference.
final class XFSServer {
    let directory: String
    private var server: StandaloneServer?

    var share: String { "\(self.directory)/share" }

    /// - Parameters:
    ///   - size: as truncate(1) takes it.
    ///   - sharesBlocks: reflink: without it a copy is one of all bytes.
    ///   - prepare: puts files on it, which nothing in memory knows of when the server starts.
    init(
        isContinuouslyAvailable: Bool = false, size: String = "400M", sharesBlocks: Bool = true,
        prepare: ((_ share: String) -> Void)? = nil
    ) throws {
        var template = Array("/tmp/holdfast-xfs-XXXXXX".utf8CString)
        self.directory = String(cString: try #require(mkdtemp(&template)))
        mkdir(self.share, 0o755)
        try #require(Self.run("truncate", "-s", size, "\(self.directory)/image"))
        try #require(
            Self.run("mkfs.xfs", "-q", "-m", "reflink=\(sharesBlocks ? 1 : 0)", "\(self.directory)/image"))
        try #require(Self.run("mount", "-o", "loop", "\(self.directory)/image", self.share))
        if let prepare {
            prepare(self.share)
            try #require(Self.run("umount", self.share))
            try #require(Self.run("mount", "-o", "loop", "\(self.directory)/image", self.share))
        }
        var configuration = StandaloneServer.Configuration(
            stateDirectory: "\(self.directory)/state", serverName: "FILES")
        configuration.shares = [
            ShareRecord(name: "test", path: self.share, isContinuouslyAvailable: isContinuouslyAvailable)
        ]
        configuration.users = [("alice", "secret")]
        configuration.address = "127.0.0.1"
        configuration.port = 0
        self.server = try StandaloneServer(configuration)
    }

    deinit {
        self.server?.server.stop()
        self.server = nil
        _ = Self.run("umount", "--lazy", self.share)
        _ = Self.run("rm", "-r", self.directory)
    }

    func connect() throws -> SMBConnection {
        try SMBConnection.open(
            try ClientConfiguration(
                host: "127.0.0.1", port: try #require(self.server).port,
                credentials: .init(user: "alice", password: "secret")), share: "test")
    }

    private static func run(_ arguments: String...) -> Bool {
        var pid = pid_t()
        let argv = arguments.map { strdup($0) } + [nil]
        defer { for argument in argv { free(argument) } }
        guard posix_spawnp(&pid, arguments[0], nil, nil, argv, environ) == 0 else { return false }
        var status: Int32 = 0
        return waitpid(pid, &status, 0) == pid && status == 0
    }
}

/// The status that a call failed with; success where it did not.
func status(_ body: () throws -> Void) -> NTStatus {
    do { try body() } catch let error as ClientError { return error.status ?? .internalError } catch {
        return .internalError
    }
    return .success
}

extension SMBConnection {
    func open(
        _ path: String, access: AccessMask = [.readData, .writeData, .delete, .readAttributes, .writeAttributes],
        _ disposition: CreateDisposition = .openIf, options: CreateOptions = []
    ) throws -> FileID {
        try self.create(OpenParameters(path, access: access, disposition: disposition, options: options)).fileID
    }
}
