import SMB2Wire

/// SET_INFO of a security descriptor. [MS-SMB2] 3.3.5.21.3; [MS-FSA] 2.1.5.17.
extension ServerState {
    func setSecurity(
        _ data: RawSpan, _ parts: SecurityInformation, _ open: Open, _ handle: any FileHandle
    ) throws(SMBError) {
        if !parts.isDisjoint(with: [.owner, .group, .label]), !open.grantedAccess.contains(.writeOwner) {
            throw SMBError(.accessDenied)
        }
        if parts.contains(.dacl), !open.grantedAccess.contains(.writeDAC) { throw SMBError(.accessDenied) }
        if parts.contains(.sacl) {
            // The privilege that grants it is for files: who may not change lists through the share changes none.
            guard open.grantedAccess.contains(.accessSystemSecurity),
                self.maximalAccess(of: open.share, for: self.user(of: open)).contains(.writeDAC)
            else { throw SMBError(.accessDenied) }
        }
        var descriptor: SecurityDescriptor
        let bytes = Self.asKept(Self.selfRelative(data), on: open.share)
        do throws(WireError) { descriptor = try SecurityDescriptor(parsing: bytes.span.bytes) } catch {
            throw SMBError(.invalidSecurityDescr, "\(error)")
        }
        // chown's owners are checked by nobody: a POSIX client's users are its own, and no list speaks of them.
        if parts.contains(.owner), let owner = descriptor.owner, !(open.isPOSIX && owner.unixID(ofGroup: false) != nil)
        {
            guard open.owner.token.mayAssign(owner: owner) else { throw SMBError(.invalidOwner) }
        }
        // What is kept says what it grants; the order is left as it is.
        descriptor.dacl = descriptor.dacl.map { ACL(revision: $0.revision, entries: $0.entries.map(\.mappingGeneric)) }
        descriptor.sacl = descriptor.sacl.map { ACL(revision: $0.revision, entries: $0.entries.map(\.mappingGeneric)) }
        var writer = WireWriter()
        descriptor.encode(into: &writer)
        let rest = open.isPOSIX ? try self.setPOSIXSecurity(writer.bytes, parts, handle) : parts
        if !rest.isEmpty { try handle.setSecurityDescriptor(writer.bytes, rest) }
    }

    /// SE_DACL_AUTO_INHERITED and SE_SACL_AUTO_INHERITED stay where SE_DACL_AUTO_INHERIT_REQ and
    /// SE_SACL_AUTO_INHERIT_REQ ask for it, [MS-DTYP] 2.4.6; on a share that keeps them anyhow the descriptor asks for
    /// it.
    static func asKept(_ descriptor: [UInt8], on share: Share) -> [UInt8] {
        guard share.traits.contains(.keepsInheritedFlag), descriptor.count > 3 else { return descriptor }
        var bytes = descriptor
        bytes[3] |= (bytes[3] & 0x0C) >> 2
        return bytes
    }

    /// Samba's tools forget the bit that says so; on the wire there is no other form. [MS-DTYP] 2.4.6.
    package static func selfRelative(_ data: RawSpan) -> [UInt8] {
        var bytes = data.bytes(in: 0..<data.byteCount)
        if bytes.count > 3 { bytes[3] |= 0x80 }
        return bytes
    }
}
