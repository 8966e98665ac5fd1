import CLinux
import SMB2Wire

extension SID {
    /// Samba's domains for host users and groups that have no SID; root is the administrators.
    init(host uid: UInt32) { self = uid == 0 ? .administrators : .unixUser(uid) }
    init(hostGroup gid: UInt32) { self = gid == 0 ? .administrators : .unixGroup(gid) }

    var bytes: [UInt8] {
        var writer = WireWriter()
        self.encode(into: &writer)
        return writer.bytes
    }
}

extension Volume {
    /// What the root has that nobody gave a descriptor, and, by `Options.defaultSecurity`, every file.
    func rootSecurity(_ status: borrowing FileStatus) -> SecurityDescriptor {
        let owner = SID(host: status.raw.uid)
        let group = SID(hostGroup: status.raw.gid)
        switch self.options.defaultSecurity {
        case .everyone:
            // Who may use the share is decided at the share. What is made in it says that it got this from above.
            let flags: ACE.Flags = status.isDirectory ? [.objectInherit, .containerInherit] : []
            return SecurityDescriptor(
                control: [.daclPresent, .daclAutoInherited], owner: owner, group: group,
                dacl: ACL(entries: [ACE(kind: .accessAllowed, flags: flags, mask: .fileAll, sid: .everyone)]))
        case .posixMode:
            var entries: [ACE] = []
            for (shift, sid) in [(UInt32(6), owner), (3, group), (0, SID.everyone)] {
                var mask = Self.access(of: status.raw.mode >> shift & 7, isDirectory: status.isDirectory)
                // The owner may always change the mode.
                if shift == 6 { mask.formUnion([.writeDAC, .writeOwner, .delete, .readControl, .readAttributes]) }
                if !mask.isEmpty { entries.append(ACE(kind: .accessAllowed, mask: mask, sid: sid)) }
            }
            return SecurityDescriptor(
                control: .daclPresent, owner: owner, group: group, dacl: ACL(entries: entries))
        }
    }

    private static func access(of bits: UInt32, isDirectory: Bool) -> AccessMask {
        var mask: AccessMask = []
        if bits & 4 != 0 { mask.formUnion(.fileGenericRead) }
        if bits & 2 != 0 { mask.formUnion(.fileGenericWrite) }
        if bits & 1 != 0 { mask.formUnion(.fileGenericExecute) }
        if bits & 2 != 0, isDirectory { mask.insert(.deleteChild) }
        return mask
    }
}
