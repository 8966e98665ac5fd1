import Glibc
import SMBServer

// smbserverd: SMB2/3, alone on folders of this machine or beneath a clusterd.
// Exit codes: 0 after SIGTERM or SIGINT, 1 when it cannot serve, 2 for a wrong command line.

signal(SIGPIPE, SIG_IGN)
// What clients make has the share's mode or the one that they ask for (docs/POSIX.md), whoever starts the server: clusterd
// keeps its own files from everybody. What is the server's own is made with the mode that it shall have.
umask(0)

do throws(ServerError) {
    switch try Arguments(Array(CommandLine.arguments.dropFirst())) {
    case .snapshot(let command, let folder):
        do throws(ServerError) { print(try command.run(folder: folder), terminator: "") } catch {
            Log.write("\(error)")
            exit(1)
        }
    case .help:
        print(Arguments.usage, terminator: "")
    case .cluster(let socket, let answers, let listeners):
        do throws(ServerError) {
            try ClusterLink(descriptor: socket, answers: answers, listeners: listeners).run()
        } catch {
            Log.write("\(error)")
            exit(1)
        }
    case .standalone(let configuration):
        // Blocked before the first thread starts, so that all inherit it and only sigwait sees them.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let standalone: StandaloneServer
        do throws(ServerError) { standalone = try StandaloneServer(configuration) } catch {
            Log.write("\(error)")
            exit(1)
        }
        Log.write("serving \(configuration.shares.map(\.name).joined(separator: ", ")) on port \(standalone.port)")
        var received: Int32 = 0
        sigwait(&signals, &received)
        Log.write("stopping")
        standalone.server.stop()
        exit(0)
    }
} catch {
    Log.write("\(error)")
    exit(2)
}
