import Glibc
import SMBServer
import StateRecords

/// What the command line asks for.
enum Arguments {
    case standalone(StandaloneServer.Configuration)
    /// Beneath a `clusterd`: the socket to it, the one over which it answers the journal, and the listening sockets that it holds.
    case cluster(socket: Int32, answers: Int32?, listeners: [Int32])
    case snapshot(SnapshotCommand, folder: String)
    case help

    static var usage: String {
        """
        Usage: smbserverd --share NAME=FOLDER[,ca][,ro][,encrypt][,compress] --user NAME [OPTION...]
               smbserverd --cluster-fd N [--answers-fd A] --listen-fd M
               smbserverd snapshot create|list|delete FOLDER [TOKEN]

          --share NAME=FOLDER   serve FOLDER as \\\\server\\NAME; may be given several times
                                ,ca       continuously available: handles survive a restart of the server
                                ,ro       read only
                                ,encrypt  only for clients that encrypt
                                ,compress clients are told to compress what they read and write here
                                ,abe      folders show only what the user may read
                                ,allow=WHO:read|change|full   once given, nobody else may connect
                                ,deny=WHO                     not at all, whatever allows it;
                                          WHO is a user, Everyone, Users or Administrators
                                ,hide=PATTERN/PATTERN  files of these names are shown as hidden
                                ,shortnames  files can be opened by names of the 8.3 form, too
                                ,nostreams   files have no named streams
                                ,nonotify    clients cannot watch folders
                                ,keepinherited  security descriptors keep AUTO_INHERITED without being asked to
                                ,noposix  without the POSIX extensions, also for clients that ask for them
                                ,timemachine  Macs may keep their backups here
          --user NAME           let NAME in; may be given several times
          --administrator NAME  the same, as an administrator: takes ownership, backs up, restores, audits
          --password-file FILE  the passwords, one a line, in the order of the users
                                (or SMB_PASSWORD in the environment for one user; otherwise they are asked for)
          --port N              listen on TCP port N (default 445)
          --address A           listen on this address only (default: all)
          --state-dir DIR       where the journal and the server's GUID are kept
                                (default /var/lib/smbserverd, for others than root ~/.local/state/smbserverd)
          --journal FILE        keep the journal in FILE instead of DIR/journal.db
          --name NAME           the server's name (default: the host's)
          --signing required|optional  whether clients must sign (default: required)
          --security NAME=VALUE how clients prove who they are, and what protects their data; may be given several
                                times. Names and defaults:
        \(Self.security)
          --compression on|off  whether clients may compress at all (default: on)
          --threads N           event loops (default: one a core)
          --snapshots NAME=SECONDS:KEEP  a snapshot of share NAME in each period of so many seconds, KEEP of which stay
          --limit NAME=VALUE    how much there may be of something; may be given several times. Names and defaults:
        \(Self.limits)

        smbserverd snapshot makes, lists and deletes snapshots of a shared folder (XFS with reflink), which clients see as
        its previous versions. They lie in .holdfast in the root of the file system.

        """
    }

    private static var limits: String {
        let limits = ServerLimit.allCases.map { "\($0.rawValue)=\($0.standard)" }
        return stride(from: 0, to: limits.count, by: 4).map {
            String(repeating: " ", count: 24) + limits[$0..<min($0 + 4, limits.count)].joined(separator: " ")
        }.joined(separator: "\n")
    }

    private static var security: String {
        let settings = SecuritySettings()
        return SecuritySetting.allCases.map {
            String(repeating: " ", count: 24) + "\($0.rawValue)=\(settings[$0])"
        }.joined(separator: "\n")
    }

    init(_ words: [String]) throws(ServerError) {
        if words.first == "snapshot" {
            self = try Self.snapshot(Array(words.dropFirst()))
            return
        }
        var configuration = StandaloneServer.Configuration(
            stateDirectory: Self.defaultStateDirectory, serverName: Self.hostName)
        var users: [String] = []
        var administrators: Set<String> = []
        var passwordFile: String?
        var socket: Int32?
        var answers: Int32?
        var listeners: [Int32] = []
        var at = 0
        func value(_ option: String) throws(ServerError) -> String {
            at += 1
            guard at < words.count else { throw ServerError("\(option) needs a value") }
            return words[at]
        }
        func number<N: FixedWidthInteger>(_ option: String, _: N.Type = N.self) throws(ServerError) -> N {
            let text = try value(option)
            guard let number = N(text) else { throw ServerError("\(option): \(text) is no number that fits") }
            return number
        }
        while at < words.count {
            let option = words[at]
            switch option {
            case "--help", "-h":
                self = .help
                return
            case "--share": configuration.shares.append(try Self.share(try value(option)))
            case "--user": users.append(try value(option))
            case "--administrator":
                users.append(try value(option))
                administrators.insert(users[users.count - 1])
            case "--password-file": passwordFile = try value(option)
            case "--port": configuration.port = try number(option)
            case "--address": configuration.address = try value(option)
            case "--state-dir": configuration.stateDirectory = try value(option)
            case "--journal": configuration.journal = try value(option)
            case "--name": configuration.serverName = try value(option)
            case "--threads": configuration.loopCount = try number(option)
            case "--signing":
                switch try value(option) {
                case "required": configuration.requiresSigning = true
                case "optional": configuration.requiresSigning = false
                default: throw ServerError("--signing is required or optional")
                }
            case "--snapshots": configuration.snapshotSchedules.append(try Self.schedule(try value(option)))
            case "--compression":
                switch try value(option) {
                case "on": configuration.offersCompression = true
                case "off": configuration.offersCompression = false
                default: throw ServerError("--compression is on or off")
                }
            case "--limit":
                let assignment = try value(option)
                do throws(LimitError) { try configuration.limits.set(assignment) } catch {
                    throw ServerError("--limit \(error)")
                }
            case "--security":
                let assignment = try value(option)
                do throws(SecuritySettingError) { try configuration.security.set(assignment) } catch {
                    throw ServerError("--security \(error)")
                }
            case "--cluster-fd": socket = try number(option)
            case "--answers-fd": answers = try number(option)
            case "--listen-fd": listeners.append(try number(option))
            default: throw ServerError("\(option): no such option; --help lists them")
            }
            at += 1
        }
        if let socket {
            guard !listeners.isEmpty else { throw ServerError("--cluster-fd goes with --listen-fd") }
            self = .cluster(socket: socket, answers: answers, listeners: listeners)
            return
        }
        guard listeners.isEmpty, answers == nil else {
            throw ServerError("--listen-fd and --answers-fd go with --cluster-fd")
        }
        guard !configuration.shares.isEmpty else {
            throw ServerError("no share: say what to serve with --share NAME=FOLDER")
        }
        for schedule in configuration.snapshotSchedules
        where !configuration.shares.contains(where: { $0.name.lowercased() == schedule.share.lowercased() }) {
            throw ServerError("--snapshots \(schedule.share): there is no share of that name")
        }
        guard !users.isEmpty else { throw ServerError("no user: say who may come in with --user NAME") }
        configuration.administrators = administrators
        configuration.users = try Passwords.of(users, file: passwordFile)
        self = .standalone(configuration)
    }

