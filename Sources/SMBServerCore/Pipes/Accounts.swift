import SMB2Wire
import StateRecords

/// Names to SIDs and back: the server's users, the well-known ones, and Samba's names for Unix ids. Made anew with each
/// configuration.
struct Accounts: Sendable {
    /// DOMAIN_USER_RID_ADMIN and DOMAIN_GROUP_RID_USERS, [MS-SAMR] 2.2.1.14. A server outside of any domain calls the
    /// group that all its users have as their primary one "None".
    static let administratorRelativeID: UInt32 = 500
    static let primaryGroupRelativeID: UInt32 = 513
    static let primaryGroupName = "None"

    let name: String
    let sid: SID
    /// By name, as every enumeration gives them.
    let users: [UserRecord]
    private let byRelativeID: [UInt32: Int]
    private let byName: [String: Int]

    init(_ configuration: ServerConfiguration) {
        let domain = configuration.domain
        self.name = configuration.serverName
        self.sid = SID(5, [21, domain.0, domain.1, domain.2])
        let users = configuration.users.sorted { $0.name.lowercased() < $1.name.lowercased() }
        self.users = users
        self.byRelativeID = Dictionary(
            users.indices.map { (users[$0].relativeID, $0) }, uniquingKeysWith: { first, _ in first })
        self.byName = Dictionary(
            users.indices.map { (users[$0].name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Who may see what others do here: the built-in administrator, [MS-SAMR] 2.2.1.14, and whom the configuration calls one.
    func isAdministrator(_ user: User) -> Bool {
        if user.token.groups.contains(.administrators) { return true }
        return SID(user.sid) == SID(5, self.sid.subAuthorities + [Self.administratorRelativeID])
    }

    func user(relativeID: UInt32) -> UserRecord? { self.byRelativeID[relativeID].map { self.users[$0] } }
    func user(named name: String) -> UserRecord? { self.byName[name.lowercased()].map { self.users[$0] } }

    private func account(_ relativeID: UInt32, _ name: String, _ use: SIDNameUse) -> Account {
        Account(
            sid: SID(5, self.sid.subAuthorities + [relativeID]), name: name, domain: self.name, domainSID: self.sid,
            use: use)
    }

    private var ownDomain: Account {
        Account(sid: self.sid, name: "", domain: self.name, domainSID: self.sid, use: .domain)
    }

    func find(_ sid: SID) -> Account? {
        if let account = WellKnownAccounts.bySID[sid] { return account }
        if sid == self.sid { return self.ownDomain }
        if let domain = WellKnownAccounts.domains.first(where: { $0.sid == sid }) { return domain }
        let parts = sid.subAuthorities
        if sid.authority == 5, parts.count == 5, Array(parts.dropLast()) == self.sid.subAuthorities {
            return self.find(relativeID: parts[4])
        }
        if sid.authority == 22, parts.count == 2, parts[0] == 1 || parts[0] == 2 {
            return self.unix(parts[1], isGroup: parts[0] == 2)
        }
        return nil
    }

    func find(relativeID: UInt32) -> Account? {
        if relativeID == Self.primaryGroupRelativeID { return self.account(relativeID, Self.primaryGroupName, .group) }
        return self.user(relativeID: relativeID).map { self.account(relativeID, $0.name, .user) }
    }

    private func unix(_ id: UInt32, isGroup: Bool) -> Account {
        let sid = isGroup ? SID.unixGroup(id) : SID.unixUser(id)
        return Account(
            sid: sid, name: String(id), domain: isGroup ? "Unix Group" : "Unix User",
            domainSID: SID(22, [isGroup ? 2 : 1]), use: isGroup ? .group : .user)
    }

    /// `name`, `DOMAIN\name` or `name@DOMAIN`, without regard to case; a domain's name stands for the domain.
    /// [MS-LSAT] 3.1.4.5.
    func find(_ text: String) -> Account? {
        if let slash = text.firstIndex(of: "\\") {
            return self.find(String(text[text.index(after: slash)...]), in: String(text[..<slash]).lowercased())
        }
        let name = text.lowercased()
        if let account = WellKnownAccounts.byName[name] { return account }
        if name == self.name.lowercased() { return self.ownDomain }
        if let domain = WellKnownAccounts.domains.first(where: { $0.domain.lowercased() == name }) { return domain }
        if let account = self.findOwn(name) { return account }
        guard let at = text.lastIndex(of: "@") else { return nil }
        return self.find(String(text[..<at]), in: String(text[text.index(after: at)...]).lowercased())
    }

    private func find(_ name: String, in domain: String) -> Account? {
        if domain == self.name.lowercased() { return name.isEmpty ? self.ownDomain : self.findOwn(name.lowercased()) }
        if name.isEmpty { return WellKnownAccounts.domains.first { $0.domain.lowercased() == domain } }
        if let account = WellKnownAccounts.byName[name.lowercased()], account.domain.lowercased() == domain {
            return account
        }
        switch domain {
        case "unix user": return UInt32(name).map { self.unix($0, isGroup: false) }
        case "unix group": return UInt32(name).map { self.unix($0, isGroup: true) }
        default: return nil
        }
    }

    private func findOwn(_ name: String) -> Account? {
        if name == Self.primaryGroupName.lowercased() { return self.find(relativeID: Self.primaryGroupRelativeID) }
        return self.user(named: name).map { self.account($0.relativeID, $0.name, .user) }
    }
}
