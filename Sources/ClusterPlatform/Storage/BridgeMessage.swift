import Fencing

/// What clusterd and lunbridge say to each other over an inherited SEQPACKET socket: one message a packet, a word and then
/// a text. The configuration goes this way too, because arguments and environment can be read by others.
package struct BridgeConfiguration: Equatable, Sendable {
    package var address: LUNAddress
    package var initiator: Initiator
    package var key: FenceKey
    /// How long one login or reservation command may take.
    package var commandTimeout: Duration
    /// How long the connection may be silent, with a request or a NOP outstanding, before it is given up.
    package var silenceLimit: Duration
    /// How long the target may keep one command while it answers others; then the connection is given up, too.
    package var commandAgeLimit = Self.usualCommandAgeLimit
    /// UNMAP and WRITE SAME although the target does not fence them. Tests only.
    package var allowsUnfencedUnmap = false
    /// The reservations' generation as the bridge before this one saw it last; 0: it is the first.
    package var generation: UInt32 = 0

    /// Far more than a busy target needs for a megabyte.
    package static let usualCommandAgeLimit: Duration = .seconds(30)

    package init(
        address: LUNAddress, initiator: Initiator, key: FenceKey, commandTimeout: Duration = .seconds(2),
        silenceLimit: Duration = .seconds(4)
    ) {
        self.address = address
        self.initiator = initiator
        self.key = key
        self.commandTimeout = commandTimeout
        self.silenceLimit = silenceLimit
    }
}

package enum BridgeCommand: Equatable, Sendable {
    case configure(BridgeConfiguration)
    /// The quorum confirmed that we lead: register and reserve again.
    case retake
    /// Answer EIO to everything from now on, whatever comes.
    case fail
    /// How long requests may wait for an unreachable target before everything fails; nil: for ever.
    case patience(Duration?)
    /// Answered with `.alive`.
    case ping
    /// Ask the target for the LUN's size; answered with `.measured`.
    case measure
    /// Log out and end.
    case quit
}

package enum BridgeEvent: Equatable, Sendable {
    case ready(byteCount: UInt64, blockSize: UInt32)
    case unreachable(String)
    /// Requests flow over this portal.
    case path(String)
    case reconnected(after: Duration)
    /// Another key holds the LUN; the bridge answers EIO to everything.
    case fenced(by: UInt64)
    /// The reservations' generation changed; `Attachment` keeps it for the next bridge.
    case seen(generation: UInt32)
    /// The target forgot the reservation. With `unflushed`, it restarted (and may have kept the reservation), and may have lost
    /// writes that it had acknowledged: then tear down and attach again (the log replay makes the file system whole) instead of answering `.retake`.
    case asksToRetake(unflushed: Bool)
    /// The answer to `.fail`, or the patience is over: everything is answered with EIO.
    case failing
    /// The answer to `.ping`.
    case alive
    /// The LUN's size: the answer to `.measure`, and after every login and word of the target that it changed. The file of a LUN that
    /// grew has its size from now on; that of one that shrank keeps what it had.
    case measured(byteCount: UInt64)
    /// The first login did not work.
    case refused(String)
    /// The bridge's process ended.
    case exited(ExitStatus)
}

/// Exit codes of lunbridge.
package enum BridgeExit: Int32, Sendable {
    case quit = 0
    case usage = 64
    case refused = 69
    case parentGone = 70
    case fenced = 77
    case failed = 78
}

extension BridgeCommand {
    /// A packet is never longer; the configuration is the longest.
    static let maximumSize = 4096

    package func encode() -> [UInt8] {
        switch self {
        case .retake: Array("retake".utf8)
        case .fail: Array("fail".utf8)
        case .quit: Array("quit".utf8)
        case .ping: Array("ping".utf8)
        case .measure: Array("measure".utf8)
        case .patience(let duration): Array("patience \(duration.map { $0.wholeMilliseconds } ?? 0)".utf8)
        case .configure(let configuration): Array(Self.encode(configuration).utf8)
        }
    }

    package init?(parsing packet: [UInt8]) {
        guard packet.count <= Self.maximumSize, let text = String(validating: packet, as: UTF8.self) else { return nil }
        let words = text.split(separator: " ", maxSplits: 1)
        switch words.first {
        case "retake": self = .retake
        case "fail": self = .fail
        case "quit": self = .quit
        case "ping": self = .ping
        case "measure": self = .measure
        case "patience":
            guard words.count == 2, let value = Int64(words[1]), value >= 0 else { return nil }
            self = .patience(value == 0 ? nil : .milliseconds(value))
        case "configure":
            guard words.count == 2, let configuration = Self.parse(words[1]) else { return nil }
            self = .configure(configuration)
        default: return nil
        }
    }

