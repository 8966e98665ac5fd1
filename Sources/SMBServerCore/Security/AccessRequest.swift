import SMB2Wire

/// What CREATE wants to do, judged where the file system has found what is at the path. [MS-FSA] 2.1.5.1.
package struct AccessRequest: Sendable {
    /// Something that exists, about to be opened.
    package struct Found: Sendable {
        /// The file's; a stream has none of its own.
        package var security: SecurityDescriptor
        package var isDirectory: Bool
        package var isReadOnly: Bool
        /// `.created`: a new stream of a file that exists.
        package var action: CreateAction

        package init(security: SecurityDescriptor, isDirectory: Bool, isReadOnly: Bool, action: CreateAction) {
            self.security = security
            self.isDirectory = isDirectory
            self.isReadOnly = isReadOnly
            self.action = action
        }
    }

    package var token: SecurityToken
    /// Without generic rights; perhaps with MAXIMUM_ALLOWED.
    package var desired: AccessMask
    /// What the share allows at most.
    package var share: AccessMask
    package var isForBackup: Bool
    package var deletesOnClose: Bool

    package init(
        token: SecurityToken, desired: AccessMask, share: AccessMask, isForBackup: Bool, deletesOnClose: Bool
    ) {
        self.token = token
        self.desired = desired.mappingGeneric
        self.share = share
        self.isForBackup = isForBackup
        self.deletesOnClose = deletesOnClose
    }

    private func granted(_ asked: AccessMask, by descriptor: SecurityDescriptor) -> AccessMask {
        AccessCheck.granted(asked, by: descriptor, to: self.token, forBackup: self.isForBackup)
    }

    /// [MS-SMB2] 3.3.5.9: what an open takes must be the share's to give, whether it was asked for or follows from
    /// disposition and options. The right to audit lists is a privilege's, and no share's.
    func requireShare(allows access: AccessMask) throws(SMBError) {
        guard access.subtracting([.maximumAllowed, .accessSystemSecurity]).isSubset(of: self.share) else {
            throw SMBError(.accessDenied, "beyond what the share allows")
        }
    }

    /// What is granted on an existing file. [MS-FSA] 2.1.5.1.2.1.
    /// - Parameter parent: its directory's descriptor, asked for only where it matters; nil at the share's root.
    /// - Throws: STATUS_ACCESS_DENIED, or whatever `parent` meets.
    package func admit(
        _ file: Found, parent: () throws(SMBError) -> SecurityDescriptor?
    ) throws(SMBError) -> AccessMask {
        let wanted = self.desired.subtracting(.maximumAllowed)
        var needed = wanted
        switch file.action {
        case .opened: break
        // [MS-FSA] 2.1.5.1.2: whatever was asked for. A new stream is written to its file.
        case .superseded: needed.formUnion([.delete, .writeData])
        case .created: needed.insert(.writeData)
        default: needed.formUnion([.writeData, .writeEA, .writeAttributes])
        }
        if self.deletesOnClose { needed.insert(.delete) }
        try self.requireShare(allows: needed)
        let asksForMaximum = self.desired.contains(.maximumAllowed)
        let asked = asksForMaximum ? needed.union(.fileAll) : needed
        let granted = try self.granted(asked, by: file.security, orBy: parent)
        guard needed.isSubset(of: granted) else { throw SMBError(.accessDenied, nil) }
        guard asksForMaximum else { return wanted }
        // Read-only directories are written all the same.
        let isProtected = file.isReadOnly && !file.isDirectory
        return granted.subtracting(isProtected ? [.writeData, .appendData, .deleteChild] : [])
            .intersection(self.share).union(wanted)
    }

    /// The file's own list and what its directory's adds to it: who may delete children may delete this one, who may list
    /// the directory may see attributes.
    private func granted(
        _ asked: AccessMask, by descriptor: SecurityDescriptor, orBy parent: () throws(SMBError) -> SecurityDescriptor?
    ) throws(SMBError) -> AccessMask {
        var granted = self.granted(asked, by: descriptor)
        let missing = asked.subtracting(granted)
        guard !missing.isDisjoint(with: [.delete, .readAttributes]), let parent = try parent() else { return granted }
        let above = self.granted([.deleteChild, .listDirectory], by: parent)
        if missing.contains(.delete), above.contains(.deleteChild) { granted.insert(.delete) }
        if missing.contains(.readAttributes), above.contains(.listDirectory) { granted.insert(.readAttributes) }
        return granted
    }

    /// MaximalAccess of an open file, [MS-SMB2] 2.2.14.2.5: what its descriptor grants, read-only or not.
    package func maximal(
        of file: Found, parent: () throws(SMBError) -> SecurityDescriptor?
    ) throws(SMBError) -> AccessMask {
        try self.granted(.fileAll, by: file.security, orBy: parent).intersection(self.share)
    }

    /// What is granted on a file that is about to be made, and its descriptor. [MS-FSA] 2.1.5.1.1: whoever may make it gets
    /// what he asks for, whatever it inherits.
    /// - Throws: STATUS_ACCESS_DENIED where the directory or the share takes none from this user, and as
    ///   `Inheritance.descriptor`.
    package func admitCreation(
        isDirectory: Bool, in parent: SecurityDescriptor, explicit: SecurityDescriptor?
    ) throws(SMBError) -> (access: AccessMask, security: SecurityDescriptor) {
        let needed: AccessMask = isDirectory ? .addSubdirectory : .addFile
        try self.requireShare(allows: self.deletesOnClose ? needed.union(.delete) : needed)
        guard needed.isSubset(of: self.granted(needed, by: parent)) else { throw SMBError(.accessDenied, nil) }
        let security = try Inheritance.descriptor(
            parent: parent, explicit: explicit, isDirectory: isDirectory, creator: self.token)
        let wanted = self.desired.subtracting(.maximumAllowed)
        guard self.desired.contains(.maximumAllowed) else { return (wanted, security) }
        return (AccessMask.fileAll.intersection(self.share).union(wanted), security)
    }
}
