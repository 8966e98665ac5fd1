import ArgumentParser
import ClusterCore
import SMBCrypto
import StateRecords

struct Shares: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "share", abstract: "Adds, lists and removes shares.",
        subcommands: [Add.self, Set.self, List.self, Remove.self])

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

        @Flag(help: "Macs may keep their Time Machine backups here.")
        var timeMachine = false

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
                        isTimeMachine: self.timeMachine, compressesData: self.compressed)))
        }
    }

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Changes who may do what on a share, and what it has.",
            discussion: """
                WHO is a user, or Everyone, Users or Administrators. As long as nobody is allowed or denied by name, everyone \
                has full access, and the files' own permissions decide. Sessions that are connected keep what they have.
                """)
        @OptionGroup var connection: Connection

        @Argument(help: "The share's name.")
        var name: String

        @Option(help: "WHO:read, WHO:change or WHO:full; may be given several times.")
        var allow: [String] = []

        @Option(help: "WHO may not connect, whatever else allows it; may be given several times.")
        var deny: [String] = []

        @Option(help: "Forget what was said of WHO; * forgets it all.")
        var forget: [String] = []

        @Flag(inversion: .prefixedNo, help: "Folders show only what the user may read.")
        var accessBased: Bool?

        @Flag(inversion: .prefixedNo, help: "Files can be named by a name of the 8.3 form, too, for old programs.")
        var shortNames: Bool?

        @Flag(inversion: .prefixedNo, help: "Files have named streams; they do unless this says otherwise.")
        var streams: Bool?

        @Flag(inversion: .prefixedNo, help: "Clients may watch folders; they may unless this says otherwise.")
        var notify: Bool?

        @Flag(
            inversion: .prefixedNo,
            help: "Security descriptors keep their AUTO_INHERITED flag also where they do not ask for it.")
        var keepInherited: Bool?

        @Option(help: "Names that are shown as hidden files, with * and ?, a slash between them; empty: none.")
        var hideFiles: String?

        func run() throws {
            var permissions = self.deny.map { SharePermission(name: $0, level: .none) }
            let levels: [Substring: SharePermission.Level] = ["read": .read, "change": .change, "full": .full]
            for text in self.allow {
                let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2, let level = levels[parts[1]] else {
                    throw ValidationError("--allow \(text): WHO:read, WHO:change or WHO:full is wanted")
                }
                permissions.append(SharePermission(name: String(parts[0]), level: level))
            }
            for permission in permissions {
                if let problem = Names.problem(userName: permission.name) { throw ValidationError(problem) }
            }
            var change = ShareChange(
                name: self.name, permissions: permissions, removed: self.forget, isAccessBased: self.accessBased)
            let nothing = change
            for (trait, wanted) in [
                (ShareTraits.shortNames, self.shortNames), (.withoutStreams, self.streams.map { !$0 }),
                (.withoutNotify, self.notify.map { !$0 }), (.keepsInheritedFlag, self.keepInherited),
            ] {
                if wanted == true { change.addedTraits.insert(trait) }
                if wanted == false { change.removedTraits.insert(trait) }
            }
            change.hiddenFiles = self.hideFiles.map { $0.split(separator: "/").map(String.init) }
            guard !permissions.isEmpty || !self.forget.isEmpty || self.accessBased != nil || change != nothing else {
                throw ValidationError("nothing to change: --help lists what there is")
            }
            try self.connection.perform(.changeShare(change))
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the shares.")
        @OptionGroup var connection: Connection

        func run() throws {
            for share in try AdminClient.status(self.connection).shares { print(Render.share(share)) }
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
        subcommands: [Add.self, Password.self, Set.self, List.self, Remove.self])

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

        @Flag(help: "May take ownership, back up, restore and audit: one of BUILTIN\\Administrators.")
        var administrator = false

        func run() throws {
            try self.connection.perform(
                .putUser(name: self.input.name, ntHash: try self.input.ntHash(), replaces: false))
            guard self.administrator else { return }
            try self.connection.perform(.setAdministrator(name: self.input.name, true))
        }
    }

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Makes a user an administrator, or takes that away; sessions that are connected keep what they have.")
        @OptionGroup var connection: Connection

        @Argument(help: "The user's name.")
        var name: String

        @Flag(inversion: .prefixedNo, help: "May take ownership, back up, restore and audit.")
        var administrator: Bool

        func run() throws {
            try self.connection.perform(.setAdministrator(name: self.name, self.administrator))
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
            switch try AdminClient.ask(.listUsers, over: self.connection) {
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