    /// Fields are separated by newlines, which no address holds (LUNAddress refuses control characters). What came later stands
    /// behind the nine that there always were, and only where it is not as usual: while a node's programs are replaced, clusterd and
    /// lunbridge are of different versions for a moment.
    private static func encode(_ configuration: BridgeConfiguration) -> String {
        let address = configuration.address
        var login = ""
        if let credentials = address.credentials { login = "\(credentials.user)%\(credentials.password)@" }
        let isid = configuration.initiator.isid
        var fields = [
            "configure iscsi://\(login)\(address.portal)/\(address.encodedTarget)/\(address.lun)",
            configuration.initiator.name, "\(isid.random)", "\(isid.qualifier)", "\(configuration.key.raw)",
            "\(configuration.commandTimeout.wholeMilliseconds)", "\(configuration.silenceLimit.wholeMilliseconds)",
            "\(configuration.generation)", configuration.allowsUnfencedUnmap ? "1" : "0",
        ]
        if configuration.commandAgeLimit != BridgeConfiguration.usualCommandAgeLimit {
            fields.append("\(configuration.commandAgeLimit.wholeMilliseconds)")
        }
        return fields.joined(separator: "\n")
    }

    private static func parse(_ text: Substring) -> BridgeConfiguration? {
        let fields = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard (9...10).contains(fields.count), let generation = UInt32(fields[7]),
            let address = try? LUNAddress(String(fields[0])), let random = UInt32(fields[2]),
            let qualifier = UInt16(fields[3]), let raw = UInt64(fields[4]), let key = FenceKey(raw: raw),
            let commandTimeout = Int64(fields[5]), let silenceLimit = Int64(fields[6]), commandTimeout > 0,
            silenceLimit > 0
        else { return nil }
        var configuration = BridgeConfiguration(
            address: address,
            initiator: Initiator(name: String(fields[1]), isid: ISID(random: random, qualifier: qualifier)), key: key,
            commandTimeout: .milliseconds(commandTimeout), silenceLimit: .milliseconds(silenceLimit))
        if fields.count > 9 {
            guard let limit = Int64(fields[9]), limit > 0 else { return nil }
            configuration.commandAgeLimit = .milliseconds(limit)
        }
        configuration.allowsUnfencedUnmap = fields[8] == "1"
        configuration.generation = generation
        return configuration
    }
}

extension BridgeEvent {
    package func encode() -> [UInt8] {
        let text =
            switch self {
            case .ready(let byteCount, let blockSize): "ready \(byteCount) \(blockSize)"
            case .unreachable(let reason): "unreachable \(reason)"
            case .path(let portal): "path \(portal)"
            case .reconnected(let duration): "reconnected \(duration.wholeMilliseconds)"
            case .fenced(let holder): "fenced \(holder)"
            case .seen(let generation): "seen \(generation)"
            case .asksToRetake(let unflushed): "asks \(unflushed ? 1 : 0)"
            case .failing: "failing"
            case .alive: "alive"
            case .measured(let byteCount): "measured \(byteCount)"
            case .refused(let reason): "refused \(reason)"
            case .exited: preconditionFailure("an exit is seen, not said")
            }
        return Array(text.utf8.prefix(BridgeCommand.maximumSize))
    }

    package init?(parsing packet: [UInt8]) {
        let text = String(decoding: packet, as: UTF8.self)
        let words = text.split(separator: " ", maxSplits: 1)
        let rest = words.count == 2 ? String(words[1]) : ""
        switch words.first {
        case "ready":
            let numbers = rest.split(separator: " ")
            guard numbers.count == 2, let byteCount = UInt64(numbers[0]), let blockSize = UInt32(numbers[1]) else {
                return nil
            }
            self = .ready(byteCount: byteCount, blockSize: blockSize)
        case "unreachable": self = .unreachable(rest)
        case "path": self = .path(rest)
        case "reconnected":
            guard let value = Int64(rest) else { return nil }
            self = .reconnected(after: .milliseconds(value))
        case "fenced":
            guard let value = UInt64(rest) else { return nil }
            self = .fenced(by: value)
        case "seen":
            guard let value = UInt32(rest) else { return nil }
            self = .seen(generation: value)
        case "asks": self = .asksToRetake(unflushed: rest == "1")
        case "failing": self = .failing
        case "alive": self = .alive
        case "measured":
            guard let value = UInt64(rest) else { return nil }
            self = .measured(byteCount: value)
        case "refused": self = .refused(rest)
        default: return nil
        }
    }
}

extension LUNAddress {
    /// The target's name as it stands in an address: a slash or a percent sign in it would end it.
    var encodedTarget: String {
        self.target.reduce(into: "") { text, character in
            switch character {
            case "%": text += "%25"
            case "/": text += "%2F"
            default: text.append(character)
            }
        }
    }
}

extension Duration {
    package var wholeMilliseconds: Int64 {
        self.components.seconds * 1000 + self.components.attoseconds / 1_000_000_000_000_000
    }
}
