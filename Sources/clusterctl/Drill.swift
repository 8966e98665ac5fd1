import ArgumentParser
import ClusterCore
import Foundation
import SMB2Wire
import SMBAuth
import SMBClient
import StateRecords
import Synchronization

struct Drill: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes the share from the node that serves it, under a copy that accounts for every byte.",
        discussion: """
            Connects to the virtual IP as a user, opens files with persistent handles, one of them locked, and copies into one \
            while the takeover happens: a planned move, the death of the active clusterd, or a network that is gone for it. \
            Every other client sees the same pause. Refused where the cluster is not whole. The report becomes an event.
            Exit status: 0 nothing was lost; 1 something was, or it was refused; 3 the cluster is not whole.
            """)

    @OptionGroup var connection: Connection

    @Option(help: "move, kill or partition.")
    var kind = "move"

    @Option(help: "A continuously available share; the first one by default.")
    var share: String?

    @Option(help: "The user to connect as, who may write there.")
    var user: String?

    @Flag(help: "Read the password from standard input.")
    var passwordStdin = false

    @Flag(help: "Show the drills of the past instead.")
    var history = false

    func validate() throws {
        guard DrillKind(name: self.kind) != nil else {
            throw ValidationError("--kind \(self.kind) must be move, kill or partition")
        }
        guard self.history || self.user != nil else { throw ValidationError("give the user with --user") }
    }

    func run() throws {
        if self.history { return try self.showHistory() }
        guard let kind = DrillKind(name: self.kind), let user = self.user else { return }
        let status = try AdminClient.status(self.connection)
        if let problem = status.drillProblem {
            throw Failed(AdminFailure(.unavailable, "no drill, because the cluster is not whole: \(problem)"))
        }
        let continuous = status.shares.filter(\.continuouslyAvailable)
        guard
            let share = continuous.first(where: {
                self.share == nil || $0.name.lowercased() == self.share?.lowercased()
            })
        else {
            throw Failed(
                AdminFailure(.refused, "there is no continuously available share \(self.share ?? ""): no drill"))
        }
        guard let active = status.active,
            let host = status.virtualIPs.first.map({ String($0.prefix { $0 != "/" }) })
        else { return }
        let password = try PasswordPrompt.read(fromStandardInput: self.passwordStdin, confirms: false)
        do {
            let configuration = try ClientConfiguration(
                host: host, credentials: .init(user: user, domain: "", password: password))
            let canary = try Canary(configuration, share: share.name)
            defer { canary.clean(configuration, share: share.name) }
            try self.perform(kind, canary, from: active)
        } catch let error as ClientError {
            throw Failed(AdminFailure(.refused, "the drill's client failed: \(error)"))
        }
    }

    private func perform(_ kind: DrillKind, _ canary: Canary, from active: String) throws {
        print("copying to \(active); then: \(kind.name)")
        try canary.copy(seconds: 1)
        let place = try self.connection.place()
        let reply = Mutex<Result<AdminReply, Unreachable>?>(nil)
        let ordered = Thread {
            let result = Result { try AdminClient.ask(.drill(kind), at: place) }
                .mapError { $0 as? Unreachable ?? Unreachable(message: "\($0)") }
            reply.withLock { $0 = result }
        }
        ordered.start()
        // Until the share is served by another node and the copy goes on there.
        let deadline = Date() + Self.longestSeconds
        var problem: String?
        var new: ClusterStatus?
        while new == nil {
            try canary.copy(seconds: 0.2)
            if case .success(.failed(let failure)) = reply.withLock({ $0 }) { throw Failed(failure) }
            if canary.reclaims > 0, let status = try? AdminClient.status(at: place), let now = status.active,
                now != active
            {
                new = status
            }
            if Date() > deadline {
                problem = "no other node serves after \(Int(Self.longestSeconds)) s"
                break
            }
        }
        try canary.copy(seconds: 1)
        let outcome = problem ?? canary.check()
        var lines = [
            outcome.map { "LOST: \($0)" } ?? "nothing was lost",
            "from \(active) to \(new?.active ?? "nobody"), stall \(canary.stallMilliseconds) ms, "
                + "\(canary.reclaimedHandles) of \(Canary.handles) handles reclaimed, \(canary.byteCount >> 10) KiB copied, "
                + "checksum \(String(canary.sum, radix: 16))",
        ]
        let detail = lines.joined(separator: "; ")
        if let last = new?.lastTakeover {
            lines.append("takeover on \(last.node): \(Render.milliseconds(last.milliseconds)) ms")
            for step in last.steps { lines.append("  \(step.name) \(Render.milliseconds(step.milliseconds)) ms") }
        }
        print(lines.joined(separator: "\n"))
        let report = DrillReport(kind: kind, detail: detail, stallMilliseconds: UInt64(canary.stallMilliseconds))
        let until = Date() + Self.recordSeconds
        while true {
            let reply = try? AdminClient.ask(.drilled(report), at: place)
            if case .done = reply { break }
            guard Date() < until else {
                printError("the report could not be recorded: no leader answers")
                break
            }
            sleep(1)
        }
        if outcome != nil { throw ExitCode(1) }
    }

    private static let longestSeconds = 60.0
    private static let recordSeconds = 20.0

    private func showHistory() throws {
        guard case .events(let history) = try AdminClient.ask(.events, over: self.connection) else {
            throw Failed(AdminFailure(.unavailable, "no node tells the events at the moment"))
        }
        let drills = history.events.filter { $0.kind == .drill }
        for drill in drills { print(Render.event(ClusterStatus.Event(drill, node: history.name(of: drill.node)))) }
        if drills.isEmpty { print("no drill yet") }
    }
}

