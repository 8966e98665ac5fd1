import SMB2Wire

// The POSIX extensions of SMB 3.1.1. An open with the POSIX create context, where client and share agreed to it, is a POSIX
// open: its names are what they are spelled and may hold what Windows reserves, what it makes gets the mode it says, and
// what it deletes or replaces is gone at once although others have it open.

/// What a POSIX open needs of a file system. FileSystem.swift has the rest.
package protocol POSIXFileSystem: AnyObject, Sendable {
    /// The file that exactly this path names.
    func findFileExactly(_ path: String) throws(SMBError) -> FileKey?
}

package protocol POSIXFileHandle: AnyObject, Sendable {
    /// The handle was given back after a failover, and is a POSIX open's.
    func actAsPOSIX()
    /// Permission bits (07777).
    func changeMode(_ mode: UInt32) throws(SMBError)
    /// Nil: unchanged.
    func changeOwner(uid: UInt32?, gid: UInt32?) throws(SMBError)
}

extension FileFacts {
    /// Root's files, which are all that the server makes and nobody gave to somebody, have no owner that a client could
    /// know: it shows them as the mount says (`uid=`, `gid=`).
    var posix: POSIXAttributes {
        POSIXAttributes(
            linkCount: self.linkCount, reparseTag: self.reparseTag, mode: self.mode,
            owner: self.uid == 0 ? .administrators : .unixUser(self.uid),
            group: self.gid == 0 ? .administrators : .unixGroup(self.gid))
    }
}

extension ServerState {
    /// Whether a POSIX create context means anything: both sides negotiated the extensions and the share offers them.
    /// Elsewhere it is ignored, as every context that a server does not know.
    func offersPOSIX(_ tree: TreeConnect, _ request: Request) -> Bool {
        tree.share.offersPOSIX && self.connections[request.connection]?.isPOSIX == true
    }

    /// The open that a reclaim gave back is one again.
    mutating func actAsPOSIX(_ id: FileID?) {
        guard let id, let handle = self.opens[id.volatile]?.handle else { return }
        self.opens[id.volatile]?.isPOSIX = true
        handle.actAsPOSIX()
    }

    static func deviceID(_ share: Share) -> UInt32 { UInt32(truncatingIfNeeded: share.fileSystem?.volumeID ?? 0) }

    static func posixInformation(_ facts: FileFacts, _ share: Share) -> POSIXInformation {
        POSIXInformation(
            information: facts.networkOpen, fileID: facts.fileID, deviceID: Self.deviceID(share),
            attributes: facts.posix)
    }

    // MARK: chmod and chown

    /// A POSIX client says a mode and an owner by SIDs that mean nothing else: S-1-5-88-3-mode in the DACL, S-1-5-88-1-uid and
    /// S-1-22-1-uid, S-1-5-88-2-gid and S-1-22-2-gid. They are carried out and not stored; the other entries of such a DACL
    /// only say that the mode decides.
    /// - Returns: what is left to be set as a security descriptor.
    func setPOSIXSecurity(
        _ bytes: [UInt8], _ parts: SecurityInformation, _ handle: any FileHandle
    ) throws(SMBError) -> SecurityInformation {
        let descriptor = try parsing { () throws(WireError) in try SecurityDescriptor(parsing: bytes.span.bytes) }
        var rest = parts
        if parts.contains(.dacl), let mode = descriptor.dacl?.posixMode {
            try handle.changeMode(mode)
            rest.subtract(SecurityInformation.allOfDACL)
        }
        let uid = parts.contains(.owner) ? descriptor.owner?.unixID(ofGroup: false) : nil
        let gid = parts.contains(.group) ? descriptor.group?.unixID(ofGroup: true) : nil
        if uid != nil || gid != nil { try handle.changeOwner(uid: uid, gid: gid) }
        if uid != nil { rest.remove(.owner) }
        if gid != nil { rest.remove(.group) }
        return rest
    }

    /// The security descriptor of a CREATE: the mode is in the POSIX context, so what is said by SIDs is the owner.
    /// - Returns: what is left for the file system to store, and whose the new file is to be.
    func posixSecurity(
        ofNew bytes: [UInt8]
    ) throws(SMBError) -> (rest: [UInt8]?, uid: UInt32?, gid: UInt32?) {
        let descriptor = try parsing { () throws(WireError) in try SecurityDescriptor(parsing: bytes.span.bytes) }
        let rest = descriptor.dacl?.posixMode == nil ? bytes : nil
        return (rest, descriptor.owner?.unixID(ofGroup: false), descriptor.group?.unixID(ofGroup: true))
    }

    // MARK: Names

    /// Whether an open file that is to be deleted can go now: with its last open; before that where a POSIX open deletes
    /// it and the others are POSIX opens of connected clients, too. What a persistent handle protects stays: on another
    /// node there is no file without a name.
    func deletesNow(_ file: FileEntry, closing open: Open) -> Bool {
        guard file.isDeletePending else { return false }
        guard !file.opens.isEmpty else { return true }
        guard open.isPOSIX || open.deletesNameOnClose else { return false }
        return file.opens.allSatisfy {
            guard let other = self.opens[$0] else { return true }
            return (other.isPOSIX || open.deletesNameOnClose) && other.session != nil && !other.isPersistent
        }
    }

    /// Whether a file can be replaced by a POSIX open's rename although it is open: not where a client that is away, or
    /// comes back on another node, would miss it.
    func isReplaceableByPOSIX(_ file: UInt64) -> Bool {
        self.files[file]?.opens.allSatisfy { key in
            guard let open = self.opens[key] else { return true }
            return open.session != nil && !open.isPersistent
        } ?? true
    }

    /// A directory has another name: so has what is open beneath it.
    mutating func moveOpens(beneath old: String, to new: String, in share: Share) {
        let prefix = (old + "\\").lowercased()
        var moved: [(key: UInt64, path: String)] = []
        self.opens.forEach { key, open in
            guard open.share.name == share.name, open.path.lowercased().hasPrefix(prefix) else { return }
            moved.append((key, new + "\\" + open.path.dropFirst(old.count + 1)))
        }
        for (key, path) in moved.sorted(by: { $0.key < $1.key }) { self.move(key, to: path) }
    }
}

extension SecurityInformation {
    /// With UNPROTECTED_DACL and PROTECTED_DACL, [MS-DTYP] 2.4.7.
    fileprivate static let allOfDACL = SecurityInformation.dacl.union(SecurityInformation(rawValue: 0xA000_0000))
}

extension ACL {
    /// The mode that an entry for S-1-5-88-3-mode says; nil without one.
    fileprivate var posixMode: UInt32? {
        for entry in self.entries {
            guard let sid = entry.grant?.sid, sid.authority == 5, sid.subAuthorities.count == 3,
                sid.subAuthorities.starts(with: [88, 3])
            else { continue }
            return sid.subAuthorities[2] & 0o7777
        }
        return nil
    }
}

extension SID {
    /// The uid or gid that it stands for; nil for all other SIDs.
    func unixID(ofGroup isGroup: Bool) -> UInt32? {
        let kind: UInt32 = isGroup ? 2 : 1
        switch (self.authority, self.subAuthorities.count) {
        case (5, 3) where self.subAuthorities.starts(with: [88, kind]): return self.subAuthorities[2]
        case (22, 2) where self.subAuthorities[0] == kind: return self.subAuthorities[1]
        default: return nil
        }
    }
}
