import CLinux
import Glibc
import SMB2Wire

/// Security identifiers in bytes, [MS-DTYP] 2.4.2.
enum WellKnownSID {
    static let everyone = Self.make(1, [0])
    static let creatorOwner = Self.make(3, [0])
    static let creatorGroup = Self.make(3, [1])
    static let administrators = Self.make(5, [32, 544])

    /// Samba's domains for host users and groups that have no SID; root is the administrators.
    static func user(_ uid: UInt32) -> [UInt8] { uid == 0 ? self.administrators : self.make(22, [1, uid]) }
    static func group(_ gid: UInt32) -> [UInt8] { gid == 0 ? self.administrators : self.make(22, [2, gid]) }

    private static func make(_ authority: UInt8, _ subAuthorities: [UInt32]) -> [UInt8] {
        var bytes: [UInt8] = [1, UInt8(subAuthorities.count), 0, 0, 0, 0, 0, authority]
        for value in subAuthorities { bytes.append(little: value) }
        return bytes
    }
}

/// Entries of access control lists, [MS-DTYP] 2.4.4.
private enum AccessEntry {
    static let objectInherit: UInt8 = 0x01
    static let containerInherit: UInt8 = 0x02
    static let noPropagate: UInt8 = 0x04
    static let inheritOnly: UInt8 = 0x08
    static let inherited: UInt8 = 0x10
    static let inheritanceFlags: UInt8 = 0x0F
    /// ACCESS_ALLOWED, ACCESS_DENIED, SYSTEM_AUDIT, SYSTEM_ALARM: header, mask, SID.
    static let simpleTypes: ClosedRange<UInt8> = 0...3
    private static let sidOffset = 8

    static func allow(_ mask: AccessMask, _ sid: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [0, 0]
        bytes.append(little: UInt16(truncatingIfNeeded: 8 + sid.count))
        bytes.append(little: mask.rawValue)
        return bytes + sid
    }

    /// [MS-DTYP] 2.5.3.4.4, .5: what a child gets of a parent's entry; nothing, one entry, or an effective one and one that
    /// only passes on.
    static func inherit(
        _ entry: [UInt8], isDirectory: Bool, owner: [UInt8], group: [UInt8]
    ) -> [[UInt8]] {
        let flags = entry[1]
        let reaches = isDirectory ? flags & self.containerInherit != 0 : flags & self.objectInherit != 0
        let passesOn = isDirectory && flags & self.noPropagate == 0
        guard reaches else {
            // Files below the new directory get it.
            guard passesOn, flags & self.objectInherit != 0 else { return [] }
            var passing = entry
            passing[1] = flags | self.inheritOnly | self.inherited
            return [passing]
        }
        var effective = self.effective(entry, owner: owner, group: group)
        let changed = effective.dropFirst(4) != entry.dropFirst(4)
        guard passesOn else {
            effective[1] = flags & ~self.inheritanceFlags | self.inherited
            return [effective]
        }
        guard changed else {
            effective[1] = flags & ~self.inheritOnly | self.inherited
            return [effective]
        }
        effective[1] = flags & ~self.inheritanceFlags | self.inherited
        var passing = entry
        passing[1] = flags | self.inheritOnly | self.inherited
        return [effective, passing]
    }

    /// Generic rights mapped, CREATOR OWNER and CREATOR GROUP replaced.
    private static func effective(_ entry: [UInt8], owner: [UInt8], group: [UInt8]) -> [UInt8] {
        guard self.simpleTypes.contains(entry[0]) else { return entry }
        let mask = AccessMask(rawValue: entry.span.bytes.load(UInt32.self, at: 4)).mappingGeneric
        var sid = Array(entry[self.sidOffset...])
        if sid.starts(with: WellKnownSID.creatorOwner) { sid = owner }
        if sid.starts(with: WellKnownSID.creatorGroup) { sid = group }
        var result: [UInt8] = [entry[0], entry[1]]
        result.append(little: UInt16(truncatingIfNeeded: self.sidOffset + sid.count))
        result.append(little: mask.rawValue)
        return result + sid
    }
}

extension Volume {
    /// What a file without `security.NTACL` is said to have.
    func defaultSecurity(_ status: FileStatus) -> SecurityPieces {
        var pieces = SecurityPieces()
        pieces.owner = WellKnownSID.user(status.raw.uid)
        pieces.group = WellKnownSID.group(status.raw.gid)
        switch self.options.defaultSecurity {
        case .everyone:
            pieces.dacl = SecurityPieces.acl([AccessEntry.allow(.fileAll, WellKnownSID.everyone)])
        case .posixMode:
            let mode = status.raw.mode
            var entries: [[UInt8]] = []
            for (shift, sid) in [(6, pieces.owner), (3, pieces.group), (0, WellKnownSID.everyone)] {
                guard let sid else { continue }
                var mask = Self.access(of: mode >> UInt32(shift) & 7, isDirectory: status.isDirectory)
                // The owner may always change the mode.
                if shift == 6 { mask.formUnion([.writeDAC, .writeOwner, .delete, .readControl, .readAttributes]) }
                if !mask.isEmpty { entries.append(AccessEntry.allow(mask, sid)) }
            }
            pieces.dacl = SecurityPieces.acl(entries)
        }
        pieces.control |= SecurityPieces.daclPresent
        return pieces
    }

    private static func access(of bits: UInt32, isDirectory: Bool) -> AccessMask {
        var mask: AccessMask = []
        if bits & 4 != 0 { mask.formUnion(.fileGenericRead) }
        if bits & 2 != 0 { mask.formUnion(.fileGenericWrite) }
        if bits & 1 != 0 { mask.formUnion(.fileGenericExecute) }
        if bits & 2 != 0, isDirectory { mask.insert(.deleteChild) }
        return mask
    }

    /// [MS-DTYP] 2.5.3.4: a new file's descriptor from what its directory has to inherit. Where that is nothing, none is
    /// stored, and the default holds.
    func inheritSecurity(_ child: Int32, from parent: Int32, isDirectory: Bool) throws(FileError) {
        guard let above = try SecurityStore.read(parent), let list = above.dacl,
            let entries = SecurityPieces.entries(list)
        else { return }
        let status = try FileStatus(number: child)
        var pieces = SecurityPieces()
        let owner = WellKnownSID.user(status.raw.uid)
        let group = WellKnownSID.group(status.raw.gid)
        pieces.owner = owner
        pieces.group = group
        let inherited = entries.flatMap {
            AccessEntry.inherit($0, isDirectory: isDirectory, owner: owner, group: group)
        }
        guard !inherited.isEmpty else { return }
        pieces.dacl = SecurityPieces.acl(inherited)
        pieces.control |= SecurityPieces.daclPresent | SecurityPieces.daclAutoInherited
        try SecurityStore.write(child, pieces)
    }
}
