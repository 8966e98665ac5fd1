import ArgumentParser
import Glibc
import SMB2Wire
import SMBClient

/// Opens a file with writing denied to others, locks a range of it and goes on writing through every failover.
struct Hold: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Holds a deny-write open and a byte-range lock through failovers, and goes on writing.",
        discussion: """
            Prints one JSON line an event, and the bare word "holding" once it has both. Ends when its standard input closes \
            or on SIGTERM: it then checks that others are still refused and that every record is in the file.
            Exit status: 0 all kept, 1 something was lost, 2 it never got hold of the file, 3 no persistent handle.
            """)

    @Argument(help: "//HOST[:PORT]/SHARE/PATH")
    var target: Target
    @OptionGroup var login: Login
    @Option(help: "Milliseconds between two records.")
    var interval = 50
    @Option(help: "Milliseconds of silence that count as a lost connection.")
    var silence = 3000
    @Flag(help: "Print a line for every record, not one a second.")
    var verbose = false
    @Flag(help: "Go on without a persistent handle; for servers that know none.")
    var allowVolatile = false

    /// Far behind the data, so that the lock protects nothing but itself.
    static let lockOffset: UInt64 = 1 << 40
    static let lockByteCount: UInt64 = 4096

    mutating func run() throws {
        var signals = StopSignals()
        let endsWithInput = Self.inputCanEnd()
        var configuration = try ClientConfiguration(
            host: self.target.host, port: self.target.port, credentials: try self.login.credentials())
        configuration.targetCredits = 64
        var limits = ResilientFile.Limits()
        limits.requestTimeoutMilliseconds = self.silence

        let file: ResilientFile
        do throws(ClientError) {
            file = try ResilientFile(
                configuration, share: self.target.share,
                OpenParameters(
                    self.target.path, access: [.genericRead, .genericWrite], share: .read, disposition: .overwriteIf,
                    options: .nonDirectoryFile), limits: limits, observer: Self.report)
            JSONLine("opened").with("persistent", file.isPersistent).print()
            guard file.isPersistent || self.allowVolatile else {
                JSONLine("error").with("what", "the server granted no persistent handle").print()
                finish(3)
            }
            try file.lock(
                LockElement(offset: Self.lockOffset, length: Self.lockByteCount, flags: [.exclusive, .failImmediately]))
            JSONLine("locked").with("offset", Int(Self.lockOffset)).with("length", Int(Self.lockByteCount)).print()
        } catch {
            JSONLine("error").with("what", "\(error)").print()
            finish(2)
        }
        writeLine("holding")

        var count = 0
        let perSecond = max(1, 1000 / max(1, self.interval))
        do throws(ClientError) {
            while !signals.arrived(withinMilliseconds: self.interval), !(endsWithInput && Self.inputEnded()) {
                try file.write(at: UInt64(count * Record.byteCount), Record.bytes(count))
                count += 1
                if self.verbose || count % perSecond == 0 { JSONLine("wrote").with("count", count).print() }
            }
            try self.check(file, count, configuration)
        } catch {
            JSONLine("error").with("what", "\(error)").with("written", count).print()
            finish(1)
        }
        JSONLine("ended").with("written", count + 1).with("reclaims", file.reclaims)
            .with("longestStallMilliseconds", file.longestStallMilliseconds).print()
        finish(0)
    }

    private static func report(_ event: ResilientFile.Event) {
        switch event {
        case .lost(let why): JSONLine("lost").with("why", why).print()
        case .reclaimed(let milliseconds, let attempts):
            JSONLine("reclaimed").with("milliseconds", milliseconds).with("attempts", attempts).print()
        }
    }

    /// Still refused to others, one record more, and every record where it belongs.
    private func check(
        _ file: ResilientFile, _ count: Int, _ configuration: ClientConfiguration
    ) throws(ClientError) {
        let outcome = try Grab.attempt(configuration, self.target)
        guard outcome.isRefused else { throw .violation("another client could take it: \(outcome)") }
        try file.write(at: UInt64(count * Record.byteCount), Record.bytes(count))
        try file.flush()
        let total = (count + 1) * Record.byteCount
        var offset = 0
        while offset < total {
            let wanted = min(total - offset, 65_536 / Record.byteCount * Record.byteCount)
            let piece = try file.read(at: UInt64(offset), count: wanted)
            guard piece.count == wanted else { throw .violation("the file ends at \(offset + piece.count)") }
            for index in 0..<(wanted / Record.byteCount) {
                let number = offset / Record.byteCount + index
                let range = (index * Record.byteCount)..<((index + 1) * Record.byteCount)
                guard Array(piece[range]) == Record.bytes(number) else {
                    throw .violation("record \(number) is not what was written")
                }
            }
            offset += wanted
        }
        guard try file.read(at: UInt64(total), count: Record.byteCount).isEmpty else {
            throw .violation("there is more in the file than was written")
        }
        try file.close()
    }

    /// A closed pipe ends the work; /dev/null and a closed descriptor mean that only a signal does.
    private static func inputCanEnd() -> Bool {
        var status = stat()
        guard fstat(0, &status) == 0 else { return false }
        return status.st_mode & S_IFMT != S_IFCHR || isatty(0) == 1
    }

    private static func inputEnded() -> Bool {
        var entry = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, 0) > 0 else { return false }
        var bytes = [UInt8](repeating: 0, count: 256)
        return read(0, &bytes, bytes.count) <= 0
    }
}

/// A line of text that says which it is.
enum Record {
    static let byteCount = 32

    static func bytes(_ number: Int) -> [UInt8] {
        let digits = String(number)
        let mixed = String(UInt64(truncatingIfNeeded: number) &* 0x9E37_79B9_7F4A_7C15, radix: 16)
        let left = String(repeating: "0", count: 12 - min(12, digits.count)) + digits
        let right = String(repeating: "0", count: 16 - mixed.count) + mixed
        return Array("\(left) \(right)".utf8) + [0x20, 0x2E, 0x0A]
    }
}
