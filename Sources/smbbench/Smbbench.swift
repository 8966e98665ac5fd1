import ArgumentParser
import Glibc

@main
struct Smbbench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "smbbench",
        abstract:
            "Loads an SMB server, holds files through its failovers, takes them away, and breaks it in the middle of things.",
        subcommands: [Bench.self, Hold.self, Handles.self, Rival.self, Interrupt.self, Chaos.self])
}

/// Ends with `code` after everything was printed; for outcomes that are no misuse of the command line.
func finish(_ code: Int32) -> Never {
    fflush(nil)
    exit(code)
}

/// SIGTERM and SIGINT, asked for instead of handled.
struct StopSignals {
    private var set = sigset_t()

    /// Before any other thread begins.
    init() {
        sigemptyset(&self.set)
        sigaddset(&self.set, SIGTERM)
        sigaddset(&self.set, SIGINT)
        pthread_sigmask(SIG_BLOCK, &self.set, nil)
    }

    /// Whether one has come, waiting for it at most so long.
    mutating func arrived(withinMilliseconds limit: Int = 0) -> Bool {
        var time = timespec(tv_sec: limit / 1000, tv_nsec: limit % 1000 * 1_000_000)
        return sigtimedwait(&self.set, nil, &time) > 0
    }
}
