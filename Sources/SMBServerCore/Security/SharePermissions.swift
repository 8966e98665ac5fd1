import SMB2Wire
import StateRecords

/// Who may do what on a share, and who sees what on it. [MS-SMB2] 3.3.1.6 Share.FileSecurity, 3.3.5.7, 3.3.5.18.
extension ServerState {
    private static let change = AccessMask(rawValue: 0x0013_01BF)
    private static let read = AccessMask.fileGenericRead.union(.fileGenericExecute)

    /// [MS-SMB2] 2.2.10 MaximalAccess; empty for somebody who may not connect.
    func maximalAccess(of share: Share, for user: User) -> AccessMask {
        // Nobody in particular may see what pipes there are; the rest is for a share to say, by that name: neither everyone nor
        // nobody having a say is meant.
        if user.isAnonymous, !share.isPipes, !self.admitsAnonymous(share) { return [] }
        guard !share.permissions.isEmpty else { return share.maximalAccess }
        var denied: [ACE] = []
        var allowed: [ACE] = []
        for permission in share.permissions {
            // A user who is no more is nobody.
            guard let sid = self.sid(named: permission.name) else { continue }
            switch permission.level {
            case .none: denied.append(ACE(kind: .accessDenied, mask: .fileAll, sid: sid))
            case .read: allowed.append(ACE(kind: .accessAllowed, mask: Self.read, sid: sid))
            case .change: allowed.append(ACE(kind: .accessAllowed, mask: Self.change, sid: sid))
            case .full: allowed.append(ACE(kind: .accessAllowed, mask: .fileAll, sid: sid))
            }
        }
        let security = SecurityDescriptor(
            control: .daclPresent, owner: nil, group: nil, dacl: ACL(entries: denied + allowed))
        // The privileges of administrators are for files, not for shares.
        var token = user.token
        token.privileges = []
        if user.isAnonymous { token.groups.removeAll { $0 == .everyone } }
        return AccessCheck.granted(share.maximalAccess, by: security, to: token)
    }

    /// Who uses an open now: its session may belong to somebody else by now than to whom it was given.
    func user(of open: Open) -> User { open.session.flatMap { self.sessions[$0]?.user } ?? open.owner }

    private func admitsAnonymous(_ share: Share) -> Bool {
        share.permissions.contains { $0.name.lowercased() == Self.anonymousName && $0.level != .none }
    }

    private static let anonymousName = "anonymous logon"

    private func sid(named name: String) -> SID? {
        let name = name.lowercased()
        switch name {
        case "everyone": return .everyone
        case "users": return .users
        case "administrators": return .administrators
        case Self.anonymousName: return .anonymous
        default:
            guard let user = self.configuration.users.first(where: { $0.name.lowercased() == name }) else { return nil }
            let domain = self.configuration.domain
            return SID(5, [21, domain.0, domain.1, domain.2, user.relativeID])
        }
    }

    /// Which entries of a directory this open may see; nil: all. [MS-SMB2] 3.3.5.18.
    static func visibility(to open: Open) -> (@Sendable (SecurityDescriptor) -> Bool)? {
        guard open.share.isAccessBased else { return nil }
        let token = open.owner.token
        let isForBackup = open.createOptions.contains(.openForBackupIntent)
        return { security in
            AccessCheck.granted(.fileGenericRead, by: security, to: token, forBackup: isForBackup)
                .isSuperset(of: AccessMask.fileGenericRead.subtracting(.synchronize))
        }
    }
}
