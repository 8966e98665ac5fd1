import ArgumentParser
import ClusterCore

struct Nodes: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "Changes what a node is called and where it is.", subcommands: [Set.self])

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Gives a node another name or another address.",
            discussion: """
                --address: where the other nodes reach it from now on; its machine and clusterd's --listen are yours to change, and \
                until they fit the others cannot reach it. One node at a time: the others must be a majority meanwhile.
                --rename: not of the node that serves. Its initiator name at the targets changes with it, and clusterd is to be \
                started with the new name from then on.
                """)

        @OptionGroup var connection: Connection

        @Argument(help: "The node's present name.")
        var node: String

        @Option(help: "Its new name.")
        var rename: String?

        @Option(help: "HOST:PORT where the other nodes reach it.")
        var address: String?

        func validate() throws {
            guard self.rename?.isEmpty == false || self.address?.isEmpty == false else {
                throw ValidationError("say what is to change: --rename NAME or --address HOST:PORT")
            }
        }

        func run() throws {
            let change = NodeChange(node: self.node, name: self.rename ?? "", address: self.address ?? "")
            try self.connection.perform(.changeNode(change))
        }
    }
}
