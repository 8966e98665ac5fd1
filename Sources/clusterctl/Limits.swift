import ArgumentParser
import ClusterCore
import StateRecords

struct Limits: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "limit", abstract: "Shows and sets how much of what the server takes.",
        subcommands: [List.self, Set.self, Reset.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the limits, and what is used of them.")
        @OptionGroup var connection: Connection

        func run() throws {
            for limit in try AdminClient.status(self.connection).limits { print(Render.limit(limit)) }
        }
    }

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sets a limit. A lower one ends nothing: it refuses what is new until less is there.")
        @OptionGroup var connection: Connection

        @Argument(help: "\(ServerLimit.allCases.map(\.rawValue).joined(separator: ", ")).")
        var name: String

        @Argument(help: "How many, or how many bytes.")
        var value: String

        func run() throws {
            var limits = ServerLimits()
            do { try limits.set(self.name, to: self.value) } catch { throw ValidationError("\(error)") }
            guard let limit = ServerLimit(rawValue: self.name) else { return }
            try self.connection.perform(.setLimit(name: self.name, value: limits[limit]))
        }
    }

    struct Reset: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Sets a limit to what it was in the beginning.")
        @OptionGroup var connection: Connection
        @Argument var name: String

        func run() throws {
            guard let limit = ServerLimit(rawValue: self.name) else {
                throw ValidationError("there is no limit \(self.name): 'clusterctl limit list' shows them")
            }
            try self.connection.perform(.setLimit(name: self.name, value: limit.standard))
        }
    }
}
