/// What a new file or directory gets of its directory's lists. [MS-DTYP] 2.5.3.4.
package struct ACLInheritance: Sendable {
    private static let passingFlags: ACE.Flags = [
        .objectInherit, .containerInherit, .noPropagateInherit, .inheritOnly,
    ]

    /// Whose rights the entries of CREATOR OWNER and CREATOR GROUP become.
    package let owner: SID
    package let group: SID
    package let isDirectory: Bool

    package init(owner: SID, group: SID, isDirectory: Bool) {
        self.owner = owner
        self.group = group
        self.isDirectory = isDirectory
    }

    /// 2.5.3.4.4: what of a parent's entries reaches the child.
    /// - Parameter isMarked: the parent's list takes part in inheritance (its AUTO_INHERITED bit): what comes from it says so,
    ///   and who changes the parent finds what to replace beneath it.
    package func inherit(_ entries: [ACE], isMarked: Bool) -> [ACE] {
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
            entry.flags.insert(.inheritOnly)
            return [entry]
        }
        entry.flags.remove(.inheritOnly)
        if !passesOn { entry.flags.subtract(Self.passingFlags) }
        return self.settle(entry)
    }

    /// 2.5.3.4.7: an entry as it takes effect, generic rights mapped and the creator put in. Where that changes what an entry
    /// says that is passed on as well, it becomes two: one that takes effect and one that is passed on.
    package func settle(_ entry: ACE) -> [ACE] {
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

extension ACE {
    /// An entry that takes effect says what it grants in specific rights; one that is only passed on keeps its generic ones for
    /// what inherits it.
    package var mappingGeneric: ACE {
        guard !self.flags.contains(.inheritOnly), case .simple(let mask, let sid, let data) = self.body else {
            return self
        }
        var copy = self
        copy.body = .simple(mask: mask.mappingGeneric, sid: sid, applicationData: data)
        return copy
    }
}
