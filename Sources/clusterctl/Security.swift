import ArgumentParser
import ClusterCore
import StateRecords

struct Security: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "security",
        abstract: "Shows and sets how clients prove who they are and what protects their data.",
        subcommands: [Show.self, Set.self])

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows the settings.")
        @OptionGroup var connection: Connection

        func run() throws {
            for setting in try AdminClient.status(self.connection).security { print(Render.security(setting)) }
        }
    }

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sets one of them.",
            discussion: """
                signing and encryption: required or optional. ciphers and signing-algorithms: names with commas between them, the \
                best one first. session-lifetime: seconds after which a session must authenticate anew, 0 for never. \
                anonymous: on or off. What clients have agreed on stays until they connect anew.
                """)
        @OptionGroup var connection: Connection

        @Argument(help: "\(SecuritySetting.allCases.map(\.rawValue).joined(separator: ", ")).")
        var name: String

        @Argument var value: String

        func run() throws {
            var settings = SecuritySettings()
            do { try settings.set(self.name, to: self.value) } catch { throw ValidationError("\(error)") }
            try self.connection.perform(.setSecurity(name: self.name, value: self.value))
        }
    }
}
