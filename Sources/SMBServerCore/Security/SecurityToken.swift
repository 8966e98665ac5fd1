import SMB2Wire

/// Who asks, as access checks see it. [MS-DTYP] 2.5.2.
package struct SecurityToken: Equatable, Sendable {
    /// What an administrator may do that no list has to grant. [MS-LSAD] 3.1.1.2.1.
    package struct Privileges: OptionSet, Hashable, Sendable {
        package var rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// SeBackupPrivilege: reads all, in an open that says it is for a backup.
        package static let backup = Privileges(rawValue: 1)
        /// SeRestorePrivilege: writes all, in such an open, and makes anybody an owner.
        package static let restore = Privileges(rawValue: 2)
        package static let takeOwnership = Privileges(rawValue: 4)
        /// SeSecurityPrivilege: reads and writes audit lists.
        package static let security = Privileges(rawValue: 8)
        package static let administrator: Privileges = [.backup, .restore, .takeOwnership, .security]
    }

    package var user: SID
    package var groups: [SID]
    /// What new files get for their group.
    package var primaryGroup: SID
    package var privileges: Privileges

    package init(user: SID, groups: [SID], primaryGroup: SID, privileges: Privileges = []) {
        self.user = user
        self.groups = groups
        self.primaryGroup = primaryGroup
        self.privileges = privileges
    }

    /// A user of the server's own domain who came in over the network.
    package init(user: SID, domain: (UInt32, UInt32, UInt32), isAdministrator: Bool) {
        // What Windows calls "None" on a machine: the primary group of local users.
        let group = SID(5, [21, domain.0, domain.1, domain.2, 513])
        var groups: [SID] = [.everyone, .authenticatedUsers, .users, .network, group]
        if isAdministrator { groups.append(.administrators) }
        self.init(
            user: user, groups: groups, primaryGroup: group, privileges: isAdministrator ? .administrator : [])
    }

    package static let anonymous = SecurityToken(
        user: .anonymous, groups: [.everyone, .network], primaryGroup: .anonymous)

    /// Whoever this SID is, without what only a session knows: the owner of a handle that came back from its record.
    package init(ownerOfRecord sid: String) {
        let user = SID(sid) ?? .anonymous
        self.init(user: user, groups: [.everyone, .authenticatedUsers, .users, .network], primaryGroup: user)
    }

    package func contains(_ sid: SID) -> Bool { self.user == sid || self.groups.contains(sid) }

    /// Whether it may make this SID a file's owner: itself, the administrators where it is one of them, or, with the privilege
    /// to restore, anybody. [MS-FSA] 2.1.5.17.
    package func mayAssign(owner: SID) -> Bool {
        if owner == self.user || self.privileges.contains(.restore) { return true }
        return owner == .administrators && self.groups.contains(.administrators)
    }
}
