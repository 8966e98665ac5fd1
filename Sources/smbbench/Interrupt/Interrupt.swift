import ArgumentParser
import SMB2Wire
import SMBClient

/// Something that a client is in the middle of when the server breaks, and what must hold afterwards.
struct Workload {
    let name: String
    let run: (Interruption) throws(ClientError) -> Void

    init(_ name: String, _ run: @escaping (Interruption) throws(ClientError) -> Void) {
        self.name = name
        self.run = run
    }

    static var all: [Workload] { Self.sharing + Self.names + Self.data }
}

/// Breaks the server in the middle of one thing after another.
struct Interrupt: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Breaks a server in the middle of things, and checks that nothing held or acknowledged is lost.",
        discussion: """
            For each workload two clients connect, get into the middle of it, run the command that breaks the server, come \
            back, reclaim their persistent handles and check. Prints one JSON line a workload.
            Exit status: 0 all hold, 1 some do not.
            """)

    @Argument(help: "//HOST[:PORT]/SHARE[/DIRECTORY]; the directory is made.")
    var target: Target
    @OptionGroup var login: Login
    @Option(
        name: .customLong("break"),
        help: "A shell command that breaks the server and sees to it that it, or another, serves again.")
    var command: String
    @Option(help: "Only workloads whose names contain this; may be given several times.")
    var only: [String] = []
    @Option(help: "Milliseconds between the last request and the break; each workload runs once for each.")
    var delay: [Int] = [0]
    @Flag(help: "Name the workloads and end.")
    var list = false

    mutating func run() throws {
        let chosen = Workload.all.filter { workload in
            self.only.isEmpty || self.only.contains { workload.name.contains($0) }
        }
        if self.list {
            for workload in chosen { writeLine(workload.name) }
            return
        }
        var configuration = try ClientConfiguration(
            host: self.target.host, port: self.target.port, credentials: try self.login.credentials())
        configuration.connectTimeoutMilliseconds = 400
        configuration.requestTimeoutMilliseconds = 15_000
        try self.makeFolder(configuration)
        var failures = 0
        for (number, workload) in chosen.enumerated() {
            for delay in self.delay {
                failures += self.attempt(
                    workload, "\(number)-\(delay)-\(Instant.now.nanoseconds)", delay, configuration)
            }
        }
        finish(failures == 0 ? 0 : 1)
    }

    private func makeFolder(_ configuration: ClientConfiguration) throws(ClientError) {
        guard !self.target.path.isEmpty else { return }
        let connection = try SMBConnection.open(configuration, share: self.target.share)
        _ = try connection.create(
            OpenParameters(self.target.path, disposition: .openIf, options: .directoryFile))
    }

    private func attempt(
        _ workload: Workload, _ name: String, _ delay: Int, _ configuration: ClientConfiguration
    ) -> Int {
        let line = JSONLine("interrupted").with("workload", workload.name).with("delay", delay)
        do throws(ClientError) {
            let run = try Interruption(
                configuration, share: self.target.share, folder: self.target.path, name: name, command: self.command,
                delayMilliseconds: delay)
            try workload.run(run)
            line.with("holds", true).with("stallMilliseconds", run.stallMilliseconds).print()
            return 0
        } catch {
            line.with("holds", false).with("why", "\(error)").print()
            return 1
        }
    }
}
