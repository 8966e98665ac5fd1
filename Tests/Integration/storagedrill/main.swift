import ClusterPlatform
import Fencing
import Glibc

// What clusterd does with ClusterPlatform, by hand: for the scripts of Tests/Integration. Prints one line per event.

func say(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = write(1, line, line.count)
}

func fail(_ text: String, _ status: Int32 = 1) -> Never {
    say("error \(text)")
    exit(status)
}

func milliseconds(_ steps: [StepTime]) -> String {
    steps.map { "\($0.name)=\(Int64($0.milliseconds.rounded()))" }.joined(separator: " ")
}

func kindText(_ kind: PlatformError.Kind) -> String {
    switch kind {
    case .superseded: "superseded"
    case .scsi: "scsi"
    case .system: "system"
    default: "\(kind)"
    }
}

let arguments = CommandLine.arguments

func argument(_ index: Int) -> String {
    guard index < arguments.count else { fail("an argument is missing", 64) }
    return arguments[index]
}

func number<Value: FixedWidthInteger>(_ index: Int, _ type: Value.Type = Value.self) -> Value {
    guard let value = Value(argument(index)) else { fail("\(argument(index)) is not a number", 64) }
    return value
}

/// Of an option that may be missing.
func seconds(_ option: String) -> Duration? {
    guard let index = arguments.firstIndex(of: option) else { return nil }
    return .seconds(number(index + 1, Int64.self))
}

func initiator(_ node: UInt16, _ role: ISID.Role) -> Initiator {
    Initiator(name: "iqn.2026-11.test.holdfast:node\(node)", isid: ISID(node: node, role: role))
}

func describe(_ state: FenceState) -> String {
    let keys = state.keys.map { String($0, radix: 16) }.sorted().joined(separator: ",")
    let holder = state.reservation.map { "\(String($0.key, radix: 16)) type=\($0.type)" } ?? "none"
    return "state holder=\(holder) keys=\(keys)"
}

