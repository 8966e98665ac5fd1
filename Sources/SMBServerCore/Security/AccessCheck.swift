import SMB2Wire

/// What a security descriptor grants. [MS-DTYP] 2.5.3.2.
package enum AccessCheck {
    /// What the owner has without being granted it, unless a list speaks of OWNER RIGHTS.
    private static let ownerAccess: AccessMask = [.readControl, .writeDAC]
    /// [MS-FSA] 2.1.5.1: what the privileges to back up and to restore grant where an open says that it is for that.
    private static let backupAccess = AccessMask.fileGenericRead.union([.execute, .accessSystemSecurity])
    private static let restoreAccess = AccessMask.fileGenericWrite.union([
        .writeDAC, .writeOwner, .delete, .accessSystemSecurity,
    ])

    /// Which of the rights asked for are granted: a request is granted where that is all of them.
    ///
    /// For each right the first entry decides that names it and somebody whom the token contains. That is the algorithm's
    /// result for single requests as well as for MAXIMUM_ALLOWED: lists are taken in the order in which they are, canonical or
    /// not. Entries of object types and conditional grants are passed over, as [MS-DTYP] does where it has no object tree and
    /// where a condition cannot be evaluated; a conditional denial denies.
    ///
    /// - Parameter asked: specific rights only; all of them for what is granted at most.
    package static func granted(
        _ asked: AccessMask, by descriptor: SecurityDescriptor, to token: SecurityToken, forBackup: Bool = false
    ) -> AccessMask {
        var granted: AccessMask = []
        if token.privileges.contains(.security) { granted.insert(.accessSystemSecurity) }
        if token.privileges.contains(.takeOwnership) { granted.insert(.writeOwner) }
        if forBackup {
            if token.privileges.contains(.backup) { granted.formUnion(self.backupAccess) }
            if token.privileges.contains(.restore) { granted.formUnion(self.restoreAccess) }
        }
        // No list, or one that is NULL: no policy. An empty one grants nothing but what the owner has.
        guard descriptor.control.contains(.daclPresent), let list = descriptor.dacl else {
            return asked.subtracting(.accessSystemSecurity).union(asked.intersection(granted))
        }
        let isOwner = descriptor.owner.map { token.contains($0) } ?? false
        if isOwner, !list.entries.contains(where: Self.namesOwnerRights) { granted.formUnion(self.ownerAccess) }

        var undecided = asked.subtracting(granted).subtracting(.accessSystemSecurity)
        for entry in list.entries where !undecided.isEmpty {
            guard !entry.flags.contains(.inheritOnly), let (mask, sid) = entry.grant else { continue }
            let isGrant = entry.kind == .accessAllowed
            guard isGrant || entry.kind == .accessDenied || entry.kind == .accessDeniedCallback else { continue }
            guard token.contains(sid) || (isOwner && sid == .ownerRights) else { continue }
            let decided = mask.mappingGeneric.intersection(undecided)
            if isGrant { granted.formUnion(decided) }
            undecided.subtract(decided)
        }
        return granted.intersection(asked)
    }

    private static func namesOwnerRights(_ entry: ACE) -> Bool {
        !entry.flags.contains(.inheritOnly) && entry.grant?.sid == .ownerRights
    }
}