    private static func snapshot(_ words: [String]) throws(ServerError) -> Arguments {
        switch (words.first, words.count) {
        case ("create", 2): return .snapshot(.create, folder: words[1])
        case ("list", 2): return .snapshot(.list, folder: words[1])
        case ("delete", 3): return .snapshot(.delete(token: words[2]), folder: words[1])
        default: throw ServerError("smbserverd snapshot create FOLDER, list FOLDER or delete FOLDER TOKEN")
        }
    }

    private static func schedule(_ text: String) throws(ServerError) -> SnapshotSchedule {
        let parts = text.split(separator: "=", maxSplits: 1)
        let numbers = parts.last?.split(separator: ":").compactMap { UInt32($0) } ?? []
        guard parts.count == 2, numbers.count == 2 else {
            throw ServerError("--snapshots \(text): NAME=SECONDS:KEEP is wanted")
        }
        let schedule = SnapshotSchedule(share: String(parts[0]), everySeconds: numbers[0], keep: numbers[1])
        if let problem = schedule.problem { throw ServerError("--snapshots \(text): \(problem)") }
        return schedule
    }

    private static func share(_ text: String) throws(ServerError) -> ShareRecord {
        guard let equals = text.firstIndex(of: "=") else { throw ServerError("--share \(text): NAME=FOLDER is wanted") }
        let name = String(text[..<equals])
        let parts = text[text.index(after: equals)...].split(separator: ",", omittingEmptySubsequences: false)
        let forbidden: Set<Character> = ["\\", "/", ":", "*", "?", "\"", "<", ">", "|", "[", "]", "+", ";", ","]
        guard !name.isEmpty, name.utf16.count <= 80, !name.contains(where: { forbidden.contains($0) }),
            name.lowercased() != "ipc$"
        else { throw ServerError("--share \(text): \(name) is no name for a share") }
        guard let folder = parts.first, !folder.isEmpty else { throw ServerError("--share \(text): which folder?") }
        var record = ShareRecord(name: name, path: String(folder))
        for flag in parts.dropFirst() {
            switch flag {
            case "ca": record.isContinuouslyAvailable = true
            case "ro": record.isReadOnly = true
            case "encrypt": record.requiresEncryption = true
            case "compress": record.compressesData = true
            case "noposix": record.offersPOSIX = false
            case "timemachine": record.isTimeMachine = true
            case "abe": record.isAccessBased = true
            case "shortnames": record.traits.insert(.shortNames)
            case "nostreams": record.traits.insert(.withoutStreams)
            case "keepinherited": record.traits.insert(.keepsInheritedFlag)
            case "nonotify": record.traits.insert(.withoutNotify)
            case _ where flag.hasPrefix("hide="):
                record.hiddenFiles = flag.dropFirst(5).split(separator: "/").map(String.init)
            case _ where flag.hasPrefix("allow="): record.permit(try Self.permission(flag.dropFirst(6), text))
            case _ where flag.hasPrefix("deny="):
                record.permit(SharePermission(name: String(flag.dropFirst(5)), level: .none))
            default:
                throw ServerError(
                    "--share \(text): \(flag) is none of ca, ro, encrypt, compress, noposix, timemachine, abe, "
                        + "shortnames, nostreams, nonotify, keepinherited, hide=, allow=, deny="
                )
            }
        }
        return record
    }

    private static func permission(_ words: Substring, _ text: String) throws(ServerError) -> SharePermission {
        let parts = words.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let levels: [Substring: SharePermission.Level] = ["read": .read, "change": .change, "full": .full]
        guard parts.count == 2, !parts[0].isEmpty, let level = levels[parts[1]] else {
            throw ServerError("--share \(text): allow=WHO:read|change|full is wanted")
        }
        return SharePermission(name: String(parts[0]), level: level)
    }

    private static var defaultStateDirectory: String {
        if geteuid() == 0 { return "/var/lib/smbserverd" }
        if let state = getenv("XDG_STATE_HOME") { return "\(String(cString: state))/smbserverd" }
        let home = getenv("HOME").map { String(cString: $0) } ?? "."
        return "\(home)/.local/state/smbserverd"
    }

    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "HOLDFAST" }
        return name.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "HOLDFAST" }
    }
}
