import SMB2Wire

/// The security descriptor of what is created. [MS-DTYP] 2.5.3.4.
package enum Inheritance {
    /// - Parameter explicit: SMB2_CREATE_SD_BUFFER; what it leaves out is made up for.
    /// - Throws: STATUS_INVALID_OWNER for an owner whom the creator may not assign, STATUS_PRIVILEGE_NOT_HELD for an audit
    ///   list from somebody who may not write one, STATUS_INVALID_ACL where the result is too long for a list.
    package static func descriptor(
        parent: SecurityDescriptor, explicit: SecurityDescriptor?, isDirectory: Bool, creator: SecurityToken
    ) throws(SMBError) -> SecurityDescriptor {
        let owner = explicit?.owner ?? creator.user
        guard creator.mayAssign(owner: owner) else { throw SMBError(.invalidOwner) }
        if explicit?.sacl != nil, !creator.privileges.contains(.security) { throw SMBError(.privilegeNotHeld) }
        let heirs = ACLInheritance(
            owner: owner, group: explicit?.group ?? creator.primaryGroup, isDirectory: isDirectory)
        var result = SecurityDescriptor(owner: heirs.owner, group: heirs.group, dacl: nil)

        let isMarked = parent.control.contains(.daclAutoInherited)
        let inherited = parent.dacl.map { heirs.inherit($0.entries, isMarked: isMarked) } ?? []
        if let explicit, explicit.control.contains(.daclPresent) {
            result.control.insert(.daclPresent)
            result.control.formUnion(explicit.control.intersection(.daclProtected))
            if let list = explicit.dacl {
                var entries = list.entries.flatMap { heirs.settle($0) }
                // Who gives a whole list gets that list; the parent's is added for those who say that they expect it to be.
                if explicit.control.contains(.daclAutoInheritRequired), !explicit.control.contains(.daclProtected) {
                    entries = entries.filter { !$0.flags.contains(.inherited) } + inherited
                    result.control.insert(.daclAutoInherited)
                }
                result.dacl = ACL(revision: list.revision, entries: entries)
            }
        } else {
            result.control.insert(.daclPresent)
            if inherited.isEmpty {
                result.dacl = self.defaultList(owner: owner)
            } else {
                result.dacl = ACL(revision: parent.dacl?.revision ?? 2, entries: inherited)
                if isMarked { result.control.insert(.daclAutoInherited) }
            }
        }
        if let list = explicit?.sacl {
            result.sacl = ACL(revision: list.revision, entries: list.entries.flatMap { heirs.settle($0) })
            result.control.insert(.saclPresent)
            result.control.formUnion(explicit?.control.intersection(.saclProtected) ?? [])
        } else if let list = parent.sacl {
            let isMarked = parent.control.contains(.saclAutoInherited)
            let entries = heirs.inherit(list.entries, isMarked: isMarked)
            if !entries.isEmpty {
                result.sacl = ACL(revision: list.revision, entries: entries)
                result.control.formUnion(isMarked ? [.saclPresent, .saclAutoInherited] : .saclPresent)
            }
        }
        for list in [result.dacl, result.sacl] {
            guard list?.isEncodable != false else { throw SMBError(.invalidAcl, "too much to inherit") }
        }
        return result
    }

    /// Where nothing is inherited: the default list of a Windows token.
    private static func defaultList(owner: SID) -> ACL {
        ACL(entries: [
            ACE(kind: .accessAllowed, mask: .fileAll, sid: owner),
            ACE(kind: .accessAllowed, mask: .fileAll, sid: .localSystem),
        ])
    }
}
