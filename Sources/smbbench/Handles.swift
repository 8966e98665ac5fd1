import ArgumentParser
import SMB2Wire
import SMBClient

/// Opens many persistent handles and keeps them: what a takeover has to load.
struct Handles: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Opens many files, each with a persistent handle, and keeps them until it is ended.",
        discussion: """
            Prints the bare word "holding" once it has all of them. Reclaims none. Ends on SIGTERM and SIGINT.
            """)

    /// CREATEs under way at a time.
    private static let queue = 64

    @Argument(help: "//HOST[:PORT]/SHARE[/DIRECTORY], which must be there")
    var target: Target
    @OptionGroup var login: Login
    @Option(help: "How many handles.")
    var count = 10_000

    mutating func run() throws {
        var signals = StopSignals()
        let configuration = try ClientConfiguration(
            host: self.target.host, port: self.target.port, credentials: try self.login.credentials())
        do throws(ClientError) {
            let connection = try SMBConnection.open(configuration, share: self.target.share)
            var posted = 0
            var opened = 0
            while opened < self.count {
                while posted < self.count, posted - opened < Self.queue {
                    let name = "handle-\(posted)"
                    let parameters = OpenParameters(
                        self.target.path.isEmpty ? name : "\(self.target.path)\\\(name)", access: [.genericRead],
                        disposition: .openIf)
                    _ = try connection.postCreate(
                        DurableHandle.request(
                            parameters, try ClientConfiguration.freshGUID(), timeoutMilliseconds: 0))
                    posted += 1
                }
                let reply = try connection.gather(try connection.nextAnswered())
                guard reply.header.status == .success else { throw .status(reply.header.status, .create) }
                let response: CreateResponse
                do throws(WireError) { response = try CreateResponse(parsing: reply.span) } catch { throw .wire(error) }
                guard response.contexts.durableV2?.isPersistent == true else {
                    throw .violation("the handle is not persistent: is the share continuously available?")
                }
                opened += 1
            }
            writeLine("holding")
            while !signals.arrived(withinMilliseconds: 1000) {}
        } catch {
            JSONLine("error").with("what", "\(error)").print()
            finish(1)
        }
    }
}
