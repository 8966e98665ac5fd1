import SMB2Wire

/// A name with its SID.
struct Account: Equatable, Sendable {
    var sid: SID
    var name: String
    /// The domain that the name lies in, and that domain's SID.
    var domain: String
    var domainSID: SID
    var use: SIDNameUse
}

/// Names that are the same everywhere, [MS-DTYP] 2.4.2.4, as an English Windows spells them.
enum WellKnownAccounts {
    static let builtin = SID(5, [32])
    static let builtinName = "BUILTIN"

    /// Domains that have no account of their own name.
    static let domains: [Account] = [
        domain(SID(5, []), "NT AUTHORITY"), domain(builtin, builtinName), domain(SID(16, []), "Mandatory Label"),
        domain(SID(22, [1]), "Unix User"), domain(SID(22, [2]), "Unix Group"),
    ]

    static let all: [Account] =
        universal.map { Account(sid: $0, name: $1, domain: "", domainSID: SID($0.authority, []), use: .wellKnownGroup) }
        + authority.map {
            Account(
                sid: SID(5, $0), name: $1, domain: "NT AUTHORITY", domainSID: SID(5, []), use: .wellKnownGroup)
        }
        + builtinAliases.map {
            Account(sid: SID(5, [32, $0]), name: $1, domain: builtinName, domainSID: builtin, use: .alias)
        }
        + labels.map {
            Account(sid: SID(16, [$0]), name: $1, domain: "Mandatory Label", domainSID: SID(16, []), use: .label)
        }

    static let bySID = Dictionary(uniqueKeysWithValues: all.map { ($0.sid, $0) })
    static let byName = Dictionary(all.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })

    private static let universal: [(SID, String)] = [
        (.null, "NULL SID"), (.everyone, "Everyone"), (SID(2, [0]), "LOCAL"), (SID(2, [1]), "CONSOLE LOGON"),
        (.creatorOwner, "CREATOR OWNER"), (.creatorGroup, "CREATOR GROUP"),
        (SID(3, [2]), "CREATOR OWNER SERVER"), (SID(3, [3]), "CREATOR GROUP SERVER"), (.ownerRights, "OWNER RIGHTS"),
    ]

    private static let authority: [([UInt32], String)] = [
        ([1], "DIALUP"), ([2], "NETWORK"), ([3], "BATCH"), ([4], "INTERACTIVE"), ([6], "SERVICE"),
        ([7], "ANONYMOUS LOGON"), ([8], "PROXY"), ([9], "ENTERPRISE DOMAIN CONTROLLERS"), ([10], "SELF"),
        ([11], "Authenticated Users"), ([12], "RESTRICTED"), ([13], "TERMINAL SERVER USER"),
        ([14], "REMOTE INTERACTIVE LOGON"), ([15], "This Organization"), ([17], "IUSR"), ([18], "SYSTEM"),
        ([19], "LOCAL SERVICE"), ([20], "NETWORK SERVICE"), ([64, 10], "NTLM Authentication"),
        ([64, 14], "SChannel Authentication"), ([64, 21], "Digest Authentication"), ([113], "Local account"),
        ([114], "Local account and member of Administrators group"),
    ]

    static let builtinAliases: [(relativeID: UInt32, name: String)] = [
        (544, "Administrators"), (545, "Users"), (546, "Guests"), (547, "Power Users"), (551, "Backup Operators"),
        (552, "Replicator"), (555, "Remote Desktop Users"), (556, "Network Configuration Operators"),
        (558, "Performance Monitor Users"), (559, "Performance Log Users"), (562, "Distributed COM Users"),
        (573, "Event Log Readers"),
    ]

    private static let labels: [(UInt32, String)] = [
        (0, "Untrusted Mandatory Level"), (4096, "Low Mandatory Level"), (8192, "Medium Mandatory Level"),
        (12288, "High Mandatory Level"), (16384, "System Mandatory Level"),
    ]

    private static func domain(_ sid: SID, _ name: String) -> Account {
        Account(sid: sid, name: "", domain: name, domainSID: sid, use: .domain)
    }
}