/// The files of a drill, and who writes them.
private final class Canary {
    static let handles = 4
    private static let pieceBytes = 64 << 10
    /// The copy goes no further: a share must not fill up.
    private static let longestCopy = 256 << 20
    private static let lockOffset: UInt64 = 1 << 40

    private let files: [ResilientFile]
    private let names: [String]
    private var pieces = 0

    init(_ configuration: ClientConfiguration, share: String) throws {
        let mark = String(UInt32.random(in: 0 ... .max), radix: 16)
        self.names = (0..<Self.handles).map { "holdfast-drill-\(mark)-\($0)" }
        var files: [ResilientFile] = []
        for name in self.names {
            var own = configuration
            own.clientGUID = try ClientConfiguration.freshGUID()
            let file = try ResilientFile(
                own, share: share,
                OpenParameters(
                    name, access: [.genericRead, .genericWrite], share: .read, disposition: .create,
                    options: .nonDirectoryFile))
            files.append(file)
            guard file.isPersistent else {
                throw Failed(AdminFailure(.refused, "the share \(share) grants no persistent handles: no drill"))
            }
        }
        self.files = files
        try files[1].lock(LockElement(offset: Self.lockOffset, length: 1, flags: [.exclusive, .failImmediately]))
        for (number, file) in files.enumerated().dropFirst() {
            try file.write(at: 0, Self.piece(number))
        }
    }

    var byteCount: Int { self.pieces * Self.pieceBytes }
    var reclaims: Int { self.files[0].reclaims }
    /// The longest that one write of the copy took, from the call to the answer: with the silence before the loss was noticed.
    private(set) var stallMilliseconds = 0
    var reclaimedHandles: Int { self.files.count { $0.reclaims > 0 } }
    private(set) var sum: UInt32 = 0

    private static func piece(_ number: Int) -> [UInt8] {
        var state = UInt64(number) &* 0x9E37_79B9_7F4A_7C15 | 1
        return (0..<(Self.pieceBytes / 8)).flatMap { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return (0..<8).map { UInt8(truncatingIfNeeded: state >> (8 * $0)) }
        }
    }

    func copy(seconds: Double) throws(ClientError) {
        let until = Date() + seconds
        while Date() < until, self.byteCount < Self.longestCopy {
            let piece = Self.piece(self.pieces)
            let began = Instant.now
            try self.files[0].write(at: UInt64(self.byteCount), piece)
            self.stallMilliseconds = max(self.stallMilliseconds, Instant.now.milliseconds(since: began))
            self.pieces += 1
        }
        if self.byteCount >= Self.longestCopy {
            _ = try self.files[0].read(at: 0, count: 1)
            sleep(1)
        }
    }

    /// nil: everything that was acknowledged is there, and every handle came back with what it protects.
    func check() -> String? {
        do throws(ClientError) {
            for (number, file) in self.files.enumerated().dropFirst() {
                guard try file.read(at: 0, count: Self.pieceBytes) == Self.piece(number) else {
                    return "file \(number) is not what was written"
                }
                try file.write(at: UInt64(Self.pieceBytes), Self.piece(number))
            }
            guard self.reclaimedHandles == Self.handles else {
                return
                    "\(Self.handles - self.reclaimedHandles) handles did not have to be reclaimed: was there a takeover?"
            }
            var written = CRC32C()
            var read = CRC32C()
            for number in 0..<self.pieces {
                let bytes = try self.files[0].read(at: UInt64(number * Self.pieceBytes), count: Self.pieceBytes)
                read.add(bytes)
                written.add(Self.piece(number))
                guard read.value == written.value else {
                    return
                        "byte \(number * Self.pieceBytes) to \((number + 1) * Self.pieceBytes) is not what was written"
                }
            }
            self.sum = read.value
            return nil
        } catch {
            return "a handle did not come back: \(error)"
        }
    }

    func clean(_ configuration: ClientConfiguration, share: String) {
        for file in self.files { try? file.close() }
        guard let connection = try? SMBConnection.open(configuration, share: share) else { return }
        for name in self.names { try? connection.delete(name) }
        try? connection.logoff()
    }
}
