import ArgumentParser
import Glibc
import SMB2Wire
import SMBClient

/// Clients that go on through whatever is done to the servers, and account for every acknowledged byte, name, handle and lock.
struct Chaos: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Works through any number of failovers and checks that nothing acknowledged was lost.",
        discussion: """
            Each client writes, reads, locks, renames and deletes files of its own through persistent handles, and tries to \
            take the locks of the others. Prints one JSON line a second, and one for each operation that stood still and for \
            each thing that was found. On its standard input: "stop" lets the clients pause and prints "stopped"; "verify", or \
            the end of the input, has everything checked and ends it.
            Exit status: 0 nothing was lost, 1 something was.
            """)

    @Argument(help: "//HOST[:PORT]/SHARE/DIRECTORY; the directory is made.")
    var target: Target
    @OptionGroup var login: Login
    @Option(help: "How many clients, each with a connection of its own.")
    var clients = 3
    @Option(help: "What they do follows from it.")
    var seed: UInt64 = 1
    @Option(help: "Milliseconds between two operations of a client.")
    var pause = 2
    @Option(help: "Milliseconds of silence that count as a lost connection.")
    var silence = 3000

    private static let clientLimit = 64

    func validate() throws {
        guard !self.target.path.isEmpty else { throw ValidationError("name a directory of the share for the files") }
        guard (1...Self.clientLimit).contains(self.clients) else {
            throw ValidationError("1 to \(Self.clientLimit) clients")
        }
    }

    mutating func run() throws {
        var configuration = try ClientConfiguration(
            host: self.target.host, port: self.target.port, credentials: try self.login.credentials())
        configuration.connectTimeoutMilliseconds = 400
        configuration.requestTimeoutMilliseconds = self.silence
        let tally = Tally()
        let (board, gate) = (LockBoard(), Gate())
        let clients = try self.makeClients(configuration, tally, board)
        let pause = self.pause
        let threads = try clients.map { client in
            let client = Confined(client)
            return try Thread {
                gate.work {
                    client.value.step()
                    sleep(milliseconds: pause)
                }
                client.value.verify()
            }
        }
        JSONLine("begun").with("clients", self.clients).print()
        Self.follow(gate, tally)
        for thread in threads { thread.join() }
        let counts = tally.now
        counts.print("ended")
        finish(counts.isClean ? 0 : 1)
    }

    private func makeClients(
        _ configuration: ClientConfiguration, _ tally: Tally, _ board: LockBoard
    ) throws(ClientError) -> [ChaosClient] {
        let connection = try SMBConnection.open(configuration, share: self.target.share)
        try connection.makeDirectory(self.target.path)
        try connection.logoff()
        var clients: [ChaosClient] = []
        for number in 0..<self.clients {
            clients.append(
                try ChaosClient(
                    configuration, share: self.target.share, folder: "\(self.target.path)\\client-\(number)",
                    number: number, of: self.clients, seed: self.seed, tally: tally, board: board))
        }
        return clients
    }

    /// Tells how it goes, once a second, and does what the standard input says.
    private static func follow(_ gate: Gate, _ tally: Tally) {
        var entry = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
        while true {
            let ready = poll(&entry, 1, 1000)
            tally.now.print("progress")
            guard ready > 0 else { continue }
            switch readLine() {
            case "stop":
                gate.stop()
                JSONLine("stopped").print()
            case "verify", nil:
                gate.end()
                return
            case .some(let line): JSONLine("unknown").with("line", line).print()
            }
        }
    }
}

/// Hands one thing to one thread that has it alone from then on.
private struct Confined<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