/// Attaches and stays: one command a line on standard input (detach, teardown, retake, measure), one event a line on standard output.
@MainActor func hold() throws(PlatformError) {
    let node: UInt16 = number(3)
    let key = FenceKey(node: node, term: number(4))
    guard let filesystem = FilesystemID(argument(5)) else { fail("no UUID", 64) }
    let folder = argument(6)
    let address = try LUNAddress(argument(2))
    try enterPrivateMountNamespace()
    let started = ContinuousClock.now
    let session = try ISCSISession(address, as: initiator(node, .fence), timeout: .seconds(3))
    let fence = try Fence.take(key, on: session)
    session.logout()
    var plan = Attachment.Plan(
        address: address, initiator: initiator(node, .fence), key: key, bridgeExecutable: argument(7),
        stateFolder: folder, mountPoint: "\(folder)/mount", filesystem: filesystem,
        formatsIfEmpty: arguments.contains("--format"), timeout: .seconds(5))
    if let limit = seconds("--command-age") { plan.commandAgeLimit = limit }
    let attachment = try Attachment(plan)
    let total = StepTime("total", ContinuousClock.now - started)
    say("attached pid=\(attachment.bridgePid) \(milliseconds(fence + attachment.steps + [total]))")
    while true {
        var entries = [
            pollfd(fd: 0, events: Int16(POLLIN), revents: 0),
            pollfd(fd: attachment.eventDescriptor, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&entries, 2, attachment.hasKeptEvents ? 0 : -1) >= 0 else { continue }
        while let event = attachment.nextEvent() {
            switch event {
            case .fenced(let holder):
                say("fenced \(keyText(holder))")
                finish(attachment.teardownFenced(), 77)
            case .exited(let status):
                say("exited \(status)")
                try attachment.restartBridge()
                say("restarted pid=\(attachment.bridgePid)")
            case .asksToRetake(let unflushed): say("asks unflushed=\(unflushed)")
            case .ready: say("ready")
            case .measured(let byteCount): say("measured \(try attachment.follow(byteCount))")
            case .unreachable(let reason): say("unreachable \(reason)")
            case .path(let portal): say("path \(portal)")
            case .reconnected(let duration): say("reconnected \(duration.wholeMilliseconds)")
            case .failing: say("failing")
            case .seen, .alive: break
            case .refused(let reason): say("refused \(reason)")
            }
        }
        guard entries[0].revents != 0 else { continue }
        switch readLine() {
        case "detach":
            say("detached \(milliseconds(try attachment.detach()))")
            if arguments.contains("--release") {
                try Fence.release(key, on: try ISCSISession(address, as: initiator(node, .fence), timeout: .seconds(3)))
            }
            exit(0)
        case "teardown": finish(attachment.teardownFenced(), 0)
        case "retake": attachment.allowRetake()
        case "measure": attachment.measure()
        case nil: exit(0)
        default: say("error unknown command")
        }
    }
}

func finish(_ teardown: Attachment.Teardown, _ status: Int32) -> Never {
    let total = teardown.steps.reduce(Duration.zero) { $0 + $1.duration }
    say("torn-down \(milliseconds(teardown.steps + [StepTime("total", total)]))")
    for leftover in teardown.leftovers { say("leftover \(leftover)") }
    exit(teardown.leftovers.isEmpty ? status : 1)
}

@MainActor func run() throws(PlatformError) {
    switch argument(1) {
    case "hold": try hold()
    case "inspect":
        let session = try ISCSISession(
            try LUNAddress(argument(2)), as: initiator(number(3), .inspection), timeout: .seconds(3))
        say(describe(try Fence.inspect(session)))
        say("content \(try LUNContent.probe(session))")
        session.logout()
    case "take":
        let node: UInt16 = number(3)
        let session = try ISCSISession(try LUNAddress(argument(2)), as: initiator(node, .fence), timeout: .seconds(3))
        let steps = try Fence.take(
            FenceKey(node: node, term: number(4)), on: session, force: arguments.contains("--force")
        ) { victim in
            guard let address = try? LUNAddress(argument(2)) else { return }
            if arguments.contains("--evict") { Fence.evict(initiator(victim, .fence), from: address) }
        }
        say("taken \(milliseconds(steps))")
        say(describe(try Fence.inspect(session)))
        session.logout()
    case "clear":
        let node: UInt16 = number(3)
        let key = FenceKey(node: node, term: number(4))
        let session = try ISCSISession(try LUNAddress(argument(2)), as: initiator(node, .fence), timeout: .seconds(3))
        try Fence.release(key, on: session)
        say(describe(try Fence.inspect(session)))
        session.logout()
    case "foreign":
        // Another system's reservation: a key without our magic.
        let session = try ISCSISession(try LUNAddress(argument(2)), as: initiator(99, .fence), timeout: .seconds(3))
        try session.registerAndIgnoreExistingKey(0xABCDEF)
        try session.reserve(0xABCDEF)
        say(describe(try Fence.inspect(session)))
        session.logout()
    case "write":
        // One block, as a node that may be fenced: the pattern is the byte given.
        let session = try ISCSISession(
            try LUNAddress(argument(2)), as: initiator(number(3), .fence), timeout: .seconds(3))
        let description = try session.describe()
        let block: UInt64 = number(4)
        let byte: UInt8 = number(5)
        try session.write(
            block: block, blockSize: description.blockSize,
            [UInt8](repeating: byte, count: Int(description.blockSize)))
        say("written")
        session.logout()
    case "announce":
        let address = try VirtualAddress(argument(2), interface: argument(3))
        try address.add()
        say("added \(try address.isPresent())")
        let clients = try arguments.dropFirst(4).map { (text) throws(PlatformError) in try ClientEndpoint(text) }
        for _ in 0..<VirtualAddress.announceRounds {
            try address.announce()
            try address.tickle(clients, port: 445)
            usleep(UInt32(VirtualAddress.announceInterval.wholeMilliseconds * 1000))
        }
        say("announced")
    case "keep":
        // For so many seconds at a time, so many times, twice a second; then the kernel has it to take away.
        let address = try VirtualAddress(argument(2), interface: argument(3))
        let lifetime: UInt32 = number(4)
        let renewals: UInt32 = number(5)
        try address.add(lifetime: lifetime)
        for _ in 0..<renewals {
            usleep(500_000)
            guard try address.isPresent() else { fail("the kernel took it away before its time") }
            try address.renew(lifetime: lifetime)
        }
        say("kept \(try address.isPresent())")
    case "drop":
        let address = try VirtualAddress(argument(2), interface: argument(3))
        try address.drop()
        say("dropped \(try address.isPresent())")
    case "listen":
        // Listens before the address is up, greets one connection, leaves what else comes unanswered, until told to drop the address.
        let address = try VirtualAddress(argument(2), interface: argument(3))
        let listener = try ListeningSocket.open(address: address.address, port: 445, backlog: 16)
        say("listening")
        _ = waitForEvent(listener.raw, POLLIN, until: .now + .seconds(30))
        let client = accept(listener.raw, nil, nil)
        guard client >= 0, send(client, "!", 1, 0) == 1 else { fail("accept") }
        say("accepted")
        _ = readLine()
        say("unanswered \(try address.resetUnanswered().count)")
        try address.drop()
        close(client)
        say("dropped \(try address.isPresent())")
    case "watch":
        let watch = try LinkWatch(interface: argument(2))
        say("link \(try watch.isUp() ? "up" : "down")")
        while true {
            _ = waitForEvent(watch.descriptor, POLLIN, until: .now + .seconds(3600))
            watch.drainEvents()
            say("link \(try watch.isUp() ? "up" : "down")")
        }
    default: fail("unknown subcommand \(argument(1))", 64)
    }
}

do throws(PlatformError) {
    try run()
} catch {
    fail("\(kindText(error.kind)): \(error.message)")
}
