import Glibc
import SMB2Wire
import SMBAuth
import SMBCrypto
import SMBClient
import SMBServer
import StateRecords

/// A standalone server on the loopback and a client that is let in. It is the same server for all inputs of a process: a
/// finding may need those before it. Used by one thread: the fuzzer's.
final class WholeServer: @unchecked Sendable {
    static let shared = WholeServer()

    /// An answer must come within this, or the server hangs.
    private static let patienceMilliseconds = 5000

    private let server: StandaloneServer
    private var connection: SMBConnection?
    private var file = FileID.related
    private var fileNumber = 0
    private let directory: String

    private init() {
        var template = Array("/tmp/holdfast-fuzz-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { preconditionFailure("no directory in /tmp") }
        self.directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        mkdir("\(self.directory)/share", 0o755)
        var configuration = StandaloneServer.Configuration(
            stateDirectory: "\(self.directory)/state", serverName: "FUZZ")
        configuration.shares = [ShareRecord(name: "test", path: "\(self.directory)/share")]
        configuration.users = [("alice", "secret")]
        configuration.requiresSigning = false
        configuration.address = "127.0.0.1"
        configuration.port = 0
        configuration.loopCount = 1
        do throws(ServerError) { self.server = try StandaloneServer(configuration) } catch {
            preconditionFailure("\(error)")
        }
    }

    /// Where the files are; whoever ends the process may remove it.
    var path: String { self.directory }

    func receive(_ input: [UInt8]) {
        do throws(ClientError) {
            let connection: SMBConnection
            if let kept = self.connection { connection = kept } else { connection = try self.connect() }
            let kind = PacketKind(input.span.bytes)
            if kind == .smb2 {
                var addressing = Addressing(
                    session: connection.sessionID, tree: connection.treeID, file: self.file, nextMessageID: 0)
                let count = addressing.messages(in: input).count
                addressing.nextMessageID = try connection.reserveMessageIDs(max(1, min(count, 16)))
                try connection.sendRaw(Array(addressing.messages(in: input).joined()))
            } else {
                try connection.sendRaw(input)
            }
            try connection.echo()
        } catch {
            // It may have closed the connection. A new one is to be had at once.
            self.connection?.stream.abort()
            self.connection = nil
            if case .timedOut = error { preconditionFailure("the server does not answer") }
        }
    }

    private func connect() throws(ClientError) -> SMBConnection {
        do throws(ClientError) {
            var configuration = try ClientConfiguration(
                host: "127.0.0.1", port: self.server.port,
                credentials: .init(user: "alice", hash: try Self.hash()))
            configuration.signs = false
            configuration.compression = [.lz4, .lz77, .lz77Huffman, .lznt1, .pattern]
            configuration.requestTimeoutMilliseconds = Self.patienceMilliseconds
            let connection = try SMBConnection.open(configuration, share: "test")
            self.file = try self.openFile(connection)
            self.connection = connection
            return connection
        } catch {
            // An optimised build says nothing of a precondition.
            print("the server lets nobody in any more: \(error)")
            fflush(nil)
            preconditionFailure("the server lets nobody in any more")
        }
    }

    /// What an input left of its handles may keep the file from everybody else until the server has seen that their connection is
    /// gone. Then it is another file's turn.
    private func openFile(_ connection: SMBConnection) throws(ClientError) -> FileID {
        do throws(ClientError) {
            return try connection.create(self.parameters).fileID
        } catch {
            guard error.status != nil else { throw error }
            self.fileNumber += 1
            return try connection.create(self.parameters).fileID
        }
    }

    private var parameters: OpenParameters {
        OpenParameters("f\(self.fileNumber)", access: .fileAll, disposition: .openIf)
    }

    private static func hash() throws(ClientError) -> NTHash {
        do throws(CryptoError) { return try NTHash(password: "secret") } catch { throw .crypto(error) }
    }
}
