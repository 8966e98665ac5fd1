import ArgumentParser
import ClusterCore
import SMBCrypto
import StateRecords

struct Shares: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "share", abstract: "Adds, lists and removes shares.",
        subcommands: [Add.self, List.self, Remove.self])

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Serves a folder of the LUN as a share.")
        @OptionGroup var connection: Connection

        @Argument(help: "The share's name, as clients see it.")
        var name: String

        @Option(help: "The folder, relative to the LUN's root; made when it is missing. The share's name by default.")
        var path: String?

        @Option(help: "What clients show beside the name.")
        var comment = ""

        @Flag(
            inversion: .prefixedNo,
            help: "Handles survive the death of the active node; writes are on the LUN before they are answered.")
        var continuouslyAvailable = true

        @Flag(help: "Nobody can change anything.")
        var readOnly = false

        @Flag(help: "Only encrypted sessions.")
        var encrypted = false

        @Flag(inversion: .prefixedNo, help: "The POSIX extensions, for clients that ask for them.")
        var posix = true

        @Flag(help: "Clients are told to compress what they read and write.")
        var compressed = false

        func run() throws {
            let path = self.path ?? self.name
            if let problem = Names.problem(shareName: self.name) ?? Names.problem(sharePath: path) {
                throw ValidationError(problem)
            }
            try self.connection.perform(
                .addShare(
                    ShareRecord(
                        name: self.name, path: path, comment: self.comment,
                        isContinuouslyAvailable: self.continuouslyAvailable, isReadOnly: self.readOnly,
                        requiresEncryption: self.encrypted, offersPOSIX: self.posix,
                        compressesData: self.compressed)))
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the shares.")
        @OptionGroup var connection: Connection

        func run() throws {
            for share in try AdminClient.status(self.connection.socket).shares { print(Render.share(share)) }
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Stops serving a share; its files stay.")
        @OptionGroup var connection: Connection
        @Argument var name: String
        func run() throws { try self.connection.perform(.removeShare(name: self.name)) }
    }
}

struct Users: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Adds, lists and removes users.",
        subcommands: [Add.self, Password.self, List.self, Remove.self])

    struct Input: ParsableArguments {
        @Argument(help: "The user's name.")
        var name: String

        @Flag(name: .customLong("password-stdin"), help: "Read the password from standard input, one line.")
        var passwordFromStandardInput = false

        func ntHash() throws -> [UInt8] {
            if let problem = Names.problem(userName: self.name) { throw ValidationError(problem) }
            let password = try PasswordPrompt.read(fromStandardInput: self.passwordFromStandardInput)
            var bytes: [UInt8] = []
            for unit in password.utf16 {
                bytes.append(UInt8(truncatingIfNeeded: unit))
                bytes.append(UInt8(truncatingIfNeeded: unit >> 8))
            }
            return try Digest.md4(bytes)
        }
    }

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Adds a user; asks for the password.")
        @OptionGroup var connection: Connection
        @OptionGroup var input: Input

        func run() throws {
            try self.connection.perform(
                .putUser(name: self.input.name, ntHash: try self.input.ntHash(), replaces: false))
        }
    }

    struct Password: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Changes a user's password.")
        @OptionGroup var connection: Connection
        @OptionGroup var input: Input

        func run() throws {
            try self.connection.perform(
                .putUser(name: self.input.name, ntHash: try self.input.ntHash(), replaces: true))
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the users.")
        @OptionGroup var connection: Connection

        func run() throws {
            switch try AdminClient.ask(.listUsers, socket: self.connection.socket) {
            case .users(let names): for name in names { print(name) }
            case .failed(let failure): throw Failed(failure)
            default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
            }
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Removes a user.")
        @OptionGroup var connection: Connection
        @Argument var name: String
        func run() throws { try self.connection.perform(.removeUser(name: self.name)) }
    }
}
