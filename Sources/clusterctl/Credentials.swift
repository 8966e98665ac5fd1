import ArgumentParser
import ClusterCore
import StateRecords

struct Credentials: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets people administer the cluster from other machines.",
        subcommands: [Issue.self, List.self, Revoke.self])

    struct Issue: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes the file with which clusterctl --remote --credentials works.",
            discussion: "Whoever has the file administers the cluster as root does on a node, until it is revoked.")
        @OptionGroup var connection: Connection

        @Argument(help: "Whose they are: a to z, 0 to 9 and hyphens. Stands in the audit.")
        var name: String

        @Option(help: "How long they are good: 1 to 3650.")
        var days: UInt32 = 365

        @Option(help: "Where to; NAME.credentials by default. Never over a file that is there.")
        var output: String?

        func run() throws {
            let path = self.output ?? "\(self.name).credentials"
            var file = try NewCredentialsFile(path)
            switch try AdminClient.ask(.issueCredentials(name: self.name, days: self.days), over: self.connection) {
            case .credentials(let credentials):
                try file.write(credentials, of: self.name)
                print(
                    "\(path) is good for \(self.days) days: clusterctl --remote HOST:PORT --credentials \(path) status")
            case .failed(let failure): throw Failed(failure)
            default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
            }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Whose credentials count.")
        @OptionGroup var connection: Connection

        func run() throws {
            switch try AdminClient.ask(.listCredentials, over: self.connection) {
            case .credentialList(let list):
                for credential in list { print(Render.credential(credential)) }
                if list.isEmpty { print("no credentials: the cluster is administered on its nodes alone") }
            case .failed(let failure): throw Failed(failure)
            default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
            }
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "From now on nobody gets in with them.")
        @OptionGroup var connection: Connection
        @Argument(help: "As 'clusterctl credentials list' shows it.")
        var name: String

        func run() throws { try self.connection.perform(.revokeCredentials(name: self.name)) }
    }
}

extension Render {
    static func credential(_ credential: RemoteCredential) -> String {
        "\(credential.name)  until \(Self.time(credential.untilUnixMilliseconds))"
    }
}

struct CertificateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificate",
        abstract: "The certificate by which this node is known to the others. It is renewed by itself in good time.",
        subcommands: [Show.self, Renew.self], defaultSubcommand: Show.self)

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "How long it is good.")
        @OptionGroup var connection: Connection
        func run() throws { try self.connection.perform(.certificate(renews: false)) }
    }

    struct Renew: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "A new one with a new key, now. Connections that stand go on.")
        @OptionGroup var connection: Connection
        func run() throws { try self.connection.perform(.certificate(renews: true)) }
    }
}
