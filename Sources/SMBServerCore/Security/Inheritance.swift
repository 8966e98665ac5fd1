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
        let heirs = Heirs(owner: owner, group: explicit?.group ?? creator.primaryGroup, isDirectory: isDirectory)
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
            guard let list else { continue }
            guard list.byteCount <= ACL.maximumByteCount, list.entries.count <= ACL.maximumEntries else {
                throw SMBError(.invalidAcl, "too much to inherit")
            }
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

    /// An entry that takes effect says what it grants in specific rights; one that is only passed on keeps its generic ones for
    /// what inherits it.
    package static func mappingGeneric(_ entry: ACE) -> ACE {
        guard !entry.flags.contains(.inheritOnly), case .simple(let mask, let sid, let data) = entry.body else {
            return entry
        }
        var copy = entry
        copy.body = .simple(mask: mask.mappingGeneric, sid: sid, applicationData: data)
        return copy
    }

    /// Whose rights the entries of CREATOR OWNER and CREATOR GROUP become.
    private struct Heirs {
        private static let passingFlags: ACE.Flags = [
            .objectInherit, .containerInherit, .noPropagateInherit, .inheritOnly,
        ]

        let owner: SID
        let group: SID
        let isDirectory: Bool

        /// 2.5.3.4.4: what of a parent's entries reaches the child. It is marked as inherited where the parent's list says that
        /// it takes part in that: who changes the parent then finds what to replace beneath it.
        func inherit(_ entries: [ACE], isMarked: Bool) -> [ACE] {
            entries.flatMap { self.inherit($0, isMarked: isMarked) }
        }

        private func inherit(_ entry: ACE, isMarked: Bool) -> [ACE] {
            var entry = entry
            entry.flags.remove(.inherited)
            if isMarked { entry.flags.insert(.inherited) }
            let reaches = entry.flags.contains(self.isDirectory ? .containerInherit : .objectInherit)
            let passesOn = self.isDirectory && !entry.flags.contains(.noPropagateInherit)
            guard reaches else {
                // Files below the new directory get it.
                guard passesOn, entry.flags.contains(.objectInherit) else { return [] }
                var passing = entry
                passing.flags.insert(.inheritOnly)
                return [passing]
            }
            var child = entry
            child.flags.remove(.inheritOnly)
            if !passesOn { child.flags.subtract(Self.passingFlags) }
            return self.settle(child)
        }

        /// 2.5.3.4.7: an entry as it takes effect. Where that changes what an entry says that is passed on as well, it
        /// becomes two: one that takes effect and one that is passed on.
        func settle(_ entry: ACE) -> [ACE] {
            guard !entry.flags.contains(.inheritOnly), case .simple(let mask, let sid, let data) = entry.body else {
                return [entry]
            }
            var effective = entry
            let heir = sid == .creatorOwner ? self.owner : sid == .creatorGroup ? self.group : sid
            effective.body = .simple(mask: mask.mappingGeneric, sid: heir, applicationData: data)
            let isPassedOn = !entry.flags.isDisjoint(with: [.objectInherit, .containerInherit])
            guard self.isDirectory, isPassedOn else {
                effective.flags.subtract(Self.passingFlags)
                return [effective]
            }
            guard effective.body != entry.body else { return [effective] }
            effective.flags.subtract(Self.passingFlags)
            var passing = entry
            passing.flags.insert(.inheritOnly)
            return [effective, passing]
        }
    }
}
