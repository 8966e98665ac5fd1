import SMB2Wire

/// What CREATE asks the file system to judge, and what it tells of that. [MS-SMB2] 3.3.5.9.
extension ServerState {
    /// - Throws: STATUS_ACCESS_DENIED for what the share does not allow, STATUS_PRIVILEGE_NOT_HELD for an audit list asked for
    ///   by somebody who may not read one.
    static func rights(_ create: CreateRequest, _ tree: TreeConnect) throws(SMBError) -> AccessRequest {
        let rights = AccessRequest(
            token: tree.user.token, desired: create.desiredAccess, share: tree.maximalAccess,
            isForBackup: create.options.contains(.openForBackupIntent),
            deletesOnClose: create.options.contains(.deleteOnClose))
        try rights.requireShare(allows: rights.desired)
        guard !rights.desired.contains(.accessSystemSecurity) || tree.user.token.privileges.contains(.security) else {
            throw SMBError(.privilegeNotHeld)
        }
        return rights
    }

    /// SMB2_CREATE_QUERY_MAXIMAL_ACCESS_RESPONSE, [MS-SMB2] 2.2.14.2.5.
    static func maximalAccess(
        _ opened: OpenedFile, _ create: CreateRequest, _ tree: TreeConnect
    ) throws(SMBError) -> AccessMask {
        let found = AccessRequest.Found(
            security: opened.security, isDirectory: opened.facts.isDirectory,
            isReadOnly: opened.isReadOnly, action: .opened)
        return try self.rights(create, tree).maximal(of: found) { () throws(SMBError) in
            try opened.handle.parentSecurity()
        }
    }
}
